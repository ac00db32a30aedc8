//! The pipeline of a bundle: in which stages its objects come, and what happens between them and before a removal.
//!
//! Read and checked here, whole. The graph is static: what a stage is told (the image of a job, the path of a check) may contain texts
//! that are templates, rendered for each environment; which stages there are and what they need may not. [`crate::domain::stage`] gives
//! the settings of each kind their types.

mod advice;
mod drawing;
mod file;
mod globs;
mod graph;
mod limits;
mod read;
mod references;
#[cfg(test)]
mod tests;
pub mod when;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) use file::is_leaf;
pub(crate) use file::{Leaf, PipelineFile};
pub(super) use read::read;

/// The stages of a bundle. None at all: everything is applied in one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    /// What a deployment does, in the order in which it is written; what runs when follows from [`Stage::needs`].
    pub stages: Vec<Stage>,
    /// What a removal does first, while everything still exists.
    pub teardown: Vec<Stage>,
}

/// One step of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Its name, unique in the pipeline: a DNS label.
    pub name: String,
    /// The line of `pipeline.yaml` where it begins, counted from 1.
    pub line: usize,
    /// What it does.
    pub action: Action,
    /// The stages that must have succeeded before it starts; none: it starts at once.
    pub needs: Vec<String>,
    /// When it runs at all.
    pub when: Condition,
    /// How long one try may take: what is written, or what is usual for the kind.
    pub timeout: Option<Duration>,
    /// How often it is tried again after a failure.
    pub retries: u32,
    /// What follows from its failure.
    pub on_failure: OnFailure,
}

/// What a stage does. Settings are as they are written: a mapping, for `steps` a list, and null where there are none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Applies the objects of some template files.
    Apply(Vec<TemplateGlob>),
    /// Runs a container that must succeed.
    Job(Value),
    /// Runs containers one after the other in one workspace.
    Steps(Value),
    /// Asks whether something answers.
    Check(Value),
    /// Waits for a person.
    Approve(Value),
    /// Calls somebody else's service.
    Webhook(Value),
    /// Creates a custom resource and waits for its condition.
    Resource(Value),
    /// Waits for something outside of the environment.
    Wait(Value),
}

/// A glob over the names of template files, without the folder `templates/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateGlob {
    /// As it is written, for example `database*.yaml`.
    pub pattern: String,
    /// The template files that it matches, by their path inside the bundle; at least one. Of a packed chart inside of a chart, the files
    /// are not known: whether one is meant, [`TemplateGlob::matches`] says.
    pub files: Vec<String>,
}

/// When a stage runs: all that is said must hold. Nothing is said: always.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Condition {
    /// Only in the first deployment of an environment, or only in later ones.
    #[serde(default)]
    pub first_deploy: Option<bool>,
    /// Only for branches that match one of these globs.
    #[serde(default)]
    pub branches: Vec<String>,
    /// Only if a file that matches one of these globs has changed since the revision before.
    #[serde(default)]
    pub changes: Vec<String>,
    /// Only if this value, for example `database.enabled`, is set: not null, false, zero, nor empty. In a rendered pipeline it is there
    /// only where it is not set.
    #[serde(default)]
    pub value: Option<String>,
}

/// What follows from the failure of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFailure {
    /// The run ends; what was applied stays.
    Stop,
    /// The run goes on as if it had succeeded.
    Continue,
    /// What the run applied is put back to the last good state.
    Rollback,
    /// A removal waits for somebody.
    Block,
}

// === impl Action ===

impl Action {
    /// The words for the kinds of stages, as they are written.
    pub const KINDS: [&str; 8] = ["apply", "job", "steps", "check", "approve", "webhook", "resource", "wait"];

    /// The word for the kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Apply(_) => "apply",
            Self::Job(_) => "job",
            Self::Steps(_) => "steps",
            Self::Check(_) => "check",
            Self::Approve(_) => "approve",
            Self::Webhook(_) => "webhook",
            Self::Resource(_) => "resource",
            Self::Wait(_) => "wait",
        }
    }
}
