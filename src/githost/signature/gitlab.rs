//! How GitLab proves that it sent a delivery: by a plain token in a header, or by a signing token over identifier, time and body.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};

use super::SignatureError;

/// The header with the plain token.
pub(super) const TOKEN: &str = "x-gitlab-token";
const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";
/// What precedes a signing token.
const PREFIX: &str = "whsec_";
/// What precedes each digest of the scheme that is known.
const VERSION: &[u8] = b"v1,";
/// How far the sender's clock may be from ours, and how long a delivery may be on its way.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// Where one of the signing headers is there, all of them count and the plain token does not: whoever takes one of them away gains nothing.
pub(super) fn verify(secret: &SecretString, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), SignatureError> {
    if secret.expose_secret().is_empty() {
        return Err(SignatureError::Wrong);
    }
    match [ID, TIMESTAMP, SIGNATURE].iter().any(|name| headers.contains_key(*name)) {
        true => signed(secret, headers, body, now),
        false => token(secret, headers),
    }
}

/// Compares digests, so that neither the content nor the length of the right token can be measured.
fn token(secret: &SecretString, headers: &HeaderMap) -> Result<(), SignatureError> {
    let claimed = one(headers, TOKEN, SignatureError::Missing)?;
    let secret = secret.expose_secret().as_bytes();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::verify(&key, secret, hmac::sign(&key, claimed).as_ref()).map_err(|_| SignatureError::Wrong)
}

fn signed(secret: &SecretString, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), SignatureError> {
    let [id, timestamp, signatures] = [ID, TIMESTAMP, SIGNATURE].map(|name| one(headers, name, SignatureError::Malformed));
    let (id, timestamp, signatures) = (id?, timestamp?, signatures?);
    let sent = sent_at(timestamp).ok_or(SignatureError::Malformed)?;
    let claimed: Vec<_> = signatures.split(|byte| *byte == b' ').filter_map(digest).collect();
    if claimed.is_empty() {
        return Err(SignatureError::Malformed);
    }
    let mut context = hmac::Context::with_key(&key(secret)?);
    for part in [id, b".", timestamp, b".", body] {
        context.update(part);
    }
    let right = context.sign();
    // While a token is being replaced there is one digest for the old and one for the new.
    let is_right = |claimed: &Vec<u8>| constant_time::verify_slices_are_equal(right.as_ref(), claimed).is_ok();
    match claimed.iter().any(is_right) {
        false => Err(SignatureError::Wrong),
        true if now.duration_since(sent).abs() > TOLERANCE => Err(SignatureError::Stale),
        true => Ok(()),
    }
}

/// GitLab's signing tokens are Base64 behind their prefix; without one, whatever is no Base64 counts as it stands.
fn key(secret: &SecretString) -> Result<hmac::Key, SignatureError> {
    let text = secret.expose_secret();
    let bytes = match text.strip_prefix(PREFIX) {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| SignatureError::Wrong)?,
        None => STANDARD.decode(text).unwrap_or_else(|_| text.as_bytes().to_vec()),
    };
    match bytes.is_empty() {
        true => Err(SignatureError::Wrong),
        false => Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
    }
}

fn sent_at(text: &[u8]) -> Option<Timestamp> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let seconds = std::str::from_utf8(text).ok().filter(|_| is_number)?.parse().ok()?;
    Timestamp::from_second(seconds).ok()
}

fn digest(signature: &[u8]) -> Option<Vec<u8>> {
    let encoded = signature.strip_prefix(VERSION)?;
    STANDARD.decode(encoded).ok().filter(|digest| digest.len() == 32)
}

fn one<'a>(headers: &'a HeaderMap, name: &str, missing: SignatureError) -> Result<&'a [u8], SignatureError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(missing)?;
    match values.next() {
        None => Ok(value.as_bytes()),
        Some(_) => Err(SignatureError::Malformed),
    }
}

#[cfg(test)]
mod tests;
