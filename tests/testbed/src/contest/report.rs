//! The report: what the raw data say, as Markdown and as a picture. Nothing is measured here.

mod deliveries;
mod row;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::goals;
use super::picture;
use super::record::{Cell, Line, Load, Record, Run, Series};
use super::statistics::{Summary, summary};
use super::task::Name;
pub(super) use deliveries::Told;
pub use row::Row;
use row::row;

/// What is compared: a load, on a series, with so many definitions.
pub(super) type Contest = (Load, u32, Series);

/// Why some goals cannot hold. It names no figure that a later measurement could change.
const LIMITS: &str = include_str!("report/limits.md");

/// Measurements by contest and contender, and what else the lines say.
#[derive(Debug, Default)]
pub struct Data {
    runs: Vec<Run>,
    spins: Vec<f64>,
    steps: Vec<f64>,
    records: BTreeMap<Contest, BTreeMap<Name, Vec<Record>>>,
    failures: Vec<(Cell, String)>,
}

impl Data {
    /// Sorts the lines of one or several runs.
    pub fn of(lines: Vec<Line>) -> Data {
        let mut data = Data::default();
        for line in lines {
            match line {
                Line::Run(run) => data.runs.push(run),
                Line::Round { spin, step, .. } => {
                    data.spins.push(spin);
                    data.steps.extend(step);
                }
                Line::Failure { cell, reason } => data.failures.push((cell, reason)),
                Line::Sample(record) => {
                    let contest = (record.cell.load.whatever_samples(), record.cell.crds, record.cell.series);
                    let of = data.records.entry(contest).or_default();
                    of.entry(record.cell.contender).or_default().push(record);
                }
            }
        }
        data
    }

    /// What was compared.
    pub(super) fn contests(&self) -> impl Iterator<Item = &Contest> {
        self.records.keys()
    }

    /// The rows of a contest, in the order of the names.
    pub(super) fn rows(&self, contest: &Contest) -> Vec<Row> {
        let of = self.records.get(contest).into_iter().flatten();
        of.map(|(name, records)| row(*name, contest.0, records)).collect()
    }

    /// What was told of deliveries in a series, by kind, rate, and whether there was an API server.
    pub(super) fn deliveries(&self, series: Series) -> Vec<Told> {
        let contests = self.records.iter().filter(|((_, _, of), _)| *of == series);
        let records = contests.flat_map(|(_, by_name)| by_name.values().flatten());
        deliveries::told(records)
    }

    /// The report as Markdown. `picture` is the name of the file with the picture.
    pub fn markdown(&self, picture: &str) -> String {
        let mut text = "# Contest\n\nWritten by `contest report` from raw data; see CONTRIBUTING.md for how to take them.\n\n".to_owned();
        self.write_runs(&mut text);
        let _ = writeln!(text, "![one environment, from the order to all fourteen objects]({picture})\n");
        text.push_str(LEGEND);
        goals::write(&mut text, self);
        text.push('\n');
        text.push_str(LIMITS);
        for contest in self.records.keys() {
            let _ = writeln!(text, "\n## {}\n", title(contest));
            match contest.0 {
                Load::Webhook { .. } => deliveries::write(&mut text, &self.deliveries(contest.2)),
                _ => self.write_contest(&mut text, contest),
            }
        }
        self.write_failures(&mut text);
        text
    }

    /// The picture: the first contest of single environments, else the first of all.
    pub fn picture(&self) -> String {
        let single = |contest: &&Contest| matches!(contest.0, Load::One { .. });
        let contest = self.records.keys().find(single).or_else(|| self.records.keys().next());
        let Some(contest) = contest else {
            return picture::bars("nothing was measured", &[]);
        };
        picture::bars(&title(contest), &self.rows(contest))
    }

    fn write_runs(&self, text: &mut String) {
        let machines: BTreeSet<&str> = self.runs.iter().map(|run| run.machine.as_str()).collect();
        for machine in machines {
            let _ = writeln!(text, "- Machine: {machine}");
        }
        for run in &self.runs {
            let at = run.at.split('.').next().unwrap_or_default();
            let forced = run.forced.as_ref().map_or_else(String::new, |reason| {
                format!("; **forced on a busy machine** ({reason}): the times are no measurements, the counts are")
            });
            let _ = writeln!(text, "- {at}, {} build, seed {}{forced}", run.profile, run.seed);
        }
        let absent: BTreeSet<&String> = self.runs.iter().flat_map(|run| &run.absent).collect();
        for absent in absent {
            let _ = writeln!(text, "- Not there: {absent}");
        }
        if let Some(spin) = summary(self.spins.iter().copied()) {
            let percent = spin.least * 100.0;
            let _ = writeln!(
                text,
                "- A busy loop before each round got at least {percent:.0} % of the processors"
            );
        }
        if let Some(longest) = self.steps.iter().copied().reduce(f64::max) {
            let _ = writeln!(text, "- A step through memory before each round took at most {longest:.0} ns");
        }
        text.push('\n');
    }

    fn write_contest(&self, text: &mut String, contest: &Contest) {
        let rows = self.rows(contest);
        let floor = rows.iter().find(|row| row.contender == Name::FloorApply).copied();
        text.push_str("| | n | p50 ms | p95 | p99 | × floor | env/s | CPU ms | server CPU ms | × floor | requests | writes | peak MiB | MiB after |\n");
        text.push_str("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
        for row in &rows {
            let wall = |part: fn(&Summary) -> f64| number(row.wall.as_ref().map(part));
            let ratio = |part: fn(&Row) -> Option<f64>| {
                let ratio = part(row).zip(floor.as_ref().and_then(part)).filter(|(_, floor)| *floor > 0.0);
                ratio.map_or_else(|| "–".to_owned(), |(ours, floor)| format!("{:.2}", ours / floor))
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                row.contender.title(),
                row.wall.map_or_else(|| "–".to_owned(), |wall| wall.count.to_string()),
                wall(|wall| wall.p50),
                wall(|wall| wall.p95),
                wall(|wall| wall.p99),
                ratio(|row| row.wall.map(|wall| wall.p50)),
                number(row.rate),
                number(row.contender_cpu),
                number(row.server_cpu),
                ratio(|row| row.server_cpu),
                number(row.requests),
                number(row.writes),
                number(row.peak),
                number(row.resident.map(|resident| resident / 1024.0)),
            );
        }
    }

    fn write_failures(&self, text: &mut String) {
        if self.failures.is_empty() {
            return;
        }
        text.push_str("\n## Without a result\n\n");
        for (cell, reason) in &self.failures {
            let first = reason.lines().next().unwrap_or_default();
            let _ = writeln!(text, "- {} with {}, round {}: {first}", cell.contender, cell.load, cell.round);
        }
    }
}

const LEGEND: &str = "\
Time runs from the first byte of the delivery, or from the start of the process, until a watcher has seen all fourteen objects with their
content. CPU, requests, writes and memory run until the contender asks for nothing more, at least a second longer, and are medians for each
environment (CPU, requests, writes) or of the whole (memory: what runs all along, or the largest process that was started). Server CPU is that
of kube-apiserver and etcd, less what they need when idle. Of one environment beside many, the contender's CPU is less what it needs for the
many while nothing happens.

The teardown of graftling runs from the delivery that announces the deletion of the branch to the end of the Environment, which goes after its
receipt. It includes the confirmation that the branch is absent: one look at the Git host, as the announcement counts as the first; without a
delivery there are two looks, `--absence-confirmation` apart (1 s in the contest). Where more than three go at once, the brake holds
them until somebody releases it, which takes the second look: the contest does so 1.1 s after it is told what is held, and that is part of
the time. The floor deletes Deployments, ReplicaSets and pods, without waiting for them, and then the namespace.
";

fn title((load, crds, series): &Contest) -> String {
    let crds = match crds {
        0 => String::new(),
        count => format!(", {count} more definitions"),
    };
    format!("{load}{crds} ({})", where_it_ran(*series))
}

fn where_it_ran(series: Series) -> &'static str {
    match series {
        Series::Pinned => "control plane and contender on a processor each",
        Series::Free => "everybody on all processors",
    }
}

/// A number with as many digits as it is worth.
pub(super) fn number(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value.abs() >= 100.0 || value == value.round() => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what was just put in is there")]
mod tests {
    use std::fs;

    use super::super::record::{self, Used};
    use super::*;
    use crate::subject::root;

    fn cell(contender: Name, load: Load) -> Cell {
        Cell {
            contender,
            load,
            series: Series::Pinned,
            round: 0,
            crds: 0,
        }
    }

    fn used(server: f64, requests: u32) -> Used {
        Used {
            contender_cpu_ms: 4.0,
            server_cpu_ms: server,
            server_cpu_gross_ms: server,
            requests,
            writes: requests,
            all_requests: requests,
            peak_kib: 2048,
            resident_kib: 1024,
            until_quiet_ms: 1.0,
        }
    }

    fn record(contender: Name, load: Load, environments: u32, wall: f64, used: Option<Used>) -> Line {
        Line::Sample(Record {
            cell: cell(contender, load),
            sample: 0,
            environments,
            wall_ms: Some(wall),
            used,
            deliveries: None,
        })
    }

    #[test]
    fn the_committed_report_and_its_picture_are_those_of_the_committed_data() {
        let reports = root().join("tests/reports");
        let data = Data::of(record::read(&reports.join("contest-data")).unwrap());
        let committed = |name: &str| fs::read_to_string(reports.join(name)).unwrap();
        let hint = "write it anew: contest report --data tests/reports/contest-data";
        assert!(data.markdown("contest.svg") == committed("contest.md"), "{hint}");
        assert!(data.picture() == committed("contest.svg"), "{hint}");
    }

    #[test]
    fn everything_is_told_as_a_ratio_to_the_floor() {
        let one = Load::One { samples: 2 };
        let data = Data::of(vec![
            record(Name::FloorApply, one, 1, 20.0, Some(used(30.0, 14))),
            record(Name::Graftling, one, 1, 30.0, Some(used(36.0, 17))),
            record(Name::Graftling, one, 1, 50.0, Some(used(36.0, 17))),
        ]);
        let text = data.markdown("contest.svg");
        assert!(
            text.contains("| graftling | 2 | 30 | 50 | 50 | 1.50 | – | 4 | 36 | 1.20 | 17 | 17 | 2 | 1 |"),
            "{text}"
        );
        assert!(
            text.contains("one environment (control plane and contender on a processor each)"),
            "{text}"
        );
    }

    #[test]
    fn a_burst_is_told_for_each_environment() {
        let burst = Load::Burst { size: 100 };
        let data = Data::of(vec![record(Name::Graftling, burst, 100, 2_000.0, Some(used(3_000.0, 1_700)))]);
        let row = data.rows(&(burst, 0, Series::Pinned))[0];
        assert_eq!((row.rate, row.server_cpu, row.requests), (Some(50.0), Some(30.0), Some(17.0)));
    }

    #[test]
    fn the_whole_of_a_steady_load_is_no_wall_time_of_one() {
        let steady = Load::Steady {
            per_second: 10,
            seconds: 1,
        };
        let data = Data::of(vec![
            record(Name::Graftling, steady, 10, 1_000.0, Some(used(300.0, 170))),
            record(Name::Graftling, steady, 1, 30.0, None),
        ]);
        let row = data.rows(&(steady, 0, Series::Pinned))[0];
        assert_eq!(row.wall.unwrap().p99, 30.0);
        assert_eq!(row.requests, Some(17.0));
    }

    #[test]
    fn what_was_forced_and_what_failed_is_said() {
        let run = Run {
            at: "2026-01-01".to_owned(),
            machine: "2 × a processor".to_owned(),
            profile: "release".to_owned(),
            seed: 7,
            rounds: 10,
            forced: Some("the load average is 3".to_owned()),
            absent: vec!["webhook-script: there is no webhook".to_owned()],
        };
        let failure = Line::Failure {
            cell: cell(Name::HelmInstall, Load::One { samples: 1 }),
            reason: "helm said no\nand more".to_owned(),
        };
        let text = Data::of(vec![
            Line::Run(run),
            Line::Round {
                round: 0,
                spin: 0.98,
                step: Some(123.4),
            },
            failure,
        ])
        .markdown("p.svg");
        for part in [
            "forced on a busy machine",
            "seed 7",
            "there is no webhook",
            "at least 98 %",
            "at most 123 ns",
            "helm said no\n",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
        assert!(!text.contains("and more"));
    }

    #[test]
    fn the_picture_has_a_bar_for_each_contender() {
        let one = Load::One { samples: 1 };
        let lines = Name::ALL.map(|name| record(name, one, 1, 20.0, None));
        let picture = Data::of(lines.into()).picture();
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
        assert_eq!(picture.matches("class=\"bar\"").count(), Name::ALL.len());
        assert!(Data::default().picture().contains("nothing was measured"));
    }
}
