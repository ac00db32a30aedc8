//! What a teardown plan is made over: consistent reads only, never a watch.

mod seen;

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

pub use self::seen::Seen;
use super::Error;
use super::connection::{Deployer, within};
use super::observe::{FAN_OUT, Observer};
use crate::api::convert::environment::Identity;
use crate::domain::inventory::{Entry, Inventory, Relation, Stage};
use crate::domain::manifest::ObjectKey;
use crate::domain::name::Namespace;
use crate::domain::observed::{Deletion, LiveObject};
use crate::domain::outcome::FailureClass;
use crate::domain::plan::Observed;
use crate::domain::plan::teardown::{Pod as PodInUse, Tier, View, retain};
use crate::domain::residue::Shared;

/// For how long a look counts within one pass, when nothing had to be waited for in between. Somebody can create an object between any look
/// and a deletion, so a fresh one would prove no more; and no deletion is sent without the UID that was seen.
pub const FRESH: Duration = Duration::from_secs(1);

impl Observer {
    /// Observes everything of `inventory` that is not confirmed gone, and, once only rights and identities are left, the pods that may
    /// use them. What this pass has `seen` a moment ago, and asked nothing of since, is not read again.
    ///
    /// Where the namespace is gone, or is another by now, everything that was in it is gone with it and nothing else is asked about it.
    ///
    /// # Errors
    /// The first read that failed: nothing may be concluded from half a view.
    pub async fn view(&self, deployer: &Deployer, identity: &Identity, inventory: &Inventory, seen: &mut Seen) -> Result<View, Error> {
        let as_deployer = self.connection.deployer(deployer)?;
        let mut view = View {
            observed: self.outside(&as_deployer, inventory).await?,
            ..View::default()
        };
        let namespace = &identity.name.namespace();
        let Some(home) = self.home(namespace, &identity.uid, inventory).await? else {
            return Ok(view);
        };
        let ending = home.deletion.is_some();
        view.observed.insert(home.key.clone(), home);
        let inside = || inventory.present().filter(|(key, _)| key.namespace.is_some());
        // An ending namespace takes what is in it at any time.
        seen.keep_fresh(|_| !ending);
        view.observed
            .extend(inside().filter_map(|(key, _)| Some((key.clone(), seen.get(key)?.clone()))));
        let reads: Vec<_> = inside()
            .filter(|(key, _)| seen.get(key).is_none())
            .map(|(key, entry)| self.read_for_teardown(self.reader(&as_deployer, entry), key.clone(), ending))
            .collect();
        let found: Vec<_> = stream::iter(reads).buffer_unordered(FAN_OUT).try_collect().await?;
        for live in found.into_iter().flatten() {
            seen.add(&live);
            view.observed.insert(live.key.clone(), live);
        }
        if only_rights(&view, namespace, inventory) {
            view.pods = self.pods(namespace).await?;
        }
        Ok(view)
    }

    /// Reads objects under keys of the inventory that are in the namespace.
    ///
    /// # Errors
    /// The first read that failed.
    pub async fn read_inside(&self, deployer: &Deployer, inventory: &Inventory, keys: Vec<ObjectKey>) -> Result<Observed, Error> {
        let as_deployer = self.connection.deployer(deployer)?;
        let mut observed = Observed::new();
        for key in keys {
            let Some(entry) = inventory.get(&key) else { continue };
            let live = self.read_for_teardown(self.reader(&as_deployer, entry), key.clone(), false).await?;
            observed.extend(live.map(|live| (key, live)));
        }
        Ok(observed)
    }

    /// As whom an object is read: as whoever made it.
    fn reader(&self, as_deployer: &Client, entry: &Entry) -> Client {
        match entry.stage {
            Stage::Namespace | Stage::Guardrails => self.connection.controller(),
            Stage::Deploy => as_deployer.clone(),
        }
    }

    /// What the inventory has outside of the namespace, which may outlive it.
    async fn outside(&self, as_deployer: &Client, inventory: &Inventory) -> Result<Observed, Error> {
        let present = inventory.present().map(|(key, _)| key);
        self.read_outside(as_deployer, present).await
    }

    /// Objects of the inventory that other environments own still.
    ///
    /// # Errors
    /// The first read that failed.
    pub async fn left_to_others(&self, deployer: &Deployer, inventory: &Inventory) -> Result<Vec<Shared>, Error> {
        let as_deployer = self.connection.deployer(deployer)?;
        let found = self.read_outside(&as_deployer, inventory.iter().map(|(key, _)| key)).await?;
        let is_same = |live: &LiveObject| inventory.get(&live.key).is_some_and(|entry| entry.uid.as_ref() == Some(&live.uid));
        let shared = found.into_values().filter(|live| live.is_shared() && is_same(live));
        Ok(shared
            .map(|live| Shared {
                owners: live
                    .shares
                    .iter()
                    .filter(|(_, share)| share.ownership.is_some())
                    .map(|(owner, _)| owner.clone())
                    .collect(),
                key: live.key,
            })
            .collect())
    }

    async fn read_outside<'k>(&self, as_deployer: &Client, keys: impl Iterator<Item = &'k ObjectKey>) -> Result<Observed, Error> {
        let outside = keys.filter(|key| key.namespace.is_none() && key.kind != "Namespace");
        let reads: Vec<_> = outside
            .map(|key| self.read_for_teardown(as_deployer.clone(), key.clone(), false))
            .collect();
        let found: Vec<_> = stream::iter(reads).buffer_unordered(FAN_OUT).try_collect().await?;
        Ok(found.into_iter().flatten().map(|live| (live.key.clone(), live)).collect())
    }

    /// The environment's namespace, if it is there and is the one that was made for it: the recorded one, or, if a crash lost the answer
    /// to its creation, one that says it was made for this very Environment and not for an earlier one of the branch.
    async fn home(&self, namespace: &Namespace, environment_uid: &str, inventory: &Inventory) -> Result<Option<LiveObject>, Error> {
        let Some((key, entry)) = inventory.present().find(|(key, _)| key.kind == "Namespace") else {
            return Ok(None);
        };
        let live = self.read_for_teardown(self.connection.controller(), key.clone(), false).await?;
        let made_for_it = |live: &LiveObject| entry.uid.is_some() || live.environment_uid.as_deref() == Some(environment_uid);
        Ok(live.filter(|live| made_for_it(live) && entry.relation(live, namespace.as_str()) != Relation::Foreign))
    }

    async fn read_for_teardown(&self, client: Client, key: ObjectKey, ending: bool) -> Result<Option<LiveObject>, Error> {
        if let Ok(resource) = self.kinds.resolve(&key).await {
            self.live.follow_changes(&resource);
        }
        match self.read(client, &key).await {
            // The definition of a custom resource takes every object of the kind with it.
            Err(Error::UnknownKind { .. }) => Ok(None),
            // The end of a namespace takes the deployer's binding at any time; then only the namespace itself is waited for.
            Err(error) if ending && error.class() == FailureClass::Forbidden => Ok(None),
            other => other,
        }
    }

    /// The pods of a namespace that are not over.
    ///
    /// # Errors
    /// The listing failed.
    pub async fn pods(&self, namespace: &Namespace) -> Result<Vec<PodInUse>, Error> {
        let api: Api<Pod> = Api::namespaced(self.connection.controller(), namespace.as_str());
        let pods = list(&api, format!("pods in {namespace}")).await?;
        Ok(pods
            .into_iter()
            .filter(|pod| !is_over(pod))
            .map(|pod| PodInUse {
                name: pod.name_any(),
                deletion: pod.metadata.deletion_timestamp.as_ref().map(|since| Deletion {
                    since: since.0.to_string(),
                    finalizers: pod.finalizers().to_vec(),
                }),
                service_account: pod
                    .spec
                    .and_then(|spec| spec.service_account_name)
                    .unwrap_or_else(|| "default".to_owned()),
            })
            .collect())
    }
}

/// Whether no container of the pod runs or will run again: whatever it was allowed to do, it does no more. Its object may stay for long,
/// such as that of a Job.
fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether everything of the earlier tiers is gone, so that the question who uses an identity is worth its request.
///
/// What stands under one of our names and is somebody else's counts as gone, as in the plan: an account must never be planned away
/// before its pods were looked at. An environment's namespace bears its name.
fn only_rights(view: &View, namespace: &Namespace, inventory: &Inventory) -> bool {
    let ours = |key: &ObjectKey| {
        let (entry, live) = (inventory.get(key)?, view.observed.get(key)?);
        (entry.relation(live, namespace.as_str()) != Relation::Foreign).then_some(entry.stage)
    };
    // What is kept never goes, so nobody waits for it.
    let kept = retain::kept(namespace.as_str(), inventory, view);
    let leaves = |key: &&ObjectKey| !kept.iter().any(|kept| kept.key == **key);
    let left = view.observed.keys().filter(leaves);
    let mut left = left.filter(|key| ours(key) == Some(Stage::Deploy)).map(Tier::of);
    left.clone().any(|tier| tier == Tier::Identity) && left.all(|tier| tier >= Tier::Access)
}

pub(super) async fn list<K>(api: &Api<K>, what: String) -> Result<Vec<K>, Error>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let params = ListParams::default();
    let listed = within(
        || format!("list {what}"),
        api.list(&params),
        |source| Error::List {
            what: what.clone(),
            source,
        },
    );
    Ok(listed.await?.items)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;
    use crate::domain::observed::LiveObject;
    use crate::domain::readiness::Readiness;

    fn key(group: &str, kind: &str) -> ObjectKey {
        ObjectKey {
            group: group.into(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: Some("shop-a".into()),
            name: "web".into(),
        }
    }

    /// An inventory with these objects under the UID `1`, and a view of them under these UIDs.
    fn asked(objects: &[(ObjectKey, &str)]) -> bool {
        let mut inventory = Inventory::default();
        let mut view = View::default();
        for (key, uid) in objects {
            inventory.write_ahead(key, Stage::Deploy);
            inventory.record_found(key, "1");
            let live = LiveObject {
                key: key.clone(),
                uid: (*uid).to_owned(),
                version: 1,
                deletion: None,
                environment: Some("shop-a".into()),
                environment_uid: None,
                ownership: None,
                co_appliers: Vec::new(),
                secret: None,
                readiness: Readiness::Ready,
                owners: Vec::new(),
                shares: crate::domain::observed::Shares::new(),
                shared_content: None,
                retention: Default::default(),
            };
            view.observed.insert(key.clone(), live);
        }
        only_rights(&view, &"shop-a".parse().unwrap(), &inventory)
    }

    #[test]
    fn f51_only_a_pod_whose_containers_have_all_ended_needs_no_account_any_more() {
        let over = |phase: Option<&str>| {
            let status = phase.map(|phase| serde_json::json!({ "phase": phase }));
            is_over(&serde_json::from_value(serde_json::json!({ "metadata": {}, "status": status })).unwrap())
        };
        assert!(over(Some("Succeeded")) && over(Some("Failed")));
        for phase in [None, Some("Pending"), Some("Running"), Some("Unknown")] {
            assert!(!over(phase), "{phase:?}");
        }
    }

    #[test]
    fn f51_pods_are_looked_at_whenever_the_plan_may_come_to_the_accounts() {
        let (account, web) = (key("", "ServiceAccount"), key("apps", "Deployment"));
        assert!(asked(&[(account.clone(), "1")]));
        assert!(!asked(&[(account.clone(), "1"), (web.clone(), "1")]), "workloads come first");
        assert!(!asked(&[(web.clone(), "1")]));
        assert!(
            asked(&[(account, "1"), (web, "2")]),
            "S5: somebody else's Deployment under our name may use the account"
        );
    }
}
