//! What a token may do at a Data Center, and the webhooks of its repositories.
//!
//! Whoever may read a repository and is known by name may set statuses and comment; webhooks are shown only to those who may also make them.

use futures::FutureExt;
use futures::future::BoxFuture;
use http::Method;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;

use super::report::ACCOUNT;
use super::{FIND_REPOSITORY, Server};
use crate::domain::git::RepositoryName;
use crate::domain::setup::{Allowed, Capability, Task, Webhook};
use crate::githost::Error;
use crate::githost::bitbucket::setup::{LIST_WEBHOOKS, PROBE, may_get, write};
use crate::githost::setup::{Installed, Setup, WantedWebhook, allowed, lacking};

const EVENTS: [&str; 8] = [
    "repo:refs_changed",
    "pr:opened",
    "pr:from_ref_updated",
    "pr:modified",
    "pr:merged",
    "pr:declined",
    "pr:deleted",
    "pr:comment:added",
];

#[derive(Deserialize)]
struct Hook {
    id: u64,
    #[serde(default)]
    url: String,
    active: bool,
    #[serde(default)]
    events: Vec<String>,
}

impl Server {
    async fn what_may_be_done(&self, name: &RepositoryName) -> Result<Vec<Capability>, Error> {
        // A host that is down is told once, and not for each task.
        let read = match self.find_repository(FIND_REPOSITORY, name).await {
            Err(error @ (Error::Refused { .. } | Error::RepositoryNotFound { .. })) => allowed(Err(error), &[]),
            found => found.map(|_| Allowed::Yes)?,
        };
        if read == Allowed::No {
            return Ok(vec![Capability::new(Task::ReadRepository, read)]);
        }
        let branches = may_get(&self.api, self.below(name, &["branches"]), "limit").await;
        let pulls = may_get(&self.api, self.below(name, &["pull-requests"]), "limit").await;
        let is_known = self.api.get(PROBE, self.below(name, &[])?).await?.header(ACCOUNT).is_some();
        let after = |read| match is_known {
            true => read,
            false => Allowed::No,
        };
        Ok(vec![
            Capability::new(Task::ReadRepository, branches.clone()),
            Capability::new(Task::ReadPullRequests, pulls.clone()),
            Capability::new(Task::SetStatuses, after(branches)),
            Capability::new(Task::Comment, after(pulls)),
            Capability::new(Task::TellDeployments, Allowed::NotOffered),
            Capability::new(
                Task::ManageWebhooks,
                may_get(&self.api, self.below(name, &["webhooks"]), "limit").await,
            ),
        ])
    }

    async fn hooks(&self, name: &RepositoryName) -> Result<Vec<Webhook>, Error> {
        let url = self.below(name, &["webhooks"])?;
        let hooks = self.all_pages(LIST_WEBHOOKS, url, name, |hook: &Hook| hook.id).await?;
        Ok(hooks.into_iter().map(Hook::into_domain).collect())
    }

    async fn install(&self, name: &RepositoryName, wanted: &WantedWebhook) -> Result<Installed, Error> {
        let hooks = self.hooks(name).await?;
        let (method, url, installed) = match wanted.endpoint.own(&hooks) {
            Some(own) => (Method::PUT, self.below(name, &["webhooks", &own.id])?, Installed::Updated),
            None => (Method::POST, self.below(name, &["webhooks"])?, Installed::Created),
        };
        let body = json!({
            "name": "graftling", "url": wanted.url, "active": true, "events": EVENTS,
            "configuration": {"secret": wanted.secret.expose_secret()},
        });
        write(&self.api, name, method, url, &body).await.map(|()| installed)
    }
}

impl Hook {
    fn into_domain(self) -> Webhook {
        Webhook {
            id: self.id.to_string(),
            url: self.url,
            active: self.active,
            // There is no other kind.
            json: true,
            every_branch: true,
            lacks: lacking(&EVENTS, &self.events),
            // It would take a request for each webhook.
            last: None,
        }
    }
}

impl Setup for Server {
    fn capabilities<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Vec<Capability>, Error>> {
        self.what_may_be_done(name).boxed()
    }

    fn webhooks<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Vec<Webhook>, Error>> {
        self.hooks(name).boxed()
    }

    fn install_webhook<'a>(&'a self, name: &'a RepositoryName, wanted: &'a WantedWebhook) -> BoxFuture<'a, Result<Installed, Error>> {
        self.install(name, wanted).boxed()
    }
}
