//! What only the cluster can tell before the first write of an object.

use super::Reconciler;
use crate::api::convert::environment::Identity;
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::controller::desired::{Desired, Refusal};
use crate::domain::inventory::Inventory;

impl Reconciler {
    /// Why the objects cannot be applied although the bundle is right: a kind is of another scope, a right is missing, or somebody has
    /// what they claim. Nothing is asked about objects that are applied already.
    pub(super) async fn precheck(
        &self,
        deployer: &Deployer,
        identity: &Identity,
        desired: &Desired,
        inventory: &Inventory,
    ) -> Result<Option<Refusal>, cluster::Error> {
        let objects = &desired.objects.objects;
        let mut objection = self.observer.check_scopes(deployer, objects, inventory).await?;
        if objection.is_none() {
            objection = self.observer.check_claims(&identity.name, objects, inventory).await?;
        }
        Ok(objection.map(|objection| Refusal::new(objection.reason, objection.message)))
    }
}
