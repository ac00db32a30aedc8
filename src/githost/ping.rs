//! A delivery that says nothing, signed as a host signs: whether an endpoint is there and has the same secret.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::{Client, Url, redirect};
use secrecy::SecretString;

use super::{bitbucket, signature};
use crate::domain::git::Provider;

/// Graftling answers within milliseconds; what is in between may be slow.
const TIMEOUT: Duration = Duration::from_secs(15);
/// More of an answer is not read: graftling's own is a line.
const MAX_ANSWER: usize = 4096;
const BODY: &[u8] = b"{}";

/// An answer to a ping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pong {
    /// The HTTP status.
    pub status: u16,
    /// The first bytes of the body.
    pub words: String,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum PingError {
    /// The URL or the secret cannot be used.
    #[error("the delivery could not be prepared")]
    Prepare(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The exchange broke off, or did not begin.
    #[error("there is no answer")]
    Exchange(#[source] reqwest::Error),
}

/// Sends one signed delivery that says nothing. Redirects are not followed, as hosts do not follow them either.
///
/// # Errors
/// A [`PingError`]; any answer at all is a [`Pong`].
pub async fn ping(provider: Provider, url: &str, secret: &SecretString) -> Result<Pong, PingError> {
    let url = Url::parse(url).map_err(|error| PingError::Prepare(error.into()))?;
    let headers = headers(provider, secret).map_err(|error| PingError::Prepare(error.into()))?;
    let builder = Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none());
    let client = builder.build().map_err(|error| PingError::Prepare(error.into()))?;
    let exchange = |error: reqwest::Error| PingError::Exchange(error.without_url());
    let mut response = client.post(url).headers(headers).body(BODY).send().await.map_err(exchange)?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(exchange)? {
        body.extend_from_slice(&chunk);
        if body.len() >= MAX_ANSWER {
            break;
        }
    }
    body.truncate(MAX_ANSWER);
    let words = String::from_utf8_lossy(&body).into_owned();
    Ok(Pong { status, words })
}

fn headers(provider: Provider, secret: &SecretString) -> Result<HeaderMap, http::header::InvalidHeaderValue> {
    let mut headers = HeaderMap::new();
    let (name, value) = signature::signed(provider, secret, BODY);
    let mut value = HeaderValue::from_str(&value)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let event = match provider {
        Provider::Github => Some(("x-github-event", "ping")),
        Provider::Bitbucket => Some((bitbucket::payload::EVENT, bitbucket::payload::PING)),
        Provider::Git => Some(("x-graftling-event", "ping")),
        // They have no event that means nothing: the answer to a body without one proves the signature all the same.
        Provider::Gitlab | Provider::Gitea => None,
    };
    if let Some((name, event)) = event {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(event));
    }
    Ok(headers)
}
