//! What a token may do at the Cloud, and the webhooks of its repositories.
//!
//! The Cloud tells with each answer which scopes the token has. Webhooks are shown only to those who may also make them.

use futures::FutureExt;
use futures::future::BoxFuture;
use http::Method;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;

use super::{Cloud, FIND_REPOSITORY, ITEMS};
use crate::domain::git::RepositoryName;
use crate::domain::setup::{Allowed, Capability, Task, Webhook};
use crate::githost::Error;
use crate::githost::bitbucket::setup::{LIST_WEBHOOKS, PROBE, may_get, write};
use crate::githost::setup::{Installed, Setup, WantedWebhook, allowed, lacking};

/// The header with the scopes of the token.
const SCOPES: &str = "x-oauth-scopes";
const EVENTS: [&str; 6] = [
    "repo:push",
    "pullrequest:created",
    "pullrequest:updated",
    "pullrequest:fulfilled",
    "pullrequest:rejected",
    "pullrequest:comment_created",
];

#[derive(Deserialize)]
struct Hook {
    /// In braces.
    uuid: String,
    #[serde(default)]
    url: String,
    active: bool,
    #[serde(default)]
    events: Vec<String>,
}

impl Cloud {
    async fn what_may_be_done(&self, name: &RepositoryName) -> Result<Vec<Capability>, Error> {
        // A host that is down is told once, and not for each task.
        let read = match self.find_repository(FIND_REPOSITORY, name).await {
            Err(error @ (Error::Refused { .. } | Error::RepositoryNotFound { .. })) => allowed(Err(error), &[]),
            found => found.map(|_| Allowed::Yes)?,
        };
        if read == Allowed::No {
            return Ok(vec![Capability::new(Task::ReadRepository, read)]);
        }
        let answer = self.api.get(PROBE, self.below(name, &[])?).await?;
        let scopes = answer.header(SCOPES);
        let seen = may_get(&self.api, self.below(name, &["hooks"]), "pagelen").await;
        Ok(vec![
            Capability::new(
                Task::ReadRepository,
                may_get(&self.api, self.below(name, &["refs", "branches"]), "pagelen").await,
            ),
            Capability::new(
                Task::ReadPullRequests,
                may_get(&self.api, self.below(name, &["pullrequests"]), "pagelen").await,
            ),
            Capability::new(Task::SetStatuses, may_write(scopes, "repository")),
            Capability::new(Task::Comment, may_write(scopes, "pullrequest")),
            Capability::new(Task::TellDeployments, Allowed::NotOffered),
            Capability::new(
                Task::ManageWebhooks,
                match seen {
                    Allowed::Yes => may_write(scopes, "webhook"),
                    refused => refused,
                },
            ),
        ])
    }

    async fn hooks(&self, name: &RepositoryName) -> Result<Vec<Webhook>, Error> {
        let url = self.below(name, &["hooks"])?;
        let key = |hook: &Hook| hook.uuid.clone();
        let hooks = self.all_pages(LIST_WEBHOOKS, url, ITEMS, name, key).await?;
        Ok(hooks.into_iter().map(Hook::into_domain).collect())
    }

    async fn install(&self, name: &RepositoryName, wanted: &WantedWebhook) -> Result<Installed, Error> {
        let hooks = self.hooks(name).await?;
        let (method, url, installed) = match wanted.endpoint.own(&hooks) {
            Some(own) => (Method::PUT, self.below(name, &["hooks", &own.id])?, Installed::Updated),
            None => (Method::POST, self.below(name, &["hooks"])?, Installed::Created),
        };
        let body = json!({
            "description": "graftling", "url": wanted.url, "active": true,
            "secret": wanted.secret.expose_secret(), "events": EVENTS,
        });
        write(&self.api, name, method, url, &body).await.map(|()| installed)
    }
}

/// What the scopes say of writing one kind of thing. Those of access tokens are `repository` and `repository:write`, and the first is enough
/// for statuses, comments and webhooks; those of an account's API tokens are `read:repository:bitbucket` and the like.
fn may_write(scopes: Option<&str>, kind: &str) -> Allowed {
    let Some(scopes) = scopes else {
        return Allowed::Unknown("the Cloud did not tell the scopes of the token".to_owned());
    };
    let mut read = false;
    for scope in scopes.split(',').map(str::trim) {
        match scope.split(':').collect::<Vec<_>>()[..] {
            [told] | [told, "write" | "admin"] if told == kind => return Allowed::Yes,
            ["write" | "admin", told, _] if told == kind => return Allowed::Yes,
            ["read", told, _] if told == kind => read = true,
            _ => {}
        }
    }
    match read {
        true => Allowed::Unknown(format!(
            "the token has read:{kind}:bitbucket, and the Cloud does not tell whether that is enough"
        )),
        false => Allowed::No,
    }
}

impl Hook {
    fn into_domain(self) -> Webhook {
        Webhook {
            id: self.uuid,
            url: self.url,
            active: self.active,
            // There is no other kind.
            json: true,
            every_branch: true,
            lacks: lacking(&EVENTS, &self.events),
            // The interface does not tell.
            last: None,
        }
    }
}

impl Setup for Cloud {
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
