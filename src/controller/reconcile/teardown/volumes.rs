//! Volumes outlive their claims: recorded before those go, looked at again at the end.

use std::time::Duration;

use super::super::{Pass, Reconciler};
use crate::api::convert::environment::Identity;
use crate::api::environment::{Environment, VolumeStatus};
use crate::api::receipt::VolumeResult;
use crate::cluster;
use crate::domain::inventory::Inventory;
use crate::domain::plan::teardown::retain::Kept;
use crate::domain::plan::teardown::{Next, TeardownPlan};
use crate::domain::residue::volume::{Fate, Volume, fate};
use crate::domain::status::{Phase, Report, summarise_refusal, summarise_teardown};

/// A provisioner acts on a released volume within a second or two.
const AGAIN: Duration = Duration::from_secs(2);

impl Reconciler {
    /// Records the volumes of every claim in the namespace before anything is carried out that takes a claim away.
    pub(super) async fn record_volumes(
        &self,
        environment: &Environment,
        identity: &Identity,
        plan: &TeardownPlan,
    ) -> Result<Environment, cluster::Error> {
        let takes_claims = match &plan.next {
            Next::Drain { deletes, .. } => deletes.iter().any(|delete| delete.key.kind == "PersistentVolumeClaim"),
            Next::DeleteNamespace(_) => true,
            _ => false,
        };
        if !takes_claims {
            return Ok(environment.clone());
        }
        let found = self.observer.volumes(&identity.name.namespace()).await?;
        self.remember_volumes(environment, identity, &summarise_teardown(plan, &[]), &found)
            .await
    }

    /// Records volumes that the last look brought up.
    pub(super) async fn volumes_found(
        &self,
        environment: &Environment,
        identity: &Identity,
        inventory: &Inventory,
        found: &[Volume],
    ) -> Result<Pass, cluster::Error> {
        let message = "everything is removed; looking at the volumes that are left";
        let refusal = summarise_refusal("AwaitingVolumes", message, inventory.clone(), None);
        let report = Report {
            phase: Phase::Deleting,
            ..refusal
        };
        self.remember_volumes(environment, identity, &report, found).await?;
        Ok(Pass::again_soon())
    }

    /// Adds volumes to those that are recorded; writes nothing if all of them are.
    async fn remember_volumes(
        &self,
        environment: &Environment,
        identity: &Identity,
        report: &Report,
        found: &[Volume],
    ) -> Result<Environment, cluster::Error> {
        let mut volumes = recorded(environment).to_vec();
        for volume in found {
            if volumes.iter().all(|known| known.uid != volume.uid) {
                volumes.push(VolumeStatus {
                    name: volume.name.clone(),
                    uid: volume.uid.clone(),
                    claim: volume.claim.clone(),
                    reclaim_policy: volume.reclaim_policy.clone(),
                });
            }
        }
        if volumes == recorded(environment) {
            return Ok(environment.clone());
        }
        self.publish(environment, identity, report, |status| status.volumes = volumes).await
    }

    /// What became of the recorded volumes; the end of the pass while a provisioner still has time to remove one.
    pub(super) async fn volumes_at_the_end(
        &self,
        environment: &Environment,
        identity: &Identity,
        (inventory, kept): (&Inventory, &[Kept]),
    ) -> Result<Result<Vec<VolumeResult>, Pass>, cluster::Error> {
        let recorded = recorded(environment);
        if recorded.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let names: Vec<String> = recorded.iter().map(|volume| volume.name.clone()).collect();
        let live = self.observer.volumes_named(&names).await?;
        let mut results = Vec::new();
        for volume in recorded {
            let live = live.iter().find(|live| live.uid == volume.uid);
            let result = match fate(live, seconds_since_deletion(environment), !kept.is_empty()) {
                Fate::Removed => "removed".to_owned(),
                Fate::Kept => "kept: its claim is kept".to_owned(),
                Fate::Left(reason) => format!("left: {reason}"),
                Fate::Going => {
                    let message = format!(
                        "waiting for PersistentVolume {} to be removed by its provisioner, as its reclaim policy says",
                        volume.name
                    );
                    let refusal = summarise_refusal("AwaitingVolumes", &message, inventory.clone(), Some(AGAIN));
                    let report = Report {
                        phase: Phase::Deleting,
                        ..refusal
                    };
                    self.publish(environment, identity, &report, |_| {}).await?;
                    return Ok(Err(self.pass(&report)));
                }
            };
            results.push(VolumeResult {
                persistent_volume: volume.name.clone(),
                uid: volume.uid.clone(),
                claim: format!("{}/{}", identity.name, volume.claim),
                // It may have been changed since it was recorded.
                reclaim_policy: live.map_or_else(|| volume.reclaim_policy.clone(), |live| live.reclaim_policy.clone()),
                result,
            });
        }
        Ok(Ok(results))
    }
}

fn recorded(environment: &Environment) -> &[VolumeStatus] {
    environment
        .status
        .as_ref()
        .map(|status| status.volumes.as_slice())
        .unwrap_or_default()
}

/// How long the environment has been going, where the cluster does not tell how long a volume has been released.
fn seconds_since_deletion(environment: &Environment) -> u64 {
    let asked = environment.metadata.deletion_timestamp.as_ref();
    let seconds = asked.map(|asked| jiff::Timestamp::now().duration_since(asked.0).as_secs());
    seconds
        .map(|seconds| u64::try_from(seconds).unwrap_or_default())
        .unwrap_or_default()
}
