//! The graftling binary: what has to be set up before a command runs, and nothing else.

use std::panic::resume_unwind;
use std::process::ExitCode;
use std::thread;

use graftling::cli::{self, Exit, LogFormat};
use graftling::telemetry;

fn main() -> ExitCode {
    if let Some(exit) = cli::hidden::run() {
        return exit;
    }
    // Two crypto providers may be linked; whoever builds the first TLS client must not have to guess. It fails only when one is set already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // In a thread of its own: what the definition of all commands takes of memory is for whoever comes next, and not left lying about.
    let parsed = thread::spawn(cli::parse).join();
    let command = match parsed.unwrap_or_else(|panic| resume_unwind(panic)) {
        Ok(command) => command,
        Err(exit) => return exit.into(),
    };
    let format = command.logging.format.map(|format| match format {
        LogFormat::Text => telemetry::Format::Text,
        LogFormat::Json => telemetry::Format::Json,
    });
    if let Err(error) = telemetry::start(command.log_filter(), format) {
        cli::print_error(&error.into());
        return Exit::Usage.into();
    }
    cli::run(command).into()
}
