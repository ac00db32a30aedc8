//! Deliveries of events to receivers outside: the same addresses, the same signatures and the same patience as for webhooks of stages.

use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Request, Url};
use secrecy::ExposeSecret;

use super::PrepareError;
use super::outside::{NoAnswer, Outside, Page};
use super::secrets::Secrets;
use super::webhook::signed;
use crate::controller::settings::OutboundSettings;
use crate::domain::notification::{Receiver, Target};
use crate::domain::policy::Outbound;
use crate::githost::Class;

/// How long a receiver may take to answer.
const WITHIN: Duration = Duration::from_secs(10);
/// Whoever asks for more patience is asked again after this.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Brings events to their receivers. Cheap to clone.
#[derive(Clone)]
pub struct Courier {
    outside: Outside,
    secrets: Secrets,
}

/// An event on its way.
#[derive(Debug, Clone)]
pub struct Letter<'a> {
    /// What the event is called for good.
    pub id: &'a str,
    /// The media type.
    pub kind: &'static str,
    /// The body.
    pub body: &'a str,
}

/// Why an event did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    /// It is to be tried again.
    #[error("{problem}")]
    Later {
        /// When.
        class: Class,
        /// What is wrong, without the URL's path, which may be a secret.
        problem: String,
    },
    /// The receiver does not take this one, now or later.
    #[error("the receiver refuses the event with HTTP {0}")]
    Refused(u16),
}

impl Courier {
    /// A courier with the server's settings for hosts of others.
    ///
    /// # Errors
    /// The settings name a file that cannot be used.
    pub fn new(settings: &OutboundSettings, client: Client) -> Result<Self, PrepareError> {
        let outside = Outside::new(&settings.hosts, settings.ca.as_deref()).map_err(PrepareError)?;
        Ok(Self {
            outside,
            secrets: Secrets::new(client),
        })
    }

    /// Brings an event to a receiver, once.
    ///
    /// # Errors
    /// An [`Undelivered`].
    pub async fn deliver(&self, namespace: &str, allowed: &Outbound, receiver: &Receiver, letter: &Letter<'_>) -> Result<(), Undelivered> {
        let delivered = async {
            let url = self.url(namespace, allowed, receiver).await?;
            let secret = match &receiver.secret {
                Some(key) => Some(self.secrets.key_in(namespace, &key.name, &key.key).await?),
                None => None,
            };
            let mut request = Request::new(Method::POST, url);
            *request.headers_mut() = signed(letter.id, Timestamp::now(), letter.body, secret.as_ref())?;
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(letter.kind));
            *request.body_mut() = Some(letter.body.to_owned().into());
            self.outside.exchange(request, WITHIN).await
        };
        match delivered.await {
            Ok(page) => taken(&page),
            // What is refused is a Secret or a policy that somebody is about to put right: it must not take an hour to be noticed.
            Err(NoAnswer::Lost(problem) | NoAnswer::Refused(problem)) => Err(later(Class::Transient, problem)),
        }
    }

    async fn url(&self, namespace: &str, allowed: &Outbound, receiver: &Receiver) -> Result<Url, NoAnswer> {
        let refuse = |problem: String| Err(NoAnswer::Refused(problem));
        let text = match &receiver.target {
            Target::Url(url) => url.clone(),
            Target::Secret(key) => self
                .secrets
                .key_in(namespace, &key.name, &key.key)
                .await?
                .expose_secret()
                .to_owned(),
        };
        let Ok(url) = text.trim().parse::<Url>() else {
            return refuse("its URL is none".to_owned());
        };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        match allowed.webhooks.allow(host) {
            true => Ok(url),
            false => refuse(format!("the host {host} is not among spec.policy.webhooks of the Project")),
        }
    }
}

fn taken(page: &Page) -> Result<(), Undelivered> {
    let answered = |class| Err(later(class, format!("it answered HTTP {}", page.status)));
    match page.status {
        200..=299 => Ok(()),
        429 => answered(Class::RateLimited(retry_after(&page.headers))),
        400 | 413 | 415 | 422 => Err(Undelivered::Refused(page.status)),
        _ => answered(Class::Transient),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

fn later(class: Class, problem: String) -> Undelivered {
    Undelivered::Later { class, problem }
}

#[cfg(test)]
mod tests;
