//! Projects, Environments and deliveries of an installation.

use std::path::Path;

use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::{Error, LONG, Subject, WEBHOOK_SECRET, objects};
use crate::webhook::{self, Response};
use crate::{Repository, wait};

const VERSION: &str = "graftling.dev/v1alpha1";

impl Subject {
    /// Makes a GitHost `git` over the directory of `repository`, with a webhook secret, and a Project that leaves `main` out.
    /// `rest` is merged over the Project's spec; without it, its bundle is `mini`.
    ///
    /// # Errors
    /// [`Error::Apply`].
    pub async fn project(&self, name: &str, repository: &Repository, rest: Value) -> Result<Value, Error> {
        let secret = json!({ "stringData": { "secret": WEBHOOK_SECRET } });
        self.apply("v1", "Secret", "webhook", secret).await?;
        let path = repository.path();
        let parent = path.parent().unwrap_or(Path::new("/")).display();
        let host = json!({ "provider": "git", "url": format!("file://{parent}"), "webhook": { "secret": { "name": "webhook" } } });
        self.apply(VERSION, "GitHost", "git", json!({ "spec": host })).await?;
        let mut spec = json!({
            "gitHostRef": { "name": "git" },
            "repository": repository_name(repository),
            "branches": { "exclude": ["main"] },
            "bundle": { "name": "mini" },
            "domain": "preview.example.com",
        });
        // One source takes the place of another; both at once are refused.
        if rest.get("bundle").is_some() {
            spec["bundle"] = json!({});
        }
        merge(&mut spec, rest);
        self.apply(VERSION, "Project", name, json!({ "spec": spec })).await
    }

    /// Applies an object in the installation's namespace.
    ///
    /// # Errors
    /// [`Error::Discover`] and [`Error::Apply`].
    pub async fn apply(&self, version: &str, kind: &str, name: &str, content: Value) -> Result<Value, Error> {
        let mut body = objects::named(version, kind, Some(self.namespace()), name);
        merge(&mut body, content);
        objects::apply(&self.client, &body).await
    }

    /// Changes the spec of a custom resource of ours as `kubectl patch --type=merge` would.
    ///
    /// # Errors
    /// [`Error::Request`].
    pub async fn patch(&self, kind: &str, name: &str, patch: Value) -> Result<(), Error> {
        let patched = self.own(kind).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.map(drop).map_err(|source| Error::Request {
            action: format!("patch {kind} {name}"),
            source: Box::new(source),
        })
    }

    /// A kind of ours, without asking what serves it: Environments are looked at often.
    fn own(&self, kind: &str) -> Api<DynamicObject> {
        let (group, version) = VERSION.split_once('/').unwrap_or_default();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), self.namespace(), &resource)
    }

    /// All Environments.
    ///
    /// # Errors
    /// [`Error::Request`].
    pub async fn environments(&self) -> Result<Vec<Value>, Error> {
        let listed = self
            .own("Environment")
            .list(&ListParams::default())
            .await
            .map_err(|source| Error::Request {
                action: "list Environments".to_owned(),
                source: Box::new(source),
            })?;
        Ok(listed.items.into_iter().map(|object| json!(object)).collect())
    }

    /// The Environment of a branch, if there is one.
    ///
    /// # Errors
    /// As [`Subject::environments`].
    pub async fn environment(&self, branch: &str) -> Result<Option<Value>, Error> {
        let all = self.environments().await?;
        Ok(all.into_iter().find(|environment| environment["spec"]["branch"] == branch))
    }

    /// Waits until an Environment of a branch is there for which `holds` says so, and answers with it.
    ///
    /// # Errors
    /// [`Error::Wait`] tells the phase and the message that were there instead.
    pub async fn wait_for(&self, branch: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value, Error> {
        let look = || async {
            match self.environment(branch).await.map_err(|error| crate::error_chain(&error))? {
                Some(environment) if holds(&environment) => Ok(environment),
                Some(environment) => Err(said(&environment)),
                None => Err("no Environment".to_owned()),
            }
        };
        let waited = wait::try_until(format!("Environment of {branch} {what}"), LONG, look).await;
        waited.map_err(Error::Wait)
    }

    /// Waits until the Environment of a branch is ready at a revision.
    ///
    /// # Errors
    /// As [`Subject::wait_for`].
    pub async fn wait_ready(&self, branch: &str, revision: &str) -> Result<Value, Error> {
        let holds = |environment: &Value| is_ready(environment, revision);
        self.wait_for(branch, &format!("that is ready at {revision}"), holds).await
    }

    /// Waits until a branch has no Environment any more.
    ///
    /// # Errors
    /// [`Error::Wait`] tells the phase and the message that were there instead.
    pub async fn wait_gone(&self, branch: &str) -> Result<(), Error> {
        let look = || async {
            match self.environment(branch).await.map_err(|error| crate::error_chain(&error))? {
                Some(environment) => Err(said(&environment)),
                None => Ok(()),
            }
        };
        let waited = wait::try_until(format!("end of the Environment of {branch}"), LONG, look).await;
        waited.map_err(Error::Wait)
    }

    /// Sends a signed delivery of our own hook's form about a branch.
    ///
    /// # Errors
    /// [`Error::NotRunning`] and [`Error::Deliver`].
    pub async fn hint(&self, repository: &Repository, branch: &str, before: &str, after: &str) -> Result<Response, Error> {
        let body = json!({
            "version": 1,
            "repository": repository_name(repository),
            "updates": [{ "ref": format!("refs/heads/{branch}"), "before": before, "after": after }],
        });
        let body = body.to_string().into_bytes();
        let url = format!("{}/hooks/{}/git", self.server()?.webhook, self.namespace());
        let signature = webhook::signature(WEBHOOK_SECRET.as_bytes(), &body);
        let headers = [
            ("content-type", "application/json"),
            ("x-graftling-event", "push"),
            ("x-graftling-delivery", "test"),
            ("x-graftling-signature-256", signature.as_str()),
        ];
        webhook::post(&url, &headers, body).await.map_err(Error::Deliver)
    }
}

/// Whether an Environment is ready at a revision.
pub fn is_ready(environment: &Value, revision: &str) -> bool {
    let status = &environment["status"];
    status["phase"] == "Ready" && status["revision"]["applied"] == revision
}

/// Phase and message of an Environment.
pub fn said(environment: &Value) -> String {
    let status = &environment["status"];
    format!("{}: {}", status["phase"], status["message"])
}

/// The repository's name below its directory.
pub fn repository_name(repository: &Repository) -> String {
    let path = repository.path();
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Merges `over` into `base`, objects deeply.
pub fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}
