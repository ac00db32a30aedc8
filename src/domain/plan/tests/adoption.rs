//! Environments whose object is lost, and their inventory with it: what is taken over is what was made.

use proptest::prelude::*;

use super::cluster::{Cluster, Write};
use super::controller::{Controller, Crash};
use super::deploy::{bundle, crash};
use super::*;
use crate::domain::adoption::rebuild;
use crate::domain::plan::teardown::Next;

/// What the live objects show: those that bear the label and that we applied.
fn found(cluster: &Cluster) -> Vec<(ObjectKey, String)> {
    let applied = cluster
        .objects
        .iter()
        .filter(|(_, object)| object.environment.as_deref() == Some(ENVIRONMENT) && object.ownership.is_some());
    applied.map(|(key, object)| (key.clone(), object.uid.clone())).collect()
}

fn lost(cluster: &mut Cluster) -> Controller {
    cluster.objects.get_mut(&namespace_key()).unwrap().environment_uid = Some("environment-0".into());
    Controller {
        stored: rebuild(&Inventory::default(), &found(cluster)),
        ..Controller::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn f40_f43_what_is_taken_over_is_neither_made_anew_nor_removed_and_goes_whole_later(
        desired in bundle(), crashes in prop::collection::vec(crash(), 0..3),
    ) {
        let (mut cluster, mut before) = (Cluster::default(), Controller::default());
        before.settle(&mut cluster, &desired);
        let mut controller = lost(&mut cluster);
        prop_assert_eq!(controller.stored.len(), before.stored.len());
        let uids: Vec<_> = cluster.objects.values().map(|object| object.uid.clone()).collect();
        let log = cluster.log.len();
        for crash in crashes {
            controller.deploy(&mut cluster, &desired, Some(crash));
        }
        controller.settle(&mut cluster, &desired);
        let is_update = |write: &Write| matches!(write, Write::Update(..));
        prop_assert!(cluster.log[log..].iter().all(is_update), "{:?}", &cluster.log[log..]);
        prop_assert_eq!(cluster.objects.values().map(|object| object.uid.clone()).collect::<Vec<_>>(), uids);
        prop_assert_eq!(cluster.objects[&namespace_key()].environment_uid.as_deref(), Some(UID));
        prop_assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
        prop_assert!(cluster.objects.is_empty());
    }

    #[test]
    fn f40_a_teardown_right_after_an_adoption_leaves_nothing_and_touches_nothing_of_others(
        desired in bundle(), labelled in any::<bool>(), crashes in prop::collection::vec((crash(), any::<bool>()), 0..8),
    ) {
        let (mut cluster, mut before) = (Cluster::default(), Controller::default());
        before.settle(&mut cluster, &desired);
        cluster.make_foreign(&key("/ConfigMap/notes"), labelled);
        let mut controller = lost(&mut cluster);
        for (crash, time_passes) in crashes {
            controller.teardown(&mut cluster, false, Some(crash));
            if time_passes {
                cluster.tick();
            }
        }
        let theirs = cluster.foreign();
        prop_assert!(matches!(controller.tear_down(&mut cluster, false), Next::Blocked(_)));
        prop_assert_eq!(cluster.foreign(), theirs, "S1");
        cluster.objects.remove(&key("/ConfigMap/notes"));
        prop_assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
        prop_assert!(cluster.objects.is_empty());
    }
}

#[test]
fn f35_a_deletion_after_each_write_of_a_creation_leaves_nothing() {
    let objects = [
        ("/ServiceAccount/web", "one"),
        ("/ConfigMap/settings", "one"),
        ("/Secret/password", "one"),
        ("apps/Deployment/web", "one"),
        ("databases.example.com/Database/main", "one"),
    ];
    let desired = desired(&objects);
    let writes = keys(&desired).count();
    for at in 0..=writes {
        for committed in [false, true] {
            let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
            controller.deploy(&mut cluster, &desired, Some(Crash { at, committed }));
            assert!(at < writes || cluster.objects.len() == writes);
            assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude, "write {at}");
            assert!(
                cluster.objects.is_empty(),
                "write {at}, committed {committed}: {:?}",
                cluster.objects
            );
        }
    }
}
