//! Whether a receipt is true, as far as a key and arithmetic can tell.

use crate::api::receipt::FullReceipt;
use crate::domain::signature::PublicKey;

/// Why a receipt proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Nobody signed it.
    #[error("the receipt is not signed{}", because.as_ref().map(|because| format!(": {because}")).unwrap_or_default())]
    Unsigned {
        /// What the receipt itself gives as the reason.
        because: Option<String>,
    },
    /// The key does not fit.
    #[error("the signature is not that of key {key} over this text: the receipt was changed, or somebody else wrote it")]
    Forged {
        /// The id of the key that it was checked with.
        key: String,
    },
    /// Its key is not published.
    #[error("key {key}, by which the receipt says that it was signed, is not among the keys in {place}")]
    UnknownKey {
        /// The id that the receipt gives.
        key: String,
        /// Where keys were looked for.
        place: String,
    },
    /// It contradicts itself.
    #[error("the receipt does not add up: {}", problems.join("; "))]
    Inconsistent {
        /// Each contradiction.
        problems: Vec<String>,
    },
    /// It is no receipt.
    #[error("this is no receipt: {problem}")]
    Unreadable {
        /// What is wrong.
        problem: String,
    },
}

/// Judges a text with its signature. The id of the key comes back where it is good.
///
/// # Errors
/// The first reason why it proves nothing.
pub(super) fn judge(text: &str, receipt: &FullReceipt, signature: Option<&str>, key: &PublicKey) -> Result<String, VerifyError> {
    let Some(signature) = signature else {
        return Err(VerifyError::Unsigned {
            because: receipt.unsigned_because.clone(),
        });
    };
    let id = key.id();
    if !key.verifies(text.as_bytes(), signature) || receipt.signed_by.as_ref() != Some(&id) {
        return Err(VerifyError::Forged { key: id });
    }
    let problems = receipt.problems();
    if !problems.is_empty() {
        return Err(VerifyError::Inconsistent { problems });
    }
    Ok(id)
}
