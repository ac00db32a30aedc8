//! GitLab's REST interface: its ways.

use std::ops::Deref;
use std::time::Duration;

use http::header;
use jiff::Timestamp;
use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::githost::Error;
use crate::githost::rest::{Manners, Rest, authorization};

pub(super) use crate::githost::rest::{Answer, unusable};

const MANNERS: Manners = Manners {
    own_error: |answer, operation| answer.decode::<Problem>(operation).map(drop),
    patience,
    writes_follow: false,
};

/// The REST interface of one GitLab.
#[derive(Clone)]
pub(super) struct Api(Rest);

/// The body of GitLab's own error answers. That it is there tells them from those of a proxy.
#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "message")]
    _message: IgnoredAny,
}

impl Deref for Api {
    type Target = Rest;

    fn deref(&self) -> &Rest {
        &self.0
    }
}

impl Api {
    pub(super) fn connect(base: Url, token: Option<&SecretString>, timeout: Duration) -> Result<Self, Error> {
        let header = token
            .map(|token| authorization(token, |token| format!("Bearer {token}")))
            .transpose()?;
        Rest::connect(base, header, timeout, MANNERS).map(Self)
    }
}

/// Some of GitLab's limits say how long to wait, others only at what time they begin anew.
fn patience(answer: &Answer) -> Option<Duration> {
    let seconds = |name: &str| answer.header(name).and_then(|text| text.parse::<i64>().ok());
    let told = seconds(header::RETRY_AFTER.as_str());
    let reset = || seconds("ratelimit-reset").map(|at| at.saturating_sub(Timestamp::now().as_second()));
    let seconds = told.or_else(reset)?;
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}
