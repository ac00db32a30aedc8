//! What a host said before, for as long as it says that this is still so (RFC 9110 §13).
//!
//! An answer "not modified" costs no budget at GitHub and little elsewhere, and what it stands for was read to its end before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use reqwest::Url;

/// What was made of earlier answers, by their URLs and validators. Clones share it.
pub(super) struct Remembered<T>(Arc<Mutex<HashMap<Url, Known<T>>>>);

/// What an earlier answer was.
pub(super) struct Known<T> {
    /// What the host called it.
    pub(super) validator: HeaderValue,
    /// What was made of it.
    pub(super) value: Arc<T>,
}

/// The most answers that one connection remembers. Those of a thousand repositories fit; with more, some are read anew.
const MOST: usize = 4096;

impl<T> Remembered<T> {
    /// What is known of `url`.
    pub(super) fn get(&self, url: &Url) -> Option<Known<T>> {
        self.lock().get(url).cloned()
    }

    /// Remembers what an answer was. One without a validator is forgotten: it cannot be asked about.
    pub(super) fn put(&self, url: &Url, validator: Option<&HeaderValue>, value: &Arc<T>) {
        let mut known = self.lock();
        let Some(validator) = validator else {
            known.remove(url);
            return;
        };
        if known.len() >= MOST && !known.contains_key(url) {
            known.clear();
        }
        let (validator, value) = (validator.clone(), value.clone());
        known.insert(url.clone(), Known { validator, value });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Url, Known<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Remembered<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for Known<T> {
    fn clone(&self) -> Self {
        Self {
            validator: self.validator.clone(),
            value: self.value.clone(),
        }
    }
}
