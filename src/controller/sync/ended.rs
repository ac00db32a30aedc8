//! The memory of ended environments, across looks, restarts and watches that are behind.
//!
//! It is part of the Project's status, which other writes of ours replace as a whole. So each of them takes the newest memory from here
//! and never from an object that a watch has shown.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, ResourceExt};

use super::Sync;
use crate::api::Project;
use crate::api::convert;
use crate::api::project::EndedBranch;
use crate::cluster;
use crate::cluster::error::chain;
use crate::domain::roster::{Ended, Roster};

/// What was last stored of each Project, by its UID.
#[derive(Debug, Default)]
pub struct EndedMemory(Mutex<HashMap<String, Vec<EndedBranch>>>);

impl EndedMemory {
    /// What is known of a Project; `None` before the first look at it.
    pub(super) fn known(&self, object: &Project) -> Option<Vec<EndedBranch>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&object.uid()?).cloned()
    }

    fn learn(&self, object: &Project, ended: Vec<EndedBranch>) {
        if let Some(uid) = object.uid() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, ended);
        }
    }
}

impl Sync {
    /// The memory of a Project. `None`: it could not be read, and nothing may be decided, or a branch whose environment ended would get
    /// another.
    pub(super) async fn ended_of(&self, object: &Project) -> Option<Vec<EndedBranch>> {
        let known = self.read_ended(object).await;
        let tell = |error: &kube::Error| {
            tracing::warn!(project = %object.name_any(), error = %chain(error), "nothing is decided; the next look tries again");
        };
        known.inspect_err(tell).ok()
    }

    /// The first time it is read from the API server itself.
    async fn read_ended(&self, object: &Project) -> Result<Vec<EndedBranch>, kube::Error> {
        if let Some(known) = self.ended.known(object) {
            return Ok(known);
        }
        let api: Api<Project> = Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default());
        let fresh = api.get_opt(&object.name_any()).await?;
        let same = fresh.filter(|fresh| fresh.uid() == object.uid());
        let ended = same.and_then(|fresh| fresh.status).map(|status| status.ended).unwrap_or_default();
        self.ended.learn(object, ended.clone());
        Ok(ended)
    }

    /// Stores what is to be remembered, before anything is retired because of it. If that fails, what would be forgotten stays.
    pub(super) async fn remember_ended(&self, object: &Project, before: &[EndedBranch], roster: &mut Roster) {
        if let Err(error) = self.store_ended(object, before, roster).await {
            tracing::warn!(project = %object.name_any(), error = %error.chain(), "could not remember which environments end; they stay until the next look");
            roster.retire.retain(|retirement| retirement.head.is_none());
        }
    }

    /// Writes nothing if nothing is new.
    async fn store_ended(&self, object: &Project, before: &[EndedBranch], roster: &Roster) -> Result<(), cluster::Error> {
        self.write_ended(object, before, &roster.ended).await
    }

    /// Stores a memory in place of the one before.
    pub(super) async fn write_ended(&self, object: &Project, before: &[EndedBranch], ended: &[Ended]) -> Result<(), cluster::Error> {
        let ended = convert::ended::to_stored(ended, before, &Time(Timestamp::now()));
        if ended == before {
            return Ok(());
        }
        let mut status = object.status.clone().unwrap_or_default();
        status.ended.clone_from(&ended);
        self.brakes.put_into(object, &mut status);
        self.publisher.status(object, None, &status).await?;
        self.ended.learn(object, ended);
        Ok(())
    }
}
