#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use super::*;
use crate::domain::run::StageState;

fn at(minutes: i64) -> Timestamp {
    "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
}

fn stage() -> StageRun {
    StageRun {
        state: StageState::Running,
        tries: 1,
        since: Some(at(0)),
        ..StageRun::new("release")
    }
}

fn terms() -> Terms {
    Terms {
        message: Some("Go live?".into()),
        groups: Vec::new(),
        remind_after: Some(Duration::from_secs(600)),
        expires_after: Some(Duration::from_secs(3600)),
    }
}

fn said(by: &str, verdict: Verdict, groups: &[&str]) -> Approval {
    Approval {
        run: RunNumber(7),
        stage: "release".into(),
        attempt: 1,
        by: by.into(),
        verdict,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        comment: None,
    }
}

fn judged(stage: &StageRun, terms: &Terms, approvals: &[Approval], proof: Proof<'_>, minutes: i64) -> Judgement {
    let question = Question {
        environment: "shop-a",
        run: RunNumber(7),
        stage,
        terms,
    };
    judge(&question, approvals, proof, at(minutes))
}

fn message(judgement: &Judgement) -> &str {
    match &judgement.progress {
        Progress::Pending { message, .. } | Progress::Failed { message, .. } => message,
        Progress::Done { message, .. } => message.as_deref().unwrap_or_default(),
    }
}

#[test]
fn a_question_says_who_may_answer_it_and_how() {
    let mut terms = terms();
    let judgement = judged(&stage(), &terms, &[], Proof::Proven, 1);
    assert_eq!(
        message(&judgement),
        "waits for approval by somebody with the right to until 2026-01-01T01:00:00Z: graftling env approve shop-a release; Go live?"
    );
    assert!(matches!(judgement.progress, Progress::Pending { outside: true, .. }));
    terms.groups = vec!["release".into(), "leads".into()];
    terms.expires_after = None;
    let judgement = judged(&stage(), &terms, &[], Proof::Proven, 1);
    assert_eq!(
        message(&judgement),
        "waits for approval by somebody of one of the groups release, leads: graftling env approve shop-a release; Go live?"
    );
}

#[test]
fn an_approval_ends_the_question_and_a_rejection_wins_over_it() {
    let approved = said("alice", Verdict::Approved, &[]);
    let judgement = judged(&stage(), &terms(), std::slice::from_ref(&approved), Proof::Proven, 1);
    assert!(matches!(judgement.progress, Progress::Done { .. }));
    assert_eq!(message(&judgement), "approved by alice");
    let mut rejected = said("bob", Verdict::Rejected, &[]);
    rejected.comment = Some("not on a Friday".into());
    let judgement = judged(&stage(), &terms(), &[approved, rejected], Proof::Proven, 1);
    assert!(matches!(judgement.progress, Progress::Failed { retry: false, .. }));
    assert_eq!(message(&judgement), "rejected by bob: not on a Friday");
}

#[test]
fn threat_t12_a_word_on_another_run_stage_or_try_says_nothing() {
    let right = said("alice", Verdict::Approved, &[]);
    let mut others = vec![right.clone(), right.clone(), right];
    others[0].run = RunNumber(6);
    others[1].stage = "deploy".into();
    others[2].attempt = 2;
    assert!(matches!(
        judged(&stage(), &terms(), &others, Proof::Proven, 1).progress,
        Progress::Pending { .. }
    ));
}

#[test]
fn a_rejected_stage_that_is_tried_again_asks_again() {
    let rejected = said("bob", Verdict::Rejected, &[]);
    let mut again = stage();
    again.earlier = 1;
    assert_eq!(again.attempt(), 2);
    assert!(matches!(
        judged(&again, &terms(), &[rejected], Proof::Proven, 1).progress,
        Progress::Pending { .. }
    ));
}

#[test]
fn a_reserved_stage_counts_only_who_belongs_to_the_group() {
    let terms = Terms {
        groups: vec!["leads".into()],
        ..terms()
    };
    let outsiders = [said("bob", Verdict::Approved, &["developers"]), said("eve", Verdict::Rejected, &[])];
    let judgement = judged(&stage(), &terms, &outsiders, Proof::Proven, 1);
    assert!(matches!(judgement.progress, Progress::Pending { .. }));
    assert!(
        message(&judgement).contains("what bob, eve said does not count"),
        "{}",
        message(&judgement)
    );
    let lead = said("alice", Verdict::Approved, &["developers", "leads"]);
    let judgement = judged(&stage(), &terms, &[outsiders[0].clone(), lead], Proof::Proven, 1);
    assert_eq!(message(&judgement), "approved by alice");
}

#[test]
fn nothing_counts_where_nobody_proves_who_wrote_it() {
    let said = [said("alice", Verdict::Approved, &[]), said("bob", Verdict::Rejected, &[])];
    let judgement = judged(&stage(), &terms(), &said, Proof::Unproven("the policy is missing"), 1);
    assert!(matches!(judgement.progress, Progress::Pending { .. }));
    assert!(
        message(&judgement).ends_with("what alice, bob said does not count: the policy is missing; Go live?"),
        "{}",
        message(&judgement)
    );
}

#[test]
fn a_question_ends_and_whoever_spoke_in_time_is_heard_all_the_same() {
    let judgement = judged(&stage(), &terms(), &[], Proof::Proven, 60);
    assert!(matches!(judgement.progress, Progress::Failed { retry: true, .. }));
    assert_eq!(
        message(&judgement),
        "nobody approved in time: ask again with `graftling env retry shop-a --from release`"
    );
    let approved = said("alice", Verdict::Approved, &[]);
    let judgement = judged(&stage(), &terms(), &[approved], Proof::Proven, 61);
    assert!(matches!(judgement.progress, Progress::Done { .. }));
}

#[test]
fn reminders_are_counted_and_the_next_thing_that_is_due_is_named() {
    let due = |minutes| {
        let judgement = judged(&stage(), &terms(), &[], Proof::Proven, minutes);
        (judgement.reminders, judgement.again)
    };
    assert_eq!(due(9), (0, Some(at(10))));
    assert_eq!(due(10), (1, Some(at(20))));
    assert_eq!(due(35), (3, Some(at(40))));
    assert_eq!(due(55), (5, Some(at(60))));
    let silent = Terms::default();
    assert_eq!(judged(&stage(), &silent, &[], Proof::Proven, 55).again, None);
}
