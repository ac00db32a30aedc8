//! Environment ↔ domain: identity and inventory in, status out.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::activity;
use super::condition::{Claim, conditions};
use super::history;
pub use super::inventory::{entries, inventory, stored_inventory};
use super::run::last_good_revision;
use crate::api::environment::{Environment, EnvironmentSpec, EnvironmentStatus, Fork, NamespaceStatus, Phase, PullRequest};
use crate::api::project::LocalReference;
use crate::domain::git::{self, BranchName, RepositoryId, Revision};
use crate::domain::name::{EnvironmentName, Namespace, ProjectKey};
use crate::domain::roster::{Existing, Wanted};
use crate::domain::run::RunState;
use crate::domain::status::{self, Report};

/// An Environment whose identity could be read.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its name, which is also its namespace's.
    pub name: EnvironmentName,
    /// The UID of the object.
    pub uid: String,
    /// Its Project.
    pub project: ProjectKey,
    /// Its branch.
    pub branch: BranchName,
    /// The repository it was made for.
    pub repository: RepositoryId,
    /// The revision it should show.
    pub revision: Revision,
}

/// Reads the identity.
///
/// # Errors
/// The first field that cannot be read, with the reason. Such an object can only come around the schema.
pub fn identity(environment: &Environment) -> Result<Identity, String> {
    let spec = &environment.spec;
    Ok(Identity {
        name: read("metadata.name", &environment.name_any())?,
        uid: environment.uid().ok_or("metadata.uid is missing")?,
        project: ProjectKey {
            namespace: read::<Namespace>("metadata.namespace", &environment.namespace().unwrap_or_default())?,
            name: read("spec.projectRef.name", &spec.project_ref.name)?,
        },
        branch: BranchName::from_stored(&spec.branch).map_err(|error| format!("spec.branch: {error}"))?,
        repository: read("spec.repositoryId", &spec.repository_id)?,
        revision: read("spec.revision", &spec.revision)?,
    })
}

fn read<T: std::str::FromStr<Err: std::fmt::Display>>(field: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{field}: {error}"))
}

/// The environment as the roster sees it.
///
/// # Errors
/// As [`identity`].
pub fn existing(environment: &Environment) -> Result<Existing, String> {
    let identity = identity(environment)?;
    let pull_request = environment.spec.pull_request.as_ref();
    Ok(Existing {
        pull_request: pull_request.map(|pull| pull_request_to_domain(pull, &identity.branch)),
        name: identity.name,
        uid: identity.uid,
        branch: identity.branch,
        repository: identity.repository,
        revision: environment.spec.revision.clone(),
        grace: environment.spec.grace.as_ref().map(super::grace::grace),
        active: activity::latest(environment, environment.status.as_ref()),
        pinned: environment.spec.pinned,
        deleting: environment.metadata.deletion_timestamp.is_some(),
    })
}

/// A pull request as the Git host told it.
pub fn pull_request_to_domain(pull: &PullRequest, head: &BranchName) -> git::PullRequest {
    git::PullRequest {
        number: u64::try_from(pull.number).unwrap_or_default(),
        head: head.clone(),
        fork: pull.fork.as_ref().and_then(|fork| {
            Some(git::Fork {
                revision: fork.revision.parse().ok()?,
                repository: fork.repository.clone(),
            })
        }),
        base: pull.base.clone(),
        author: pull.author.clone(),
        title: pull.title.clone(),
        labels: pull.labels.clone(),
        draft: pull.draft,
    }
}

/// The spec of a wanted environment: just the fields that the Git host decides.
pub fn spec(wanted: &Wanted, project: &ProjectKey) -> EnvironmentSpec {
    EnvironmentSpec {
        project_ref: LocalReference {
            name: project.name.to_string(),
        },
        branch: wanted.branch.to_string(),
        repository_id: wanted.repository.to_string(),
        revision: wanted.revision.to_string(),
        pull_request: wanted.pull_request.as_ref().map(|pull| PullRequest {
            number: i64::try_from(pull.number).unwrap_or(i64::MAX),
            base: pull.base.clone(),
            author: pull.author.clone(),
            title: pull.title.clone(),
            labels: pull.labels.clone(),
            draft: pull.draft,
            fork: pull.fork.as_ref().map(|fork| Fork {
                revision: fork.revision.to_string(),
                repository: fork.repository.clone(),
            }),
        }),
        values: serde_json::Map::new(),
        suspend: false,
        pinned: false,
        grace: wanted.grace.as_ref().map(super::grace::stored),
        // What people write: left out of an apply, it is neither owned nor taken away.
        request: None,
        approvals: Vec::new(),
    }
}

/// The status after `report`, as a change of `environment`'s present status: equal to it if nothing changed.
pub fn status(environment: &Environment, identity: &Identity, report: &Report, now: &Time) -> EnvironmentStatus {
    let mut status = environment.status.clone().unwrap_or_default();
    let namespace_uid = report
        .inventory
        .iter()
        .find(|(key, _)| key.kind == "Namespace")
        .and_then(|(_, entry)| entry.uid.clone());
    status.namespace = Some(NamespaceStatus {
        name: identity.name.to_string(),
        uid: namespace_uid,
    });
    let phase = phase(report.phase);
    let revision = status.revision.get_or_insert_default();
    revision.wanted = Some(identity.revision.to_string());
    if report.applied {
        revision.applied = match &report.run {
            // Nothing to go back to leaves what is there.
            Some(run) if run.state == RunState::RolledBack => last_good_revision(&status.history).or(revision.applied.take()),
            Some(run) => Some(run.revision.clone()),
            None => revision.wanted.clone(),
        };
    }
    status.phase = Some(phase);
    status.conditions = conditions(&status.conditions, &claims(report), environment.metadata.generation, now);
    status.observed_generation = environment.metadata.generation;
    status.inventory = stored_inventory(&report.inventory);
    status.message = Some(report.message.clone());
    status.drift = Vec::new();
    match &report.run {
        Some(run) => {
            status.run = Some(history::count_changes(super::run::stored(run), environment.status.as_ref(), report));
            status.stages = super::run::stored_stages(&report.stages, run);
        }
        None if !report.stages.is_empty() => status.stages = report.stages.iter().map(super::run::stored_own_stage).collect(),
        None => {}
    }
    history::record(&mut status, phase, identity, report, now);
    status
}

/// The status of an environment that nothing is applied to because somebody suspended it: what it shows stays as it is.
pub fn suspended(environment: &Environment, identity: &Identity, message: &str, now: &Time) -> EnvironmentStatus {
    let mut status = environment.status.clone().unwrap_or_default();
    status.phase.get_or_insert(Phase::Pending);
    status.revision.get_or_insert_default().wanted = Some(identity.revision.to_string());
    let shown = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    let claims = [
        ("Ready", shown.is_some_and(|condition| condition.status == "True")),
        ("Progressing", false),
        ("Stalled", false),
    ];
    let claims = claims.map(|(kind, holds)| Claim {
        kind,
        holds: Some(holds),
        reason: "Suspended",
        message,
    });
    status.conditions = conditions(&status.conditions, &claims, environment.metadata.generation, now);
    status.observed_generation = environment.metadata.generation;
    status.message = Some(message.to_owned());
    status
}

/// The status of an environment whose status or spec cannot be understood: only what is told of it changes.
pub fn not_understood(environment: &Environment, problem: &str, now: &Time) -> EnvironmentStatus {
    let mut status = environment.status.clone().unwrap_or_default();
    let message = format!(
        "this object cannot be understood, so nothing is applied or removed: {problem}; it may come from a newer version of graftling: run \
         that version, or mend the field; if it never deployed anything, delete it"
    );
    let claims = [("Ready", false), ("Progressing", false), ("Stalled", true)].map(|(kind, holds)| Claim {
        kind,
        holds: Some(holds),
        reason: "NotUnderstood",
        message: &message,
    });
    status.conditions = conditions(&status.conditions, &claims, environment.metadata.generation, now);
    status.phase = Some(match environment.metadata.deletion_timestamp {
        Some(_) => Phase::Blocked,
        None => Phase::Failed,
    });
    status.message = Some(message);
    status
}

fn claims(report: &Report) -> [Claim<'_>; 3] {
    let claim = |kind, holds| Claim {
        kind,
        holds: Some(holds),
        reason: report.reason,
        message: &report.message,
    };
    let (ready, progressing, stalled) = match report.phase {
        status::Phase::Ready => (true, false, false),
        status::Phase::Pending | status::Phase::Deploying | status::Phase::Deleting => (false, true, false),
        status::Phase::Failed | status::Phase::Blocked => (false, false, true),
        // It is as it should be, but nobody can use it.
        status::Phase::Resting => (false, false, false),
    };
    [claim("Ready", ready), claim("Progressing", progressing), claim("Stalled", stalled)]
}

/// The phase as it is stored.
pub fn phase(phase: status::Phase) -> Phase {
    match phase {
        status::Phase::Pending => Phase::Pending,
        status::Phase::Deploying => Phase::Deploying,
        status::Phase::Ready => Phase::Ready,
        status::Phase::Failed => Phase::Failed,
        status::Phase::Resting => Phase::Resting,
        status::Phase::Deleting => Phase::Deleting,
        status::Phase::Blocked => Phase::Blocked,
    }
}

/// A stored phase as the domain knows it.
pub fn phase_to_domain(phase: Phase) -> status::Phase {
    match phase {
        Phase::Pending => status::Phase::Pending,
        Phase::Deploying => status::Phase::Deploying,
        Phase::Ready => status::Phase::Ready,
        Phase::Failed => status::Phase::Failed,
        Phase::Resting => status::Phase::Resting,
        Phase::Deleting => status::Phase::Deleting,
        Phase::Blocked => status::Phase::Blocked,
    }
}

#[cfg(test)]
mod tests;
