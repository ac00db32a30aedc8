//! Signatures of receipts: ECDSA over P-256 with SHA-256, which every openssl of the last fifteen years can check.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;

/// A key that signatures are checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

/// A text that holds no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no {label} in PEM: it must have the lines -----BEGIN {label}----- and -----END {label}----- with base64 in between")]
pub struct PemError {
    label: &'static str,
}

const PUBLIC: &str = "PUBLIC KEY";
const PRIVATE: &str = "PRIVATE KEY";

// === impl PublicKey ===

impl PublicKey {
    /// The key that a SubjectPublicKeyInfo of these bytes (DER) describes. Whether they describe one shows when it is used.
    pub fn from_der(der: impl Into<Vec<u8>>) -> Self {
        Self(der.into())
    }

    /// Reads a key as openssl writes it.
    ///
    /// # Errors
    /// The text is not PEM.
    pub fn from_pem(text: &str) -> Result<Self, PemError> {
        decode(PUBLIC, text).map(Self)
    }

    /// The key as openssl reads it.
    pub fn pem(&self) -> String {
        encode(PUBLIC, &self.0)
    }

    /// What tells this key from others: the first 16 hexadecimal digits of the SHA-256 of its DER form.
    pub fn id(&self) -> String {
        let hash = digest::digest(&digest::SHA256, &self.0);
        hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether `signature`, in base64, is this key's over exactly these bytes.
    pub fn verifies(&self, bytes: &[u8], signature: &str) -> bool {
        let Ok(signature) = BASE64.decode(signature.trim()) else {
            return false;
        };
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0)
            .verify(bytes, &signature)
            .is_ok()
    }
}

/// The PEM form of a private key (PKCS #8, DER).
pub fn private_pem(der: &[u8]) -> String {
    encode(PRIVATE, der)
}

/// The PKCS #8 form (DER) of a private key in PEM.
///
/// # Errors
/// The text is not PEM.
pub fn private_der(text: &str) -> Result<Vec<u8>, PemError> {
    decode(PRIVATE, text)
}

fn encode(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

fn decode(label: &'static str, text: &str) -> Result<Vec<u8>, PemError> {
    let error = PemError { label };
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----")).ok_or(error.clone())?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----")).ok_or(error.clone())?;
    let body: String = body.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    BASE64.decode(body).map_err(|_| error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    /// Made by `openssl ecparam -name prime256v1 -genkey`, `openssl ec -pubout` and `openssl dgst -sha256 -sign`.
    const KEY: &str = include_str!("signature/openssl.pem");
    const SIGNATURE: &str = include_str!("signature/openssl.sig");
    const TEXT: &[u8] = b"created: 3\nremoved: 3\nleft: []\n";

    #[test]
    fn feature_x13_a_signature_of_openssl_is_good_and_of_any_other_text_bad() {
        let key = PublicKey::from_pem(KEY).unwrap();
        assert!(key.verifies(TEXT, SIGNATURE));
        assert!(!key.verifies(b"created: 3\nremoved: 2\nleft: []\n", SIGNATURE));
        assert!(!key.verifies(&TEXT[..TEXT.len() - 1], SIGNATURE), "the very bytes");
        assert!(!key.verifies(TEXT, "") && !key.verifies(TEXT, "no base64!"));
        assert!(!PublicKey::from_der(*b"junk").verifies(TEXT, SIGNATURE));
    }

    #[test]
    fn a_key_is_read_back_as_it_was_written() {
        let key = PublicKey::from_pem(KEY).unwrap();
        assert_eq!(key.pem(), KEY);
        assert_eq!(key.id().len(), 16);
        assert_eq!(private_der(&private_pem(b"secret")).unwrap(), b"secret");
        assert!(private_der(KEY).is_err() && PublicKey::from_pem("").is_err());
        assert!(PublicKey::from_pem("-----BEGIN PUBLIC KEY-----\n?\n-----END PUBLIC KEY-----").is_err());
    }
}
