//! A template file, parsed, checked and ready to render.
//!
//! Only a part of Handlebars is a bundle's language: values, helpers, `#if`, `#unless`, `#each`, `#with` and partials from
//! files. What could exhaust the process (partials in a circle or with a computed name, deep nesting) or could not be checked
//! (decorators, inline partials) is refused here, so that rendering cannot meet it.

use std::collections::BTreeMap;
use std::sync::Arc;

use handlebars::Template;

use super::check::{self, Checked, Depth};
use super::problem::Problem;
use super::{instrument, scan};

/// A compiled template of a bundle.
#[derive(Debug, Clone)]
pub(crate) struct TemplateFile {
    /// The path inside the bundle.
    pub(crate) file: String,
    /// The name that a partial is called by, `None` for a template that gives documents.
    pub(crate) partial: Option<String>,
    /// Its text, for the lines that problems are shown with.
    pub(crate) source: Arc<str>,
    /// The checked template, with marks for lines and values built in.
    pub(crate) template: Template,
}

/// Compiles every template of a bundle, given by path. The position of a file in the result is its number in line marks.
pub(crate) fn compile_all(sources: &BTreeMap<&str, &str>) -> Result<Vec<TemplateFile>, Vec<Problem>> {
    let partials: BTreeMap<&str, &str> = sources.keys().filter_map(|file| Some((partial_name(file)?, *file))).collect();
    let mut problems = Vec::new();
    let mut files = BTreeMap::new();
    for (file, source) in sources {
        match compile(file, source) {
            Ok(template) => {
                let checked = check::check(file, &template, &partials);
                problems.extend(checked.problems.iter().cloned());
                files.insert(*file, (template, checked));
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        problems = check_inclusion(&files, &partials);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let numbered = files.into_iter().enumerate();
    Ok(numbered
        .map(|(number, (file, (template, _)))| TemplateFile {
            file: file.to_owned(),
            partial: partial_name(file).map(str::to_owned),
            source: sources.get(file).copied().unwrap_or_default().into(),
            template: instrument::instrument(template, number),
        })
        .collect())
}

/// `labels` for `templates/_labels.hbs`.
pub(super) fn partial_name(file: &str) -> Option<&str> {
    file.strip_prefix("templates/_")?.strip_suffix(".hbs")
}

fn compile(file: &str, source: &str) -> Result<Template, Problem> {
    scan::check(file, source)?;
    Template::compile_with_name(source, file.to_owned()).map_err(|error| {
        let message = error.reason().to_string();
        match error.pos() {
            Some(place) => Problem::at(file, place, message),
            None => Problem::in_file(file, message),
        }
    })
}

/// What is wrong with the way files include one another: circles, and depths that only add up through partials.
fn check_inclusion(files: &BTreeMap<&str, (Template, Checked)>, partials: &BTreeMap<&str, &str>) -> Vec<Problem> {
    let mut walk = Inclusion {
        files,
        partials,
        measured: BTreeMap::new(),
        path: Vec::new(),
        problems: Vec::new(),
    };
    for file in files.keys() {
        walk.measure(file);
    }
    walk.problems
}

struct Inclusion<'a> {
    files: &'a BTreeMap<&'a str, (Template, Checked)>,
    partials: &'a BTreeMap<&'a str, &'a str>,
    /// The greatest depth inside each finished file, partials included.
    measured: BTreeMap<&'a str, Depth>,
    path: Vec<&'a str>,
    problems: Vec<Problem>,
}

impl<'a> Inclusion<'a> {
    fn measure(&mut self, file: &'a str) -> Depth {
        if let Some(depth) = self.measured.get(file) {
            return *depth;
        }
        let files = self.files;
        let Some((_, checked)) = files.get(file) else {
            return Depth::default();
        };
        self.path.push(file);
        let mut deepest = checked.deepest;
        for call in &checked.calls {
            let Some(target) = self.partials.get(call.partial.as_str()).copied() else {
                continue;
            };
            if let Some(begin) = self.path.iter().position(|open| *open == target) {
                let circle: Vec<&str> = self.path[begin..]
                    .iter()
                    .chain([&target])
                    .filter_map(|file| partial_name(file))
                    .collect();
                let message = format!("partials include one another in a circle: {}", circle.join(" → "));
                self.problems.push(Problem::at(file, call.place, message));
                continue;
            }
            let below = call.depth.plus(self.measure(target));
            if let Some(message) = below.excess() {
                let message = format!("{message}, counted through the partial \"{}\"", call.partial);
                self.problems.push(Problem::at(file, call.place, message));
                continue;
            }
            deepest = deepest.max(below);
        }
        self.path.pop();
        self.measured.insert(file, deepest);
        deepest
    }
}
