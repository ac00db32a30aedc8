//! What was measured for each goal, in the order of the goals.

use std::collections::BTreeSet;

use super::super::deliveries::Kind;
use super::super::record::{Load, Series};
use super::super::report::{Data, Row, Told};
use super::super::task::Name;
use super::Goal;

/// The rate at which acknowledgements are timed.
const RATE: u32 = 1000;

/// The data, and which of them count.
pub(super) struct Found<'a> {
    pub(super) data: &'a Data,
    pub(super) series: Series,
}

impl Found<'_> {
    pub(super) fn all(&self) -> Vec<Goal> {
        let parts = [
            self.of_one(),
            self.of_bursts(),
            self.of_requests(),
            self.of_deliveries(),
            self.of_idling(),
            self.of_many(),
            self.of_ends(),
        ];
        parts.into_iter().flatten().collect()
    }

    fn of_one(&self) -> Vec<Goal> {
        let ours = self.one(Name::Graftling);
        let floor = ratio(ours, self.one(Name::FloorApply), p50);
        let what = "one environment, signed POST to all objects present, against the floor, p50";
        let mut goals = vec![Goal::at_most(what, 2.0, floor).stretch(1.5)];
        let allowed = ratio(ours, self.one(Name::FloorDeployer), p50);
        let what = "the same against the floor with the rights of a deployer";
        goals.push(Goal::at_most(what, 2.0, allowed).stretch(1.5));
        let fair = ratio(ours, self.one(Name::FloorEnvironment), p50);
        goals.push(Goal::at_most(format!("the same against {}", Name::FloorEnvironment.title()), 2.0, fair).stretch(1.5));
        for other in [Name::KubectlServerSide, Name::HelmTemplate, Name::HelmInstall, Name::WebhookScript] {
            let what = format!("the same against {}", other.title());
            goals.push(Goal::at_most(what, 0.1, ratio(ours, self.one(other), p50)).stretch(0.07));
        }
        goals
    }

    fn of_bursts(&self) -> Vec<Goal> {
        let size = |load: &Load| match load {
            Load::Burst { size } => Some(*size),
            _ => None,
        };
        let goals = |of: u32| {
            let row = |name| self.row(name, |load| size(load) == Some(of));
            let rate = |floor| ratio(row(Name::Graftling), row(floor), |row| row.rate);
            let what = format!("burst of {of}, environments per second against the floor");
            let fair = format!("the same against {}", Name::FloorEnvironment.title());
            [(what, Name::FloorApply), (fair, Name::FloorEnvironment)]
                .map(|(what, floor)| Goal::at_least(what, 0.8, rate(floor)).stretch(0.92))
        };
        self.sizes(&[100, 1000], size).into_iter().flat_map(goals).collect()
    }

    fn of_requests(&self) -> Vec<Goal> {
        let ours = self.one(Name::Graftling);
        let repeated = self.row(Name::Graftling, |load| matches!(load, Load::Repeat { .. }));
        let changed = self.row(Name::Graftling, |load| matches!(load, Load::Change { .. }));
        let server = |floor| ratio(ours, self.one(floor), |row| row.server_cpu);
        vec![
            Goal::at_most(
                "writes per new environment: 14, and of the Environment itself 3",
                17.0,
                ours.and_then(|row| row.writes),
            ),
            Goal::at_most("reads per new environment", 2.0, ours.and_then(reads)),
            Goal::at_most("server CPU per new environment against the floor", 1.3, server(Name::FloorApply)).stretch(1.15),
            Goal::at_most(
                format!("the same against {}", Name::FloorEnvironment.title()),
                1.3,
                server(Name::FloorEnvironment),
            )
            .stretch(1.15),
            Goal::at_most("repeated delivery, writes", 0.0, repeated.and_then(|row| row.writes)),
            Goal {
                bound: None,
                ..Goal::at_most("repeated delivery, requests", 0.0, repeated.and_then(|row| row.requests)).stretch(0.0)
            },
            Goal::at_most(
                "one changed object, writes: 1, and the status",
                2.0,
                changed.and_then(|row| row.writes),
            ),
        ]
    }

    fn of_deliveries(&self) -> Vec<Goal> {
        let all = self.data.deliveries(self.series);
        let find = |kind, per_second, api_server| {
            let is_it = |told: &&Told| (told.kind, told.per_second, told.api_server) == (kind, per_second, api_server);
            all.iter().find(is_it)
        };
        let acknowledged = |api_server| find(Kind::Valid, Some(RATE), api_server).and_then(|told| told.p99);
        let rate = |kind| find(kind, None, true).and_then(|told| told.of_a_processor);
        vec![
            Goal::at_most(
                "acknowledgement at 1 000 deliveries/s, p99 in milliseconds",
                5.0,
                acknowledged(true),
            )
            .stretch(2.0),
            Goal::at_most("the same while the API server is away", 5.0, acknowledged(false)).stretch(2.0),
            Goal::at_least("valid deliveries per second of one core", 8_000.0, rate(Kind::Valid)).stretch(20_000.0),
            Goal::at_least("mis-signed deliveries per second of one core", 15_000.0, rate(Kind::MisSigned)).stretch(30_000.0),
        ]
    }

    fn of_idling(&self) -> Vec<Goal> {
        let size = |load: &Load| match load {
            Load::Idle { size, .. } => Some(*size),
            _ => None,
        };
        let idle = |of: u32| self.row(Name::Graftling, |load| size(load) == Some(of));
        let resident = |of: u32| idle(of).and_then(|row| row.resident);
        let sizes = self.sizes(&[1000], size);
        let rates = sizes.iter().filter(|size| **size > 0).map(|of| {
            let what = format!("idle requests per second with {of} environments");
            Goal::at_most(what, 1.0, idle(*of).and_then(|row| row.request_rate)).stretch(0.2)
        });
        let mut goals: Vec<Goal> = rates.collect();
        let none = resident(0).map(|kib| kib / 1024.0);
        goals.push(Goal::at_most("resident memory without an environment, MiB", 20.0, none).stretch(12.0));
        let slope = |from: u32, to: u32| Some((resident(to)? - resident(from)?) / f64::from(to.checked_sub(from).filter(|of| *of > 0)?));
        let measured: Vec<u32> = self.sizes(&[], size).into_iter().filter(|size| *size > 0).collect();
        let (least, most) = match measured.as_slice() {
            [least, .., most] => (*least, *most),
            // The goal speaks of these.
            _ => (100, 1000),
        };
        let what = format!("resident memory per environment, KiB (slope from {least} to {most})");
        goals.push(Goal::at_most(what, 20.0, slope(least, most)).stretch(6.0));
        let growth = slope(least, most).zip(slope(0, least)).map(|(late, early)| late / early);
        let what = format!("growth of memory per environment, from {least} to {most} against the first {least}");
        goals.push(Goal::at_most(what, 1.2, growth).stretch(1.05));
        goals
    }

    fn of_many(&self) -> Vec<Goal> {
        let size = |load: &Load| match load {
            Load::Beside { size, .. } => Some(*size),
            _ => None,
        };
        let first = self.one(Name::Graftling);
        let goals = |of: u32| {
            let beside = self.row(Name::Graftling, |load| size(load) == Some(of));
            let what = format!("one more environment beside {of} against the first");
            [
                Goal::at_most(format!("{what}, p50"), 1.2, ratio(beside, first, p50)).stretch(1.05),
                Goal::at_most(format!("{what}, requests"), 1.0, ratio(beside, first, |row| row.requests)),
                Goal::at_most(
                    format!("growth of CPU per environment: {what}"),
                    1.2,
                    ratio(beside, first, |row| row.contender_cpu),
                )
                .stretch(1.05),
            ]
        };
        self.sizes(&[100, 1000], size).into_iter().flat_map(goals).collect()
    }

    fn of_ends(&self) -> Vec<Goal> {
        let restarted = |load: &Load| match load {
            Load::Restart { size } => Some(*size),
            _ => None,
        };
        let mut goals = Vec::new();
        for of in self.sizes(&[1000], restarted) {
            let row = self.row(Name::Graftling, |load| restarted(load) == Some(of));
            let seconds = row.and_then(|row| Some(p50(&row)? / 1000.0));
            let what = format!("restart with {of} environments to quiet");
            goals.push(Goal::at_most(format!("{what}, seconds"), 5.0, seconds).stretch(2.0));
            // The row has them for each environment.
            let writes = row.and_then(|row| Some(row.writes? * f64::from(of)));
            goals.push(Goal::at_most(format!("{what}, writes"), 0.0, writes));
        }
        goals.extend(self.of_teardowns());
        let quiet = |load: &Load| match load {
            Load::Quiet { size, .. } => Some(*size),
            _ => None,
        };
        let change = self.row(Name::Graftling, |load| matches!(load, Load::Change { .. }));
        for of in self.sizes(&[100], quiet) {
            let row = self.row(Name::Graftling, |load| quiet(load) == Some(of));
            let what = format!("one changed object while {of} are torn down, against when idle, p99");
            let p99 = ratio(row, change, |row| row.wall.map(|wall| wall.p99));
            goals.push(Goal::at_most(what, 2.0, p99).stretch(1.2));
        }
        goals
    }

    fn of_teardowns(&self) -> Vec<Goal> {
        let size = |load: &Load| match load {
            Load::Teardown { size } => Some(*size),
            _ => None,
        };
        let goal = |of: u32| {
            let row = |name| self.row(name, |load| size(load) == Some(of));
            let what = format!(
                "teardown of {of}, branch deletion to receipt (with the confirmation that the branch is absent), against bare kubectl delete \
                 namespace --wait, p50"
            );
            Goal::at_most(what, 0.65, ratio(row(Name::Graftling), row(Name::Kubectl), p50)).stretch(0.55)
        };
        self.sizes(&[1], size).into_iter().map(goal).collect()
    }

    /// The row of a contender in the first contest of this kind without further definitions.
    fn row(&self, contender: Name, is_it: impl Fn(&Load) -> bool) -> Option<Row> {
        let contest = self
            .data
            .contests()
            .find(|(load, crds, series)| is_it(load) && *crds == 0 && *series == self.series)?;
        self.data.rows(contest).into_iter().find(|row| row.contender == contender)
    }

    fn one(&self, contender: Name) -> Option<Row> {
        self.row(contender, |load| matches!(load, Load::One { .. }))
    }

    /// The sizes of the goals and those that were measured, in whichever series.
    fn sizes(&self, wanted: &[u32], size: impl Fn(&Load) -> Option<u32>) -> BTreeSet<u32> {
        let measured = self.data.contests().filter(|(_, crds, _)| *crds == 0);
        measured
            .filter_map(|(load, _, _)| size(load))
            .chain(wanted.iter().copied())
            .collect()
    }
}

fn ratio(ours: Option<Row>, theirs: Option<Row>, part: impl Fn(&Row) -> Option<f64>) -> Option<f64> {
    let (ours, theirs) = (part(&ours?)?, part(&theirs?)?);
    (theirs > 0.0).then(|| ours / theirs)
}

fn p50(row: &Row) -> Option<f64> {
    row.wall.map(|wall| wall.p50)
}

fn reads(row: Row) -> Option<f64> {
    Some(row.requests? - row.writes?)
}
