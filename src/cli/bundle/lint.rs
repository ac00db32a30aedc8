//! `graftling bundle lint`: every problem of a bundle in one pass.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::rendering::{self, Setting};
use super::test;
use crate::cli::diagnostics::{self, Colours};
use crate::cli::helm;
use crate::cli::output::{json, print};
use crate::cli::project_file::read_project;
use crate::domain::bundle::case::Case;
use crate::domain::bundle::{self, BundleFiles, BundleSummary, Problem, Severity, usage};
use crate::domain::render::merge_values;
use crate::render::{Error, Renderer, RendererSettings, load_directory};

/// What holds for the whole command.
pub const HELP: &str = "\
An error is what the server would refuse; a warning works, but perhaps not as it was meant. With
errors the exit code is 1, with warnings alone it is 0.
The bundle is rendered with its default values only; with --project-file, with those that the
Project lays over them for a branch feature/example. `graftling bundle test` renders its own cases.";

/// Which bundle, and how to tell.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder of the bundle
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// text or json
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORMAT")]
    output: Format,
    /// Manifest of the Project, for its values and its policy
    #[arg(long, value_name = "FILE")]
    project_file: Option<PathBuf>,
    #[command(flatten)]
    helm: helm::Helm,
}

/// The form in which problems are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One line each, for people
    #[default]
    Text,
    /// One object with a list
    Json,
}

/// The bundle is not in order.
#[derive(Debug, thiserror::Error)]
pub enum LintError {
    /// It has errors, which were printed.
    #[error("{what} is not in order: {errors} error(s)")]
    Lint {
        /// What was looked at.
        what: &'static str,
        /// How many.
        errors: usize,
    },
}

/// What `-o json` prints.
#[derive(Serialize)]
struct Report<'a> {
    errors: usize,
    warnings: usize,
    problems: &'a [Problem],
}

/// Prints every problem, or that there is none.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let files = Arc::new(load_directory(&arguments.path)?);
    let renderer = Renderer::new(RendererSettings {
        helm: arguments.helm.clone().into(),
        ..RendererSettings::default()
    });
    let setting = match &arguments.project_file {
        Some(path) => Setting::of_project(&read_project(path)?)?,
        None => Setting::of_case(&Case::of_defaults()),
    };
    let mut problems = bundle::lint(files.files());
    problems.extend(of_bundle(&renderer, &files, &setting).await?);
    for (file, cases) in test::read_cases(&arguments.path)? {
        match cases {
            Ok(cases) => problems.extend(test::missing_golden(&arguments.path, &file, &cases).map(Problem::as_warning)),
            Err(mut found) => problems.append(&mut found),
        }
    }
    report(problems, &files, arguments.output, "the bundle")
}

/// Prints problems, each once and in order.
///
/// # Errors
/// There are errors among them.
pub fn report(problems: Vec<Problem>, files: &BundleFiles, format: Format, what: &'static str) -> anyhow::Result<()> {
    let with_excerpt = |problem: Problem| match files.files().get(&problem.file).map(|bytes| std::str::from_utf8(bytes)) {
        Some(Ok(text)) if problem.excerpt.is_none() => problem.with_excerpt_of(text),
        _ => problem,
    };
    let mut problems: Vec<Problem> = problems.into_iter().map(with_excerpt).collect();
    problems.sort();
    problems.dedup();
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let warnings = problems.len() - errors;
    match format {
        Format::Text => print(&text(&problems))?,
        Format::Json => print(&json(&Report {
            errors,
            warnings,
            problems: &problems,
        })?)?,
    }
    if errors > 0 {
        return Err(LintError::Lint { what, errors }.into());
    }
    Ok(())
}

/// What is wrong with the files, and then with what they give.
async fn of_bundle(renderer: &Renderer, files: &Arc<BundleFiles>, setting: &Setting) -> Result<Vec<Problem>, Error> {
    let summary = match renderer.check(files).await {
        Ok(summary) => summary,
        Err(Error::ParseBundle { mut problems }) => {
            let others = of_other_templates(renderer, files, setting, &problems).await;
            problems.extend(others);
            return Ok(problems);
        }
        Err(error) => return Err(error),
    };
    let mut problems = usage::warnings(files, &summary);
    problems.extend(of_defaults(renderer, files, &summary, setting).await?);
    Ok(problems)
}

/// What the other templates get wrong, beside those that cannot even be read. Their objects are not judged: they may need some of those
/// that are missing.
async fn of_other_templates(renderer: &Renderer, files: &BundleFiles, setting: &Setting, unread: &[Problem]) -> Vec<Problem> {
    let is_template = |problem: &Problem| problem.file.starts_with("templates/");
    let mut rest = files.files().clone();
    rest.retain(|file, _| unread.iter().all(|problem| problem.file != *file));
    let Ok(rest) = BundleFiles::new(rest) else { return Vec::new() };
    match renderer.render(&Arc::new(rest), setting.context.clone()).await {
        Err(Error::RenderBundle(errors)) => errors.0.into_iter().filter(is_template).collect(),
        // Without its head, its values or a partial, nothing can be said of the rest.
        _ => Vec::new(),
    }
}

async fn of_defaults(
    renderer: &Renderer,
    files: &Arc<BundleFiles>,
    summary: &BundleSummary,
    setting: &Setting,
) -> Result<Vec<Problem>, Error> {
    let layers = setting.context.values.iter().map(|layer| &layer.values);
    let given = BundleSummary {
        values: layers.fold(summary.values.clone(), merge_values),
        ..summary.clone()
    };
    let missing = usage::missing_inputs(&given);
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|input| input.name.as_str()).collect();
        let message = format!(
            "not rendered, because {} has no default: give it in a case of tests/",
            names.join(", ")
        );
        return Ok(vec![Problem::in_file("bundle.yaml", message).as_warning()]);
    }
    match rendering::objects(renderer, files, setting).await {
        Ok(_) => Ok(Vec::new()),
        Err(error) => rendering::problems(error, files),
    }
}

fn text(problems: &[Problem]) -> String {
    let colours = match std::io::stdout().is_terminal() {
        true => Colours::of_stderr(),
        false => Colours::Off,
    };
    if problems.is_empty() {
        return "no problems\n".to_owned();
    }
    diagnostics::text(problems, colours)
}
