#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use proptest::prelude::*;

use super::*;
use crate::domain::comment::{Comment, MARKER, NoEffect, Permission, Wish, heard, wish};
use crate::domain::roster::GraceState;

fn now() -> Timestamp {
    "2026-01-10T00:00:00Z".parse().unwrap()
}

fn days(count: u64) -> std::time::Duration {
    std::time::Duration::from_secs(count * 86_400)
}

fn ready() -> Standing {
    Standing {
        phase: Phase::Ready,
        message: "ready".into(),
        url: Some("https://a.example.com".into()),
        applied: Some("ab".repeat(20)),
        expires: Some(add(now(), days(1))),
        active: Some(now() - days(6)),
        pinned: false,
        grace: None,
        first_stage: Some("deploy".into()),
        next: None,
        deleting: false,
    }
}

fn subject(environment: Option<Standing>, ended: Option<EndedBecause>) -> Subject {
    Subject {
        branch: "feature/a".into(),
        environment,
        ended,
    }
}

fn step(order: Order, standing: Standing) -> Option<Step> {
    decide(order, &subject(Some(standing), None), now()).step
}

fn comment(body: &str) -> Comment {
    Comment {
        id: 7,
        pull_request: 12,
        author: Some("mia".into()),
        automated: false,
        body: body.into(),
        created: now(),
        edited: false,
    }
}

#[test]
fn feature_t11_orders_are_understood_at_the_beginning_of_a_comment_and_nowhere_else() {
    let ordered = |body: &str| match wish(body) {
        Some(Wish::Order(order)) => Some(order),
        _ => None,
    };
    let two_days = "2d".parse().unwrap();
    for (body, order) in [
        ("/preview up", Order::Up),
        ("/preview down\r\nthank you", Order::Down),
        ("  /preview restart", Order::Restart),
        ("/preview extend 2d", Order::Extend(two_days)),
        ("/preview pin", Order::Pin),
        ("/preview unpin", Order::Unpin),
        ("/preview status", Order::Status),
        ("/preview why", Order::Why),
    ] {
        assert_eq!(ordered(body), Some(order), "{body:?}");
    }
    for other in [
        "/preview",
        "/preview extend",
        "/preview extend soon",
        "/preview extend 99d",
        "/preview down now",
        "please /preview down",
        "> /preview down",
        "`/preview down`",
        "/previewdown",
    ] {
        assert_eq!(ordered(other), None, "{other:?}");
    }
    assert!(matches!(wish("/preview approve release"), Some(Wish::Judge(_))));
}

#[test]
fn feature_t11_our_own_comments_ask_for_nothing_wherever_the_marker_stands() {
    assert_eq!(wish(&format!("/preview down\n{MARKER}:answer:1 -->")), None);
    assert_eq!(wish(&format!("/preview approve\n{MARKER} -->")), None);
}

#[test]
fn feature_t11_who_may_not_write_programs_edited_and_old_comments_have_no_effect() {
    let told = |comment: &Comment, permission, at| heard(comment, permission, at).map(str::to_owned);
    let fresh = comment("/preview down");
    assert_eq!(told(&fresh, Permission::Write, now()).unwrap(), "mia");
    for permission in [Permission::None, Permission::Read] {
        assert!(matches!(told(&fresh, permission, now()), Err(NoEffect::Permission { .. })));
    }
    let edited = Comment {
        edited: true,
        ..fresh.clone()
    };
    assert_eq!(told(&edited, Permission::Write, now()), Err(NoEffect::Edited));
    for nobody in [
        Comment {
            automated: true,
            ..fresh.clone()
        },
        Comment {
            author: None,
            ..fresh.clone()
        },
    ] {
        assert_eq!(told(&nobody, Permission::Write, now()), Err(NoEffect::Automated));
    }
    assert_eq!(told(&fresh, Permission::Write, now() + FRESH_AND_MORE), Err(NoEffect::Late));
}

const FRESH_AND_MORE: std::time::Duration = std::time::Duration::from_secs(3601);

#[test]
fn feature_t11_each_order_comes_to_the_step_that_it_names() {
    assert_eq!(step(Order::Up, ready()), None, "it is up");
    assert_eq!(step(Order::Down, ready()), Some(Step::Remove));
    let from = Some("deploy".to_owned());
    assert_eq!(step(Order::Restart, ready()), Some(Step::Retry { from }));
    let failed = Standing {
        phase: Phase::Failed,
        ..ready()
    };
    assert_eq!(step(Order::Restart, failed), Some(Step::Retry { from: None }));
    assert_eq!(step(Order::Pin, ready()), Some(Step::Pin(true)));
    let pinned = || Standing { pinned: true, ..ready() };
    assert_eq!(step(Order::Pin, pinned()), None);
    assert_eq!(step(Order::Unpin, pinned()), Some(Step::Pin(false)));
    assert_eq!(step(Order::Status, pinned()), None);
    let asleep = Standing {
        phase: Phase::Resting,
        grace: Some(Grace {
            state: GraceState::Sleeping,
            since: now(),
            until: now(),
            reason: "because".into(),
        }),
        ..ready()
    };
    assert_eq!(step(Order::Restart, asleep.clone()), None);
    let Some(Step::Wake(grace)) = step(Order::Up, asleep) else {
        unreachable!("it sleeps")
    };
    assert_eq!((grace.state, grace.until), (GraceState::Woken, add(now(), days(1))));
}

#[test]
fn feature_t11_without_an_environment_only_up_does_anything_and_the_answer_says_why_there_is_none() {
    for order in [Order::Down, Order::Restart, Order::Pin, Order::Status, Order::Why] {
        let decision = decide(order, &subject(None, Some(EndedBecause::Requested)), now());
        assert_eq!(decision.step, None, "{order:?}");
        assert!(
            decision.answer.contains("somebody removed it; push, or write `/preview up`"),
            "{}",
            decision.answer
        );
    }
    assert_eq!(
        decide(Order::Up, &subject(None, Some(EndedBecause::Expired)), now()).step,
        Some(Step::Forget)
    );
    let going = Standing { deleting: true, ..ready() };
    for order in [Order::Up, Order::Down, Order::Pin, Order::Restart] {
        assert_eq!(step(order, going.clone()), None, "what is going comes to its end: {order:?}");
    }
}

#[test]
fn feature_t11_extending_moves_the_end_by_what_is_asked_and_never_further_than_a_month_ahead() {
    let asked = |span: &str| decide(Order::Extend(span.parse().unwrap()), &subject(Some(ready()), None), now());
    let two = asked("2d");
    assert_eq!(two.step, Some(Step::Extend(now() - days(4))));
    assert!(
        two.answer.contains("2026-01-13T00:00:00Z"),
        "a day was left, and two more: {}",
        two.answer
    );
    let ahead = Standing {
        active: Some(add(now(), days(20))),
        expires: Some(add(now(), days(27))),
        ..ready()
    };
    let bounded = step(Order::Extend("30d".parse().unwrap()), ahead);
    assert_eq!(bounded, Some(Step::Extend(add(now(), days(30)))));
    let endless = Standing { expires: None, ..ready() };
    assert_eq!(step(Order::Extend("2d".parse().unwrap()), endless), None);
}

#[test]
fn feature_t11_status_and_why_tell_what_is_known_and_the_next_step() {
    let status = decide(Order::Status, &subject(Some(Standing { pinned: true, ..ready() }), None), now());
    assert_eq!(
        status.answer,
        "ready: ready; it shows abababababab at https://a.example.com; it is pinned"
    );
    let failed = Standing {
        phase: Phase::Failed,
        message: "stage deploy failed".into(),
        next: Some("push again".into()),
        ..ready()
    };
    let why = decide(Order::Why, &subject(Some(failed), None), now());
    assert_eq!(why.answer, "stage deploy failed; next: push again");
}

proptest! {
    #[test]
    fn no_text_is_an_order_that_does_not_begin_with_our_word(body in "\\PC{0,40}") {
        let addressed = body.split_whitespace().next() == Some("/preview");
        prop_assert!(addressed || wish(&body).is_none());
    }
}
