//! The signature of a webhook delivery: HMAC-SHA256 over the raw bytes of its body, or what a provider has instead.

mod gitlab;

use aws_lc_rs::hmac;
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::domain::git::Provider;

/// What precedes the digits in the signature's header of GitHub, of Bitbucket and of our own hook.
const SCHEME: &str = "sha256=";

/// Proves that `body` was sent by somebody who holds `secret`, and `now`, where the provider signs a time.
///
/// # Guarantees
/// Nothing but the provider's own header is looked at, exactly one of it is accepted, and digests are compared in constant time. An empty
/// secret verifies nothing, so that a Secret that was emptied by mistake closes the endpoint instead of opening it.
pub fn verify(provider: Provider, secret: &SecretString, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), SignatureError> {
    if provider == Provider::Gitlab {
        return gitlab::verify(secret, headers, body, now);
    }
    let claimed = claimed_digest(headers, &header_that_counts(provider, headers), scheme(provider))?;
    if secret.expose_secret().is_empty() {
        return Err(SignatureError::Wrong);
    }
    hmac::verify(&key(secret), body, &claimed).map_err(|_| SignatureError::Wrong)
}

/// Signs `body` the way [`verify`] expects: `sha256=` and 64 lower-case hexadecimal digits.
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    let tag = hmac::sign(&key(secret), body);
    tag.as_ref()
        .iter()
        .fold(SCHEME.to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// The header with which `provider` itself would sign `body`, and its value: at GitLab the secret as it is.
pub fn signed(provider: Provider, secret: &SecretString, body: &[u8]) -> (HeaderName, String) {
    if provider == Provider::Gitlab {
        return (header_name(provider), secret.expose_secret().to_owned());
    }
    let digits = sign(secret, body).split_off(SCHEME.len());
    (header_name(provider), format!("{}{digits}", scheme(provider)))
}

/// The header in which `provider` sends its signature. Names are not interchangeable: a right digest in another's header proves nothing.
pub fn header_name(provider: Provider) -> HeaderName {
    HeaderName::from_static(match provider {
        Provider::Github => "x-hub-signature-256",
        Provider::Gitlab => gitlab::TOKEN,
        Provider::Bitbucket => "x-hub-signature",
        Provider::Gitea => "x-gitea-signature",
        Provider::Git => "x-graftling-signature-256",
    })
}

/// Why a delivery's signature was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature in the provider's header.
    #[error("the delivery bears no signature in the provider's header; set the same secret at the Git host and in the GitHost's Secret")]
    Missing,
    /// The header does not hold the provider's scheme and 64 hexadecimal digits, once.
    #[error("the delivery's signature does not have the provider's form: 64 hexadecimal digits, after sha256= at GitHub and Bitbucket")]
    Malformed,
    /// The signature belongs to another body or another secret.
    #[error("the delivery's signature does not match its body and the GitHost's secret")]
    Wrong,
    /// The signature is right, and too far from now.
    #[error("the delivery was signed more than five minutes ago or ahead: are both clocks right?")]
    Stale,
}

impl SignatureError {
    /// The reason as a metric label, from a closed set.
    pub fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Wrong => "wrong",
            Self::Stale => "stale",
        }
    }
}

fn key(secret: &SecretString) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes())
}

/// Forgejo has a name of its own for the same digest. It counts where Gitea's is missing.
fn header_that_counts(provider: Provider, headers: &HeaderMap) -> HeaderName {
    let own = header_name(provider);
    let forgejo = HeaderName::from_static("x-forgejo-signature");
    match provider == Provider::Gitea && !headers.contains_key(&own) && headers.contains_key(&forgejo) {
        true => forgejo,
        false => own,
    }
}

/// What precedes the digits. Gitea sends them bare, and GitLab none.
fn scheme(provider: Provider) -> &'static str {
    match provider {
        Provider::Github | Provider::Bitbucket | Provider::Git => SCHEME,
        Provider::Gitea | Provider::Gitlab => "",
    }
}

fn claimed_digest(headers: &HeaderMap, name: &HeaderName, scheme: &str) -> Result<[u8; 32], SignatureError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(SignatureError::Missing)?;
    if values.next().is_some() {
        return Err(SignatureError::Malformed);
    }
    let digits = value.as_bytes().strip_prefix(scheme.as_bytes()).ok_or(SignatureError::Malformed)?;
    decode_hex(digits).ok_or(SignatureError::Malformed)
}

fn decode_hex(digits: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
