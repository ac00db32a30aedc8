//! The command line: what there is to say, and which function carries it out.

mod bundle;
mod completions;
mod crds;
mod diagnostics;
mod diff;
mod environment;
mod exit;
mod githost;
mod helm;
pub mod hidden;
mod hook;
mod outbound;
mod output;
mod pipeline;
mod plan;
mod printable;
mod project;
mod project_file;
mod receipt;
mod render;
mod runs;
mod serve;
mod sources;
mod table;
mod values;

use std::ffi::OsStr;
use std::path::Path;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub use exit::{Exit, print_error};

/// A preview environment for every Git branch, on Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "graftling", version, max_term_width = 100, after_help = exit::HELP)]
pub struct Cli {
    /// What the log looks like.
    #[command(flatten)]
    pub logging: Logging,
    #[command(subcommand)]
    command: Command,
}

/// What the log looks like.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub struct Logging {
    /// Log lines as text or json, on standard error [default: text on a terminal, else json]
    #[arg(
        long = "log-format",
        global = true,
        value_enum,
        hide_possible_values = true,
        value_name = "FORMAT",
        env = "GRAFTLING_LOG_FORMAT",
        hide_env_values = true
    )]
    pub format: Option<LogFormat>,
    /// Which log lines appear: a level, or levels by module, for example `warn,graftling=debug` [default: info for serve,
    /// else graftling=warn]
    #[arg(
        long = "log-level",
        global = true,
        value_name = "FILTER",
        env = "GRAFTLING_LOG_LEVEL",
        hide_env_values = true
    )]
    level: Option<String>,
}

/// What a log line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server: receive webhooks, sweep repositories, bring environments up and down
    #[command(after_help = serve::HELP)]
    Serve(Box<serve::Arguments>),
    /// Look at environments and remove them
    #[command(name = "env", visible_alias = "environment", subcommand)]
    Environment(environment::Command),
    /// Look at the runs of an environment and what their jobs wrote
    #[command(subcommand)]
    Runs(runs::Command),
    /// Look at Projects, and release what the brake of one holds
    #[command(subcommand)]
    Project(project::Command),
    /// Check how a GitHost is set up, and install its webhooks
    #[command(subcommand)]
    Githost(githost::Command),
    /// Look at the receipts of teardowns and check them
    #[command(subcommand)]
    Receipt(receipt::Command),
    /// Print what would be done to an environment now, without doing it
    Plan(Box<plan::Arguments>),
    /// Print how an environment differs from what it should be, as a unified diff of YAML
    #[command(after_help = diff::HELP)]
    Diff(Box<diff::Arguments>),
    /// Print what a bundle gives for a branch, without a cluster
    #[command(after_help = render::HELP)]
    Render(Box<render::Arguments>),
    /// Begin, check and test bundles, without a cluster
    #[command(subcommand)]
    Bundle(bundle::Command),
    /// Check the pipeline of a bundle and draw it, without a cluster
    #[command(subcommand)]
    Pipeline(pipeline::Command),
    /// Print each value that a bundle is rendered with, and where it came from
    #[command(after_help = values::HELP)]
    Values(Box<values::Arguments>),
    /// Let a plain Git repository tell the server about pushes
    #[command(subcommand)]
    Hook(hook::Command),
    /// Print the custom resource definitions, for `kubectl apply --server-side -f -`
    Crds,
    /// Print a completion script for a shell
    Completions(completions::Arguments),
}

// === impl Cli ===

impl Cli {
    /// Which log lines appear, in the syntax of `RUST_LOG`.
    ///
    /// A command that ends by itself reports its errors itself: what the libraries below log of them would only say it twice.
    pub fn log_filter(&self) -> &str {
        let default = match self.command {
            // The client logs as an error what we report ourselves, often as nothing to worry about.
            Command::Serve(_) => "info,kube_client::client::builder=off",
            _ => "graftling=warn",
        };
        self.logging.level.as_deref().unwrap_or(default)
    }
}

/// Reads the command line of this process.
///
/// # Errors
/// There is nothing to run: help or the version was asked for and printed, or a mistake was explained.
pub fn parse() -> Result<Cli, Exit> {
    let parsed = definition().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map_err(|error| {
        // Whoever closed the pipe does not want the text.
        let _ = error.print();
        let is_mistake = error.use_stderr() && !hook::is_send(std::env::args_os());
        if is_mistake { Exit::Usage } else { Exit::Success }
    })
}

/// Carries out a command, to the end.
pub fn run(cli: Cli) -> Exit {
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let exit = runtime.block_on(dispatch(cli.command));
            // A rendering that was given up must not hold the process.
            runtime.shutdown_background();
            exit
        }
        Err(error) => exit::conclude(Err(anyhow::Error::new(error).context("could not start the runtime"))),
    }
}

async fn dispatch(command: Command) -> Exit {
    let result = match command {
        Command::Diff(arguments) => return diff::run(*arguments).await,
        Command::Serve(arguments) => serve::run(*arguments).await,
        Command::Environment(command) => environment::run(command).await,
        Command::Runs(command) => runs::run(command).await,
        Command::Project(command) => project::run(command).await,
        Command::Githost(command) => githost::run(command).await,
        Command::Receipt(command) => receipt::run(command).await,
        Command::Plan(arguments) => plan::run(*arguments).await,
        Command::Render(arguments) => render::run(*arguments).await,
        Command::Bundle(command) => bundle::run(command).await,
        Command::Pipeline(command) => pipeline::run(command).await,
        Command::Values(arguments) => values::run(*arguments).await,
        Command::Hook(command) => hook::run(command).await,
        Command::Crds => crds::run(),
        Command::Completions(arguments) => completions::run(&arguments, definition()),
    };
    exit::conclude(result)
}

/// The definition, under the name by which it was called: `kubectl graftling` is the same program named `kubectl-graftling`.
fn definition() -> clap::Command {
    let command = Cli::command();
    let called = std::env::args_os().next();
    let stem = called.as_deref().map(Path::new).and_then(Path::file_stem).and_then(OsStr::to_str);
    match stem {
        Some("kubectl-graftling") => command.bin_name("kubectl graftling"),
        _ => command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
