//! What stages say of one another's outputs: only of stages that come before them, and only what those declare.

use std::collections::BTreeSet;

use super::file::{PipelineFile, Section};
use super::graph::before;
use super::{Pipeline, Stage};
use crate::domain::bundle::Problem;
use crate::domain::manifest::{Manifest, Refusal};
use crate::domain::stage::outputs::{self, MAX_OUTPUTS, Reference, manifests};
use crate::domain::stage::texts;

impl Pipeline {
    /// Everything that is wrong with the outputs that manifests name.
    pub fn check_outputs(&self, manifests: &[Manifest]) -> Vec<Refusal> {
        manifests.iter().flat_map(|manifest| self.check_manifest(manifest)).collect()
    }

    fn check_manifest(&self, manifest: &Manifest) -> Vec<Refusal> {
        let refusal = |field: &str, reason: String| Refusal {
            source_place: manifest.source.clone(),
            object: manifest.key.to_string(),
            field: field.to_owned(),
            reason,
        };
        let stage = self.stage_of(&manifest.source.file);
        let mut refusals = Vec::new();
        for (field, text, is_open) in manifests::uses(manifest) {
            if !is_open {
                let reason = format!(
                    "outputs of stages may only stand in {}: move it, or render the value",
                    manifests::PLACES
                );
                refusals.push(refusal(&field, reason));
                continue;
            }
            for reference in outputs::references(&text) {
                let reason = match stage {
                    Some(stage) => check(&self.stages, stage, reference).err(),
                    None => Some("no stage of pipeline.yaml applies this template, so there are no outputs for it".to_owned()),
                };
                refusals.extend(reason.map(|reason| refusal(&field, reason)));
            }
        }
        refusals
    }
}

/// Everything that is wrong with the outputs that stages declare and name.
pub(super) fn problems(file: &PipelineFile, pipeline: &Pipeline) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut declared = 0;
    for (at, stage) in pipeline.all() {
        let stages = match at.section {
            Section::Stages => &pipeline.stages,
            Section::Teardown => &pipeline.teardown,
        };
        let Some(settings) = stage.action.settings() else { continue };
        declared += outputs::declared(settings).len();
        texts(stage.action.kind(), settings, &mut |text, _, field| {
            for reference in outputs::references(text) {
                if let Err(reason) = check(stages, stage, reference) {
                    problems.push(file.at(at, field, format!("{field}: {reason}")));
                }
            }
        });
    }
    if declared > MAX_OUTPUTS {
        let message = format!("the stages have {declared} outputs, at most {MAX_OUTPUTS} are allowed: hand on fewer");
        problems.push(Problem::in_file(super::read::FILE, message));
    }
    problems
}

fn check(stages: &[Stage], stage: &Stage, reference: Reference<'_>) -> Result<(), String> {
    let Reference { stage: named, name } = reference;
    if named.is_empty() {
        return Err(format!(
            "\"$(outputs.{name}…\" is no output: write $(outputs.STAGE.NAME), or $$(outputs.…) for the text itself"
        ));
    }
    let earlier: BTreeSet<&str> = before(stages, &stage.name);
    let Some(source) = stages.iter().find(|other| other.name == named) else {
        return Err(format!("$(outputs.{named}.{name}): there is no stage {named:?} here"));
    };
    if !earlier.contains(named) {
        return Err(format!(
            "$(outputs.{named}.{name}): the stage {named:?} does not come before {:?}: add it to its needs",
            stage.name
        ));
    }
    let declared = source.action.settings().map(outputs::declared).unwrap_or_default();
    if declared.contains(&name) {
        return Ok(());
    }
    Err(format!(
        "$(outputs.{named}.{name}): the stage {named:?} does not declare it: add {name} to its outputs"
    ))
}
