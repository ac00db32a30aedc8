//! Single cases of deployments, each for one rule.

use super::cluster::{Cluster, Write};
use super::controller::Controller;
use super::*;
use crate::domain::inventory::Entry;
use crate::domain::plan::teardown::Pod;
use crate::domain::status::Phase;

const WEB: &str = "apps/Deployment/web";
const ACCOUNT: &str = "/ServiceAccount/web";
const ROLE_BINDING: &str = "rbac.authorization.k8s.io/RoleBinding/web";
const DATABASE: &str = "databases.example.com/Database/main";

fn settled(objects: &[(&str, &str)]) -> (Cluster, Controller) {
    let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
    controller.settle(&mut cluster, &desired(objects));
    (cluster, controller)
}

fn plan_over(cluster: &Cluster, controller: &Controller, desired: &Desired) -> Plan {
    let of_inventory: Vec<_> = controller.stored.iter().map(|(key, _)| key.clone()).collect();
    let observed = cluster.observe(keys(desired).chain(&of_inventory));
    super::super::deploy::plan(&environment(), UID, desired, &controller.stored, &observed)
}

#[test]
fn f51_what_is_pruned_goes_tier_by_tier_so_that_pods_keep_their_account_to_the_end() {
    let (mut cluster, mut controller) = settled(&[(WEB, "one"), (ACCOUNT, "one"), (ROLE_BINDING, "one"), (DATABASE, "one")]);
    cluster.held.insert(key(DATABASE));
    cluster.objects.get_mut(&key(DATABASE)).unwrap().finalizers = vec!["example.com/hold".into()];
    cluster.pods.push((
        key(WEB),
        Pod {
            name: "web-1".into(),
            service_account: "web".into(),
            deletion: None,
        },
    ));
    let nothing = desired(&[]);
    for _ in 0..5 {
        controller.deploy(&mut cluster, &nothing, None);
        cluster.tick();
    }
    assert_eq!(
        cluster.log.last(),
        Some(&Write::Delete(key(DATABASE))),
        "the rest waits for the custom resource"
    );
    cluster.held.clear();
    cluster.tick();
    controller.deploy(&mut cluster, &nothing, None);
    assert_eq!(cluster.log.last(), Some(&Write::Delete(key(WEB))));
    for _ in 0..3 {
        controller.deploy(&mut cluster, &nothing, None);
        assert!(cluster.objects.contains_key(&key(ACCOUNT)), "S5: the pod still runs");
    }
    controller.settle(&mut cluster, &nothing);
    let tail: Vec<_> = cluster.log.iter().rev().take(2).rev().cloned().collect();
    assert_eq!(tail, [Write::Delete(key(ROLE_BINDING)), Write::Delete(key(ACCOUNT))]);
}

#[test]
fn nothing_is_pruned_while_something_wanted_is_not_ready() {
    let stale = ["/ConfigMap/old", DATABASE];
    let (mut cluster, mut controller) = settled(&[(WEB, "one"), (stale[0], "one"), (stale[1], "one")]);
    cluster.broken.insert(key(WEB));
    let report = controller.settle(&mut cluster, &desired(&[(WEB, "two")]));
    assert_eq!(report.phase, Phase::Deploying);
    assert!(stale.iter().all(|name| cluster.objects.contains_key(&key(name))));
    cluster.broken.clear();
    cluster.tick();
    controller.settle(&mut cluster, &desired(&[(WEB, "two")]));
    assert!(!stale.iter().any(|name| cluster.objects.contains_key(&key(name))));
}

#[test]
fn f41_one_foreign_object_keeps_everything_from_being_written_and_from_the_inventory() {
    let (mut cluster, mut controller) = settled(&[(WEB, "one")]);
    cluster.make_foreign(&key("/Service/web"), false);
    let (log, stored) = (cluster.log.len(), controller.stored.clone());
    let wish = desired(&[(ACCOUNT, "one"), (WEB, "two"), ("/Service/web", "one")]);
    let (plan, report) = controller.deploy(&mut cluster, &wish, None).unwrap();
    assert!(plan.is_quiet());
    assert_eq!(plan.obstacles.len(), 1);
    assert_eq!((cluster.log.len(), controller.stored), (log, stored));
    assert_eq!(report.reason, "NotOurs");
}

#[test]
fn a_stale_object_without_our_label_is_named_and_neither_deleted_nor_forgotten() {
    let (mut cluster, mut controller) = settled(&[(WEB, "one")]);
    cluster.objects.get_mut(&key(WEB)).unwrap().environment = None;
    let report = controller.settle(&mut cluster, &desired(&[]));
    assert_eq!((report.phase, report.reason), (Phase::Failed, "NotOurs"));
    assert!(report.message.contains("no longer bears graftling's label"));
    assert!(cluster.objects.contains_key(&key(WEB)));
    assert!(controller.stored.get(&key(WEB)).is_some());
}

#[test]
fn f57_a_stale_object_that_somebody_made_again_is_left_to_them() {
    let (mut cluster, mut controller) = settled(&[(WEB, "one")]);
    cluster.make_foreign(&key(WEB), true);
    let report = controller.settle(&mut cluster, &desired(&[]));
    assert_eq!(report.phase, Phase::Ready);
    assert!(cluster.objects.contains_key(&key(WEB)));
    assert_eq!(controller.stored.get(&key(WEB)), None);
}

#[test]
fn f15_a_copy_of_our_label_on_an_object_that_we_never_applied_proves_nothing() {
    let (mut cluster, mut controller) = settled(&[]);
    // A controller made the Service and copied its owner's labels; the watch shows it only after we tried to create ours.
    cluster.make_foreign(&key("/Service/web"), true);
    controller.unseen.insert(key("/Service/web"));
    let report = controller.settle(&mut cluster, &desired(&[("/Service/web", "one")]));
    assert_eq!(report.reason, "NotOurs");
    assert_eq!(cluster.objects[&key("/Service/web")].content, "foreign", "S1");
    // Nor does a teardown take it.
    controller.tear_down(&mut cluster, false);
    assert!(cluster.objects.contains_key(&key("/Service/web")), "S1");
}

#[test]
fn f21_nothing_is_written_into_a_namespace_that_is_ending() {
    let (mut cluster, mut controller) = settled(&[(WEB, "one")]);
    cluster.objects.get_mut(&namespace_key()).unwrap().deleting = true;
    let log = cluster.log.len();
    let (plan, report) = controller.deploy(&mut cluster, &desired(&[(WEB, "two")]), None).unwrap();
    assert!(plan.is_quiet());
    assert_eq!((report.phase, report.applied), (Phase::Deploying, false));
    assert_eq!(cluster.log.len(), log);
}

#[test]
fn f39_a_namespace_that_somebody_deleted_is_made_anew_once_it_is_gone() {
    let (mut cluster, mut controller) = settled(&[(WEB, "one"), (ACCOUNT, "one")]);
    let old = cluster.objects[&namespace_key()].uid.clone();
    cluster.objects.get_mut(&namespace_key()).unwrap().deleting = true;
    let report = controller.settle(&mut cluster, &desired(&[(WEB, "one"), (ACCOUNT, "one")]));
    assert_eq!(report.phase, Phase::Ready);
    assert_ne!(cluster.objects[&namespace_key()].uid, old);
}

#[test]
fn f43_a_namespace_of_an_earlier_environment_of_the_same_name_is_not_adopted() {
    let (mut cluster, _) = settled(&[]);
    cluster.objects.get_mut(&namespace_key()).unwrap().environment_uid = Some("environment-0".into());
    let mut restored = Controller::default();
    let before = cluster.objects.clone();
    let (plan, report) = restored.deploy_ignorant(&mut cluster, &desired(&[]));
    assert_eq!((report.phase, report.reason), (Phase::Failed, "NotOurs"));
    assert_eq!(plan.obstacles[0].key, namespace_key());
    assert_eq!(cluster.objects, before);
}

#[test]
fn f43_a_namespace_that_was_restored_under_another_uid_is_recorded_under_that() {
    let (mut cluster, mut controller) = settled(&[]);
    cluster.objects.get_mut(&namespace_key()).unwrap().uid = "restored".into();
    controller.deploy(&mut cluster, &desired(&[]), None);
    assert_eq!(controller.stored.get(&namespace_key()).unwrap().uid.as_deref(), Some("restored"));
}

#[test]
fn an_entry_follows_its_manifest_to_a_newer_version_of_the_kind() {
    let (mut cluster, mut controller) = settled(&[("databases.example.com/Database/main", "one")]);
    let mut newer = desired(&[("databases.example.com/Database/main", "two")]);
    newer.objects[0].key.version = "v2".into();
    // The server answers in the version that was asked for.
    let object = cluster.objects.remove(&newer.objects[0].key).unwrap();
    cluster.objects.insert(newer.objects[0].key.clone(), object);
    controller.settle(&mut cluster, &newer);
    let stored = controller.stored.iter().find(|(key, _)| key.kind == "Database").unwrap().0;
    assert_eq!(stored.version, "v2", "once v1 is no longer served, nothing would be found under it");
}

#[test]
fn f11_fields_that_another_applier_holds_are_never_taken_by_force() {
    let (cluster, controller) = settled(&[(WEB, "one")]);
    let wish = desired(&[(WEB, "two")]);
    let mut observed = cluster.observe(keys(&wish));
    let force = |observed: &Observed| {
        let plan = super::super::deploy::plan(&environment(), UID, &wish, &controller.stored, observed);
        match plan.steps.as_slice() {
            [Step::Apply(applies)] => applies[0].force,
            other => panic!("one apply was expected: {other:?}"),
        }
    };
    assert!(force(&observed), "an edit by hand is taken back");
    observed.get_mut(&key(WEB)).unwrap().co_appliers = vec!["flux".into()];
    assert!(!force(&observed));
}

#[test]
fn every_write_carries_its_reason_and_the_uid_of_what_is_there() {
    let objects = [(WEB, "one"), (ACCOUNT, "one"), ("/ConfigMap/a", "one"), ("/ConfigMap/b", "one")];
    let (mut cluster, mut controller) = settled(&objects);
    cluster.objects.remove(&key(ACCOUNT));
    cluster.objects.get_mut(&key("/ConfigMap/a")).unwrap().ownership = None;
    controller.stored = Inventory::from_entries(controller.stored.iter().map(|(key, entry)| {
        let lost = key.name == "b";
        (key.clone(), if lost { Entry::ahead(entry.stage) } else { entry.clone() })
    }));
    let plan = plan_over(&cluster, &controller, &desired(&[(WEB, "two"), objects[1], objects[2], objects[3]]));
    let mut reasons: Vec<_> = plan
        .steps
        .iter()
        .flat_map(|step| match step {
            Step::Apply(applies) => applies.clone(),
            Step::Delete(_) => Vec::new(),
        })
        .map(|apply| {
            let uid = cluster.objects.get(&apply.manifest.key).map(|object| object.uid.clone());
            assert_eq!(apply.fence, uid.map_or(Fence::MustNotExist, Fence::Uid));
            (apply.manifest.key.name, apply.because)
        })
        .collect();
    reasons.sort_by(|left, right| left.0.cmp(&right.0).then(format!("{:?}", left.1).cmp(&format!("{:?}", right.1))));
    assert_eq!(
        reasons,
        [
            ("a".to_owned(), Because::Drifted),
            ("b".to_owned(), Because::Unrecorded),
            ("web".to_owned(), Because::Changed),
            ("web".to_owned(), Because::Missing),
        ]
    );
}
