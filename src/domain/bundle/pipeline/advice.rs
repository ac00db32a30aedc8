//! Warnings: what a pipeline says that works, but perhaps not as it was meant.

use super::read::FILE;
use super::{Action, OnFailure, Pipeline, Stage};
use crate::domain::bundle::{BundleSummary, Problem};
use crate::domain::run::needed;

impl Pipeline {
    /// What may be meant otherwise. `files` are those of the bundle that objects come from, `summary` is what it says of itself.
    pub fn warnings(&self, files: &[&str], summary: &BundleSummary) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.stages.iter().filter_map(|stage| self.needless_rollback(stage)).collect();
        problems.extend(
            self.stages
                .iter()
                .chain(&self.teardown)
                .filter_map(|stage| never_runs(stage, summary)),
        );
        problems.extend(self.twice(files));
        let fallback = self.stages.iter().find(|stage| matches!(stage.action, Action::Apply(_)));
        let message = match fallback {
            Some(stage) => format!(
                "no stage of pipeline.yaml applies this template, so it comes with the first one, {:?}",
                stage.name
            ),
            None => "no stage of pipeline.yaml applies this template".to_owned(),
        };
        // What a chart gives comes with the first stage unless somebody takes it apart.
        let unapplied = self.unapplied(files.iter().copied().filter(|file| !file.starts_with("chart/")));
        problems.extend(unapplied.into_iter().map(|file| Problem::in_file(file, message.clone())));
        problems.into_iter().map(Problem::as_warning).collect()
    }

    /// Files that more than one stage names: the first has them.
    fn twice(&self, files: &[&str]) -> Vec<Problem> {
        let mut problems = Vec::new();
        for file in files {
            let mut stages = self.stages.iter().filter(|stage| stage.applies(file));
            let Some(first) = stages.next() else { continue };
            problems.extend(stages.map(|second| {
                let message = format!(
                    "stage {:?} names {file}, whose objects come with {:?} already",
                    second.name, first.name
                );
                Problem::at_line(FILE, second.line, message)
            }));
        }
        problems
    }
}

impl Pipeline {
    /// What is put back are the objects of a stage that failed, or of those that it needs.
    fn needless_rollback(&self, stage: &Stage) -> Option<Problem> {
        let applies = |stage: &Stage| matches!(stage.action, Action::Apply(_) | Action::Resource(_));
        let needs = needed(&self.stages, stage);
        let has_objects = applies(stage)
            || self
                .stages
                .iter()
                .any(|other| applies(other) && needs.contains(other.name.as_str()));
        let message = format!(
            "onFailure: rollback of {:?} puts nothing back, because neither it nor a stage that it needs applies any object: it ends the run \
             as stop does",
            stage.name,
        );
        (stage.on_failure == OnFailure::Rollback && !has_objects).then(|| Problem::at_line(FILE, stage.line, message))
    }
}

/// A stage under a value that nothing gives.
fn never_runs(stage: &Stage, summary: &BundleSummary) -> Option<Problem> {
    let path = stage.when.value.as_ref()?;
    let mut parts = path.split('.');
    let first = parts.next().and_then(|part| summary.values.get(part));
    let is_declared = parts.fold(first, |value, part| value?.get(part)).is_some();
    let is_input = summary.inputs.iter().any(|input| input.name == *path);
    let message = format!(
        "stage {:?} never runs where a Project does not set {path:?}, which values.yaml does not have",
        stage.name
    );
    (!is_declared && !is_input).then(|| Problem::at_line(FILE, stage.line, message))
}
