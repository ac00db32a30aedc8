//! What bears the annotation that keeps it survives, with what it may need and the fences around it, and nothing else does.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::cluster::{Cluster, Write};
use super::controller::Controller;
use super::deploy::{OBJECTS, bundle, crash};
use super::*;
use crate::domain::plan::teardown::retain::Keeping;
use crate::domain::plan::teardown::{Next, Pod, Rules, Tier, View};
use crate::domain::{residue, status};

const WEB: &str = "apps/Deployment/web";
const ACCOUNT: &str = "/ServiceAccount/web";
const SETTINGS: &str = "/ConfigMap/settings";
const SERVICE: &str = "/Service/web";

fn settled(objects: &[&str]) -> (Cluster, Controller) {
    let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
    let objects: Vec<_> = objects.iter().map(|name| (*name, "one")).collect();
    controller.settle(&mut cluster, &desired(&objects));
    (cluster, controller)
}

fn retain(cluster: &mut Cluster, name: &str, asked: bool) {
    cluster.objects.get_mut(&key(name)).unwrap().retained = asked;
}

fn left(cluster: &Cluster) -> BTreeSet<ObjectKey> {
    cluster.objects.keys().cloned().collect()
}

fn all(names: &[&str]) -> BTreeSet<ObjectKey> {
    let guardrails = GUARDRAILS.iter().map(|name| key(name));
    let named = names.iter().map(|name| key(name));
    guardrails.chain(named).chain([namespace_key()]).collect()
}

fn deleted(cluster: &Cluster) -> BTreeSet<ObjectKey> {
    let deleted = cluster.log.iter().filter_map(|write| match write {
        Write::Delete(key) => Some(key.clone()),
        _ => None,
    });
    deleted.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn feature_x3_whatever_is_retained_survives_with_its_fences_and_nothing_else_does(
        desired in bundle(),
        chosen in subsequence(OBJECTS.to_vec(), 0..4),
        crashes in prop::collection::vec((crash(), any::<bool>()), 0..8),
    ) {
        let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
        controller.settle(&mut cluster, &desired);
        let retained: BTreeSet<_> = chosen.iter().map(|name| key(name)).filter(|key| cluster.objects.contains_key(key)).collect();
        for key in &retained {
            cluster.objects.get_mut(key).unwrap().retained = true;
        }
        for (crash, time_passes) in crashes {
            controller.teardown(&mut cluster, false, Some(crash));
            if time_passes {
                cluster.tick();
            }
        }
        prop_assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
        prop_assert!(deleted(&cluster).is_disjoint(&retained), "never deleted");
        prop_assert!(retained.iter().all(|key| cluster.objects.contains_key(key)));
        let inside = retained.iter().any(|key| key.namespace.is_some());
        let fences = all(&[]);
        prop_assert_eq!(fences.iter().all(|key| cluster.objects.contains_key(key)), inside);
        let runs = retained.iter().any(|key| matches!(Tier::of(key), Tier::Workload | Tier::Custom));
        for key in left(&cluster).difference(&retained).filter(|key| !fences.contains(key)) {
            let needed = matches!(Tier::of(key), Tier::Access | Tier::Identity) || key.kind == "ConfigMap";
            prop_assert!(runs && needed, "{} is left", key);
        }
    }

    #[test]
    fn feature_x3_nothing_retained_is_pruned_and_the_environment_is_ready_without_it(
        desired in bundle(),
        chosen in subsequence(OBJECTS.to_vec(), 0..4),
    ) {
        let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
        controller.settle(&mut cluster, &desired);
        let retained: BTreeSet<_> = chosen.iter().map(|name| key(name)).filter(|key| cluster.objects.contains_key(key)).collect();
        for key in &retained {
            cluster.objects.get_mut(key).unwrap().retained = true;
        }
        let report = controller.settle(&mut cluster, &super::desired(&[]));
        prop_assert_eq!(report.phase, status::Phase::Ready);
        prop_assert!(deleted(&cluster).is_disjoint(&retained));
        prop_assert!(retained.iter().all(|key| controller.stored.get(key).is_some_and(|entry| !entry.gone)), "none is forgotten");
        prop_assert_eq!(retained.is_empty(), !report.message.contains("graftling.dev/retain"));
        // Without the annotation they go.
        for key in &retained {
            cluster.objects.get_mut(key).unwrap().retained = false;
        }
        controller.settle(&mut cluster, &super::desired(&[]));
        prop_assert_eq!(left(&cluster), all(&[]));
    }
}

#[test]
fn feature_x3_retained_data_keeps_its_namespace_and_no_identity() {
    let (mut cluster, mut controller) = settled(&[SETTINGS, SERVICE, WEB, ACCOUNT, "/Secret/password"]);
    retain(&mut cluster, SETTINGS, true);
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
    assert_eq!(left(&cluster), all(&[SETTINGS]));
}

#[test]
fn feature_x3_a_retained_workload_keeps_what_it_may_need_to_run() {
    let claim = "/PersistentVolumeClaim/data";
    let objects = [SETTINGS, SERVICE, WEB, ACCOUNT, "/Secret/password", claim, "/PersistentVolume/disk"];
    let (mut cluster, mut controller) = settled(&objects);
    retain(&mut cluster, WEB, true);
    cluster.pods.push((
        key(WEB),
        Pod {
            name: "web-1".into(),
            service_account: "web".into(),
            deletion: None,
        },
    ));
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
    let kept = [SETTINGS, WEB, ACCOUNT, "/Secret/password", claim, "/PersistentVolume/disk"];
    assert_eq!(left(&cluster), all(&kept), "a bound claim would never end, so it stays too");
}

#[test]
fn feature_x3_taken_off_in_time_the_annotation_keeps_nothing() {
    let (mut cluster, mut controller) = settled(&[SETTINGS, WEB]);
    retain(&mut cluster, SETTINGS, true);
    controller.teardown(&mut cluster, false, None);
    retain(&mut cluster, SETTINGS, false);
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
    assert!(cluster.objects.is_empty(), "L2");
}

#[test]
fn feature_x3_what_is_retained_of_others_keeps_the_namespace_even_where_their_objects_go_with_it() {
    for delete_foreign in [true, false] {
        let (mut cluster, mut controller) = settled(&[SETTINGS]);
        for name in ["/PersistentVolumeClaim/data-db-0", "/ConfigMap/notes"] {
            cluster.make_foreign(&key(name), false);
        }
        retain(&mut cluster, "/PersistentVolumeClaim/data-db-0", true);
        assert_eq!(controller.tear_down(&mut cluster, delete_foreign), Next::Conclude);
        assert_eq!(left(&cluster), all(&["/PersistentVolumeClaim/data-db-0", "/ConfigMap/notes"]));
    }
}

#[test]
fn feature_x3_a_plan_names_all_that_stays_and_why() {
    let (mut cluster, controller) = settled(&[SETTINGS, WEB, ACCOUNT]);
    cluster.make_foreign(&key("/ConfigMap/notes"), false);
    retain(&mut cluster, WEB, true);
    let keys: Vec<_> = controller.stored.iter().map(|(key, _)| key.clone()).collect();
    let view = View {
        observed: cluster.observe(&keys),
        foreign: Some(residue::foreign(&controller.stored, &cluster.contents())),
        retained: residue::retained(&cluster.contents()),
        ..View::default()
    };
    let steps = super::super::teardown::forecast(&environment(), &controller.stored, &view, &Rules::default());
    let last = steps.last().unwrap();
    let because: BTreeMap<_, _> = last.kept.iter().map(|kept| (kept.key.clone(), kept.because)).collect();
    for (name, keeping) in [
        (WEB, Keeping::Asked),
        (ACCOUNT, Keeping::Needed),
        (SETTINGS, Keeping::Needed),
        (GUARDRAILS[0], Keeping::Fence),
        ("/ConfigMap/notes", Keeping::Beside),
    ] {
        assert_eq!(because[&key(name)], keeping, "{name}");
    }
    assert_eq!(because[&namespace_key()], Keeping::Home);
    let text: String = steps.iter().map(ToString::to_string).collect();
    assert!(text.contains("keep apps/v1 Deployment web: it bears"), "{text}");
    assert!(!text.contains("  delete"), "{text}");
}

#[test]
fn feature_x3_a_namespace_that_is_ending_anyway_is_waited_for_whatever_was_asked() {
    let (mut cluster, mut controller) = settled(&[SETTINGS]);
    retain(&mut cluster, SETTINGS, true);
    cluster.objects.get_mut(&namespace_key()).unwrap().deleting = true;
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
    assert!(cluster.objects.is_empty(), "somebody else deleted it, with all that it held");
}
