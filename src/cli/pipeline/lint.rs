//! `graftling pipeline lint`: every problem of a pipeline in one pass, and nothing of the rest of its bundle.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::load;
use crate::cli::bundle::{Format, report};
use crate::domain::bundle::case::Case;
use crate::domain::bundle::{BundleFiles, BundleSummary, Problem, usage};
use crate::render::{Error, Renderer, RendererSettings};

/// What holds for the whole command.
pub const HELP: &str = "\
An error is what the server would refuse; a warning works, but perhaps not as it was meant. With
errors the exit code is 1, with warnings alone it is 0.
Settings with {{ }} are rendered with the default values of the bundle, unless one is missing.";

/// Which pipeline, and how to tell.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder of the bundle, or its pipeline.yaml
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// text or json
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORMAT")]
    output: Format,
}

/// Prints every problem, or that there is none.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let files = load(&arguments.path)?;
    let renderer = Renderer::new(RendererSettings::for_one_command());
    let mut problems = match renderer.check(&files).await {
        Ok(summary) => {
            let mut problems = usage::pipeline_warnings(&files, &summary);
            problems.extend(of_defaults(&renderer, &files, &summary).await?);
            problems
        }
        Err(Error::ParseBundle { problems }) => problems,
        Err(error) => return Err(error.into()),
    };
    problems.retain(|problem| problem.file == "pipeline.yaml" || problem.message.contains("pipeline.yaml"));
    report(problems, &files, arguments.output, "the pipeline")
}

/// What is wrong with the settings once they are rendered.
async fn of_defaults(renderer: &Renderer, files: &Arc<BundleFiles>, summary: &BundleSummary) -> Result<Vec<Problem>, Error> {
    if !usage::missing_inputs(summary).is_empty() {
        return Ok(Vec::new());
    }
    match renderer.render(files, Case::of_defaults().context()).await {
        Ok(_) => Ok(Vec::new()),
        Err(Error::RenderBundle(errors)) => Ok(errors.0),
        Err(error) => Err(error),
    }
}
