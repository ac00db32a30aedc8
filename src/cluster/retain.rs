//! The mark on what a teardown leaves on purpose.

use kube::Client;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::Error;
use super::connection::{Deployer, within};
use super::observe::Observer;
use crate::api::convert::environment::Identity;
use crate::api::keys;
use crate::domain::plan::teardown::retain::{Keeping, Kept};

impl Observer {
    /// Writes on a kept namespace, and on what is kept outside of it, which Environment it was left by: later searches, and people, can
    /// tell it from what was forgotten. Writing it again changes nothing.
    ///
    /// # Errors
    /// A write failed, or the object is another by now.
    pub async fn mark_kept(&self, deployer: &Deployer, identity: &Identity, kept: &[Kept]) -> Result<(), Error> {
        for kept in kept.iter().filter(|kept| kept.key.namespace.is_none()) {
            let client = match (kept.because, kept.key.kind.as_str()) {
                (Keeping::Home, _) | (_, "Namespace") => self.connection.controller(),
                _ => self.connection.deployer(deployer)?,
            };
            self.mark(client, kept, &identity.uid).await?;
        }
        Ok(())
    }

    async fn mark(&self, client: Client, kept: &Kept, environment_uid: &str) -> Result<(), Error> {
        let resource = self.kinds.resolve(&kept.key).await?;
        let api = resource.api_for(client, &kept.key);
        // The UID makes the API server refuse to write on an object that has taken the name since.
        let body = json!({ "metadata": {
            "uid": kept.uid,
            "annotations": { (keys::RETAINED_FROM_ANNOTATION): environment_uid },
        }});
        let params = PatchParams {
            field_manager: Some(keys::STATUS_FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let what = || format!("annotation {} of {}", keys::RETAINED_FROM_ANNOTATION, kept.key);
        within(
            || format!("write the {}", what()),
            api.patch(&kept.key.name, &params, &Patch::Merge(&body)),
            |source| Error::Write { what: what(), source },
        )
        .await
        .map(drop)
    }
}
