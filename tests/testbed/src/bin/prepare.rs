//! Finds or builds everything the testbed starts, ahead of the tests, and says where it is.

use std::process::ExitCode;

use testbed::binaries::{self, Error, Found};

fn main() -> ExitCode {
    match everything() {
        Ok(found) => {
            for found in found {
                println!(
                    "{:<24} {:<18} {}",
                    found.program.name(),
                    found.origin.to_string(),
                    found.path.display()
                );
            }
            gitea()
        }
        Err(error) => {
            eprintln!("error: {}", testbed::error_chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Where a Gitea can run.
fn gitea() -> ExitCode {
    if let Err(reason) = testbed::Gitea::available() {
        println!("SKIPPED: the real Git host. {reason}.");
        return ExitCode::SUCCESS;
    }
    match binaries::gitea() {
        Ok(gitea) => {
            println!("{:<24} {:<18} {}", "gitea", "cache", gitea.program.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}", testbed::error_chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// With the programs of a real node, where one can run.
fn everything() -> Result<Vec<Found>, Error> {
    let mut found = binaries::all()?;
    match testbed::Node::available() {
        Ok(()) => found.extend(binaries::all_of_node()?),
        Err(reason) => println!("SKIPPED: the real node. {reason}."),
    }
    Ok(found)
}
