//! Bitbucket's REST interfaces: their ways, which both editions have in common.

use std::ops::Deref;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::ARCHIVE_TIMEOUT;
use crate::githost::Error;
use crate::githost::rest::{Answer, Manners, Rest, authorization};

pub(super) use crate::githost::rest::{invalid, unusable};

/// The most bytes of an archive as it is sent. It holds the whole repository at one commit.
const MAX_ARCHIVE: usize = 64 * 1024 * 1024;
const MANNERS: Manners = Manners {
    own_error: |answer, operation| answer.decode::<Problem>(operation).map(drop),
    patience: Answer::retry_after,
    writes_follow: false,
};

/// The REST interface of one Bitbucket.
#[derive(Clone)]
pub(super) struct Api(Rest);

/// The body of Bitbucket's own error answers: `error` at the Cloud, `errors` at a Data Center. It tells them from those of a proxy.
#[derive(Deserialize)]
#[serde(untagged)]
enum Problem {
    Cloud {
        #[serde(rename = "error")]
        _error: IgnoredAny,
    },
    Server {
        #[serde(rename = "errors")]
        _errors: Vec<IgnoredAny>,
    },
}

impl Deref for Api {
    type Target = Rest;

    fn deref(&self) -> &Rest {
        &self.0
    }
}

impl Api {
    pub(super) fn connect(base: Url, username: Option<&str>, token: Option<&SecretString>, timeout: Duration) -> Result<Self, Error> {
        let scheme = |token: &str| match username {
            Some(username) => format!("Basic {}", STANDARD.encode(format!("{}:{token}", username.trim()))),
            None => format!("Bearer {token}"),
        };
        let header = token.map(|token| authorization(token, scheme)).transpose()?;
        Rest::connect(base, header, timeout, MANNERS).map(Self)
    }

    /// As [`Rest::get`], for an archive, whatever its kind is called.
    pub(super) async fn archive(&self, operation: &'static str, url: Url) -> Result<Answer, Error> {
        let timeout = self.timeout().max(ARCHIVE_TIMEOUT);
        self.get_within(operation, url, "*/*", timeout, MAX_ARCHIVE).await
    }
}
