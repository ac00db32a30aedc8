//! Where bundles come from: what each source gives, what it must not give, and what happens when it fails.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::process::Command;

use graftling::api::Environment;
use graftling::api::environment::Phase;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use testbed::https::{Answer, HttpsServer};
use testbed::{Repository, wait};

use crate::world::objects;
use crate::world::{LONG, Options, World};

const HEAD: &str = "name: app\nversion: 0.1.0\n";

fn template(greeting: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{greeting: {greeting}, revision: {{{{quote revision}}}}}}\n"
    )
}

/// A world whose Project `shop` takes its bundle from `bundle`, and its repository.
async fn scene(name: &str, arguments: Vec<String>, bundle: Value) -> (World, Repository) {
    let options = Options {
        arguments,
        ..Options::default()
    };
    let (world, repository) = (World::with(name, options).await, Repository::create().unwrap());
    let spec = json!({ "bundle": bundle, "branches": { "exclude": ["main"] } });
    world.project("shop", &repository, spec).await;
    (world, repository)
}

async fn greeting(world: &World, environment: &Environment) -> Option<String> {
    let api = objects::api(&world.client, "v1", "ConfigMap", Some(&environment.name_any())).await;
    let object = api.get_opt("settings").await.unwrap()?;
    object.data["data"]["greeting"].as_str().map(str::to_owned)
}

/// Waits until the branch's objects are those of a template with this greeting.
async fn greets(world: &World, branch: &str, wanted: &str) {
    wait::until(format!("{branch} to greet with {wanted}"), LONG, || async {
        let environment = world.environment(branch).await.ok_or("no Environment".to_owned())?;
        match greeting(world, &environment).await {
            Some(found) if found == wanted => Ok(()),
            found => Err(format!("{found:?}: {:?}", environment.status.and_then(|status| status.message))),
        }
    })
    .await;
}

/// Waits until the branch's environment is refused with all of `words`, and what it had is still there.
async fn refused(world: &World, branch: &str, words: &[&str], still: &str) {
    wait::until(format!("{branch} to be refused with {words:?}"), LONG, || async {
        let environment = world.environment(branch).await.ok_or("no Environment".to_owned())?;
        let status = environment.status.unwrap_or_default();
        let told = format!("{} {:?}", status.message.unwrap_or_default(), status.conditions);
        match status.phase == Some(Phase::Failed) && words.iter().all(|word| told.contains(word)) {
            true => Ok(()),
            false => Err(format!("{:?}: {told}", status.phase)),
        }
    })
    .await;
    let environment = world.environment(branch).await.unwrap();
    assert_eq!(
        greeting(world, &environment).await.as_deref(),
        Some(still),
        "what runs keeps running"
    );
}

async fn config_map(world: &World, data: Value) {
    let home = world.namespace.name();
    world.create("v1", "ConfigMap", Some(home), "web", json!({ "data": data })).await;
}

async fn change_bundle(world: &World, bundle: Value) -> Result<(), kube::Error> {
    let patch = Patch::Merge(json!({ "spec": { "bundle": bundle } }));
    let changed = world.projects().patch("shop", &PatchParams::default(), &patch).await;
    changed.map(drop)
}

#[tokio::test]
async fn threat_t30_a_bundle_in_a_config_map_is_used_and_a_hostile_key_is_refused_by_its_name() {
    let (world, repository) = scene("source-map", Vec::new(), json!({ "configMap": { "name": "web" } })).await;
    config_map(&world, json!({ "bundle.yaml": HEAD, "templates__all.yaml": template("one") })).await;
    let revision = repository.commit("feature", &[]).unwrap();
    world.wait_for("feature", Phase::Ready, &revision).await;
    greets(&world, "feature", "one").await;
    // Seen with the next push, or with the next look.
    config_map(&world, json!({ "bundle.yaml": HEAD, "templates__all.yaml": template("two") })).await;
    repository.commit("feature", &[]).unwrap();
    greets(&world, "feature", "two").await;
    let hostile = json!({ "bundle.yaml": HEAD, "__etc_passwd": "root", "templates__all.yaml": template("three") });
    config_map(&world, hostile).await;
    repository.commit("feature", &[]).unwrap();
    refused(&world, "feature", &["ConfigMap web", "__etc_passwd", "BundleUnavailable"], "two").await;
}

#[tokio::test]
async fn threat_t13_a_branch_cannot_change_the_templates_of_the_default_branch() {
    let (world, repository) = scene("source-main", Vec::new(), json!({ "repository": { "path": "deploy" } })).await;
    let place = "deploy/templates/all.yaml";
    repository
        .commit("main", &[("deploy/bundle.yaml", HEAD), (place, &template("main"))])
        .unwrap();
    let revision = repository.commit("feature", &[(place, &template("hostile"))]).unwrap();
    world.wait_for("feature", Phase::Ready, &revision).await;
    greets(&world, "feature", "main").await;
    // The next look at the repository finds the new head, and every environment follows.
    repository.commit("main", &[(place, &template("main-2"))]).unwrap();
    greets(&world, "feature", "main-2").await;
    let project = world.projects().get("shop").await.unwrap().status.unwrap();
    assert_eq!(project.bundle.as_deref(), Some("repository at deploy (default branch)"));
}

#[tokio::test]
async fn a_branchs_own_templates_count_if_the_project_says_so_and_survive_a_git_host_that_is_away() {
    let bundle = json!({ "repository": { "path": "deploy", "from": "Branch" } });
    let (mut world, repository) = scene("source-own", Vec::new(), bundle).await;
    let place = "deploy/templates/all.yaml";
    let first = [("deploy/bundle.yaml", HEAD), (place, &template("one"))];
    let revision = repository.commit("feature", &first).unwrap();
    world.wait_for("feature", Phase::Ready, &revision).await;
    greets(&world, "feature", "one").await;
    let revision = repository.commit("feature", &[(place, &template("two"))]).unwrap();
    world.wait_for("feature", Phase::Ready, &revision).await;
    greets(&world, "feature", "two").await;
    // A new process knows nothing of what the last one had fetched.
    world.server = None;
    let away = repository.path().with_extension("away");
    std::fs::rename(repository.path(), &away).unwrap();
    world.start_server().await;
    let words = ["BundleUnavailable", "repository at deploy", "what runs keeps running"];
    refused(&world, "feature", &words, "two").await;
    std::fs::rename(&away, repository.path()).unwrap();
    world.wait_for("feature", Phase::Ready, &revision).await;
    greets(&world, "feature", "two").await;
}

#[tokio::test]
async fn f75_a_commit_that_was_pushed_away_while_nobody_had_its_files_gives_way_to_the_head() {
    let bundle = json!({ "repository": { "path": "deploy", "from": "Branch" } });
    let (mut world, repository) = scene("source-forced", Vec::new(), bundle).await;
    let place = "deploy/templates/all.yaml";
    let base = repository
        .commit("feature", &[("deploy/bundle.yaml", HEAD), (place, &template("one"))])
        .unwrap();
    let lost = repository.commit("feature", &[(place, &template("two"))]).unwrap();
    let before = world.wait_for("feature", Phase::Ready, &lost).await;
    // A new process has fetched nothing, the commit that its Environment names is on no branch, and the repository no longer has it.
    world.server = None;
    repository.force_push("feature", &base).unwrap();
    let forced = repository.commit("feature", &[(place, &template("three"))]).unwrap();
    forget_what_no_branch_has(&repository);
    world.start_server().await;
    let after = world.wait_for("feature", Phase::Ready, &forced).await;
    greets(&world, "feature", "three").await;
    assert_eq!(after.metadata.uid, before.metadata.uid, "it is the same environment");
    let results: Vec<String> = after.status.unwrap().history.into_iter().map(|entry| entry.result).collect();
    assert!(results.iter().all(|result| result == "Ready"), "{results:?}");
}

/// Removes every commit from the repository that no branch leads to.
fn forget_what_no_branch_has(repository: &Repository) {
    for arguments in [
        &["reflog", "expire", "--expire=now", "--all"][..],
        &["gc", "--quiet", "--prune=now"],
    ] {
        let status = Command::new("git").arg("-C").arg(repository.path()).args(arguments).status();
        assert!(status.unwrap().success());
    }
}

/// A bundle as `tar` packs a folder, and its digest.
fn packed(greeting: &str) -> (Vec<u8>, String) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("app");
    std::fs::create_dir_all(root.join("templates")).unwrap();
    std::fs::write(root.join("bundle.yaml"), HEAD).unwrap();
    std::fs::write(root.join("templates/all.yaml"), template(greeting)).unwrap();
    let archive = folder.path().join("app.tgz");
    let status = Command::new("tar")
        .arg("czf")
        .arg(&archive)
        .arg("-C")
        .arg(folder.path())
        .arg("app")
        .status();
    assert!(status.unwrap().success());
    let sum = Command::new("sha256sum").arg(&archive).output().unwrap().stdout;
    (std::fs::read(&archive).unwrap(), String::from_utf8(sum).unwrap()[..64].to_owned())
}

#[tokio::test]
async fn threat_t31_an_archive_counts_with_its_digest_only_and_from_allowed_places_only() {
    let server = HttpsServer::start().await.unwrap();
    let (bytes, digest) = packed("archive");
    server.set("/app.tgz", Answer::File(bytes));
    let arguments = vec![
        format!("--bundle-archive-hosts={}", server.host()),
        format!("--bundle-ca={}", server.authority().display()),
    ];
    let archive = |url: String, sha256: &str| json!({ "archive": { "url": url, "sha256": sha256 } });
    let (world, repository) = scene("source-web", arguments, archive(server.url("/app.tgz"), &digest)).await;
    let revision = repository.commit("feature", &[]).unwrap();
    world.wait_for("feature", Phase::Ready, &revision).await;
    greets(&world, "feature", "archive").await;
    change_bundle(&world, archive(server.url("/app.tgz"), &"0".repeat(64)))
        .await
        .unwrap();
    refused(
        &world,
        "feature",
        &[&digest, "spec.bundle.archive.sha256", "BundleUnavailable"],
        "archive",
    )
    .await;
    let with_password = server.url("/app.tgz").replace("https://", "https://user:password@");
    let refusal = change_bundle(&world, archive(with_password, &digest))
        .await
        .unwrap_err()
        .to_string();
    assert!(refusal.contains("spec.bundle.archive.url"), "{refusal}");
    let inside = server.url("/app.tgz").replace("localhost", "127.0.0.1");
    change_bundle(&world, archive(inside, &"1".repeat(64))).await.unwrap();
    refused(&world, "feature", &["127.0.0.1 is no public address"], "archive").await;
    change_bundle(&world, archive(server.url("/app.tgz"), &digest)).await.unwrap();
    world.wait_for("feature", Phase::Ready, &revision).await;
}

#[tokio::test]
async fn threat_t30_a_directory_counts_below_the_roots_only_and_two_sources_are_refused() {
    let place = tempfile::tempdir().unwrap();
    for (name, text) in [("roots/app", "directory"), ("secret", "secret")] {
        let folder = place.path().join(name);
        std::fs::create_dir_all(folder.join("templates")).unwrap();
        std::fs::write(folder.join("bundle.yaml"), HEAD).unwrap();
        std::fs::write(folder.join("templates/all.yaml"), template(text)).unwrap();
    }
    std::os::unix::fs::symlink(place.path().join("secret"), place.path().join("roots/link")).unwrap();
    let at = |name: &str| json!({ "directory": { "path": place.path().join(name) } });
    let arguments = vec![format!("--bundle-roots={}", place.path().join("roots").display())];
    let (world, repository) = scene("source-folder", arguments, at("roots/app")).await;
    let revision = repository.commit("feature", &[]).unwrap();
    world.wait_for("feature", Phase::Ready, &revision).await;
    greets(&world, "feature", "directory").await;
    for outside in ["secret", "roots/link"] {
        change_bundle(&world, at(outside)).await.unwrap();
        refused(&world, "feature", &[outside, "--bundle-roots", "BundleUnavailable"], "directory").await;
    }
    let both = change_bundle(&world, json!({ "name": "mini" })).await.unwrap_err().to_string();
    assert!(both.contains("exactly one of name, directory"), "{both}");
}
