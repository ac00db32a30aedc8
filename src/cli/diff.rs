//! `graftling diff`: how an environment differs from what it should be. Nothing is written, and no right to write is needed.

use std::fmt::Write as _;
use std::io::IsTerminal;

use clap::Args;

use super::environment::Selection;
use super::exit::{self, Exit};
use super::output::print;
use super::plan::Server;
use super::printable::printable_lines;
use crate::app::plan::{self, Differences};
use crate::domain::difference::{Change, Difference};

/// How to read the result.
pub const HELP: &str = "\
Only the fields that graftling has applied are compared, not what Kubernetes or others have added.
Of a Secret, the keys are shown and whether a value differs, never a value.

Exit codes, as of diff: 0 nothing differs, 1 something does, 2 to 5 as for other commands, where 2
also stands for a failed operation.";

/// Which environment, and what the server knows besides the cluster.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    selection: Selection,
}

/// Prints the differences and says how the process ends.
pub async fn run(arguments: Arguments) -> Exit {
    match compare(arguments).await {
        Ok(false) => Exit::Success,
        Ok(true) => Exit::Failed,
        Err(error) => match exit::conclude(Err(error)) {
            Exit::Failed => Exit::Usage,
            other => other,
        },
    }
}

async fn compare(arguments: Arguments) -> anyhow::Result<bool> {
    let (access, environment) = arguments.selection.find().await?;
    let differences = plan::differences(&access, &environment, &arguments.server.into()).await?;
    let is_coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    print(&text(&differences, is_coloured))?;
    Ok(!differences.objects.is_empty() || !differences.obstacles.is_empty())
}

fn text(differences: &Differences, is_coloured: bool) -> String {
    let mut text = String::new();
    for obstacle in &differences.obstacles {
        let _ = writeln!(text, "Blocked: {}", printable_lines(&obstacle.to_string()));
    }
    for difference in &differences.objects {
        text.push_str(&header(difference));
        for line in printable_lines(&difference.hunks).lines() {
            match colour(line).filter(|_| is_coloured) {
                Some(colour) => {
                    let _ = writeln!(text, "\u{1b}[{colour}m{line}\u{1b}[0m");
                }
                None => {
                    let _ = writeln!(text, "{line}");
                }
            }
        }
    }
    text
}

/// The two names of a unified diff; `/dev/null` stands for what is not there, so that `patch` and viewers understand it.
fn header(difference: &Difference) -> String {
    let key = difference.key.to_string();
    let (old, new) = match difference.change {
        Change::Create => ("/dev/null", key.as_str()),
        Change::Update => (key.as_str(), key.as_str()),
        Change::Delete => (key.as_str(), "/dev/null"),
    };
    format!("--- {old}\n+++ {new}\n")
}

/// Red for what goes, green for what comes, cyan for where.
fn colour(line: &str) -> Option<u8> {
    match line.as_bytes().first()? {
        b'-' => Some(31),
        b'+' => Some(32),
        b'@' => Some(36),
        _ => None,
    }
}
