//! What comments on pull requests leave behind: that they were heard, and what they ask of an Environment.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::Error;
use super::connection::within;
use super::publish::is_conflict;
use crate::api::convert::forks::{self, ForkApproval};
use crate::api::environment::requests::RequestAction;
use crate::api::{Environment, Project, keys};
use crate::domain::comment::FRESH;

/// Every write in between costs a try: mostly those of a status.
const TRIES: usize = 8;

/// So many comments of one hour are told apart. Further ones have to wait.
const MOST: usize = 200;

/// Records on the Project that a comment is acted on from here on. Whether it is the first to say so: then whoever asked acts, and nobody
/// else ever does.
///
/// The record comes before the act. A crash in between costs the comment; the other way round, a repeated delivery could act again.
///
/// # Errors
/// It could not be recorded, and nothing may be done.
pub async fn take(client: Client, project: &Project, id: u64, now: Timestamp) -> Result<bool, Error> {
    let api: Api<Project> = Api::namespaced(client, &project.namespace().unwrap_or_default());
    let name = project.name_any();
    let failed = |source| Error::Write {
        what: format!("annotation {} of Project {name}", keys::COMMENTS_ANNOTATION),
        source,
    };
    for _ in 0..TRIES {
        let fresh = within(|| format!("read Project {name}"), api.get_opt(&name), failed).await?;
        let Some(fresh) = fresh.filter(|fresh| fresh.uid() == project.uid()) else {
            return Ok(false);
        };
        let mut known = recorded(&fresh);
        known.retain(|_, at| now.duration_since(*at) <= SignedDuration::try_from(FRESH).unwrap_or(SignedDuration::MAX) * 2);
        if known.contains_key(&id) || known.len() >= MOST {
            return Ok(false);
        }
        known.insert(id, now);
        let words: Vec<_> = known.iter().map(|(id, at)| format!("{id}@{}", at.as_second())).collect();
        let body = json!({ "metadata": {
            "uid": fresh.uid(),
            "resourceVersion": fresh.resource_version(),
            "annotations": { (keys::COMMENTS_ANNOTATION): words.join(" ") },
        }});
        let (params, patch) = (PatchParams::default(), Patch::Merge(&body));
        let written = within(
            || format!("write Project {name}"),
            api.patch_metadata(&name, &params, &patch),
            failed,
        );
        match written.await {
            Ok(_) => return Ok(true),
            Err(error) if is_conflict(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// What cannot be read was written by nobody who acts on comments.
fn recorded(project: &Project) -> BTreeMap<u64, Timestamp> {
    let text = project
        .annotations()
        .get(keys::COMMENTS_ANNOTATION)
        .map(String::as_str)
        .unwrap_or_default();
    let read = |word: &str| {
        let (id, at) = word.split_once('@')?;
        Some((id.parse().ok()?, Timestamp::from_second(at.parse().ok()?).ok()?))
    };
    text.split_whitespace().filter_map(read).collect()
}

/// Records that a commit of a pull request from a fork is approved. The Project as it is then; `None` if it is another or gone.
///
/// # Errors
/// It could not be recorded: nothing is approved.
pub async fn approve_fork(client: Client, project: &Project, approval: &ForkApproval) -> Result<Option<Project>, Error> {
    let api: Api<Project> = Api::namespaced(client, &project.namespace().unwrap_or_default());
    let name = project.name_any();
    let failed = |source| Error::Write {
        what: format!("annotation {} of Project {name}", keys::APPROVED_FORKS_ANNOTATION),
        source,
    };
    let mut tries = TRIES;
    loop {
        tries -= 1;
        let fresh = within(|| format!("read Project {name}"), api.get_opt(&name), failed).await?;
        let Some(fresh) = fresh.filter(|fresh| fresh.uid() == project.uid()) else {
            return Ok(None);
        };
        let body = json!({ "metadata": {
            "uid": fresh.uid(),
            "resourceVersion": fresh.resource_version(),
            "annotations": { (keys::APPROVED_FORKS_ANNOTATION): forks::with(&fresh, approval.clone()) },
        }});
        let (params, patch) = (PatchParams::default(), Patch::Merge(&body));
        match within(|| format!("write Project {name}"), api.patch(&name, &params, &patch), failed).await {
            Err(error) if is_conflict(&error) && tries > 0 => {}
            other => return other.map(Some),
        }
    }
}

/// Asks for another try of a run, from a stage on or of what failed, in the name of whoever wrote the comment.
///
/// # Errors
/// The write failed, or the Environment has changed since it was read.
pub async fn retry(client: Client, environment: &Environment, comment: u64, by: &str, from: Option<&str>) -> Result<(), Error> {
    // Whoever writes a request writes all of it.
    let request = json!({
        "id": format!("comment-{comment}"), "action": RequestAction::Retry, "stage": from, "by": by, "at": Time(Timestamp::now()),
        "run": null, "revision": null, "objects": null,
    });
    change(client, environment, json!({ "spec": { "request": request } })).await
}

/// Lets the rules of the Project leave an Environment alone, or no more.
///
/// # Errors
/// As [`retry`].
pub async fn pin(client: Client, environment: &Environment, pinned: bool) -> Result<(), Error> {
    let value = if pinned { json!(true) } else { Value::Null };
    change(client, environment, json!({ "spec": { "pinned": value } })).await
}

/// Lets an Environment count as used at `until`.
///
/// # Errors
/// As [`retry`].
pub async fn extend(client: Client, environment: &Environment, until: Timestamp) -> Result<(), Error> {
    let annotations = json!({ (keys::EXTENDED_ANNOTATION): until.to_string() });
    change(client, environment, json!({ "metadata": { "annotations": annotations } })).await
}

async fn change(client: Client, environment: &Environment, mut body: Value) -> Result<(), Error> {
    let api: Api<Environment> = Api::namespaced(client, &environment.namespace().unwrap_or_default());
    let name = environment.name_any();
    body["metadata"]["uid"] = json!(environment.uid());
    body["metadata"]["resourceVersion"] = json!(environment.resource_version());
    let (params, patch) = (PatchParams::default(), Patch::Merge(&body));
    let written = within(
        || format!("write Environment {name}"),
        api.patch(&name, &params, &patch),
        |source| Error::Write {
            what: format!("Environment {name}"),
            source,
        },
    );
    written.await.map(drop)
}
