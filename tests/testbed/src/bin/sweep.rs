//! Runs the whole crash sweep, or a part of it, and writes its report. What is done already is not done again.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use testbed::ControlPlane;
use testbed::crash_sweep::store::{Known, Store};
use testbed::crash_sweep::{self, Bench, Cell, Outcome, Scenario, Verdict, plan, report};
use testbed::subject::{program, root};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const HELP: &str = "\
Usage: sweep [OPTIONS]

  --only SCENARIOS     create, update, rollback, teardown, separated by commas [default: all]
  --class WORDS        only injections whose name contains this, such as 'past'
  --cell WORDS         only cells whose name contains this
  --sample COUNT       only so many of each scenario, chosen by the seed
  --seed NUMBER        for --sample [default: 1]
  --jobs COUNT         cells at a time [default: 12]
  --quiet SECONDS      how long nothing may be written at the end of each [default: 30]
  --again              run those again that failed
  --fresh              forget what is known
  --report             run nothing, write the report from what is known
  --list               run nothing, list the cells
";

/// What was asked for.
#[derive(Debug)]
struct Options {
    only: Vec<Scenario>,
    class: String,
    cell: String,
    sample: Option<usize>,
    seed: u64,
    jobs: usize,
    quiet: Duration,
    again: bool,
    fresh: bool,
    report: bool,
    list: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let ended = match options(std::env::args().skip(1)) {
        Ok(options) => sweep(options).await,
        Err(problem) => Err(format!("{problem}\n\n{HELP}").into()),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}", testbed::error_chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        only: Scenario::ALL.to_vec(),
        class: String::new(),
        cell: String::new(),
        sample: None,
        seed: 1,
        jobs: 12,
        quiet: Duration::from_secs(30),
        again: false,
        fresh: false,
        report: false,
        list: false,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--only" => options.only = scenarios(&value()?)?,
            "--class" => options.class = value()?,
            "--cell" => options.cell = value()?,
            "--sample" => options.sample = Some(number(&value()?)?),
            "--seed" => options.seed = number(&value()?)?,
            "--jobs" => options.jobs = number(&value()?)?,
            "--quiet" => options.quiet = Duration::from_secs(number(value()?.trim_end_matches('s'))?),
            "--again" => options.again = true,
            "--fresh" => options.fresh = true,
            "--report" => options.report = true,
            "--list" => options.list = true,
            other => return Err(format!("{other} is no option")),
        }
    }
    Ok(options)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn scenarios(text: &str) -> Result<Vec<Scenario>, String> {
    let named = |name: &str| Scenario::named(name).ok_or(format!("{name} is no scenario"));
    text.split(',').map(named).collect()
}

/// Runs what is to be run. Answers with whether everything passed.
async fn sweep(options: Options) -> Result<bool, Failure> {
    let folder = root().join("target/sweep");
    if options.fresh && folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let store = Arc::new(Store::open(&folder)?);
    if !options.report {
        run(&options, &store).await?;
    }
    let outcomes = store.outcomes()?;
    let partly = options.list
        || options.only.len() < Scenario::ALL.len()
        || options.sample.is_some()
        || !options.class.is_empty()
        || !options.cell.is_empty();
    if options.report || !partly {
        write_report(&store, &outcomes)?;
    }
    Ok(!outcomes.values().any(|outcome| matches!(outcome.verdict, Verdict::Failed { .. })))
}

fn write_report(store: &Store, outcomes: &BTreeMap<Cell, Outcome>) -> Result<(), Failure> {
    let mut known = BTreeMap::new();
    for scenario in Scenario::ALL {
        known.extend(store.known(scenario)?.map(|known| (scenario, known)));
    }
    let path = root().join("tests/reports/crash-sweep.md");
    std::fs::create_dir_all(root().join("tests/reports"))?;
    std::fs::write(&path, report::markdown(&store.circumstances()?, &known, outcomes))?;
    println!("wrote tests/reports/crash-sweep.md");
    Ok(())
}

async fn run(options: &Options, store: &Arc<Store>) -> Result<(), Failure> {
    let program = program::graftling()?;
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start().await?));
    let bench = Arc::new(Bench::prepare(plane, program, options.quiet, Some(store.logs())).await?);
    store.keep_circumstances(&bench.circumstances().await?)?;
    let looks = options.only.iter().map(|scenario| know(&bench, store, *scenario));
    let known = futures::future::try_join_all(looks).await?.into_iter().map(Arc::new);
    let known: BTreeMap<Scenario, Arc<Known>> = options.only.iter().copied().zip(known).collect();
    let cells = cells(options, &known, &store.outcomes()?);
    if options.list {
        cells.iter().for_each(|cell| println!("{cell}"));
        return Ok(());
    }
    all(options, &bench, store, &known, cells).await
}

/// What the runs without faults tell: from the folder, or by running them.
async fn know(bench: &Bench, store: &Store, scenario: Scenario) -> Result<Known, Failure> {
    if let Some(known) = store.known(scenario)? {
        return Ok(known);
    }
    let began = Instant::now();
    let baseline = crash_sweep::baseline(bench, scenario).await?;
    let halfway = plan::halfway(&baseline).ok_or("the run without faults writes nothing")?;
    let reads = crash_sweep::reads(bench, scenario, halfway).await?;
    let (writes, events) = (baseline.writes.len(), baseline.events.len());
    println!(
        "{}: {writes} writes, {} reads of a recovery, {events} events, in {:.0} s",
        scenario.name(),
        reads.len(),
        began.elapsed().as_secs_f64()
    );
    let known = Known { baseline, reads };
    store.keep(scenario, &known)?;
    Ok(known)
}

fn cells(options: &Options, known: &BTreeMap<Scenario, Arc<Known>>, done: &BTreeMap<Cell, Outcome>) -> Vec<Cell> {
    let mut wanted = Vec::new();
    for (scenario, known) in known {
        let Some(halfway) = plan::halfway(&known.baseline) else { continue };
        let mut cells = plan::cells(*scenario, &known.baseline, halfway, &known.reads);
        cells.retain(|cell| cell.injection.class().contains(&options.class) && cell.to_string().contains(&options.cell));
        if let Some(count) = options.sample {
            cells = plan::sample(&cells, count, options.seed);
        }
        wanted.extend(cells);
    }
    wanted.retain(|cell| match done.get(cell).map(|outcome| &outcome.verdict) {
        None => true,
        Some(Verdict::Failed { .. }) => options.again,
        Some(_) => false,
    });
    wanted
}

async fn all(
    options: &Options,
    bench: &Arc<Bench>,
    store: &Arc<Store>,
    known: &BTreeMap<Scenario, Arc<Known>>,
    cells: Vec<Cell>,
) -> Result<(), Failure> {
    let (count, began) = (cells.len(), Instant::now());
    println!("{count} cells, {} at a time", options.jobs);
    let places = Arc::new(Semaphore::new(options.jobs));
    let mut running = JoinSet::new();
    for cell in cells {
        let (bench, places) = (Arc::clone(bench), Arc::clone(&places));
        let known = Arc::clone(&known[&cell.scenario]);
        running.spawn(async move {
            let _place = places.acquire_owned().await;
            crash_sweep::run(&bench, &cell, &known.baseline).await
        });
    }
    let mut done = 0;
    while let Some(outcome) = running.join_next().await {
        let outcome = outcome?;
        store.add(&outcome)?;
        done += 1;
        tell(&outcome, done, count, began);
    }
    Ok(())
}

fn tell(outcome: &Outcome, done: usize, count: usize, began: Instant) {
    let passed = began.elapsed().as_secs_f64();
    let left = passed / done as f64 * (count - done) as f64;
    let verdict = match &outcome.verdict {
        Verdict::Passed => "passed",
        Verdict::Missed => "missed",
        Verdict::Failed { .. } => "FAILED",
    };
    println!(
        "{done}/{count} {verdict} {:.0} s  {}  ({:.0} s left)",
        outcome.seconds, outcome.cell, left
    );
    if let Verdict::Failed { because } = &outcome.verdict {
        because.iter().for_each(|line| println!("    {line}"));
    }
}
