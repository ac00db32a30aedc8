//! What credentials may do at GitHub, and the webhooks of a repository.
//!
//! A fine-grained token and an installation are refused with 403 before GitHub looks at a body; a classic token gets the 404 of a
//! repository that it may not write to. A body that cannot be carried out gets 422 only from who may.

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};

use super::pages::{List, Paging};
use super::{FIND_REPOSITORY, Github, owner_and_name};
use crate::domain::git::RepositoryName;
use crate::domain::setup::{Allowed, Capability, LastDelivery, Task, Webhook};
use crate::githost::Error;
use crate::githost::conditional::Remembered;
use crate::githost::setup::{Installed, Setup, WantedWebhook, allowed, lacking};

const PROBE: &str = "find out what the credentials may do";
const LIST_WEBHOOKS: &str = "list the webhooks";
const INSTALL: &str = "install the webhook";
/// What the webhook has to tell of.
const EVENTS: [&str; 5] = ["create", "delete", "push", "pull_request", "issue_comment"];

#[derive(Deserialize)]
struct Hook {
    id: u64,
    config: Config,
    #[serde(default)]
    events: Vec<String>,
    active: bool,
    #[serde(default)]
    last_response: Option<LastResponse>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    url: String,
    #[serde(default)]
    content_type: String,
}

#[derive(Deserialize)]
struct LastResponse {
    code: Option<u16>,
    status: Option<String>,
    message: Option<String>,
}

impl Github {
    fn at(&self, name: &RepositoryName, segments: &[&str]) -> Result<reqwest::Url, Error> {
        let (owner, repository) = owner_and_name(name)?;
        Ok(self.api.url(&[&["repos", owner, repository], segments].concat()))
    }

    async fn may_get(&self, name: &RepositoryName, segments: &[&str]) -> Allowed {
        let asked = async {
            let mut url = self.at(name, segments)?;
            url.query_pairs_mut().append_pair("per_page", "1");
            Ok(self.api.get(PROBE, url).await?.status.as_u16())
        };
        allowed(asked.await, &[200])
    }

    /// Whether a body that nothing can come of is refused as such, or because of who sends it.
    async fn may_post(&self, name: &RepositoryName, segments: &[&str], body: &Value) -> Allowed {
        let asked = async {
            let url = self.at(name, segments)?;
            Ok(self.api.request(PROBE, Method::POST, &url, body).await?.status.as_u16())
        };
        allowed(asked.await, &[422])
    }

    /// There is no issue 0, so a 404 says nothing: 403 refuses a fine-grained token and an installation, the scopes a classic token.
    async fn may_comment(&self, name: &RepositoryName, scopes: Option<&[String]>) -> Allowed {
        let has = |wanted: &[&str]| scopes.map(|scopes| scopes.iter().any(|scope| wanted.contains(&scope.as_str())));
        match has(&["repo", "public_repo"]) {
            Some(true) => Allowed::Yes,
            Some(false) => Allowed::No,
            None => {
                let asked = async {
                    let url = self.at(name, &["issues", "0", "comments"])?;
                    let body = json!({ "body": "" });
                    Ok(self.api.request(PROBE, Method::POST, &url, &body).await?.status.as_u16())
                };
                allowed(asked.await, &[404, 410, 422])
            }
        }
    }

    async fn what_may_be_done(&self, name: &RepositoryName) -> Result<Vec<Capability>, Error> {
        let answer = match self.api.get(FIND_REPOSITORY, self.at(name, &[])?).await {
            Err(Error::Refused { .. }) => return Ok(vec![Capability::new(Task::ReadRepository, Allowed::No)]),
            answer => answer?,
        };
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(vec![Capability::new(Task::ReadRepository, Allowed::No)]);
        }
        let scopes = answer.scopes();
        let no_commit = "0".repeat(40);
        let status = json!({ "state": "pending", "context": "graftling/check" });
        let deployment = json!({ "ref": no_commit, "auto_merge": false, "required_contexts": [] });
        let hook = json!({ "name": "web", "active": false, "config": {} });
        Ok(vec![
            Capability::new(Task::ReadRepository, self.may_get(name, &["branches"]).await),
            Capability::new(Task::ReadPullRequests, self.may_get(name, &["pulls"]).await),
            Capability::new(Task::SetStatuses, self.may_post(name, &["statuses", &no_commit], &status).await),
            Capability::new(Task::Comment, self.may_comment(name, scopes.as_deref()).await),
            Capability::new(Task::TellDeployments, self.may_post(name, &["deployments"], &deployment).await),
            Capability::new(Task::ManageWebhooks, self.may_post(name, &["hooks"], &hook).await),
        ])
    }

    async fn hooks(&self, name: &RepositoryName) -> Result<Vec<Webhook>, Error> {
        let url = self.at(name, &["hooks"])?;
        let list = List {
            operation: LIST_WEBHOOKS,
            repository: name,
            paging: Paging::Counted,
            remembered: &Remembered::default(),
        };
        list.all(&self.api, url, |hook: Hook| Ok(Some(hook.into_domain()))).await
    }

    async fn install(&self, name: &RepositoryName, wanted: &WantedWebhook) -> Result<Installed, Error> {
        let hooks = self.hooks(name).await?;
        let config = json!({
            "url": wanted.url,
            "content_type": "json",
            "insecure_ssl": "0",
            "secret": wanted.secret.expose_secret(),
        });
        let mut body = json!({ "config": config, "events": EVENTS, "active": true });
        let (method, url, installed) = match wanted.endpoint.own(&hooks) {
            Some(own) => (Method::PATCH, self.at(name, &["hooks", &own.id])?, Installed::Updated),
            None => {
                body["name"] = json!("web");
                (Method::POST, self.at(name, &["hooks"])?, Installed::Created)
            }
        };
        let answer = self.api.request(INSTALL, method, &url, &body).await?;
        match answer.status {
            status if status.is_success() => Ok(installed),
            // GitHub hides what credentials may not write to.
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) => Err(Error::Refused {
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
            json: self.config.content_type == "json",
            every_branch: true,
            lacks: lacking(&EVENTS, &self.events),
            last: self.last_response.and_then(LastResponse::into_domain),
        }
    }
}

impl LastResponse {
    /// `None` where nothing was delivered yet.
    fn into_domain(self) -> Option<LastDelivery> {
        let taken = self.code.map(|code| (200..300).contains(&code));
        let says = match (self.code, self.message, self.status) {
            (Some(code), ..) => format!("HTTP {code}"),
            (None, Some(text), _) | (None, None, Some(text)) => text.chars().take(100).collect(),
            (None, None, None) => return None,
        };
        match taken {
            Some(taken) => Some(LastDelivery { taken, says }),
            None if says == "unused" => None,
            None => Some(LastDelivery { taken: false, says }),
        }
    }
}

impl Setup for Github {
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

#[cfg(test)]
mod tests;
