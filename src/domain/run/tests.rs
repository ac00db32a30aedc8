//! How runs begin, go on, end, and give way.
#![allow(clippy::unwrap_used, reason = "a pipeline that cannot be made is the test's failure")]

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::bundle::pipeline::{Action, Condition, OnFailure, Stage};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn stage(name: &str, needs: &[&str]) -> Stage {
    Stage {
        name: name.to_owned(),
        line: 1,
        action: Action::Job(json!({"image": "a"})),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        when: Condition::default(),
        timeout: None,
        retries: 0,
        on_failure: OnFailure::Stop,
    }
}

fn apply(name: &str, needs: &[&str]) -> Stage {
    Stage {
        action: Action::Apply(Vec::new()),
        ..stage(name, needs)
    }
}

fn wished(revision: &str) -> Wished {
    Wished {
        revision: revision.to_owned(),
        digest: format!("digest of {revision}"),
    }
}

fn new_run(stages: &[Stage]) -> Run {
    begin(None, &wished("a"), Source::Bundle, stages, at(0))
}

fn always(_: &Stage) -> Option<String> {
    None
}

fn advance(run: &mut Run, stages: &[Stage], progress: &[(&str, Progress)], now: Timestamp) {
    let turn = Turn {
        stages,
        unmet: &always,
        now,
    };
    run.advance(
        &turn,
        &progress
            .iter()
            .map(|(name, progress)| ((*name).to_owned(), progress.clone()))
            .collect(),
    );
}

fn done() -> Progress {
    Progress::Done {
        message: None,
        outputs: BTreeMap::new(),
    }
}

fn failed(message: &str) -> Progress {
    Progress::Failed {
        message: message.to_owned(),
        retry: true,
    }
}

fn pending(message: &str) -> Progress {
    Progress::Pending {
        message: message.to_owned(),
        outside: false,
    }
}

fn states(run: &Run) -> String {
    let states: Vec<String> = run
        .stages
        .iter()
        .map(|stage| format!("{} {}", stage.name, stage.state.name()))
        .collect();
    format!("{}: {}", run.state.name(), states.join(", "))
}

#[test]
fn feature_s1_the_arms_of_a_diamond_run_at_the_same_time_and_its_end_waits_for_both() {
    let stages = [
        stage("top", &[]),
        stage("left", &["top"]),
        stage("right", &["top"]),
        stage("end", &["left", "right"]),
    ];
    let mut run = new_run(&stages);
    advance(&mut run, &stages, &[], at(0));
    assert_eq!(states(&run), "Running: top Running, left Waiting, right Waiting, end Waiting");
    advance(&mut run, &stages, &[("top", done())], at(1));
    assert_eq!(states(&run), "Running: top Succeeded, left Running, right Running, end Waiting");
    advance(&mut run, &stages, &[("left", done()), ("right", pending("builds"))], at(2));
    assert_eq!(states(&run), "Running: top Succeeded, left Succeeded, right Running, end Waiting");
    advance(&mut run, &stages, &[("right", done())], at(3));
    advance(&mut run, &stages, &[("end", done())], at(4));
    assert_eq!(
        states(&run),
        "Succeeded: top Succeeded, left Succeeded, right Succeeded, end Succeeded"
    );
    assert_eq!((run.started, run.ended), (at(0), Some(at(4))));
}

#[test]
fn feature_s1_what_needs_a_failed_stage_is_skipped_and_says_which_while_independent_stages_go_on() {
    let stages = [
        stage("data", &[]),
        stage("lint", &[]),
        stage("web", &["data"]),
        stage("test", &["web"]),
    ];
    let mut run = new_run(&stages);
    advance(&mut run, &stages, &[], at(0));
    advance(&mut run, &stages, &[("data", failed("exit 1"))], at(1));
    assert_eq!(states(&run), "Running: data Failed, lint Running, web Skipped, test Skipped");
    let test = run.stage("test").unwrap();
    assert_eq!(
        (test.message.as_deref(), test.failed_need.as_deref()),
        (Some("stage data failed"), Some("data"))
    );
    advance(&mut run, &stages, &[("lint", done())], at(2));
    assert_eq!(states(&run), "Failed: data Failed, lint Succeeded, web Skipped, test Skipped");
}

#[test]
fn a_stage_that_may_fail_does_not_hold_up_the_others_nor_fail_the_run() {
    let mut lenient = stage("smoke", &[]);
    lenient.on_failure = OnFailure::Continue;
    let stages = [lenient, stage("web", &["smoke"])];
    let mut run = new_run(&stages);
    advance(&mut run, &stages, &[], at(0));
    advance(&mut run, &stages, &[("smoke", failed("exit 1"))], at(1));
    advance(&mut run, &stages, &[("web", done())], at(2));
    assert_eq!(states(&run), "Succeeded: smoke Failed, web Succeeded");
}

#[test]
fn a_failed_stage_is_tried_again_later_and_later_until_its_tries_are_spent() {
    let mut patient = stage("job", &[]);
    patient.retries = 2;
    let stages = [patient];
    let mut run = new_run(&stages);
    advance(&mut run, &stages, &[], at(0));
    advance(&mut run, &stages, &[("job", failed("exit 1"))], at(1));
    assert_eq!(states(&run), "Running: job Waiting");
    assert_eq!(
        (run.stage("job").unwrap().not_before, run.next_deadline(&stages)),
        (Some(at(6)), Some(at(6)))
    );
    advance(&mut run, &stages, &[], at(5));
    assert_eq!(states(&run), "Running: job Waiting", "not before its time");
    advance(&mut run, &stages, &[], at(6));
    assert_eq!(
        (states(&run).as_str(), run.stage("job").unwrap().tries),
        ("Running: job Running", 2)
    );
    advance(&mut run, &stages, &[("job", failed("exit 2"))], at(7));
    assert_eq!(run.stage("job").unwrap().not_before, Some(at(17)), "the pause doubles");
    advance(&mut run, &stages, &[], at(17));
    advance(&mut run, &stages, &[("job", failed("exit 3"))], at(18));
    assert_eq!((states(&run).as_str(), run.stage("job").unwrap().tries), ("Failed: job Failed", 3));
    assert_eq!(run.stage("job").unwrap().message.as_deref(), Some("exit 3"));
}

#[test]
fn what_no_further_try_can_change_is_not_tried_again() {
    let mut patient = stage("ask", &[]);
    patient.retries = 5;
    let stages = [patient];
    let mut run = new_run(&stages);
    advance(&mut run, &stages, &[], at(0));
    let rejected = Progress::Failed {
        message: "rejected".to_owned(),
        retry: false,
    };
    advance(&mut run, &stages, &[("ask", rejected)], at(1));
    assert_eq!(states(&run), "Failed: ask Failed");
}

#[test]
fn feature_s1_a_stage_whose_time_is_over_has_failed_and_says_what_it_waited_for() {
    let mut short = apply("web", &[]);
    short.timeout = Some(Duration::from_secs(120));
    let stages = [short, stage("test", &["web"])];
    let mut run = new_run(&stages);
    advance(&mut run, &stages, &[], at(0));
    assert_eq!(run.next_deadline(&stages), Some(at(120)));
    advance(&mut run, &stages, &[("web", pending("0 of 1 pods"))], at(119));
    assert_eq!(states(&run), "Running: web Running, test Waiting");
    advance(&mut run, &stages, &[("web", pending("0 of 1 pods"))], at(120));
    assert_eq!(states(&run), "Failed: web Failed, test Skipped");
    assert_eq!(run.stage("web").unwrap().message.as_deref(), Some("not done after 2m: 0 of 1 pods"));
}

#[test]
fn f27_a_failed_apply_stage_that_heals_takes_the_run_up_again_without_a_push() {
    let stages = [apply("web", &[]), stage("test", &["web"])];
    let mut run = new_run(&stages);
    advance(&mut run, &stages, &[], at(0));
    advance(&mut run, &stages, &[("web", failed("exceeded quota"))], at(1));
    assert_eq!(states(&run), "Failed: web Failed, test Skipped");
    advance(&mut run, &stages, &[("web", pending("0 of 1 pods"))], at(2));
    assert_eq!(states(&run), "Running: web Running, test Waiting", "it is on its way again");
    advance(&mut run, &stages, &[("web", done())], at(3));
    assert_eq!(states(&run), "Running: web Succeeded, test Running");
    assert_eq!(run.ended, None);
}

#[test]
fn a_failed_job_never_heals_by_itself() {
    let stages = [stage("job", &[])];
    let mut run = new_run(&stages);
    advance(&mut run, &stages, &[], at(0));
    advance(&mut run, &stages, &[("job", failed("exit 1"))], at(1));
    advance(&mut run, &stages, &[("job", done())], at(2));
    assert_eq!(states(&run), "Failed: job Failed");
}

#[test]
fn after_a_failure_under_rollback_nothing_begins_and_what_is_under_way_ends_first() {
    let mut web = apply("web", &[]);
    web.on_failure = OnFailure::Rollback;
    let stages = [web, stage("build", &[]), stage("publish", &["build"])];
    let mut run = new_run(&stages);
    advance(&mut run, &stages, &[], at(0));
    advance(
        &mut run,
        &stages,
        &[("web", failed("crash loop")), ("build", pending("compiles"))],
        at(1),
    );
    assert_eq!(states(&run), "Running: web Failed, build Running, publish Waiting");
    advance(&mut run, &stages, &[("build", done())], at(2));
    assert_eq!(states(&run), "RolledBack: web Failed, build Succeeded, publish Skipped");
    advance(&mut run, &stages, &[("web", done())], at(3));
    assert_eq!(
        states(&run),
        "RolledBack: web Failed, build Succeeded, publish Skipped",
        "the old objects are healthy, not the new ones"
    );
}

#[test]
fn a_check_that_fails_under_rollback_gives_up_what_it_needs_and_nothing_else() {
    let mut smoke = stage("smoke", &["web"]);
    smoke.on_failure = OnFailure::Rollback;
    let stages = vec![apply("data", &[]), apply("web", &["data"]), apply("docs", &[]), smoke];
    let key = |name: &str| crate::domain::manifest::ObjectKey {
        group: String::new(),
        version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        namespace: Some("n".to_owned()),
        name: name.to_owned(),
    };
    let staged = |content: &str| {
        let one = |name: &str| {
            let source = crate::domain::manifest::Source {
                file: "a.yaml".to_owned(),
                line: 1,
            };
            (
                name.to_owned(),
                vec![crate::domain::manifest::Manifest::new(key(name), json!({"data": content}), source)],
            )
        };
        Staged {
            stages: stages.clone(),
            objects: ["data", "web", "docs"].map(one).into(),
            teardown: Vec::new(),
        }
    };
    let mut run = new_run(&stages);
    advance(&mut run, &stages, &[], at(0));
    advance(&mut run, &stages, &[("data", done()), ("docs", done())], at(1));
    advance(&mut run, &stages, &[("web", done())], at(2));
    advance(&mut run, &stages, &[("smoke", failed("503"))], at(3));
    assert_eq!(run.state, RunState::RolledBack);
    let reached = staged("new").reached(&run, &Default::default(), Some(&staged("old")));
    let mut contents: Vec<String> = reached
        .objects
        .iter()
        .map(|manifest| format!("{} {}", manifest.key.name, manifest.body["data"]))
        .collect();
    contents.sort();
    assert_eq!(contents, ["data \"old\"", "docs \"new\"", "web \"old\""]);
}

#[test]
fn a_stage_whose_condition_does_not_hold_is_skipped_and_does_not_hold_up_what_needs_it() {
    let mut seed = stage("seed", &[]);
    seed.when.first_deploy = Some(true);
    let stages = [seed, stage("web", &["seed"])];
    let mut run = new_run(&stages);
    let unmet = |stage: &Stage| stage.when.first_deploy.map(|_| "not the first".to_owned());
    let turn = Turn {
        stages: &stages,
        unmet: &unmet,
        now: at(0),
    };
    run.advance(&turn, &BTreeMap::new());
    assert_eq!(states(&run), "Running: seed Skipped, web Running");
    assert_eq!(run.stage("seed").unwrap().message.as_deref(), Some("not the first"));
}

#[test]
fn feature_s5_a_newer_wish_waits_for_a_job_and_not_for_a_person_nor_for_what_has_failed() {
    let yields = |stages: &[Stage], progress: Progress, now| {
        let mut run = new_run(stages);
        advance(&mut run, stages, &[], at(0));
        run.yields(stages, &BTreeMap::from([(stages[0].name.clone(), progress)]), now)
    };
    let ask = Stage {
        action: Action::Approve(json!(null)),
        ..stage("ask", &[])
    };
    assert!(!yields(&[stage("job", &[])], pending("runs"), at(86_400)), "a job is never killed");
    assert!(yields(&[ask], pending("waits for approval"), at(0)));
    assert!(!yields(&[apply("web", &[])], pending("0 of 1 pods"), at(29)));
    assert!(yields(&[apply("web", &[])], pending("0 of 1 pods"), at(30)));
    assert!(yields(&[apply("web", &[])], failed("crash loop"), at(1)));
}

#[test]
fn numbers_of_runs_only_grow_and_each_run_says_why_it_began() {
    let stages = [apply("web", &[])];
    let first = new_run(&stages);
    let second = begin(Some(&first), &wished("b"), Source::Bundle, &stages, at(1));
    let mut bundle = wished("b");
    bundle.digest.push('!');
    let third = begin(Some(&second), &bundle, Source::Bundle, &stages, at(2));
    let runs = [&first, &second, &third].map(|run| (run.number.0, run.because.as_str()));
    assert_eq!(
        runs,
        [
            (1, "the environment is new"),
            (2, "the branch moved"),
            (3, "the bundle, the Project or its values changed")
        ]
    );
    assert!(is_for(&second, &wished("b")) && !is_for(&second, &bundle) && !is_for(&second, &wished("a")));
}

#[test]
fn a_run_that_gave_way_stays_as_it_was_left() {
    let stages = [stage("job", &[]), stage("web", &["job"])];
    let mut run = new_run(&stages);
    advance(&mut run, &stages, &[], at(0));
    advance(&mut run, &stages, &[("job", done())], at(1));
    run.supersede(at(2));
    let left = run.clone();
    advance(&mut run, &stages, &[("web", done())], at(3));
    assert_eq!(run, left);
    assert_eq!(states(&run), "Superseded: job Succeeded, web Skipped");
}

/// Any graph without circles: a stage needs only stages before it.
fn any_stages() -> impl Strategy<Value = Vec<Stage>> {
    let policy = prop_oneof![Just(OnFailure::Stop), Just(OnFailure::Continue), Just(OnFailure::Rollback)];
    let one = (
        proptest::collection::vec(any::<prop::sample::Index>(), 0..3),
        policy,
        0..2_u32,
        any::<bool>(),
    );
    proptest::collection::vec(one, 1..8).prop_map(|raw| {
        let mut stages: Vec<Stage> = Vec::new();
        for (number, (needs, on_failure, retries, is_apply)) in raw.into_iter().enumerate() {
            let needs: Vec<String> = match number {
                0 => Vec::new(),
                _ => needs.iter().map(|need| stages[need.index(number)].name.clone()).collect(),
            };
            let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
            let name = format!("s{number}");
            let plain = if is_apply { apply(&name, &needs) } else { stage(&name, &needs) };
            stages.push(Stage {
                on_failure,
                retries,
                ..plain
            });
        }
        stages
    })
}

proptest! {
    #[test]
    fn feature_s1_in_any_graph_nothing_begins_before_its_needs_and_every_run_ends(
        stages in any_stages(),
        answers in proptest::collection::vec(0..3_u8, 200),
    ) {
        let mut run = new_run(&stages);
        let mut answers = answers.into_iter();
        for second in 0.. {
            prop_assert!(second < 200, "the run does not end: {}", states(&run));
            let mut progress = BTreeMap::new();
            for own in run.stages.iter().filter(|own| own.state == StageState::Running) {
                let answer = match answers.next() {
                    Some(0) => pending("under way"),
                    Some(1) => failed("exit 1"),
                    _ => done(),
                };
                progress.insert(own.name.clone(), answer);
            }
            let before = run.clone();
            // A year per turn, so that every pause is over.
            let turn = Turn { stages: &stages, unmet: &always, now: at(second * 31_536_000 / 100) };
            run.advance(&turn, &progress);
            let again = { let mut again = run.clone(); again.advance(&turn, &BTreeMap::new()); again };
            prop_assert_eq!(&again, &run, "advancing again changes nothing");
            for (own, earlier) in run.stages.iter().zip(&before.stages) {
                let begins = own.tries > earlier.tries;
                let stage = stages.iter().find(|stage| stage.name == own.name).unwrap();
                let open = stage.needs.iter().find(|need| {
                    let needed = run.stage(need).unwrap();
                    let lenient = stages.iter().any(|stage| stage.name == **need && stage.on_failure == OnFailure::Continue);
                    !(needed.state == StageState::Succeeded || needed.state == StageState::Failed && lenient)
                });
                prop_assert!(!begins || open.is_none(), "{} begins before {:?}", own.name, open);
                let ended = matches!(earlier.state, StageState::Succeeded);
                prop_assert!(!ended || own.state == earlier.state, "{} ended and went on", own.name);
            }
            if run.is_over() { break }
        }
    }
}
