//! `cargo run --example demo`: an environment from the first push of its branch to its receipt.
//!
//! Nothing is staged. A real Kubernetes control plane runs on this machine, and where it may a real node, so that the branch's page
//! answers; elsewhere its node only pretends to run pods. The real server
//! runs as a child process with exactly the rights that its Helm chart grants, and a real Git repository tells it about pushes.
//! `story` is the part to read; everything beside it serves the story.

mod acts;
mod arguments;
mod chart;
mod cluster;
mod follow;
mod objects;
mod page;
mod repository;
mod screen;
mod server;
mod stay;
mod story;
mod writes;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use arguments::Arguments;
use screen::Screen;
use story::Story;

/// The status with which a shell reports that Ctrl-C ended a command.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Two crypto providers may be linked; whoever builds the first TLS client must not have to guess.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("could not start the runtime")),
    };
    let code = runtime.block_on(run(&arguments));
    // A build that Ctrl-C interrupted may still be waited for by a thread of the pool.
    runtime.shutdown_background();
    code
}

/// Tells the story. Whatever ends it, everything that was started or made goes before this returns.
async fn run(arguments: &Arguments) -> ExitCode {
    let mut screen = Screen::new();
    let mut story = Story::default();
    let result = tokio::select! {
        result = story.tell(arguments, &mut screen) => Some(result),
        () = interrupted() => None,
    };
    screen.clear();
    if let Some(Err(_)) = &result {
        story.show_server_log();
    }
    let cleaned = tokio::select! {
        result = story.clean_up(&mut screen) => result,
        () = interrupted() => Err(anyhow::anyhow!("interrupted while cleaning up")),
    };
    screen.clear();
    match (result, cleaned) {
        (Some(Err(error)), cleaned) => {
            let _ = cleaned.inspect_err(|error| _ = fail(error));
            fail(&error)
        }
        (_, Err(error)) => fail(&error),
        (None, Ok(())) if !arguments.keep => ExitCode::from(INTERRUPTED),
        (_, Ok(())) => ExitCode::SUCCESS,
    }
}

/// Ctrl-C, a request to end, or a terminal that was closed.
async fn interrupted() {
    let received = async |kind| match signal(kind) {
        Ok(mut signal) => _ = signal.recv().await,
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = received(SignalKind::interrupt()) => {}
        () = received(SignalKind::terminate()) => {}
        () = received(SignalKind::hangup()) => {}
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {}", explain(error));
    ExitCode::FAILURE
}

/// The error and its causes in one line, none told twice; of the API server's answer only what it says.
fn explain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let of_server = cause.downcast_ref::<kube::Error>();
        let words = of_server.map_or_else(|| cause.to_string(), graftling::cluster::error::message);
        if !text.contains(&words) {
            text += if text.is_empty() { "" } else { ": " };
            text += &words;
        }
        if of_server.is_some() {
            break;
        }
    }
    text
}

/// The root of the checkout: where the chart and the bundles are.
fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
