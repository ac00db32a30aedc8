//! What is told of plans and of what came of them.
#![allow(clippy::unwrap_used, reason = "what is missing is the test's failure")]

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::manifest::{Manifest, Source};
use crate::domain::observed::{Deletion, LiveObject};
use crate::domain::outcome::Failure;
use crate::domain::plan::Step;
use crate::domain::plan::teardown::Tier;
use crate::domain::plan::{Apply, Because, Delete, Fence};
use crate::domain::readiness::Readiness;
use crate::domain::retention::Retention;

fn key(kind: &str) -> ObjectKey {
    ObjectKey {
        group: String::new(),
        version: "v1".into(),
        kind: kind.into(),
        namespace: (kind != "Namespace").then(|| "n".to_owned()),
        name: "x".into(),
    }
}

/// One object for each stage, under the kind that tells it.
const KINDS: [(&str, Stage); 3] = [
    ("Namespace", Stage::Namespace),
    ("ResourceQuota", Stage::Guardrails),
    ("Service", Stage::Deploy),
];

fn live(kind: &str) -> Box<LiveObject> {
    Box::new(LiveObject {
        key: key(kind),
        uid: "u".into(),
        version: 1,
        deletion: None,
        environment: None,
        environment_uid: None,
        ownership: None,
        co_appliers: Vec::new(),
        secret: None,
        readiness: Readiness::Ready,
        owners: Vec::new(),
        shares: crate::domain::observed::Shares::new(),
        shared_content: None,
        retention: Retention::default(),
    })
}

fn applied(kind: &str) -> Outcome {
    Outcome::Applied {
        stage: KINDS.iter().find(|(of, _)| *of == kind).unwrap().1,
        digest: "d".into(),
        live: live(kind),
    }
}

fn failed(kind: &str, class: FailureClass) -> Outcome {
    Outcome::Failed(Failure {
        key: key(kind),
        class,
        message: format!("the server said {class:?}"),
    })
}

/// A plan that applies one object in each stage, one after the other.
fn plan_of_all() -> Plan {
    let mut plan = quiet();
    plan.steps = KINDS
        .map(|(kind, stage)| {
            let manifest = Manifest {
                key: key(kind),
                body: json!({}).into(),
                source: Source {
                    file: "x.yaml".into(),
                    line: 1,
                },
                digest: "d".into(),
            };
            Step::Apply(vec![Apply {
                manifest,
                stage,
                fence: Fence::MustNotExist,
                force: false,
                because: Because::Missing,
            }])
        })
        .to_vec();
    plan
}

/// A plan that does nothing over an inventory of one object in each stage.
fn quiet() -> Plan {
    let mut inventory = Inventory::default();
    for (kind, stage) in KINDS {
        inventory.write_ahead(&key(kind), stage);
    }
    Plan {
        write_ahead: inventory,
        steps: Vec::new(),
        waiting: Vec::new(),
        obstacles: Vec::new(),
        stale: 0,
        withheld: 0,
        retained: Vec::new(),
    }
}

fn waiting(kind: &str, failed: bool) -> Waiting {
    Waiting {
        key: key(kind),
        reason: "is starting".into(),
        deletion: None,
        failed,
    }
}

fn obstacle(kind: &str) -> Obstacle {
    Obstacle {
        key: key(kind),
        reason: "is theirs".into(),
        stage: KINDS.iter().find(|(of, _)| *of == kind).unwrap().1,
    }
}

fn states(report: &Report) -> [StageState; 3] {
    let states: Vec<_> = report.stages.iter().map(|stage| stage.state).collect();
    assert!(report.stages.iter().map(|stage| stage.stage).eq(Stage::ALL));
    states.try_into().unwrap()
}

use StageState::{Failed, Ready, Running, Waiting as Held};

#[test]
fn an_environment_is_ready_once_everything_is_written_ready_and_nothing_is_left_to_prune() {
    let report = summarise_deployment(&quiet(), &[]);
    assert_eq!((report.phase, report.reason, report.applied), (Phase::Ready, "Ready", true));
    assert_eq!((report.again, report.changed), (None, 0));
    assert_eq!(states(&report), [Ready, Ready, Ready]);

    let report = summarise_deployment(&plan_of_all(), &KINDS.map(|(kind, _)| applied(kind)));
    assert_eq!((report.phase, report.applied, report.changed), (Phase::Ready, true, 3));
    assert_eq!(states(&report), [Ready, Ready, Ready], "the answers say that it is ready");
}

#[test]
fn what_was_just_applied_is_told_as_its_answer_says() {
    let reason = || "is starting".to_owned();
    for (readiness, phase, state) in [
        (Readiness::Progressing { reason: reason() }, Phase::Deploying, Running),
        (Readiness::Failed { reason: reason() }, Phase::Failed, Failed),
    ] {
        let mut outcomes = KINDS.map(|(kind, _)| applied(kind));
        if let Outcome::Applied { live, .. } = &mut outcomes[2] {
            live.readiness = readiness;
        }
        let report = summarise_deployment(&plan_of_all(), &outcomes);
        assert_eq!((report.phase, report.applied), (phase, true));
        assert_eq!(report.message, format!("{} is starting", key("Service")));
        assert_eq!(states(&report), [Ready, Ready, state]);
    }
}

#[test]
fn an_environment_is_not_ready_while_something_stale_is_there() {
    let mut plan = quiet();
    plan.stale = 2;
    let report = summarise_deployment(&plan, &[]);
    assert_eq!((report.phase, report.reason), (Phase::Deploying, "Pruning"));
    assert!(report.again.is_some());
}

#[test]
fn rights_that_were_just_granted_get_a_moment_and_others_do_not() {
    let forbidden = || failed("Service", FailureClass::Forbidden);
    let mut granted = applied("ResourceQuota");
    if let Outcome::Applied { live, .. } = &mut granted {
        live.key.group = "rbac.authorization.k8s.io".into();
    }
    let report = summarise_deployment(&plan_of_all(), &[applied("Namespace"), granted, forbidden()]);
    assert_eq!(
        (report.phase, report.reason, report.applied),
        (Phase::Deploying, "RightsSettling", false)
    );
    let report = summarise_deployment(&plan_of_all(), &[applied("Namespace"), applied("ResourceQuota"), forbidden()]);
    assert_eq!((report.phase, report.reason), (Phase::Failed, "Forbidden"));
}

#[test]
fn a_revision_whose_last_object_did_not_take_is_not_applied() {
    let unwritten = [Outcome::Exists { live: live("Service") }, Outcome::Vanished { key: key("Service") }];
    for last in unwritten {
        let report = summarise_deployment(&plan_of_all(), &[applied("Namespace"), applied("ResourceQuota"), last]);
        assert!(!report.applied);
        assert_eq!(report.phase, Phase::Deploying);
        assert_eq!(states(&report), [Ready, Ready, Running]);
    }
    let stopped = summarise_deployment(&plan_of_all(), &[applied("Namespace")]);
    assert!(!stopped.applied);
}

#[test]
fn a_revision_is_not_applied_while_one_of_its_objects_is_still_going() {
    for kind in ["Namespace", "Service"] {
        let mut plan = quiet();
        plan.waiting = vec![waiting(kind, false)];
        assert!(summarise_deployment(&plan, &[]).applied, "starting is no obstacle");
        plan.waiting[0].deletion = Some(Deletion {
            since: "2026-01-01T00:00:00Z".into(),
            finalizers: Vec::new(),
        });
        assert!(!summarise_deployment(&plan, &[]).applied);
    }
}

#[test]
fn a_stage_that_was_never_reached_is_waiting_and_not_ready() {
    for stopper in [
        Outcome::Exists {
            live: live("ResourceQuota"),
        },
        Outcome::Vanished { key: key("ResourceQuota") },
    ] {
        let report = summarise_deployment(&plan_of_all(), &[applied("Namespace"), stopper]);
        assert_eq!(states(&report), [Ready, Running, Held]);
    }
    let outcomes = [applied("Namespace"), failed("ResourceQuota", FailureClass::Transient)];
    assert_eq!(states(&summarise_deployment(&plan_of_all(), &outcomes)), [Ready, Failed, Held]);
}

#[test]
fn f41_the_stage_that_something_foreign_blocks_is_the_one_that_failed() {
    for (position, (kind, _)) in KINDS.into_iter().enumerate() {
        // The plan's inventory does not know the object: it is not ours.
        let mut plan = quiet();
        plan.write_ahead = Inventory::default();
        plan.obstacles = vec![obstacle(kind)];
        let report = summarise_deployment(&plan, &[]);
        assert_eq!((report.phase, report.reason, report.applied), (Phase::Failed, "NotOurs", false));
        assert_eq!(report.message, format!("{} is theirs", key(kind)));
        let mut expected = [Held; 3];
        expected[position] = Failed;
        assert_eq!(states(&report), expected);
        assert_eq!(
            report.stages[position].message.as_deref(),
            Some(report.message.as_str()),
            "L3: cause and object"
        );
    }
}

#[test]
fn f21_an_ending_namespace_holds_every_stage() {
    let mut plan = quiet();
    plan.waiting = vec![waiting("Namespace", false)];
    assert_eq!(states(&summarise_deployment(&plan, &[])), [Running, Held, Held]);
    plan.write_ahead = Inventory::default();
    assert_eq!(
        states(&summarise_deployment(&plan, &[])),
        [Running, Held, Held],
        "even one that is not recorded"
    );
}

#[test]
fn an_object_that_failed_is_told_before_one_that_is_slow() {
    let mut plan = quiet();
    plan.waiting = vec![waiting("ResourceQuota", false), waiting("Service", true)];
    let report = summarise_deployment(&plan, &[]);
    assert_eq!((report.phase, report.reason), (Phase::Failed, "ObjectFailed"));
    assert_eq!(report.message, format!("{} is starting (and 1 more)", key("Service")));
    plan.waiting[1].failed = false;
    let report = summarise_deployment(&plan, &[]);
    assert_eq!((report.phase, report.reason), (Phase::Deploying, "Waiting"));
}

#[test]
fn f13_f14_f27_f31_every_class_of_failure_has_its_phase_and_reason_and_is_looked_at_again_and_never_at_once() {
    for (class, phase, reason) in [
        (FailureClass::Transient, Phase::Deploying, "ServerUnavailable"),
        (FailureClass::NamespaceEnding, Phase::Deploying, "NamespaceEnding"),
        (FailureClass::Rejected, Phase::Failed, "Rejected"),
        (FailureClass::Forbidden, Phase::Failed, "Forbidden"),
        (FailureClass::Conflict, Phase::Failed, "Conflict"),
        (FailureClass::UnknownKind, Phase::Failed, "UnknownKind"),
    ] {
        let outcomes = [applied("Namespace"), applied("ResourceQuota"), failed("Service", class)];
        let report = summarise_deployment(&plan_of_all(), &outcomes);
        assert_eq!((report.phase, report.reason, report.applied), (phase, reason, false));
        let told = format!("{}: the server said {class:?}", key("Service"));
        assert!(report.message.starts_with(&told), "L3: {}", report.message);
        let says_what_to_do = report.message.len() > told.len();
        assert_eq!(says_what_to_do, phase == Phase::Failed, "{}", report.message);
        let again = report.again.unwrap();
        assert!(
            again >= Duration::from_secs(1),
            "even what needs somebody is looked at again, but not at once: {again:?}"
        );

        let report = summarise_teardown(&teardown(Next::LookForForeign), &[failed("Service", class)]);
        let phase = if phase == Phase::Failed { Phase::Blocked } else { Phase::Deleting };
        assert_eq!((report.phase, report.reason), (phase, reason));
    }
}

#[test]
fn f28_a_failure_that_somebody_must_settle_is_told_before_one_that_passes() {
    let outcomes = [
        failed("Namespace", FailureClass::Transient),
        failed("Service", FailureClass::Rejected),
    ];
    assert_eq!(summarise_deployment(&plan_of_all(), &outcomes).reason, "Rejected");
}

#[test]
fn f26_the_inventory_of_a_report_keeps_what_was_applied_before_the_failure() {
    let outcomes = [
        applied("Namespace"),
        applied("ResourceQuota"),
        failed("Service", FailureClass::Rejected),
    ];
    let report = summarise_deployment(&plan_of_all(), &outcomes);
    assert_eq!(report.changed, 2);
    let uid = |kind| report.inventory.get(&key(kind)).unwrap().uid.clone();
    assert_eq!(
        [uid("Namespace"), uid("ResourceQuota"), uid("Service")],
        [Some("u".into()), Some("u".into()), None]
    );
}

fn teardown(next: Next) -> TeardownPlan {
    let inventory = quiet().write_ahead;
    TeardownPlan {
        inventory,
        next,
        kept: Vec::new(),
    }
}

#[test]
fn every_step_of_a_teardown_has_a_phase_a_sentence_and_a_next_look() {
    let delete = Delete {
        key: key("Service"),
        uid: "u".into(),
        stage: Stage::Deploy,
        removal: crate::domain::plan::Removal::Delete,
    };
    let drain = |deletes, waiting| Next::Drain {
        tier: Tier::Identity,
        deletes,
        waiting,
    };
    for (next, phase, message) in [
        (
            drain(vec![delete.clone()], Vec::new()),
            Phase::Deleting,
            "removing service accounts (1)".to_owned(),
        ),
        (
            drain(Vec::new(), vec![waiting("Service", false), waiting("Service", false)]),
            Phase::Deleting,
            format!("{} is starting (and 1 more)", key("Service")),
        ),
        (Next::LookForForeign, Phase::Deleting, "looking for objects of others".to_owned()),
        (
            Next::LookForReferences,
            Phase::Deleting,
            "looking for what counts on the service accounts".to_owned(),
        ),
        (Next::DeleteNamespace(delete), Phase::Deleting, "removing the namespace".to_owned()),
        (
            Next::AwaitNamespace(waiting("Namespace", false)),
            Phase::Deleting,
            format!("{} is starting", key("Namespace")),
        ),
        (Next::Conclude, Phase::Deleting, "everything is removed".to_owned()),
        (
            Next::Blocked(vec![obstacle("Service")]),
            Phase::Blocked,
            format!("{} is theirs", key("Service")),
        ),
    ] {
        let report = summarise_teardown(&teardown(next), &[]);
        assert_eq!((report.phase, report.message.as_str()), (phase, message.as_str()));
        assert!(report.again.is_some());
        assert!(!report.applied);
    }
}

#[test]
fn a_refusal_keeps_the_inventory_and_changes_nothing() {
    let report = summarise_refusal("InvalidProject", "spec.domain is missing", quiet().write_ahead, None);
    assert_eq!((report.phase, report.reason), (Phase::Failed, "InvalidProject"));
    assert_eq!((report.inventory, report.changed, report.applied), (quiet().write_ahead, 0, false));
}

proptest! {
    #[test]
    fn threat_t33_a_message_is_one_line_of_bounded_length_whatever_the_server_says(text in ".{0,600}|(?s).{0,40}|\\PC{500,530}") {
        let outcome = Outcome::Failed(Failure { key: key("Service"), class: FailureClass::Rejected, message: text.clone() });
        let report = summarise_deployment(&plan_of_all(), &[outcome]);
        for message in [Some(&report.message), report.stages[2].message.as_ref()].into_iter().flatten() {
            prop_assert!(message.chars().count() <= Report::MESSAGE_LENGTH);
            prop_assert!(!message.chars().any(char::is_control));
        }
        let whole = format!("{}: {text}", key("Service"));
        let cut = whole.chars().count() > Report::MESSAGE_LENGTH;
        prop_assert_eq!(report.message.ends_with('…') && report.message.chars().count() == Report::MESSAGE_LENGTH, cut || whole.chars().count() == Report::MESSAGE_LENGTH && whole.ends_with('…'));
    }
}
