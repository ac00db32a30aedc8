//! Properties of deployments.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::cluster::{Cluster, Write};
use super::controller::{Controller, Crash};
use super::*;
use crate::domain::inventory::{Entry, Relation};
use crate::domain::manifest::{Wave, wave};
use crate::domain::status::Phase;

pub const OBJECTS: [&str; 10] = [
    "/ServiceAccount/web",
    "rbac.authorization.k8s.io/Role/web",
    "/ConfigMap/settings",
    "/Secret/password",
    "apps/Deployment/web",
    "apps/StatefulSet/db",
    "/Service/web",
    "databases.example.com/Database/main",
    "scheduling.k8s.io/PriorityClass/urgent",
    "rbac.authorization.k8s.io/ClusterRoleBinding/web",
];

/// Some objects, each with one of two contents.
pub fn bundle() -> impl Strategy<Value = Desired> {
    let objects = subsequence(OBJECTS.to_vec(), 0..=OBJECTS.len());
    (objects, prop::collection::vec(select(vec!["one", "two"]), OBJECTS.len())).prop_map(|(objects, contents)| {
        let objects: Vec<_> = objects.into_iter().zip(contents).collect();
        desired(&objects)
    })
}

pub fn crash() -> impl Strategy<Value = Crash> {
    (0..12_usize, any::<bool>()).prop_map(|(at, committed)| Crash { at, committed })
}

/// Stages and waves in their order: no write of a later one before a write of an earlier one.
fn check_order(plan: &Plan) {
    let ranks: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::Apply(applies) => Some(applies),
            Step::Delete(_) => None,
        })
        .map(|applies| {
            let rank = |apply: &Apply| match apply.stage {
                Stage::Deploy => (apply.stage, wave(&apply.manifest.key)),
                earlier => (earlier, Wave::Identity),
            };
            let first = rank(&applies[0]);
            assert!(applies.iter().all(|apply| rank(apply) == first), "one step, one rank");
            first
        })
        .collect();
    assert!(ranks.is_sorted() && ranks.windows(2).all(|pair| pair[0] != pair[1]), "{ranks:?}");
    assert!(plan.steps.iter().all(|step| !step.is_empty()));
}

/// Exactly the desired objects are there, as desired, and planning again is quiet (L1).
fn check_converged(controller: &mut Controller, cluster: &mut Cluster, desired: &Desired) {
    let wanted: Vec<_> = keys(desired).cloned().collect();
    for key in &wanted {
        assert!(cluster.objects.contains_key(key), "{key} is missing");
    }
    for manifest in &desired.objects {
        assert_eq!(manifest.body["content"], cluster.objects[&manifest.key].content.as_str());
    }
    let ours = cluster.objects.iter().filter(|(_, object)| object.made_by_us);
    for (key, object) in ours {
        assert!(wanted.contains(key), "{key} is stale");
        assert_eq!(
            controller.stored.get(key).unwrap().uid.as_ref(),
            Some(&object.uid),
            "{key} is recorded under its UID"
        );
    }
    assert_eq!(controller.stored.len(), wanted.len());
    let (log, stored) = (cluster.log.len(), controller.stored.clone());
    let (plan, report) = controller.deploy(cluster, desired, None).unwrap();
    assert!(
        plan.is_quiet() && plan.waiting.is_empty() && plan.obstacles.is_empty(),
        "L1: {plan}"
    );
    assert_eq!((cluster.log.len(), &controller.stored), (log, &stored), "L1");
    assert_eq!((report.phase, report.applied), (Phase::Ready, true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn f01_f02_f05_any_crashes_while_creating_end_where_none_would_have(desired in bundle(), crashes in prop::collection::vec(crash(), 0..4)) {
        let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
        for crash in crashes {
            controller.deploy(&mut cluster, &desired, Some(crash));
        }
        controller.settle(&mut cluster, &desired);
        check_converged(&mut controller, &mut cluster, &desired);
        let created = cluster.log.iter().filter(|write| matches!(write, Write::Create(..))).count();
        prop_assert_eq!(created, keys(&desired).count(), "S9: each object is created once");
        let (mut clean, mut other) = (Cluster::default(), Controller::default());
        other.settle(&mut clean, &desired);
        prop_assert_eq!(cluster.shape(), clean.shape());
    }

    #[test]
    fn f03_any_crashes_while_updating_end_where_none_would_have(old in bundle(), new in bundle(), crashes in prop::collection::vec((crash(), any::<bool>()), 0..6), slow in any::<bool>()) {
        let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
        if slow {
            cluster.slow_kinds.insert("Database".into());
        }
        controller.settle(&mut cluster, &old);
        let log = cluster.log.len();
        for (crash, time_passes) in crashes {
            controller.deploy(&mut cluster, &new, Some(crash));
            if time_passes {
                cluster.tick();
            }
        }
        controller.settle(&mut cluster, &new);
        check_converged(&mut controller, &mut cluster, &new);
        let stale: Vec<_> = keys(&old).filter(|key| !keys(&new).any(|kept| kept == *key)).cloned().collect();
        let deleted: Vec<_> = cluster.log[log..].iter().filter_map(|write| match write { Write::Delete(key) => Some(key.clone()), _ => None }).collect();
        for key in &deleted {
            prop_assert!(stale.contains(key), "{} was deleted", key);
        }
        for key in &stale {
            prop_assert_eq!(deleted.iter().filter(|gone| *gone == key).count(), 1, "{} goes exactly once", key);
        }
        let first_delete = cluster.log[log..].iter().position(|write| matches!(write, Write::Delete(_)));
        let last_apply = cluster.log[log..].iter().rposition(|write| !matches!(write, Write::Delete(_)));
        prop_assert!(first_delete.is_none() || last_apply.is_none() || last_apply < first_delete, "pruned before all was applied");
    }

    #[test]
    fn f30_guardrails_before_the_bundle_and_identities_before_workloads(old in bundle(), new in bundle()) {
        let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
        for desired in [&old, &new] {
            let observed = cluster.observe(keys(desired));
            check_order(&super::super::deploy::plan(&environment(), UID, desired, &controller.stored, &observed));
            controller.settle(&mut cluster, desired);
        }
        let stages: Vec<_> = cluster.log.iter().filter_map(|write| match write { Write::Create(_, stage) => Some(*stage), _ => None }).collect();
        prop_assert!(stages.is_sorted(), "{:?}", stages);
    }

    #[test]
    fn f41_nothing_foreign_is_ever_written_and_then_nothing_at_all(desired in bundle(), chosen in any::<prop::sample::Index>(), labelled in any::<bool>(), unseen in any::<bool>(), crashes in prop::collection::vec(crash(), 0..3)) {
        let all: Vec<_> = keys(&desired).cloned().collect();
        let foreign = chosen.get(&all).clone();
        let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
        if foreign.namespace.is_some() {
            // The rest of the environment stands already, so that there is a namespace for somebody to write into.
            let mut rest = desired.clone();
            rest.objects.retain(|manifest| manifest.key != foreign);
            rest.guardrails.retain(|manifest| manifest.key != foreign);
            controller.settle(&mut cluster, &rest);
        }
        cluster.make_foreign(&foreign, labelled);
        let (before, log) = (cluster.foreign(), cluster.log.len());
        if unseen {
            controller.unseen.insert(foreign.clone());
        }
        for crash in crashes {
            controller.deploy(&mut cluster, &desired, Some(crash));
            prop_assert_eq!(&cluster.foreign(), &before, "S1");
        }
        let report = controller.settle(&mut cluster, &desired);
        prop_assert_eq!(cluster.foreign(), before, "S1");
        prop_assert_eq!((report.phase, report.reason, report.applied), (Phase::Failed, "NotOurs", false));
        let expected = format!("{foreign} exists");
        prop_assert!(report.message.starts_with(&expected), "L3: {}", report.message);
        if !unseen {
            prop_assert_eq!(cluster.log.len(), log, "nothing at all is written");
        }
        // It heals as soon as the foreign object is gone.
        cluster.objects.remove(&foreign);
        controller.settle(&mut cluster, &desired);
        check_converged(&mut controller, &mut cluster, &desired);
    }

    #[test]
    fn f20_a_watch_that_lags_behind_costs_a_pass_and_nothing_else(desired in bundle(), unseen in subsequence(OBJECTS.to_vec(), 0..=OBJECTS.len()), namespace in any::<bool>(), crashes in prop::collection::vec(crash(), 0..3)) {
        let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
        controller.settle(&mut cluster, &desired);
        let shape = cluster.shape();
        let uids: Vec<_> = cluster.objects.values().map(|object| object.uid.clone()).collect();
        controller.unseen = unseen.into_iter().map(key).collect();
        if namespace {
            controller.unseen.insert(namespace_key());
        }
        for crash in crashes {
            controller.deploy(&mut cluster, &desired, Some(crash));
        }
        controller.settle(&mut cluster, &desired);
        check_converged(&mut controller, &mut cluster, &desired);
        prop_assert_eq!(cluster.shape(), shape);
        prop_assert_eq!(cluster.objects.values().map(|object| object.uid.clone()).collect::<Vec<_>>(), uids, "S9: nothing was re-created");
    }

    #[test]
    fn f42_labels_that_somebody_takes_off_are_put_back_even_if_the_watch_loses_the_object(desired in bundle(), chosen in any::<prop::sample::Index>(), unseen in any::<bool>()) {
        let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
        controller.settle(&mut cluster, &desired);
        let all: Vec<_> = keys(&desired).cloned().collect();
        let robbed = chosen.get(&all);
        let uid = cluster.objects[robbed].uid.clone();
        cluster.objects.get_mut(robbed).unwrap().environment = None;
        if unseen {
            // Watches select by label, so the object is gone from them.
            controller.unseen.insert(robbed.clone());
        }
        controller.settle(&mut cluster, &desired);
        prop_assert_eq!(cluster.objects[robbed].environment.as_deref(), Some(ENVIRONMENT));
        prop_assert_eq!(&cluster.objects[robbed].uid, &uid);
        check_converged(&mut controller, &mut cluster, &desired);
    }

    #[test]
    fn whatever_somebody_deletes_or_edits_is_put_right(desired in bundle(), gone in subsequence(OBJECTS.to_vec(), 0..3), edited in subsequence(OBJECTS.to_vec(), 0..3), crashes in prop::collection::vec(crash(), 0..3)) {
        let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
        controller.settle(&mut cluster, &desired);
        for name in gone {
            cluster.objects.remove(&key(name));
        }
        for name in edited {
            if let Some(object) = cluster.objects.get_mut(&key(name)) {
                object.ownership = Some("less".into());
            }
        }
        for crash in crashes {
            controller.deploy(&mut cluster, &desired, Some(crash));
        }
        controller.settle(&mut cluster, &desired);
        check_converged(&mut controller, &mut cluster, &desired);
    }

    #[test]
    fn an_entry_and_an_object_have_exactly_one_relation(recorded in prop::option::of(select(vec!["1", "2"])), uid in select(vec!["1", "2"]), label in prop::option::of(select(vec![ENVIRONMENT, "shop-b-bbbbbbbbbb"])), applied in any::<bool>()) {
        let mut cluster = Cluster::default();
        cluster.make_foreign(&namespace_key(), false);
        let mut live = cluster.live(&namespace_key()).unwrap();
        live.uid = uid.into();
        live.environment = label.map(str::to_owned);
        live.ownership = applied.then(|| "fields".to_owned());
        let entry = Entry { uid: recorded.map(str::to_owned), ..Entry::ahead(Stage::Deploy) };
        let relation = entry.relation(&live, ENVIRONMENT);
        let proven = recorded == Some(uid) || (recorded.is_none() && applied);
        match relation {
            Relation::Ours => prop_assert!(proven && label == Some(ENVIRONMENT), "S1"),
            Relation::Disowned => prop_assert!(proven && label != Some(ENVIRONMENT)),
            Relation::Foreign => prop_assert!(recorded != Some(uid)),
        }
        if recorded.is_none() && label.is_some_and(|label| label != ENVIRONMENT) {
            prop_assert_eq!(relation, Relation::Foreign, "S3: another environment's");
        }
    }
}
