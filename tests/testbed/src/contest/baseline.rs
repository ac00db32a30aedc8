//! The figures that no noise of a machine changes, as they were committed, and whether those of now have grown.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Error;

/// How to accept figures as they are.
pub const ACCEPT: &str = "cargo run -p testbed --bin contest -- figures write";

/// Figures by their names.
pub type Figures = BTreeMap<String, u64>;

/// The figures of `tests/reports/baseline.json`: each as `contest figures` counts it, of programs in the dev profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Instructions of each part of the server that is measured alone.
    pub instructions: Figures,
    /// Requests to the API server, and the writes among them, of each operation.
    pub requests: Figures,
}

/// What has become of a figure that is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Grown { from: u64, to: u64 },
    Fallen { from: u64, to: u64 },
    New { at: u64 },
    Gone { from: u64 },
}

/// A figure that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    figure: String,
    change: Change,
}

impl Baseline {
    /// Reads what [`Baseline::text`] wrote.
    ///
    /// # Errors
    /// [`Error::Understand`] if it is no baseline.
    pub fn parse(text: &str) -> Result<Baseline, Error> {
        serde_json::from_str(text).map_err(|error| Error::Understand(format!("the baseline: {error}")))
    }

    /// The text of the file, a figure to a line.
    ///
    /// # Errors
    /// None in practice: numbers and names can always be written.
    pub fn text(&self) -> Result<String, Error> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::Understand(error.to_string()))?;
        Ok(text + "\n")
    }
}

/// What is no longer as it was, the order being that of the names. Changes that are no more than noise are none.
pub fn compare(before: &Figures, now: &Figures) -> Vec<Finding> {
    let gone = before.iter().filter(|(name, _)| !now.contains_key(*name));
    let gone = gone.map(|(name, from)| (name, Some(Change::Gone { from: *from })));
    let rest = now.iter().map(|(name, at)| (name, change(before.get(name).copied(), *at)));
    let all: BTreeMap<&String, Option<Change>> = gone.chain(rest).collect();
    let finding = |(name, change): (&String, Option<Change>)| {
        Some(Finding {
            figure: name.clone(),
            change: change?,
        })
    };
    all.into_iter().filter_map(finding).collect()
}

fn change(before: Option<u64>, now: u64) -> Option<Change> {
    match before {
        None => Some(Change::New { at: now }),
        Some(from) if is_more(now, from) => Some(Change::Grown { from, to: now }),
        Some(from) if is_more(from, now) => Some(Change::Fallen { from, to: now }),
        Some(_) => None,
    }
}

/// By more than a tenth, and by more than one: a small count has no tenths. What costs nothing is to cost nothing.
fn is_more(one: u64, other: u64) -> bool {
    let by = one.saturating_sub(other);
    let least = if other == 0 { 0 } else { 1 };
    by > least && u128::from(by) * 10 > u128::from(other)
}

impl Finding {
    /// Whether the baseline has to be changed on purpose. What has fallen may be written down, and until then nobody notices if it grows back.
    pub fn is_failure(&self) -> bool {
        !matches!(self.change, Change::Fallen { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = &self.figure;
        match self.change {
            Change::Grown { from, to } => write!(
                formatter,
                "{figure} has grown: {from} in the baseline, {to} now{}. To accept it: {ACCEPT}",
                percent(from, to)
            ),
            Change::Fallen { from, to } => write!(
                formatter,
                "{figure} has fallen: {from} in the baseline, {to} now{}. To keep it there: {ACCEPT}",
                percent(from, to)
            ),
            Change::New { at } => write!(formatter, "{figure} is not in the baseline: {at} now. To take it in: {ACCEPT}"),
            Change::Gone { from } => write!(formatter, "{figure} was not counted: {from} in the baseline. To drop it: {ACCEPT}"),
        }
    }
}

/// By how much, where there was something.
fn percent(from: u64, to: u64) -> String {
    if from == 0 {
        return String::new();
    }
    format!(" ({:+.1} %)", (to as f64 / from as f64 - 1.0) * 100.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a baseline that cannot be read is the test's failure")]
mod tests {
    use super::*;

    fn figures<const N: usize>(figures: [(&str, u64); N]) -> Figures {
        figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn findings(before: u64, now: u64) -> Vec<Finding> {
        compare(&figures([("plan", before)]), &figures([("plan", now)]))
    }

    #[test]
    fn a_figure_may_grow_by_a_tenth_and_not_by_more() {
        assert_eq!(findings(1_000, 1_100), []);
        let grown = findings(1_000, 1_101);
        assert!(grown[0].is_failure());
        assert_eq!(
            grown[0].to_string(),
            format!("plan has grown: 1000 in the baseline, 1101 now (+10.1 %). To accept it: {ACCEPT}")
        );
    }

    #[test]
    fn a_small_count_may_grow_by_one_and_not_by_more() {
        assert_eq!(findings(2, 3), []);
        assert!(findings(2, 4)[0].is_failure());
    }

    #[test]
    fn what_cost_nothing_may_not_cost_something() {
        assert_eq!(findings(0, 0), []);
        let grown = findings(0, 1);
        assert!(grown[0].is_failure());
        assert_eq!(
            grown[0].to_string(),
            format!("plan has grown: 0 in the baseline, 1 now. To accept it: {ACCEPT}")
        );
    }

    #[test]
    fn a_figure_that_has_fallen_is_told_and_does_not_fail() {
        let fallen = findings(1_000, 800);
        assert!(!fallen[0].is_failure());
        assert!(
            fallen[0]
                .to_string()
                .starts_with("plan has fallen: 1000 in the baseline, 800 now (-20.0 %)")
        );
        assert_eq!(findings(1_000, 950), []);
    }

    #[test]
    fn a_figure_that_is_new_or_gone_fails_so_that_none_is_lost_by_a_name() {
        let (before, now) = (figures([("plan", 5), ("roster", 7)]), figures([("plan", 5), ("list", 7)]));
        let findings = compare(&before, &now);
        assert!(findings.iter().all(Finding::is_failure));
        let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
        assert_eq!(
            lines,
            [
                format!("list is not in the baseline: 7 now. To take it in: {ACCEPT}"),
                format!("roster was not counted: 7 in the baseline. To drop it: {ACCEPT}"),
            ]
        );
    }

    #[test]
    fn the_greatest_figures_do_not_overflow() {
        assert_eq!(findings(u64::MAX, u64::MAX), []);
        assert!(findings(u64::MAX / 2, u64::MAX)[0].is_failure());
    }

    #[test]
    fn a_baseline_is_read_as_it_was_written() {
        let baseline = Baseline {
            instructions: figures([("plan", 5)]),
            requests: figures([("restart", 7)]),
        };
        assert_eq!(Baseline::parse(&baseline.text().unwrap()).unwrap(), baseline);
        assert!(Baseline::parse("[]").is_err());
    }
}
