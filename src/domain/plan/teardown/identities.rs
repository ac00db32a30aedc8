//! The proof that the tokens of removed ServiceAccounts are dead: whose have to be tried, and what an answer proves.

use super::{Next, TeardownPlan, Tier};
use crate::domain::inventory::Inventory;
use crate::domain::manifest::ObjectKey;

use super::references::accounts;
use super::retain::{Kept, leaving};

/// A ServiceAccount of an environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// Which account.
    pub key: ObjectKey,
    /// Its UID: a token belongs to it, not to the name.
    pub uid: String,
}

/// What the API server said of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Review {
    /// It authenticates.
    Accepted {
        /// As the account with this UID.
        uid: String,
    },
    /// It does not.
    Refused,
}

/// What a last look at an account's token showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was accepted while the account lived and is refused now: no token of the account is worth anything.
    Dead,
    /// It authenticates still.
    Alive,
    /// Nothing is proved, for this reason.
    NotProved(String),
}

/// An account with what is known of its tokens, for the receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The account.
    pub account: Account,
    /// What was found.
    pub verdict: Verdict,
}

/// The accounts that `plan` is about to delete: now is the last time that a token of theirs can be had.
pub fn about_to_go(plan: &TeardownPlan) -> Vec<Account> {
    let Next::Drain {
        tier: Tier::Identity,
        deletes,
        ..
    } = &plan.next
    else {
        return Vec::new();
    };
    let account = |delete: &crate::domain::plan::Delete| Account {
        key: delete.key.clone(),
        uid: delete.uid.clone(),
    };
    deletes.iter().map(account).collect()
}

/// The accounts whose end has to be proved: all that came into being and are not kept.
pub fn to_prove(inventory: &Inventory, kept: &[Kept]) -> Vec<Account> {
    let account = |(key, uid): (&ObjectKey, &str)| Account {
        key: key.clone(),
        uid: uid.to_owned(),
    };
    accounts(&leaving(inventory, kept)).map(account).collect()
}

/// Whether a fresh token of a living account may serve as a witness. One that is refused while its account is there would be refused
/// for ever, whatever becomes of the account.
///
/// # Errors
/// Why it may not.
pub fn check_witness(account: &Account, review: &Review) -> Result<(), String> {
    match review {
        Review::Accepted { uid } if *uid == account.uid => Ok(()),
        Review::Accepted { .. } => Err("somebody replaced the account before it was removed".to_owned()),
        Review::Refused => {
            Err("a fresh token was refused while the account was there, so that a later refusal shows nothing (audience?)".to_owned())
        }
    }
}

/// What keeps the end from coming, if a token is still accepted.
pub fn still_alive(proofs: &[Proof]) -> Option<String> {
    let alive = proofs.iter().find(|proof| proof.verdict == Verdict::Alive)?;
    Some(format!(
        "a token of {} (UID {}) is still accepted although the account is gone; find out what accepts it, or wait until the token has \
         expired",
        alive.account.key, alive.account.uid
    ))
}

/// What the last look at a witness proves. A token that has expired is refused in any case.
pub fn judge(account: &Account, review: &Review, is_expired: bool) -> Verdict {
    match review {
        Review::Accepted { uid } if *uid == account.uid => Verdict::Alive,
        Review::Accepted { .. } => Verdict::NotProved("the token is of another account".to_owned()),
        Review::Refused if is_expired => Verdict::NotProved("the token expired before it was looked at".to_owned()),
        Review::Refused => Verdict::Dead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        let key = ObjectKey {
            group: String::new(),
            version: "v1".into(),
            kind: "ServiceAccount".into(),
            namespace: Some("shop-a".into()),
            name: "web".into(),
        };
        Account { key, uid: "1".into() }
    }

    fn accepted(uid: &str) -> Review {
        Review::Accepted { uid: uid.into() }
    }

    #[test]
    fn f58_a_token_is_dead_only_if_it_is_refused_before_it_expires() {
        assert_eq!(judge(&account(), &Review::Refused, false), Verdict::Dead);
        assert!(matches!(judge(&account(), &Review::Refused, true), Verdict::NotProved(reason) if reason.contains("expired")));
    }

    #[test]
    fn f58_a_token_that_authenticates_is_alive_unless_it_is_of_another_account() {
        for expired in [false, true] {
            assert_eq!(judge(&account(), &accepted("1"), expired), Verdict::Alive);
            assert!(matches!(judge(&account(), &accepted("2"), expired), Verdict::NotProved(_)));
        }
    }

    #[test]
    fn f58_one_living_token_among_dead_ones_keeps_the_end_from_coming_and_is_named() {
        let proof = |verdict| Proof {
            account: account(),
            verdict,
        };
        let others = [proof(Verdict::Dead), proof(Verdict::NotProved("no right".into()))];
        assert_eq!(still_alive(&others), None);
        let [dead, unproved] = others;
        let told = still_alive(&[dead, unproved, proof(Verdict::Alive)]).unwrap_or_default();
        assert!(told.contains("ServiceAccount web") && told.contains("UID 1"), "{told}");
    }

    #[test]
    fn f58_what_was_never_accepted_is_no_witness() {
        assert_eq!(check_witness(&account(), &accepted("1")), Ok(()));
        assert!(check_witness(&account(), &accepted("2")).is_err_and(|reason| reason.contains("replaced")));
        assert!(check_witness(&account(), &Review::Refused).is_err_and(|reason| reason.contains("audience")));
    }
}
