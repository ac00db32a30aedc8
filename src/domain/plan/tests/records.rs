//! Run records: before what they tell of, never twice, and never in the way of a teardown.

use super::*;
use crate::domain::inventory::Entry;
use crate::domain::observed::{Deletion, LiveObject};
use crate::domain::plan::records::{include, is_looked_at, is_written};
use crate::domain::plan::teardown::{self, Next, Rules, Tier, View};
use crate::domain::readiness::Readiness;
use crate::domain::retention::Retention;
use crate::domain::run::RunNumber;

fn record(run: u64) -> Manifest {
    manifest(key(&format!("/Secret/graftling-run-{run}")), "record")
}

fn live(key: &ObjectKey, uid: &str) -> LiveObject {
    LiveObject {
        key: key.clone(),
        uid: uid.into(),
        version: 1,
        deletion: None,
        environment: Some(ENVIRONMENT.into()),
        environment_uid: (key.kind == "Namespace").then(|| UID.into()),
        ownership: Some("ours".into()),
        co_appliers: Vec::new(),
        secret: None,
        readiness: Readiness::Ready,
        owners: Vec::new(),
        shares: Shares::new(),
        shared_content: None,
        retention: Retention::default(),
    }
}

fn entry(uid: Option<&str>) -> Entry {
    Entry {
        uid: uid.map(str::to_owned),
        ..Entry::ahead(Stage::Deploy)
    }
}

/// A plan over `inventory` and `observed` for one ConfigMap, with the record of `run` and those of `keep`.
fn planned(inventory: &Inventory, observed: &Observed, run: Option<u64>, keep: &[u64]) -> Plan {
    let desired = desired(&[("/ConfigMap/settings", "one")]);
    let mut plan = crate::domain::plan::deploy::plan(&environment(), UID, &desired, inventory, observed);
    let wanted: Vec<_> = run.map(record).into_iter().collect();
    let keep = keep.iter().copied().map(RunNumber).collect();
    include(&mut plan, &environment(), &wanted, &keep, observed);
    plan
}

fn names(step: &Step) -> Vec<String> {
    match step {
        Step::Apply(applies) => applies.iter().map(|apply| apply.manifest.key.name.clone()).collect(),
        Step::Delete(deletes) => deletes.iter().map(|delete| format!("delete {}", delete.key.name)).collect(),
    }
}

#[test]
fn feature_s3_a_record_is_written_after_the_guardrails_and_before_the_first_object() {
    let plan = planned(&Inventory::default(), &Observed::new(), Some(1), &[]);
    let steps: Vec<_> = plan.steps.iter().map(names).collect();
    assert_eq!(
        steps,
        [
            vec![ENVIRONMENT.to_owned()],
            vec!["graftling-deployer".into(), "graftling-quota".into()],
            vec!["graftling-run-1".into()],
            vec!["settings".into()],
        ]
    );
    assert!(
        plan.write_ahead.get(&record(1).key).is_some(),
        "in the inventory before it is created"
    );
    assert!(!is_written(&plan.write_ahead, RunNumber(1)));
}

#[test]
fn a_record_that_is_there_is_neither_looked_at_nor_written_again_and_one_that_a_crash_lost_is() {
    let home = namespace_key();
    let observed: Observed = [(home.clone(), live(&home, "home"))].into();
    let mut known = Inventory::from_entries([(home.clone(), entry(Some("home"))), (record(1).key, entry(Some("r1")))]);
    assert!(!is_looked_at(&record(1).key, known.get(&record(1).key).unwrap()));
    assert!(is_written(&known, RunNumber(1)));
    let plan = planned(&known, &observed, Some(1), &[]);
    assert!(
        plan.steps.iter().all(|step| !names(step).contains(&"graftling-run-1".to_owned())),
        "{:?}",
        plan.steps
    );
    assert_eq!(plan.write_ahead.get(&record(1).key).unwrap().uid.as_deref(), Some("r1"));
    known.write_ahead(&record(1).key, Stage::Deploy);
    assert!(is_looked_at(&record(1).key, known.get(&record(1).key).unwrap()));
    let plan = planned(&known, &observed, Some(1), &[]);
    assert!(plan.steps.iter().any(|step| names(step) == ["graftling-run-1"]));
}

#[test]
fn f10_somebody_elses_secret_under_the_name_of_a_record_is_an_obstacle() {
    let home = namespace_key();
    let key = record(1).key;
    let foreign = LiveObject {
        ownership: None,
        ..live(&key, "theirs")
    };
    let observed: Observed = [(home.clone(), live(&home, "home")), (key.clone(), foreign)].into();
    let inventory = Inventory::from_entries([(home, entry(Some("home"))), (key.clone(), entry(None))]);
    let plan = planned(&inventory, &observed, Some(1), &[]);
    assert!(plan.steps.is_empty(), "nothing at all is written");
    assert_eq!(
        plan.obstacles[0].to_string(),
        "v1 Secret graftling-run-1 exists and was not created by graftling; rename it in the bundle or remove it"
    );
}

#[test]
fn records_that_nothing_shows_are_removed_under_their_uid_and_forgotten_once_they_are_gone() {
    let home = namespace_key();
    let mut observed: Observed = [(home.clone(), live(&home, "home"))].into();
    let runs = [1, 2, 3].map(|run| (record(run).key, entry(Some("uid"))));
    let mut inventory = Inventory::from_entries([(home, entry(Some("home")))].into_iter().chain(runs));
    let plan = planned(&inventory, &observed, None, &[2, 3]);
    let Some(Step::Delete(deletes)) = plan.steps.last() else {
        panic!("{:?}", plan.steps)
    };
    assert_eq!(
        (deletes.len(), deletes[0].key.name.as_str(), deletes[0].uid.as_str()),
        (1, "graftling-run-1", "uid")
    );
    inventory.mark_asked(&record(1).key);
    assert!(
        planned(&inventory, &observed, None, &[2, 3])
            .write_ahead
            .get(&record(1).key)
            .is_none()
    );
    let ending = LiveObject {
        deletion: Some(Deletion {
            since: "2026-01-01T00:00:00Z".into(),
            finalizers: Vec::new(),
        }),
        ..live(&record(1).key, "uid")
    };
    observed.insert(record(1).key, ending);
    let plan = planned(&inventory, &observed, None, &[2, 3]);
    assert!(plan.write_ahead.get(&record(1).key).is_some(), "forgotten only once it is gone");
    assert!(plan.steps.iter().all(|step| matches!(step, Step::Apply(_))));
}

#[test]
fn f33_nothing_is_recorded_in_a_namespace_that_is_ending() {
    let home = namespace_key();
    let ending = LiveObject {
        deletion: Some(Deletion {
            since: "2026-01-01T00:00:00Z".into(),
            finalizers: Vec::new(),
        }),
        ..live(&home, "home")
    };
    let inventory = Inventory::from_entries([(home.clone(), entry(Some("home")))]);
    let plan = planned(&inventory, &[(home, ending)].into(), Some(1), &[]);
    assert!(plan.steps.is_empty() && plan.write_ahead.get(&record(1).key).is_none());
}

#[test]
fn feature_x3_no_label_taken_off_and_no_wish_to_keep_it_lets_a_record_hold_a_teardown_up() {
    let home = namespace_key();
    let key = record(1).key;
    let stubborn = LiveObject {
        environment: None,
        retention: Retention { asked: true, from: None },
        ..live(&key, "r1")
    };
    let view = View {
        observed: [(home.clone(), live(&home, "home")), (key.clone(), stubborn)].into(),
        foreign: Some(Vec::new()),
        references: Some(teardown::references::References::default()),
        ..View::default()
    };
    let namespace = Entry {
        stage: Stage::Namespace,
        ..entry(Some("home"))
    };
    let inventory = Inventory::from_entries([(home, namespace), (key.clone(), entry(Some("r1")))]);
    let plan = teardown::plan(&environment(), &inventory, &view, &Rules::default());
    assert!(plan.kept.is_empty(), "{:?}", plan.kept);
    let Next::Drain { tier, deletes, .. } = plan.next else {
        panic!("{:?}", plan.next)
    };
    assert_eq!((tier, deletes[0].uid.as_str()), (Tier::Access, "r1"));
}

#[test]
fn feature_x3_what_is_kept_for_a_workload_that_stays_has_no_record_among_it() {
    let home = namespace_key();
    let (web, password, run) = (key("apps/Deployment/web"), key("/Secret/password"), record(1).key);
    let asked = LiveObject {
        retention: Retention { asked: true, from: None },
        ..live(&web, "w")
    };
    let view = View {
        observed: [
            (home.clone(), live(&home, "home")),
            (web.clone(), asked),
            (password.clone(), live(&password, "p")),
            (run.clone(), live(&run, "r")),
        ]
        .into(),
        ..View::default()
    };
    let namespace = Entry {
        stage: Stage::Namespace,
        ..entry(Some("home"))
    };
    let inventory = Inventory::from_entries([
        (home, namespace),
        (web, entry(Some("w"))),
        (password.clone(), entry(Some("p"))),
        (run.clone(), entry(Some("r"))),
    ]);
    let kept = teardown::retain::kept(ENVIRONMENT, &inventory, &view);
    assert!(
        kept.iter().any(|kept| kept.key == password) && kept.iter().all(|kept| kept.key != run),
        "{kept:?}"
    );
}
