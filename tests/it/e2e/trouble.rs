//! What is wrong is named where somebody looks for it, stays what it is until it is mended, and disturbs nobody else.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::fs;
use std::path::Path;

use graftling::api::environment::Phase;
use graftling::domain::name::{EnvironmentName, Identity, ProjectKey};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use testbed::{Repository, wait};

use crate::world::{LONG, Options, World, ready_reason, repository_name, root, without_main};

#[tokio::test(flavor = "multi_thread")]
async fn f83_feature_x10_an_invalid_project_is_told_what_is_wrong_and_another_works_on() {
    let world = World::start("invalid").await;
    let repository = Repository::create().unwrap();
    world.git_host("git", &repository).await;
    let revision = repository.commit("feature/a", &[("a", "1")]).unwrap();
    let long_label = format!("{}.example.com", "a".repeat(64));
    let cases: [(&str, &str, Value, &str, &str); 4] = [
        (
            "glob",
            "git",
            json!({ "branches": { "include": ["feature/["] } }),
            "InvalidProject",
            "spec.branches.include: \"feature/[\"",
        ),
        ("domain", "git", json!({ "domain": long_label }), "InvalidProject", "spec.domain"),
        (
            "kinds",
            "git",
            json!({ "policy": { "kinds": ["Certificate"] } }),
            "InvalidProject",
            "spec.policy.kinds: \"Certificate\"",
        ),
        ("host", "nowhere", json!({}), "GitHostNotReady", "GitHost nowhere does not exist"),
    ];
    for (project, host, rest, _, _) in &cases {
        world
            .project_at(host, project, &repository_name(&repository), without_main(rest.clone()))
            .await;
    }
    world
        .project_at(
            "git",
            "bundle",
            &repository_name(&repository),
            without_main(json!({ "bundle": { "name": "missing" } })),
        )
        .await;
    world
        .project_at("git", "works", &repository_name(&repository), without_main(json!({})))
        .await;

    for (project, _, _, reason, told) in &cases {
        let status = world
            .wait_for_project(project, "that is told", |status| ready_reason(&status.conditions) == *reason)
            .await;
        let message = status.message.unwrap();
        assert!(message.contains(told), "{project}: {message}");
        assert_eq!(status.observed_generation, Some(1));
    }
    let failed = wait::until("a failed environment of Project bundle", LONG, || async {
        let environment = world.environment_of("bundle", "feature/a").await?;
        let status = environment.status?;
        (status.phase == Some(Phase::Failed)).then_some(status)
    })
    .await;
    let message = failed.message.unwrap();
    assert!(
        message.contains("Project bundle: bundle \"missing\": the server has none of this name; there are: "),
        "{message}"
    );
    assert!(message.contains("mini"), "{message}");
    wait::until("a ready environment of Project works", LONG, || async {
        let status = world.environment_of("works", "feature/a").await?.status?;
        (status.revision?.applied.as_deref() == Some(&revision)).then_some(())
    })
    .await;
    let alive: Vec<_> = world.alive().await.into_keys().collect();
    assert_eq!(alive, ["bundle/feature/a", "works/feature/a"]);

    world
        .patch_project("glob", json!({ "branches": { "include": ["feature/*"] } }))
        .await;
    world
        .wait_for_project("glob", "that is synced", |status| {
            ready_reason(&status.conditions) == "Synced" && status.environments == 1
        })
        .await;
}

/// A copy of the sample bundle that a test may break.
fn own_bundles(folder: &Path) -> std::path::PathBuf {
    let (from, to) = (root().join("tests/bundles/mini"), folder.join("mini"));
    fs::create_dir_all(to.join("templates")).unwrap();
    for file in ["bundle.yaml", "values.yaml", "templates/all.yaml"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    folder.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_template_is_named_with_its_line_keeps_what_runs_and_heals_when_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let bundles = own_bundles(folder.path());
    let template = bundles.join("mini/templates/all.yaml");
    let right = fs::read_to_string(&template).unwrap();
    let broken = right.replace("values.greeting", "values.greetings");
    let line = 1 + broken.lines().position(|line| line.contains("values.greetings")).unwrap();
    fs::write(&template, &broken).unwrap();
    let options = Options {
        bundles,
        ..Options::default()
    };
    let (world, repository) = World::shop("broken", options, json!({})).await;

    let first = repository.commit("feature/a", &[("a", "1")]).unwrap();
    let failed = world.wait_for("feature/a", Phase::Failed, &first).await;
    let message = failed.status.clone().unwrap().message.unwrap();
    let place = format!("templates/all.yaml:{line}");
    assert!(message.contains(&place) && message.contains("greetings"), "{message}");
    assert!(
        !world.namespace_exists(&failed.name_any()).await,
        "nothing is applied of half a bundle"
    );
    world.wait_for_event("InvalidBundle").await;
    assert_eq!(world.events("InvalidBundle").await.len(), 1);

    fs::write(&template, &right).unwrap();
    world.wait_ready("feature/a", &first).await;

    // Broken again under a running environment: the next push fails and what runs stays.
    fs::write(&template, &broken).unwrap();
    let second = repository.commit("feature/a", &[("a", "2")]).unwrap();
    let failed = world
        .wait_until("feature/a", "that failed at the second revision", |environment| {
            let status = environment.status.clone().unwrap_or_default();
            status.phase == Some(Phase::Failed) && status.revision.is_some_and(|revision| revision.wanted.as_deref() == Some(&second))
        })
        .await;
    assert_eq!(failed.status.clone().unwrap().revision.unwrap().applied.unwrap(), first);
    let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), &failed.name_any());
    assert_eq!(deployments.get("web").await.unwrap().status.unwrap().ready_replicas, Some(1));

    fs::write(&template, &right).unwrap();
    let third = repository.commit("feature/a", &[("a", "3")]).unwrap();
    world.wait_ready("feature/a", &third).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f41_feature_n2_a_namespace_of_somebody_else_is_neither_taken_over_nor_removed() {
    let world = World::start("foreign").await;
    let repository = Repository::create().unwrap();
    let parent = repository.path().parent().unwrap().display().to_string();
    let name = EnvironmentName::compute(Identity {
        host_url: &format!("file://{parent}"),
        repository: &repository_name(&repository).parse().unwrap(),
        branch: &"feature/a".parse().unwrap(),
        project: &ProjectKey {
            namespace: world.namespace.name().parse().unwrap(),
            name: "shop".parse().unwrap(),
        },
    });
    let name = name.as_str();
    world.foreign_namespace(name).await;
    world
        .create("v1", "ConfigMap", Some(name), "precious", json!({ "data": { "a": "b" } }))
        .await;
    let before = version(&world, name).await;
    let position = world.plane.audit().position();

    world.project("shop", &repository, without_main(json!({}))).await;
    let revision = repository.commit("feature/a", &[("a", "1")]).unwrap();
    let environment = world.wait_for("feature/a", Phase::Failed, &revision).await;
    assert_eq!(environment.name_any(), name, "the test must have computed the right name");
    let message = environment.status.unwrap().message.unwrap();
    assert!(
        message.contains(name) && message.contains("was not created for this environment"),
        "{message}"
    );

    repository.delete_branches(&["feature/a"]).unwrap();
    world.wait_gone("feature/a").await;
    assert_eq!(version(&world, name).await, before);
    let configuration: Api<ConfigMap> = Api::namespaced(world.client.clone(), name);
    assert!(configuration.get_opt("precious").await.unwrap().is_some());
    let writes = world.writes_since(position);
    let tried: Vec<_> = writes
        .iter()
        .filter(|event| event.namespace == name || (event.resource == "namespaces" && event.name == name))
        .collect();
    // The creation is fenced: the server refused it, and it was not tried over and over.
    assert!(tried.iter().all(|event| event.code == 409) && tried.len() <= 2, "{tried:#?}");
}

/// UID and version of a namespace: the same before and after says that nobody wrote it.
async fn version(world: &World, name: &str) -> (Option<String>, Option<String>) {
    let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(world.client.clone());
    let namespace = api.get(name).await.unwrap();
    (namespace.uid(), namespace.resource_version())
}

#[tokio::test(flavor = "multi_thread")]
async fn f83_environments_of_a_deleted_project_stay_say_so_and_can_be_torn_down() {
    let (world, repository) = World::shop("orphans", Options::default(), json!({})).await;
    let pushed = repository.push_many(&[("one", &[("a", "1")]), ("two", &[("a", "1")])]).unwrap();
    let one = world.wait_ready("one", &pushed[0]).await;
    let two = world.wait_ready("two", &pushed[1]).await;

    world.projects().delete("shop", &DeleteParams::default()).await.unwrap();
    for branch in ["one", "two"] {
        let told = |message: String| message.contains("Project shop does not exist");
        world
            .wait_until(branch, "that misses its Project", |environment| {
                environment.status.clone().and_then(|status| status.message).is_some_and(told)
            })
            .await;
    }
    let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), &two.name_any());
    assert_eq!(deployments.get("web").await.unwrap().status.unwrap().ready_replicas, Some(1));
    world
        .environments()
        .delete(&one.name_any(), &DeleteParams::default())
        .await
        .unwrap();
    world.wait_gone("one").await;
    assert!(!world.namespace_exists(&one.name_any()).await);
    let receipt = world.receipt(&one).await;
    assert!(receipt.contains("left: []"), "{receipt}");
    assert_eq!(world.environments().list(&ListParams::default()).await.unwrap().items.len(), 1);

    // A Project of the same name takes them over again.
    let name = repository_name(&repository);
    world.project_at("git", "shop", &name, without_main(json!({}))).await;
    let moved = repository.commit("two", &[("a", "2")]).unwrap();
    assert_eq!(world.wait_ready("two", &moved).await.uid(), two.uid());
}
