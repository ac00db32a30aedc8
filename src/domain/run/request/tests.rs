#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

mod histories;

use jiff::Timestamp;
use serde_json::Value;

use super::*;
use crate::domain::bundle::pipeline::{Action as Does, Condition, OnFailure, Stage};
use crate::domain::run::{ByHand, RunState, Source, StageRun, StageState};

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn stage(name: &str, action: Does, needs: &[&str]) -> Stage {
    Stage {
        name: name.into(),
        line: 1,
        action,
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        when: Condition::default(),
        timeout: None,
        retries: 0,
        on_failure: OnFailure::Stop,
    }
}

/// migrate → smoke → release (a person) → deploy, and docs beside them.
fn pipeline() -> [Stage; 5] {
    [
        stage("migrate", Does::Job(Value::Null), &[]),
        stage("smoke", Does::Check(Value::Null), &["migrate"]),
        stage("release", Does::Approve(Value::Null), &["smoke"]),
        stage("deploy", Does::Apply(Vec::new()), &["release"]),
        stage("docs", Does::Apply(Vec::new()), &[]),
    ]
}

fn run(state: RunState, stages: [StageState; 5]) -> Run {
    let names = ["migrate", "smoke", "release", "deploy", "docs"];
    Run {
        number: RunNumber(7),
        revision: "a".repeat(40),
        digest: "d".into(),
        source: Source::Bundle,
        because: "of a push".into(),
        started: now(),
        ended: (state != RunState::Running).then(now),
        state,
        stages: names.into_iter().zip(stages).map(|(name, state)| stage_run(name, state)).collect(),
    }
}

fn stage_run(name: &str, state: StageState) -> StageRun {
    StageRun {
        state,
        tries: u32::from(!matches!(state, StageState::Waiting | StageState::Skipped)),
        ..StageRun::new(name)
    }
}

use StageState::{Failed, Running, Skipped, Succeeded, Waiting};

/// The smoke test failed, and what needs it was left out.
fn failed() -> Run {
    run(RunState::Failed, [Succeeded, Failed, Skipped, Skipped, Succeeded])
}

fn asked(action: Action, run: Option<&Run>) -> Result<Answer, Refusal> {
    asked_with(action, run, &[])
}

fn asked_with(action: Action, run: Option<&Run>, records: &[Recorded]) -> Result<Answer, Refusal> {
    let objects = ["Deployment/web", "Service/web", "ConfigMap/settings", "NetworkPolicy/web"].map(|text| {
        let name: ObjectName = text.parse().unwrap();
        ObjectKey {
            group: String::new(),
            version: "v1".into(),
            kind: name.kind,
            namespace: Some("shop-a".into()),
            name: name.name,
        }
    });
    let request = Request {
        id: "1".into(),
        action,
        by: "alice".into(),
    };
    let known = Known {
        stages: &pipeline(),
        run,
        records,
        objects: &objects,
        closed: None,
    };
    answer(&request, &known, now())
}

fn states(answer: Answer) -> Vec<StageState> {
    match answer.effect {
        Effect::Run { run, .. } => run.stages.iter().map(|stage| stage.state).collect(),
        other => panic!("no run goes on: {other:?}"),
    }
}

fn changed(answer: Answer) -> Run {
    match answer.effect {
        Effect::Run { run, .. } => run,
        other => panic!("no run goes on: {other:?}"),
    }
}

fn retry(from: Option<&str>) -> Action {
    Action::Retry {
        from: from.map(str::to_owned),
    }
}

fn skip(stage: &str) -> Action {
    Action::Skip { stage: stage.into() }
}

fn rerun(stage: &str) -> Action {
    Action::Rerun { stage: stage.into() }
}

fn records() -> Vec<Recorded> {
    let record = |run, letter: &str| Recorded {
        run: RunNumber(run),
        revision: letter.repeat(40),
    };
    vec![record(3, "b"), record(5, "c"), record(6, "a"), record(7, "a")]
}

fn back(to: Goal, run: Option<&Run>) -> Result<RunNumber, String> {
    match asked_with(Action::Rollback { to }, run, &records()) {
        Ok(Answer {
            effect: Effect::Rollback(rollback),
            ..
        }) => Ok(rollback.to),
        Ok(other) => panic!("no rollback: {other:?}"),
        Err(refusal) => Err(refusal.to_string()),
    }
}

#[test]
fn a_retry_takes_up_what_failed_and_what_was_left_out_because_of_it() {
    let answer = asked(retry(None), Some(&failed())).unwrap();
    assert_eq!(answer.told, "run 7 goes on: alice asked for another try of smoke, release, deploy");
    let run = changed(answer);
    assert_eq!(run.state, RunState::Running);
    assert_eq!(run.ended, None);
    let states: Vec<_> = run.stages.iter().map(|stage| stage.state).collect();
    assert_eq!(states, [Succeeded, Waiting, Waiting, Waiting, Succeeded]);
}

#[test]
fn the_numbers_of_tries_go_on_over_a_retry_because_jobs_bear_them() {
    let mut failed = run(RunState::Failed, [Failed, Skipped, Skipped, Skipped, Succeeded]);
    failed.stages[0].tries = 3;
    let again = changed(asked(retry(None), Some(&failed)).unwrap());
    assert_eq!((again.stages[0].tries, again.stages[0].attempt()), (0, 4));
}

#[test]
fn a_retry_from_a_stage_takes_it_and_everything_behind_it() {
    let succeeded = run(RunState::Succeeded, [Succeeded; 5]);
    let answer = asked(retry(Some("smoke")), Some(&succeeded)).unwrap();
    assert_eq!(states(answer), [Succeeded, Waiting, Waiting, Waiting, Succeeded]);
}

#[test]
fn a_retry_never_goes_past_what_failed_before_it() {
    let refusal = asked(retry(Some("deploy")), Some(&failed())).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "stage deploy needs smoke, which has not succeeded: begin there, with `graftling env retry --from smoke`"
    );
}

#[test]
fn a_retry_is_refused_while_a_run_is_under_way_and_where_nothing_failed() {
    let running = run(RunState::Running, [Succeeded, Running, Waiting, Waiting, Succeeded]);
    let refusal = asked(retry(None), Some(&running)).unwrap_err().to_string();
    assert!(refusal.starts_with("run 7 is under way at smoke, release, deploy: "), "{refusal}");
    let succeeded = run(RunState::Succeeded, [Succeeded; 5]);
    let refusal = asked(retry(None), Some(&succeeded)).unwrap_err().to_string();
    assert!(refusal.contains("retry --from STAGE"), "{refusal}");
    let refusal = asked(retry(None), None).unwrap_err().to_string();
    assert_eq!(refusal, "nothing has run yet, so there is nothing to retry; a run begins by itself");
}

#[test]
fn an_unknown_stage_is_refused_with_a_near_one() {
    let refusal = asked(retry(Some("smok")), Some(&failed())).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "run 7 has no stage \"smok\" (did you mean \"smoke\"?); it has migrate, smoke, release, deploy, docs"
    );
}

#[test]
fn a_skipped_stage_lets_go_on_what_was_left_out_behind_it() {
    let run = changed(asked(skip("smoke"), Some(&failed())).unwrap());
    let states: Vec<_> = run.stages.iter().map(|stage| stage.state).collect();
    assert_eq!(states, [Succeeded, Skipped, Waiting, Waiting, Succeeded]);
    assert_eq!(run.stages[1].by_hand, Some(ByHand::Skip));
    assert_eq!(run.stages[1].message.as_deref(), Some("skipped by hand: alice asked for it"));
    assert_eq!(run.state, RunState::Running);
}

#[test]
fn a_stage_that_was_not_reached_is_skipped_in_its_place() {
    let running = run(RunState::Running, [Running, Waiting, Waiting, Waiting, Succeeded]);
    let run = changed(asked(skip("smoke"), Some(&running)).unwrap());
    assert_eq!(run.stages[1].state, Waiting);
    assert_eq!(run.stages[1].by_hand, Some(ByHand::Skip));
}

#[test]
fn what_was_skipped_by_hand_stays_so_when_another_is() {
    let mut run = run(RunState::Failed, [Failed, Skipped, Skipped, Skipped, Succeeded]);
    run.stages[1].by_hand = Some(ByHand::Skip);
    let skipped = changed(asked(retry(None), Some(&run)).unwrap());
    assert_eq!((skipped.stages[1].state, skipped.stages[2].state), (Skipped, Waiting));
}

#[test]
fn no_request_goes_around_a_person_s_word() {
    let waiting = run(RunState::Running, [Succeeded, Succeeded, Running, Waiting, Succeeded]);
    let refusal = asked(skip("release"), Some(&waiting)).unwrap_err();
    assert!(matches!(refusal, Refusal::Approve { .. }), "{refusal}");
    let rejected = run(RunState::Failed, [Succeeded, Succeeded, Failed, Skipped, Succeeded]);
    for around in [skip("release"), skip("deploy"), rerun("deploy"), retry(Some("deploy"))] {
        let refusal = asked(around.clone(), Some(&rejected));
        assert!(refusal.is_err(), "{around:?} gave {refusal:?}");
    }
}

#[test]
fn containers_under_way_are_never_taken_out_of_a_run() {
    let running = run(RunState::Running, [Running, Waiting, Waiting, Waiting, Succeeded]);
    let refusal = asked(skip("migrate"), Some(&running)).unwrap_err().to_string();
    assert!(refusal.contains("never killed"), "{refusal}");
    let refusal = back(Goal::Run(RunNumber(5)), Some(&running)).unwrap_err();
    assert!(refusal.contains("never killed"), "{refusal}");
}

#[test]
fn what_is_over_cannot_be_skipped() {
    let why = |stage, run: &Run| asked(skip(stage), Some(run)).unwrap_err().to_string();
    assert_eq!(
        why("migrate", &failed()),
        "stage migrate has succeeded, so there is nothing to skip"
    );
    assert_eq!(
        why("deploy", &failed()),
        "stage deploy did not run because smoke failed: skip that one, or try it again with `graftling env retry`"
    );
    let mut skipped = failed();
    skipped.stages[1] = StageRun {
        by_hand: Some(ByHand::Skip),
        ..stage_run("smoke", Skipped)
    };
    assert!(why("smoke", &skipped).contains("is skipped by hand already"));
}

#[test]
fn feature_d1_a_stage_that_runs_once_runs_again_when_asked_for() {
    let answer = asked(rerun("migrate"), Some(&run(RunState::Succeeded, [Succeeded; 5]))).unwrap();
    let Effect::Run { run, forget } = answer.effect else {
        panic!("no run goes on")
    };
    assert_eq!(forget.as_deref(), Some("migrate"));
    let states: Vec<_> = run.stages.iter().map(|stage| stage.state).collect();
    assert_eq!(states, [Waiting, Succeeded, Succeeded, Succeeded, Succeeded]);
    assert_eq!(run.stages[0].by_hand, Some(ByHand::Run));
    assert_eq!(run.stages[0].attempt(), 2);
}

#[test]
fn a_rollback_finds_the_good_run_before_what_is_shown() {
    let mut shown = run(RunState::Succeeded, [Succeeded; 5]);
    assert_eq!(back(Goal::Previous, Some(&shown)), Ok(RunNumber(6)));
    shown.number = RunNumber(8);
    shown.source = Source::Record(RunNumber(5));
    assert_eq!(back(Goal::Previous, Some(&shown)), Ok(RunNumber(3)));
    assert_eq!(back(Goal::Previous, None), Ok(RunNumber(7)));
}

#[test]
fn a_rollback_finds_the_last_run_of_a_revision_by_its_beginning() {
    assert_eq!(back(Goal::Revision("aaaaaaa".into()), Some(&failed())), Ok(RunNumber(7)));
    assert_eq!(back(Goal::Revision("c".repeat(40)), Some(&failed())), Ok(RunNumber(5)));
    assert_eq!(back(Goal::Run(RunNumber(3)), Some(&failed())), Ok(RunNumber(3)));
}

#[test]
fn a_rollback_to_what_is_not_kept_names_what_is() {
    assert_eq!(
        back(Goal::Revision("ddddddd".into()), Some(&failed())),
        Err(
            "there is no record of revision ddddddd; what can be put back: aaaaaaaaaaaa (run 7), aaaaaaaaaaaa (run 6), \
             cccccccccccc (run 5), bbbbbbbbbbbb (run 3)"
                .to_owned()
        )
    );
    let shown = run(RunState::Succeeded, [Succeeded; 5]);
    let refusal = back(Goal::Run(RunNumber(7)), Some(&shown)).unwrap_err();
    assert!(refusal.starts_with("run 7 is what is shown already; "), "{refusal}");
    let none = asked(Action::Rollback { to: Goal::Previous }, Some(&shown))
        .unwrap_err()
        .to_string();
    assert!(none.contains("push the revision"), "{none}");
}

#[test]
fn objects_are_found_as_kubectl_names_them_and_unknown_ones_have_neighbours() {
    let only = |texts: &[&str]| {
        let only = texts.iter().map(|text| text.parse().unwrap()).collect();
        asked(Action::Sync { only }, None)
    };
    let answer = only(&["deployments/web", "networkpolicies/web"]).unwrap();
    assert_eq!(
        answer.told,
        "only Deployment/web, NetworkPolicy/web are put right: alice asked for it"
    );
    let refusal = |text: &str| only(&[text]).unwrap_err().to_string();
    assert!(refusal("Deployment/wbe").contains("(did you mean \"Deployment/web\"?)"));
    assert!(refusal("ConfigMap/something-else-entirely").contains("(it has ConfigMap/settings)"));
    assert!("web".parse::<ObjectName>().is_err());
}

#[test]
fn nothing_may_be_asked_of_a_paused_environment() {
    let request = Request {
        id: "1".into(),
        action: retry(None),
        by: "alice".into(),
    };
    let known = Known {
        stages: &pipeline(),
        run: Some(&failed()),
        records: &[],
        objects: &[],
        closed: Some("it is paused: resume it"),
    };
    assert_eq!(answer(&request, &known, now()).unwrap_err().to_string(), "it is paused: resume it");
}
