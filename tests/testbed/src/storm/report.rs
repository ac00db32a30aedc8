//! The report of storms, for readers who have never heard of the method.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::machine::{Outcome, Tally};
use super::operation::{Operation, print};

/// One storm that was carried out.
#[derive(Debug, Clone)]
pub struct Chapter {
    /// Its seed.
    pub seed: u64,
    /// What it came to.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// What a failing storm was shrunk to.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Its seed.
    pub seed: u64,
    /// The shortest list that still failed.
    pub operations: Vec<Operation>,
    /// What was wrong at its end.
    pub complaints: Vec<String>,
}

/// What the report says before any figure.
const METHOD: &str = include_str!("method.md");

/// The report as Markdown. `found` is what was found by earlier storms and mended since, as a list.
pub fn report(chapters: &[Chapter], findings: &[Finding], command: &str, found: &str) -> String {
    let mut text = METHOD.replace("COMMAND", command);
    text.push_str("\n## Result\n\n");
    table(&mut text, chapters);
    let total = chapters
        .iter()
        .fold(Tally::default(), |total, chapter| sum(total, &chapter.outcome.tally));
    let survived = chapters.iter().all(|chapter| chapter.outcome.failure.is_none());
    let verdict = if survived {
        "Nothing was wrong at any quiet point."
    } else {
        "Something was wrong: see below."
    };
    let injected: usize = total.faults.values().sum();
    let _ = write!(
        text,
        "\n{} operations, {} quiet points, {injected} injected faults of {} distinct kinds. {verdict}\n",
        total.operations,
        total.quiet_points,
        total.faults.len()
    );
    counts(&mut text, "Operations by kind", "operation", &total.verbs);
    counts(&mut text, "Faults by kind", "fault", &total.faults);
    for finding in findings {
        let _ = write!(
            text,
            "\n## Seed {}\n\nThe shortest list that fails:\n\n```\n{}```\n\n",
            finding.seed,
            print(&finding.operations)
        );
        finding.complaints.iter().for_each(|complaint| {
            let _ = writeln!(text, "- {complaint}");
        });
    }
    if !found.is_empty() {
        let _ = write!(text, "\n## What storms found\n\n{}\n", found.trim_end());
    }
    text
}

fn table(text: &mut String, chapters: &[Chapter]) {
    text.push_str(
        "| seed | operations | of these without effect | quiet points | faults | seconds | result |\n|---|---|---|---|---|---|---|\n",
    );
    for Chapter { seed, outcome, took } in chapters {
        let tally = &outcome.tally;
        let result = if outcome.failure.is_none() { "passed" } else { "failed" };
        let faults: usize = tally.faults.values().sum();
        let _ = writeln!(
            text,
            "| {seed} | {} | {} | {} | {faults} | {} | {result} |",
            tally.operations,
            tally.without_effect,
            tally.quiet_points,
            took.as_secs()
        );
    }
}

fn counts(text: &mut String, title: &str, column: &str, counts: &BTreeMap<String, usize>) {
    let _ = write!(text, "\n## {title}\n\n| {column} | times |\n|---|---|\n");
    for (name, count) in counts {
        let _ = writeln!(text, "| {name} | {count} |");
    }
}

fn sum(mut total: Tally, tally: &Tally) -> Tally {
    total.operations += tally.operations;
    total.without_effect += tally.without_effect;
    total.quiet_points += tally.quiet_points;
    for (into, from) in [(&mut total.verbs, &tally.verbs), (&mut total.faults, &tally.faults)] {
        for (name, count) in from {
            *into.entry(name.clone()).or_default() += count;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::super::machine::Failure;
    use super::*;

    fn chapter(seed: u64, failure: Option<Failure>) -> Chapter {
        let tally = Tally {
            operations: 10,
            quiet_points: 2,
            verbs: BTreeMap::from([("push".to_owned(), 10)]),
            faults: BTreeMap::from([("429 on writes".to_owned(), 3)]),
            ..Tally::default()
        };
        Chapter {
            seed,
            outcome: Outcome { tally, failure },
            took: Duration::from_secs(9),
        }
    }

    #[test]
    fn a_report_adds_up_what_storms_survived_and_says_how_to_have_them_again() {
        let text = report(&[chapter(1, None), chapter(2, None)], &[], "the command", "");
        for part in [
            "20 operations, 4 quiet points, 6 injected faults of 1 distinct kinds. Nothing was wrong",
            "| push | 20 |",
            "| 429 on writes | 6 |",
            "the command",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_report_of_a_failure_has_the_list_that_fails() {
        let failure = Failure {
            operations: Vec::new(),
            complaints: Vec::new(),
            log: Vec::new(),
        };
        let finding = Finding {
            seed: 2,
            operations: vec![Operation::Mend, Operation::Quiet],
            complaints: vec!["something".to_owned()],
        };
        let text = report(&[chapter(2, Some(failure))], &[finding], "x", "");
        assert!(
            text.contains("```\nmend\nquiet\n```") && text.contains("- something") && text.contains("see below"),
            "{text}"
        );
    }
}
