//! One request to a REST interface, and what its answer is worth: what the clients of Gitea, GitLab and Bitbucket have in common.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Error;
use super::address::parse_url;
use crate::domain::git::RepositoryName;
use crate::domain::name::NameError;

/// Larger than any page that one of these hosts gives.
pub(super) const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
/// A host that asks for more patience than this is asked again after this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
const MAX_REDIRECTS: usize = 5;
const JSON: &str = "application/json";

/// How to reach a host with a REST interface.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What people open in a browser, for example `https://git.example.com` or `https://example.com/git`.
    pub url: String,
    /// Where the REST interface is. Without it, at its usual place below `url`.
    pub api_url: Option<String>,
    /// An access token. Without one, only public repositories can be read.
    pub token: Option<SecretString>,
    /// How long one request may take, its body included.
    pub request_timeout: Duration,
}

/// The REST interface of one host. Clones share its connection pool.
///
/// # Guarantees
/// The token stays with its host: a redirect that leads elsewhere is not followed. Nothing is ever asked twice here.
#[derive(Clone)]
pub(super) struct Rest {
    reader: Client,
    writer: Client,
    base: Url,
    timeout: Duration,
    has_token: bool,
    manners: Manners,
}

/// What hosts do each in a way of their own.
#[derive(Clone, Copy)]
pub(super) struct Manners {
    /// Accepts an error that the host gave itself: a proxy's own page proves nothing.
    pub(super) own_error: fn(&Answer, &'static str) -> Result<(), Error>,
    /// How long it wants to be left alone, by its own headers.
    pub(super) patience: fn(&Answer) -> Option<Duration>,
    /// Whether what is written is sent on after a redirect. Where it is not, it would be read there instead.
    pub(super) writes_follow: bool,
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    manners: Manners,
}

impl Settings {
    /// Anonymous access to the host at `url`, ten seconds a request.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            api_url: None,
            token: None,
            request_timeout: Duration::from_secs(10),
        }
    }

    /// Where the interface is; `usual` is its place below the URL.
    pub(super) fn base(&self, usual: &[&str]) -> Result<Url, Error> {
        match &self.api_url {
            Some(api_url) => parse_url("apiUrl", api_url),
            None => Ok(below(&parse_url("url", &self.url)?, usual)),
        }
    }
}

impl Rest {
    /// Prepares the connection; nothing is sent yet.
    pub(super) fn connect(base: Url, authorization: Option<HeaderValue>, timeout: Duration, manners: Manners) -> Result<Self, Error> {
        let has_token = authorization.is_some();
        let headers: HeaderMap = authorization.map(|value| (header::AUTHORIZATION, value)).into_iter().collect();
        let client = |redirects: Policy| {
            Client::builder()
                .default_headers(headers.clone())
                .user_agent(concat!("graftling/", env!("CARGO_PKG_VERSION")))
                .no_proxy()
                .connect_timeout(timeout)
                .redirect(redirects)
                .build()
                .map_err(|error| Error::Misconfigured {
                    problem: format!("could not prepare the connection to {base}: {error}"),
                })
        };
        let reader = client(Policy::custom(within_origin))?;
        let writer = match manners.writes_follow {
            true => reader.clone(),
            false => client(Policy::none())?,
        };
        Ok(Self {
            reader,
            writer,
            base,
            timeout,
            has_token,
            manners,
        })
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether requests are an account's.
    pub(super) fn has_token(&self) -> bool {
        self.has_token
    }

    /// The URL of `segments` below the interface's own.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        below(&self.base, segments)
    }

    /// Asks once and reads the whole body.
    ///
    /// # Errors
    /// Whatever the request's own status cannot mean: no answer, refused credentials, a rate limit, a server error.
    pub(super) async fn get(&self, operation: &'static str, url: Url) -> Result<Answer, Error> {
        self.get_within(operation, url, JSON, self.timeout, MAX_BODY_BYTES).await
    }

    /// As [`Rest::get`], with a body of a kind, of at most `limit` bytes, in at most `timeout`.
    pub(super) async fn get_within(
        &self,
        operation: &'static str,
        url: Url,
        kind: &'static str,
        timeout: Duration,
        limit: usize,
    ) -> Result<Answer, Error> {
        let request = self.reader.get(url).header(header::ACCEPT, kind).timeout(timeout);
        self.read(operation, request, limit).await?.judged(operation)
    }

    /// Sends what changes something once, and reads the whole answer.
    ///
    /// # Errors
    /// As [`Rest::get`]. After one it is not known whether anything was written.
    pub(super) async fn send(&self, operation: &'static str, method: Method, url: Url, body: Option<&Value>) -> Result<Answer, Error> {
        self.write(operation, method, url, body).await?.judged(operation)
    }

    /// As [`Rest::send`], but what the answer says of the right to ask is left to the caller.
    pub(super) async fn attempt(&self, operation: &'static str, method: Method, url: Url, body: &Value) -> Result<Answer, Error> {
        let answer = self.write(operation, method, url, Some(body)).await?;
        match answer.failure(operation) {
            Some(Error::Refused { .. }) | None => Ok(answer),
            Some(error) => Err(error),
        }
    }

    async fn write(&self, operation: &'static str, method: Method, url: Url, body: Option<&Value>) -> Result<Answer, Error> {
        let request = self.writer.request(method, url).header(header::ACCEPT, JSON).timeout(self.timeout);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        self.read(operation, request, MAX_BODY_BYTES).await
    }

    async fn read(&self, operation: &'static str, request: RequestBuilder, limit: usize) -> Result<Answer, Error> {
        let unreachable = |source: reqwest::Error| Error::Unreachable {
            operation,
            source: Box::new(source.without_url()),
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > limit {
                return Err(unusable(operation, format!("it has more than {} MiB", limit / 1024 / 1024)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            headers,
            body,
            manners: self.manners,
        })
    }
}

impl Answer {
    /// The body as what the interface promises; a page of HTML, a truncated or an empty body are errors.
    pub(super) fn decode<T: DeserializeOwned>(&self, operation: &'static str) -> Result<T, Error> {
        let kind = self.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        if !kind.starts_with(JSON) {
            return Err(unusable(
                operation,
                "it is not JSON: does a proxy or a login page stand in between?",
            ));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let problem = format!("unexpected JSON in line {}, column {}", error.line(), error.column());
            unusable(operation, problem)
        })
    }

    /// The body of an answer about a repository, or about something that every repository has.
    ///
    /// # Errors
    /// As [`Self::decode`]; [`Error::RepositoryNotFound`] if the host itself says that it is not there; any other status is unexpected.
    pub(super) fn decode_of<T: DeserializeOwned>(&self, operation: &'static str, repository: &RepositoryName) -> Result<T, Error> {
        match self.status {
            StatusCode::OK => self.decode(operation),
            StatusCode::NOT_FOUND => {
                self.is_its_own(operation)?;
                Err(Error::RepositoryNotFound {
                    operation,
                    repository: repository.clone(),
                })
            }
            _ => Err(self.unexpected(operation)),
        }
    }

    /// Accepts an error that the host gave itself.
    pub(super) fn is_its_own(&self, operation: &'static str) -> Result<(), Error> {
        (self.manners.own_error)(self, operation)
    }

    /// The body as it came.
    pub(super) fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// The error for a status that no step of the operation expects.
    pub(super) fn unexpected(&self, operation: &'static str) -> Error {
        unusable(operation, format!("HTTP status {}", self.status.as_u16()))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The seconds of `Retry-After`.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let seconds = self.header(header::RETRY_AFTER.as_str())?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    fn judged(self, operation: &'static str) -> Result<Self, Error> {
        match self.failure(operation) {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// What the status says about the request as such, before it can say anything about what was asked for.
    fn failure(&self, operation: &'static str) -> Option<Error> {
        let status = self.status.as_u16();
        match status {
            429 => Some(Error::RateLimited {
                operation,
                retry_after: (self.manners.patience)(self).map(|time| time.min(MAX_RETRY_AFTER)),
            }),
            401 | 403 => Some(Error::Refused { operation, status }),
            500..=599 => Some(Error::ServerError { operation, status }),
            _ => None,
        }
    }
}

/// The URL of `segments` below another; every character with a meaning in URLs is escaped.
pub(super) fn below(url: &Url, segments: &[&str]) -> Url {
    let mut url = url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// A renamed repository is found by a redirect. One that leads elsewhere is not followed: the token stays with its host.
fn within_origin(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let previous = attempt.previous();
    let is_within = previous.first().is_some_and(|first| first.origin() == attempt.url().origin());
    match is_within && previous.len() <= MAX_REDIRECTS {
        true => attempt.follow(),
        false => attempt.stop(),
    }
}

/// The header that `scheme` makes of the token, without the white space around it, which a Secret made from a file often has.
pub(super) fn authorization(token: &SecretString, scheme: impl FnOnce(&str) -> String) -> Result<HeaderValue, Error> {
    let trimmed = token.expose_secret().trim();
    let header = match trimmed.is_empty() || !trimmed.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => None,
        false => HeaderValue::from_str(&scheme(trimmed)).ok(),
    };
    let mut header = header.ok_or_else(|| Error::Misconfigured {
        problem: "the token in the GitHost's credentials is empty or holds characters that no token has: check the Secret".to_owned(),
    })?;
    header.set_sensitive(true);
    Ok(header)
}

pub(super) fn unusable(operation: &'static str, problem: impl Into<String>) -> Error {
    Error::Unusable {
        operation,
        problem: problem.into(),
    }
}

/// What is wrong with a name in an answer; never the name.
pub(super) fn invalid(operation: &'static str) -> impl Fn(NameError) -> Error {
    move |error| unusable(operation, format!("a {} in it {}", error.kind, error.rule))
}
