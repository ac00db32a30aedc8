//! The figures that no noise of a machine changes: counted, and compared with those that were committed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use testbed::contest::baseline::{Baseline, Figures, compare};
use testbed::contest::record::{Cell, Load, Series, Used};
use testbed::contest::task::Name;
use testbed::contest::{machine, prepare};
use testbed::subject::{program, root};

use crate::arguments::{Options, What};
use crate::{Failure, measure_apart};

/// What counts the instructions: valgrind, and gungraun's program that runs it.
const COUNTERS: [&str; 2] = ["valgrind", "gungraun-runner"];

/// The operations of the server whose requests are counted. Of several samples the least counts: whatever adds to it by chance is no part
/// of the operation.
const OPERATIONS: [Load; 5] = [
    Load::One { samples: 8 },
    Load::Change { samples: 8 },
    Load::Repeat { samples: 3 },
    Load::Restart { size: 1 },
    Load::Teardown { size: 1 },
];

/// Counts everything, and checks or writes it.
pub(crate) fn run(what: What, options: &Options) -> Result<(), Failure> {
    if !cfg!(debug_assertions) {
        return Err("figures are those of the dev profile: run this program without --release".into());
    }
    if what == What::Write
        && !options.force
        && let Some(reason) = machine::busy()
    {
        return Err(format!("this machine is busy: {reason}. Wait until it is quiet, or use --force").into());
    }
    let path = root().join("tests/reports/baseline.json");
    let before = match (std::fs::read_to_string(&path), what) {
        (Ok(text), _) => Baseline::parse(&text)?,
        (Err(_), What::Write) => Baseline::default(),
        (Err(error), What::Check) => return Err(format!("cannot read {}: {error}", path.display()).into()),
    };
    let mut now = before.clone();
    match missing_counter() {
        Some(missing) => println!("SKIPPED: instructions. There is no {missing} here."),
        None => now.instructions = instructions()?,
    }
    now.requests = requests(options)?;
    match what {
        What::Check => check(&before, &now),
        What::Write => {
            std::fs::write(&path, now.text()?)?;
            println!("{}", path.display());
            Ok(())
        }
    }
}

fn check(before: &Baseline, now: &Baseline) -> Result<(), Failure> {
    let mut findings = compare(&before.instructions, &now.instructions);
    findings.extend(compare(&before.requests, &now.requests));
    findings.iter().for_each(|finding| println!("{finding}"));
    let failures = findings.iter().filter(|finding| finding.is_failure()).count();
    if failures > 0 {
        return Err(format!("{failures} figures are worse than the baseline").into());
    }
    println!("No figure has grown.");
    Ok(())
}

fn missing_counter() -> Option<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    COUNTERS.into_iter().find(|name| !is_there(name))
}

/// Counts the instructions of each bench of `benches/instructions.rs`.
fn instructions() -> Result<Figures, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root())
        .args([
            "bench",
            "--quiet",
            "--package",
            "graftling",
            "--profile",
            "dev",
            "--bench",
            "instructions",
        ])
        .args(["--", "--output-format=json"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stdout)).into());
    }
    let mut figures = Figures::new();
    for summary in serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>() {
        let (name, count) = instructions_of(&summary?)?;
        println!("{name}: {count} instructions");
        figures.insert(name, count);
    }
    Ok(figures)
}

/// Name and count of gungraun's summary of one bench.
fn instructions_of(summary: &Value) -> Result<(String, u64), Failure> {
    let name = |field: &str| summary[field].as_str().unwrap_or("?").to_owned();
    let name = format!("{} {}", name("function_name"), name("id"));
    // Where there was a run before, its value is there as well, and is called old.
    let count = &summary["profiles"][0]["data"]["total"]["metrics"]["Ir"]["values"]["new"];
    let count = count
        .as_u64()
        .ok_or_else(|| format!("{name} has no count of instructions: {summary}"))?;
    Ok((name, count))
}

/// Counts the requests of each operation on a control plane of its own.
fn requests(options: &Options) -> Result<Figures, Failure> {
    prepare()?;
    let graftling: PathBuf = match &options.graftling {
        Some(program) => program.clone(),
        None => program::graftling()?,
    };
    let mut figures = Figures::new();
    for load in OPERATIONS {
        for (name, count) in requests_of(load, &graftling, options)? {
            println!("{name}: {count}");
            figures.insert(name, count);
        }
    }
    Ok(figures)
}

fn requests_of(load: Load, graftling: &Path, options: &Options) -> Result<Vec<(String, u64)>, Failure> {
    let cell = Cell {
        contender: Name::Graftling,
        load,
        series: Series::Free,
        round: 0,
        crds: 0,
    };
    let records = measure_apart(&cell, graftling, options)?.map_err(|reason| format!("{load}: no result: {reason}"))?;
    let least = |count: fn(&Used) -> u32| records.iter().filter_map(|record| record.used.as_ref()).map(count).min();
    let mut figures = vec![("writes", least(|used| used.writes))];
    // Until a namespace is gone it is looked at again and again, how often depends on how long that takes. After a restart, those who need to
    // know a kind of object at the same moment ask the API server for it each, which differs by more than a tenth.
    if !matches!(load, Load::Teardown { .. } | Load::Restart { .. }) {
        figures.push(("requests", least(|used| used.requests)));
    }
    let named = figures.into_iter().map(|(what, count)| {
        let count = count.ok_or_else(|| format!("{load}: nothing was counted"))?;
        Ok((format!("{load}: {what}"), u64::from(count)))
    });
    named.collect()
}
