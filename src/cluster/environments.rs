//! Environment objects: created, refreshed and retired as the roster says.

use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;

use super::Error;
use super::connection::within;
use crate::api::convert;
use crate::api::{Environment, Project, keys};
use crate::domain::name::{EnvironmentName, ProjectKey};
use crate::domain::removal::Reason;
use crate::domain::roster::Wanted;

/// What an Environment must be for a write to happen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Precondition<'a> {
    /// Its UID; `None` if it may be created.
    pub uid: Option<&'a str>,
    /// Its resourceVersion, where nobody may have changed it meanwhile.
    pub version: Option<&'a str>,
}

/// Creates or refreshes an Environment by server-side apply of just the fields that the Git host decides.
///
/// The precondition fences a refresh: an Environment that ended in the meantime is not brought back.
///
/// # Errors
/// The write failed. A refresh of an Environment that ended, or changed against the precondition, fails with 409.
pub async fn apply(client: Client, project: &ProjectKey, wanted: &Wanted, precondition: Precondition<'_>) -> Result<Environment, Error> {
    let api: Api<Environment> = Api::namespaced(client, project.namespace.as_str());
    let spec = convert::environment::spec(wanted, project);
    let mut metadata = json!({
        "name": wanted.name.as_str(),
        "namespace": project.namespace.as_str(),
        "finalizers": [keys::FINALIZER],
        "labels": {
            "app.kubernetes.io/managed-by": "graftling",
            (keys::PROJECT_LABEL): project.name.as_str(),
        },
        "annotations": { (keys::BRANCH_ANNOTATION): wanted.branch.as_str() },
    });
    if let Some(uid) = precondition.uid {
        metadata["uid"] = json!(uid);
    }
    if let Some(version) = precondition.version {
        metadata["resourceVersion"] = json!(version);
    }
    let body = json!({
        "apiVersion": Environment::api_version(&()),
        "kind": Environment::kind(&()),
        "metadata": metadata,
        "spec": spec,
    });
    let params = PatchParams::apply(keys::FIELD_MANAGER).force();
    within(
        || format!("write Environment {}", wanted.name),
        api.patch(wanted.name.as_str(), &params, &Patch::Apply(&body)),
        |source| Error::Write {
            what: format!("Environment {}", wanted.name),
            source,
        },
    )
    .await
}

/// Takes the mark of a rest off an Environment, whoever wrote it.
///
/// # Errors
/// The write failed, or the Environment has changed since it was read.
pub async fn unmark(client: Client, environment: &Environment) -> Result<(), Error> {
    let api: Api<Environment> = Api::namespaced(client, &environment.namespace().unwrap_or_default());
    let name = environment.name_any();
    let body = json!({
        "metadata": { "uid": environment.uid(), "resourceVersion": environment.resource_version() },
        "spec": { "grace": null },
    });
    let (params, patch) = (PatchParams::default(), Patch::Merge(&body));
    let patched = within(
        || format!("write Environment {name}"),
        api.patch(&name, &params, &patch),
        |source| Error::Write {
            what: format!("Environment {name}"),
            source,
        },
    );
    patched.await.map(drop)
}

/// What came of a wish to retire an Environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retired {
    /// It is marked; its finalizer keeps it until the teardown is proven complete.
    Deleted,
    /// Somebody changed or removed it after it was read: nothing was deleted, and whoever decided has to look again.
    Overtaken,
}

/// Starts the teardown of an Environment by deleting the object: its finalizer keeps it until the teardown is proven complete.
///
/// The reason is recorded on it before. Both requests carry the UID and the resourceVersion: an Environment that was refreshed after
/// `environment` was read is not deleted.
///
/// # Errors
/// A request failed; nothing was deleted.
pub async fn retire(client: Client, environment: &Environment, reason: &Reason, now: Timestamp) -> Result<Retired, Error> {
    let api: Api<Environment> = Api::namespaced(client, &environment.namespace().unwrap_or_default());
    let name = environment.name_any();
    let write = |source| Error::Write {
        what: format!("Environment {name}"),
        source,
    };
    let deleted = async {
        let recorded = within(
            || format!("record why Environment {name} goes"),
            record_reason(&api, environment, reason, now),
            write,
        )
        .await?;
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: recorded.uid(),
                resource_version: recorded.resource_version(),
            }),
            ..DeleteParams::default()
        };
        within(|| format!("retire Environment {name}"), api.delete(&name, &params), write).await
    };
    match deleted.await {
        Err(Error::Write {
            source: kube::Error::Api(status),
            ..
        }) if matches!(status.code, 404 | 409) => Ok(Retired::Overtaken),
        other => other.map(|_| Retired::Deleted),
    }
}

/// Records on the Environment why it is about to be deleted, unless it is another one by now. If `environment` has a resourceVersion, it
/// must also be as it was read.
///
/// # Errors
/// The write failed.
pub async fn record_reason(
    api: &Api<Environment>,
    environment: &Environment,
    reason: &Reason,
    now: Timestamp,
) -> kube::Result<Environment> {
    let mut metadata = json!({
        "name": environment.name_any(),
        "uid": environment.uid(),
        "annotations": { (keys::REMOVAL_ANNOTATION): convert::removal::record(reason, now) },
    });
    if let Some(version) = environment.resource_version() {
        metadata["resourceVersion"] = json!(version);
    }
    let body = json!({
        "apiVersion": Environment::api_version(&()),
        "kind": Environment::kind(&()),
        "metadata": metadata,
    });
    let params = PatchParams::apply(keys::REMOVAL_FIELD_MANAGER).force();
    api.patch(&environment.name_any(), &params, &Patch::Apply(&body)).await
}

/// Lists the Environments of a Project from the API server itself.
///
/// # Errors
/// The listing failed.
pub async fn list(client: Client, project: &ProjectKey) -> Result<Vec<Environment>, Error> {
    let api: Api<Environment> = Api::namespaced(client, project.namespace.as_str());
    let params = ListParams::default();
    let listed = within(
        || format!("list the Environments of Project {project}"),
        api.list(&params),
        |source| Error::List {
            what: format!("the Environments of Project {project}"),
            source,
        },
    )
    .await?;
    let ours = |environment: &Environment| environment.spec.project_ref.name == project.name.as_str();
    Ok(listed.items.into_iter().filter(ours).collect())
}

/// Reads an Environment from the API server itself.
///
/// # Errors
/// The read failed.
pub async fn read(client: Client, project: &ProjectKey, name: &EnvironmentName) -> Result<Option<Environment>, Error> {
    let api: Api<Environment> = Api::namespaced(client, project.namespace.as_str());
    within(
        || format!("read Environment {name}"),
        api.get_opt(name.as_str()),
        |source| Error::List {
            what: format!("Environment {name}"),
            source,
        },
    )
    .await
}

/// Takes the annotation that releases a brake off a Project, if it has this value still. Whether it had.
///
/// # Errors
/// A request failed, or the Project was written by somebody else meanwhile.
pub async fn take_release(client: Client, project: &Project, digest: &str) -> Result<bool, Error> {
    let api: Api<Project> = Api::namespaced(client, &project.namespace().unwrap_or_default());
    let name = project.name_any();
    let what = || format!("annotation {} of Project {name}", keys::RELEASE_BRAKE_ANNOTATION);
    let failed = |source| Error::Write { what: what(), source };
    let fresh = within(|| format!("read Project {name}"), api.get_opt(&name), failed).await?;
    let has_it = |fresh: &Project| {
        fresh.uid() == project.uid() && fresh.annotations().get(keys::RELEASE_BRAKE_ANNOTATION).map(String::as_str) == Some(digest)
    };
    let Some(fresh) = fresh.filter(has_it) else {
        return Ok(false);
    };
    let body = json!({ "metadata": {
        "uid": fresh.uid(),
        "resourceVersion": fresh.resource_version(),
        "annotations": { (keys::RELEASE_BRAKE_ANNOTATION): null },
    }});
    let params = PatchParams::default();
    let patch = Patch::Merge(&body);
    within(
        || format!("take off the {}", what()),
        api.patch_metadata(&name, &params, &patch),
        failed,
    )
    .await?;
    Ok(true)
}
