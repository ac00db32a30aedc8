//! Plain Git without a single webhook: the sweep alone makes the environments what the repository says.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::BTreeSet;

use graftling::api::project::SkippedBranch;
use graftling::domain::git::BranchName;
use kube::ResourceExt;
use serde_json::json;
use testbed::{Repository, wait};

use crate::world::{LONG, Options, World, ready_reason, repository_name, without_main};

#[tokio::test(flavor = "multi_thread")]
async fn f62_feature_t9_branches_come_move_and_go_without_a_webhook() {
    let (world, repository) = World::shop("sweep", Options::default(), json!({})).await;
    let first = repository.head("main").unwrap().unwrap();
    let pushed = repository.push_many(&[("one", &[("a", "1")]), ("two", &[("b", "1")])]).unwrap();
    let one = world.wait_ready("one", &pushed[0]).await;
    let two = world.wait_ready("two", &pushed[1]).await;
    assert_ne!(one.name_any(), two.name_any());
    assert!(world.environment("main").await.is_none());

    let second = repository.commit("one", &[("a", "2")]).unwrap();
    let same = world.wait_ready("one", &second).await;
    assert_eq!(same.uid(), one.uid(), "a push must not make another environment");

    // F66: an older commit is as good as a newer one.
    repository.force_push("one", &first).unwrap();
    let same = world.wait_ready("one", &first).await;
    assert_eq!(same.uid(), one.uid());

    repository.rename_branch("two", "three").unwrap();
    world.wait_ready("three", &pushed[1]).await;
    world.wait_gone("two").await;
    assert!(!world.namespace_exists(&two.name_any()).await);
    let alive: Vec<_> = world.alive().await.into_keys().collect();
    assert_eq!(alive, ["shop/one", "shop/three"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_t9_what_happened_while_the_server_was_down_is_made_up_for() {
    let (mut world, repository) = World::shop("down", Options::default(), json!({})).await;
    let pushed = repository.push_many(&[("stays", &[("a", "1")]), ("goes", &[("b", "1")])]).unwrap();
    let stays = world.wait_ready("stays", &pushed[0]).await;
    world.wait_ready("goes", &pushed[1]).await;

    let server = world.server.take().unwrap();
    assert!(server.running.terminate(LONG).await.unwrap().success());
    repository.delete_branches(&["goes"]).unwrap();
    let moved = repository.commit("stays", &[("a", "2")]).unwrap();
    let new = repository.commit("comes", &[("c", "1")]).unwrap();
    world.start_server().await;

    assert_eq!(world.wait_ready("stays", &moved).await.uid(), stays.uid());
    world.wait_ready("comes", &new).await;
    world.wait_gone("goes").await;
    let alive: Vec<_> = world.alive().await.into_keys().collect();
    assert_eq!(alive, ["shop/comes", "shop/stays"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f69_a_tag_is_no_branch_whatever_its_name() {
    let (world, repository) = World::shop("tags", Options::default(), json!({})).await;
    let main = repository.head("main").unwrap().unwrap();
    let revision = repository.commit("v1", &[("a", "1")]).unwrap();
    let before = world.wait_ready("v1", &revision).await;

    repository
        .git(["push", "--quiet", "origin", &format!("{main}:refs/tags/v1")])
        .unwrap();
    repository.tag("v2", &revision).unwrap();
    // The sweep that finds this branch has seen the tags as well.
    let marker = repository.commit("after-the-tags", &[("b", "1")]).unwrap();
    world.wait_ready("after-the-tags", &marker).await;
    assert_eq!(world.environment("v1").await.unwrap().resource_version(), before.resource_version());
    assert!(world.environment("v2").await.is_none());

    repository.delete_tag("v1").unwrap();
    // One deletion more than the confirmation needs: the branch is seen absent twice, apart in time.
    repository.delete_branches(&["after-the-tags"]).unwrap();
    world.wait_gone("after-the-tags").await;
    assert_eq!(world.environment("v1").await.unwrap().resource_version(), before.resource_version());
}

#[tokio::test(flavor = "multi_thread")]
async fn f79_the_same_branch_of_two_repositories_makes_two_environments() {
    let (world, shop) = World::shop("two", Options::default(), json!({})).await;
    let blog = Repository::create().unwrap();
    world.git_host("other", &blog).await;
    world
        .project_at("other", "blog", &repository_name(&blog), without_main(json!({})))
        .await;
    let shop_revision = shop.commit("feature/a", &[("a", "shop")]).unwrap();
    let blog_revision = blog.commit("feature/a", &[("a", "blog")]).unwrap();

    let ready = |project: &'static str, revision: String| {
        let world = &world;
        async move {
            wait::until(format!("environment of {project}"), LONG, || async {
                let environment = world.environment_of(project, "feature/a").await?;
                let applied = environment.status.clone()?.revision?.applied;
                (applied.as_deref() == Some(&revision)).then_some(environment)
            })
            .await
        }
    };
    let in_shop = ready("shop", shop_revision).await;
    let in_blog = ready("blog", blog_revision.clone()).await;
    assert_ne!(in_shop.name_any(), in_blog.name_any());

    shop.delete_branches(&["feature/a"]).unwrap();
    wait::until("the shop's environment to be gone", LONG, || async {
        world.environment_of("shop", "feature/a").await.is_none()
    })
    .await;
    assert_eq!(ready("blog", blog_revision).await.uid(), in_blog.uid());
}

/// Names that differ only in what a slug loses, that YAML reads as something else, or that belong to Kubernetes.
const STRANGE: [&str; 10] = [
    "feature/a",
    "feature-a",
    "feature_a",
    "feature.a",
    "Feature/A",
    "true",
    "012",
    "kube-system",
    "émile/🎉",
    "🎉",
];

#[tokio::test(flavor = "multi_thread")]
async fn f76_f78_every_strange_branch_has_one_environment_that_knows_its_exact_name() {
    let (mut world, repository) = World::shop("strange", Options::default(), json!({})).await;
    let commits: Vec<(&str, &[(&str, &str)])> = STRANGE.iter().map(|branch| (*branch, &[("a", "1")] as &[_])).collect();
    let revisions = repository.push_many(&commits).unwrap();
    let mut names = BTreeSet::new();
    for (branch, revision) in STRANGE.iter().zip(&revisions) {
        let environment = world.wait_ready(branch, revision).await;
        assert_eq!(world.settings_of(&environment).await["branch"], *branch);
        assert_eq!(environment.annotations()["graftling.dev/branch"], *branch);
        assert!(environment.name_any().starts_with("shop-"), "{}", environment.name_any());
        names.insert(environment.name_any());
    }
    assert_eq!(names.len(), STRANGE.len());

    // The names are read from the objects ever after: a new process finds the same ones.
    let before = world.alive().await;
    let server = world.server.take().unwrap();
    server.running.terminate(LONG).await.unwrap();
    world.start_server().await;
    let marker = repository.commit("marker", &[("a", "1")]).unwrap();
    world.wait_ready("marker", &marker).await;
    let mut after = world.alive().await;
    assert!(after.remove("shop/marker").is_some());
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_n4_branches_that_get_nothing_are_named_with_the_reason() {
    let rest = json!({ "branches": { "include": ["feature/*", "release"], "exclude": ["main", "feature/x*"], "protected": ["release"] } });
    let (world, repository) = World::shop("skipped", Options::default(), rest).await;
    let commits: [(&str, &[(&str, &str)]); 4] = [
        ("feature/a", &[("a", "1")]),
        ("feature/x1", &[("a", "1")]),
        ("release", &[("a", "1")]),
        ("else", &[("a", "1")]),
    ];
    let revisions = repository.push_many(&commits).unwrap();
    world.wait_ready("feature/a", &revisions[0]).await;
    let status = world
        .wait_for_project("shop", "with four skipped branches", |status| status.skipped.len() == 4)
        .await;
    let skipped: Vec<_> = status.skipped.iter().map(told).collect();
    assert_eq!(
        skipped,
        [
            ("else", "the Project includes no such branch"),
            ("feature/x1", "the Project excludes this branch"),
            ("main", "the Project excludes this branch"),
            ("release", "the Project protects this branch"),
        ]
    );
    let alive: Vec<_> = world.alive().await.into_keys().collect();
    assert_eq!(alive, ["shop/feature/a"]);

    // Protection is stronger than a deletion: what is there stays.
    world
        .patch_project("shop", json!({ "branches": { "protected": ["release", "feature/a"] } }))
        .await;
    repository.delete_branches(&["feature/a"]).unwrap();
    let marker = repository.commit("feature/b", &[("a", "1")]).unwrap();
    world.wait_ready("feature/b", &marker).await;
    repository.delete_branches(&["feature/b"]).unwrap();
    world.wait_gone("feature/b").await;
    let alive: Vec<_> = world.alive().await.into_keys().collect();
    assert_eq!(alive, ["shop/feature/a"]);
}

fn told(skipped: &SkippedBranch) -> (&str, &str) {
    assert!(skipped.branch.parse::<BranchName>().is_ok());
    (&skipped.branch, &skipped.reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_never_has_more_environments_than_it_allows_and_the_next_branch_takes_a_free_place() {
    let (world, repository) = World::shop("queue", Options::default(), json!({ "lifecycle": { "maxEnvironments": 2 } })).await;
    let commits: [(&str, &[(&str, &str)]); 3] = [("a", &[("a", "1")]), ("b", &[("a", "1")]), ("c", &[("a", "1")])];
    let revisions = repository.push_many(&commits).unwrap();
    let status = world
        .wait_for_project("shop", "with a queue", |status| {
            status.skipped.iter().any(|skipped| skipped.branch == "c")
        })
        .await;
    let reason = "the Project has as many environments as it allows";
    assert!(status.skipped.iter().any(|skipped| told(skipped) == ("c", reason)), "{status:?}");
    world.wait_ready("a", &revisions[0]).await;
    world.wait_ready("b", &revisions[1]).await;
    assert!(world.environment("c").await.is_none());

    repository.delete_branches(&["a"]).unwrap();
    world.wait_ready("c", &revisions[2]).await;
    let alive: Vec<_> = world.alive().await.into_keys().collect();
    assert_eq!(alive, ["shop/b", "shop/c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_project_is_left_alone_and_catches_up_when_it_is_resumed() {
    let (world, repository) = World::shop("suspended", Options::default(), json!({})).await;
    let pushed = repository.push_many(&[("moves", &[("a", "1")]), ("goes", &[("b", "1")])]).unwrap();
    let moves = world.wait_ready("moves", &pushed[0]).await;
    let goes = world.wait_ready("goes", &pushed[1]).await;

    world.patch_project("shop", json!({ "suspend": true })).await;
    let told = world
        .wait_for_project("shop", "that says it is suspended", |status| {
            ready_reason(&status.conditions) == "Suspended"
        })
        .await;
    assert!(told.message.unwrap().contains("suspend"));
    for branch in ["moves", "goes"] {
        let told = |message: String| message.contains("spec.suspend of Project shop is true");
        world
            .wait_until(branch, "that says it is suspended", |environment| {
                environment.status.clone().and_then(|status| status.message).is_some_and(told)
            })
            .await;
    }
    let position = world.plane.audit().position();
    let moved = repository.commit("moves", &[("a", "2")]).unwrap();
    let new = repository.commit("comes", &[("c", "1")]).unwrap();
    repository.delete_branches(&["goes"]).unwrap();
    // A hint is looked at as little as a sweep looks.
    let revision = moves.spec.revision.clone();
    world
        .hint("git", &repository_name(&repository), "refs/heads/moves", &revision, &moved)
        .await;
    // Another Project's environment needs a sweep, and more than one to go.
    let other = Repository::create().unwrap();
    world.git_host("other", &other).await;
    world
        .project_at("other", "other", &repository_name(&other), without_main(json!({})))
        .await;
    let marker = other.commit("marker", &[("a", "1")]).unwrap();
    world.wait_ready("marker", &marker).await;
    other.delete_branches(&["marker"]).unwrap();
    world.wait_gone("marker").await;
    let writes = world.writes_since(position);
    let touched: Vec<_> = writes
        .iter()
        .filter(|event| [moves.name_any(), goes.name_any()].contains(&event.name) || event.name.starts_with("shop"))
        .collect();
    assert!(touched.is_empty(), "{touched:#?}");

    world.patch_project("shop", json!({ "suspend": false })).await;
    world.wait_ready("moves", &moved).await;
    world.wait_ready("comes", &new).await;
    world.wait_gone("goes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_environment_keeps_what_it_shows_until_it_is_resumed_and_can_still_be_torn_down() {
    let (world, repository) = World::shop("paused", Options::default(), json!({})).await;
    let first = repository.commit("one", &[("a", "1")]).unwrap();
    let one = world.wait_ready("one", &first).await;
    world.patch_environment(&one.name_any(), json!({ "suspend": true })).await;

    let second = repository.commit("one", &[("a", "2")]).unwrap();
    let waiting = world
        .wait_until("one", "to want the second revision", |environment| {
            environment.spec.revision == second
        })
        .await;
    assert!(waiting.spec.suspend, "a push must not resume what somebody suspended");
    let marker = repository.commit("marker", &[("a", "1")]).unwrap();
    world.wait_ready("marker", &marker).await;
    let status = world.environment("one").await.unwrap().status.unwrap();
    assert_eq!(status.revision.unwrap().applied.unwrap(), first);
    assert!(status.message.clone().unwrap().contains("suspend"), "{:?}", status.message);

    world.patch_environment(&one.name_any(), json!({ "suspend": false })).await;
    world.wait_ready("one", &second).await;
    world.patch_environment(&one.name_any(), json!({ "suspend": true })).await;
    repository.delete_branches(&["one"]).unwrap();
    world.wait_gone("one").await;
}
