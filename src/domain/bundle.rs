//! Bundles: a directory of templates with default values, read and checked before anything is rendered.
//!
//! A bundle is bytes from outside. [`Bundle::parse`] is the one way in, and it reports every problem at once.

pub mod archive;
mod check;
mod files;
mod instrument;
mod problem;
mod scan;
mod summary;
mod template;
#[cfg(test)]
mod tests;
pub(crate) mod yaml;

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::name::check_label;
pub use files::BundleFiles;
pub use problem::{MAX_PROBLEMS, MAX_SUMMARY, Problem, Severity, limit, summary};
pub use summary::BundleSummary;
pub(crate) use template::TemplateFile;

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
    values: Map<String, Value>,
    schema: Option<String>,
    pipeline: Option<String>,
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
}

/// Whether a file is part of the bundle. Anything else beside them (a README, a licence) is left unread.
pub fn is_bundle_file(path: &str) -> bool {
    matches!(path, "bundle.yaml" | "values.yaml" | "values.schema.json" | "pipeline.yaml")
        || (path.starts_with("templates/") && !is_prose(path))
}

// === impl Bundle ===

impl Bundle {
    /// Reads a bundle from its files, given by their path inside the bundle with `/` between the parts.
    ///
    /// # Errors
    ///
    /// Every problem of every file. A bundle has at most [`MAX_FILES`] files of [`MAX_FILE`] bytes, [`MAX_BUNDLE`] in all.
    pub fn parse(files: &BTreeMap<String, Vec<u8>>) -> Result<Self, Vec<Problem>> {
        let texts = check_files(files)?;
        let mut problems = Vec::new();
        let head = keep(&mut problems, read_head(&texts));
        let values = keep(&mut problems, read_values(&texts));
        problems.extend(check_schema(&texts));
        problems.extend(check_pipeline(&texts));
        let templates = keep(&mut problems, read_templates(&texts));
        if !problems.is_empty() {
            let with_excerpt = |problem: Problem| match texts.get(problem.file.as_str()) {
                Some(text) => problem.with_excerpt_of(text),
                None => problem,
            };
            return Err(limit(problems).into_iter().map(with_excerpt).collect());
        }
        let text = |file: &str| texts.get(file).map(|text| (*text).to_owned());
        Ok(Self {
            name: head.name,
            version: head.version,
            description: head.description,
            inputs: head.inputs,
            values,
            schema: text("values.schema.json"),
            pipeline: text("pipeline.yaml"),
            templates,
            digest: digest(&texts),
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

    /// The default values.
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// The text of `values.schema.json`: valid JSON, not yet applied to values.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// The text of `pipeline.yaml`: valid YAML, not yet read as stages.
    pub fn pipeline(&self) -> Option<&str> {
        self.pipeline.as_deref()
    }

    /// SHA-256 over every file of the bundle, in hexadecimal: it changes when anything that matters changes.
    pub fn digest(&self) -> &str {
        &self.digest
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

/// The bundle's files as text, unless a limit is exceeded.
fn check_files(files: &BTreeMap<String, Vec<u8>>) -> Result<BTreeMap<&str, &str>, Vec<Problem>> {
    let relevant: Vec<(&String, &Vec<u8>)> = files.iter().filter(|(path, _)| is_bundle_file(path)).collect();
    if relevant.len() > MAX_FILES {
        let message = format!("has {} files: at most {MAX_FILES} are allowed", relevant.len());
        return Err(vec![Problem::in_file("bundle", message)]);
    }
    let size: usize = relevant.iter().map(|(_, bytes)| bytes.len()).sum();
    if size > MAX_BUNDLE {
        let message = format!("has {size} bytes: at most {MAX_BUNDLE} are allowed");
        return Err(vec![Problem::in_file("bundle", message)]);
    }
    let mut texts = BTreeMap::new();
    let mut problems = Vec::new();
    for (path, bytes) in relevant {
        match std::str::from_utf8(bytes) {
            _ if bytes.len() > MAX_FILE => {
                let message = format!("has {} bytes: at most {MAX_FILE} are allowed", bytes.len());
                problems.push(Problem::in_file(path, message));
            }
            Ok(text) => {
                texts.insert(path.as_str(), text);
            }
            Err(error) => {
                let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
                problems.push(Problem::at_line(path, line, "is not UTF-8 text"));
            }
        }
    }
    if problems.is_empty() { Ok(texts) } else { Err(problems) }
}

fn yaml_problem(file: &str, error: yaml::YamlError) -> Vec<Problem> {
    vec![match error.place {
        Some(place) => Problem::at(file, place, error.message),
        None => Problem::in_file(file, error.message),
    }]
}

fn read_head(texts: &BTreeMap<&str, &str>) -> Result<Head, Vec<Problem>> {
    const FILE: &str = "bundle.yaml";
    let text = texts
        .get(FILE)
        .ok_or_else(|| vec![Problem::in_file(FILE, "is missing: a bundle needs it, with name and version")])?;
    let head: Head = yaml::read_one(text).map_err(|error| yaml_problem(FILE, error))?;
    let mut problems = Vec::new();
    if let Err(rule) = check_label(&head.name) {
        problems.push(Problem::in_file(FILE, format!("name: {:?} {rule}", head.name)));
    }
    if head.version.is_empty() || head.version.len() > 64 {
        problems.push(Problem::in_file(FILE, "version: must be 1 to 64 characters long"));
    }
    for input in head.inputs.iter().filter(|input| input.name.split('.').any(str::is_empty)) {
        problems.push(Problem::in_file(
            FILE,
            format!("inputs: {:?} is not the name of a value", input.name),
        ));
    }
    if problems.is_empty() { Ok(head) } else { Err(problems) }
}

fn read_values(texts: &BTreeMap<&str, &str>) -> Result<Map<String, Value>, Vec<Problem>> {
    const FILE: &str = "values.yaml";
    let Some(text) = texts.get(FILE) else { return Ok(Map::new()) };
    let mut documents = yaml::read_all(text).map_err(|error| yaml_problem(FILE, error))?;
    if documents.len() > 1 {
        return Err(vec![Problem::at_line(FILE, documents[1].line, "has a second document: write one")]);
    }
    let Some(document) = documents.pop() else { return Ok(Map::new()) };
    let line = document.line;
    // Numbers without a fraction become integers here as they do in manifests.
    let mut unlimited = usize::MAX;
    match super::render::mark::resolve(document.value, &mut unlimited) {
        Ok(Value::Object(values)) => Ok(values),
        _ => Err(vec![Problem::at_line(FILE, line, "must be a mapping of names to values")]),
    }
}

fn check_schema(texts: &BTreeMap<&str, &str>) -> Option<Problem> {
    const FILE: &str = "values.schema.json";
    let error = serde_json::from_str::<Value>(texts.get(FILE)?).err()?;
    let full = error.to_string();
    let message = full.rfind(" at line ").map_or(full.as_str(), |end| &full[..end]);
    Some(Problem::at(FILE, (error.line(), error.column()), message))
}

fn check_pipeline(texts: &BTreeMap<&str, &str>) -> Vec<Problem> {
    const FILE: &str = "pipeline.yaml";
    let Some(text) = texts.get(FILE) else { return Vec::new() };
    match yaml::read_all(text) {
        Ok(_) => Vec::new(),
        Err(error) => yaml_problem(FILE, error),
    }
}

fn read_templates(texts: &BTreeMap<&str, &str>) -> Result<Vec<TemplateFile>, Vec<Problem>> {
    let sources: BTreeMap<&str, &str> = texts
        .iter()
        .filter(|(file, _)| file.starts_with("templates/"))
        .map(|(file, text)| (*file, *text))
        .collect();
    let mut problems: Vec<Problem> = sources.keys().filter_map(|file| misplaced(file)).collect();
    if !sources.keys().any(|file| template::partial_name(file).is_none()) {
        problems.push(Problem::in_file(
            "templates",
            "has no template: a bundle needs at least one templates/*.yaml",
        ));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    template::compile_all(&sources)
}

/// Text for people beside the templates.
fn is_prose(file: &str) -> bool {
    file.ends_with(".md") || file == "templates/NOTES.txt"
}

fn misplaced(file: &str) -> Option<Problem> {
    let name = file.strip_prefix("templates/")?;
    if name.contains('/') {
        return Some(Problem::in_file(file, "is in a folder below templates: move it up"));
    }
    let is_partial = name.starts_with('_') && name.ends_with(".hbs");
    let is_template = !name.starts_with('_') && (name.ends_with(".yaml") || name.ends_with(".yml"));
    (!is_partial && !is_template).then(|| Problem::in_file(file, "is neither a template (NAME.yaml, NAME.yml) nor a partial (_NAME.hbs)"))
}

/// Each name and content is preceded by its length, so that no two bundles share the same bytes.
fn digest(texts: &BTreeMap<&str, &str>) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in texts.iter().flat_map(|(file, text)| [*file, *text]) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
