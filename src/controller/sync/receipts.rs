//! Receipts are kept for thirty days, then removed.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Preconditions};
use kube::{Api, ResourceExt};

use super::Sync;
use crate::api::keys;
use crate::cluster::error::chain;

const EVERY: Duration = Duration::from_secs(6 * 60 * 60);

impl Sync {
    pub(super) async fn expire_receipts_for_ever(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            // Never by this machine's own clock: what went too early does not come back.
            let Some(now) = self.clock.now(&self.client).await else { continue };
            if let Err(error) = self.expire_receipts(now).await {
                tracing::warn!(error = %chain(&error), "could not remove expired receipts");
            }
        }
    }

    /// Removes the receipts that have expired at `now`.
    ///
    /// # Errors
    /// A listing or a deletion failed; the rest waits for the next time.
    pub async fn expire_receipts(&self, now: Timestamp) -> Result<(), kube::Error> {
        let all: Api<ConfigMap> = Api::all(self.client.clone());
        let receipts = all.list(&ListParams::default().labels(keys::RECEIPT_LABEL)).await?;
        for receipt in receipts.items.iter().filter(|receipt| has_expired(receipt, now)) {
            let namespace = receipt.namespace().unwrap_or_default();
            if !self.settings.scope.contains(Some(&namespace)) {
                continue;
            }
            let params = DeleteParams {
                preconditions: Some(Preconditions {
                    uid: receipt.uid(),
                    resource_version: None,
                }),
                ..DeleteParams::default()
            };
            let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &namespace);
            api.delete(&receipt.name_any(), &params).await?;
        }
        Ok(())
    }
}

fn has_expired(receipt: &ConfigMap, now: Timestamp) -> bool {
    let expires = receipt.annotations().get(keys::EXPIRES_ANNOTATION);
    expires
        .and_then(|text| text.parse::<Timestamp>().ok())
        .is_some_and(|expires| expires < now)
}
