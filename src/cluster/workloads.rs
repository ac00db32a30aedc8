//! What of an environment runs, read whole: a rest changes fields of objects that no template may be there for any more.

use futures::{StreamExt, TryStreamExt, stream};

use super::Error;
use super::live::reduce;
use super::observe::{FAN_OUT, Observer, get};
use crate::domain::inventory::Inventory;
use crate::domain::manifest::ObjectKey;
use crate::domain::plan::rest::{Workload, is_concerned};

impl Observer {
    /// Everything of `inventory` that runs or makes others run, from the API server itself. Its kinds are watched from then on, so that
    /// somebody who starts it again is noticed.
    ///
    /// # Errors
    /// The first read that failed. That something does not exist is no failure.
    pub async fn workloads(&self, inventory: &Inventory) -> Result<Vec<Workload>, Error> {
        let keys = inventory.iter().filter(is_concerned).map(|(key, _)| key.clone());
        let reads: Vec<_> = keys.map(|key| self.workload(key)).collect();
        let found: Vec<Option<Workload>> = stream::iter(reads).buffer_unordered(FAN_OUT).try_collect().await?;
        let mut workloads: Vec<_> = found.into_iter().flatten().collect();
        workloads.sort_by(|left, right| left.live.key.cmp(&right.live.key));
        Ok(workloads)
    }

    async fn workload(&self, key: ObjectKey) -> Result<Option<Workload>, Error> {
        let resource = match self.kinds.resolve(&key).await {
            Err(Error::UnknownKind { .. }) => return Ok(None),
            resolved => resolved?,
        };
        self.live.follow_changes(&resource);
        let object = get(&resource, self.connection.controller(), &key).await?;
        Ok(object.and_then(|object| {
            Some(Workload {
                live: reduce(&resource, &object)?,
                whole: serde_json::to_value(&object).ok()?,
            })
        }))
    }
}
