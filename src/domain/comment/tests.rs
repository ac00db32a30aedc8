#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    format!("2026-01-01T12:{text}Z").parse().unwrap()
}

fn comment() -> Comment {
    Comment {
        id: 99,
        pull_request: 12,
        author: Some("mia".into()),
        automated: false,
        body: "/preview approve".into(),
        created: at("00:07"),
        edited: false,
    }
}

fn waiting(stage: &str) -> Waiting {
    Waiting {
        run: RunNumber(3),
        stage: stage.into(),
        attempt: 2,
        since: at("00:07.9"),
        groups: Vec::new(),
    }
}

fn judged(comment: &Comment, permission: Permission, waiting: &[Waiting]) -> Result<Approval, NoEffect> {
    judge(comment, &command(&comment.body).unwrap(), permission, waiting)
}

#[test]
fn two_words_are_understood_at_the_beginning_of_a_comment_and_nowhere_else() {
    let parsed = |body: &str| command(body).map(|command| (command.verdict, command.stage));
    assert_eq!(parsed("/preview approve"), Some((Verdict::Approved, None)));
    assert_eq!(
        parsed("/preview  reject release \r\nnot today"),
        Some((Verdict::Rejected, Some("release".into())))
    );
    for other in [
        "",
        "/preview",
        "/preview approved",
        "/preview approve release now",
        "please /preview approve",
        "> /preview approve",
        "\n/preview approve",
        "/previewapprove",
        "/Preview approve",
    ] {
        assert_eq!(parsed(other), None, "{other:?}");
    }
}

#[test]
fn a_comment_of_somebody_who_may_write_is_a_word_on_the_stage_that_waits() {
    let approval = judged(&comment(), Permission::Write, &[waiting("release")]).unwrap();
    assert_eq!(
        (approval.run, approval.stage.as_str(), approval.attempt),
        (RunNumber(3), "release", 2)
    );
    assert_eq!(approval.by, "mia (pull request comment)");
    assert_eq!(approval.comment.as_deref(), Some("comment 99 of pull request 12"));
}

#[test]
fn comments_of_others_of_programs_and_edited_ones_have_no_effect() {
    let release = [waiting("release")];
    for permission in [Permission::None, Permission::Read] {
        assert_eq!(
            judged(&comment(), permission, &release),
            Err(NoEffect::Permission { author: "mia".into() })
        );
    }
    let edited = Comment { edited: true, ..comment() };
    assert_eq!(judged(&edited, Permission::Write, &release), Err(NoEffect::Edited));
    let robot = Comment {
        automated: true,
        ..comment()
    };
    assert_eq!(judged(&robot, Permission::Write, &release), Err(NoEffect::Automated));
    let ghost = Comment { author: None, ..comment() };
    assert_eq!(judged(&ghost, Permission::Write, &release), Err(NoEffect::Automated));
}

#[test]
fn threat_t12_a_comment_from_before_the_question_never_answers_it() {
    let older = Comment {
        created: at("00:06"),
        ..comment()
    };
    let refusal = judged(&older, Permission::Write, &[waiting("release")]).unwrap_err();
    assert!(matches!(refusal, NoEffect::Older { .. }), "{refusal}");
}

#[test]
fn a_stage_is_named_where_several_wait_and_one_of_a_group_is_left_to_the_group() {
    let both = [waiting("release"), waiting("docs")];
    let refusal = judged(&comment(), Permission::Write, &both).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "several stages wait for approval: name one of release, docs after the word"
    );
    let named = Comment {
        body: "/preview approve docs".into(),
        ..comment()
    };
    assert_eq!(judged(&named, Permission::Write, &both).unwrap().stage, "docs");
    let reserved = [Waiting {
        groups: vec!["leads".into()],
        ..waiting("docs")
    }];
    let refusal = judged(&named, Permission::Write, &reserved).unwrap_err();
    assert!(matches!(refusal, NoEffect::Reserved { .. }), "{refusal}");
    assert_eq!(judged(&named, Permission::Write, &[]), Err(NoEffect::NothingWaits));
    let refusal = judged(&named, Permission::Write, &[waiting("release")]).unwrap_err();
    assert_eq!(refusal.to_string(), "stage \"docs\" does not wait for approval; release does");
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic_and_a_command_begins_with_its_address(body in "\\PC*|/preview \\PC*|/preview (approve|reject)\\PC{0,80}") {
        if let Some(command) = command(&body) {
            prop_assert!(body.trim_start().starts_with("/preview"));
            prop_assert!(command.stage.is_none_or(|stage| stage.chars().count() <= 63));
        }
    }
}
