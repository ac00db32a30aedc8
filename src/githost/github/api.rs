//! One request to GitHub's REST interface, and what its answer is worth.

mod write;

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use octocrab::Octocrab;
use octocrab::service::middleware::retry::RetryConfig;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use crate::githost::Error;
use crate::githost::budget::Budget;
use crate::githost::conditional::Remembered;
pub(super) use crate::githost::rest::unusable;

use super::Settings;

/// A page of a hundred pull requests with the longest bodies that GitHub allows stays below.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
/// GitHub's limits start anew every hour.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The REST interface of one GitHub.
#[derive(Clone)]
pub(super) struct Api {
    client: Octocrab,
    base: Url,
    timeout: Duration,
    budget: Budget,
    has_token: bool,
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Api {
    pub(super) fn connect(base: Url, settings: &Settings) -> Result<Self, Error> {
        let timeout = settings.request_timeout;
        let misconfigured = |error: octocrab::Error| Error::Misconfigured {
            problem: format!("could not prepare the connection to {base}: {error}"),
        };
        let builder = Octocrab::builder()
            .base_uri(base.as_str())
            .map_err(misconfigured)?
            .add_retry_config(RetryConfig::None)
            .set_connect_timeout(Some(timeout))
            .add_header(header::ACCEPT, "application/vnd.github+json".to_owned());
        let client = match (&settings.app, &settings.token) {
            (Some(app), _) => app.client(|id, key| builder.app(id, key).build().map_err(misconfigured))?,
            (None, Some(token)) => builder.personal_token(header_safe(token)?).build().map_err(misconfigured)?,
            (None, None) => builder.build().map_err(misconfigured)?,
        };
        Ok(Self {
            client,
            base,
            timeout,
            budget: Budget::default(),
            has_token: settings.token.is_some() || settings.app.is_some(),
        })
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// Whether requests are an account's.
    pub(super) fn has_token(&self) -> bool {
        self.has_token
    }

    /// What is left of the requests that the token has.
    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The URL of `segments` below the interface's own; every character with a meaning in URLs is escaped.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Asks once, follows redirects, and reads the whole body.
    ///
    /// # Errors
    /// Whatever the request's own status cannot mean: no answer, refused credentials, a rate limit, a server error.
    pub(super) async fn get(&self, operation: &'static str, url: Url) -> Result<Answer, Error> {
        self.get_within(operation, url, self.timeout, MAX_BODY_BYTES).await
    }

    /// As [`Api::get`], with a body of at most `limit` bytes in at most `timeout`.
    pub(super) async fn get_within(&self, operation: &'static str, url: Url, timeout: Duration, limit: usize) -> Result<Answer, Error> {
        self.bounded(operation, timeout, self.exchange(operation, url, HeaderMap::new(), limit))
            .await
    }

    /// As [`Api::get`], but asks only whether something else is there now than what is remembered, and what.
    pub(super) async fn get_if_changed<T>(
        &self,
        operation: &'static str,
        url: &Url,
        remembered: &Remembered<T>,
        read: impl FnOnce(&Answer) -> Result<T, Error>,
    ) -> Result<Arc<T>, Error> {
        let known = remembered.get(url);
        let validator = known.iter().map(|known| (header::IF_NONE_MATCH, known.validator.clone()));
        let exchange = self.exchange(operation, url.clone(), validator.collect(), MAX_BODY_BYTES);
        let answer = self.bounded(operation, self.timeout, exchange).await?;
        match known {
            Some(known) if answer.status == StatusCode::NOT_MODIFIED => Ok(known.value),
            _ => {
                let value = Arc::new(read(&answer)?);
                remembered.put(url, answer.headers.get(header::ETAG), &value);
                Ok(value)
            }
        }
    }

    async fn bounded(
        &self,
        operation: &'static str,
        timeout: Duration,
        exchange: impl Future<Output = Result<Answer, Error>>,
    ) -> Result<Answer, Error> {
        let answer = tokio::time::timeout(timeout, exchange)
            .await
            .map_err(|_| unreachable(operation, io::Error::from(io::ErrorKind::TimedOut)))??;
        self.budget.observe(&answer.headers);
        match answer.failure(operation) {
            Some(error) => Err(error),
            None => Ok(answer),
        }
    }

    async fn exchange(&self, operation: &'static str, url: Url, headers: HeaderMap, limit: usize) -> Result<Answer, Error> {
        let response = self
            .client
            ._get_with_headers(relative(&url), Some(headers))
            .await
            .map_err(|error| unanswered(operation, error))?;
        Answer::read(operation, response, limit).await
    }
}

impl Answer {
    /// Reads the whole body.
    async fn read<B>(operation: &'static str, response: http::Response<B>, limit: usize) -> Result<Self, Error>
    where
        B: BodyExt<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    {
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, limit)
            .collect()
            .await
            .map_err(|source| match source.is::<LengthLimitError>() {
                true => unusable(operation, format!("it has more than {} MiB", limit / 1024 / 1024)),
                false => Error::Unreachable { operation, source },
            })?;
        Ok(Self {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes().to_vec(),
        })
    }

    /// The body as what the interface promises; a page of HTML, a truncated or an empty body are errors.
    pub(super) fn decode<T: DeserializeOwned>(&self, operation: &'static str) -> Result<T, Error> {
        let kind = self.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        if !kind.starts_with("application/json") && !kind.starts_with("application/vnd.github") {
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

    /// Whether GitHub's own words in the body hold these.
    pub(super) fn says(&self, words: &str) -> bool {
        String::from_utf8_lossy(&self.body).contains(words)
    }

    /// The body as it came.
    pub(super) fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// The error for a status that no step of the operation expects.
    pub(super) fn unexpected(&self, operation: &'static str) -> Error {
        unusable(operation, format!("HTTP status {}", self.status.as_u16()))
    }

    /// What the status says about the request as such, before it can say anything about what was asked for.
    fn failure(&self, operation: &'static str) -> Option<Error> {
        let status = self.status.as_u16();
        match status {
            429 => Some(self.rate_limited(operation)),
            403 if self.is_rate_limit() => Some(self.rate_limited(operation)),
            401 | 403 => Some(Error::Refused { operation, status }),
            500..=599 => Some(Error::ServerError { operation, status }),
            _ => None,
        }
    }

    /// Whether a 403 is one of GitHub's two rate limits, of which the secondary one may come without headers.
    fn is_rate_limit(&self) -> bool {
        self.header("x-ratelimit-remaining") == Some("0")
            || self.headers.contains_key(header::RETRY_AFTER)
            || String::from_utf8_lossy(&self.body).contains("secondary rate limit")
    }

    fn rate_limited(&self, operation: &'static str) -> Error {
        let seconds = |name: &str| self.header(name).and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let until_reset = || {
            let reset = UNIX_EPOCH.checked_add(seconds("x-ratelimit-reset")?)?;
            Some(reset.duration_since(SystemTime::now()).unwrap_or_default())
        };
        let retry_after = seconds(header::RETRY_AFTER.as_str()).or_else(until_reset);
        Error::RateLimited {
            operation,
            retry_after: retry_after.map(|time| time.min(MAX_RETRY_AFTER)),
        }
    }

    /// The target of `rel="next"` in the Link header (RFC 8288).
    pub(super) fn next_link(&self) -> Option<&str> {
        let links = self.header(header::LINK.as_str())?;
        links.split('<').skip(1).find_map(|link| {
            let (target, parameters) = link.split_once('>')?;
            let mut parameters = parameters.split([';', ',']).map(str::trim);
            parameters
                .any(|parameter| matches!(parameter, "rel=\"next\"" | "rel=next"))
                .then_some(target)
        })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The token without the white space around it, which a Secret made from a file often has.
fn header_safe(token: &SecretString) -> Result<SecretString, Error> {
    let trimmed = token.expose_secret().trim();
    if trimmed.is_empty() || !trimmed.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::Misconfigured {
            problem: "the token in the GitHost's credentials is empty or holds characters that no token has: check the Secret".to_owned(),
        });
    }
    Ok(trimmed.to_owned().into())
}

/// A URL of the interface without its host: octocrab gives an App's token to no host that is named, but for GitHub's own.
fn relative(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

/// Why a request got no answer of its own: nothing came, or GitHub gave no token for it to an App.
fn unanswered(operation: &'static str, error: octocrab::Error) -> Error {
    match &error {
        octocrab::Error::GitHub { source, .. } => match source.status_code.as_u16() {
            status @ (401 | 403 | 404) => Error::Refused { operation, status },
            status => Error::ServerError { operation, status },
        },
        _ => unreachable(operation, error),
    }
}

fn unreachable(operation: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Unreachable {
        operation,
        source: Box::new(source),
    }
}
