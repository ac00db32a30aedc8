#![allow(clippy::unwrap_used, reason = "a stage that is not there is the test's failure")]

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::domain::bundle::pipeline::Condition;
use crate::domain::run::{Progress, Turn, Wished, begin};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).unwrap()
}

fn stage(name: &str, action: Action, needs: &[&str]) -> Stage {
    Stage {
        name: name.into(),
        line: 1,
        action,
        needs: needs.iter().map(ToString::to_string).collect(),
        when: Condition::default(),
        timeout: None,
        retries: 0,
        on_failure: OnFailure::Block,
    }
}

fn job(name: &str, needs: &[&str]) -> Stage {
    stage(name, Action::Job(json!({ "image": "x" })), needs)
}

fn deployed(stages: &[Stage]) -> Run {
    let wished = Wished {
        revision: "a".repeat(40),
        digest: "d".into(),
    };
    begin(None, &wished, Source::Bundle, stages, at(0))
}

fn turn<'a>(stages: &'a [Stage], now: i64) -> Turn<'a> {
    Turn {
        stages,
        unmet: &|_| None,
        now: at(now),
    }
}

fn failed() -> Progress {
    Progress::Failed {
        message: "exit code 1".into(),
        retry: true,
    }
}

#[test]
fn feature_s3_teardown_stages_come_from_the_last_good_run_and_else_from_the_last_without_blocking() {
    let mut last = deployed(&[job("migrate", &[])]);
    last.number = RunNumber(7);
    let of = |last: &Run, good, resting| Farewell::of(last, good, resting);
    assert_eq!(
        of(&last, Some(RunNumber(5)), false),
        Farewell {
            record: RunNumber(5),
            may_block: true
        }
    );
    assert!(!of(&last, Some(RunNumber(5)), true).may_block, "what it needs is scaled to zero");
    assert_eq!(
        of(&last, None, false),
        Farewell {
            record: RunNumber(7),
            may_block: false
        }
    );
    last.source = Source::Record(RunNumber(3));
    assert_eq!(of(&last, None, false).record, RunNumber(3));
    last.state = RunState::Succeeded;
    assert_eq!(
        of(&last, None, false),
        Farewell {
            record: RunNumber(7),
            may_block: true
        }
    );
}

#[test]
fn feature_s3_a_failed_teardown_stage_blocks_by_default_and_goes_on_under_continue() {
    for (may_block, wanted) in [(true, RunState::Failed), (false, RunState::Succeeded)] {
        let farewell = Farewell {
            record: RunNumber(1),
            may_block,
        };
        let pipeline = Pipeline {
            stages: Vec::new(),
            teardown: vec![job("export", &[]), job("tell", &["export"])],
        };
        let stages = farewell.stages(&pipeline);
        let mut run = Run::removal(&deployed(&[]), farewell, "r", &stages, at(0));
        assert!(run.is_removal() && run.number == RunNumber(2));
        run.advance(&turn(&stages, 1), &BTreeMap::new());
        run.advance(&turn(&stages, 2), &[("export".to_owned(), failed())].into());
        if !may_block {
            run.advance(&turn(&stages, 3), &[("tell".to_owned(), failed())].into());
        }
        assert_eq!(run.state, wanted, "{run:?}");
    }
    let none = Run::removal(
        &deployed(&[]),
        Farewell {
            record: RunNumber(1),
            may_block: true,
        },
        "r",
        &[],
        at(0),
    );
    assert!(none.is_over(), "without stages nothing holds the removal up");
}

#[test]
fn feature_s5_a_removal_lets_the_atomic_step_in_flight_end_and_begins_nothing_else() {
    let stages = [
        job("migrate", &[]),
        stage("look", Action::Check(json!({})), &[]),
        stage("web", Action::Apply(Vec::new()), &["migrate"]),
        job("lost", &[]),
    ];
    let mut run = deployed(&stages);
    run.advance(&turn(&stages, 1), &BTreeMap::new());
    let has_begun = |own: &StageRun| own.name == "migrate";
    run.preempt(&stages, &has_begun, at(2));
    let state = |run: &Run, name: &str| run.stage(name).unwrap().state;
    assert_eq!(state(&run, "migrate"), StageState::Running);
    for name in ["look", "web", "lost"] {
        assert_eq!(state(&run, name), StageState::Skipped, "{name}");
    }
    assert!(!run.is_over());
    run.advance(&turn(&stages, 3), &[("migrate".to_owned(), failed())].into());
    run.preempt(&stages, &has_begun, at(3));
    assert!(run.is_over() && state(&run, "web") == StageState::Skipped);
    let before = run.clone();
    run.preempt(&stages, &has_begun, at(9));
    assert_eq!(run, before);
}

#[test]
fn feature_s3_what_cannot_be_carried_out_any_more_is_left_out_with_the_reason() {
    let stages = [job("export", &[])];
    let farewell = Farewell {
        record: RunNumber(1),
        may_block: true,
    };
    let mut run = Run::removal(&deployed(&[]), farewell, "r", &stages, at(0));
    run.leave_out("the namespace is gone", at(1));
    assert_eq!(run.state, RunState::Succeeded);
    assert_eq!(run.stage("export").unwrap().message.as_deref(), Some("the namespace is gone"));
}
