//! The whole with a real Gitea: pushes over HTTP, its own webhooks, its own interface.
//!
//! Where the sweep is an hour away, whatever happens within seconds was caused by a delivery of Gitea's.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::BTreeMap;
use std::time::Duration;

use graftling::api::GitHost;
use kube::ResourceExt;
use serde_json::{Value, json};
use testbed::gitea::OWNER;
use testbed::{Gitea, Repository, wait};

use crate::world::{LONG, Options, WEBHOOK_SECRET, World, ready_reason, without_main};

/// A world with a Project over a repository at a real Gitea.
pub struct Forge {
    pub world: World,
    pub gitea: Gitea,
    pub repository: Repository,
}

impl Forge {
    /// Nothing where no Gitea can run: then the test is skipped, and has said so.
    pub async fn start(name: &str, options: Options) -> Option<Self> {
        let gitea = Gitea::start_or_skip().await?;
        gitea.repository("shop").await;
        let repository = Repository::create().unwrap();
        repository.git(["remote", "set-url", "origin", &gitea.git_url("shop")]).unwrap();
        repository.git(["push", "origin", "HEAD:refs/heads/main"]).unwrap();
        // Until it has worked off the first push, Gitea takes the repository for an empty one.
        wait::until("a repository that is not empty", LONG, || async {
            let told = gitea.ask("GET", &format!("/repos/{OWNER}/shop"), json!({})).await;
            told["empty"] == false
        })
        .await;
        let world = World::with(name, options).await;
        gitea.hook("shop", &world.endpoint(world.server(), "gitea"), WEBHOOK_SECRET).await;
        world.secret("webhook", "secret", WEBHOOK_SECRET).await;
        world.secret("gitea", "token", gitea.token()).await;
        let spec = json!({
            "provider": "gitea",
            "url": gitea.url(),
            "credentials": { "name": "gitea" },
            "webhook": { "secret": { "name": "webhook" } },
        });
        let _: GitHost = world.apply("GitHost", "gitea", json!({ "spec": spec })).await;
        let rest = without_main(json!({}));
        world.project_at("gitea", "shop", &format!("{OWNER}/shop"), rest).await;
        world.first_look().await;
        Some(Self { world, gitea, repository })
    }

    pub fn push(&self, branch: &str, content: &str) -> String {
        self.repository.commit(branch, &[("file", content)]).unwrap()
    }

    pub async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        self.gitea.ask(method, &format!("/repos/{OWNER}/shop{path}"), body).await
    }

    async fn uids(&self) -> BTreeMap<String, String> {
        let all = self.world.environments().list(&kube::api::ListParams::default()).await.unwrap();
        let alive = all.items.into_iter().filter(|one| one.metadata.deletion_timestamp.is_none());
        alive.map(|one| (one.spec.branch.clone(), one.uid().unwrap())).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_t1_feature_t3_gitea_brings_a_push_an_update_and_a_deletion_by_its_own_webhook() {
    let Some(forge) = Forge::start("gitea-hook", Options::without_sweeps()).await else {
        return;
    };
    let world = &forge.world;
    let first = forge.push("feature/a", "1");
    let before = world.wait_ready("feature/a", &first).await;
    let second = forge.push("feature/a", "2");
    world.wait_ready("feature/a", &second).await;
    forge.repository.force_push("feature/a", &first).unwrap();
    let after = world.wait_ready("feature/a", &first).await;
    assert_eq!(after.uid(), before.uid(), "one branch keeps one environment");

    // A tag of the branch's name comes and goes; then another branch, whose event comes after theirs.
    forge.repository.tag("feature/a", &first).unwrap();
    forge.repository.delete_tag("feature/a").unwrap();
    let other = forge.push("feature/b", "1");
    world.wait_ready("feature/b", &other).await;
    assert_eq!(forge.uids().await["feature/a"], before.uid().unwrap(), "a tag is no branch");

    forge.repository.delete_branches(&["feature/a"]).unwrap();
    world.wait_gone("feature/a").await;
    assert_eq!(forge.uids().await.into_keys().collect::<Vec<_>>(), ["feature/b"]);
    wait::until("the namespace to be gone", LONG, || async {
        !world.namespace_exists(&before.name_any()).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_t3_f60_five_branches_come_and_go_in_one_push_each() {
    let Some(forge) = Forge::start("gitea-five", Options::default()).await else {
        return;
    };
    let names: Vec<String> = (0..5).map(|number| format!("burst/{number}")).collect();
    let commits: Vec<(&str, &[(&str, &str)])> = names.iter().map(|name| (name.as_str(), &[("file", "1")] as &[_])).collect();
    let revisions = forge.repository.push_many(&commits).unwrap();
    for (name, revision) in names.iter().zip(&revisions) {
        forge.world.wait_ready(name, revision).await;
    }
    let kept = forge.push("kept", "1");
    forge.world.wait_ready("kept", &kept).await;

    let branches: Vec<&str> = names.iter().map(String::as_str).collect();
    forge.repository.delete_branches(&branches).unwrap();
    // So many at once are held by the brake, as they come: somebody releases them, and the next sweep goes on.
    wait::until("all five to be gone", LONG, || async {
        let status = forge.world.projects().get("shop").await.unwrap().status.unwrap_or_default();
        if let Some(brake) = status.brake {
            let key = "graftling.dev/release-brake";
            forge.world.annotate_project("shop", key, &brake.digest).await;
        }
        let all = forge.uids().await;
        if all.len() == 1 { Ok(()) } else { Err(format!("{all:?}")) }
    })
    .await;
    for name in &names {
        forge.world.wait_gone(name).await;
    }
    assert_eq!(forge.uids().await.into_keys().collect::<Vec<_>>(), ["kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f64_f62_a_gitea_that_is_down_costs_nothing_and_what_was_missed_is_found_afterwards() {
    let options = Options::default();
    let Some(forge) = Forge::start("gitea-down", options).await else {
        return;
    };
    let first = forge.push("feature/a", "1");
    forge.world.wait_ready("feature/a", &first).await;
    let gone = forge.push("feature/b", "1");
    forge.world.wait_ready("feature/b", &gone).await;
    let before = forge.uids().await;

    forge.gitea.stop();
    forge
        .world
        .wait_for_project("shop", "that tells of the outage", |status| {
            ready_reason(&status.conditions) != "Synced"
        })
        .await;
    // Many sweeps and both sightings of an absence would fit in here.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(forge.uids().await, before, "an outage is no deletion");

    forge.gitea.restart().await.unwrap();
    forge.repository.delete_branches(&["feature/b"]).unwrap();
    let second = forge.push("feature/a", "2");
    forge.world.wait_ready("feature/a", &second).await;
    forge.world.wait_gone("feature/b").await;
    assert_eq!(forge.uids().await["feature/a"], before["feature/a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f64_feature_x7_a_gitea_restored_from_an_older_copy_deletes_nothing_and_the_next_push_goes_on() {
    let Some(forge) = Forge::start("gitea-restored", Options::default()).await else {
        return;
    };
    let old = forge.push("old", "1");
    forge.world.wait_ready("old", &old).await;
    forge.gitea.stop();
    forge.gitea.back_up();
    forge.gitea.restart().await.unwrap();
    let names: Vec<String> = (0..5).map(|number| format!("since/{number}")).collect();
    let commits: Vec<(&str, &[(&str, &str)])> = names.iter().map(|name| (name.as_str(), &[("file", "1")] as &[_])).collect();
    let revisions = forge.repository.push_many(&commits).unwrap();
    for (name, revision) in names.iter().zip(&revisions) {
        forge.world.wait_ready(name, revision).await;
    }
    let before = forge.uids().await;

    forge.gitea.stop();
    forge.gitea.restore();
    forge.gitea.restart().await.unwrap();
    // The copy has never heard of five branches: each is proven to be gone, and all together stop and ask.
    forge
        .world
        .wait_for_project("shop", "that holds all five", |status| {
            status.brake.as_ref().is_some_and(|brake| brake.count == 5)
        })
        .await;
    assert_eq!(forge.uids().await, before, "nothing is deleted");

    let again = forge.push("since/0", "2");
    forge.world.wait_ready("since/0", &again).await;
    // Then two more: the two that are left would be few enough to go, and are held still.
    forge.push("since/1", "2");
    forge.push("since/2", "2");
    let held = |status: &graftling::api::ProjectStatus| status.brake.as_ref().map(|brake| brake.branches.clone());
    forge
        .world
        .wait_for_project("shop", "that holds the other two", |status| {
            held(status) == Some(vec!["since/3".to_owned(), "since/4".to_owned()])
        })
        .await;
    let sweeps = r#"graftling_sweeps_total{result="complete"}"#;
    let now = forge.world.metric(sweeps).await;
    wait::until("four more sweeps", LONG, || async { forge.world.metric(sweeps).await >= now + 4.0 }).await;
    assert_eq!(
        forge.uids().await,
        before,
        "it is the same environment, and the others stay as well"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_t2_a_pull_request_is_told_and_its_merge_with_the_branch_removes_the_environment() {
    let Some(forge) = Forge::start("gitea-pull", Options::without_sweeps()).await else {
        return;
    };
    let head = forge.push("feature/a", "1");
    forge.world.wait_ready("feature/a", &head).await;
    let opened = json!({"head": "feature/a", "base": "main", "title": "A feature"});
    let number = forge.ask("POST", "/pulls", opened).await["number"].as_u64().unwrap();
    forge
        .world
        .wait_until("feature/a", "with its pull request", |environment| {
            let pull = environment.spec.pull_request.as_ref();
            pull.is_some_and(|pull| json!(pull)["number"] == number)
        })
        .await;
    // It is not known at once whether a pull request can be merged.
    wait::until("a pull request that can be merged", LONG, || async {
        forge.ask("GET", &format!("/pulls/{number}"), json!({})).await["mergeable"] == true
    })
    .await;
    let merge = json!({"Do": "merge", "delete_branch_after_merge": true});
    forge.ask("POST", &format!("/pulls/{number}/merge"), merge).await;
    forge.world.wait_gone("feature/a").await;
}
