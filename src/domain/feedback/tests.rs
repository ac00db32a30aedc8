#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use proptest::prelude::*;

use super::text::is_plain_url;
use super::*;
use crate::domain::comment::{command, is_addressed};

fn revision(digit: &str) -> Revision {
    digit.repeat(40).parse().unwrap()
}

fn standing(phase: Phase) -> Standing {
    let at = |text: &str| Some(text.parse().unwrap());
    Standing {
        environment: "shop-feature-a-1a2b3c4d5e".to_owned(),
        project: "shop".to_owned(),
        branch: "feature/a".parse().unwrap(),
        wanted: revision("a"),
        applied: (phase == Phase::Ready).then(|| revision("a")),
        phase: Some(phase),
        is_about_wanted: true,
        is_going: false,
        trouble: None,
        approvals: Vec::new(),
        url: Some("https://shop-feature-a-1a2b3c4d5e.preview.example.com".to_owned()),
        stages: vec![
            StageStanding {
                name: "migrate".to_owned(),
                state: StageState::Succeeded,
                since: at("2026-11-27T17:05:03Z"),
                ended: at("2026-11-27T17:06:07Z"),
            },
            StageStanding {
                name: "deploy".to_owned(),
                state: if phase == Phase::Failed {
                    StageState::Failed
                } else {
                    StageState::Running
                },
                since: at("2026-11-27T17:06:07Z"),
                ended: None,
            },
        ],
        pull_request: Some(4),
    }
}

fn states(reports: &[CommitReport]) -> Vec<(&str, CommitState)> {
    reports
        .iter()
        .map(|report| (&report.revision.as_str()[..1], report.state))
        .collect()
}

fn told(reports: &[CommitReport]) -> Option<ToldStatus> {
    reports.last().map(ToldStatus::of)
}

#[test]
fn feature_f2_a_status_goes_from_pending_to_success_and_nothing_is_said_twice() {
    let begun = standing(Phase::Deploying).commit_reports(None);
    assert_eq!(states(&begun), [("a", CommitState::Pending)]);
    assert_eq!(standing(Phase::Deploying).commit_reports(told(&begun).as_ref()), []);
    let ready = standing(Phase::Ready).commit_reports(told(&begun).as_ref());
    assert_eq!(states(&ready), [("a", CommitState::Success)]);
    assert_eq!(ready[0].context, "preview/shop");
    assert_eq!(
        ready[0].target.as_deref(),
        Some("https://shop-feature-a-1a2b3c4d5e.preview.example.com")
    );
    assert_eq!(standing(Phase::Ready).commit_reports(told(&ready).as_ref()), []);
    let again = standing(Phase::Deploying).commit_reports(told(&ready).as_ref());
    assert_eq!(again, [], "what is shown stays a success while it is set up anew");
    let failed = standing(Phase::Failed).commit_reports(told(&ready).as_ref());
    assert_eq!(states(&failed), [("a", CommitState::Failure)]);
}

#[test]
fn feature_f2_a_commit_that_was_overtaken_is_left_neither_pending_nor_a_success() {
    let mut next = standing(Phase::Deploying);
    next.wanted = revision("b");
    let pending = told(&standing(Phase::Deploying).commit_reports(None));
    let reports = next.commit_reports(pending.as_ref());
    assert_eq!(states(&reports), [("a", CommitState::Failure), ("b", CommitState::Pending)]);
    assert!(
        reports[0].description.starts_with("superseded by bbbb"),
        "{}",
        reports[0].description
    );
    let shown = told(&standing(Phase::Ready).commit_reports(None));
    assert_eq!(states(&next.commit_reports(shown.as_ref())), [("b", CommitState::Pending)]);
}

#[test]
fn feature_f2_what_is_known_of_an_older_commit_says_nothing_of_the_newer_one() {
    for phase in [Phase::Ready, Phase::Failed, Phase::Deploying] {
        let mut stale = standing(phase);
        (stale.applied, stale.wanted, stale.is_about_wanted) = (Some(revision("a")), revision("b"), false);
        assert_eq!(stale.verdict(), Verdict::Waiting, "{phase:?}");
        assert_eq!(states(&stale.commit_reports(None)), [("b", CommitState::Pending)]);
    }
}

#[test]
fn feature_f2_what_is_removed_before_it_was_ready_does_not_stay_pending() {
    let pending = told(&standing(Phase::Deploying).commit_reports(None));
    let going = standing(Phase::Deleting);
    assert_eq!(states(&going.commit_reports(pending.as_ref())), [("a", CommitState::Failure)]);
    assert_eq!(
        going.commit_reports(told(&standing(Phase::Ready).commit_reports(None)).as_ref()),
        []
    );
    assert_eq!(going.commit_reports(None), []);
}

#[test]
fn feature_f3_a_deployment_of_the_commit_before_is_over_once_the_next_is_ready_and_none_comes_back_while_it_goes() {
    let mut told = Told::default();
    let mut tell = |standing: &Standing, id: u64| {
        let reports = standing.deployment_reports(&told.deployments);
        for (report, known) in &reports {
            told.deployment(report, *known, false);
            told.deployment(report, known.or(Some(id)), true);
            told.forget_over(&standing.environment, &standing.branch, standing.wanted.as_str());
        }
        let short = |(report, known): &(DeploymentReport, Option<u64>)| (report.revision.as_str()[..1].to_owned(), report.state, *known);
        reports.iter().map(short).collect::<Vec<_>>()
    };
    let a = || "a".to_owned();
    let b = || "b".to_owned();
    assert_eq!(tell(&standing(Phase::Pending), 1), [(a(), DeploymentState::Queued, None)]);
    assert_eq!(tell(&standing(Phase::Deploying), 1), [(a(), DeploymentState::InProgress, Some(1))]);
    assert_eq!(tell(&standing(Phase::Ready), 1), [(a(), DeploymentState::Success, Some(1))]);
    assert_eq!(tell(&standing(Phase::Deploying), 1), []);
    let mut next = standing(Phase::Deploying);
    (next.wanted, next.applied) = (revision("b"), Some(revision("a")));
    assert_eq!(
        tell(&next, 2),
        [(b(), DeploymentState::InProgress, None)],
        "the one before is shown still"
    );
    (next.phase, next.applied) = (Some(Phase::Ready), Some(revision("b")));
    assert_eq!(
        tell(&next, 2),
        [(a(), DeploymentState::Inactive, Some(1)), (b(), DeploymentState::Success, Some(2))]
    );
    assert_eq!(tell(&next, 2), []);
    next.is_going = true;
    assert_eq!(tell(&next, 2), [(b(), DeploymentState::Inactive, Some(2))]);
    assert_eq!(tell(&next, 2), [], "also if its status still says that it is ready");
}

#[test]
fn what_was_told_is_read_as_it_was_written_and_nothing_else_is_believed() {
    let mut told = Told {
        status: told(&standing(Phase::Deploying).commit_reports(None)),
        comment: Some(ToldComment {
            pull_request: 4,
            id: Some(7),
            digest: ToldComment::digest_of("x"),
        }),
        ..Told::default()
    };
    for (report, _) in standing(Phase::Ready).deployment_reports(&[]) {
        told.deployment(&report, Some(9), true);
    }
    assert_eq!(Told::read(Some(&told.text())), told);
    assert!(told.text().len() < 400, "{}", told.text());
    assert_eq!(Told::read(Some("{\"status\": 7}")), Told::default());
}

#[test]
fn the_summary_counts_and_is_a_success_in_any_case() {
    let head = || revision("c");
    let main = "main".parse().unwrap();
    let of = |phases: &[Phase]| summary("shop", &main, head(), phases.iter().copied());
    assert_eq!(of(&[]).description, "no previews");
    let report = of(&[Phase::Ready, Phase::Failed, Phase::Ready]);
    assert_eq!(report.description, "3 previews: 2 ready, 1 failed");
    assert_eq!(report.state, CommitState::Success);
    assert_eq!(of(&[Phase::Resting]).description, "1 preview: 1 asleep");
}

fn golden(name: &str, text: &str) {
    insta::with_settings!({ snapshot_path => "../../../tests/golden/feedback", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn feature_f1_feature_f4_the_comment_tells_people_what_they_have_to_know() {
    golden("waiting", &comment(&standing(Phase::Pending), None));
    let mut under_way = standing(Phase::Deploying);
    under_way.approvals = vec!["release".to_owned()];
    golden("under-way", &comment(&under_way, None));
    golden("ready", &comment(&standing(Phase::Ready), None));
    let mut failed = standing(Phase::Failed);
    failed.applied = Some(revision("b"));
    failed.trouble = Some("web exits at once with code 1: it says \"no such table: carts\"; mend the program and push again".to_owned());
    let lines = (1..=30).map(|number| format!("line {number}: password=hunter2"));
    let log = Log {
        of: "web".to_owned(),
        lines: lines.collect(),
    };
    golden("failed", &comment(&failed, Some(&log)));
    golden("going", &comment(&standing(Phase::Deleting), None));
    golden("removed", &removed(&removal()));
}

fn removal() -> Removal {
    Removal {
        environment: "shop-feature-a-1a2b3c4d5e".to_owned(),
        branch: "feature/a".parse().unwrap(),
        revision: Some(revision("a")),
        because: "the branch is gone".to_owned(),
        at: "2026-11-27T18:00:00Z".parse().unwrap(),
        created: 12,
        removed: 11,
        kept: 0,
        left: vec![("v1 PersistentVolume pv-1".to_owned(), "its class says Retain".to_owned())],
    }
}

/// A comment that holds `text` wherever a text of others stands.
fn comment_with(text: &str) -> String {
    let mut failed = standing(Phase::Failed);
    failed.trouble = Some(text.to_owned());
    failed.approvals = vec![text.to_owned()];
    failed.url = Some(text.to_owned());
    failed.stages[0].name = text.to_owned();
    let log = Log {
        of: text.to_owned(),
        lines: text.split('\n').map(str::to_owned).collect(),
    };
    comment(&failed, Some(&log))
}

fn removed_with(text: &str) -> String {
    removed(&Removal {
        because: text.to_owned(),
        left: vec![(text.to_owned(), text.to_owned()); 12],
        ..removal()
    })
}

/// What is left of Markdown when its blocks and spans of code are taken out, as hosts do before they look for people and issues. Panics
/// where one is not closed.
fn without_code(markdown: &str) -> String {
    let mut out = String::new();
    let mut is_block = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
            continue;
        }
        if is_block {
            continue;
        }
        // A backslash means nothing inside of a span.
        let (mut is_span, mut is_escaped) = (false, false);
        for character in line.chars() {
            match character {
                '`' if is_span || !is_escaped => is_span = !is_span,
                _ if !is_span => out.push(character),
                _ => {}
            }
            is_escaped = !is_span && character == '\\' && !is_escaped;
        }
        assert!(!is_span, "a span of code ends on its line: {line}");
        out.push('\n');
    }
    assert!(!is_block, "a block of code ends: {markdown}");
    out
}

/// Fails where something of `text` means more in the comment than itself. The one thing that it may be is the environment's address, where
/// it is one and nothing else.
fn is_harmless(markdown: &str, text: &str) -> Result<(), TestCaseError> {
    prop_assert!(markdown.len() < 20_000);
    prop_assert!(markdown.chars().all(|character| character == '\n' || !character.is_control()));
    let ours = "<https://shop-feature-a-1a2b3c4d5e.preview.example.com>";
    let (first, rest) = markdown.split_once('\n').unwrap();
    prop_assert!(first.starts_with("<!-- graftling.dev/environment: shop-feature-a-1a2b3c4d5e -->"));
    let mut plain = without_code(rest).replace(ours, "");
    if is_plain_url(text) {
        plain = plain.replacen(&format!("**Address:** <{text}>\n"), "", 1);
    }
    for (index, _) in plain.match_indices(['@', '#']) {
        let next = plain[index + 1..].chars().next().unwrap_or(' ');
        prop_assert!(!next.is_alphanumeric() && !"_-\"'".contains(next), "{plain}");
    }
    prop_assert!(!plain.contains("://") && !plain.to_lowercase().contains("www."), "{plain}");
    prop_assert!(!plain.contains(['<', '>']), "no tag: {plain}");
    for mark in ['[', ']', '_'] {
        let bare = plain.match_indices(mark).filter(|(index, _)| !plain[..*index].ends_with('\\'));
        prop_assert_eq!(bare.count(), 0, "{}", plain);
    }
    let table = plain.lines().filter(|line| line.starts_with('|'));
    for line in table {
        prop_assert_eq!(line.matches('|').count(), 5, "a row has four cells: {}", line);
    }
    prop_assert!(
        command(markdown).is_none() && !is_addressed(markdown),
        "our own comment is no command"
    );
    Ok(())
}

proptest! {
    #[test]
    fn threat_t33_no_text_of_others_means_anything_in_a_comment(text in ".{0,300}") {
        is_harmless(&comment_with(&text), &text)?;
        is_harmless(&removed_with(&text), &text)?;
    }

    #[test]
    fn threat_t33_no_markup_survives_in_a_comment(
        parts in prop::collection::vec(prop::sample::select(&[
            "@everyone", "#1", "GH-1", "https://evil.example", "www.evil.example", "[a](http://b)", "![x](y)", "<b>", "</details>", "<!--",
            "-->", "```", "~~~", "`", "\n", "\r\n", "\n\n# x", "\u{1b}[31m", "\u{202e}", "|", "\\", "*", "_", "&#64;mona", "a@b.c", ":tada:",
            "/preview approve", " ", "x", "\u{0}", "\u{7}",
        ][..]), 0..40)
    ) {
        let text = parts.concat();
        is_harmless(&comment_with(&text), &text)?;
        is_harmless(&removed_with(&text), &text)?;
    }

    #[test]
    fn threat_t33_a_description_is_one_short_line(text in "(?s).{0,600}") {
        let told = description(&text);
        prop_assert!(told.chars().count() <= 140);
        let is_odd = |character: char| character.is_control() || character == '\u{202e}';
        prop_assert!(!told.contains(is_odd), "a control character");
    }
}

#[test]
fn threat_t33_an_address_is_a_link_and_the_same_text_is_none_elsewhere() {
    for text in ["https://evil.example", "http://evil.example/a?b=c"] {
        is_harmless(&comment_with(text), text).unwrap();
        is_harmless(&removed_with(text), text).unwrap();
        assert!(comment_with(text).contains(&format!("**Address:** <{text}>\n")));
    }
}

#[test]
fn threat_t33_secrets_are_hidden_in_all_that_is_told() {
    let text = "could not log in: token=ghp_0123456789abcdefghijABCDEFGHIJ012345 postgres://web:hunter2@db/shop";
    for told in [description(text), comment_with(text), removed_with(text)] {
        assert!(!told.contains("hunter2") && !told.contains("0123456789abcdef"), "{told}");
    }
}

#[test]
fn feature_f4_at_most_twenty_lines_of_a_log_are_shown_and_the_last_ones() {
    let lines = (1..=50).map(|number| format!("line {number}")).collect();
    let log = Log {
        of: "web".to_owned(),
        lines,
    };
    let shown = comment(&standing(Phase::Failed), Some(&log));
    let count = shown.lines().filter(|line| line.starts_with("line ")).count();
    assert_eq!(count, MAX_LOG_LINES);
    assert!(shown.contains("\nline 50\n") && !shown.contains("\nline 30\n"));
    assert!(!comment(&standing(Phase::Ready), Some(&log)).contains("line 50"));
}
