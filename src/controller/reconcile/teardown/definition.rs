//! Who deletes the definition of a custom resource deletes every object of it, and means none of them.

use kube::{Resource, ResourceExt};

use super::super::{Pass, Reconciler};
use crate::api::environment::{Environment, Phase};
use crate::cluster;
use crate::cluster::adoption::definition_is_ending;
use crate::cluster::publish::Announcement;

impl Reconciler {
    /// Lets go of an Environment that goes only because its definition does: what runs stays, and is taken over once the definition is
    /// back. Its finalizer would otherwise keep the definition for ever. `None` for every other deletion, and for one that has begun.
    pub(super) async fn let_go_with_definition(&self, environment: &Environment) -> Result<Option<Pass>, cluster::Error> {
        let phase = environment.status.as_ref().and_then(|status| status.phase);
        if matches!(phase, Some(Phase::Deleting | Phase::Blocked)) {
            return Ok(None);
        }
        if !definition_is_ending(&self.observer.connection.controller()).await? {
            return Ok(None);
        }
        let name = environment.name_any();
        let note = format!(
            "the definition of Environments is being deleted, which says nothing about this one: namespace {name} stays as it is, and is \
             taken over once the definition is installed again"
        );
        tracing::warn!(environment = %name, branch = %environment.spec.branch, "{note}");
        let announcement = Announcement {
            reason: "DefinitionDeleted",
            warning: true,
            note,
        };
        self.publisher.announce(&environment.object_ref(&()), &announcement).await;
        self.publisher.remove_finalizer(environment).await?;
        Ok(Some(Pass::idle()))
    }
}
