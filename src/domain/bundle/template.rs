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
use super::{instrument, pipeline, scan};

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
    /// What including it brings along.
    pub(crate) inside: Inside,
}

impl TemplateFile {
    /// Whether it is a template of objects: no partial, and no text of `pipeline.yaml`.
    pub(crate) fn gives_documents(&self) -> bool {
        self.partial.is_none() && !pipeline::is_leaf(&self.file)
    }
}

/// What is in a file, in the partials that it uses included.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Inside {
    /// How deep it is.
    deepest: Depth,
    /// Whether it renders values as templates.
    calls_tpl: bool,
}

/// What stands for the file in problems with a text that was given to `tpl`.
pub(crate) const TEXT: &str = "text";
/// Its number in marks, which no file has.
pub(crate) const TEXT_NUMBER: usize = usize::MAX;

/// Compiles a value that shall be rendered: no partials but those given, and these must not call `tpl` themselves. So nothing
/// can go in a circle, and the depth stays within what was kept free below the `tpl`.
pub(crate) fn compile_text(source: &str, partials: &BTreeMap<String, Inside>) -> Result<Template, Problem> {
    let first = |problems: Vec<Problem>| {
        problems
            .into_iter()
            .next()
            .unwrap_or_else(|| Problem::in_file(TEXT, "is no template"))
    };
    let template = compile(TEXT, source).map_err(first)?;
    let names = partials.keys().map(|name| (name.as_str(), "")).collect();
    let checked = check::check(TEXT, source, &template, &names);
    if let Some(problem) = checked.problems.into_iter().next() {
        return Err(problem);
    }
    if checked.calls_tpl {
        return Err(Problem::in_file(TEXT, "a text for tpl must not call tpl"));
    }
    let mut deepest = checked.deepest;
    for call in &checked.calls {
        let inside = partials.get(&call.partial).copied().unwrap_or_default();
        if inside.calls_tpl {
            let message = format!("the partial \"{}\" calls tpl, so a text for tpl cannot include it", call.partial);
            return Err(Problem::at(TEXT, call.place, message));
        }
        deepest = deepest.max(call.depth.plus(inside.deepest));
    }
    if !deepest.is_within(check::TPL) {
        let message = format!(
            "blocks and partials in a text for tpl must not be nested deeper than {}, loops not deeper than {}",
            check::TPL.blocks,
            check::TPL.loops
        );
        return Err(Problem::in_file(TEXT, message));
    }
    Ok(instrument::instrument(template, TEXT_NUMBER))
}

/// Compiles every template of a bundle, given by path. The position of a file in the result is its number in line marks.
pub(crate) fn compile_all(sources: &BTreeMap<&str, &str>) -> Result<Vec<TemplateFile>, Vec<Problem>> {
    let partials: BTreeMap<&str, &str> = sources.keys().filter_map(|file| Some((partial_name(file)?, *file))).collect();
    let mut problems = Vec::new();
    let mut files = BTreeMap::new();
    for (file, source) in sources {
        match compile(file, source) {
            Ok(template) => {
                let checked = check::check(file, source, &template, &partials);
                problems.extend(checked.problems.iter().cloned());
                files.insert(*file, (template, checked));
            }
            Err(mut found) => problems.append(&mut found),
        }
    }
    let mut insides = BTreeMap::new();
    if problems.is_empty() {
        (insides, problems) = check_inclusion(&files, &partials);
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
            inside: insides.get(file).copied().unwrap_or_default(),
        })
        .collect())
}

/// `labels` for `templates/_labels.hbs`.
pub(super) fn partial_name(file: &str) -> Option<&str> {
    file.strip_prefix("templates/_")?.strip_suffix(".hbs")
}

fn compile(file: &str, source: &str) -> Result<Template, Vec<Problem>> {
    scan::check(file, source)?;
    Template::compile_with_name(source, file.to_owned()).map_err(|error| {
        let message = error.reason().to_string();
        vec![match error.pos() {
            Some(place) => Problem::at(file, place, message),
            None => Problem::in_file(file, message),
        }]
    })
}

/// What is wrong with the way files include one another: circles, and depths that only add up through partials.
fn check_inclusion<'a>(
    files: &'a BTreeMap<&'a str, (Template, Checked)>,
    partials: &'a BTreeMap<&'a str, &'a str>,
) -> (BTreeMap<String, Inside>, Vec<Problem>) {
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
    let measured = walk.measured.into_iter().map(|(file, inside)| (file.to_owned(), inside)).collect();
    (measured, walk.problems)
}

struct Inclusion<'a> {
    files: &'a BTreeMap<&'a str, (Template, Checked)>,
    partials: &'a BTreeMap<&'a str, &'a str>,
    /// What is inside each finished file, partials included.
    measured: BTreeMap<&'a str, Inside>,
    path: Vec<&'a str>,
    problems: Vec<Problem>,
}

impl<'a> Inclusion<'a> {
    fn measure(&mut self, file: &'a str) -> Inside {
        if let Some(inside) = self.measured.get(file) {
            return *inside;
        }
        let files = self.files;
        let Some((_, checked)) = files.get(file) else {
            return Inside::default();
        };
        self.path.push(file);
        let mut inside = Inside {
            deepest: checked.deepest,
            calls_tpl: checked.calls_tpl,
        };
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
            let target = self.measure(target);
            inside.calls_tpl |= target.calls_tpl;
            let below = call.depth.plus(target.deepest);
            if let Some(message) = below.excess() {
                let message = format!("{message}, counted through the partial \"{}\"", call.partial);
                self.problems.push(Problem::at(file, call.place, message));
                continue;
            }
            inside.deepest = inside.deepest.max(below);
        }
        self.path.pop();
        self.measured.insert(file, inside);
        inside
    }
}
