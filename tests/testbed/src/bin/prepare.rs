//! Finds or builds everything the testbed starts, ahead of the tests, and says where it is.

use std::process::ExitCode;

fn main() -> ExitCode {
    match testbed::binaries::all() {
        Ok(found) => {
            for found in found {
                println!(
                    "{:<24} {:<18} {}",
                    found.program.name(),
                    found.origin.to_string(),
                    found.path.display()
                );
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}", testbed::error_chain(&error));
            ExitCode::FAILURE
        }
    }
}
