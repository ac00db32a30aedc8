//! From a verified body to hints: what every provider's payload has in common.
//!
//! Only the fields that say where to look are read; whatever else a host sends, now or later, is skipped.

use http::{HeaderMap, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{bitbucket, gitea, github, gitlab, plain};
use crate::domain::event::{BranchHint, Delivery, DeliveryId, Happening, RepositoryHint};
use crate::domain::git::{BranchName, Provider};
use crate::domain::name::NameError;

/// Reads a delivery whose signature was verified.
///
/// # Guarantees
/// Never panics, whatever the bytes. An event or ref that does not concern environments is [`Delivery::Ignored`], not an error.
///
/// # Errors
/// A [`PayloadError`] when the event concerns branches but the body does not have the form that the provider promises.
pub fn parse(provider: Provider, headers: &HeaderMap, body: &[u8]) -> Result<Delivery, PayloadError> {
    match provider {
        Provider::Github => github::payload::parse(headers, body),
        Provider::Gitlab => gitlab::payload::parse(headers, body),
        Provider::Bitbucket => bitbucket::payload::parse(headers, body),
        Provider::Gitea => gitea::payload::parse(headers, body),
        Provider::Git => plain::payload::parse(headers, body),
    }
}

/// The sender's own identifier of this delivery, made safe for logs; empty when there is none.
pub fn delivery_id(provider: Provider, headers: &HeaderMap) -> DeliveryId {
    let name = match provider {
        Provider::Github => github::payload::DELIVERY,
        Provider::Gitlab => gitlab::payload::delivery_header(headers),
        Provider::Bitbucket => bitbucket::payload::delivery_header(headers),
        Provider::Gitea => gitea::payload::DELIVERY,
        Provider::Git => plain::payload::DELIVERY,
    };
    headers
        .get(name)
        .map(|value| DeliveryId::from_untrusted(&String::from_utf8_lossy(value.as_bytes())))
        .unwrap_or_default()
}

/// Why a verified body could not be read. The text never repeats the body.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// The header that names the event is missing or no text.
    #[error("the delivery has no {header} header that names its event")]
    ReadEvent {
        /// The header.
        header: &'static str,
    },
    /// The body is not sent as JSON.
    #[error("the delivery is not sent as JSON: choose the content type application/json at the Git host's webhook")]
    ReadContentType,
    /// The body is not UTF-8.
    #[error("the body is not valid UTF-8 from byte {position} on")]
    DecodeText {
        /// How many bytes are valid.
        position: usize,
    },
    /// The body is not JSON, or a field that is needed is missing or of another type.
    #[error("the body is not what a {event} event promises (line {line}, column {column})")]
    DecodeEvent {
        /// The event.
        event: &'static str,
        /// The line of the first problem, from 1.
        line: usize,
        /// The column of the first problem, from 1.
        column: usize,
    },
    /// A field has the right type but no meaning.
    #[error("the field {field} of the {event} event is not usable")]
    ReadField {
        /// The event.
        event: &'static str,
        /// The field's path.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// The body claims a format that this version does not know.
    #[error("the body has the format version {version}, but only version {supported} is known: install the hook again")]
    ReadVersion {
        /// What the body claims.
        version: u64,
        /// What is known.
        supported: u64,
    },
    /// One delivery speaks of too many refs.
    #[error("the body lists {count} refs, more than the limit of {limit}")]
    CountUpdates {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

impl PayloadError {
    /// The reason as a metric label, from a closed set.
    pub fn label(&self) -> &'static str {
        match self {
            Self::ReadEvent { .. } => "event",
            Self::ReadContentType => "content_type",
            Self::DecodeText { .. } => "utf8",
            Self::DecodeEvent { .. } => "json",
            Self::ReadField { .. } => "field",
            Self::ReadVersion { .. } => "version",
            Self::CountUpdates { .. } => "too_many",
        }
    }
}

/// The event's name in `header`.
pub(super) fn event_name<'a>(headers: &'a HeaderMap, header: &'static str) -> Result<&'a str, PayloadError> {
    headers
        .get(header)
        .and_then(|value| value.to_str().ok())
        .ok_or(PayloadError::ReadEvent { header })
}

/// Decodes the fields of `T` from a JSON body and skips all others.
///
/// The whole body must be UTF-8, also where no field is read. The nesting that is followed is bounded by `T`; skipped values are
/// passed over without recursion.
pub(super) fn decode<T: DeserializeOwned>(event: &'static str, headers: &HeaderMap, body: &[u8]) -> Result<T, PayloadError> {
    if let Some(kind) = headers.get(header::CONTENT_TYPE)
        && kind.as_bytes().starts_with(b"application/x-www-form-urlencoded")
    {
        return Err(PayloadError::ReadContentType);
    }
    let text = std::str::from_utf8(body).map_err(|error| PayloadError::DecodeText {
        position: error.valid_up_to(),
    })?;
    serde_json::from_str(text).map_err(|error| PayloadError::DecodeEvent {
        event,
        line: error.line(),
        column: error.column(),
    })
}

/// The hint about one branch, unless no environment can ever belong to it.
pub(super) fn hint(repository: RepositoryHint, branch: Result<BranchName, NameError>, happening: Happening) -> Delivery {
    match branch {
        Ok(branch) => Delivery::Hints(vec![BranchHint {
            repository,
            branch,
            happening,
        }]),
        Err(_) => Delivery::Ignored("a branch whose name is not supported"),
    }
}

/// A repository as GitHub writes it, and Gitea after it.
#[derive(Deserialize)]
pub(super) struct NamedRepository {
    pub(super) id: u64,
    full_name: String,
}

/// The payload of `create` and `delete` at GitHub and Gitea, whose ref is a short name.
#[derive(Deserialize)]
pub(super) struct NamedReference {
    r#ref: String,
    ref_type: String,
    repository: NamedRepository,
}

impl NamedRepository {
    pub(super) fn hint(&self, event: &'static str) -> Result<RepositoryHint, PayloadError> {
        let refuse = |field| move |source| PayloadError::ReadField { event, field, source };
        Ok(RepositoryHint {
            id: Some(self.id.to_string().parse().map_err(refuse("repository.id"))?),
            name: self.full_name.parse().map_err(refuse("repository.full_name"))?,
        })
    }
}

impl NamedReference {
    pub(super) fn read(&self, event: &'static str, happening: Happening) -> Result<Delivery, PayloadError> {
        let repository = self.repository.hint(event)?;
        if self.ref_type != "branch" {
            return Ok(Delivery::Ignored("a ref that is no branch"));
        }
        Ok(hint(repository, self.r#ref.parse(), happening))
    }
}
