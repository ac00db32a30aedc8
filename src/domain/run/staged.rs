//! The objects of an environment, stage by stage: what a run has reached of them, and how far an apply stage has come.

use std::collections::{BTreeMap, BTreeSet};

use super::{Progress, Run, RunState, StageState};
use crate::domain::bundle::pipeline::{Action, Condition, OnFailure, Pipeline, Stage};
use crate::domain::inventory::Inventory;
use crate::domain::manifest::{Manifest, ObjectKey, digest_of_text};
use crate::domain::outcome::{self, FailureClass, Outcome};
use crate::domain::plan::Plan;
use crate::domain::readiness::Readiness;
use crate::domain::stage::outputs::{self, Outputs};
use crate::domain::status::grants_rights;

/// The stage of a bundle without a pipeline: it applies everything.
pub const DEPLOY_STAGE: &str = "deploy";

/// What was rendered for a run: stages, and the objects that each applies.
#[derive(Debug, Clone, PartialEq)]
pub struct Staged {
    /// The stages.
    pub stages: Vec<Stage>,
    /// The objects of the stages that have some, by the name of the stage.
    pub objects: BTreeMap<String, Vec<Manifest>>,
    /// The stages before a removal.
    pub teardown: Vec<Stage>,
}

/// What a run wants of the cluster at the point that it has come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Reached {
    /// The objects of the stages that it has reached.
    pub objects: Vec<Manifest>,
    /// What stays as it is, whatever it is: later stages, and what is removed only once the run has succeeded.
    pub held: BTreeSet<ObjectKey>,
    /// Why a stage cannot be applied, by its name: an output that it uses is not known.
    pub problems: BTreeMap<String, String>,
}

impl Staged {
    /// Distributes objects over the stages of a pipeline by the files that they were written in. What no stage names, such as the objects of
    /// a chart, comes with the first stage that applies anything.
    pub fn new(pipeline: Option<&Pipeline>, objects: Vec<Manifest>) -> Self {
        let stages = match pipeline {
            Some(pipeline) if !pipeline.stages.is_empty() => pipeline.stages.clone(),
            _ => vec![deploy_stage()],
        };
        let first = stages.iter().find(|stage| matches!(stage.action, Action::Apply(_)));
        let fallback = first.map_or(DEPLOY_STAGE, |stage| stage.name.as_str()).to_owned();
        let mut by_stage: BTreeMap<String, Vec<Manifest>> = BTreeMap::new();
        for manifest in objects {
            let stage = stages.iter().find(|stage| stage.applies(&manifest.source.file));
            let name = stage.map_or(&fallback, |stage| &stage.name);
            by_stage.entry(name.clone()).or_default().push(manifest);
        }
        Self {
            stages,
            objects: by_stage,
            teardown: pipeline.map(|pipeline| pipeline.teardown.clone()).unwrap_or_default(),
        }
    }

    /// A digest of everything that makes a run another one. Where a stage is written does not count, nor what Secrets hold, because it is
    /// stored where many can read it.
    pub fn digest(&self) -> String {
        let mut text = String::new();
        for stage in self.stages.iter().chain(&self.teardown) {
            let stage = Stage { line: 0, ..stage.clone() };
            text.push_str(&serde_json::to_string(&stage).unwrap_or_default());
            for manifest in self.objects.get(&stage.name).into_iter().flatten() {
                text.push_str(&format!("\n{} {}", manifest.key, manifest.recorded_digest()));
            }
            text.push('\n');
        }
        digest_of_text(&text)
    }

    /// Puts what an earlier run handed on into the objects that use it. One that uses more than is known is left as it is written.
    pub fn fill(&mut self, outputs: &Outputs) {
        for manifest in self.objects.values_mut().flatten() {
            if let Ok(filled) = outputs::manifests::substitute(manifest, outputs) {
                *manifest = filled;
            }
        }
    }

    /// All objects.
    pub fn all(&self) -> impl Iterator<Item = &Manifest> {
        self.objects.values().flatten()
    }

    /// What `run` wants at the point that it has come to. `good` are the objects of the last good state, for the stages that have failed under
    /// `rollback`.
    pub fn reached(&self, run: &Run, inventory: &Inventory, good: Option<&Self>) -> Reached {
        let mut objects = Vec::new();
        let mut untouched = BTreeSet::new();
        let mut problems = BTreeMap::new();
        let outputs = run.outputs();
        let rolled_back = run.state == RunState::RolledBack;
        let given_up = self.given_up(run);
        for stage in &self.stages {
            let own = self.objects.get(&stage.name).map(Vec::as_slice).unwrap_or_default();
            let state = run.stage(&stage.name).map_or(StageState::Waiting, |stage| stage.state);
            match state {
                _ if given_up.contains(stage.name.as_str()) => {}
                StageState::Running | StageState::Succeeded | StageState::Failed => match filled(own, &outputs) {
                    Ok(filled) => objects.extend(filled),
                    Err(problem) => {
                        untouched.extend(own.iter().map(|manifest| manifest.key.clone()));
                        problems.insert(stage.name.clone(), problem);
                    }
                },
                StageState::Waiting | StageState::Skipped => untouched.extend(own.iter().map(|manifest| manifest.key.clone())),
            }
        }
        if rolled_back {
            let taken: BTreeSet<_> = objects.iter().map(|manifest| manifest.key.clone()).collect();
            let put_back = good.into_iter().flat_map(Self::all);
            for manifest in put_back.filter(|manifest| !taken.contains(&manifest.key)) {
                // What the jobs of that run had handed on is not known: such an object stays as it is.
                match outputs::is_used_in(&manifest.body) {
                    true => drop(untouched.insert(manifest.key.clone())),
                    false => objects.push(manifest.clone()),
                }
            }
        }
        let wanted: BTreeSet<_> = objects.iter().map(|manifest| &manifest.key).collect();
        let prunes = match run.state {
            RunState::Succeeded => true,
            RunState::RolledBack => good.is_some(),
            RunState::Running | RunState::Failed | RunState::Superseded => false,
        };
        let held = match prunes {
            true => untouched,
            false => inventory.iter().map(|(key, _)| key.clone()).chain(untouched).collect(),
        };
        let held = held.into_iter().filter(|key| !wanted.contains(key)).collect();
        Reached { objects, held, problems }
    }
}

/// Objects with the outputs of earlier stages in their places.
fn filled(manifests: &[Manifest], outputs: &Outputs) -> Result<Vec<Manifest>, String> {
    let fill = |manifest: &Manifest| {
        let filled = outputs::manifests::substitute(manifest, outputs);
        filled.map_err(|problems| format!("{}: {}", manifest.key, problems.join("; ")))
    };
    manifests.iter().map(fill).collect()
}

impl Staged {
    /// The stages whose objects are given up for those of the last good state: each that failed under `rollback`, and where that has no
    /// objects of its own, such as a check, those that it needs.
    fn given_up(&self, run: &Run) -> BTreeSet<&str> {
        let mut given_up = BTreeSet::new();
        if run.state != RunState::RolledBack {
            return given_up;
        }
        let has_failed = |stage: &&Stage| {
            let state = run.stage(&stage.name).map(|own| own.state);
            stage.on_failure == OnFailure::Rollback && state == Some(StageState::Failed)
        };
        for failed in self.stages.iter().filter(has_failed) {
            given_up.insert(failed.name.as_str());
            if !self.objects.contains_key(&failed.name) {
                given_up.extend(needed(&self.stages, failed));
            }
        }
        given_up
    }
}

/// Everything that a stage needs, and what that needs.
pub(crate) fn needed<'a>(stages: &'a [Stage], stage: &'a Stage) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Stage> = vec![stage];
    while let Some(at) = open.pop() {
        for need in &at.needs {
            let next = stages.iter().find(|stage| stage.name == *need);
            open.extend(next.filter(|next| found.insert(next.name.as_str())));
        }
    }
    found
}

fn deploy_stage() -> Stage {
    Stage {
        name: DEPLOY_STAGE.to_owned(),
        line: 1,
        action: Action::Apply(Vec::new()),
        needs: Vec::new(),
        when: Condition::default(),
        timeout: None,
        retries: 0,
        on_failure: OnFailure::Stop,
    }
}

/// How far an apply stage has come, after a plan over its objects was carried out.
pub fn apply_progress(objects: &[Manifest], plan: &Plan, outcomes: &[Outcome]) -> Progress {
    let keys: BTreeSet<&ObjectKey> = objects.iter().map(|manifest| &manifest.key).collect();
    if let Some(obstacle) = plan.obstacles.iter().find(|obstacle| keys.contains(&obstacle.key)) {
        return failed(obstacle.to_string());
    }
    if let Some(failure) = outcome::failures(outcomes).find(|failure| keys.contains(&failure.key)) {
        let message = format!("{}: {}", failure.key, failure.message);
        return match failure.class {
            FailureClass::Transient | FailureClass::NamespaceEnding => pending(message),
            FailureClass::Forbidden if grants_rights(outcomes) => pending("waiting for rights to take effect".to_owned()),
            _ => failed(message),
        };
    }
    let waits = plan.waiting.iter().filter(|waiting| keys.contains(&waiting.key));
    let waits = waits.map(|waiting| (waiting.failed, waiting.to_string()));
    let unready = outcomes.iter().filter_map(|outcome| unready(outcome, &keys));
    let mut waits: Vec<(bool, String)> = waits.chain(unready).collect();
    waits.sort_by_key(|(failed, _)| !failed);
    match waits.first() {
        Some((true, message)) => return failed(message.clone()),
        Some((false, message)) => return pending(message.clone()),
        None => {}
    }
    // An obstacle anywhere keeps everything from being written.
    if !plan.obstacles.is_empty() || unwritten(&keys, plan, outcomes) {
        return pending("applying objects".to_owned());
    }
    Progress::Done {
        message: None,
        outputs: BTreeMap::new(),
    }
}

fn unready(outcome: &Outcome, keys: &BTreeSet<&ObjectKey>) -> Option<(bool, String)> {
    let Outcome::Applied { live, .. } = outcome else { return None };
    match &live.readiness {
        _ if !keys.contains(&live.key) => None,
        Readiness::Ready => None,
        Readiness::Progressing { reason } => Some((false, format!("{} {reason}", live.key))),
        Readiness::Failed { reason } => Some((true, format!("{} {reason}", live.key))),
    }
}

/// Whether the plan writes any of these objects and no answer says that it was applied.
fn unwritten(keys: &BTreeSet<&ObjectKey>, plan: &Plan, outcomes: &[Outcome]) -> bool {
    let applied: BTreeSet<&ObjectKey> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Applied { live, .. } => Some(&live.key),
            _ => None,
        })
        .collect();
    plan.applies()
        .map(|apply| &apply.manifest.key)
        .any(|key| keys.contains(key) && !applied.contains(key))
}

fn failed(message: String) -> Progress {
    Progress::Failed { message, retry: true }
}

fn pending(message: String) -> Progress {
    Progress::Pending { message, outside: false }
}
