//! What tools of this kind have been seen to get wrong on this very control plane, a row each.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use graftling::api::environment::Phase;
use graftling::api::{Environment, GitHost};
use kube::ResourceExt;
use serde_json::json;
use testbed::github::{self, FakeGithub};
use testbed::gitlab::{self, FakeGitlab};
use testbed::{Position, Repository, wait};

use super::scene::{CONFIG, Scene};
use crate::world::{LONG, Options, World, ready_reason, without_main};

mod controller;

/// The deletions that a world's server asked for since `position`, successful or not.
fn deletions(world: &World, position: Position) -> Vec<String> {
    let writes = world.writes_since(position);
    let deletions = writes.iter().filter(|event| event.verb.starts_with("delete"));
    deletions.map(|event| format!("{} {}", event.resource, event.name)).collect()
}

/// Pushes branches that differ in their name alone, and gives their revisions.
fn push_all(repository: &Repository, branches: &[&str]) -> Vec<String> {
    let commits: Vec<(&str, &[(&str, &str)])> = branches.iter().map(|branch| (*branch, &[("a", "1")] as &[_])).collect();
    repository.push_many(&commits).unwrap()
}

/// A Project at each of two Git hosts, over one repository.
struct Hosts {
    world: World,
    repository: Repository,
    github: FakeGithub,
    gitlab: FakeGitlab,
}

impl Hosts {
    async fn start(name: &str) -> Self {
        let hosts = Self {
            world: World::start(name).await,
            repository: Repository::create().unwrap(),
            github: FakeGithub::start().await.unwrap(),
            gitlab: FakeGitlab::start().await.unwrap(),
        };
        hosts.github.add_repository("acme", "shop", 7, &hosts.repository.path(), "main");
        hosts.gitlab.add_project("acme/shop", 7, &hosts.repository.path(), "main");
        hosts.world.github_host("github", &hosts.github).await;
        let spec = json!({ "provider": "gitlab", "url": hosts.gitlab.url() });
        let _: GitHost = hosts.world.apply("GitHost", "gitlab", json!({ "spec": spec })).await;
        for host in ["github", "gitlab"] {
            hosts.world.project_at(host, host, "acme/shop", without_main(json!({}))).await;
        }
        hosts
    }

    /// How often each host was asked for its branches.
    fn looks(&self) -> [usize; 2] {
        let (github, gitlab) = (self.github.requests(), self.gitlab.requests());
        [
            github.iter().filter(|route| **route == github::Route::Heads).count(),
            gitlab.iter().filter(|route| **route == gitlab::Route::Branches).count(),
        ]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f64_a_host_that_answers_an_empty_list_with_200_deletes_nothing_and_is_not_reported_as_ready() {
    let hosts = Hosts::start("empty").await;
    let world = &hosts.world;
    // So few that the brake would let all of them go at once.
    let branches = ["a", "b", "c"];
    let revisions = push_all(&hosts.repository, &branches);
    for (branch, revision) in branches.iter().zip(&revisions) {
        world.wait_ready(branch, revision).await;
    }
    let alive = wait::until("three environments in each Project", LONG, || async {
        Some(world.alive().await).filter(|alive| alive.len() == 6)
    })
    .await;

    let position = world.plane.audit().position();
    let before = hosts.looks();
    hosts.github.set_fault(github::Fault::EmptyList);
    hosts.gitlab.set_fault(gitlab::Fault::EmptyList);
    for project in ["github", "gitlab"] {
        let status = world
            .wait_for_project(project, "that says so", |status| {
                ready_reason(&status.conditions) == "SourceUnavailable"
            })
            .await;
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
        assert_eq!(ready.status, "False");
        assert!(ready.message.contains("default branch main is missing"), "{}", ready.message);
    }
    // More looks, and further apart, than a deletion takes that is seen twice.
    wait::until("three looks at each", LONG, || async {
        hosts.looks().iter().zip(before).all(|(now, before)| *now >= before + 3)
    })
    .await;
    assert_eq!(world.alive().await, alive);
    assert_eq!(deletions(world, position), [""; 0]);

    hosts.github.clear_faults();
    hosts.gitlab.clear_faults();
    hosts.repository.delete_branches(&["a"]).unwrap();
    for project in ["github", "gitlab"] {
        wait::until(format!("the deletion at {project}"), LONG, || async {
            world.environment_of(project, "a").await.is_none()
        })
        .await;
    }
    assert_eq!(world.alive().await.len(), 4, "what is really gone goes, and nothing else");
}

/// The name of the object is what a branch's own file says, or the branch's name itself.
const NAMED: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: {{quote values.name}}}
data: {branch: {{quote branch}}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn f26_feature_n4_one_branch_with_a_bad_value_is_named_and_neither_creates_nor_deletes_less_of_the_others() {
    let project = json!({ "branchFile": { "allow": ["name"] } });
    let scene = Scene::with("bad", NAMED, project, &[]).await;
    fs::write(scene.bundle_folder().join("values.yaml"), "name: settings\n").unwrap();
    let goes = scene.up("goes").await;
    let own = |text: &'static str| [(".graftling.yaml", text)];
    for (branch, file) in [
        ("bad-file", "values: [1, 2\n"),
        ("bad-key", "values: {elsewhere: 1}\n"),
        ("bad-name", "values: {name: Not_A_Name}\n"),
    ] {
        scene.repository.commit(branch, &own(file)).unwrap();
    }
    // All of them come and go while the bad ones are there.
    scene.told("bad-file", Phase::Failed, &["shop", ".graftling.yaml"]).await;
    scene
        .told("bad-key", Phase::Failed, &["shop", ".graftling.yaml", "elsewhere"])
        .await;
    scene.told("bad-name", Phase::Failed, &["all.yaml", "Not_A_Name"]).await;
    let branches = ["one", "two", "three"];
    let revisions = push_all(&scene.repository, &branches);
    for (branch, revision) in branches.iter().zip(&revisions) {
        scene.world.wait_ready(branch, revision).await;
    }
    scene.repository.delete_branches(&["goes"]).unwrap();
    scene.world.wait_gone("goes").await;
    assert!(!scene.world.namespace_exists(&goes.name_any()).await);

    // Each failure is told of its branch, and of no other; the Project is well.
    let all = scene.world.alive().await;
    for place in all.keys() {
        let branch = place.trim_start_matches("shop/");
        let environment = scene.world.environment(branch).await.unwrap();
        assert_eq!(environment.annotations()["graftling.dev/branch"], branch);
        let failed = environment.status.unwrap().phase == Some(Phase::Failed);
        assert_eq!(failed, branch.starts_with("bad-"), "{branch}");
    }
    assert_eq!(all.len(), 6, "{all:?}");
    scene.world.wait_synced("shop").await;

    // A bad branch goes like any other, and heals like any other.
    scene.repository.delete_branches(&["bad-file"]).unwrap();
    scene.world.wait_gone("bad-file").await;
    let mended = scene.repository.commit("bad-name", &own("values: {name: a-name}\n")).unwrap();
    scene.world.wait_ready("bad-name", &mended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_l5_a_limit_that_is_reached_or_lowered_deletes_nothing_that_runs_and_says_who_waits() {
    let project = json!({ "lifecycle": { "maxEnvironments": 2 } });
    let scene = Scene::with("limit", CONFIG, project, &[]).await;
    let world = &scene.world;
    let (first, second) = (scene.up("a").await, scene.up("b").await);
    let position = scene.position();
    let waiting = scene.push("c");
    let waits = |status: &graftling::api::ProjectStatus| {
        let found = status.skipped.iter().find(|skipped| skipped.branch == "c");
        found.is_some_and(|skipped| skipped.reason == "the Project has as many environments as it allows")
    };
    world.wait_for_project("shop", "that says who waits", waits).await;

    // Even a limit below what runs already is one for what comes.
    scene.change_project(json!({ "lifecycle": { "maxEnvironments": 1 } })).await;
    let moved = scene.push("a");
    assert_eq!(world.wait_ready("a", &moved).await.uid(), first.uid(), "what runs is served");
    world.wait_for_project("shop", "that says who waits", waits).await;
    assert_eq!(deletions(world, position), [""; 0]);
    let alive = BTreeMap::from([
        ("shop/a".to_owned(), first.uid().unwrap()),
        ("shop/b".to_owned(), second.uid().unwrap()),
    ]);
    assert_eq!(world.alive().await, alive);

    scene.change_project(json!({ "lifecycle": { "maxEnvironments": 2 } })).await;
    scene.repository.delete_branches(&["b"]).unwrap();
    world.wait_gone("b").await;
    world.wait_ready("c", &waiting).await;
    let alive: Vec<_> = world.alive().await.into_keys().collect();
    assert_eq!(alive, ["shop/a", "shop/c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f76_branches_that_a_short_name_would_confuse_have_an_environment_each_and_none_goes_with_another() {
    let (world, repository) = World::shop("alike", Options::default(), json!({})).await;
    // The first 45 characters, which is as long as a name becomes, are the same.
    let long = format!("feature/{}", "x".repeat(60));
    let (one, two) = (format!("{long}-one"), format!("{long}-two"));
    let branches = ["feature/a", "feature-a", "Feature/A", &one, &two];
    let revisions = push_all(&repository, &branches);
    let mut environments: BTreeMap<&str, Environment> = BTreeMap::new();
    for (branch, revision) in branches.into_iter().zip(&revisions) {
        environments.insert(branch, world.wait_ready(branch, revision).await);
    }
    let names: BTreeSet<_> = environments.values().map(ResourceExt::name_any).collect();
    assert_eq!(names.len(), branches.len(), "{names:?}");

    for gone in ["feature-a", &one] {
        repository.delete_branches(&[gone]).unwrap();
        world.wait_gone(gone).await;
        let environment = environments.remove(gone).unwrap();
        assert!(!world.namespace_exists(&environment.name_any()).await);
        for (branch, environment) in &environments {
            assert_eq!(world.settings_of(environment).await["branch"], *branch, "after {gone}");
        }
    }
    // A push to one is a push to no other.
    let moved = repository.commit("Feature/A", &[("a", "2")]).unwrap();
    world.wait_ready("Feature/A", &moved).await;
    let other = world.environment("feature/a").await.unwrap();
    assert_eq!(
        (other.spec.revision.as_str(), other.uid()),
        (revisions[0].as_str(), environments["feature/a"].uid())
    );
}
