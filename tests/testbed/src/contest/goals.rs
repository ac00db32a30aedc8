//! The goals that graftling is measured by, and how far it is from each: ratios of one run, so that the machine matters little.

mod measured;

use std::fmt::Write;

use super::record::Series;
use super::report::{Data, number};
use measured::Found;

/// One goal, and what was measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Goal {
    /// What is measured.
    what: String,
    /// The bound, if there is more than a stretch.
    bound: Option<f64>,
    /// What would be better still.
    stretch: Option<f64>,
    /// Whether the bounds are the least that is wanted, not the most.
    at_least: bool,
    /// The measured value, if there is one.
    value: Option<f64>,
}

impl Goal {
    fn at_most(what: impl Into<String>, bound: f64, value: Option<f64>) -> Goal {
        Goal {
            what: what.into(),
            bound: Some(bound),
            stretch: None,
            at_least: false,
            value,
        }
    }

    fn at_least(what: impl Into<String>, bound: f64, value: Option<f64>) -> Goal {
        Goal {
            at_least: true,
            ..Goal::at_most(what, bound, value)
        }
    }

    fn stretch(self, stretch: f64) -> Goal {
        Goal {
            stretch: Some(stretch),
            ..self
        }
    }

    fn holds(&self, bound: f64, value: f64) -> bool {
        if self.at_least { value >= bound } else { value <= bound }
    }

    /// What is to be said of the measured value.
    fn verdict(&self) -> &'static str {
        let Some(value) = self.value else { return "not measured" };
        let holds = |bound: Option<f64>| bound.map(|bound| self.holds(bound, value));
        match (holds(self.bound), holds(self.stretch)) {
            (_, Some(true)) => "met, the stretch too",
            (Some(true) | None, _) => "met",
            (Some(false), _) => "**missed**",
        }
    }

    fn bounds(&self) -> [String; 2] {
        let sign = if self.at_least { "≥" } else { "≤" };
        [self.bound, self.stretch].map(|bound| bound.map_or_else(|| "–".to_owned(), |bound| format!("{sign} {bound}")))
    }
}

/// All goals, with what there is of a series. They are the same for each series.
pub(super) fn goals(data: &Data, series: Series) -> Vec<Goal> {
    Found { data, series }.all()
}

/// The goals as a table, with both series beside each other.
pub(super) fn write(text: &mut String, data: &Data) {
    text.push_str(
        "\n## Goals\n\nRatios are those of medians, where nothing else is said. Pinned: control plane and contender on a processor each; ",
    );
    text.push_str("free: everybody on all processors. Sizes that the goals do not name are told of where they were measured.\n\n");
    text.push_str("| goal | wanted | stretch | pinned | | free | |\n|---|---|---|---|---|---|---|\n");
    for (pinned, free) in goals(data, Series::Pinned).iter().zip(goals(data, Series::Free)) {
        let [bound, stretch] = pinned.bounds();
        let _ = writeln!(
            text,
            "| {} | {bound} | {stretch} | {} | {} | {} | {} |",
            pinned.what,
            number(pinned.value),
            pinned.verdict(),
            number(free.value),
            free.verdict(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Cell, Line, Load, Record};
    use super::super::task::Name;
    use super::*;

    fn record(contender: Name, load: Load, environments: u32, wall: f64) -> Line {
        Line::Sample(Record {
            cell: Cell {
                contender,
                load,
                series: Series::Pinned,
                round: 0,
                crds: 0,
            },
            sample: 0,
            environments,
            wall_ms: Some(wall),
            used: None,
            deliveries: None,
        })
    }

    #[test]
    fn a_goal_is_met_missed_or_not_measured_and_never_left_out() {
        let (one, burst) = (Load::One { samples: 1 }, Load::Burst { size: 100 });
        let data = Data::of(vec![
            record(Name::FloorApply, one, 1, 20.0),
            record(Name::Graftling, one, 1, 36.0),
            record(Name::HelmInstall, one, 1, 200.0),
            record(Name::KubectlServerSide, one, 1, 720.0),
            record(Name::FloorApply, burst, 100, 1_000.0),
            record(Name::Graftling, burst, 100, 2_000.0),
        ]);
        let mut text = String::new();
        write(&mut text, &data);
        for row in [
            "against the floor, p50 | ≤ 2 | ≤ 1.5 | 1.80 | met | – | not measured |",
            "| the same against helm install | ≤ 0.1 | ≤ 0.07 | 0.18 | **missed** | – | not measured |",
            "| the same against kubectl apply --server-side | ≤ 0.1 | ≤ 0.07 | 0.05 | met, the stretch too | – | not measured |",
            "| burst of 100, environments per second against the floor | ≥ 0.8 | ≥ 0.92 | 0.50 | **missed** | – | not measured |",
            "| burst of 1000, environments per second against the floor | ≥ 0.8 | ≥ 0.92 | – | not measured | – | not measured |",
        ] {
            assert!(text.contains(row), "no {row} in\n{text}");
        }
        for part in [
            "deliveries",
            "idle",
            "resident",
            "restart",
            "teardown",
            "torn down",
            "growth",
            "repeated",
            "changed",
        ] {
            assert!(text.contains(part), "no goal about {part} in\n{text}");
        }
    }

    #[test]
    fn without_data_every_goal_is_told_as_not_measured() {
        let data = Data::default();
        let verdicts = goals(&data, Series::Free);
        assert!(verdicts.len() >= 25, "{}", verdicts.len());
        assert!(verdicts.iter().all(|goal| goal.verdict() == "not measured"));
    }

    #[test]
    fn a_size_that_no_goal_names_is_told_of_where_it_was_measured() {
        let small = Load::Restart { size: 10 };
        let data = Data::of(vec![record(Name::Graftling, small, 10, 900.0)]);
        let mut text = String::new();
        write(&mut text, &data);
        assert!(
            text.contains("| restart with 10 environments to quiet, seconds | ≤ 5 | ≤ 2 | 0.90 | met, the stretch too |"),
            "{text}"
        );
        assert!(
            text.contains("| restart with 1000 environments to quiet, seconds | ≤ 5 | ≤ 2 | – | not measured |"),
            "{text}"
        );
    }
}
