//! Bundles: a directory of templates with default values, read and checked before anything is rendered.
//!
//! A bundle is bytes from outside. [`Bundle::parse`] is the one way in, and it reports every problem at once.

pub mod archive;
pub mod case;
pub(crate) mod chart;
mod check;
mod entry;
mod field;
mod files;
mod go;
mod head;
mod instrument;
mod layout;
mod lint;
mod pipe;
pub mod pipeline;
mod plain;
mod problem;
mod scan;
mod schema;
mod summary;
mod template;
#[cfg(test)]
mod tests;
pub mod usage;
pub(crate) mod yaml;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::health::HealthRule;
use super::name::check_label;
use super::render::{Document, merge_values};
pub(crate) use chart::Chart;
pub use chart::{ChartSettings, Definitions, Hooks};
pub use field::at_field;
pub use files::BundleFiles;
use layout::misplaced;
pub use layout::{Layout, is_bundle_file};
pub use lint::lint;
use pipeline::{Pipeline, PipelineFile};
pub use problem::{MAX_PROBLEMS, MAX_SUMMARY, Problem, Severity, limit, summary};
use schema::Schema;
pub use summary::BundleSummary;
pub(crate) use template::{Inside, TEXT, TEXT_NUMBER, TemplateFile, compile_text};

/// The most files of a bundle.
pub const MAX_FILES: usize = 200;
/// The most bytes of one file.
pub const MAX_FILE: usize = 1024 * 1024;
/// The most bytes of all files together.
pub const MAX_BUNDLE: usize = 8 * 1024 * 1024;

/// A bundle that has been checked: what is left to go wrong depends on the environment.
#[derive(Clone)]
pub struct Bundle {
    name: String,
    version: String,
    description: String,
    inputs: Vec<Input>,
    health: Vec<HealthRule>,
    values: Map<String, Value>,
    schema: Option<Schema>,
    pipeline: Option<PipelineFile>,
    manifests: Vec<Document>,
    chart: Option<Chart>,
    templates: Vec<TemplateFile>,
    digest: String,
}

/// A value that the bundle asks a Project for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Where the value is, for example `image.repository`.
    pub name: String,
    /// What it is for, for people.
    #[serde(default)]
    pub description: String,
    /// Whether rendering fails while it is missing, null or empty.
    #[serde(default, rename = "required")]
    pub is_required: bool,
}

/// `bundle.yaml` as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    name: String,
    version: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    inputs: Vec<Input>,
    #[serde(default)]
    chart: Option<ChartSettings>,
    /// Read by itself, with the lines of its rules.
    #[serde(default, rename = "health")]
    _health: Option<serde::de::IgnoredAny>,
}

// === impl Bundle ===

impl Bundle {
    /// Reads a bundle from its files, given by their path inside the bundle with `/` between the parts.
    ///
    /// # Errors
    ///
    /// Every problem of every file. A bundle has at most [`MAX_FILES`] files of [`MAX_FILE`] bytes, [`MAX_BUNDLE`] in all.
    pub fn parse(files: &BTreeMap<String, Vec<u8>>) -> Result<Self, Vec<Problem>> {
        let layout = Layout::of(files.keys().map(String::as_str));
        let bytes: BTreeMap<&str, &[u8]> = files
            .iter()
            .filter(|(path, _)| layout.includes(path))
            .map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
            .collect();
        let texts = check_files(&bytes)?;
        let mut problems = Vec::new();
        let head = match layout {
            Layout::Bundle => keep(&mut problems, read_head(&texts)),
            Layout::Chart => keep(&mut problems, chart::head(&texts)),
        };
        let health = keep(&mut problems, head::health(&texts));
        let mut values = keep(&mut problems, read_mapping("values.yaml", &texts));
        let schema = keep(&mut problems, read_schema(&texts));
        let pipeline = read_pipeline(&texts, &mut problems);
        let manifests = keep(&mut problems, plain::read(&texts));
        let templates = match layout {
            Layout::Bundle => keep(&mut problems, read_templates(&texts, pipeline.as_ref())),
            Layout::Chart => Vec::new(),
        };
        let chart = match head.chart {
            Some(settings) => {
                let overrides = if layout == Layout::Bundle {
                    std::mem::take(&mut values)
                } else {
                    Map::new()
                };
                values = merge_values(keep(&mut problems, chart::values(&settings, &texts)), &overrides);
                let (texts, bytes) = (&texts, &bytes);
                let read = chart::read(settings, &chart::Files { layout, texts, bytes }, overrides);
                keep(&mut problems, read.map(Some))
            }
            None => None,
        };
        if !problems.is_empty() {
            let with_excerpt = |problem: Problem| match texts.get(problem.file.as_str()) {
                Some(text) => problem.with_excerpt_of(text),
                None => problem,
            };
            return Err(limit(problems).into_iter().map(with_excerpt).collect());
        }
        Ok(Self {
            name: head.name,
            version: head.version,
            description: head.description,
            inputs: head.inputs,
            health,
            values,
            schema,
            pipeline,
            manifests,
            chart,
            templates,
            digest: files::digest(bytes),
        })
    }

    /// The bundle's name, a DNS label.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bundle's version, as its author writes it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What the bundle is, for people.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What the bundle asks a Project for.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// How objects of kinds that the bundle knows better are judged.
    pub fn health(&self) -> &[HealthRule] {
        &self.health
    }

    /// The default values.
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// The text of `values.schema.json`.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_ref().map(Schema::text)
    }

    /// `values.schema.json`, compiled.
    pub(crate) fn values_schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// The stages of `pipeline.yaml`, if there is such a file, as they are written.
    pub fn pipeline(&self) -> Option<&Pipeline> {
        self.pipeline.as_ref().map(PipelineFile::pipeline)
    }

    /// `pipeline.yaml` with the templates in it.
    pub(crate) fn pipeline_file(&self) -> Option<&PipelineFile> {
        self.pipeline.as_ref()
    }

    /// SHA-256 over every file of the bundle, in hexadecimal: it changes when anything that matters changes.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The Helm chart that the bundle names.
    pub(crate) fn chart(&self) -> Option<&Chart> {
        self.chart.as_ref()
    }

    /// The documents of the bundle's plain YAML.
    pub(crate) fn manifests(&self) -> &[Document] {
        &self.manifests
    }

    pub(crate) fn templates(&self) -> &[TemplateFile] {
        &self.templates
    }
}

/// Defaults may be of interest, but templates are long; the digest says which bundle it is.
impl fmt::Debug for Bundle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Bundle")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

// === reading ===

/// The outcome's value; problems are set aside and a default stands in, so that the other files are looked at, too.
fn keep<T: Default>(problems: &mut Vec<Problem>, outcome: Result<T, Vec<Problem>>) -> T {
    outcome.unwrap_or_else(|mut found| {
        problems.append(&mut found);
        T::default()
    })
}

/// The bundle's files as text, unless a limit is exceeded. What a chart holds beside its own files need not be text.
fn check_files<'a>(files: &BTreeMap<&'a str, &'a [u8]>) -> Result<BTreeMap<&'a str, &'a str>, Vec<Problem>> {
    if files.len() > MAX_FILES {
        let message = format!("has {} files: at most {MAX_FILES} are allowed", files.len());
        return Err(vec![Problem::in_file("bundle", message)]);
    }
    let size: usize = files.values().map(|bytes| bytes.len()).sum();
    if size > MAX_BUNDLE {
        let message = format!("has {size} bytes: at most {MAX_BUNDLE} are allowed");
        return Err(vec![Problem::in_file("bundle", message)]);
    }
    let mut texts = BTreeMap::new();
    let mut problems = Vec::new();
    for (path, bytes) in files {
        match std::str::from_utf8(bytes) {
            _ if bytes.len() > MAX_FILE => {
                let message = format!("has {} bytes: at most {MAX_FILE} are allowed", bytes.len());
                problems.push(Problem::in_file(path, message));
            }
            Ok(text) => {
                texts.insert(*path, text);
            }
            Err(_) if layout::may_be_binary(path) => {}
            Err(error) => {
                let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
                problems.push(Problem::at_line(path, line, "is not UTF-8 text"));
            }
        }
    }
    if problems.is_empty() { Ok(texts) } else { Err(problems) }
}

fn yaml_problem(file: &str, error: yaml::YamlError) -> Vec<Problem> {
    vec![error.in_file(file)]
}

fn read_head(texts: &BTreeMap<&str, &str>) -> Result<Head, Vec<Problem>> {
    const FILE: &str = "bundle.yaml";
    let text = texts
        .get(FILE)
        .ok_or_else(|| vec![Problem::in_file(FILE, "is missing: a bundle needs it, with name and version")])?;
    let head: Head = yaml::read_one(text).map_err(|error| match head::problems(text) {
        found if found.is_empty() => yaml_problem(FILE, error),
        found => found,
    })?;
    let mut problems = Vec::new();
    if let Err(rule) = check_label(&head.name) {
        problems.push(Problem::in_file(FILE, format!("name: {:?} {rule}", head.name)));
    }
    if head.version.is_empty() || head.version.len() > 64 {
        problems.push(Problem::in_file(FILE, "version: must be 1 to 64 characters long"));
    }
    if head.chart.is_none() && texts.contains_key("chart/Chart.yaml") {
        let message = "does not name the Helm chart in chart/: add `chart: {path: chart}`";
        problems.push(Problem::in_file(FILE, message));
    }
    for input in head.inputs.iter().filter(|input| input.name.split('.').any(str::is_empty)) {
        problems.push(Problem::in_file(
            FILE,
            format!("inputs: {:?} is not the name of a value", input.name),
        ));
    }
    if problems.is_empty() { Ok(head) } else { Err(problems) }
}

/// The mapping that a file of values holds; none without the file.
fn read_mapping(file: &str, texts: &BTreeMap<&str, &str>) -> Result<Map<String, Value>, Vec<Problem>> {
    let Some(text) = texts.get(file) else { return Ok(Map::new()) };
    yaml::read_mapping(file, text, usize::MAX, "must be a mapping of names to values").map_err(|problem| vec![problem])
}

fn read_schema(texts: &BTreeMap<&str, &str>) -> Result<Option<Schema>, Vec<Problem>> {
    texts.get("values.schema.json").map(|text| Schema::parse(text)).transpose()
}

/// What can be read of the pipeline, also where there are problems with it: then its texts are looked at nevertheless.
fn read_pipeline(texts: &BTreeMap<&str, &str>, problems: &mut Vec<Problem>) -> Option<PipelineFile> {
    let text = texts.get("pipeline.yaml")?;
    let files: Vec<&str> = texts.keys().copied().filter(|file| layout::gives_objects(file)).collect();
    let (pipeline, mut found) = pipeline::read(text, &files);
    problems.append(&mut found);
    pipeline
}

/// The templates of objects, and the texts of the pipeline that are templates.
fn read_templates(texts: &BTreeMap<&str, &str>, pipeline: Option<&PipelineFile>) -> Result<Vec<TemplateFile>, Vec<Problem>> {
    let mut sources: BTreeMap<&str, &str> = texts
        .iter()
        .filter(|(file, _)| file.starts_with("templates/"))
        .map(|(file, text)| (*file, *text))
        .collect();
    let mut problems: Vec<Problem> = sources.keys().filter_map(|file| misplaced(file)).collect();
    let has_template = sources.keys().any(|file| template::partial_name(file).is_none());
    let has_others = texts
        .keys()
        .any(|file| file.starts_with("manifests/") || file.starts_with("chart/"));
    if !has_template && !has_others {
        problems.push(Problem::in_file(
            "templates",
            "has no template: a bundle needs at least one templates/*.yaml or manifests/*.yaml, or a chart",
        ));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let leaves = pipeline.into_iter().flat_map(PipelineFile::leaves);
    sources.extend(leaves.map(|leaf| (leaf.name.as_str(), leaf.source.as_str())));
    template::compile_all(&sources).map_err(|problems| match pipeline {
        Some(pipeline) => problems.into_iter().map(|problem| pipeline.explain(problem)).collect(),
        None => problems,
    })
}
