//! What says that something about an environment has changed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use kube::ResourceExt;
use tokio::sync::Notify;

use super::agenda::Place;
use crate::api::Environment;
use crate::api::receipt::config_map_name;

/// Rung for an environment, it is answered once however often that was. Cheap to clone.
#[derive(Clone, Default)]
pub struct Bell(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// The places, each with the name of a receipt or for the environment that is there.
    rung: Mutex<BTreeSet<(Place, Option<String>)>>,
    answer: Notify,
}

impl Bell {
    /// An environment is new or different.
    pub fn changed(&self, environment: &Environment) {
        self.ring(super::place(environment), None);
    }

    /// An environment is gone. If it was torn down, there is a receipt.
    pub fn gone(&self, environment: &Environment) {
        let receipt = config_map_name(&environment.name_any(), &environment.uid().unwrap_or_default());
        self.ring(super::place(environment), Some(receipt));
    }

    fn ring(&self, place: Place, receipt: Option<String>) {
        self.0.rung.lock().unwrap_or_else(PoisonError::into_inner).insert((place, receipt));
        self.0.answer.notify_one();
    }

    /// Waits until it has been rung since the last time.
    pub(super) async fn rung(&self) {
        self.0.answer.notified().await;
    }

    /// What it was rung for since the last time.
    pub(super) fn take(&self) -> BTreeSet<(Place, Option<String>)> {
        std::mem::take(&mut *self.0.rung.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
