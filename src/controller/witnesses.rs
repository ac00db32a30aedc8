//! Tokens of accounts that are being removed, kept until they were tried. They are in this process's memory and nowhere else.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cluster::tokens::Witness;
use crate::domain::plan::teardown::identities::Account;

/// A witness, or why there is none.
pub type Kept = Result<Witness, String>;

/// What is kept, by the UID of the Environment. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Witnesses(Arc<Mutex<HashMap<String, BTreeMap<Account, Kept>>>>);

impl Witnesses {
    /// Whether nothing is kept for an account yet.
    pub fn lacks(&self, environment_uid: &str, account: &Account) -> bool {
        let kept = self.lock();
        kept.get(environment_uid).is_none_or(|accounts| !accounts.contains_key(account))
    }

    /// Keeps a witness, or why there is none.
    pub fn keep(&self, environment_uid: &str, account: Account, kept: Kept) {
        self.lock().entry(environment_uid.to_owned()).or_default().insert(account, kept);
    }

    /// What is kept for an account.
    pub fn get(&self, environment_uid: &str, account: &Account) -> Option<Kept> {
        self.lock().get(environment_uid)?.get(account).cloned()
    }

    /// Drops everything of an Environment.
    pub fn release(&self, environment_uid: &str) {
        self.lock().remove(environment_uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<Account, Kept>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
