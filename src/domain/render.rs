//! Rendering: (bundle, what is known of the environment) → documents. No clock, no chance, no look-ups: the same input gives the
//! same output, byte for byte.
//!
//! The stages, each in its own module: `helpers` and `functions` give the templates their words; `emit` and `mark` carry values
//! through the text so that they cannot change its structure; then the text is read as YAML and the values are put back.
//!
//! The limits on nesting, loops and output hold for any template. What they cannot bound is the time: whoever renders an untrusted
//! bundle must be able to stop waiting for it (see [`crate::render`]).

mod branch_file;
pub(crate) mod context;
pub(crate) mod emit;
mod functions;
pub(crate) mod helpers;
mod include;
mod layering;
mod leaf;
pub(crate) mod locate;
pub(crate) mod mark;
pub(crate) mod path;
pub(crate) mod record;
mod release;
pub(crate) mod suggest;
#[cfg(test)]
mod tests;
mod values;

use std::fmt;
use std::io::{self, Write};

use handlebars::{Context, Handlebars, RenderError, RenderErrorReason};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::bundle::pipeline::Pipeline;
use super::bundle::{self, Bundle, Problem, TemplateFile, yaml};
use super::health;
pub use branch_file::{BRANCH_FILE, MAX_BRANCH_FILE, read_branch_file};
pub use context::{Address, Layer, Origin, RenderContext, Scheme, context_page};
pub use emit::to_yaml;
pub use functions::reference as helper_reference;
pub use layering::{Clash, Layered, layer_values};
use mark::{Place, Unresolved};
pub use path::ValuePath;
use record::Record;
pub use release::Release;
use values::checked_values;
pub use values::{merge_values, value_problems};

/// The most that all templates together may give, in bytes: of text, and then of strings in the documents.
pub const MAX_OUTPUT: usize = 8 * 1024 * 1024;

/// What the templates of a bundle gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rendered {
    /// The documents in the order of their files and lines.
    pub documents: Vec<Document>,
    /// What helm has to render beside them, if the bundle names a chart.
    pub release: Option<Release>,
    /// The stages of `pipeline.yaml` for this environment: every text of their settings is rendered, and the settings can be read.
    /// A chart by itself has none, whatever it gives besides.
    pub pipeline: Option<Pipeline>,
}

/// One YAML document of a template.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// The file of the bundle that its first line came from: a template, or plain YAML.
    pub file: String,
    /// That line in the template, counted from 1.
    pub line: usize,
    /// What it says. Integral numbers are integers.
    pub value: Value,
}

/// Why a bundle could not be rendered: every problem of every template that failed, as far as [`super::bundle::limit`] goes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub struct RenderErrors(pub Vec<Problem>);

/// Renders every template of `bundle`, and the texts of its pipeline. Its plain YAML comes first, as it is written.
///
/// Values are the bundle's defaults with each layer of `context.values` laid over them by [`merge_values`].
///
/// # Errors
///
/// Strict: a name that is not defined is an error wherever it stands, `{{#if}}` included. All templates are tried, and everything
/// that is wrong is reported; what the YAML of a template lacks only when its tags are right.
pub fn render(bundle: &Bundle, context: &RenderContext) -> Result<Rendered, RenderErrors> {
    let values = checked_values(bundle, &context.values).map_err(RenderErrors)?.into_values();
    let release = bundle.chart().map(|chart| Release::new(chart, context)).transpose()?;
    let record = Record::default();
    let mut pass = Pass {
        engine: engine(bundle, &record),
        record,
        context: visible(context, values)?,
        files: bundle.templates(),
        text_left: MAX_OUTPUT,
        strings_left: MAX_OUTPUT,
    };
    let mut documents = bundle.manifests().to_vec();
    let mut problems = Vec::new();
    for (number, file) in bundle.templates().iter().enumerate().filter(|(_, file)| file.gives_documents()) {
        match pass.documents(number, &file.file) {
            Ok(mut rendered) => documents.append(&mut rendered),
            Err(mut found) => problems.append(&mut found),
        }
    }
    let mut pipeline = None;
    if let Some(file) = bundle.pipeline_file() {
        match pass.pipeline(file) {
            Ok(rendered) => pipeline = Some(rendered),
            Err(mut found) => problems.append(&mut found),
        }
    }
    if problems.is_empty() {
        documents
            .iter_mut()
            .for_each(|document| health::mark(bundle.health(), &mut document.value));
        return Ok(Rendered {
            documents,
            release,
            pipeline,
        });
    }
    let sources = |file: &str| bundle.templates().iter().find(|template| template.file == file);
    let with_excerpt = |problem: Problem| match sources(&problem.file) {
        Some(template) => problem.with_excerpt_of(&template.source),
        None => problem,
    };
    Err(RenderErrors(bundle::limit(problems).into_iter().map(with_excerpt).collect()))
}

fn visible(context: &RenderContext, values: Map<String, Value>) -> Result<Context, RenderErrors> {
    let json = context.to_json(values);
    json.map(Context::from).map_err(|error| no_view(&error))
}

/// A part of what templates see has no JSON form, which no part of it is known to lack.
fn no_view(error: &serde_json::Error) -> RenderErrors {
    RenderErrors(vec![Problem::in_file("values", error.to_string())])
}

fn engine(bundle: &Bundle, record: &Record) -> Handlebars<'static> {
    let mut engine = helpers::engine(bundle.templates(), record);
    for file in bundle.templates() {
        engine.register_template(file.partial.as_ref().unwrap_or(&file.file), file.template.clone());
    }
    engine
}

/// One rendering, with what is left of its limits.
struct Pass<'a> {
    engine: Handlebars<'static>,
    record: Record,
    context: Context,
    files: &'a [TemplateFile],
    text_left: usize,
    strings_left: usize,
}

impl Pass<'_> {
    fn documents(&mut self, number: usize, file: &str) -> Result<Vec<Document>, Vec<Problem>> {
        let text = self.text(file)?;
        let (text, lines) = mark::take_line_marks(&text, number);
        let documents = yaml::read_all(&text).map_err(|error| {
            let place = error
                .place
                .map_or_else(|| lines.line(1), |(line, column)| lines.place(line, column));
            let message = format!("the rendered text is not valid YAML: {}", mark::readable(&error.message));
            vec![self.problem(place, message)]
        })?;
        let mut left = self.strings_left;
        let mut resolved = Vec::with_capacity(documents.len());
        for document in documents {
            let place = lines.line(document.line);
            let value = mark::resolve(document.value, &mut left).map_err(|error| vec![self.problem(place, unresolved(&error))])?;
            resolved.push(Document {
                file: self.file(place).to_owned(),
                line: place.line,
                value,
            });
        }
        self.strings_left = left;
        Ok(resolved)
    }

    fn text(&mut self, file: &str) -> Result<String, Vec<Problem>> {
        let mut output = Output {
            bytes: Vec::new(),
            left: self.text_left,
        };
        let outcome = self.engine.render_with_context_to_write(file, &self.context, &mut output);
        self.text_left = output.left;
        let mut problems = self.recorded();
        if let Err(error) = outcome {
            problems.extend(self.explain(file, &error, problems.is_empty()));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        String::from_utf8(output.bytes).map_err(|_| vec![Problem::in_file(file, "the rendered text is not UTF-8")])
    }

    fn recorded(&self) -> Vec<Problem> {
        let entries = self.record.take();
        let located = entries.iter().filter_map(|entry| {
            let file = self.files.get(entry.place.file)?;
            Some(locate::problem(&file.file, &file.source, entry))
        });
        located.collect()
    }

    fn problem(&self, place: Place, message: String) -> Problem {
        Problem::at(self.file(place), (place.line, place.column), message)
    }

    fn file(&self, place: Place) -> &str {
        self.files.get(place.file).map_or("", |file| file.file.as_str())
    }

    /// What ended the rendering; a limit says nothing new beside other problems.
    fn explain(&self, file: &str, error: &RenderError, is_first: bool) -> Option<Problem> {
        let name = error.template_name.as_deref().unwrap_or(file);
        let message = match error.reason() {
            RenderErrorReason::Other(message) => message.clone(),
            RenderErrorReason::IOError(_) if !is_first => return None,
            RenderErrorReason::IOError(limit) => limit.to_string(),
            RenderErrorReason::MissingVariable(Some(path)) => {
                format!("\"{path}\" is neither a list nor a mapping with something in it: add {{{{else}}}}, or ask with {{{{#if}}}} first")
            }
            RenderErrorReason::InvalidJsonIndex(index) => format!("\"{index}\" is not the number of an entry of a list"),
            other => other.to_string(),
        };
        Some(match error.line_no {
            Some(line) => Problem::at(name, (line, error.column_no.unwrap_or(1)), message),
            None => Problem::in_file(name, message),
        })
    }
}

fn unresolved(error: &Unresolved) -> String {
    match error {
        Unresolved::TooLong(_) => format!("the documents hold more than {} MiB of text", MAX_OUTPUT >> 20),
        Unresolved::DuplicateKey(key) => format!("two keys of one mapping are both {key:?}"),
    }
}

fn too_much_text() -> String {
    let limit = MAX_OUTPUT >> 20;
    format!("the templates give more than {limit} MiB of text: shorten the lists that they loop over, or the values that they print")
}

/// What the engine writes to: it ends the rendering when the limit is reached.
struct Output {
    bytes: Vec<u8>,
    left: usize,
}

impl Write for &mut Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or_else(|| io::Error::other(too_much_text()))?;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A document may be a Secret, so only where it came from is shown.
impl fmt::Debug for Document {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Document({}:{})", self.file, self.line)
    }
}

impl fmt::Display for RenderErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            fmt::Display::fmt(problem, formatter)?;
        }
        Ok(())
    }
}
