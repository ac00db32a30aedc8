//! What was changed by hand while nothing is applied: looked for, and told.

use futures::{StreamExt, stream};

use super::super::rest::is_down;
use super::super::{Reconciler, convert};
use crate::api::Environment;
use crate::api::convert::environment::Identity;
use crate::api::keys;
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::controller::desired::Wish;
use crate::domain::drift::{self, Change, Drift};
use crate::domain::inventory::Inventory;
use crate::domain::manifest::Manifest;

/// So many objects are read whole at the same time.
const CONCURRENT_READS: usize = 4;

impl Reconciler {
    /// What differs from what was applied. Only reads; what rests was scaled down by ourselves, and is left out.
    ///
    /// # Errors
    /// A read failed.
    pub(super) async fn changed_by_hand(
        &self,
        environment: &Environment,
        identity: &Identity,
        wish: Option<&Wish>,
    ) -> Result<(Vec<Drift>, Inventory), cluster::Error> {
        let inventory = convert::inventory(environment.status.as_ref()).unwrap_or_default();
        let Some(deployer) = Self::recorded_deployer(environment).filter(|_| !is_down(environment)) else {
            return Ok((Vec::new(), inventory));
        };
        let observed = self.observer.observe(&deployer, [], &inventory).await?;
        let mut drifts = drift::objects(&inventory, &observed, identity.name.as_str());
        self.find_fields(&mut drifts, &inventory, &deployer, wish).await;
        Ok((drifts, inventory))
    }

    /// Finds the fields of what changed, where what was applied can be rendered again. What cannot be found is told without.
    async fn find_fields(&self, drifts: &mut [Drift], inventory: &Inventory, deployer: &Deployer, wish: Option<&Wish>) {
        let concerned = drifts.iter_mut().filter(|drift| matches!(drift.change, Change::Fields(_)));
        let concerned: Vec<&mut Drift> = concerned.take(drift::OBJECTS).collect();
        let (false, Some(wish)) = (concerned.is_empty(), wish) else {
            return;
        };
        let (Ok(desired), Ok(client)) = (self.bundles.desired(wish).await, self.observer.connection.deployer(deployer)) else {
            return;
        };
        let objects = desired.objects.guardrails.iter().chain(&desired.objects.objects);
        let applied: Vec<&Manifest> = objects
            .filter(|manifest| {
                let entry = inventory.get(&manifest.key);
                entry.is_some_and(|entry| entry.digest.as_deref() == Some(manifest.recorded_digest().as_str()))
            })
            .collect();
        stream::iter(concerned)
            .for_each_concurrent(CONCURRENT_READS, |drift| {
                let manifest = applied.iter().find(|manifest| manifest.key == drift.key);
                let client = client.clone();
                async move {
                    let Some(manifest) = manifest else { return };
                    if let Ok(Some(live)) = self.observer.read_whole(client, &drift.key).await {
                        drift.change = Change::Fields(drift::fields(&manifest.body, &live, keys::FIELD_MANAGER));
                    }
                }
            })
            .await;
    }
}
