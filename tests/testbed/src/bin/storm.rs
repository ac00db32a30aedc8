//! Carries out storms of random operations, shrinks what fails, and writes the report.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use testbed::ControlPlane;
use testbed::storm::generate::{Weather, storm};
use testbed::storm::machine::{Error, Failure, Machine, Outcome, Setting};
use testbed::storm::report::{Chapter, Finding, report};
use testbed::storm::{Operation, parse, print, shrink};
use testbed::subject::program;

const HELP: &str = "\
Carries out random operations on graftling and checks at quiet points that everything is as it must be.

  --seed N          the first seed [default: the time]
  --seeds N         how many storms, with the seeds from there on [default: 1]
  --operations N    how many operations each [default: 200]
  --jobs N          how many storms at once, each with a control plane of its own [default: 1]
  --minutes N       begin no further group after so many minutes
  --tries N         how many lists are tried to shrink one that fails [default: 60]
  --replay FILE     carry out the operations of a file instead
  --report FILE     write a report there
";

/// What the command line says.
struct Arguments {
    seed: u64,
    seeds: u64,
    operations: usize,
    jobs: usize,
    minutes: Option<u64>,
    tries: usize,
    replay: Option<PathBuf>,
    report: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match carry_out(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(3)
        }
    }
}

fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let mut arguments = Arguments {
        seed: now.unwrap_or_default().as_secs(),
        seeds: 1,
        operations: 200,
        jobs: 1,
        minutes: None,
        tries: 60,
        replay: None,
        report: None,
    };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{word} needs a number"));
        match word.as_str() {
            "--seed" => arguments.seed = number()?,
            "--seeds" => arguments.seeds = number()?,
            "--operations" => arguments.operations = number()? as usize,
            "--jobs" => arguments.jobs = number()?.max(1) as usize,
            "--minutes" => arguments.minutes = Some(number()?),
            "--tries" => arguments.tries = number()? as usize,
            "--replay" => arguments.replay = Some(value.into()),
            "--report" => arguments.report = Some(value.into()),
            _ => return Err(format!("unknown argument {word}")),
        }
    }
    Ok(arguments)
}

async fn carry_out(arguments: &Arguments) -> Result<bool, String> {
    let program = tokio::task::spawn_blocking(program::graftling)
        .await
        .map_err(|error| error.to_string())?;
    let setting = Setting {
        program: program.map_err(|error| testbed::error_chain(&error))?,
        patience: Duration::from_secs(120),
        idle: Duration::from_secs(120),
        silence: Duration::from_secs(3),
        owns_plane: true,
        tells: true,
    };
    let end = arguments.minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    let lists = lists(arguments)?;
    let mut chapters = Vec::new();
    let mut findings = Vec::new();
    for batch in lists.chunks(arguments.jobs) {
        let storms = batch.iter().map(|(seed, list)| one(*seed, list, &setting, end, arguments.tries));
        for done in futures::future::join_all(storms).await {
            let (chapter, finding) = done?;
            chapters.push(chapter);
            findings.extend(finding);
        }
        if end.is_some_and(|end| Instant::now() > end) {
            break;
        }
    }
    if let Some(path) = &arguments.report {
        write(path, &report(&chapters, &findings, &command(arguments), &found(path)))?;
    }
    Ok(findings.is_empty())
}

/// The storms to carry out, with their seeds.
fn lists(arguments: &Arguments) -> Result<Vec<(u64, Vec<Operation>)>, String> {
    if let Some(path) = &arguments.replay {
        let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        return Ok(vec![(0, parse(&text).map_err(|error| error.to_string())?)]);
    }
    let seeds = arguments.seed..arguments.seed + arguments.seeds;
    Ok(seeds
        .map(|seed| (seed, storm(seed, arguments.operations, Weather::default())))
        .collect())
}

async fn one(
    seed: u64,
    list: &[Operation],
    setting: &Setting,
    end: Option<Instant>,
    tries: usize,
) -> Result<(Chapter, Option<Finding>), String> {
    println!(
        "seed {seed}: {} operations",
        list.iter().filter(|operation| **operation != Operation::Quiet).count()
    );
    let plane = ControlPlane::start().await.map_err(|error| testbed::error_chain(&error))?;
    let plane: &'static ControlPlane = Box::leak(Box::new(plane));
    let started = Instant::now();
    let outcome = run(plane, setting, list, end).await?;
    let took = started.elapsed();
    println!(
        "seed {seed}: {} operations, {} quiet points, {} s",
        outcome.tally.operations,
        outcome.tally.quiet_points,
        took.as_secs()
    );
    let finding = match &outcome.failure {
        None => None,
        Some(failure) => Some(shrunk(seed, plane, setting, failure, tries).await?),
    };
    let chapter = Chapter { seed, outcome, took };
    Ok((chapter, finding))
}

async fn run(plane: &'static ControlPlane, setting: &Setting, list: &[Operation], end: Option<Instant>) -> Result<Outcome, String> {
    let chain = |error: Error| testbed::error_chain(&error);
    let machine = Machine::set_up(plane, setting.clone()).await.map_err(chain)?;
    machine
        .run(list, || end.is_some_and(|end| Instant::now() > end))
        .await
        .map_err(chain)
}

async fn shrunk(seed: u64, plane: &'static ControlPlane, setting: &Setting, failure: &Failure, tries: usize) -> Result<Finding, String> {
    let mut complaints = failure.complaints.clone();
    println!("seed {seed} FAILED:\n  {}", complaints.join("\n  "));
    let file = PathBuf::from(format!("storm-{seed}.failed"));
    write(&file, &print(&failure.operations))?;
    write(&file.with_extension("log"), &failure.log.join("\n"))?;
    let shortest = shrink::operations(failure.operations.clone(), tries, async |list: &[Operation]| {
        let outcome = run(plane, setting, list, None).await;
        let Ok(Some(failed)) = outcome.map(|outcome| outcome.failure) else {
            return false;
        };
        println!(
            "  {} operations still fail: {}",
            list.len(),
            failed.complaints.first().cloned().unwrap_or_default()
        );
        complaints = failed.complaints;
        true
    })
    .await;
    let short = file.with_extension("shrunk");
    write(&short, &print(&shortest.items))?;
    println!(
        "the shortest list that fails, after {} tries:\n{}",
        shortest.tries,
        print(&shortest.items)
    );
    println!("  {}", complaints.join("\n  "));
    println!("replay it with: cargo run -p testbed --bin storm -- --replay {}", short.display());
    Ok(Finding {
        seed,
        operations: shortest.items,
        complaints,
    })
}

/// What people wrote into the last report about what was found.
fn found(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_once("## What storms found\n")
        .map(|(_, found)| found.trim().to_owned())
        .unwrap_or_default()
}

fn command(arguments: &Arguments) -> String {
    let Arguments {
        seed,
        seeds,
        operations,
        jobs,
        ..
    } = arguments;
    let minutes = arguments.minutes.map(|minutes| format!(" --minutes {minutes}")).unwrap_or_default();
    format!(
        "cargo run -p testbed --bin storm -- --seed {seed} --seeds {seeds} --operations {operations} --jobs {jobs}{minutes} --report tests/reports/random-operations.md"
    )
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
