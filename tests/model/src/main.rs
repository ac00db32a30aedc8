//! Explores the full bound and writes the report.

use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use model::bounds;
use model::explore::explore;
use model::report::{Part, write};

/// Without arguments: everything, and the report is written; with `--small` the same over the small bounds of the tests. With names of
/// bounds: these, and what comes of them is printed.
fn main() -> ExitCode {
    let mut named: Vec<String> = std::env::args().skip(1).collect();
    let is_small = named.iter().any(|name| name == "--small");
    named.retain(|name| name != "--small");
    let bounds = if is_small { bounds::small() } else { bounds::full() };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut parts = Vec::new();
    for config in bounds {
        if !named.is_empty() && !named.iter().any(|name| name == config.name) {
            continue;
        }
        let started = Instant::now();
        let explored = explore(&config, threads);
        let took = started.elapsed();
        println!(
            "{}: {} states, {} steps, {:.0} s",
            config.name,
            explored.states,
            explored.steps,
            took.as_secs_f64()
        );
        for found in &explored.counterexamples {
            println!("{}\n{}", found.property, found.trace);
        }
        parts.push(Part { config, explored, took });
    }
    if named.is_empty() {
        let place = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../reports/model-check.md");
        if let Err(error) = std::fs::write(&place, write(&parts, is_small)) {
            eprintln!("could not write {}: {error}", place.display());
            return ExitCode::FAILURE;
        }
    }
    let holds = parts.iter().all(|part| part.explored.counterexamples.is_empty());
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
