//! `graftling pipeline graph`: a pipeline as a picture.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::load;
use crate::cli::output::print;
use crate::cli::printable::printable;
use crate::render::{Renderer, RendererSettings};

/// Which pipeline, and how to draw it.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder of the bundle, or its pipeline.yaml
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// text or mermaid
    #[arg(long = "format", value_enum, default_value_t, hide_possible_values = true, value_name = "FORMAT")]
    drawing: Format,
}

/// The form in which a pipeline is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The stages in levels
    #[default]
    Text,
    /// A Mermaid flowchart
    Mermaid,
}

/// Prints the pipeline, as it is written.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let files = load(&arguments.path)?;
    let summary = Renderer::new(RendererSettings::for_one_command()).check(&files).await?;
    let pipeline = summary.pipeline.unwrap_or_default();
    let text = match arguments.drawing {
        Format::Text => pipeline.to_text(),
        Format::Mermaid => pipeline.to_mermaid(),
    };
    print(&text.lines().map(|line| printable(line) + "\n").collect::<String>())?;
    Ok(())
}
