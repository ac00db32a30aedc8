//! The brake as people meet it: what it holds, a release that is used once, and refusals that are counted.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use futures::future::join_all;
use graftling::api::keys::RELEASE_BRAKE_ANNOTATION;
use graftling::api::project::Brake;
use graftling::domain::name::{EnvironmentName, Identity, ProjectKey};
use kube::ResourceExt;
use kube::api::PostParams;
use serde_json::{Value, json};
use testbed::{Repository, wait};

use crate::world::{LONG, Options, World, repository_name};

const GONE: [&str; 5] = ["a", "b", "c", "d", "e"];
const HELD: &str = "graftling_environments_held";
const BRAKED: &str = "graftling_environments_braked_total";

struct Run {
    code: i32,
    output: String,
    errors: String,
}

async fn project(world: &World, arguments: &[&str]) -> Run {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_graftling"));
    command.arg("project").args(arguments).args(["-n", world.namespace.name()]);
    command.env_clear().env("HOME", world.folder.path());
    command
        .env("KUBECONFIG", world.plane.kubeconfig())
        .stdin(std::process::Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    Run {
        code: output.status.code().unwrap(),
        output: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A Project of which six branches have environments.
async fn six(name: &str) -> (World, Repository) {
    let (world, repository) = World::shop(name, Options::default(), json!({})).await;
    push(&repository, &[&GONE[..], &["f"]].concat());
    wait::until("six environments", LONG, || async { world.alive().await.len() == 6 }).await;
    (world, repository)
}

fn push(repository: &Repository, branches: &[&str]) {
    let commits: Vec<(&str, &[(&str, &str)])> = branches.iter().map(|branch| (*branch, &[("a", "1")] as &[_])).collect();
    repository.push_many(&commits).unwrap();
}

async fn braked(world: &World, what: &str, holds: impl Fn(&Brake) -> bool) -> Brake {
    let status = world
        .wait_for_project("shop", what, |status| status.brake.as_ref().is_some_and(&holds))
        .await;
    status.brake.unwrap()
}

async fn annotation(world: &World) -> Option<String> {
    let project = world.projects().get("shop").await.unwrap();
    project.annotations().get(RELEASE_BRAKE_ANNOTATION).cloned()
}

async fn wait_for_metric(world: &World, series: &str, value: f64) {
    wait::until(format!("{series} to be {value}"), LONG, || async {
        let now = world.metric(series).await;
        if now.to_bits() == value.to_bits() {
            Ok(())
        } else {
            Err(now.to_string())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f64_the_brake_shows_what_it_holds_and_one_command_releases_exactly_that() {
    let (world, repository) = six("release").await;
    assert_eq!(project(&world, &["release-brake", "shop"]).await.code, 0, "nothing is held");
    repository.delete_branches(&GONE).unwrap();
    let brake = braked(&world, "on the brake", |brake| brake.count == 5).await;
    assert_eq!(brake.branches.len(), 5);
    assert!(brake.since.is_some());
    wait_for_metric(&world, HELD, 5.0).await;
    let told = world.events("Braked").await;
    assert!(
        told[0].contains("a, b, c, d, e") && told[0].contains("release-brake shop"),
        "{told:?}"
    );

    let described = project(&world, &["describe", "shop"]).await;
    assert_eq!(described.code, 0, "{}", described.errors);
    for word in ["5 environments are held since", &brake.digest, &brake.environments[4], "Braked"] {
        assert!(described.output.contains(word), "{word} in {}", described.output);
    }
    let list = project(&world, &["list"]).await.output;
    let row: Vec<_> = list.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((row[0], row[2], row[3], row[4]), ("shop", "6", "5", "False"), "{list}");
    let get: Value = serde_json::from_str(&project(&world, &["get", "shop", "-o", "json"]).await.output).unwrap();
    assert_eq!(get["status"]["brake"]["digest"], brake.digest.as_str());
    assert_eq!(project(&world, &["get", "shp"]).await.code, 3);

    let unattended = project(&world, &["release-brake", "shop"]).await;
    assert_eq!(unattended.code, 4, "{}", unattended.errors);
    let other = project(&world, &["release-brake", "shop", "--digest", "0123456789ab", "--yes"]).await;
    assert_eq!(other.code, 4);
    assert!(
        other.errors.contains(&brake.digest) && other.errors.contains(&brake.environments[0]),
        "{}",
        other.errors
    );
    assert_eq!((annotation(&world).await, world.alive().await.len()), (None, 6));

    let released = project(&world, &["release-brake", "shop", "--digest", &brake.digest, "--yes"]).await;
    assert_eq!(released.code, 0, "{}", released.errors);
    assert!(
        brake.environments.iter().all(|name| released.output.contains(name)),
        "{}",
        released.output
    );
    join_all(GONE.map(|branch| world.wait_gone(branch))).await;
    assert_eq!(world.alive().await.into_keys().collect::<Vec<_>>(), ["shop/f"]);
    world.wait_for_event("BrakeReleased").await;
    let told = world.events("BrakeReleased").await;
    assert!(told.len() == 1 && told[0].contains(&brake.digest), "{told:?}");
    assert_eq!(annotation(&world).await, None, "used up");
    wait_for_metric(&world, HELD, 0.0).await;
    let again = project(&world, &["release-brake", "shop", "--yes"]).await;
    assert_eq!(
        (again.code, again.output.as_str()),
        (0, "project.graftling.dev/shop holds nothing\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f64_a_release_that_came_too_late_releases_nothing_at_the_next_outage() {
    let (world, repository) = six("stale").await;
    let alive = world.alive().await;
    repository.delete_branches(&GONE).unwrap();
    let first = braked(&world, "on the brake", |brake| brake.count == 5).await;
    // The outage is over before anybody answers.
    push(&repository, &GONE);
    world
        .wait_for_project("shop", "off the brake", |status| status.brake.is_none())
        .await;
    world.annotate_project("shop", RELEASE_BRAKE_ANNOTATION, &first.digest).await;
    world.wait_for_event("BrakeReleaseIgnored").await;
    assert_eq!(annotation(&world).await, None);

    repository.delete_branches(&GONE).unwrap();
    let second = braked(&world, "on the brake again", |brake| brake.count == 5).await;
    assert_eq!(second.digest, first.digest, "the same environments: an old release would fit");
    assert!(second.since.unwrap().0 >= first.since.unwrap().0);
    assert_eq!(world.alive().await, alive);
    assert!(world.events("BrakeReleased").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn f64_of_five_that_are_held_three_stay_held_over_a_restart_until_they_are_released_or_come_back() {
    let (mut world, repository) = six("stay-held").await;
    let alive = world.alive().await;
    repository.delete_branches(&GONE).unwrap();
    let five = braked(&world, "on the brake", |brake| brake.count == 5).await;
    push(&repository, &GONE[..2]);
    let three = braked(&world, "that holds three still", |brake| brake.count == 3).await;
    assert_eq!(
        (three.branches.as_slice(), &three.since),
        (["c", "d", "e"].map(String::from).as_slice(), &five.since)
    );
    wait_for_metric(&world, HELD, 3.0).await;
    assert_eq!(world.events("Braked").await.len(), 1, "nobody was held who was not before");
    let counted = world.metric(BRAKED).await;
    assert_eq!(counted.to_bits(), 5.0_f64.to_bits());

    let server = world.server.take().unwrap();
    server.running.kill_hard().await.unwrap();
    world.start_server().await;
    several_sweeps(&world).await;
    let same = braked(&world, "on the brake after a restart", |_| true).await;
    assert_eq!((&same, world.alive().await), (&three, alive.clone()));
    let described = project(&world, &["describe", "shop"]).await;
    assert!(described.output.contains("3 environments are held since"), "{}", described.output);
    // A release of what was held before fits no more.
    let stale = project(&world, &["release-brake", "shop", "--digest", &five.digest, "--yes"]).await;
    assert_eq!((stale.code, world.alive().await.len()), (4, 6));

    // One comes back; of the two that are left, exactly those are released.
    push(&repository, &["c"]);
    let two = braked(&world, "that holds two still", |brake| brake.count == 2).await;
    let released = project(&world, &["release-brake", "shop", "--digest", &two.digest, "--yes"]).await;
    assert_eq!(released.code, 0, "{}", released.errors);
    join_all(["d", "e"].map(|branch| world.wait_gone(branch))).await;
    assert_eq!(
        world.alive().await.into_keys().collect::<Vec<_>>(),
        ["shop/a", "shop/b", "shop/c", "shop/f"]
    );
    world
        .wait_for_project("shop", "off the brake", |status| status.brake.is_none())
        .await;

    // The same once more; this time all come back.
    repository.delete_branches(&["a", "b", "c", "f"]).unwrap();
    braked(&world, "on the brake again", |brake| brake.count == 4).await;
    push(&repository, &["a", "b", "c"]);
    braked(&world, "that holds one still", |brake| brake.count == 1).await;
    push(&repository, &["f"]);
    let status = world
        .wait_for_project("shop", "off the brake again", |status| status.brake.is_none())
        .await;
    assert_eq!((status.environments, world.alive().await.get("shop/f")), (4, alive.get("shop/f")));
}

/// An absence would be proven and acted on in less.
async fn several_sweeps(world: &World) {
    let sweeps = r#"graftling_sweeps_total{result="complete"}"#;
    let before = world.metric(sweeps).await;
    wait::until("four more sweeps", LONG, || async { world.metric(sweeps).await >= before + 4.0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_n4_f41_every_refusal_says_why_and_is_counted_once() {
    let world = World::start("refusals").await;
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
    world.foreign_namespace(name.as_str()).await;
    let branches = json!({ "branches": { "protected": ["main", "release"] } });
    push(&repository, &["release", "feature/a"]);
    world.project("shop", &repository, branches).await;

    let protected = r#"graftling_refusals_total{reason="protected_branch"}"#;
    let taken = r#"graftling_refusals_total{reason="namespace_not_ours"}"#;
    wait_for_metric(&world, protected, 2.0).await;
    wait_for_metric(&world, taken, 1.0).await;
    let skipped = world
        .wait_for_project("shop", "that names what it protects", |status| status.skipped.len() == 2)
        .await
        .skipped;
    assert!(skipped.iter().all(|skipped| skipped.reason.contains("protects")), "{skipped:?}");
    world.wait_for_event("NotOurs").await;
    // Three more sweeps see the same.
    let sweeps = r#"graftling_sweeps_total{result="complete"}"#;
    let before = world.metric(sweeps).await;
    wait::until("three more sweeps", LONG, || async { world.metric(sweeps).await >= before + 3.0 }).await;
    assert_eq!((world.metric(protected).await, world.metric(taken).await), (2.0, 1.0));

    let object = json!({
        "apiVersion": "graftling.dev/v1alpha1", "kind": "Environment", "metadata": { "name": "kube-other" },
        "spec": { "projectRef": { "name": "shop" }, "branch": "x", "repositoryId": "1", "revision": "a".repeat(40) },
    });
    let created = world
        .environments()
        .create(&PostParams::default(), &serde_json::from_value(object).unwrap())
        .await;
    let refused = created.unwrap_err().to_string();
    assert!(refused.contains("reserved for Kubernetes"), "{refused}");
}
