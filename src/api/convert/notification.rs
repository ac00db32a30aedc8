//! Who is told of environments, and what there is to tell.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::api::environment::EnvironmentStatus;
use crate::api::githost::SecretKeyReference;
use crate::api::project::{Notification, NotificationFormat, NotificationStatus, ProjectSpec};
use crate::api::receipt::{FullReceipt, Past, PastRun};
use crate::api::{Environment, Project, keys};
use crate::domain::notification::{Format, Kind, Receiver, Removed, Target, Template, Told, ToldRun};
use crate::domain::policy::Outbound;
use crate::domain::run::RunState;
use crate::domain::stage::webhook::SecretKey;

/// Every problem of a Project's notifications.
pub(super) fn check(problems: &mut Vec<String>, spec: &ProjectSpec) {
    let outbound = Outbound::new(&spec.policy.webhooks, None).unwrap_or_else(|_| Outbound::nobody());
    for (index, notification) in spec.notifications.iter().enumerate() {
        let field = format!("spec.notifications[{index}]");
        if let Err(problem) = receiver(notification) {
            problems.push(format!("{field}.{problem}"));
        }
        let host = notification.url.as_deref().map(host);
        if let Some(host) = host.filter(|host| !outbound.webhooks.allow(host)) {
            problems.push(format!("{field}.url: the host {host} is not among spec.policy.webhooks"));
        }
    }
}

/// The host of a URL, as globs read it.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// Reads a receiver.
///
/// # Errors
/// What is wrong, beginning with the field.
pub fn receiver(notification: &Notification) -> Result<Receiver, String> {
    let target = match (&notification.url, &notification.url_from) {
        (Some(url), None) if host(url).is_empty() => return Err("url: has no host".to_owned()),
        (Some(url), None) => Target::Url(url.clone()),
        (None, Some(from)) => Target::Secret(key(from)),
        _ => return Err("url: exactly one of url and urlFrom must be set".to_owned()),
    };
    let format = match (notification.format, &notification.template) {
        (NotificationFormat::CloudEvents, None) => Format::CloudEvents,
        (NotificationFormat::Slack, None) => Format::Slack,
        (NotificationFormat::Template, Some(text)) => {
            let template = Template::new(text).map_err(|error| format!("template: {error}"))?;
            Format::Template(Box::new(template))
        }
        (NotificationFormat::Template, None) => return Err("template: is missing".to_owned()),
        (_, Some(_)) => return Err("template: has no meaning without format: Template".to_owned()),
    };
    Ok(Receiver {
        name: notification.name.clone(),
        target,
        secret: notification.secret_ref.as_ref().map(key),
        format,
        kinds: kinds(notification),
    })
}

/// Of what a receiver is told; empty: of everything.
pub fn kinds(notification: &Notification) -> BTreeSet<Kind> {
    let kinds = notification.events.iter().filter_map(|event| {
        let name = serde_json::to_value(event).ok()?;
        name.as_str()?.parse::<Kind>().ok()
    });
    kinds.collect()
}

fn key(reference: &SecretKeyReference) -> SecretKey {
    SecretKey {
        name: reference.name.clone(),
        key: reference.key.clone(),
    }
}

/// The receivers of a Project as they are to be remembered: those that are known keep their number, new ones get the smallest that is
/// free. One that is there as long as the Project is told of everything.
pub fn remembered(project: &Project, now: Timestamp) -> Vec<NotificationStatus> {
    let status = project.status.as_ref();
    let known = status.map(|status| status.notifications.as_slice()).unwrap_or_default();
    let is_new = status.is_none_or(|status| status.observed_generation.is_none());
    let created = project.metadata.creation_timestamp.as_ref().filter(|_| is_new).map(|time| time.0);
    let since = Timestamp::from_second(created.unwrap_or(now).as_second()).unwrap_or(now);
    let wanted = || project.spec.notifications.iter().take(keys::EVENT_AUDIENCES.len());
    let mut remembered: Vec<NotificationStatus> = known.to_vec();
    remembered.retain(|one| wanted().any(|notification| notification.name == one.name));
    for notification in wanted() {
        if remembered.iter().any(|one| one.name == notification.name) {
            continue;
        }
        let is_free = |slot: &u32| remembered.iter().all(|one| one.slot != *slot);
        let slot = (0..).find(is_free).unwrap_or_default();
        remembered.push(NotificationStatus {
            name: notification.name.clone(),
            slot,
            since: Time(since),
        });
    }
    remembered.sort_by_key(|one| one.slot);
    remembered
}

/// The receiver with a number, and since when it is told.
pub fn in_slot(project: &Project, slot: u32) -> Option<(&Notification, Timestamp)> {
    let known = project.status.as_ref()?.notifications.iter().find(|one| one.slot == slot)?;
    let notification = project.spec.notifications.iter().find(|one| one.name == known.name)?;
    Some((notification, known.since.0))
}

/// An environment, as far as it is told of.
pub fn told(environment: &Environment, project: &Project) -> Told {
    let past = past(environment);
    Told {
        namespace: environment.namespace().unwrap_or_default(),
        project: project.name_any(),
        name: environment.name_any(),
        uid: environment.uid().unwrap_or_default(),
        branch: environment.spec.branch.clone(),
        repository: project.spec.repository.clone(),
        created: past.created.as_ref().map(|time| time.0),
        runs: runs(&past, environment.status.as_ref()),
        url: past.url,
        removed: None,
    }
}

/// An environment that is gone, by its receipt and what that was given along.
pub fn told_removed(receipt: &FullReceipt, past: &Past, project: &Project) -> Told {
    Told {
        namespace: project.namespace().unwrap_or_default(),
        project: project.name_any(),
        name: receipt.environment.clone(),
        uid: receipt.uid.clone(),
        branch: receipt.branch.clone(),
        repository: project.spec.repository.clone(),
        url: past.url.clone(),
        created: past.created.as_ref().map(|time| time.0),
        runs: runs(past, None),
        removed: Some(Removed {
            at: receipt.completed_at.0,
            revision: receipt.revision.clone(),
            because: receipt.because.clone(),
        }),
    }
}

/// What has to outlive an environment so that its whole life can be told.
pub fn past(environment: &Environment) -> Past {
    let status = environment.status.as_ref();
    let mut runs = BTreeMap::new();
    for entry in status.map(|status| status.history.as_slice()).unwrap_or_default() {
        if let (Some(number), Some(started)) = (entry.run, &entry.started) {
            let run = PastRun {
                number,
                revision: entry.revision.clone(),
                started: started.clone(),
                ended: Some(entry.at.clone()),
                state: state_of(&entry.result).to_owned(),
                removal: false,
            };
            runs.insert(number, run);
        }
    }
    if let Some(run) = status.and_then(present) {
        runs.insert(run.number, run);
    }
    Past {
        created: environment.metadata.creation_timestamp.clone(),
        url: status.and_then(|status| status.url.clone()),
        runs: runs.into_values().collect(),
    }
}

/// The run that the status tells of; not one before a removal that has nothing to do.
fn present(status: &EnvironmentStatus) -> Option<PastRun> {
    let run = status.run.as_ref()?;
    let is_removal = super::run::run(Some(status)).ok().flatten().is_some_and(|run| run.is_removal());
    let past = PastRun {
        number: run.number,
        revision: run.revision.clone(),
        started: run.started.clone(),
        ended: run.ended.clone(),
        state: run.state.clone(),
        removal: is_removal,
    };
    (!is_removal || !status.stages.is_empty()).then_some(past)
}

/// A state by the word of the history.
fn state_of(result: &str) -> &str {
    match result {
        "Ready" => RunState::Succeeded.name(),
        other => other,
    }
}

fn runs(past: &Past, status: Option<&EnvironmentStatus>) -> Vec<ToldRun> {
    let told = past.runs.iter().map(|run| {
        let state = RunState::ALL.into_iter().find(|state| state.name() == run.state);
        let is_present = status
            .and_then(|status| status.run.as_ref())
            .is_some_and(|now| now.number == run.number);
        ToldRun {
            number: run.number,
            revision: run.revision.clone(),
            started: run.started.0,
            removal: run.removal,
            ended: run
                .ended
                .as_ref()
                .map(|time| time.0)
                .zip(state.filter(|state| *state != RunState::Running)),
            message: status.filter(|_| is_present).and_then(|status| status.message.clone()),
        }
    });
    told.collect()
}

#[cfg(test)]
mod tests;
