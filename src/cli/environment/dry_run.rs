//! `graftling env delete --dry-run`: what the deletion would do, in order, without doing it.

use std::collections::BTreeMap;
use std::fmt::Write;

use clap::ValueEnum;
use kube::ResourceExt;
use serde::Serialize;

use crate::api::Environment;
use crate::app::access::Access;
use crate::app::plan::removal::{Removal, removal};
use crate::cli::output::{json, print, yaml};
use crate::cli::printable::printable;
use crate::domain::manifest::ObjectKey;
use crate::domain::plan::teardown::{Next, TeardownPlan};
use crate::domain::plan::{Delete, Obstacle, Removal as HowItGoes, Waiting};

/// The forms of the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    #[default]
    Text,
    /// As JSON
    Json,
    /// As YAML
    Yaml,
}

/// Something would keep the environment from its end.
#[derive(Debug, thiserror::Error)]
#[error("the deletion would stop before its end: {blockers} objects block it")]
pub struct Blocked {
    blockers: usize,
}

/// The list. Field names are stable: scripts read them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DryRun {
    environment: String,
    branch: String,
    outcome: Outcome,
    teardown_stages: Vec<String>,
    steps: Vec<Step>,
    with_namespace: WithNamespace,
    retained: Vec<Reason>,
    blockers: Vec<Reason>,
    volumes_kept: Vec<Volume>,
    not_visible: Vec<String>,
}

/// How the deletion would end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Outcome {
    /// Nothing would be left.
    Complete,
    /// What is retained would be left.
    Retained,
    /// It would stop at the first blocker.
    Blocked,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    what: String,
    /// Whether something before it has to be settled first.
    after_blocker: bool,
    delete: Vec<Object>,
    release: Vec<Released>,
    wait: Vec<Waits>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    api_version: String,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Released {
    #[serde(flatten)]
    object: Object,
    other_owners: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Waits {
    #[serde(flatten)]
    object: Object,
    reason: String,
    since: Option<String>,
    finalizers: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WithNamespace {
    guardrails: Vec<Object>,
    descendants: BTreeMap<String, usize>,
    foreign: Vec<Object>,
}

#[derive(Debug, Serialize)]
struct Reason {
    #[serde(flatten)]
    object: Object,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Volume {
    claim: String,
    volume: String,
}

/// Looks, prints, and changes nothing.
pub async fn run(access: &Access, environment: &Environment, form: Form) -> anyhow::Result<()> {
    let dry_run = DryRun::of(environment, &removal(access, environment).await?);
    print(&match form {
        Form::Text => dry_run.text(),
        Form::Json => json(&dry_run)?,
        Form::Yaml => yaml(&dry_run)?,
    })?;
    match dry_run.blockers.len() {
        0 => Ok(()),
        blockers => Err(Blocked { blockers }.into()),
    }
}

impl DryRun {
    fn of(environment: &Environment, removal: &Removal) -> Self {
        let mut after_blocker = false;
        let (mut steps, mut blockers) = (Vec::new(), Vec::new());
        for step in &removal.steps {
            if let Next::Blocked(obstacles) = &step.next {
                after_blocker = true;
                blockers.extend(obstacles.iter().map(blocker));
            }
            steps.extend(Step::of(step, after_blocker));
        }
        let kept = removal.steps.last().map(|last| last.kept.as_slice()).unwrap_or_default();
        let retained: Vec<_> = kept
            .iter()
            .map(|kept| Reason {
                object: object(&kept.key, kept.uid.as_deref()),
                reason: format!("it {}", kept.because.reason()),
            })
            .collect();
        Self {
            environment: environment.name_any(),
            branch: environment.spec.branch.clone(),
            outcome: match (blockers.is_empty(), retained.is_empty()) {
                (false, _) => Outcome::Blocked,
                (true, false) => Outcome::Retained,
                (true, true) => Outcome::Complete,
            },
            teardown_stages: removal.stages.clone(),
            steps,
            with_namespace: WithNamespace {
                guardrails: removal.guardrails.iter().map(|(key, uid)| object(key, Some(uid))).collect(),
                descendants: removal.descendants.clone(),
                foreign: removal.foreign.iter().map(|key| object(key, None)).collect(),
            },
            retained,
            blockers,
            volumes_kept: removal
                .volumes
                .iter()
                .map(|volume| Volume {
                    claim: volume.claim.clone(),
                    volume: volume.name.clone(),
                })
                .collect(),
            not_visible: removal.unseen.clone(),
        }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "Environment {} of branch {}; nothing is changed.\n",
            self.environment,
            printable(&self.branch)
        );
        let stages = self.teardown_stages.iter().map(|stage| printable(stage));
        text += &list("First, while everything exists, the stages", stages);
        let mut settled = false;
        for step in &self.steps {
            if step.after_blocker && !settled {
                settled = true;
                text += &list("Blocked by", self.blockers.iter().map(Reason::line));
                text += "Once that is settled:\n";
            }
            let deletes = step.delete.iter().map(|object| format!("delete {}", object.line()));
            let releases = step.release.iter().map(Released::line);
            text += &list(&step.what, deletes.chain(releases).chain(step.wait.iter().map(Waits::line)));
        }
        if !settled {
            text += &list("Blocked by", self.blockers.iter().map(Reason::line));
        }
        let descendants = self.with_namespace.descendants.iter();
        text += &list("With their owners", descendants.map(|(kind, count)| format!("{count} {kind}")));
        let stays = if self.retained.is_empty() {
            "With the namespace"
        } else {
            "In the namespace"
        };
        let guardrails = self.with_namespace.guardrails.iter().map(Object::line);
        let foreign = self
            .with_namespace
            .foreign
            .iter()
            .map(|object| format!("{} (of others)", object.line()));
        text += &list(stays, guardrails.chain(foreign));
        text += &list("Stays", self.retained.iter().map(Reason::line));
        let volumes = self.volumes_kept.iter();
        text += &list(
            "Volumes that outlive their claims (reclaim policy Retain)",
            volumes.map(|volume| format!("PersistentVolume {} of claim {}", volume.volume, volume.claim)),
        );
        text += &list(
            "Not visible with these rights; supposed to be as recorded",
            self.not_visible.iter().map(|what| printable(what)),
        );
        text
    }
}

impl Step {
    fn of(step: &TeardownPlan, after_blocker: bool) -> Option<Self> {
        let (what, deletes, waiting): (_, &[Delete], &[Waiting]) = match &step.next {
            Next::Drain { tier, deletes, waiting } => (tier.to_string(), deletes, waiting),
            Next::DeleteNamespace(delete) => ("the namespace".to_owned(), std::slice::from_ref(delete), &[]),
            Next::AwaitNamespace(waiting) => ("the namespace".to_owned(), &[], std::slice::from_ref(waiting)),
            _ => return None,
        };
        let released = |delete: &Delete| match delete.removal {
            HowItGoes::Release { others, .. } => Some(Released {
                object: object(&delete.key, Some(&delete.uid)),
                other_owners: others,
            }),
            HowItGoes::Delete | HowItGoes::DeleteUnchanged { .. } => None,
        };
        let is_deleted = |delete: &&Delete| released(delete).is_none();
        Some(Self {
            what,
            after_blocker,
            delete: deletes
                .iter()
                .filter(is_deleted)
                .map(|delete| object(&delete.key, Some(&delete.uid)))
                .collect(),
            release: deletes.iter().filter_map(released).collect(),
            wait: waiting.iter().map(waits).collect(),
        })
    }
}

fn blocker(obstacle: &Obstacle) -> Reason {
    Reason {
        object: object(&obstacle.key, None),
        reason: obstacle.reason.clone(),
    }
}

fn waits(waiting: &Waiting) -> Waits {
    let deletion = waiting.deletion.as_ref();
    Waits {
        object: object(&waiting.key, None),
        reason: waiting.reason.clone(),
        since: deletion.map(|deletion| deletion.since.clone()),
        finalizers: deletion.map(|deletion| deletion.finalizers.clone()).unwrap_or_default(),
    }
}

fn object(key: &ObjectKey, uid: Option<&str>) -> Object {
    Object {
        api_version: match key.group.as_str() {
            "" => key.version.clone(),
            group => format!("{group}/{}", key.version),
        },
        kind: key.kind.clone(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        uid: uid.map(str::to_owned),
    }
}

impl Object {
    fn line(&self) -> String {
        let uid = self.uid.as_ref().map(|uid| format!(" (UID {uid})")).unwrap_or_default();
        let namespace = self
            .namespace
            .as_ref()
            .map(|namespace| format!(" in {namespace}"))
            .unwrap_or_default();
        format!("{} {} {}{namespace}{uid}", self.api_version, self.kind, printable(&self.name))
    }
}

impl Released {
    fn line(&self) -> String {
        format!("release {}: shared with {} others", self.object.line(), self.other_owners)
    }
}

impl Waits {
    fn line(&self) -> String {
        let since = self.since.as_ref().map(|since| format!(" since {since}")).unwrap_or_default();
        let finalizers = match self.finalizers.as_slice() {
            [] => String::new(),
            some => format!("; finalizers: {}", printable(&some.join(", "))),
        };
        format!("wait for {}: it {}{since}{finalizers}", self.object.line(), printable(&self.reason))
    }
}

impl Reason {
    fn line(&self) -> String {
        format!("{}: {}", self.object.line(), printable(&self.reason))
    }
}

fn list(title: &str, lines: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for line in lines {
        if text.is_empty() {
            let _ = writeln!(text, "{title}:");
        }
        let _ = writeln!(text, "  {line}");
    }
    text
}
