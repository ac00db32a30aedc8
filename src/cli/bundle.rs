//! `graftling bundle`: what the author of a bundle does with it, without a cluster.

mod lint;
mod new;
mod rendering;
mod test;

use clap::Subcommand;

pub use lint::{Format, report};

/// What to do with a bundle.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a bundle that works, to begin with
    New(new::Arguments),
    /// Find every problem of a bundle at once
    #[command(after_help = lint::HELP)]
    Lint(lint::Arguments),
    /// Render the cases of a bundle's own tests and compare
    #[command(after_help = test::HELP)]
    Test(test::Arguments),
}

/// Carries out one of them.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::New(arguments) => new::run(&arguments),
        Command::Lint(arguments) => lint::run(arguments).await,
        Command::Test(arguments) => test::run(arguments).await,
    }
}
