//! Sends webhook deliveries as a Git host does: over HTTP, signed over the exact bytes of the body.

mod comment;
pub mod github;

use std::time::Duration;

use aws_lc_rs::hmac;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::{crypto, random};

/// GitHub gives up after 10 s; so do we.
const DELIVERY_LIMIT: Duration = Duration::from_secs(10);

/// Why a delivery got no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The HTTP client could not be made.
    #[error("cannot make an HTTP client")]
    MakeClient(#[source] reqwest::Error),
    /// A header cannot be sent as it is.
    #[error("cannot send header {name}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        #[source]
        source: http::Error,
    },
    /// No complete answer came.
    #[error("cannot deliver to {url}")]
    Deliver {
        /// Where to.
        url: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
}

/// What the receiver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The body, as text.
    pub body: String,
}

/// A webhook as configured at GitHub: where deliveries go, and the secret they are signed with.
#[derive(Clone)]
pub struct Sender {
    client: reqwest::Client,
    url: String,
    secret: Vec<u8>,
}

impl Sender {
    /// Deliveries to `url`, signed with `secret` as GitHub signs them.
    pub fn github(url: impl Into<String>, secret: impl Into<Vec<u8>>) -> Result<Sender, Error> {
        Ok(Sender {
            client: client()?,
            url: url.into(),
            secret: secret.into(),
        })
    }

    /// Delivers `payload` as `event`, such as `push`, under a delivery id never used before.
    pub async fn send(&self, event: &str, payload: &serde_json::Value) -> Result<Response, Error> {
        self.send_as(event, &delivery_id(), payload.to_string().as_bytes()).await
    }

    /// Delivers any bytes under any delivery id, for instance once more as GitHub does on redelivery.
    pub async fn send_as(&self, event: &str, delivery: &str, body: &[u8]) -> Result<Response, Error> {
        let signature = signature(&self.secret, body);
        let headers = [
            ("user-agent", "GitHub-Hookshot/testbed"),
            ("content-type", "application/json"),
            ("x-github-event", event),
            ("x-github-delivery", delivery),
            ("x-hub-signature-256", &signature),
        ];
        deliver(&self.client, &self.url, &headers, body.to_vec()).await
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sender").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Posts exactly these headers and bytes, for deliveries that no host would send.
pub async fn post(url: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Result<Response, Error> {
    deliver(&client()?, url, headers, body.into()).await
}

/// The value of `X-Hub-Signature-256`: `sha256=` and the HMAC of the body in hexadecimal digits.
pub fn signature(secret: &[u8], body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), body);
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}

/// A new delivery id, shaped like a UUID.
pub fn delivery_id() -> String {
    let digits = random::hex::<16>();
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    parts.join("-")
}

fn client() -> Result<reqwest::Client, Error> {
    crypto::install();
    reqwest::Client::builder()
        .no_proxy()
        .timeout(DELIVERY_LIMIT)
        .build()
        .map_err(Error::MakeClient)
}

async fn deliver(client: &reqwest::Client, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Response, Error> {
    let failed = |source| Error::Deliver {
        url: url.to_owned(),
        source,
    };
    let request = client.post(url).headers(header_map(headers)?).body(body);
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let body = response.text().await.map_err(failed)?;
    Ok(Response { status, body })
}

fn header_map(headers: &[(&str, &str)]) -> Result<HeaderMap, Error> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let header = |source| Error::Header {
            name: (*name).to_owned(),
            source,
        };
        let key: HeaderName = name
            .parse()
            .map_err(|error: http::header::InvalidHeaderName| header(error.into()))?;
        let value: HeaderValue = value
            .parse()
            .map_err(|error: http::header::InvalidHeaderValue| header(error.into()))?;
        map.append(key, value);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_agrees_with_the_vector_that_github_publishes() {
        let signature = signature(b"It's a Secret to Everybody", b"Hello, World!");
        assert_eq!(signature, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    }

    #[test]
    fn delivery_ids_look_like_uuids_and_differ() {
        let id = delivery_id();
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_ne!(id, delivery_id());
    }

    #[test]
    fn the_secret_is_not_shown() {
        let sender = Sender::github("http://127.0.0.1:1/", "hunter2").expect("a client");
        assert!(!format!("{sender:?}").contains("hunter2"));
    }
}
