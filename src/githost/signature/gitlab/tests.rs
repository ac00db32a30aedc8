//! Which deliveries GitLab is believed to have sent.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use proptest::prelude::*;

use super::*;
use crate::domain::git::Provider;
use crate::githost::signature;

const BODY: &[u8] = br#"{"object_kind":"push"}"#;
const SENT: i64 = 1_790_000_000;
const DELIVERY: &str = "f5e5f430-f57b-4e6e-9fac-d9128cd7232f";
/// Base64 of `this is the key of thirty-2 bytes`.
const SIGNING_TOKEN: &str = "whsec_dGhpcyBpcyB0aGUga2V5IG9mIHRoaXJ0eS0yIGJ5dGVz";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn secret(text: &str) -> SecretString {
    text.to_owned().into()
}

/// As the sender makes it, from the key's own bytes.
fn sign(key: &[u8], id: &str, timestamp: &str, body: &[u8]) -> String {
    let content = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &content);
    format!("v1,{}", STANDARD.encode(tag))
}

fn ask(secret_text: &str, pairs: &[(&'static str, &str)], body: &[u8], now: i64) -> Result<(), SignatureError> {
    let now = Timestamp::from_second(now).unwrap();
    signature::verify(Provider::Gitlab, &secret(secret_text), &headers(pairs), body, now)
}

const KEY: &[u8] = b"this is the key of thirty-2 bytes";

#[test]
fn threat_t01_the_plain_token_opens_alone_once_and_exactly() {
    let ask = |pairs: &[(&'static str, &str)]| ask("s3cret", pairs, BODY, SENT);
    let hub = signature::sign(&secret("s3cret"), BODY);
    assert_eq!(ask(&[(TOKEN, "s3cret")]), Ok(()));
    assert_eq!(ask(&[]), Err(SignatureError::Missing));
    for (name, value) in [
        ("x-hub-signature-256", hub.as_str()),
        ("x-gitea-signature", &hub[7..]),
        ("authorization", "s3cret"),
    ] {
        assert_eq!(ask(&[(name, value)]), Err(SignatureError::Missing), "{name}");
    }
    for wrong in ["", "s3cre", "s3crets", "S3cret", "s3cret "] {
        assert_eq!(ask(&[(TOKEN, wrong)]), Err(SignatureError::Wrong), "{wrong:?}");
    }
    assert_eq!(ask(&[(TOKEN, "s3cret"), (TOKEN, "s3cret")]), Err(SignatureError::Malformed));
}

#[test]
fn threat_t06_a_signed_delivery_opens_within_five_minutes_of_its_time() {
    let time = SENT.to_string();
    let right = sign(KEY, DELIVERY, &time, BODY);
    let pairs = [(ID, DELIVERY), (TIMESTAMP, time.as_str()), (SIGNATURE, right.as_str())];
    for (now, expected) in [
        (SENT, Ok(())),
        (SENT + 300, Ok(())),
        (SENT - 300, Ok(())),
        (SENT + 301, Err(SignatureError::Stale)),
        (SENT - 301, Err(SignatureError::Stale)),
    ] {
        assert_eq!(ask(SIGNING_TOKEN, &pairs, BODY, now), expected, "{}", now - SENT);
    }
    let bare = SIGNING_TOKEN.trim_start_matches(PREFIX);
    assert_eq!(ask(bare, &pairs, BODY, SENT), Ok(()), "the prefix may be left out");
    let rotated = format!("{} v1a,abc {right}", sign(b"the old key", DELIVERY, &time, BODY));
    let pairs = [(ID, DELIVERY), (TIMESTAMP, time.as_str()), (SIGNATURE, rotated.as_str())];
    assert_eq!(ask(SIGNING_TOKEN, &pairs, BODY, SENT), Ok(()), "one of several is enough");
}

#[test]
fn threat_t01_where_signing_headers_are_there_the_plain_token_does_not_count() {
    let time = SENT.to_string();
    let right = sign(KEY, DELIVERY, &time, BODY);
    let token = (TOKEN, SIGNING_TOKEN);
    let (id, at, by) = ((ID, DELIVERY), (TIMESTAMP, time.as_str()), (SIGNATURE, right.as_str()));
    for pairs in [&[token, id][..], &[token, at], &[token, by], &[token, id, at], &[id, by], &[at, by]] {
        assert_eq!(ask(SIGNING_TOKEN, pairs, BODY, SENT), Err(SignatureError::Malformed), "{pairs:?}");
    }
    let other = sign(b"another key", DELIVERY, &time, BODY);
    assert_eq!(
        ask(SIGNING_TOKEN, &[token, id, at, (SIGNATURE, &other)], BODY, SENT),
        Err(SignatureError::Wrong)
    );
    let wrong_token = (TOKEN, "something else");
    assert_eq!(ask(SIGNING_TOKEN, &[wrong_token, id, at, by], BODY, SENT), Ok(()));
}

#[test]
fn threat_t03_identifier_time_and_body_are_all_signed() {
    let time = SENT.to_string();
    let later = (SENT + 1).to_string();
    let right = sign(KEY, DELIVERY, &time, BODY);
    let ask = |id: &str, time: &str, body: &[u8]| ask(SIGNING_TOKEN, &[(ID, id), (TIMESTAMP, time), (SIGNATURE, &right)], body, SENT);
    assert_eq!(ask(DELIVERY, &time, BODY), Ok(()));
    assert_eq!(ask("another", &time, BODY), Err(SignatureError::Wrong));
    assert_eq!(ask(DELIVERY, &later, BODY), Err(SignatureError::Wrong));
    assert_eq!(ask(DELIVERY, &time, b"{}"), Err(SignatureError::Wrong));
}

#[test]
fn threat_t01_what_has_not_the_form_of_a_signature_is_malformed() {
    let time = SENT.to_string();
    let right = sign(KEY, DELIVERY, &time, BODY);
    for signatures in [
        "",
        "v1,",
        "v1,!!!",
        "v1,AAAA",
        &right[3..],
        &right.replace("v1,", "v2,"),
        &right.replace("v1,", "sha256="),
    ] {
        let pairs = [(ID, DELIVERY), (TIMESTAMP, time.as_str()), (SIGNATURE, signatures)];
        assert_eq!(
            ask(SIGNING_TOKEN, &pairs, BODY, SENT),
            Err(SignatureError::Malformed),
            "{signatures:?}"
        );
    }
    for time in ["", "-1", "+1", "1e9", "soon", "99999999999999999999", "1790000000.5"] {
        let right = sign(KEY, DELIVERY, time, BODY);
        let pairs = [(ID, DELIVERY), (TIMESTAMP, time), (SIGNATURE, right.as_str())];
        assert_eq!(ask(SIGNING_TOKEN, &pairs, BODY, SENT), Err(SignatureError::Malformed), "{time:?}");
    }
}

#[test]
fn threat_t02_a_secret_that_is_no_key_verifies_nothing() {
    let time = SENT.to_string();
    for (token, key) in [
        ("", &b""[..]),
        (PREFIX, b""),
        ("whsec_not base64", b"not base64"),
        ("whsec_not base64", b""),
    ] {
        let made = hmac_of_anything(key, &time);
        let pairs = [(ID, DELIVERY), (TIMESTAMP, time.as_str()), (SIGNATURE, made.as_str())];
        assert_eq!(ask(token, &pairs, BODY, SENT), Err(SignatureError::Wrong), "{token:?}");
    }
    assert_eq!(ask("", &[(TOKEN, "")], BODY, SENT), Err(SignatureError::Wrong));
}

fn hmac_of_anything(key: &[u8], time: &str) -> String {
    sign(key, DELIVERY, time, BODY)
}

#[test]
fn threat_t06_no_error_shows_a_secret() {
    for error in [
        SignatureError::Missing,
        SignatureError::Malformed,
        SignatureError::Wrong,
        SignatureError::Stale,
    ] {
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
    let shown = format!("{:?}", secret("s3cret"));
    assert!(!shown.contains("s3cret"), "{shown}");
}

proptest! {
    #[test]
    fn threat_t01_no_headers_whatever_verify_without_the_secret(
        token in "[ -~]{0,60}", id in "[ -~]{0,40}", time in "[0-9]{0,12}", signatures in "(v1,)?[ -~]{0,90}", signs in any::<bool>(),
    ) {
        let pairs: Vec<(&'static str, &str)> = match signs {
            true => vec![(TOKEN, &token), (ID, &id), (TIMESTAMP, &time), (SIGNATURE, &signatures)],
            false => vec![(TOKEN, &token)],
        };
        prop_assert!(ask("a secret that nobody knows", &pairs, BODY, SENT).is_err());
    }
}
