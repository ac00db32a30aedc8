//! One measurement: what it took until the clock was satisfied, and what was used until it was quiet again.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::record::{Cell, Load, Record, Used};
use super::stage::Stage;
use super::task::{Environment, Task};
use super::{Error, processes, trace};
use crate::audit::{AuditEvent, Position};

/// So long after the end everybody is watched at least: the controllers go on alike, and some contenders do.
const AFTER: Duration = Duration::from_millis(1_000);

/// So long a contender must have asked for nothing to be quiet.
const QUIET: Duration = Duration::from_millis(500);

/// So long it may take at most. What goes on longer than that counts as far as it went.
const LONGEST: Duration = Duration::from_secs(120);

/// How long the need of an idle server is watched.
const IDLE: Duration = Duration::from_secs(1);

/// How long the need of a contender is watched that has many environments and nothing to do: it looks after them now and then.
const IDLE_CONTENDER: Duration = Duration::from_secs(10);

/// The counters at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    position: Position,
    server: Duration,
    contender: Duration,
    at: Instant,
}

/// A stage that is warm, and how much its server needs when idle.
pub(super) struct Warm {
    pub(super) stage: Stage,
    pub(super) cell: Cell,
    /// Time of the processor for each second.
    idle: f64,
    /// The same of the contender, where that is not part of what is measured.
    idle_contender: f64,
    /// Where requests are told one by one, if at all.
    requests: Option<PathBuf>,
}

impl Warm {
    /// Makes one environment that does not count, so that connections and caches are warm, and then watches the idle server.
    pub(super) async fn up(stage: Stage, cell: Cell, requests: Option<PathBuf>) -> Result<Warm, Error> {
        let mut warm = Warm {
            stage,
            cell,
            idle: 0.0,
            idle_contender: 0.0,
            requests,
        };
        // Who is asked what it needs without an environment has none.
        if !matches!(warm.cell.load, Load::Idle { size: 0, .. }) {
            warm.first().await?;
        }
        warm.settle().await;
        let marks = warm.marks();
        tokio::time::sleep(IDLE).await;
        let now = warm.marks();
        warm.idle = (now.server - marks.server).as_secs_f64() / (now.at - marks.at).as_secs_f64();
        Ok(warm)
    }

    /// Watches what the contender needs for the environments that there are. From now on, that is not counted.
    pub(super) async fn watch_idle_contender(&mut self) {
        let marks = self.marks();
        tokio::time::sleep(IDLE_CONTENDER).await;
        let now = self.marks();
        self.idle_contender = (now.contender.saturating_sub(marks.contender)).as_secs_f64() / (now.at - marks.at).as_secs_f64();
    }

    async fn first(&self) -> Result<(), Error> {
        let first = self.stage.contender.enter(&["warm-up".to_owned()]).await?;
        self.expect(&first);
        self.stage.contender.carry_out(Task::Create, &first).await?;
        self.complete(&first).await.map(drop)
    }

    /// The clock waits for everything of these.
    pub(super) fn expect(&self, environments: &[Environment]) {
        for environment in environments {
            self.stage.clock.expect(&environment.naming.namespace, &environment.objects);
        }
    }

    /// Waits until all of them are complete, and says when the last one was.
    pub(super) async fn complete(&self, environments: &[Environment]) -> Result<Instant, Error> {
        let mut last = None;
        for environment in environments {
            let at = self
                .stage
                .clock
                .complete(&environment.naming.namespace, patience(environments.len()))
                .await?;
            last = last.max(Some(at));
        }
        Ok(last.unwrap_or_else(Instant::now))
    }

    /// Waits until all of them are gone, and says when the last one was.
    pub(super) async fn gone(&self, environments: &[Environment]) -> Result<Instant, Error> {
        let mut last = None;
        for environment in environments {
            let at = self
                .stage
                .clock
                .gone(&environment.naming.namespace, patience(environments.len()))
                .await?;
            last = last.max(Some(at));
        }
        Ok(last.unwrap_or_else(Instant::now))
    }

    /// The counters now. The peak of memory begins anew.
    pub(super) fn marks(&self) -> Marks {
        let processes = self.stage.contender.processes();
        processes::forget_peak(&processes);
        Marks {
            position: self.stage.plane.audit().position(),
            server: processes::cpu(&self.stage.server()),
            contender: contender_cpu(&processes),
            at: Instant::now(),
        }
    }

    /// Waits until the contender asks for nothing more.
    pub(super) async fn settle(&self) {
        let begin = Instant::now();
        tokio::time::sleep(AFTER).await;
        let mut position = self.stage.plane.audit().position();
        let mut quiet = Instant::now();
        while begin.elapsed() < LONGEST && quiet.elapsed() < QUIET {
            tokio::time::sleep(QUIET / 5).await;
            let now = self.stage.plane.audit().position();
            if self.of_contender(position).next().is_some() {
                quiet = Instant::now();
            }
            position = now;
        }
    }

    /// What was used since then.
    pub(super) fn used(&self, since: Marks) -> Used {
        let processes = self.stage.contender.processes();
        let now = Marks {
            position: since.position,
            server: processes::cpu(&self.stage.server()),
            contender: contender_cpu(&processes),
            at: Instant::now(),
        };
        let own_time = (now.contender.saturating_sub(since.contender)).as_secs_f64();
        let gross = (now.server.saturating_sub(since.server)).as_secs_f64();
        let elapsed = (now.at - since.at).as_secs_f64();
        let all = self.stage.plane.audit().since(since.position);
        let own: Vec<&AuditEvent> = all.iter().filter(|event| self.is_of_contender(event)).collect();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (peak, resident) = if processes.is_empty() {
            (processes::peak_of_ended_children(), 0)
        } else {
            (processes::peak(&processes), processes::resident(&processes))
        };
        Used {
            contender_cpu_ms: (own_time - self.idle_contender * elapsed).max(0.0) * 1000.0,
            server_cpu_ms: (gross - self.idle * elapsed).max(0.0) * 1000.0,
            server_cpu_gross_ms: gross * 1000.0,
            requests: count(own.len()),
            writes: count(own.iter().filter(|event| event.is_write()).count()),
            all_requests: count(all.iter().filter(|event| event.user != "admin").count()),
            peak_kib: peak,
            resident_kib: resident,
            until_quiet_ms: elapsed * 1000.0,
        }
    }

    /// One measurement of environments that are to be complete: from the order to the clock, and what it cost.
    pub(super) async fn until_complete(&self, sample: u32, task: Task, environments: &[Environment]) -> Result<Record, Error> {
        let marks = self.marks();
        let begin = self.stage.contender.carry_out(task, environments).await?;
        let end = self.complete(environments).await?;
        self.settle().await;
        let record = self.record(sample, environments.len(), Some(end - begin), Some(self.used(marks)));
        self.tell_requests(sample, Some(end - begin), marks, begin)?;
        Ok(record)
    }

    /// Tells the contender's requests since then one by one, where they are wanted. `begin`: what their times count from.
    pub(super) fn tell_requests(&self, sample: u32, wall: Option<Duration>, since: Marks, begin: Instant) -> Result<(), Error> {
        let Some(path) = &self.requests else { return Ok(()) };
        let events: Vec<AuditEvent> = self.of_contender(since.position).collect();
        trace::append(path, &trace::title(&self.cell, sample, wall), begin, &events)
    }

    /// A line of the data.
    pub(super) fn record(&self, sample: u32, environments: usize, wall: Option<Duration>, used: Option<Used>) -> Record {
        Record {
            cell: self.cell.clone(),
            sample,
            environments: u32::try_from(environments).unwrap_or(u32::MAX),
            wall_ms: wall.map(|wall| wall.as_secs_f64() * 1000.0),
            used,
            deliveries: None,
        }
    }

    /// What the contender asked for since then.
    pub(super) fn of_contender(&self, since: Position) -> impl Iterator<Item = AuditEvent> {
        let events = self.stage.plane.audit().since(since).into_iter();
        events.filter(|event| self.is_of_contender(event))
    }

    fn is_of_contender(&self, event: &AuditEvent) -> bool {
        self.stage.contender.users().contains(&event.user)
    }
}

impl Marks {
    /// Where the audit log was then.
    pub(super) fn position(&self) -> Position {
        self.position
    }
}

/// Of what runs all along and its children, or else of the commands that have ended: the others among our children are not the contender's.
fn contender_cpu(processes: &[u32]) -> Duration {
    if processes.is_empty() {
        processes::cpu_of_ended_children()
    } else {
        processes::cpu(processes)
    }
}

/// How long so many may take.
fn patience(count: usize) -> Duration {
    Duration::from_secs(90 + 2 * count as u64)
}
