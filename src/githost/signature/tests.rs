//! Which signatures open the door, and which do not.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use proptest::prelude::*;

use super::*;

const BODY: &[u8] = br#"{"ref":"refs/heads/main","deleted":false}"#;

/// Headers by name and value.
type Pairs<'a> = &'a [(&'static str, &'a str)];

/// For providers that sign no time.
fn verify(provider: Provider, secret: &SecretString, headers: &HeaderMap, body: &[u8]) -> Result<(), SignatureError> {
    super::verify(provider, secret, headers, body, Timestamp::UNIX_EPOCH)
}

fn secret(text: &str) -> SecretString {
    text.to_owned().into()
}

fn headers(pairs: Pairs<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn signed(provider: Provider, text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header_name(provider), text.parse().unwrap());
    headers
}

/// A digest as `provider` sends it.
fn digest(provider: Provider, secret: &SecretString, body: &[u8]) -> String {
    let text = sign(secret, body);
    match provider {
        Provider::Gitea => text.trim_start_matches(SCHEME).to_owned(),
        Provider::Github | Provider::Bitbucket | Provider::Git => text,
        Provider::Gitlab => secret.expose_secret().to_owned(),
    }
}

/// The example that GitHub's documentation gives for testing an implementation.
#[test]
fn the_example_of_githubs_documentation_verifies() {
    let documented = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let secret = secret("It's a Secret to Everybody");
    assert_eq!(sign(&secret, b"Hello, World!"), documented);
    let headers = headers(&[("x-hub-signature-256", documented)]);
    assert_eq!(verify(Provider::Github, &secret, &headers, b"Hello, World!"), Ok(()));
}

#[test]
fn threat_t01_only_the_right_digest_in_the_providers_own_header_opens() {
    let secret = secret("s3cret");
    let right = sign(&secret, BODY);
    let truncated = &right[..right.len() - 2];
    let longer = format!("{right}00");
    let bare = right.trim_start_matches(SCHEME);
    let other = sign(&self::secret("another"), BODY);
    let sha1 = "sha1=2fd4e1c67a2d28fced849ee1bb76e7391b93eb12";
    let no_hex = format!("{SCHEME}{}", "g".repeat(64));
    let sha512 = right.replace("sha256=", "sha512=");
    for provider in [Provider::Github, Provider::Git] {
        let own = match provider {
            Provider::Github => "x-hub-signature-256",
            _ => "x-graftling-signature-256",
        };
        let foreign = match provider {
            Provider::Github => "x-graftling-signature-256",
            _ => "x-hub-signature-256",
        };
        let cases: [(Pairs<'_>, Result<(), SignatureError>); 14] = [
            (&[(own, &right)], Ok(())),
            (&[], Err(SignatureError::Missing)),
            (&[(foreign, &right)], Err(SignatureError::Missing)),
            (&[("x-hub-signature", sha1)], Err(SignatureError::Missing)),
            (&[("x-gitea-signature", bare)], Err(SignatureError::Missing)),
            (&[(own, "")], Err(SignatureError::Malformed)),
            (&[(own, SCHEME)], Err(SignatureError::Malformed)),
            (&[(own, sha1)], Err(SignatureError::Malformed)),
            (&[(own, bare)], Err(SignatureError::Malformed)),
            (&[(own, truncated)], Err(SignatureError::Malformed)),
            (&[(own, &longer)], Err(SignatureError::Malformed)),
            (&[(own, &no_hex), ("x-hub-signature", sha1)], Err(SignatureError::Malformed)),
            (&[(own, &right), (own, &right)], Err(SignatureError::Malformed)),
            (&[(own, &other)], Err(SignatureError::Wrong)),
        ];
        for (pairs, expected) in cases {
            assert_eq!(verify(provider, &secret, &headers(pairs), BODY), expected, "{provider}: {pairs:?}");
        }
        assert_eq!(
            verify(provider, &secret, &signed(provider, &sha512), BODY),
            Err(SignatureError::Malformed)
        );
    }
}

#[test]
fn threat_t01_gitea_and_forgejo_sign_with_bare_digits_and_what_they_send_for_others_does_not_count() {
    let secret = secret("s3cret");
    let right = digest(Provider::Gitea, &secret, BODY);
    let prefixed = sign(&secret, BODY);
    let other = digest(Provider::Gitea, &self::secret("another"), BODY);
    let own = "x-gitea-signature";
    let cases: [(Pairs<'_>, Result<(), SignatureError>); 12] = [
        (&[(own, &right)], Ok(())),
        (&[("x-forgejo-signature", &right)], Ok(())),
        (&[("x-forgejo-signature", &other)], Err(SignatureError::Wrong)),
        (&[(own, &other), ("x-forgejo-signature", &right)], Err(SignatureError::Wrong)),
        (
            &[(own, &right), ("x-forgejo-signature", &right), ("x-hub-signature-256", &prefixed)],
            Ok(()),
        ),
        (&[("x-hub-signature-256", &prefixed)], Err(SignatureError::Missing)),
        (&[("x-gogs-signature", &right)], Err(SignatureError::Missing)),
        (&[(own, "")], Err(SignatureError::Malformed)),
        (&[(own, &prefixed)], Err(SignatureError::Malformed)),
        (&[(own, &right[..62])], Err(SignatureError::Malformed)),
        (&[(own, &right), (own, &right)], Err(SignatureError::Malformed)),
        (&[(own, &other)], Err(SignatureError::Wrong)),
    ];
    for (pairs, expected) in cases {
        assert_eq!(verify(Provider::Gitea, &secret, &headers(pairs), BODY), expected, "{pairs:?}");
    }
}

#[test]
fn threat_t01_bitbucket_signs_in_the_header_that_github_has_for_another_digest() {
    let secret = secret("s3cret");
    let right = sign(&secret, BODY);
    let bare = right.trim_start_matches(SCHEME);
    let other = sign(&self::secret("another"), BODY);
    let own = "x-hub-signature";
    let sha1 = format!("sha1={}", &bare[..40]);
    let cases: [(Pairs<'_>, Result<(), SignatureError>); 11] = [
        (&[(own, &right)], Ok(())),
        (&[], Err(SignatureError::Missing)),
        (&[("x-hub-signature-256", &right)], Err(SignatureError::Missing)),
        (&[("x-hub-signature-256", &right), (own, &other)], Err(SignatureError::Wrong)),
        (&[("x-gitea-signature", bare)], Err(SignatureError::Missing)),
        (&[(own, "")], Err(SignatureError::Malformed)),
        (&[(own, bare)], Err(SignatureError::Malformed)),
        (&[(own, &sha1)], Err(SignatureError::Malformed)),
        (&[(own, &right[..right.len() - 2])], Err(SignatureError::Malformed)),
        (&[(own, &right), (own, &right)], Err(SignatureError::Malformed)),
        (&[(own, &other)], Err(SignatureError::Wrong)),
    ];
    for (pairs, expected) in cases {
        assert_eq!(verify(Provider::Bitbucket, &secret, &headers(pairs), BODY), expected, "{pairs:?}");
    }
}

#[test]
fn threat_t03_a_body_of_bitbuckets_that_was_written_again_does_not_verify() {
    let secret = secret("s3cret");
    let headers = signed(Provider::Bitbucket, &sign(&secret, b"{\"a\": 1}"));
    assert_eq!(verify(Provider::Bitbucket, &secret, &headers, b"{\"a\": 1}"), Ok(()));
    assert_eq!(
        verify(Provider::Bitbucket, &secret, &headers, b"{\"a\":1}"),
        Err(SignatureError::Wrong)
    );
}

#[test]
fn threat_t01_a_header_that_is_no_text_is_malformed() {
    let mut headers = HeaderMap::new();
    headers.insert("x-hub-signature-256", http::HeaderValue::from_bytes(b"sha256=\xff\xfe").unwrap());
    assert_eq!(
        verify(Provider::Github, &secret("s3cret"), &headers, BODY),
        Err(SignatureError::Malformed)
    );
}

#[test]
fn threat_t02_an_empty_secret_verifies_nothing_not_even_its_own_signature() {
    for provider in Provider::ALL {
        let headers = signed(provider, &digest(provider, &secret(""), BODY));
        assert_eq!(verify(provider, &secret(""), &headers, BODY), Err(SignatureError::Wrong));
    }
}

#[test]
fn threat_t03_json_that_was_serialised_again_does_not_verify() {
    let secret = secret("s3cret");
    let headers = signed(Provider::Github, &sign(&secret, b"{\"a\": 1,\"b\":2}"));
    let value: serde_json::Value = serde_json::from_slice(b"{\"a\": 1,\"b\":2}").unwrap();
    let again = serde_json::to_vec(&value).unwrap();
    assert_eq!(verify(Provider::Github, &secret, &headers, &again), Err(SignatureError::Wrong));
}

#[test]
fn every_reason_has_a_label_of_its_own() {
    let all = [
        SignatureError::Missing,
        SignatureError::Malformed,
        SignatureError::Wrong,
        SignatureError::Stale,
    ];
    assert_eq!(all.map(SignatureError::label), ["missing", "malformed", "wrong", "stale"]);
}

proptest! {
    #[test]
    fn threat_t03_a_body_with_one_flipped_bit_does_not_verify(
        body in proptest::collection::vec(any::<u8>(), 1..300),
        position in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let secret = secret("s3cret");
        let headers = signed(Provider::Git, &sign(&secret, &body));
        prop_assert_eq!(verify(Provider::Git, &secret, &headers, &body), Ok(()));
        let mut flipped = body.clone();
        flipped[position.index(body.len())] ^= 1 << bit;
        prop_assert_eq!(verify(Provider::Git, &secret, &headers, &flipped), Err(SignatureError::Wrong));
    }

    #[test]
    fn threat_t01_no_header_value_whatever_verifies_without_the_secret(value in proptest::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(value) = http::HeaderValue::from_bytes(&value) {
            let mut headers = HeaderMap::new();
            headers.insert("x-hub-signature-256", value);
            prop_assert!(verify(Provider::Github, &secret("s3cret"), &headers, BODY).is_err());
        }
    }
}
