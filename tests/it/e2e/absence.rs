//! A branch is gone only when its host says so: failures, halves of answers and impostors retire nothing, and many at once stop and ask.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::BTreeSet;

use futures::future::join_all;
use graftling::api::keys::RELEASE_BRAKE_ANNOTATION;
use kube::ResourceExt;
use serde_json::json;
use testbed::github::{FakeGithub, Fault, Route};
use testbed::{Repository, wait};

use crate::world::{LONG, Options, World, ready_reason, without_main};

/// One Git host with one Project and what goes wrong with it.
struct Case {
    name: &'static str,
    fault: Fault,
    /// What the Project's status says of it.
    told: &'static str,
    fake: FakeGithub,
}

/// Every way of failing, with words that the Project's message must contain.
const FAULTS: [(&str, Fault, &str); 14] = [
    ("error", Fault::ServerError, "answered HTTP 500"),
    ("html", Fault::Html, "not JSON"),
    ("login", Fault::LoginRedirect, "not JSON"),
    ("nothing", Fault::EmptyList, "default branch main is missing"),
    ("empty", Fault::EmptyBody, "unexpected JSON"),
    ("cut", Fault::CutPage(2), "did not answer"),
    ("foreign", Fault::ForeignLink, "leads to another host"),
    ("unauthorized", Fault::Unauthorized, "refused the credentials (HTTP 401)"),
    ("forbidden", Fault::Forbidden, "refused the credentials (HTTP 403)"),
    ("missing", Fault::NotFound, "knows no repository acme/missing"),
    ("proxy", Fault::HtmlNotFound, "knows no repository acme/proxy"),
    ("busy", Fault::TooManyRequests(1), "rate limit"),
    ("secondary", Fault::SecondaryLimit, "rate limit"),
    ("hang", Fault::Hang, "did not answer"),
];

impl Case {
    async fn new(world: &World, repository: &Repository, (name, fault, told): (&'static str, Fault, &'static str)) -> Self {
        let fake = FakeGithub::start().await.unwrap();
        fake.add_repository("acme", name, 7, &repository.path(), "main");
        // Three pages, one for each branch.
        fake.set_max_page_size(1);
        world.github_host(name, &fake).await;
        let rest = without_main(json!({ "branches": { "exclude": ["main", "wip"] } }));
        world.project_at(name, name, &format!("acme/{name}"), rest).await;
        Self { name, fault, told, fake }
    }

    async fn synced(&self, world: &World) {
        world.wait_synced(self.name).await;
    }

    /// Waits until the host has failed twice, apart in time, and the Project says so.
    async fn failed_twice(&self, world: &World) {
        let begun = self.fake.requests().len();
        let looks = || {
            let later = self.fake.requests().split_off(begun);
            later.iter().filter(|route| **route == Route::Repository).count()
        };
        wait::until(format!("two looks at {}", self.name), LONG, || async { looks() >= 2 }).await;
        let status = world
            .wait_for_project(self.name, "without its source", |status| {
                ready_reason(&status.conditions) == "SourceUnavailable"
            })
            .await;
        let message = status.message.unwrap();
        assert!(message.contains(self.told), "{}: {message}", self.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f64_feature_x7_no_failure_of_a_git_host_removes_an_environment_and_its_recovery_heals() {
    let world = World::start("outage").await;
    // Every host serves the same repository; the host is part of an environment's identity.
    let repository = Repository::create().unwrap();
    repository
        .push_many(&[("feature/a", &[("a", "1")]), ("wip", &[("a", "1")])])
        .unwrap();
    let cases = join_all(FAULTS.map(|fault| Case::new(&world, &repository, fault))).await;
    join_all(cases.iter().map(|case| case.synced(&world))).await;
    let alive = wait::until("an environment in every Project", LONG, || async {
        let alive = world.alive().await;
        (alive.len() == FAULTS.len()).then_some(alive)
    })
    .await;

    for case in &cases {
        case.fake.set_fault(case.fault);
    }
    // The branch moves meanwhile: half an answer must not be acted on.
    let moved = repository.commit("feature/a", &[("a", "2")]).unwrap();
    join_all(cases.iter().map(|case| case.failed_twice(&world))).await;
    assert_eq!(world.alive().await, alive);

    cases.iter().for_each(|case| case.fake.clear_faults());
    join_all(cases.iter().map(|case| case.synced(&world))).await;
    for case in &cases {
        wait::until(format!("the push to {}", case.name), LONG, || async {
            world.environment_of(case.name, "feature/a").await.unwrap().spec.revision == moved
        })
        .await;
    }
    assert_eq!(world.alive().await, alive);
}

#[tokio::test(flavor = "multi_thread")]
async fn f64_the_brake_holds_many_removals_at_once_until_exactly_these_are_released() {
    let (world, repository) = World::shop("brake", Options::default(), json!({})).await;
    let branches = ["a", "b", "c", "d", "e", "f"];
    let commits: Vec<(&str, &[(&str, &str)])> = branches.iter().map(|branch| (*branch, &[("a", "1")] as &[_])).collect();
    repository.push_many(&commits).unwrap();
    let all = wait::until("six environments", LONG, || async {
        let alive = world.alive().await;
        (alive.len() == branches.len()).then_some(alive)
    })
    .await;

    repository.delete_branches(&["a", "b", "c", "d", "e"]).unwrap();
    let held = world
        .wait_for_project("shop", "on the brake", |status| status.brake.is_some())
        .await;
    let brake = held.brake.clone().unwrap();
    assert_eq!((brake.count, brake.environments.len()), (5, 5));
    assert_eq!(ready_reason(&held.conditions), "Braked");
    assert!(
        held.message
            .unwrap()
            .contains(&format!("{RELEASE_BRAKE_ANNOTATION}={}", brake.digest))
    );
    let announced = world.events("Braked").await;
    assert!(announced.len() == 1 && announced[0].contains(&brake.digest), "{announced:?}");

    // A wrong digest releases nothing, however often is swept; the rest of the Project is served meanwhile.
    world.annotate_project("shop", RELEASE_BRAKE_ANNOTATION, "0123456789ab").await;
    let marker = repository.commit("marker", &[("a", "1")]).unwrap();
    let marked = world.wait_ready("marker", &marker).await;
    let mut alive = world.alive().await;
    assert_eq!(alive.remove("shop/marker"), marked.uid());
    assert_eq!(alive, all);
    assert_eq!(
        world.projects().get("shop").await.unwrap().status.unwrap().brake,
        Some(brake.clone())
    );

    world.annotate_project("shop", RELEASE_BRAKE_ANNOTATION, &brake.digest).await;
    join_all(["a", "b", "c", "d", "e"].map(|branch| world.wait_gone(branch))).await;
    let left: BTreeSet<_> = world.alive().await.into_keys().collect();
    assert_eq!(left, BTreeSet::from(["shop/f".to_owned(), "shop/marker".to_owned()]));
    world
        .wait_for_project("shop", "off the brake", |status| status.brake.is_none())
        .await;
    assert_eq!(world.events("Braked").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_removals_at_once_need_no_permission() {
    let (world, repository) = World::shop("three", Options::default(), json!({})).await;
    let commits: Vec<(&str, &[(&str, &str)])> = ["a", "b", "c", "d"].map(|branch| (branch, &[("a", "1")] as &[_])).to_vec();
    repository.push_many(&commits).unwrap();
    wait::until("four environments", LONG, || async { world.alive().await.len() == 4 }).await;
    repository.delete_branches(&["a", "b", "c"]).unwrap();
    join_all(["a", "b", "c"].map(|branch| world.wait_gone(branch))).await;
    assert_eq!(world.alive().await.into_keys().collect::<Vec<_>>(), ["shop/d"]);
    assert!(world.events("Braked").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn f65_feature_n1_a_renamed_repository_keeps_its_environments_and_its_pushes() {
    let world = World::start("renamed").await;
    let (fake, repository) = (FakeGithub::start().await.unwrap(), Repository::create().unwrap());
    fake.add_repository("acme", "shop", 7, &repository.path(), "main");
    world.github_host("hub", &fake).await;
    world.project_at("hub", "shop", "acme/shop", without_main(json!({}))).await;
    let first = repository.commit("feature/a", &[("a", "1")]).unwrap();
    let before = world.wait_ready("feature/a", &first).await;

    fake.rename_repository(7, "acme", "store");
    let second = repository.commit("feature/a", &[("a", "2")]).unwrap();
    let after = world.wait_ready("feature/a", &second).await;
    assert_eq!((after.uid(), after.name_any()), (before.uid(), before.name_any()));
    repository.delete_branches(&["feature/a"]).unwrap();
    world.wait_gone("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f65_another_repository_under_the_same_name_removes_nothing() {
    let world = World::start("replaced").await;
    let (fake, first, second) = (
        FakeGithub::start().await.unwrap(),
        Repository::create().unwrap(),
        Repository::create().unwrap(),
    );
    fake.add_repository("acme", "shop", 7, &first.path(), "main");
    world.github_host("hub", &fake).await;
    world.project_at("hub", "shop", "acme/shop", without_main(json!({}))).await;
    let revision = first.commit("feature/a", &[("a", "1")]).unwrap();
    let before = world.wait_ready("feature/a", &revision).await;

    fake.remove_repository(7);
    fake.add_repository("acme", "shop", 8, &second.path(), "main");
    let marker = second.commit("feature/b", &[("b", "1")]).unwrap();
    let of_second = world.wait_ready("feature/b", &marker).await;
    assert_eq!(of_second.spec.repository_id, "8");
    // A deletion in the new repository takes two complete listings, which lack feature/a as well.
    second.delete_branches(&["feature/b"]).unwrap();
    world.wait_gone("feature/b").await;
    let kept = world.environment("feature/a").await.unwrap();
    assert_eq!((kept.uid(), kept.metadata.deletion_timestamp), (before.uid(), None));
}
