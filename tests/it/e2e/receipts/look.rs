//! What the last look finds, what it does not take for more than it is, and what it costs.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use graftling::api::Environment;
use graftling::api::environment::Phase;
use graftling::cluster::Connection;
use graftling::cluster::residue::{Cost, Scanned, Scanner, look};
use graftling::domain::residue::evidence::Traces;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use testbed::fault_proxy::{Fault, Rule, Selector};
use testbed::wait;
use tokio::sync::mpsc;

use super::receipt;
use crate::e2e::scene::{CONFIG, Scene};
use crate::world::{LONG, Options, World};

/// Brings up an environment for each of these branches.
async fn up_all(scene: &Scene, branches: &[String]) -> Vec<Environment> {
    let commits: Vec<_> = branches.iter().map(|branch| (branch.as_str(), &[][..])).collect();
    let revisions = scene.repository.push_many(&commits).unwrap();
    let mut environments = Vec::new();
    for (branch, revision) in branches.iter().zip(&revisions) {
        environments.push(scene.world.wait_for(branch, Phase::Ready, revision).await);
    }
    environments
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x13_whatever_shows_that_it_is_of_an_environment_keeps_it_until_that_is_gone() {
    let scene = Scene::start("evidence", CONFIG).await;
    let home = scene.world.namespace.name();
    let branches: Vec<_> = ["label", "made-for", "owner", "recorded", "owned"].map(str::to_owned).to_vec();
    let environments = up_all(&scene, &branches).await;
    scene.suspend_project().await;
    let named = |branch: &str| environments.iter().find(|environment| environment.spec.branch == branch).unwrap();
    let name = |branch: &str| named(branch).name_any();

    let make = async |kind: &str, api_version: &str, object: &str, metadata: Value| {
        let namespace = (kind == "ConfigMap").then_some(home);
        scene
            .world
            .create(api_version, kind, namespace, object, json!({ "metadata": metadata }))
            .await
    };
    let cluster_role = format!("{home}-owner");
    make(
        "ConfigMap",
        "v1",
        "label",
        json!({ "labels": { "graftling.dev/environment": name("label") } }),
    )
    .await;
    let uid = named("made-for").uid().unwrap();
    make(
        "ConfigMap",
        "v1",
        "made-for",
        json!({ "annotations": { "graftling.dev/environment-uid": uid } }),
    )
    .await;
    let owner = format!("owner.graftling.dev/{}", name("owner"));
    make(
        "ClusterRole",
        "rbac.authorization.k8s.io/v1",
        &cluster_role,
        json!({ "annotations": { owner: "x" } }),
    )
    .await;
    let recorded = make("ConfigMap", "v1", "recorded", json!({})).await;
    let namespace = scene.uid("v1", "Namespace", "", &name("owned")).await;
    let owner = json!([{ "apiVersion": "v1", "kind": "Namespace", "name": name("owned"), "uid": namespace }]);
    // The garbage collector would remove it otherwise, as its owner goes.
    let owned = json!({ "ownerReferences": owner, "finalizers": ["nobody.example/serves"] });
    make("ConfigMap", "v1", "owned", owned).await;
    forget(&scene, named("recorded"), recorded["metadata"]["uid"].as_str().unwrap()).await;

    for environment in &environments {
        scene.delete(environment).await;
    }
    for branch in &branches {
        let object = if branch == "owner" { &cluster_role } else { branch };
        scene.told(branch, Phase::Blocked, &["left over", object, "remove it"]).await;
        assert!(!scene.world.namespace_exists(&name(branch)).await, "{branch}");
    }
    scene
        .edit("v1", "ConfigMap", home, "owned", json!({ "metadata": { "finalizers": null } }))
        .await;
    scene.remove("rbac.authorization.k8s.io/v1", "ClusterRole", "", &cluster_role).await;
    for object in ["label", "made-for", "recorded"] {
        scene.remove("v1", "ConfigMap", home, object).await;
    }
    for branch in &branches {
        scene.world.wait_gone(branch).await;
        assert_eq!(receipt(&scene, named(branch)).await.left, [], "{branch}");
    }
}

/// As if a defect had made the server forget an object that is still there: the inventory says that it is gone.
async fn forget(scene: &Scene, environment: &Environment, uid: &str) {
    let name = environment.name_any();
    let status = scene.world.environments().get(&name).await.unwrap().status.unwrap();
    let mut entries = status.inventory.entries();
    let mut entry = entries[0].clone();
    entry.api_version = "v1".to_owned();
    entry.kind = "ConfigMap".to_owned();
    entry.namespace = Some(name.clone());
    (entry.name, entry.uid, entry.gone) = ("forgotten".to_owned(), Some(uid.to_owned()), true);
    entries.push(entry);
    let patch = Patch::Merge(json!({ "status": { "inventory": entries } }));
    let environments = scene.world.environments();
    environments.patch_status(&name, &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x13_what_merely_mentions_an_environment_is_listed_and_keeps_nothing() {
    let scene = Scene::start("mentions", CONFIG).await;
    let home = scene.world.namespace.name();
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let backup = format!("backup-of-{name}");
    scene.world.create("v1", "ConfigMap", Some(home), &backup, json!({})).await;
    let metadata = json!({ "metadata": { "annotations": { "example.com/note": format!("was made for {name}") } } });
    scene.world.create("v1", "ConfigMap", Some(home), "note", metadata).await;
    scene.delete(&environment).await;
    scene.world.wait_gone("feature/a").await;
    let receipt = receipt(&scene, &environment).await;
    assert_eq!(receipt.left, []);
    let told = |object: &str, place: &str| {
        let object = format!("v1 ConfigMap {home}/{object}");
        receipt
            .mentions
            .iter()
            .any(|mention| mention.object == object && mention.r#where.contains(place))
    };
    assert!(
        told(&backup, "in its name") && told("note", "annotation example.com/note"),
        "{:?}",
        receipt.mentions
    );
    assert_eq!(
        receipt.mentions.len(),
        2,
        "neither its Environment nor its Events: {:?}",
        receipt.mentions
    );
    assert!(receipt.scan.kinds > 30 && receipt.scan.objects > 0, "{:?}", receipt.scan);
    assert!(receipt.scan.not_visible.iter().any(|kind| kind == "Secret"), "{:?}", receipt.scan);
}

async fn connection(world: &World) -> Connection {
    let config = testbed::configuration(world.plane.kubeconfig()).await;
    Connection::new(config).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn f48_the_last_look_asks_one_thing_at_a_time_while_an_environment_is_deployed() {
    const LATE: Duration = Duration::from_millis(20);
    let options = Options {
        proxied: true,
        ..Options::default()
    };
    let world = World::without_server("polite", options).await;
    let connection = Connection::new(world.server_configuration().await).unwrap();
    let (wakes, mut woken) = mpsc::channel(1);
    let scanner = Scanner::new(connection.clone(), wakes, Arc::new(|_: &Cost| ()));
    world.proxy().add(Rule::on(Selector::any()), Fault::Delay(LATE));
    // How far apart the requests of a look begin, at the least. Who waits for an answer before the next is as far apart as answers are late.
    let mut least_apart = async |number| {
        let before = world.proxy().count();
        let wake = ("team".to_owned(), "any".to_owned());
        assert_eq!(scanner.scan(&traces(number), wake.clone()), Scanned::Asked);
        tokio::time::timeout(LONG, woken.recv()).await.unwrap().unwrap();
        assert!(matches!(scanner.scan(&traces(number), wake), Scanned::Found(_)), "{number}");
        let asked = world.proxy().exchanges_since(before);
        assert!(asked.len() > 30, "it lists each kind: {}", asked.len());
        asked.windows(2).map(|pair| pair[1].started - pair[0].started).min().unwrap()
    };
    let beside_others = connection.promptly(least_apart(1)).await;
    assert!(beside_others >= LATE, "{beside_others:?}");
    let alone = least_apart(2).await;
    assert!(alone < LATE, "several at a time, when nobody waits: {alone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x13_a_hundred_questions_share_two_looks_and_each_gets_its_answer() {
    let world = World::without_server("shared", Options::default()).await;
    let (wakes, mut woken) = mpsc::channel(1024);
    let costs = Arc::new(Mutex::new(Vec::new()));
    let counted = costs.clone();
    let count = move |cost: &Cost| counted.lock().unwrap().push(cost.environments);
    let scanner = Scanner::new(connection(&world).await, wakes, Arc::new(count));
    let labels = json!({ "metadata": { "labels": { "graftling.dev/environment": traces(7).environment } } });
    world.create("v1", "ConfigMap", Some(world.namespace.name()), "left", labels).await;
    let wake = |number: usize| ("team".to_owned(), number.to_string());
    for number in 0..100 {
        assert_eq!(scanner.scan(&traces(number), wake(number)), Scanned::Asked);
        // Whoever asks again meanwhile is not another question.
        assert_ne!(scanner.scan(&traces(number), wake(number)), Scanned::Asked);
    }
    for _ in 0..100 {
        let (_, name) = tokio::time::timeout(LONG, woken.recv()).await.unwrap().unwrap();
        let number = name.parse().unwrap();
        let Scanned::Found(findings) = scanner.scan(&traces(number), wake(number)) else {
            panic!("no answer for {number}")
        };
        let proven = findings.traces.iter().filter(|trace| trace.evidence.is_proof()).count();
        assert_eq!(proven, usize::from(number == 7), "{number}");
    }
    let served = costs.lock().unwrap().clone();
    assert!(
        served.len() <= 2 && served.iter().sum::<usize>() == 100,
        "environments of each look: {served:?}"
    );
    // The answer was fetched: the next question is a new one.
    assert_eq!(scanner.scan(&traces(1), wake(1)), Scanned::Asked);
}

/// An environment that never was.
fn traces(number: usize) -> Traces {
    Traces {
        environment: format!("shop-feature-{number}-aaaaaaaaaa"),
        environment_uid: format!("uid-{number}"),
        uids: BTreeSet::from([format!("object-{number}")]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x13_no_receipt_is_written_over_an_api_that_does_not_answer_unless_somebody_says_so() {
    let scene = Scene::apart("silent", CONFIG).await;
    let home = scene.world.namespace.name();
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    // Holds the teardown where its namespace is gone: a namespace does not end while an API is silent.
    let label = json!({ "metadata": { "labels": { "graftling.dev/environment": name } } });
    scene.world.create("v1", "ConfigMap", Some(home), "holds", label).await;
    scene.delete(&environment).await;
    scene.told("feature/a", Phase::Blocked, &["left over"]).await;
    let service = json!({ "spec": {
        "group": "silent.example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
        "service": { "name": "nobody", "namespace": home }, "insecureSkipTLSVerify": true,
    }});
    scene
        .world
        .create("apiregistration.k8s.io/v1", "APIService", None, "v1.silent.example.com", service)
        .await;
    wait::until("the API to be known as silent", LONG, || async {
        let served = scene.world.client.list_api_groups_aggregated().await.ok()?;
        let of_it = |name: &Option<String>| name.as_deref() == Some("silent.example.com");
        served
            .items
            .iter()
            .any(|group| of_it(&group.metadata.clone().unwrap_or_default().name))
            .then_some(())
    })
    .await;
    scene.remove("v1", "ConfigMap", home, "holds").await;
    let told = ["v1.silent.example.com", "graftling.dev/conclude-without"];
    scene.told("feature/a", Phase::Blocked, &told).await;
    let accepted = json!({ "metadata": { "annotations": { "graftling.dev/conclude-without": "v1.silent.example.com" } } });
    scene.edit("graftling.dev/v1alpha1", "Environment", home, &name, accepted).await;
    scene.world.wait_gone("feature/a").await;
    let receipt = receipt(&scene, &environment).await;
    assert_eq!(receipt.scan.not_answering, ["v1.silent.example.com"]);
}

/// What a look costs on a cluster with many kinds: `cargo test --test it costs_of_a_look -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn costs_of_a_look_with_and_without_many_kinds() {
    let world = World::apart("costs", Options::default()).await;
    for kinds in [0, 250] {
        for number in 0..kinds {
            define(&world, number).await;
        }
        wait::until("every kind to be served", LONG, || async {
            let cost = cost(&world, 1).await;
            if cost.0 as usize >= kinds {
                Ok(())
            } else {
                Err(format!("{} kinds", cost.0))
            }
        })
        .await;
        for environments in [1, 100] {
            let mut milliseconds: Vec<_> = Vec::new();
            let mut last = (0, 0, 0, 0);
            for _ in 0..7 {
                last = cost(&world, environments).await;
                milliseconds.push(last.3);
            }
            milliseconds.sort_unstable();
            println!(
                "{kinds} extra kinds, {environments} environments: {} kinds, {} requests, {} objects, {} ms (median of 7; {} to {})",
                last.0, last.1, last.2, milliseconds[3], milliseconds[0], milliseconds[6]
            );
        }
    }
}

/// Kinds, requests, objects and milliseconds of one look.
async fn cost(world: &World, environments: usize) -> (u32, u32, u64, u128) {
    let all: Vec<_> = (0..environments).map(traces).collect();
    let cost = look(&world.client, &all).await.unwrap().remove(0).cost;
    (cost.kinds, cost.requests, cost.objects, cost.duration.as_millis())
}

async fn define(world: &World, number: usize) {
    let group = format!("g{number}.costs.example.com");
    let definition = json!({ "spec": {
        "group": group,
        "scope": "Namespaced",
        "names": { "kind": "Thing", "plural": "things", "singular": "thing" },
        "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": { "type": "object" } } }],
    }});
    let name = format!("things.{group}");
    world
        .create("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, &name, definition)
        .await;
}
