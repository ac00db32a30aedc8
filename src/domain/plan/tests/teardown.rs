//! Properties of teardowns.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::cluster::{Cluster, Object, Write};
use super::controller::{Controller, Crash};
use super::deploy::{OBJECTS, bundle, crash};
use super::*;
use crate::domain::inventory::Entry;
use crate::domain::plan::teardown::references::References;
use crate::domain::plan::teardown::{Next, Pod, Rules, Tier, View};

const WEB: &str = "apps/Deployment/web";
const ACCOUNT: &str = "/ServiceAccount/web";

fn settled(objects: &[&str]) -> (Cluster, Controller) {
    let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
    let objects: Vec<_> = objects.iter().map(|name| (*name, "one")).collect();
    controller.settle(&mut cluster, &desired(&objects));
    (cluster, controller)
}

fn pod(name: &str, account: &str) -> Pod {
    Pod {
        name: name.into(),
        service_account: account.into(),
        deletion: None,
    }
}

fn all_gone(controller: &Controller) -> bool {
    controller.stored.iter().all(|(_, entry)| entry.gone)
}

fn deletes(cluster: &Cluster, wanted: &ObjectKey) -> usize {
    cluster.log.iter().filter(|write| **write == Write::Delete(wanted.clone())).count()
}

fn obstacles(next: &Next) -> Vec<&ObjectKey> {
    match next {
        Next::Blocked(obstacles) => obstacles.iter().map(|obstacle| &obstacle.key).collect(),
        other => panic!("it should be blocked: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn f04_f35_a_teardown_after_any_crashes_leaves_nothing(
        desired in bundle(),
        creating in prop::collection::vec(crash(), 0..3),
        complete in any::<bool>(),
        removing in prop::collection::vec((crash(), any::<bool>()), 0..12),
        slow in subsequence(vec!["Deployment", "Database", "Service", "Secret", "ServiceAccount"], 0..4),
        pods in any::<bool>(),
    ) {
        let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
        cluster.slow_kinds = slow.into_iter().map(str::to_owned).collect();
        for crash in creating {
            controller.deploy(&mut cluster, &desired, Some(crash));
        }
        if complete {
            controller.settle(&mut cluster, &desired);
        }
        if pods && cluster.objects.contains_key(&key(WEB)) {
            cluster.pods.push((key(WEB), pod("web-1", "web")));
        }
        for (crash, time_passes) in removing {
            controller.teardown(&mut cluster, false, Some(crash));
            if time_passes {
                cluster.tick();
            }
        }
        let made = cluster.log.iter().filter(|write| matches!(write, Write::Create(..))).count();
        prop_assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
        prop_assert!(cluster.objects.is_empty(), "L2: {:?}", cluster.objects);
        prop_assert!(all_gone(&controller));
        let recorded = controller.stored.iter().filter(|(_, entry)| entry.uid.is_some()).count();
        prop_assert!(recorded <= made);
        // A second time: nothing to do and no error.
        let log = cluster.log.len();
        prop_assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude, "feature_x11");
        prop_assert_eq!(cluster.log.len(), log);
    }

    #[test]
    fn feature_x3_what_others_made_survives_and_blocks_the_namespace(
        desired in bundle(),
        name in select(vec!["/ConfigMap/notes", "/ServiceAccount/theirs", "apps/Deployment/web", "/Secret/password", "databases.example.com/Database/other"]),
        labelled in any::<bool>(),
        crashes in prop::collection::vec((crash(), any::<bool>()), 0..6),
    ) {
        let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
        controller.settle(&mut cluster, &desired);
        // Under a name of ours: somebody deleted ours and made their own.
        cluster.make_foreign(&key(name), labelled);
        let before = cluster.foreign();
        for (crash, time_passes) in crashes {
            controller.teardown(&mut cluster, false, Some(crash));
            if time_passes {
                cluster.tick();
            }
        }
        let next = controller.tear_down(&mut cluster, false);
        prop_assert_eq!(obstacles(&next), [&key(name)]);
        prop_assert_eq!(cluster.foreign(), before.clone(), "S1");
        prop_assert_eq!(deletes(&cluster, &namespace_key()), 0);
        // It is theirs to remove; then the rest follows.
        cluster.objects.remove(&key(name));
        prop_assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
        prop_assert!(cluster.objects.is_empty());
    }

    #[test]
    fn f42_what_lost_its_label_is_named_and_never_deleted(desired in bundle(), chosen in any::<prop::sample::Index>(), crashed in any::<bool>()) {
        let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
        controller.settle(&mut cluster, &desired);
        let mut drained: Vec<_> = desired.objects.iter().map(|manifest| manifest.key.clone()).collect();
        drained.push(namespace_key());
        let robbed = chosen.get(&drained);
        cluster.objects.get_mut(robbed).unwrap().environment = None;
        if crashed {
            // The answer that told the UID was lost, too.
            controller.stored.void_uid(robbed);
        }
        let next = controller.tear_down(&mut cluster, false);
        prop_assert_eq!(obstacles(&next), [robbed]);
        prop_assert_eq!(deletes(&cluster, robbed) + deletes(&cluster, &namespace_key()), 0);
        cluster.objects.get_mut(robbed).unwrap().environment = Some(ENVIRONMENT.into());
        prop_assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
        prop_assert!(cluster.objects.is_empty());
    }

    #[test]
    fn threat_t40_no_view_of_a_cluster_makes_us_delete_what_is_not_proven_to_be_ours(
        entries in prop::collection::vec((0..OBJECTS.len() + 3, prop::option::of(select(vec!["1", "2", "3"])), any::<bool>()), 0..12),
        objects in prop::collection::vec((0..OBJECTS.len() + 3, select(vec!["1", "2", "3"]), prop::option::of(select(vec![ENVIRONMENT, "production"])), any::<bool>(), any::<bool>()), 0..12),
        looked in any::<bool>(),
        delete_foreign in any::<bool>(),
    ) {
        // Ours, production's namespace, and a cluster-scoped object.
        let key_of = |index: usize| match index.checked_sub(OBJECTS.len()) {
            None => key(OBJECTS[index]),
            Some(0) => namespace_key(),
            Some(1) => key("/Namespace/production"),
            Some(_) => key("example.com/ClusterThing/x"),
        };
        let stage_of = |key: &ObjectKey| if key.kind == "Namespace" { Stage::Namespace } else { Stage::Deploy };
        let inventory = Inventory::from_entries(entries.into_iter().map(|(index, uid, gone)| {
            let key = key_of(index);
            let entry = Entry { uid: uid.map(str::to_owned), gone, ..Entry::ahead(stage_of(&key)) };
            (key, entry)
        }));
        let mut cluster = Cluster::default();
        for (index, uid, label, applied, deleting) in objects {
            let object = Object {
                uid: uid.into(),
                content: "x".into(),
                environment: label.map(str::to_owned),
                environment_uid: None,
                ownership: applied.then(|| "fields".to_owned()),
                finalizers: Vec::new(),
                deleting,
                ready: true,
                made_by_us: false,
                version: 1,
                shares: Shares::new(),
                owners: Vec::new(),
                retained: false,
            };
            cluster.objects.insert(key_of(index), object);
        }
        let view = View {
            observed: cluster.observe(cluster.objects.keys()),
            foreign: looked.then(Vec::new),
            references: Some(References::default()),
            ..View::default()
        };
        let plan = super::super::teardown::plan(&environment(), &inventory, &view, &Rules { delete_foreign, ..Rules::default() });
        let deletes = match plan.next {
            Next::Drain { deletes, .. } => deletes,
            Next::DeleteNamespace(delete) => vec![delete],
            _ => Vec::new(),
        };
        for delete in deletes {
            let object = &cluster.objects[&delete.key];
            let entry = inventory.get(&delete.key);
            prop_assert_eq!(&object.uid, &delete.uid);
            prop_assert_eq!(object.environment.as_deref(), Some(ENVIRONMENT), "the label");
            let recorded = entry.map(|entry| entry.uid.as_deref());
            prop_assert!(recorded == Some(Some(delete.uid.as_str())) || (recorded == Some(None) && object.ownership.is_some()), "the UID");
            prop_assert!(entry.is_some_and(|entry| !entry.gone));
        }
        // What was gone stays gone, and nothing is forgotten.
        prop_assert_eq!(plan.inventory.len(), inventory.len());
        for (key, entry) in inventory.iter().filter(|(_, entry)| entry.gone) {
            prop_assert_eq!(plan.inventory.get(key), Some(entry));
        }
    }
}

#[test]
fn feature_x1_a_custom_resource_is_waited_for_while_its_controller_still_has_its_account() {
    let (mut cluster, mut controller) = settled(&OBJECTS);
    let database = key("databases.example.com/Database/main");
    cluster.held.insert(database.clone());
    cluster.objects.get_mut(&database).unwrap().finalizers = vec!["example.com/hold".into()];
    let next = controller.tear_down(&mut cluster, false);
    let Next::Drain { tier, deletes, waiting } = next else {
        panic!("it should wait: {next:?}")
    };
    assert_eq!((tier, deletes, waiting.len()), (Tier::Custom, Vec::new(), 1));
    assert_eq!(
        cluster.objects.len(),
        OBJECTS.len() + GUARDRAILS.len() + 1,
        "everything else is untouched"
    );
    cluster.held.clear();
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
    let order: Vec<_> = cluster.log.iter().filter(|write| matches!(write, Write::Delete(_))).collect();
    let place = |name: &str| order.iter().position(|write| **write == Write::Delete(key(name))).unwrap();
    assert_eq!(place("databases.example.com/Database/main"), 0);
    assert_eq!(place(ACCOUNT), order.len() - 2, "accounts are the last but the namespace");
    assert_eq!(*order[order.len() - 1], Write::Delete(namespace_key()));
}

#[test]
fn f36_a_finalizer_that_nobody_takes_off_is_named_and_nothing_is_forced() {
    let (mut cluster, mut controller) = settled(&["/ConfigMap/settings", ACCOUNT]);
    let stuck = key("/ConfigMap/settings");
    cluster.held.insert(stuck.clone());
    cluster.objects.get_mut(&stuck).unwrap().finalizers = vec!["example.com/hold".into()];
    let Next::Drain { waiting, .. } = controller.tear_down(&mut cluster, false) else {
        panic!("it should wait for {stuck}")
    };
    let said = waiting[0].to_string();
    assert!(
        said.starts_with(&stuck.to_string()) && said.contains("example.com/hold") && said.contains("2026-01-01"),
        "{said}"
    );
    assert_eq!(deletes(&cluster, &namespace_key()), 0);
    assert!(cluster.objects.contains_key(&key(ACCOUNT)));
    cluster.held.clear();
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
}

#[test]
fn f36_f39_the_object_that_keeps_an_ending_namespace_is_named() {
    let (mut cluster, mut controller) = settled(&["/ConfigMap/settings", ACCOUNT]);
    let stuck = key("/ConfigMap/settings");
    cluster.held.insert(stuck.clone());
    cluster.objects.get_mut(&stuck).unwrap().finalizers = vec!["example.com/hold".into()];
    cluster.objects.get_mut(&namespace_key()).unwrap().deleting = true;
    let Next::AwaitNamespace(waiting) = controller.tear_down(&mut cluster, false) else {
        panic!("it should wait for the namespace")
    };
    assert_eq!(waiting.key, stuck);
    assert!(waiting.to_string().contains("example.com/hold"));
}

#[test]
fn f41_a_namespace_that_somebody_made_first_is_left_alone_with_all_it_holds() {
    for labelled in [false, true] {
        let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
        let wish = desired(&[(WEB, "one")]);
        cluster.make_foreign(&namespace_key(), labelled);
        cluster.make_foreign(&key(WEB), labelled);
        controller.unseen.insert(namespace_key());
        controller.unseen.insert(key(WEB));
        controller.settle(&mut cluster, &wish);
        let before = cluster.objects.clone();
        assert_eq!(controller.tear_down(&mut cluster, true), Next::Conclude);
        assert_eq!(cluster.objects, before, "S1");
    }
}

#[test]
fn f56_an_account_that_kubernetes_or_a_user_made_is_never_deleted() {
    let (mut cluster, mut controller) = settled(&[ACCOUNT]);
    cluster.make_foreign(&key("/ServiceAccount/default"), false);
    cluster.make_foreign(&key("/ConfigMap/kube-root-ca.crt"), false);
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
    assert_eq!(
        deletes(&cluster, &key("/ServiceAccount/default")),
        0,
        "it goes with the namespace and not by our hand"
    );
}

#[test]
fn f49_f51_an_account_stays_while_a_pod_of_ours_ends() {
    let (mut cluster, mut controller) = settled(&[WEB, ACCOUNT]);
    cluster.pods.push((key(WEB), pod("web-1", "web")));
    for _ in 0..3 {
        controller.teardown(&mut cluster, false, None);
        assert_eq!(deletes(&cluster, &key(ACCOUNT)), 0, "S5");
    }
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
}

#[test]
fn f51_an_account_that_a_pod_of_somebody_else_uses_blocks_and_names_the_pod() {
    let (mut cluster, mut controller) = settled(&[ACCOUNT]);
    cluster.make_foreign(&key("/ReplicationController/debug"), false);
    cluster.pods.push((key("/ReplicationController/debug"), pod("debug-1", "web")));
    let next = controller.tear_down(&mut cluster, false);
    assert_eq!(obstacles(&next), [&key(ACCOUNT)]);
    let Next::Blocked(obstacles) = next else {
        unreachable!("just seen")
    };
    assert!(obstacles[0].reason.contains("Pod debug-1"));
    assert!(cluster.objects.contains_key(&key(ACCOUNT)), "S5");
    cluster.pods.clear();
    cluster.objects.remove(&key("/ReplicationController/debug"));
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
}

#[test]
fn f57_an_object_that_somebody_made_again_under_our_name_is_theirs() {
    let (mut cluster, mut controller) = settled(&[ACCOUNT, WEB]);
    cluster.make_foreign(&key(ACCOUNT), true);
    let next = controller.tear_down(&mut cluster, false);
    assert_eq!(obstacles(&next), [&key(ACCOUNT)]);
    assert_eq!(deletes(&cluster, &key(ACCOUNT)), 0, "S1");
}

#[test]
fn f57_a_namespace_that_somebody_made_again_is_theirs_and_ours_is_gone() {
    let (mut cluster, mut controller) = settled(&[WEB]);
    cluster.objects.clear();
    cluster.make_foreign(&namespace_key(), true);
    let before = cluster.objects.clone();
    assert_eq!(controller.tear_down(&mut cluster, true), Next::Conclude);
    assert_eq!(cluster.objects, before, "S1");
    assert!(all_gone(&controller));
}

#[test]
fn feature_x2_every_deletion_carries_the_uid_that_was_recorded() {
    let (mut cluster, mut controller) = settled(&OBJECTS);
    let recorded: BTreeMap<_, _> = controller
        .stored
        .iter()
        .map(|(key, entry)| (key.clone(), entry.uid.clone().unwrap()))
        .collect();
    for _ in 0..30 {
        let view = View {
            observed: cluster.observe(recorded.keys()),
            foreign: Some(Vec::new()),
            references: Some(References::default()),
            ..View::default()
        };
        let plan = super::super::teardown::plan(&environment(), &controller.stored, &view, &Rules::default());
        let planned = match plan.next {
            Next::Drain { deletes, .. } => deletes,
            Next::DeleteNamespace(delete) => vec![delete],
            _ => Vec::new(),
        };
        for delete in planned {
            assert_eq!(delete.uid, recorded[&delete.key]);
        }
        controller.teardown(&mut cluster, false, None);
        cluster.tick();
    }
    assert!(cluster.objects.is_empty());
}

#[test]
fn feature_x3_foreign_objects_go_with_the_namespace_only_where_the_project_says_so() {
    let (mut cluster, mut controller) = settled(&[WEB]);
    cluster.make_foreign(&key("/ConfigMap/notes"), false);
    assert!(matches!(controller.tear_down(&mut cluster, false), Next::Blocked(_)));
    assert_eq!(controller.tear_down(&mut cluster, true), Next::Conclude);
    assert_eq!(deletes(&cluster, &key("/ConfigMap/notes")), 0);
    assert!(cluster.objects.is_empty());
}

#[test]
fn feature_x11_a_namespace_that_a_human_deleted_already_is_no_error() {
    let (mut cluster, mut controller) = settled(&OBJECTS);
    cluster.objects.get_mut(&namespace_key()).unwrap().deleting = true;
    cluster.tick();
    assert!(
        cluster.objects.keys().all(|key| key.namespace.is_none()),
        "it does not take what is outside"
    );
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
    assert!(cluster.objects.is_empty() && all_gone(&controller));
    assert_eq!(Controller::default().tear_down(&mut cluster, false), Next::Conclude);
}

#[test]
fn what_is_outside_the_namespace_goes_before_it_and_even_after_it() {
    let outside = "example.com/ClusterThing/x";
    let (mut cluster, mut controller) = settled(&[WEB, outside]);
    cluster.objects.retain(|key, _| key.name == "x");
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
    assert!(cluster.objects.is_empty(), "L2");
}

#[test]
fn an_object_without_our_label_that_is_going_anyway_is_waited_for() {
    let (mut cluster, mut controller) = settled(&[WEB]);
    let web = cluster.objects.get_mut(&key(WEB)).unwrap();
    (web.environment, web.deleting) = (None, true);
    web.finalizers = vec!["foregroundDeletion".into()];
    let next = controller.teardown(&mut cluster, false, None).unwrap();
    assert!(matches!(next, Next::Drain { waiting, .. } if waiting.len() == 1));
}

#[test]
fn f35_a_crash_during_creation_costs_the_receipt_nothing() {
    let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
    let crash = Crash { at: 3, committed: true };
    controller.deploy(&mut cluster, &desired(&[(WEB, "one")]), Some(crash));
    let made = cluster.log.len();
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
    let told = controller
        .stored
        .iter()
        .filter(|(_, entry)| entry.uid.is_some() && entry.gone)
        .count();
    assert_eq!(told, made);
}

#[test]
fn every_kind_has_its_tier() {
    for (name, tier) in [
        ("databases.example.com/Database/x", Tier::Custom),
        ("gateway.networking.k8s.io/HTTPRoute/x", Tier::Custom),
        ("snapshot.storage.k8s.io/VolumeSnapshot/x", Tier::Custom),
        ("/Pod/x", Tier::Workload),
        ("batch/CronJob/x", Tier::Workload),
        ("/Service/x", Tier::Network),
        ("/PersistentVolumeClaim/x", Tier::Attachment),
        ("networking.k8s.io/Ingress/x", Tier::Network),
        ("networking.k8s.io/NetworkPolicy/x", Tier::Access),
        ("autoscaling/HorizontalPodAutoscaler/x", Tier::Attachment),
        ("policy/PodDisruptionBudget/x", Tier::Attachment),
        ("scheduling.k8s.io/PriorityClass/x", Tier::Cluster),
        ("/PersistentVolume/x", Tier::Cluster),
        ("rbac.authorization.k8s.io/ClusterRoleBinding/x", Tier::Access),
        ("example.com/ClusterThing/x", Tier::Custom),
        ("/Secret/x", Tier::Access),
        ("rbac.authorization.k8s.io/RoleBinding/x", Tier::Access),
        ("/ServiceAccount/x", Tier::Identity),
        ("/Namespace/x", Tier::Namespace),
    ] {
        assert_eq!(Tier::of(&key(name)), tier, "{name}");
    }
}
