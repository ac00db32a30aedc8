//! The loads: what each of them makes, asks, and measures.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ListParams};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::content;
use super::measure::{Marks, Warm};
use super::record::{Cell, Load, Record};
use super::stage::{Programs, Stage};
use super::task::{Environment, Task};
use super::{Error, processes, webhook};
use crate::wait;

/// So long nobody must have asked for anything after a restart.
const RESTED: Duration = Duration::from_secs(3);

/// Between two changes while others go, which takes seconds.
const PAUSE: Duration = Duration::from_millis(250);

/// What a cell gave.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Its measurements.
    pub records: Vec<Record>,
    /// The processes of its control plane, which go with it, but take a moment.
    pub processes: Vec<u32>,
}

/// Measures one cell.
///
/// The control plane and the contender go with this process: run each cell in one of its own.
///
/// # Errors
/// [`Error`] if something could not be set up or did not happen.
pub async fn run(cell: Cell, programs: &Programs) -> Result<Outcome, Error> {
    let load = cell.load;
    let stage = Stage::set_up(&cell, programs).await?;
    let processes = stage.plane.pids().into_iter().map(|(_, pid)| pid).collect();
    let mut warm = Warm::up(stage, cell, programs.requests.clone()).await?;
    let records = measure(&mut warm, load, programs).await?;
    Ok(Outcome { records, processes })
}

async fn measure(warm: &mut Warm, load: Load, programs: &Programs) -> Result<Vec<Record>, Error> {
    match load {
        Load::One { samples } => one_by_one(warm, samples).await,
        Load::Beside { size, samples } => {
            many(warm, size).await?;
            warm.watch_idle_contender().await;
            one_by_one(warm, samples).await
        }
        Load::Burst { size } => {
            let environments = enter(warm, "burst", size).await?;
            warm.expect(&environments);
            Ok(vec![warm.until_complete(0, Task::Create, &environments).await?])
        }
        Load::Steady { per_second, seconds } => steady(warm, per_second, seconds).await,
        Load::Repeat { samples } => repeat(warm, samples).await,
        Load::Change { samples } => change(warm, samples).await,
        Load::Teardown { size } => teardown(warm, size).await,
        Load::Idle { size, seconds } => idle(warm, size, seconds).await,
        Load::Restart { size } => restart(warm, size).await,
        Load::Quiet { size, samples } => quiet(warm, size, samples).await,
        Load::Webhook { per_second, seconds } => webhook::measure(warm, &programs.generator, per_second, seconds).await,
    }
}

/// The environments of new branches.
async fn enter(warm: &Warm, prefix: &str, count: u32) -> Result<Vec<Environment>, Error> {
    let branches: Vec<String> = (0..count).map(|number| format!("{prefix}-{number}")).collect();
    warm.stage.contender.enter(&branches).await
}

async fn one_by_one(warm: &Warm, samples: u32) -> Result<Vec<Record>, Error> {
    let environments = enter(warm, "one", samples).await?;
    let mut records = Vec::new();
    for (sample, environment) in (0..).zip(environments) {
        let environment = [environment];
        warm.expect(&environment);
        records.push(warm.until_complete(sample, Task::Create, &environment).await?);
    }
    Ok(records)
}

/// Makes environments that run, and waits until it is quiet. Not measured.
async fn many(warm: &Warm, count: u32) -> Result<Vec<Environment>, Error> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let environments = enter(warm, "many", count).await?;
    warm.expect(&environments);
    warm.stage.contender.carry_out(Task::Create, &environments).await?;
    warm.complete(&environments).await?;
    await_pods(warm, environments.len()).await?;
    warm.settle().await;
    Ok(environments)
}

/// Waits until so many Deployments of environments have their pod.
async fn await_pods(warm: &Warm, count: usize) -> Result<(), Error> {
    let api: Api<Deployment> = Api::all(warm.stage.client.clone());
    let ready = |deployment: &Deployment| deployment.status.as_ref().and_then(|status| status.ready_replicas) == Some(1);
    let look = || async {
        // The more there are, the longer it takes to list them, and the more that is in the way.
        tokio::time::sleep(Duration::from_millis(count as u64)).await;
        let all = api.list(&ListParams::default()).await.map_err(|error| crate::error_chain(&error))?;
        let running = all.items.iter().filter(|deployment| ready(deployment)).count();
        // That of the warm-up is there as well.
        if running > count { Ok(()) } else { Err(format!("{running} run")) }
    };
    let limit = Duration::from_secs(90 + count as u64);
    wait::try_until(format!("{count} environments with a pod"), limit, look)
        .await
        .map_err(Error::Wait)
}

async fn steady(warm: &Warm, per_second: u32, seconds: u32) -> Result<Vec<Record>, Error> {
    let environments = enter(warm, "steady", per_second * seconds).await?;
    warm.expect(&environments);
    let marks = warm.marks();
    let begin = tokio::time::Instant::now();
    let one = |number: usize| {
        let environment = &environments[number..=number];
        async move {
            let due = begin + Duration::from_secs(1) * number as u32 / per_second.max(1);
            tokio::time::sleep_until(due).await;
            let start = warm.stage.contender.carry_out(Task::Create, environment).await?;
            Ok::<Duration, Error>(warm.complete(environment).await? - start)
        }
    };
    let walls = try_join_all((0..environments.len()).map(one)).await?;
    let all = begin.elapsed();
    warm.settle().await;
    let mut records: Vec<Record> = (1..)
        .zip(walls)
        .map(|(sample, wall)| warm.record(sample, 1, Some(wall), None))
        .collect();
    records.insert(0, warm.record(0, environments.len(), Some(all), Some(warm.used(marks))));
    Ok(records)
}

async fn repeat(warm: &Warm, samples: u32) -> Result<Vec<Record>, Error> {
    let environments = many(warm, 1).await?;
    let mut records = Vec::new();
    for sample in 0..samples {
        let marks = warm.marks();
        let begin = warm.stage.contender.carry_out(Task::Create, &environments).await?;
        warm.settle().await;
        records.push(warm.record(sample, 1, None, Some(warm.used(marks))));
        warm.tell_requests(sample, None, marks, begin)?;
    }
    Ok(records)
}

async fn change(warm: &Warm, samples: u32) -> Result<Vec<Record>, Error> {
    let mut environments = many(warm, 1).await?;
    let mut records = Vec::new();
    for sample in 0..samples {
        environments = advance(warm, &environments).await?;
        records.push(warm.until_complete(sample, Task::Change, &environments).await?);
    }
    Ok(records)
}

/// The next revision of environments, which the clock waits for.
async fn advance(warm: &Warm, environments: &[Environment]) -> Result<Vec<Environment>, Error> {
    let next = warm.stage.contender.advance(environments).await?;
    for environment in &next {
        let changed = content::changed(&environment.objects);
        warm.stage.clock.expect(&environment.naming.namespace, &changed);
    }
    Ok(next)
}

fn expect_end(warm: &Warm, environments: &[Environment]) {
    for environment in environments {
        let own = warm.stage.contender.has_environments();
        warm.stage.clock.expect_end(&environment.naming.namespace, own);
    }
}

async fn teardown(warm: &Warm, size: u32) -> Result<Vec<Record>, Error> {
    let environments = many(warm, size).await?;
    warm.stage.contender.leave(&environments).await?;
    expect_end(warm, &environments);
    let marks = warm.marks();
    let begin = warm.stage.contender.carry_out(Task::Delete, &environments).await?;
    let end = warm.gone(&environments).await?;
    warm.settle().await;
    let record = warm.record(0, environments.len(), Some(end - begin), Some(warm.used(marks)));
    warm.tell_requests(0, Some(end - begin), marks, begin)?;
    Ok(vec![record])
}

async fn idle(warm: &Warm, size: u32, seconds: u32) -> Result<Vec<Record>, Error> {
    let environments = many(warm, size).await?;
    let marks = warm.marks();
    tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
    Ok(vec![warm.record(0, environments.len(), None, Some(warm.used(marks)))])
}

async fn restart(warm: &Warm, size: u32) -> Result<Vec<Record>, Error> {
    let environments = many(warm, size).await?;
    // The contest's server lists a repository at its start and hardly ever again, others each minute. What only a listing tells is told before.
    let before = warm.marks();
    warm.stage.contender.restart().await?;
    await_rest(warm, before).await;
    let before = warm.marks();
    let started = warm.stage.contender.restart().await?;
    let begin = Timestamp::now().checked_sub(started.elapsed()).unwrap_or_default();
    await_rest(warm, before).await;
    let last = warm.of_contender(before.position()).map(|event| event.request_received).max();
    let wall = last.and_then(|last| Duration::try_from(last.duration_since(begin)).ok());
    let mut used = warm.used(before);
    // The counter of the new process began at its start, that of the old one is gone with it.
    let own = processes::cpu(&warm.stage.contender.processes());
    used.contender_cpu_ms = own.as_secs_f64() * 1000.0;
    used.until_quiet_ms = started.elapsed().as_secs_f64() * 1000.0;
    warm.tell_requests(0, wall, before, started)?;
    Ok(vec![warm.record(0, environments.len(), wall, Some(used))])
}

/// Waits until the contender has asked for nothing for a while.
async fn await_rest(warm: &Warm, since: Marks) {
    let begin = Instant::now();
    let mut count = 0;
    let mut quiet = Instant::now();
    while quiet.elapsed() < RESTED && begin.elapsed() < Duration::from_secs(120) {
        tokio::time::sleep(RESTED / 10).await;
        let now = warm.of_contender(since.position()).count();
        if now != count {
            (count, quiet) = (now, Instant::now());
        }
    }
}

async fn quiet(warm: &Warm, size: u32, samples: u32) -> Result<Vec<Record>, Error> {
    let going = many(warm, size).await?;
    let mut staying = enter(warm, "quiet", 1).await?;
    warm.expect(&staying);
    warm.until_complete(0, Task::Create, &staying).await?;
    warm.stage.contender.leave(&going).await?;
    expect_end(warm, &going);
    let marks = warm.marks();
    let begun = Notify::new();
    let torn_down = async {
        // Commands return when all is over; graftling is told, and may be held until all of them go.
        if !warm.stage.contender.has_environments() {
            begun.notify_one();
        }
        let begin = warm.stage.contender.carry_out(Task::Delete, &going).await?;
        begun.notify_one();
        Ok::<Duration, Error>(warm.gone(&going).await? - begin)
    };
    let changes = async {
        let mut walls = Vec::new();
        begun.notified().await;
        for _ in 0..samples {
            tokio::time::sleep(PAUSE).await;
            staying = advance(warm, &staying).await?;
            let begin = warm.stage.contender.carry_out(Task::Change, &staying).await?;
            walls.push(warm.complete(&staying).await? - begin);
        }
        Ok::<Vec<Duration>, Error>(walls)
    };
    let (all, walls) = futures::try_join!(torn_down, changes)?;
    warm.settle().await;
    let mut records: Vec<Record> = (1..)
        .zip(walls)
        .map(|(sample, wall)| warm.record(sample, 1, Some(wall), None))
        .collect();
    records.insert(0, warm.record(0, going.len(), Some(all), Some(warm.used(marks))));
    Ok(records)
}
