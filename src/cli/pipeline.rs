//! `graftling pipeline`: the stages of a bundle, without a cluster.

mod graph;
mod lint;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;

use crate::domain::bundle::BundleFiles;
use crate::render::load_directory;

/// What to do with a pipeline.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find every problem of a pipeline at once
    #[command(after_help = lint::HELP)]
    Lint(lint::Arguments),
    /// Print which stages there are, what each needs and when it runs
    Graph(graph::Arguments),
}

/// The bundle has no pipeline.
#[derive(Debug, thiserror::Error)]
#[error("{0} has no pipeline.yaml: everything is applied at once")]
pub struct NoPipeline(String);

/// Carries out one of them.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Lint(arguments) => lint::run(arguments).await,
        Command::Graph(arguments) => graph::run(arguments).await,
    }
}

/// The files of a bundle, given by its folder or by its `pipeline.yaml`.
fn load(path: &Path) -> anyhow::Result<Arc<BundleFiles>> {
    let is_file = path.file_name().is_some_and(|name| name == "pipeline.yaml") && path.is_file();
    let folder = match path.parent().filter(|_| is_file) {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => path.to_owned(),
    };
    let files = load_directory(&folder)?;
    if !files.files().contains_key("pipeline.yaml") {
        return Err(NoPipeline(folder.display().to_string()).into());
    }
    Ok(Arc::new(files))
}
