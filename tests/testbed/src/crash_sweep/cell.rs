//! Runs one scenario with one injection and judges it.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::history::Turn;
use super::injection::{Again, EventPlace, Injection, Place, When, flaky};
use super::oracle::{Evidence, Scene, differences};
use super::scenario::{BRANCH, Scenario};
use super::stage::Stage;
use super::{Bench, Error};
use crate::fault_proxy::{Exchange, Fault, Gate, Rule, Selector};

/// How often an environment is looked at although nothing has changed, where events are swallowed: what an operator would set to minutes.
const RESYNC: &str = "--resync=5s";

/// How often the stage is set before a cell is given up.
const ATTEMPTS: u32 = 3;

/// One run: a scenario and what goes wrong in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// What happens.
    pub scenario: Scenario,
    /// What goes wrong.
    pub injection: Injection,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As the run without faults, with every invariant.
    Passed,
    /// As the run without faults, but the place was not come to: this run sent fewer of these requests, so it proves nothing more.
    Missed,
    /// Otherwise.
    Failed {
        /// In which way.
        because: Vec<String>,
    },
}

/// A run and how it ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// The run.
    pub cell: Cell,
    /// How it ended.
    pub verdict: Verdict,
    /// How often the process was killed.
    pub kills: u32,
    /// How long all of it took.
    pub seconds: f64,
}

/// The run without faults: what the others are compared with, and where they can be disturbed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Baseline {
    /// What it left.
    pub evidence: Evidence,
    /// The writes that it sent.
    pub writes: Vec<Place>,
    /// The events that its watches saw.
    pub events: Vec<EventPlace>,
}

/// What has become of an injection.
struct Injected {
    reached: bool,
    kills: u32,
}

/// Lets a scenario happen without faults.
pub async fn baseline(bench: &Bench, scenario: Scenario) -> Result<Baseline, Error> {
    let mut stage = Stage::set(bench, scenario, &[]).await?;
    let known = stage.environment_name(BRANCH).await?;
    stage.act().await?;
    stage.end().await?;
    let noise = stage.quiet().await?;
    let scene = Scene::look(&stage, known.as_deref()).await?;
    let mut wrong = scene.violations(&stage).await?;
    wrong.extend(loud(&scene, &noise));
    if !wrong.is_empty() {
        return Err(Error::Baseline(wrong.join("; ")));
    }
    let written = scene_writes(&stage);
    let baseline = Baseline {
        evidence: scene.evidence(&stage),
        writes: Place::all(written.iter().map(|exchange| &exchange.request), &scene.names),
        events: events(&stage, &scene),
    };
    stage.strike().await?;
    Ok(baseline)
}

/// The reads of what follows a crash after `write`, without any other fault.
pub async fn reads(bench: &Bench, scenario: Scenario, write: &Place) -> Result<Vec<Place>, Error> {
    let mut stage = Stage::set(bench, scenario, &[]).await?;
    let known = stage.environment_name(BRANCH).await?;
    let gate = arm(&stage, write, When::After).await?;
    stage.act().await?;
    if !stage.hit(&gate).await? {
        return Err(Error::Baseline(format!("{write} did not come")));
    }
    let from = stage.proxy.count();
    stage.subject.kill().await?;
    gate.abandon();
    stage.proxy.clear();
    stage.subject.start().await?;
    stage.end().await?;
    let mut names = stage.names().await?;
    names.call(known.as_deref().unwrap_or_default(), "ENV");
    let exchanges = stage.proxy.exchanges_since(from);
    // What is refused for lack of rights, and the names of kinds, decide nothing.
    let telling = exchanges.iter().filter(|exchange| {
        let request = &exchange.request;
        ["get", "list"].contains(&request.verb.as_str()) && !request.resource.is_empty() && exchange.status != Some(403)
    });
    let places = Place::all(telling.map(|exchange| &exchange.request), &names);
    stage.strike().await?;
    Ok(places)
}

fn scene_writes(stage: &Stage<'_>) -> Vec<Exchange> {
    stage
        .written()
        .into_iter()
        .filter(|exchange| exchange.request.resource != "leases")
        .collect()
}

/// The events of kinds that the server watches, as an independent watcher saw them.
fn events(stage: &Stage<'_>, scene: &Scene) -> Vec<EventPlace> {
    let exchanges = stage.proxy.exchanges();
    let watched: Vec<&str> = exchanges
        .iter()
        .filter(|exchange| exchange.request.is_watch())
        .map(|exchange| exchange.request.resource.as_str())
        .collect();
    let mut places: Vec<EventPlace> = Vec::new();
    for change in scene.changes_since(&stage.before) {
        if !change.watched || !watched.contains(&change.resource.as_str()) {
            continue;
        }
        let event = match change.turn {
            Turn::Added => "ADDED",
            Turn::Modified => "MODIFIED",
            Turn::Deleted => "DELETED",
        };
        let mut place = EventPlace {
            event: event.to_owned(),
            resource: change.resource.clone(),
            namespace: if change.resource == "namespaces" {
                String::new()
            } else {
                scene.names.text(&change.namespace)
            },
            name: scene.names.text(&change.name),
            nth: 1,
        };
        while places.contains(&place) {
            place.nth += 1;
        }
        places.push(place);
    }
    places
}

/// Runs a cell and judges it. A run that cannot even be judged has failed too.
pub async fn run(bench: &Bench, cell: &Cell, baseline: &Baseline) -> Outcome {
    let began = Instant::now();
    let (verdict, kills) = match attempt(bench, cell, baseline).await {
        Ok(judged) => judged,
        Err(error) => (
            Verdict::Failed {
                because: vec![crate::error_chain(&error)],
            },
            0,
        ),
    };
    Outcome {
        cell: cell.clone(),
        verdict,
        kills,
        seconds: began.elapsed().as_secs_f64(),
    }
}

async fn attempt(bench: &Bench, cell: &Cell, baseline: &Baseline) -> Result<(Verdict, u32), Error> {
    let place = bench.place().await;
    let mut stage = set(bench, cell).await?;
    let run = run_on(&mut stage, &cell.injection).await;
    drop(place);
    let judged = match run {
        Ok((injected, known)) => judge(&stage, cell, (&injected, known.as_deref()), baseline).await,
        Err(error) => Err(error),
    };
    if let Ok((Verdict::Failed { .. }, _)) | Err(_) = &judged {
        let mut lines = stage.subject.log();
        let exchanges = stage.proxy.exchanges_since(stage.begun);
        lines.extend(exchanges.iter().map(|exchange| format!("{exchange:?}")));
        bench.keep_log(cell, &lines);
    }
    let _place = bench.place().await;
    stage.strike().await?;
    judged
}

/// Sets the stage. What fails before the scenario begins says nothing about the cell, so it is tried again.
async fn set<'a>(bench: &'a Bench, cell: &Cell) -> Result<Stage<'a>, Error> {
    let arguments: &[&str] = match cell.injection {
        Injection::Unobserved { .. } => &[RESYNC],
        _ => &[],
    };
    let mut attempts = 1;
    loop {
        match Stage::set(bench, cell.scenario, arguments).await {
            Err(_) if attempts < ATTEMPTS => attempts += 1,
            set => return set,
        }
    }
}

/// Runs the scenario to its end. Answers with the environment's name too, if it was seen at any time.
async fn run_on(stage: &mut Stage<'_>, injection: &Injection) -> Result<(Injected, Option<String>), Error> {
    let known = stage.environment_name(BRANCH).await?;
    let injected = inject(stage, injection).await?;
    stage.end().await?;
    let known = known.or(stage.environment_name(BRANCH).await?);
    Ok((injected, known))
}

async fn judge(
    stage: &Stage<'_>,
    cell: &Cell,
    (injected, known): (&Injected, Option<&str>),
    baseline: &Baseline,
) -> Result<(Verdict, u32), Error> {
    let noise = stage.quiet().await?;
    let _place = stage.bench.place().await;
    let scene = Scene::look(stage, known).await?;
    let mut wrong = differences(&baseline.evidence, &scene.evidence(stage));
    if matches!(cell.injection, Injection::Stale { .. }) {
        wrong.retain(|line| !is_hearsay(line));
    }
    wrong.extend(scene.violations(stage).await?);
    wrong.extend(loud(&scene, &noise));
    let verdict = match (wrong.is_empty(), injected.reached) {
        (true, true) => Verdict::Passed,
        (true, false) => Verdict::Missed,
        (false, _) => Verdict::Failed { because: wrong },
    };
    Ok((verdict, injected.kills))
}

/// Whether only words differ that were written on the strength of an answer from the past: a message, or what a receipt mentions.
fn is_hearsay(line: &str) -> bool {
    let told = [" /message: ", "line mentions:", "line - object: v1 Pod ", "line   where: "];
    told.iter().any(|words| line.contains(words))
}

/// What was written although everything was over.
fn loud(scene: &Scene, (noise, became): &(Vec<Exchange>, Vec<String>)) -> Vec<String> {
    let writes = noise
        .iter()
        .map(|exchange| format!("L1: {} while it should be quiet", scene.short(exchange)));
    writes
        .chain(became.iter().map(|line| format!("L1: {}", scene.names.text(line))))
        .collect()
}

/// Lets the scenario happen and goes wrong where the injection says.
async fn inject(stage: &mut Stage<'_>, injection: &Injection) -> Result<Injected, Error> {
    match injection {
        Injection::Nothing { .. } => {
            stage.act().await?;
            Ok(Injected { reached: true, kills: 0 })
        }
        Injection::Crash { write, when, again } => crash(stage, write, *when, *again).await,
        Injection::Stale { write, read } => stale(stage, write, read).await,
        Injection::Unobserved { event } => {
            let names = stage.names().await?;
            let swallowed = stage.proxy.add(event.rule(&names), Fault::SwallowEvent);
            stage.act().await?;
            stage.end().await?;
            Ok(Injected {
                reached: swallowed.count() > 0,
                kills: 0,
            })
        }
        Injection::Flaky { seed } => {
            let add = |(rule, fault)| stage.proxy.add(rule, fault);
            let hits: Vec<_> = flaky(*seed).into_iter().map(add).collect();
            stage.act().await?;
            stage.end().await?;
            stage.proxy.clear();
            Ok(Injected {
                reached: hits.iter().any(|hit| hit.count() > 0),
                kills: 0,
            })
        }
    }
}

async fn crash(stage: &mut Stage<'_>, write: &Place, when: When, again: Again) -> Result<Injected, Error> {
    let gate = arm(stage, write, when).await?;
    stage.act().await?;
    if !stage.hit(&gate).await? {
        return Ok(Injected { reached: false, kills: 0 });
    }
    kill(stage, &gate).await?;
    let second = match again {
        Again::Never => None,
        Again::First => Some(hold(stage, Rule::on(Selector::writes()).nth(1), when)),
        Again::Same => {
            // It was the n-th before the crash; after it, it is the first of its name.
            let names = stage.names().await?;
            Some(hold(stage, write.rule(&names).nth(1), when))
        }
    };
    stage.subject.start().await?;
    let Some(second) = second else {
        return Ok(Injected { reached: true, kills: 1 });
    };
    if !stage.hit(&second).await? {
        return Ok(Injected { reached: false, kills: 1 });
    }
    kill(stage, &second).await?;
    stage.subject.start().await?;
    Ok(Injected { reached: true, kills: 2 })
}

/// The first process dies after `write`; the second gets one answer from before the scenario.
async fn stale(stage: &mut Stage<'_>, write: &Place, read: &Place) -> Result<Injected, Error> {
    let gate = arm(stage, write, When::After).await?;
    stage.act().await?;
    if !stage.hit(&gate).await? {
        return Ok(Injected { reached: false, kills: 0 });
    }
    kill(stage, &gate).await?;
    let names = stage.names().await?;
    let fault = Fault::Stale {
        version: stage.before.clone(),
    };
    let answered = stage.proxy.add(read.rule(&names), fault);
    stage.subject.start().await?;
    stage.end().await?;
    Ok(Injected {
        reached: answered.count() > 0,
        kills: 1,
    })
}

async fn arm(stage: &Stage<'_>, write: &Place, when: When) -> Result<Gate, Error> {
    let names = stage.names().await?;
    Ok(hold(stage, write.rule(&names), when))
}

fn hold(stage: &Stage<'_>, rule: Rule, when: When) -> Gate {
    let gate = Gate::new();
    let fault = match when {
        When::Before => Fault::HoldBefore(gate.clone()),
        When::After => Fault::HoldAfter(gate.clone()),
    };
    stage.proxy.add(rule, fault);
    gate
}

/// Kills the process that stands at the gate. What it had sent is on its way; what was held is never sent.
async fn kill(stage: &Stage<'_>, gate: &Gate) -> Result<(), Error> {
    stage.subject.kill().await?;
    gate.abandon();
    stage.proxy.clear();
    Ok(())
}
