//! Objects that environments share: nobody loses one that they still own, and nothing is left once nobody does.

use proptest::prelude::*;
use proptest::sample::select;

use super::cluster::{Cluster, Write};
use super::controller::{Controller, Crash};
use super::deploy::crash;
use super::*;
use crate::domain::plan::teardown::Next;
use crate::domain::status::Phase;

const CLASS: &str = "scheduling.k8s.io/PriorityClass/shared";
const OTHER: &str = "shop-b-bbbbbbbbbb";

fn owners(cluster: &Cluster) -> Vec<&str> {
    let object = cluster.objects.get(&key(CLASS));
    object
        .into_iter()
        .flat_map(|object| object.shares.keys())
        .map(String::as_str)
        .collect()
}

#[test]
fn feature_i5_the_first_environment_makes_a_shared_object_others_join_and_the_last_one_removes_it() {
    let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
    let wish = desired(&[(CLASS, "one")]);
    controller.settle(&mut cluster, &wish);
    assert_eq!(owners(&cluster), [ENVIRONMENT]);
    cluster.join(&key(CLASS), OTHER, "one");
    let log = cluster.log.len();
    controller.settle(&mut cluster, &wish);
    assert_eq!(cluster.log.len(), log, "another owner changes nothing for us");
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
    assert_eq!(owners(&cluster), [OTHER]);
    assert!(!cluster.log.contains(&Write::Delete(key(CLASS))));

    let mut controller = Controller::default();
    controller.settle(&mut cluster, &wish);
    assert_eq!(owners(&cluster), [ENVIRONMENT, OTHER], "joined again");
    cluster.leave(&key(CLASS), OTHER);
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
    assert!(cluster.objects.is_empty(), "{:?}", cluster.objects);
}

#[test]
fn feature_i5_an_object_that_nobody_shares_is_not_adopted() {
    let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
    cluster.make_foreign(&key(CLASS), false);
    let before = cluster.objects.clone();
    let report = controller.settle(&mut cluster, &desired(&[(CLASS, "foreign")]));
    assert_eq!((report.phase, report.reason), (Phase::Failed, "NotOurs"));
    assert_eq!(cluster.objects, before);
}

#[test]
fn feature_i5_two_wishes_for_one_object_are_told_with_both_owners() {
    let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
    cluster.join(&key(CLASS), OTHER, "two");
    let before = cluster.objects.clone();
    let report = controller.settle(&mut cluster, &desired(&[(CLASS, "one")]));
    assert_eq!(report.phase, Phase::Failed);
    for word in ["test.yaml:1", ENVIRONMENT, OTHER] {
        assert!(report.message.contains(word), "{}", report.message);
    }
    assert_eq!(cluster.objects, before);
    cluster.leave(&key(CLASS), OTHER);
    let report = controller.settle(&mut cluster, &desired(&[(CLASS, "one")]));
    assert_eq!(report.phase, Phase::Ready, "it heals when the other goes");
}

#[test]
fn f55_an_environment_that_joins_while_the_last_owner_leaves_wins() {
    let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
    controller.settle(&mut cluster, &desired(&[(CLASS, "one")]));
    let live = cluster.live(&key(CLASS)).unwrap();
    let delete = Delete {
        key: key(CLASS),
        uid: live.uid.clone(),
        stage: Stage::Deploy,
        removal: Removal::of(&live, ENVIRONMENT),
    };
    cluster.join(&key(CLASS), OTHER, "one");
    cluster.delete(&delete);
    assert_eq!(owners(&cluster), [ENVIRONMENT, OTHER]);
}

#[derive(Debug, Clone)]
enum Happens {
    Deploy(Option<Crash>),
    Prune(Option<Crash>),
    Teardown(Option<Crash>),
    Join,
    Leave,
    Tick,
}

fn happens() -> impl Strategy<Value = Happens> {
    let dies = || prop::option::of(crash());
    prop_oneof![
        dies().prop_map(Happens::Deploy),
        dies().prop_map(Happens::Prune),
        dies().prop_map(Happens::Teardown),
        select(vec![Happens::Join, Happens::Leave, Happens::Tick]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn f44_f55_whatever_dies_a_shared_object_lives_exactly_as_long_as_it_has_an_owner(
        history in prop::collection::vec(happens(), 0..16),
        other_stays in any::<bool>(),
    ) {
        let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
        let (wish, nothing) = (desired(&[(CLASS, "one")]), desired(&[]));
        let (mut ended, mut joined) = (false, false);
        for event in history {
            match event {
                Happens::Deploy(crash) if !ended => drop(controller.deploy(&mut cluster, &wish, crash)),
                Happens::Prune(crash) if !ended => drop(controller.deploy(&mut cluster, &nothing, crash)),
                Happens::Teardown(crash) => {
                    ended = true;
                    controller.teardown(&mut cluster, false, crash);
                }
                Happens::Join => {
                    cluster.join(&key(CLASS), OTHER, "one");
                    joined = true;
                }
                Happens::Leave => {
                    cluster.leave(&key(CLASS), OTHER);
                    joined = false;
                }
                Happens::Deploy(_) | Happens::Prune(_) | Happens::Tick => cluster.tick(),
            }
            prop_assert!(!joined || owners(&cluster).contains(&OTHER), "taken from its other owner");
        }
        if joined && !other_stays {
            cluster.leave(&key(CLASS), OTHER);
            joined = false;
        }
        prop_assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
        prop_assert_eq!(owners(&cluster), if joined { vec![OTHER] } else { Vec::new() });
        prop_assert_eq!(cluster.objects.len(), usize::from(joined), "{:?}", cluster.objects);
    }
}
