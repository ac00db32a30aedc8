//! What an account may do at Gitea and Forgejo, and the webhooks of its repositories.

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{FIND_REPOSITORY, Gitea};
use crate::domain::git::RepositoryName;
use crate::domain::setup::{Allowed, Capability, Task, Webhook};
use crate::githost::Error;
use crate::githost::setup::{Installed, Setup, WantedWebhook, allowed, lacking};

const PROBE: &str = "find out what the account may do";
const LIST_WEBHOOKS: &str = "list the webhooks";
const INSTALL: &str = "install the webhook";
/// What the webhook has to tell of. A synchronised or labelled pull request is an event of its own.
const EVENTS: [&str; 7] = [
    "create",
    "delete",
    "push",
    "pull_request",
    "pull_request_label",
    "pull_request_sync",
    "pull_request_comment",
];
/// What Gitea says to a body of another form than it wants. It looks at the body after it has looked at the right.
const UNREADABLE: [u16; 2] = [422, 400];

#[derive(Deserialize)]
struct Hook {
    id: u64,
    #[serde(default)]
    r#type: String,
    config: Config,
    #[serde(default)]
    events: Vec<String>,
    active: bool,
    #[serde(default)]
    branch_filter: String,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    url: String,
    #[serde(default)]
    content_type: String,
}

impl Gitea {
    /// Whether a body that can never be read is refused as such, or because of who sends it.
    async fn may_post(&self, name: &RepositoryName, segments: &[&str]) -> Allowed {
        let asked = async {
            let url = self.below(name, segments)?;
            let answer = self.api.attempt(PROBE, Method::POST, url, &json!([])).await?;
            Ok(answer.status.as_u16())
        };
        allowed(asked.await, &UNREADABLE)
    }

    async fn may_get(&self, name: &RepositoryName, segments: &[&str]) -> Allowed {
        let asked = async {
            let mut url = self.below(name, segments)?;
            url.query_pairs_mut().append_pair("limit", "1");
            Ok(self.api.get(PROBE, url).await?.status.as_u16())
        };
        allowed(asked.await, &[200])
    }

    async fn what_may_be_done(&self, name: &RepositoryName) -> Result<Vec<Capability>, Error> {
        // A host that is down is told once, and not for each task.
        let read = match self.find_repository(FIND_REPOSITORY, name).await {
            Err(error @ (Error::Refused { .. } | Error::RepositoryNotFound { .. })) => allowed(Err(error), &[]),
            found => found.map(|_| Allowed::Yes)?,
        };
        if read == Allowed::No {
            return Ok(vec![Capability::new(Task::ReadRepository, read)]);
        }
        let no_commit = "0".repeat(40);
        Ok(vec![
            Capability::new(Task::ReadRepository, self.may_get(name, &["branches"]).await),
            Capability::new(Task::ReadPullRequests, self.may_get(name, &["pulls"]).await),
            Capability::new(Task::SetStatuses, self.may_post(name, &["statuses", &no_commit]).await),
            Capability::new(Task::Comment, self.may_post(name, &["issues", "0", "comments"]).await),
            Capability::new(Task::TellDeployments, Allowed::NotOffered),
            Capability::new(Task::ManageWebhooks, self.may_post(name, &["hooks"]).await),
        ])
    }

    async fn hooks(&self, name: &RepositoryName) -> Result<Vec<Webhook>, Error> {
        let url = self.below(name, &["hooks"])?;
        let hooks: Vec<Hook> = self.api.all_pages(LIST_WEBHOOKS, url, name, |hook: &Hook| hook.id).await?;
        Ok(hooks.into_iter().map(Hook::into_domain).collect())
    }

    async fn install(&self, name: &RepositoryName, wanted: &WantedWebhook) -> Result<Installed, Error> {
        let hooks = self.hooks(name).await?;
        let config = json!({
            "url": wanted.url,
            "content_type": "json",
            "secret": wanted.secret.expose_secret(),
        });
        let mut body = json!({ "config": config, "events": EVENTS, "active": true, "branch_filter": "*" });
        let (method, url, installed) = match wanted.endpoint.own(&hooks) {
            Some(own) => (Method::PATCH, self.below(name, &["hooks", &own.id])?, Installed::Updated),
            None => {
                body["type"] = json!("gitea");
                (Method::POST, self.below(name, &["hooks"])?, Installed::Created)
            }
        };
        self.write(name, method, url, &body).await.map(|()| installed)
    }

    async fn write(&self, name: &RepositoryName, method: Method, url: reqwest::Url, body: &Value) -> Result<(), Error> {
        let answer = self.api.attempt(INSTALL, method, url, body).await?;
        match answer.status {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND => Err(Error::RepositoryNotFound {
                operation: INSTALL,
                repository: name.clone(),
            }),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(Error::Refused {
                operation: INSTALL,
                status: status.as_u16(),
            }),
            _ => Err(answer.unexpected(INSTALL)),
        }
    }
}

impl Hook {
    fn into_domain(self) -> Webhook {
        Webhook {
            id: self.id.to_string(),
            url: self.config.url,
            active: self.active,
            // A webhook for a chat has a body of its own.
            json: self.config.content_type == "json" && matches!(self.r#type.as_str(), "gitea" | "forgejo" | "gogs" | ""),
            every_branch: matches!(self.branch_filter.as_str(), "" | "*" | "**"),
            lacks: lacking(&EVENTS, &self.events),
            // They have no interface that tells.
            last: None,
        }
    }
}

impl Setup for Gitea {
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
