//! What a token may do at GitLab, and the webhooks of its projects.
//!
//! Rights are read and not tried: the role that the token's account has in the project, and the scopes that the token tells of itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, StatusCode};
use reqwest::Url;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{FIND_REPOSITORY, Gitlab, comments, notes};
use crate::domain::git::RepositoryName;
use crate::domain::setup::{Allowed, Capability, LastDelivery, Task, Webhook};
use crate::githost::Error;
use crate::githost::setup::{Installed, Setup, WantedWebhook, allowed};

const PROBE: &str = "find out what the token may do";
const LIST_WEBHOOKS: &str = "list the webhooks";
const INSTALL: &str = "install the webhook";
const MAINTAINER: u64 = 40;
/// How GitLab says that it delivers.
const EXECUTABLE: &str = "executable";
/// How long the key in a signing token is.
const KEY_BYTES: usize = 32;

#[derive(Deserialize)]
struct Token {
    scopes: Vec<String>,
}

#[derive(Deserialize)]
struct Hook {
    id: u64,
    url: String,
    #[serde(default)]
    push_events: bool,
    #[serde(default)]
    merge_requests_events: bool,
    #[serde(default)]
    note_events: bool,
    push_events_branch_filter: Option<String>,
    /// `disabled` and `temporarily_disabled` once too many deliveries failed.
    alert_status: Option<String>,
    /// Missing where GitLab has no signing tokens.
    #[serde(default)]
    signing_token_present: bool,
}

impl Gitlab {
    async fn may_get(&self, name: &RepositoryName, segments: &[&str]) -> Allowed {
        let asked = async {
            let mut url = self.below(name, segments)?;
            url.query_pairs_mut().append_pair("per_page", "1");
            Ok(self.api.get(PROBE, url).await?.status.as_u16())
        };
        allowed(asked.await, &[200])
    }

    /// Whether the token may write: scope `api`, and at least this role in the project.
    async fn may_write(&self, name: &RepositoryName, role: u64) -> Allowed {
        match self.rights(name).await {
            Ok((scopes, level)) if scopes.iter().any(|scope| scope == "api") && level >= role => Allowed::Yes,
            Ok(_) | Err(Error::Refused { .. }) => Allowed::No,
            Err(error) => Allowed::Unknown(error.to_string()),
        }
    }

    async fn rights(&self, name: &RepositoryName) -> Result<(Vec<String>, u64), Error> {
        let answer = self.api.get(PROBE, self.api.url(&["personal_access_tokens", "self"])).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.unexpected(PROBE));
        }
        let token: Token = answer.decode(PROBE)?;
        let account = notes::account(self).await?;
        Ok((token.scopes, comments::access_level(self, name, account).await?))
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
        let develops = self.may_write(name, comments::DEVELOPER).await;
        Ok(vec![
            Capability::new(Task::ReadRepository, self.may_get(name, &["repository", "branches"]).await),
            Capability::new(Task::ReadPullRequests, self.may_get(name, &["merge_requests"]).await),
            Capability::new(Task::SetStatuses, develops.clone()),
            Capability::new(Task::Comment, self.may_write(name, comments::REPORTER).await),
            Capability::new(Task::TellDeployments, develops),
            Capability::new(Task::ManageWebhooks, self.may_write(name, MAINTAINER).await),
        ])
    }

    async fn hooks(&self, name: &RepositoryName) -> Result<Vec<Webhook>, Error> {
        let url = self.below(name, &["hooks"])?;
        let hooks: Vec<Hook> = self.api.all_pages(LIST_WEBHOOKS, url, name, |hook: &Hook| hook.id).await?;
        Ok(hooks.into_iter().map(Hook::into_domain).collect())
    }

    /// With a signing token where both the secret and this GitLab know of them, else with the plain one.
    async fn install(&self, name: &RepositoryName, wanted: &WantedWebhook) -> Result<Installed, Error> {
        let hooks = self.hooks(name).await?;
        let secret = wanted.secret.expose_secret();
        let (method, url, installed) = match wanted.endpoint.own(&hooks) {
            Some(own) => (Method::PUT, self.below(name, &["hooks", &own.id])?, Installed::Updated),
            None => (Method::POST, self.below(name, &["hooks"])?, Installed::Created),
        };
        let mut body = json!({
            "url": wanted.url, "push_events": true, "merge_requests_events": true, "note_events": true,
            "push_events_branch_filter": "", "branch_filter_strategy": "all_branches",
        });
        let signs = is_signing_token(secret);
        body[if signs { "signing_token" } else { "token" }] = json!(secret);
        let hook = self.write(name, method, url, &body).await?;
        if signs && !hook.signing_token_present {
            let url = self.below(name, &["hooks", &hook.id.to_string()])?;
            self.write(name, Method::PUT, url, &json!({"url": wanted.url, "token": secret}))
                .await?;
        }
        Ok(installed)
    }

    async fn write(&self, name: &RepositoryName, method: Method, url: Url, body: &Value) -> Result<Hook, Error> {
        let answer = self.api.send(INSTALL, method, url, Some(body)).await?;
        match answer.status {
            StatusCode::OK | StatusCode::CREATED => answer.decode(INSTALL),
            StatusCode::NOT_FOUND => Err(Error::RepositoryNotFound {
                operation: INSTALL,
                repository: name.clone(),
            }),
            _ => Err(answer.unexpected(INSTALL)),
        }
    }
}

fn is_signing_token(secret: &str) -> bool {
    let encoded = secret.strip_prefix("whsec_");
    encoded
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .is_some_and(|key| key.len() == KEY_BYTES)
}

impl Hook {
    fn into_domain(self) -> Webhook {
        let events = [
            (self.push_events, "push_events"),
            (self.merge_requests_events, "merge_requests_events"),
            (self.note_events, "note_events"),
        ];
        let out_of_service = self.alert_status.filter(|status| status != EXECUTABLE);
        Webhook {
            id: self.id.to_string(),
            url: self.url,
            active: out_of_service.is_none(),
            json: true,
            every_branch: matches!(self.push_events_branch_filter.as_deref(), None | Some("" | "*")),
            lacks: events
                .iter()
                .filter(|(is_told, _)| !is_told)
                .map(|(_, event)| (*event).to_owned())
                .collect(),
            last: out_of_service.map(|status| LastDelivery {
                taken: false,
                says: format!("deliveries failed, and the webhook is {status}"),
            }),
        }
    }
}

impl Setup for Gitlab {
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
