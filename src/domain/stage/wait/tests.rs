#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use serde_json::json;

use super::*;

#[test]
fn feature_t14_each_thing_that_can_be_waited_for_is_read() {
    let subject = |settings: Value| read(&settings).unwrap().subject;
    assert!(matches!(subject(json!({"commitStatus": {"context": "ci"}})), Subject::CommitStatus(status) if status.state == "success"));
    assert!(matches!(subject(json!({"checkRun": {"name": "build"}})), Subject::CheckRun(run) if run.conclusions == ["success"]));
    let several = subject(json!({"checkRun": {"name": "build", "conclusion": ["success", "skipped"]}}));
    assert!(matches!(several, Subject::CheckRun(run) if run.conclusions.len() == 2));
    assert!(matches!(subject(json!({"image": "ghcr.io/a/b:{{ revision }}"})), Subject::Image(image) if image.pull_secret.is_none()));
    let private = subject(json!({"image": {"reference": "ghcr.io/a/b:1", "pullSecret": "pull"}}));
    assert!(matches!(private, Subject::Image(image) if image.pull_secret.as_deref() == Some("pull")));
}

#[test]
fn every_mistake_is_told_with_its_field() {
    for (settings, expected) in [
        (json!({}), "write one of commitStatus, checkRun, image"),
        (json!({"commitStatus": {}}), "commitStatus.context: is missing"),
        (
            json!({"commitStatus": {"context": "a", "state": "green"}}),
            "commitStatus.state: \"green\" should be one of success",
        ),
        (
            json!({"checkRun": {"name": "a", "conclusion": "good"}}),
            "checkRun.conclusion: \"good\" should be one of success",
        ),
        (json!({"image": "A B"}), "image: \"A B\" is no reference of an image"),
        (json!({"image": {"pullSecret": "a"}}), "image.reference: is missing"),
        (json!({"image": "a", "every": "1h"}), "every: should be a whole number"),
    ] {
        let found = read(&settings).unwrap_err();
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{settings}: {found:?}");
    }
}

#[test]
fn feature_t14_a_commit_status_that_is_not_there_is_waited_for_and_a_failed_one_is_not() {
    let wanted = CommitStatus {
        context: "ci/build".to_owned(),
        state: "success".to_owned(),
    };
    let worth = |state: &str| {
        let found = ReportedStatus {
            state: state.to_owned(),
            description: Some("12 of 12".to_owned()),
        };
        status_answer(&wanted, Some(&found)).worth
    };
    assert_eq!(status_answer(&wanted, None).worth, Worth::NotYet);
    assert_eq!(
        [worth("success"), worth("pending"), worth("failure"), worth("error")],
        [Worth::Good, Worth::NotYet, Worth::Failed, Worth::Failed]
    );
}

#[test]
fn feature_t14_of_several_check_runs_of_a_name_all_must_have_ended_well() {
    let wanted = CheckRun {
        name: "build".to_owned(),
        conclusions: vec!["success".to_owned(), "neutral".to_owned()],
    };
    let run = |conclusion: Option<&str>| ReportedRun {
        conclusion: conclusion.map(str::to_owned),
        title: None,
    };
    let worth = |runs: &[ReportedRun]| run_answer(&wanted, runs).worth;
    assert_eq!(worth(&[]), Worth::NotYet);
    assert_eq!(worth(&[run(None)]), Worth::NotYet);
    assert_eq!(worth(&[run(Some("success")), run(None)]), Worth::NotYet);
    assert_eq!(worth(&[run(Some("success")), run(Some("neutral"))]), Worth::Good);
    assert_eq!(worth(&[run(Some("success")), run(Some("cancelled")), run(None)]), Worth::Failed);
}

#[test]
fn f28_a_registry_that_does_not_answer_is_asked_for_long_but_not_for_ever() {
    let mut streak = 0;
    for question in 1..=MAX_LOST {
        let (next, end) = judge(streak, &Answer::bad("HTTP 503"));
        assert_eq!(end.is_some(), question == MAX_LOST);
        streak = next;
    }
    assert_eq!(judge(-7, &Answer::not_yet("not there")), (0, None));
}
