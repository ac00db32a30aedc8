//! One request to GitHub's REST interface, and what its answer is worth.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use octocrab::Octocrab;
use octocrab::service::middleware::retry::RetryConfig;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use crate::domain::git::RepositoryName;
use crate::githost::Error;

/// The most that GitHub gives.
const PAGE_SIZE: usize = 100;
/// A repository with more branches or pull requests than this many pages is refused rather than cut.
const MAX_PAGES: usize = 200;
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
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Api {
    pub(super) fn connect(base: Url, token: Option<&SecretString>, timeout: Duration) -> Result<Self, Error> {
        let misconfigured = |error: octocrab::Error| Error::Misconfigured {
            problem: format!("could not prepare the connection to {base}: {error}"),
        };
        let mut builder = Octocrab::builder()
            .base_uri(base.as_str())
            .map_err(misconfigured)?
            .add_retry_config(RetryConfig::None)
            .set_connect_timeout(Some(timeout))
            .add_header(header::ACCEPT, "application/vnd.github+json".to_owned());
        if let Some(token) = token {
            builder = builder.personal_token(header_safe(token)?);
        }
        let client = builder.build().map_err(misconfigured)?;
        Ok(Self { client, base, timeout })
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
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
        let answer = tokio::time::timeout(timeout, self.exchange(operation, url, limit))
            .await
            .map_err(|_| unreachable(operation, io::Error::from(io::ErrorKind::TimedOut)))??;
        match answer.failure(operation) {
            Some(error) => Err(error),
            None => Ok(answer),
        }
    }

    /// The items of all pages that begin with `first`.
    ///
    /// # Errors
    /// Besides those of [`Api::get`], [`Error::Unusable`] when there are more than [`MAX_PAGES`] or when a link leads elsewhere.
    pub(super) async fn all_pages<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        mut first: Url,
        repository: &RepositoryName,
    ) -> Result<Vec<T>, Error> {
        first.query_pairs_mut().append_pair("per_page", &PAGE_SIZE.to_string());
        let mut items = Vec::new();
        let mut next = Some(first.clone());
        for number in 1..=MAX_PAGES {
            let Some(url) = next else { return Ok(items) };
            let answer = self.get(operation, url).await?;
            let page: Vec<T> = match answer.status {
                StatusCode::OK => answer.decode(operation)?,
                StatusCode::NOT_FOUND => {
                    return Err(Error::RepositoryNotFound {
                        operation,
                        repository: repository.clone(),
                    });
                }
                _ => return Err(answer.unexpected(operation)),
            };
            next = self.next_page(operation, &answer, &first, number, page.len())?;
            items.extend(page);
        }
        match next {
            None => Ok(items),
            Some(_) => Err(unusable(operation, format!("there are more than {MAX_PAGES} pages of {PAGE_SIZE}"))),
        }
    }

    /// Where the next page is. A full page without a link is not trusted to be the last: the page after it is asked for by its number.
    fn next_page(&self, operation: &'static str, answer: &Answer, first: &Url, number: usize, length: usize) -> Result<Option<Url>, Error> {
        match answer.next_link() {
            Some(link) => {
                let url = Url::parse(link).map_err(|_| unusable(operation, "the link to the next page is no URL"))?;
                if url.origin() != self.base.origin() {
                    return Err(unusable(operation, "the link to the next page leads to another host"));
                }
                Ok(Some(url))
            }
            None if length >= PAGE_SIZE => {
                let mut url = first.clone();
                url.query_pairs_mut().append_pair("page", &(number + 1).to_string());
                Ok(Some(url))
            }
            None => Ok(None),
        }
    }

    async fn exchange(&self, operation: &'static str, url: Url, limit: usize) -> Result<Answer, Error> {
        let response = self
            .client
            ._get(url.as_str())
            .await
            .map_err(|error| unreachable(operation, error))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, limit)
            .collect()
            .await
            .map_err(|source| match source.is::<LengthLimitError>() {
                true => unusable(operation, format!("it has more than {} MiB", limit / 1024 / 1024)),
                false => Error::Unreachable { operation, source },
            })?;
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes().to_vec(),
        })
    }
}

impl Answer {
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

fn unreachable(operation: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Unreachable {
        operation,
        source: Box::new(source),
    }
}

fn unusable(operation: &'static str, problem: impl Into<String>) -> Error {
    Error::Unusable {
        operation,
        problem: problem.into(),
    }
}
