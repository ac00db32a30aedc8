//! The volumes that claims of an environment are bound to, before the claims go and after.

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use crate::cluster::Error;
use crate::cluster::connection::within;
use crate::cluster::observe::{FAN_OUT, Observer};
use crate::domain::name::Namespace;
use crate::domain::residue::volume::Volume;

impl Observer {
    /// The volumes that claims of a namespace are bound to, whoever made the claims.
    ///
    /// # Errors
    /// A read failed: a volume that is not recorded before its claim goes cannot be told of afterwards.
    pub async fn volumes(&self, namespace: &Namespace) -> Result<Vec<Volume>, Error> {
        let client = self.connection.controller();
        let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace.as_str());
        let params = ListParams::default();
        let claims = within(
            || format!("list the claims of {namespace}"),
            api.list(&params),
            |source| Error::List {
                what: format!("persistentvolumeclaims in {namespace}"),
                source,
            },
        );
        let names: Vec<String> = claims
            .await?
            .items
            .into_iter()
            .filter_map(|claim| claim.spec?.volume_name.filter(|name| !name.is_empty()))
            .collect();
        self.volumes_named(&names).await
    }

    /// The volumes of these names that are there.
    ///
    /// # Errors
    /// A read failed.
    pub async fn volumes_named(&self, names: &[String]) -> Result<Vec<Volume>, Error> {
        let client = self.connection.controller();
        let reads: Vec<_> = names.iter().map(|name| read(client.clone(), name.clone())).collect();
        let found: Vec<_> = stream::iter(reads).buffer_unordered(FAN_OUT).try_collect().await?;
        Ok(found.iter().flatten().filter_map(volume).collect())
    }
}

async fn read(client: Client, name: String) -> Result<Option<PersistentVolume>, Error> {
    let api: Api<PersistentVolume> = Api::all(client);
    within(
        || format!("read PersistentVolume {name}"),
        api.get_opt(&name),
        |source| Error::Read {
            what: format!("PersistentVolume {name}"),
            source,
        },
    )
    .await
}

/// A volume that names a claim.
pub(super) fn volume(object: &PersistentVolume) -> Option<Volume> {
    let spec = object.spec.as_ref()?;
    let claim = spec.claim_ref.as_ref()?;
    let status = object.status.as_ref();
    let since = status.and_then(|status| status.last_phase_transition_time.as_ref());
    let seconds = since.map(|since| Timestamp::now().duration_since(since.0).as_secs());
    Some(Volume {
        name: object.name_any(),
        uid: object.uid()?,
        claim_namespace: claim.namespace.clone()?,
        claim: claim.name.clone().unwrap_or_default(),
        // Kubernetes' own default for a volume that was made by hand.
        reclaim_policy: spec.persistent_volume_reclaim_policy.clone().unwrap_or_else(|| "Retain".to_owned()),
        phase: status.and_then(|status| status.phase.clone()).unwrap_or_default(),
        phase_seconds: seconds.map(|seconds| u64::try_from(seconds).unwrap_or_default()),
    })
}
