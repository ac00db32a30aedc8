//! `pipeline.yaml` as a file: its stages, those of their texts that are templates, and where in the file each thing is said.

use std::sync::Arc;

use serde_json::Value;

use super::read::FILE;
use super::{Action, Pipeline, Stage, references};
use crate::domain::bundle::{Problem, at_field};
use crate::domain::stage;

/// What begins the name of a text of this file where it stands among templates. No file can have such a name.
const LEAF: &str = "pipeline.yaml ";

/// The most texts of one pipeline that are templates.
pub(super) const MAX_LEAVES: usize = 500;

/// A pipeline with the text that it was read from.
#[derive(Debug, Clone)]
pub(crate) struct PipelineFile {
    pipeline: Pipeline,
    text: Arc<str>,
    /// The line of the outermost mapping.
    root: usize,
    leaves: Vec<Leaf>,
}

/// A text in the settings of a stage that is a template.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    /// What stands for it among the templates of the bundle.
    pub(crate) name: String,
    /// The text.
    pub(crate) source: String,
    at: At,
    /// Where in the settings of the stage it is, as a JSON pointer.
    pointer: String,
    /// The same as people write it, beginning with the kind: `job.env.URL`.
    field: String,
}

/// Which list of stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Stages,
    Teardown,
}

/// A stage by its place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) section: Section,
    pub(super) index: usize,
}

// === impl PipelineFile ===

impl PipelineFile {
    /// The pipeline that was read from `text`, whose outermost mapping begins in the line `root`.
    pub(super) fn new(pipeline: Pipeline, text: &str, root: usize) -> Self {
        let leaves = pipeline.all().flat_map(|(at, stage)| leaves_of(at, stage)).collect();
        Self {
            pipeline,
            text: text.into(),
            root,
            leaves,
        }
    }

    /// The stages, as they are written.
    pub(crate) fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The texts that are templates.
    pub(crate) fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// The stages with these values in the place of their templates, in the order of [`Self::leaves`]. Nothing but texts is replaced,
    /// and only by what is no list and no mapping, so the graph and the structure of all settings stay as they are written.
    pub(crate) fn filled(&self, values: Vec<Value>) -> Pipeline {
        let mut pipeline = self.pipeline.clone();
        for (leaf, value) in self.leaves.iter().zip(values) {
            let settings = pipeline.stage_mut(leaf.at).and_then(|stage| stage.action.settings_mut());
            let place = settings.and_then(|settings| settings.pointer_mut(&leaf.pointer));
            if let Some(place) = place.filter(|_| !value.is_array() && !value.is_object()) {
                *place = value;
            }
        }
        pipeline
    }

    /// Everything that is wrong with what the stages of `pipeline` are told; it is this one, or this one filled.
    pub(crate) fn check(&self, pipeline: &Pipeline) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (at, stage) in pipeline.all() {
            let found = stage::read(&stage.action).err().unwrap_or_default();
            problems.extend(found.iter().map(|message| self.settings_problem(at, stage.action.kind(), message)));
        }
        problems.extend(references::problems(self, pipeline));
        problems
    }

    /// What is wrong with a template of this file, in terms of the file; other problems stay as they are.
    pub(crate) fn explain(&self, problem: Problem) -> Problem {
        let Some(leaf) = self.leaves.iter().find(|leaf| leaf.name == problem.file) else {
            return problem;
        };
        let whole = self.at(leaf.at, &leaf.field, format!("{}: {}", leaf.field, problem.message));
        let found = self.find_in(&whole, &leaf.source, &problem);
        let (line, column) = found.map_or((whole.line, whole.column), |(line, column)| (Some(line), Some(column)));
        Problem {
            line,
            column,
            length: problem.length.filter(|_| found.is_some()),
            hint: problem.hint,
            ..whole
        }
        .with_excerpt_of(&self.text)
    }

    /// `message` begins with the field below the kind that it is about, as [`stage::read`] writes it, or is about all of them.
    fn settings_problem(&self, at: At, kind: &str, message: &str) -> Problem {
        let field = message.split_once(": ").map(|(field, _)| field);
        let field = field.filter(|field| !field.contains(' ') || field.contains("[\""));
        let below = |text: &str| match text.starts_with('[') {
            true => format!("{kind}{text}"),
            false => format!("{kind}.{text}"),
        };
        match field {
            Some(field) => self.at(at, &below(field), below(message)),
            None => self.at(at, kind, format!("{kind}: {message}")),
        }
    }

    /// A problem with a field of a stage, or with what is around it where the field is not there.
    pub(super) fn at(&self, at: At, field: &str, message: String) -> Problem {
        let section = at.section.word();
        let index = at.index;
        at_field(
            Problem::at_line(FILE, self.root, message),
            &format!("{section}[{index}].{field}"),
            &self.text,
        )
    }

    /// Where in the file a place of a template is: its line stands there as it is, unless YAML knows another way to write it.
    fn find_in(&self, whole: &Problem, source: &str, problem: &Problem) -> Option<(usize, usize)> {
        let (line, column) = (problem.line?, problem.column?);
        let wanted = source.lines().nth(line.checked_sub(1)?)?;
        let from = whole.line?.checked_sub(1)?;
        let skipped = whole.column?.checked_sub(1)?;
        self.text.lines().enumerate().skip(from).find_map(|(number, text)| {
            let begin = if number == from { text.char_indices().nth(skipped)?.0 } else { 0 };
            let found = begin + text.get(begin..)?.find(wanted)?;
            Some((number + 1, text[..found].chars().count() + column))
        })
    }
}

// === impl Pipeline ===

impl Pipeline {
    /// Every stage with its place in the file.
    pub(super) fn all(&self) -> impl Iterator<Item = (At, &Stage)> {
        let of = |section, stages: &'_ [Stage]| {
            let indices = 0..stages.len();
            indices.map(move |index| At { section, index })
        };
        let stages = of(Section::Stages, &self.stages).zip(&self.stages);
        stages.chain(of(Section::Teardown, &self.teardown).zip(&self.teardown))
    }

    fn stage_mut(&mut self, at: At) -> Option<&mut Stage> {
        match at.section {
            Section::Stages => self.stages.get_mut(at.index),
            Section::Teardown => self.teardown.get_mut(at.index),
        }
    }
}

impl Section {
    /// What the list is called in the file.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Stages => "stages",
            Self::Teardown => "teardown",
        }
    }
}

// === leaves ===

/// Whether the name of a template says that it is a text of `pipeline.yaml`.
pub(crate) fn is_leaf(name: &str) -> bool {
    name.starts_with(LEAF)
}

fn leaves_of(at: At, stage: &Stage) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    let kind = stage.action.kind();
    if let Some(settings) = stage.action.settings() {
        stage::texts(kind, settings, &mut |source, pointer, field| {
            if stage::is_template(source) && !stage::is_fixed(kind, pointer) {
                leaves.push(Leaf {
                    name: format!("{LEAF}{}[{}].{field}", at.section.word(), at.index),
                    source: source.to_owned(),
                    at,
                    pointer: pointer.to_owned(),
                    field: field.to_owned(),
                });
            }
        });
    }
    leaves
}

// === impl Action ===

impl Action {
    /// What the stage is told, as it is written. The globs of `apply` are no settings.
    pub fn settings(&self) -> Option<&Value> {
        match self {
            Self::Apply(_) => None,
            Self::Job(settings)
            | Self::Steps(settings)
            | Self::Check(settings)
            | Self::Approve(settings)
            | Self::Webhook(settings)
            | Self::Resource(settings)
            | Self::Wait(settings) => Some(settings),
        }
    }

    pub(in crate::domain) fn settings_mut(&mut self) -> Option<&mut Value> {
        match self {
            Self::Apply(_) => None,
            Self::Job(settings)
            | Self::Steps(settings)
            | Self::Check(settings)
            | Self::Approve(settings)
            | Self::Webhook(settings)
            | Self::Resource(settings)
            | Self::Wait(settings) => Some(settings),
        }
    }
}
