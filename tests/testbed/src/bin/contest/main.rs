//! The contest: graftling, a raw writer, and what people would use instead, with the same fourteen objects on the same control plane.
//!
//! Each cell is measured by a process of its own, with which its control plane ends. CONTRIBUTING.md says how to take a measurement.

mod arguments;
mod figures;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use arguments::{Arguments, Options, Order, loads};
use clap::Parser;
use testbed::contest::guest::{self, Guest};
use testbed::contest::record::{self, Cell, Line, Load, Record, Run, Series};
use testbed::contest::report::Data;
use testbed::contest::stage::{Programs, absent};
use testbed::contest::task::Name;
use testbed::contest::{Outcome, deliveries, floor, machine, order, prepare, run_cell};
use testbed::subject::{program, root};
use testbed::{Invocation, error_chain};

/// How long the processes of a control plane may take to be gone.
const GONE: Duration = Duration::from_secs(20);

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error_chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let options = arguments.options;
    match arguments.command {
        Order::Cell { cell } => measure_cell(&cell, &options).await,
        Order::Floor { kubeconfig } => Ok(floor::serve(&kubeconfig).await?),
        Order::Deliver { order } => deliver(&order).await,
        Order::Report { output } => report(&folder(&options)?, &output),
        Order::Figures { what } => figures::run(what, &options),
        order => contest(&loads(&order), &options),
    }
}

/// Measures all cells of all rounds, each round in another order.
fn contest(loads: &[Load], options: &Options) -> Result<(), Failure> {
    let forced = machine::busy();
    if let Some(reason) = forced.as_ref().filter(|_| !options.force) {
        return Err(format!("this machine is busy: {reason}. Wait until it is quiet, or use --force").into());
    }
    prepare()?;
    let (guests, refused) = guests(&options.with);
    let graftling = match &options.graftling {
        Some(program) => program.clone(),
        None => program::graftling()?,
    };
    let names = if options.contenders.is_empty() {
        &Name::ALL[..]
    } else {
        &options.contenders
    };
    // Whoever was asked and cannot is among those that are refused, and is not tried again by each cell.
    let others = names.iter().copied().filter(|name| !guest::is_asked(*name, &options.with));
    let names: Vec<Name> = others.chain(guests).collect();
    let why = |name: &Name| absent(*name).or_else(|| guest::unasked(*name, &options.with));
    let missing = names.iter().filter_map(|name| Some(format!("{name}: {}", why(name)?)));
    let missing: Vec<String> = missing.chain(refused).collect();
    missing.iter().for_each(|missing| eprintln!("not there: {missing}"));
    let present: Vec<Name> = names.iter().copied().filter(|name| why(name).is_none()).collect();
    let seed = options.seed.unwrap_or_else(|| jiff::Timestamp::now().as_second().unsigned_abs());
    let path = folder(options)?.join(format!("{seed}.jsonl"));
    println!("seed {seed}, raw data in {}", path.display());
    let run = Run {
        at: jiff::Timestamp::now().to_string(),
        machine: machine::describe(),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        seed,
        rounds: options.rounds,
        forced,
        absent: missing,
    };
    record::append(&path, &Line::Run(run))?;
    for round in 0..options.rounds {
        let (spin, step) = (machine::spin(), Some(machine::step()));
        record::append(&path, &Line::Round { round, spin, step })?;
        let mut cells = cells(loads, &present, options, round);
        order::shuffle(&mut cells, seed, round);
        for cell in cells {
            run_one(cell, &graftling, options, &path)?;
        }
    }
    Ok(())
}

/// Builds what guests need, and says who takes part and why the others cannot.
fn guests(asked: &[Guest]) -> (Vec<Name>, Vec<String>) {
    let (mut guests, mut refused) = (Vec::new(), Vec::new());
    for guest in asked {
        match guest.prepare() {
            Ok(name) => guests.push(name),
            Err(reason) => refused.push(format!("{}: {reason}", guest.as_str())),
        }
    }
    (guests, refused)
}

/// The cells of a round, in no order yet.
fn cells(loads: &[Load], contenders: &[Name], options: &Options, round: u32) -> Vec<Cell> {
    let mut cells = Vec::new();
    for &load in loads.iter().filter(|load| round < load.most_rounds()) {
        for &contender in contenders.iter().filter(|contender| load.admits(**contender)) {
            for &crds in &options.crds {
                for series in series(options) {
                    cells.push(Cell {
                        contender,
                        load,
                        series,
                        round,
                        crds,
                    });
                }
            }
        }
    }
    cells
}

fn series(options: &Options) -> Vec<Series> {
    match (options.pinned, options.free, machine::processors().len()) {
        (_, true, _) | (false, _, 0 | 1) => vec![Series::Free],
        (true, ..) => vec![Series::Pinned],
        _ => vec![Series::Pinned, Series::Free],
    }
}

/// Measures a cell and keeps what it gives. A cell that fails is noted, and the others go on.
fn run_one(cell: Cell, graftling: &Path, options: &Options, path: &Path) -> Result<(), Failure> {
    let begin = Instant::now();
    let measured = measure_apart(&cell, graftling, options)?;
    let name = format!(
        "{:<20} {} ({}, {} more definitions)",
        cell.contender, cell.load, cell.series, cell.crds
    );
    let seconds = begin.elapsed().as_secs_f64();
    match measured {
        Ok(records) => {
            let walls: Vec<String> = records
                .iter()
                .filter_map(|record| Some(format!("{:.0}", record.wall_ms?)))
                .collect();
            println!("round {:>2}  {name}: {} ms  ({seconds:.0} s)", cell.round, walls.join(" "));
            for record in records {
                record::append(path, &Line::Sample(record))?;
            }
        }
        Err(reason) => {
            println!("round {:>2}  {name}: no result ({seconds:.0} s): {reason}", cell.round);
            record::append(path, &Line::Failure { cell, reason })?;
        }
    }
    Ok(())
}

/// Measures a cell by a process of its own, and waits until that one's control plane is gone. Otherwise says why there is no result.
fn measure_apart(cell: &Cell, graftling: &Path, options: &Options) -> Result<Result<Vec<Record>, String>, Failure> {
    let spec = serde_json::to_string(cell)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["cell", &spec, "--graftling"]).arg(graftling);
    if let Some(requests) = &options.requests {
        command.arg("--requests").arg(std::path::absolute(requests)?);
    }
    // Cargo gives it to the tests. What is measured is a control plane as others run it.
    let output = command.env_remove("GOGC").stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Ok(Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let Outcome { records, processes } = serde_json::from_slice(&output.stdout)?;
    await_end(&processes);
    Ok(Ok(records))
}

/// Waits until the control plane of a cell is gone, so that the next one has the machine for itself.
fn await_end(processes: &[u32]) {
    let begin = Instant::now();
    let is_left = |pid: &u32| Path::new("/proc").join(pid.to_string()).exists();
    while begin.elapsed() < GONE && processes.iter().any(is_left) {
        std::thread::sleep(Duration::from_millis(100));
    }
}

async fn measure_cell(cell: &str, options: &Options) -> Result<(), Failure> {
    let cell: Cell = serde_json::from_str(cell)?;
    let programs = Programs {
        graftling: options.graftling.clone().ok_or("no --graftling")?,
        floor: Invocation::new(std::env::current_exe()?).arguments(["floor"]),
        generator: std::env::current_exe()?,
        requests: options.requests.clone(),
    };
    let outcome = run_cell(cell, &programs).await?;
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

async fn deliver(order: &str) -> Result<(), Failure> {
    let answers = deliveries::send(serde_json::from_str(order)?).await?;
    println!("{}", serde_json::to_string(&answers)?);
    Ok(())
}

fn folder(options: &Options) -> Result<PathBuf, Failure> {
    let beside = std::env::current_exe()?;
    let beside = beside.parent().unwrap_or(root()).join("contest-data");
    let folder = options.data.clone().unwrap_or(beside);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn report(data: &Path, output: &Path) -> Result<(), Failure> {
    let data = Data::of(record::read(data)?);
    let picture = output.with_extension("svg");
    let name = picture.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(parent) = output.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(output, data.markdown(&name))?;
    std::fs::write(&picture, data.picture())?;
    println!("{} and {}", output.display(), picture.display());
    Ok(())
}
