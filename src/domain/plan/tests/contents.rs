//! Properties of teardowns: what hangs below the inventory, or is somebody else's, is settled before identities go.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::cluster::{Cluster, Write};
use super::controller::{Controller, Crash};
use super::deploy::{OBJECTS, bundle, crash};
use super::*;
use crate::domain::plan::teardown::stuck::{self, Definition, STUCK_AFTER, Surroundings};
use crate::domain::plan::teardown::{Next, Pod, Tier};
use std::time::Duration;

const DATABASE: &str = "databases.example.com/Database/main";
const ACCOUNT: &str = "/ServiceAccount/web";

fn settled(objects: &[&str]) -> (Cluster, Controller) {
    let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
    let objects: Vec<_> = objects.iter().map(|name| (*name, "one")).collect();
    controller.settle(&mut cluster, &desired(&objects));
    (cluster, controller)
}

/// Every right and identity of the bundle.
fn rights(cluster: &Cluster) -> Vec<ObjectKey> {
    let ours = cluster.objects.iter().filter(|(_, object)| object.is_ours());
    let keys = ours.map(|(key, _)| key.clone());
    keys.filter(|key| !GUARDRAILS.iter().any(|name| super::key(name) == *key))
        .filter(|key| matches!(Tier::of(key), Tier::Access | Tier::Identity))
        .collect()
}

fn is_deleted(cluster: &Cluster, key: &ObjectKey) -> bool {
    cluster.log.contains(&Write::Delete(key.clone()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn feature_x1_no_identity_goes_while_something_below_a_removed_object_holds_a_finalizer(
        desired in bundle(),
        owner in any::<prop::sample::Index>(),
        deep in any::<bool>(),
        steps in prop::collection::vec((prop::option::of(crash()), any::<bool>()), 0..10),
    ) {
        let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
        controller.settle(&mut cluster, &desired);
        let below: Vec<_> = desired.objects.iter().map(|manifest| manifest.key.clone()).filter(|key| key.namespace.is_some() && Tier::of(key) < Tier::Access).collect();
        prop_assume!(!below.is_empty());
        let child = key("databases.example.com/Backup/child");
        let (middle, owner) = (key("databases.example.com/Backup/middle"), owner.get(&below).clone());
        if deep {
            cluster.make_below(&owner, &middle, &[]);
        }
        cluster.make_below(if deep { &middle } else { &owner }, &child, &["example.com/clean"]);
        cluster.held.insert(child.clone());
        for (crash, time_passes) in steps {
            controller.teardown(&mut cluster, true, crash);
            if time_passes {
                cluster.tick();
            }
        }
        let before = rights(&cluster);
        let next = controller.tear_down(&mut cluster, true);
        prop_assert!(matches!(&next, Next::Drain { waiting, .. } if waiting.iter().any(|waiting| waiting.key == child)), "{next:?}");
        prop_assert_eq!(rights(&cluster), before, "S5");
        prop_assert!(!is_deleted(&cluster, &namespace_key()));
        prop_assert!(!is_deleted(&cluster, &child), "its owner's end deletes it, not we");
        cluster.held.clear();
        prop_assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
        prop_assert!(cluster.objects.is_empty());
    }

    #[test]
    fn feature_x3_objects_of_others_block_before_any_right_or_identity_goes(
        others in subsequence(vec!["/ConfigMap/notes", "/ServiceAccount/theirs", "databases.example.com/Database/other"], 1..=3),
        more in select(OBJECTS.to_vec()),
        crashes in prop::collection::vec((prop::option::of(crash()), any::<bool>()), 0..6),
    ) {
        let (mut cluster, mut controller) = settled(&[ACCOUNT, "/Secret/keys", more]);
        for name in &others {
            cluster.make_foreign(&key(name), false);
        }
        let before = rights(&cluster);
        for (crash, time_passes) in crashes {
            controller.teardown(&mut cluster, false, crash);
            if time_passes {
                cluster.tick();
            }
        }
        let next = controller.tear_down(&mut cluster, false);
        let Next::Blocked(obstacles) = &next else { panic!("it should be blocked: {next:?}") };
        let mut named: Vec<_> = obstacles.iter().map(|obstacle| obstacle.key.clone()).collect();
        let mut wanted: Vec<_> = others.iter().map(|name| key(name)).collect();
        named.sort();
        wanted.sort();
        prop_assert_eq!(named, wanted);
        prop_assert_eq!(rights(&cluster), before, "S5");
    }
}

#[test]
fn f47_what_is_reached_from_outside_goes_before_volumes_and_both_before_rights() {
    let names = [
        "apps/Deployment/web",
        "/Service/web",
        "networking.k8s.io/Ingress/web",
        "/PersistentVolumeClaim/data",
        "/ConfigMap/settings",
        "/Secret/keys",
        ACCOUNT,
    ];
    let (mut cluster, mut controller) = settled(&names);
    let slow = [key("/Service/web"), key("/PersistentVolumeClaim/data")];
    for held in &slow {
        cluster.held.insert(held.clone());
        cluster.objects.get_mut(held).unwrap().finalizers = vec!["slow.example/cleans".into()];
    }
    let next = controller.tear_down(&mut cluster, false);
    assert!(
        matches!(&next, Next::Drain { tier: Tier::Network, waiting, .. } if waiting[0].key == slow[0]),
        "{next:?}"
    );
    assert!(!is_deleted(&cluster, &slow[1]), "the claim waits for the load balancer");
    cluster.held.remove(&slow[0]);
    let next = controller.tear_down(&mut cluster, false);
    assert!(
        matches!(&next, Next::Drain { tier: Tier::Attachment, waiting, .. } if waiting[0].key == slow[1]),
        "{next:?}"
    );
    assert!(!is_deleted(&cluster, &key("/Secret/keys")));
    cluster.held.clear();
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
}

#[test]
fn an_object_of_others_that_is_being_removed_is_waited_for_instead_of_blocking() {
    let (mut cluster, mut controller) = settled(&[ACCOUNT]);
    let theirs = key("databases.example.com/Database/other");
    cluster.make_foreign(&theirs, false);
    cluster.held.insert(theirs.clone());
    let object = cluster.objects.get_mut(&theirs).unwrap();
    (object.deleting, object.finalizers) = (true, vec!["example.com/clean".into()]);
    let next = controller.tear_down(&mut cluster, false);
    assert!(matches!(&next, Next::Drain { waiting, .. } if waiting[0].key == theirs), "{next:?}");
    assert!(cluster.objects.contains_key(&key(ACCOUNT)), "S5");
    cluster.held.clear();
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
}

#[test]
fn what_an_account_owns_goes_with_it_and_the_two_do_not_wait_for_each_other() {
    let (mut cluster, mut controller) = settled(&[ACCOUNT]);
    let below = key("databases.example.com/Database/mine");
    cluster.make_below(&key(ACCOUNT), &below, &["example.com/clean"]);
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
    assert!(cluster.objects.is_empty());
}

#[test]
fn something_that_came_after_the_identities_went_still_keeps_the_namespace() {
    let (mut cluster, mut controller) = settled(&[ACCOUNT]);
    let crash = Crash { at: 0, committed: true };
    controller.teardown(&mut cluster, false, Some(crash));
    cluster.tick();
    assert!(!cluster.objects.contains_key(&key(ACCOUNT)));
    cluster.make_foreign(&key("/ConfigMap/notes"), false);
    assert!(matches!(controller.tear_down(&mut cluster, false), Next::Blocked(_)));
    assert!(!is_deleted(&cluster, &namespace_key()));
}

fn deletion(finalizers: &[&str]) -> Deletion {
    Deletion {
        since: "2026-01-01T00:00:00Z".into(),
        finalizers: finalizers.iter().map(ToString::to_string).collect(),
    }
}

fn known() -> Surroundings {
    Surroundings {
        definitions: Some(vec![Definition {
            name: "databases.databases.example.com".into(),
            ending: true,
        }]),
        dead_apis: vec![("v1.dead.example.com".into(), "ServiceNotFound".into())],
        conditions: vec!["NamespaceDeletionDiscoveryFailure: unable to retrieve".into()],
    }
}

#[test]
fn feature_x5_who_should_take_a_finalizer_off_is_told_in_words() {
    for (name, finalizer, words) in [
        (
            "/PersistentVolumeClaim/data",
            "kubernetes.io/pvc-protection",
            "a Pod still uses the claim",
        ),
        (
            "/Service/web",
            "service.kubernetes.io/load-balancer-cleanup",
            "load balancer controller",
        ),
        ("apps/Deployment/web", "foregroundDeletion", "dependents"),
        (
            "/ConfigMap/settings",
            "backup.example.org/keep",
            "no custom resource of backup.example.org is installed",
        ),
        (
            "/ConfigMap/settings",
            "databases.example.com/keep",
            "custom resources of databases.example.com are installed",
        ),
        (
            "/ConfigMap/settings",
            "operator.databases.example.com/keep",
            "custom resources of databases.example.com are installed",
        ),
        ("/ConfigMap/settings", "nodomain", "no domain"),
        (
            DATABASE,
            "databases.example.com/keep",
            "CustomResourceDefinition databases.databases.example.com is being deleted",
        ),
        (&format!("/Namespace/{ENVIRONMENT}"), "kubernetes", "APIService v1.dead.example.com"),
        (
            &format!("/Namespace/{ENVIRONMENT}"),
            "kubernetes",
            "NamespaceDeletionDiscoveryFailure",
        ),
    ] {
        let told = stuck::stuck(&key(name), &deletion(&[finalizer]), &known());
        assert!(told.cause.contains(words), "{name} {finalizer}: {}", told.cause);
        let said = stuck::sentence(std::slice::from_ref(&told));
        assert!(
            said.contains(finalizer) && said.contains("since 2026-01-01") && said.contains(&key(name).to_string()),
            "{said}"
        );
    }
}

#[test]
fn a_message_names_the_first_of_many_and_how_many_more() {
    let many: Vec<_> = (0..30)
        .map(|number| stuck::stuck(&key(&format!("/ConfigMap/c{number:02}")), &deletion(&["a.example/b"]), &known()))
        .collect();
    let said = stuck::sentence(&many);
    assert!(
        said.starts_with("v1 ConfigMap c00") && said.contains("c04") && !said.contains("c05") && said.ends_with("25 more"),
        "{said}"
    );
}

#[test]
fn waiting_looks_when_something_becomes_stuck_and_else_patiently() {
    let seconds = Duration::from_secs;
    assert!(stuck::patience(Some(seconds(0)), true) >= seconds(10), "a watch wakes it");
    assert!(stuck::patience(None, true) >= seconds(10));
    assert!(stuck::patience(Some(seconds(0)), false) <= seconds(1), "nothing else would");
    assert!(stuck::patience(Some(seconds(300)), false) <= seconds(10));
    let close = stuck::patience(Some(seconds(58)), true);
    assert!(seconds(58) + close >= STUCK_AFTER && close < seconds(3), "{close:?}");
}

#[test]
fn f36_a_webhook_that_does_not_answer_is_found_in_what_the_server_says() {
    let said = "Internal error occurred: failed calling webhook \"deny.example.com\": failed to call webhook: Post \"https://x\": refused";
    assert_eq!(stuck::failed_webhook(said), Some("deny.example.com"));
    assert_eq!(
        stuck::failed_webhook("admission webhook \"deny.example.com\" denied the request: no"),
        None
    );
}

/// A teardown that found nothing under a key, as the creation that was sent once has not arrived yet.
fn before_it_arrives(late: &ObjectKey) -> (Cluster, Controller) {
    let (mut cluster, mut controller) = settled(&["/ServiceAccount/web", "/ConfigMap/late"]);
    cluster.objects.remove(late);
    controller.stored.write_ahead(late, Stage::Deploy);
    controller.teardown(&mut cluster, false, None).unwrap();
    assert!(controller.stored.get(late).unwrap().gone);
    (cluster, controller)
}

fn arrive(cluster: &mut Cluster, late: &ObjectKey) {
    cluster.apply(&Apply {
        manifest: manifest(late.clone(), "one"),
        stage: Stage::Deploy,
        fence: Fence::MustNotExist,
        force: false,
        because: Because::Missing,
    });
}

#[test]
fn f17_an_object_whose_creation_arrives_late_is_removed_and_not_taken_for_somebody_elses() {
    let late = key("/ConfigMap/late");
    let (mut cluster, mut controller) = before_it_arrives(&late);
    arrive(&mut cluster, &late);
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
    assert!(is_deleted(&cluster, &late));
}

#[test]
fn f17_a_workload_whose_creation_arrives_late_and_that_runs_as_an_account_holds_no_teardown_up() {
    let late = key("apps/Deployment/late");
    let (mut cluster, mut controller) = settled(&[ACCOUNT, "/ConfigMap/settings"]);
    controller.stored.write_ahead(&late, Stage::Deploy);
    controller.teardown(&mut cluster, false, None).unwrap();
    assert!(controller.stored.get(&late).unwrap().gone);
    controller.late.insert(late.clone());
    arrive(&mut cluster, &late);
    let pod = Pod {
        name: "late-1".to_owned(),
        service_account: "web".to_owned(),
        deletion: None,
    };
    cluster.pods.push((late.clone(), pod));
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
    assert!(is_deleted(&cluster, &late));
}

#[test]
fn f17_an_object_that_was_made_and_removed_before_its_first_creation_arrives_is_removed_again() {
    let late = key("/ConfigMap/late");
    let (mut cluster, mut controller) = settled(&[ACCOUNT, "/ConfigMap/late"]);
    controller.teardown(&mut cluster, false, None).unwrap();
    assert!(is_deleted(&cluster, &late) && !cluster.objects.contains_key(&late));
    cluster.log.clear();
    controller.late.insert(late.clone());
    arrive(&mut cluster, &late);
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
    assert!(is_deleted(&cluster, &late));
}

#[test]
fn f17_what_others_made_under_a_key_that_was_never_seen_stays_theirs_whatever_label_it_bears() {
    let late = key("/ConfigMap/late");
    for is_labelled in [false, true] {
        let (mut cluster, mut controller) = before_it_arrives(&late);
        cluster.make_foreign(&late, is_labelled);
        let next = controller.tear_down(&mut cluster, false);
        assert!(matches!(&next, Next::Blocked(obstacles) if obstacles[0].key == late), "{next:?}");
        assert!(!is_deleted(&cluster, &late));
    }
}
