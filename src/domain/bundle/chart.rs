//! A Helm chart as the source of an environment's objects: read and checked here, rendered by helm.
//!
//! What helm gives must be a function of the chart and its values, as everything else is that a bundle gives. So a chart whose
//! templates could see the clock, chance, the cluster or the network is refused before helm runs, its subcharts included.

pub(in crate::domain) mod actions;
mod archive;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::layout::CHART_FOLDER;
use super::problem::Problem;
use super::{Head, Layout, read_mapping, yaml, yaml_problem};

/// A chart whose templates have been checked.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    /// The chart's name, from its `Chart.yaml`.
    pub(crate) name: String,
    /// How it is to be used.
    pub(crate) settings: ChartSettings,
    /// Which of the names that graftling adds to the values the chart's schema leaves no room for.
    pub(crate) closed_to: BTreeSet<&'static str>,
    /// Whether texts among the values are rendered as templates, too.
    pub(crate) renders_values: bool,
    /// Whether two runs of helm are to be compared, because something in the templates has no order of its own.
    pub(crate) is_unordered: bool,
    /// What the bundle lays over the chart's own defaults.
    pub(crate) overrides: Map<String, Value>,
}

/// How a bundle uses its chart: `chart` of `bundle.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChartSettings {
    /// The folder of the chart; empty for a chart without a bundle around it.
    pub path: String,
    /// What happens to hooks other than tests.
    pub hooks: Hooks,
    /// What happens to the definitions in `crds/`.
    pub crds: Definitions,
}

/// What happens to Helm hooks. Nobody runs them as hooks; tests are always left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hooks {
    /// They are an error, so that none is lost unseen.
    #[default]
    Refuse,
    /// Hooks of installing and upgrading are ordinary objects; those of deleting and rolling back are left out.
    Apply,
    /// They are left out.
    Omit,
}

/// What happens to CustomResourceDefinitions in `crds/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Definitions {
    /// They are admitted or refused as every object is.
    #[default]
    Apply,
    /// They are left out: somebody has installed them in the cluster.
    Omit,
}

/// `Chart.yaml`, as far as it is read here.
#[derive(Debug, Default, Deserialize)]
struct ChartFile {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    #[serde(default)]
    repository: String,
}

impl Default for ChartSettings {
    fn default() -> Self {
        Self {
            path: CHART_FOLDER.to_owned(),
            hooks: Hooks::default(),
            crds: Definitions::default(),
        }
    }
}

impl ChartSettings {
    /// The path inside the bundle of a file of the chart.
    pub fn file(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.path)
        }
    }
}

/// What stands for `bundle.yaml` where the chart is all there is.
pub(super) fn head(texts: &BTreeMap<&str, &str>) -> Result<Head, Vec<Problem>> {
    let settings = ChartSettings {
        path: String::new(),
        ..ChartSettings::default()
    };
    let file = read_chart_file(&settings, texts)?;
    Ok(Head {
        name: file.name,
        version: file.version,
        description: file.description,
        inputs: Vec::new(),
        chart: Some(settings),
        _health: None,
    })
}

/// Reads and checks the chart that `settings` names.
pub(super) fn read(settings: ChartSettings, files: &Files<'_>, overrides: Map<String, Value>) -> Result<Chart, Vec<Problem>> {
    let is_inside = settings.path == CHART_FOLDER || settings.path.starts_with("chart/");
    if !(is_inside && settings.path.split('/').all(|part| !matches!(part, "" | "." | ".."))) && files.layout == Layout::Bundle {
        let message = format!("chart.path: {:?} is neither chart nor a folder below chart/", settings.path);
        return Err(vec![Problem::in_file("bundle.yaml", message)]);
    }
    let file = read_chart_file(&settings, files.texts)?;
    let mut problems = missing_dependencies(&settings, &file, files);
    let mut chart = Chart {
        name: file.name,
        closed_to: closed_to(files.texts.get(settings.file("values.schema.json").as_str()).copied()),
        settings,
        renders_values: false,
        is_unordered: false,
        overrides,
    };
    chart.check_templates(files, &mut problems);
    if problems.is_empty() { Ok(chart) } else { Err(problems) }
}

/// The defaults of the chart itself.
pub(super) fn values(settings: &ChartSettings, texts: &BTreeMap<&str, &str>) -> Result<Map<String, Value>, Vec<Problem>> {
    read_mapping(&settings.file("values.yaml"), texts)
}

/// The files of a bundle with a chart.
pub(super) struct Files<'a> {
    /// Which layout they have.
    pub(super) layout: Layout,
    /// Those that are text.
    pub(super) texts: &'a BTreeMap<&'a str, &'a str>,
    /// All of them.
    pub(super) bytes: &'a BTreeMap<&'a str, &'a [u8]>,
}

impl Chart {
    fn check_templates(&mut self, files: &Files<'_>, problems: &mut Vec<Problem>) {
        let prefix = self.settings.file("");
        let texts = files.texts.iter().filter(|(path, _)| path.starts_with(&prefix));
        let (templates, others): (Vec<_>, Vec<_>) = texts.partition(|(path, _)| is_template(path));
        for (path, text) in templates {
            self.check_template(path, text, problems);
            if files.layout == Layout::Chart {
                problems.extend(unread_files(path, text, files));
            }
        }
        for (path, bytes) in files
            .bytes
            .iter()
            .filter(|(path, _)| path.starts_with(&prefix) && path.ends_with(".tgz"))
        {
            match archive::templates(bytes) {
                Ok(found) => found
                    .iter()
                    .for_each(|(inner, text)| self.check_template(&format!("{path}/{inner}"), text, problems)),
                Err(message) => problems.push(Problem::in_file(path, message)),
            }
        }
        if self.renders_values {
            others.iter().for_each(|(path, text)| problems.extend(refusals(path, text)));
        }
    }

    fn check_template(&mut self, path: &str, text: &str, problems: &mut Vec<Problem>) {
        problems.extend(refusals(path, text));
        for call in actions::calls(text) {
            self.renders_values |= call.function == "tpl";
            self.is_unordered |= matches!(call.function, "keys" | "values" | "tpl");
        }
    }
}

fn read_chart_file(settings: &ChartSettings, texts: &BTreeMap<&str, &str>) -> Result<ChartFile, Vec<Problem>> {
    let path = settings.file("Chart.yaml");
    let text = texts
        .get(path.as_str())
        .ok_or_else(|| vec![Problem::in_file(&path, "is missing: a chart needs it")])?;
    let file: ChartFile = yaml::read_one(text).map_err(|error| yaml_problem(&path, error))?;
    // The name is a folder in helm's output, and a word of its messages.
    if file.name.is_empty()
        || file
            .name
            .contains(|letter: char| !(letter.is_ascii_alphanumeric() || "-_.".contains(letter)))
    {
        return Err(vec![Problem::in_file(
            &path,
            format!("name: {:?} is not the name of a chart", file.name),
        )]);
    }
    Ok(file)
}

/// Dependencies that are not in `charts/`. Nothing is ever downloaded.
fn missing_dependencies(settings: &ChartSettings, file: &ChartFile, files: &Files<'_>) -> Vec<Problem> {
    let path = settings.file("Chart.yaml");
    let text = files.texts.get(path.as_str()).copied().unwrap_or_default();
    let is_missing = |dependency: &&Dependency| {
        let folder = settings.file(&format!("charts/{}/", dependency.name));
        let archive = settings.file(&format!("charts/{}-", dependency.name));
        !files
            .bytes
            .keys()
            .any(|file| file.starts_with(&folder) || (file.starts_with(&archive) && file.ends_with(".tgz")))
    };
    let problem = |dependency: &Dependency| {
        let mut lines = text.lines().skip_while(|line| !line.starts_with("dependencies:"));
        let skipped = text.lines().take_while(|line| !line.starts_with("dependencies:")).count();
        let within = lines
            .position(|line| line.contains("name:") && line.contains(&dependency.name))
            .unwrap_or(0);
        let Dependency { name, repository } = dependency;
        let message = format!(
            "the dependency \"{name}\" ({repository}) is not in charts/, and nothing is downloaded: run `helm dependency build` and keep charts/ with the chart"
        );
        Problem::at_line(&path, skipped + within + 1, message)
    };
    file.dependencies.iter().filter(is_missing).map(problem).collect()
}

/// Files that a template reads and that are no part of the chart: helm would give an empty text for them.
fn unread_files(path: &str, text: &str, files: &Files<'_>) -> Vec<Problem> {
    static READ: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"\.Files\.(?:Get|GetBytes|Lines)\s+"([^"]+)""#).ok());
    let Some(read) = READ.as_ref().filter(|_| path.starts_with("templates/")) else {
        return Vec::new();
    };
    read.captures_iter(text)
        .filter_map(|found| found.get(1))
        .filter(|name| !files.bytes.contains_key(name.as_str()))
        .map(|name| {
            let line = text[..name.start()].matches('\n').count() + 1;
            let message = format!("\"{}\" is no file of the chart: it has to lie below files/", name.as_str());
            Problem::at_line(path, line, message)
        })
        .collect()
}

fn refusals(path: &str, text: &str) -> Vec<Problem> {
    let calls = actions::calls(text);
    calls
        .iter()
        .filter_map(|call| Some(Problem::at(path, call.place, call.refusal()?)))
        .collect()
}

/// helm renders everything below `templates`, whatever its name.
fn is_template(path: &str) -> bool {
    path.split('/').any(|part| part == "templates")
}

/// The added names that a schema with `additionalProperties: false` does not list. helm would refuse the values for them.
fn closed_to(schema: Option<&str>) -> BTreeSet<&'static str> {
    let schema: Value = schema.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let is_listed = |name: &str| schema.get("properties").is_some_and(|listed| listed.get(name).is_some());
    ["graftling", "global"]
        .into_iter()
        .filter(|name| is_closed && !is_listed(name))
        .collect()
}
