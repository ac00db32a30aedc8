//! Who has what an environment is about to claim: by watches where nearly everybody claims something, else by one listing for each kind
//! that could. Nothing is asked where nothing new is claimed.

mod holders;

use std::collections::BTreeSet;

use kube::Api;
use kube::api::{DynamicObject, ListParams};
use serde_json::Value;

use super::Error;
use super::connection::within;
use super::kinds::Resource;
use super::observe::Observer;
use crate::domain::claims::{self, Claim, Conflict, Kind, Objection, Standing, Taken};
use crate::domain::inventory::Inventory;
use crate::domain::manifest::{Manifest, ObjectKey};
use crate::domain::name::EnvironmentName;
use holders::Answer;
pub use holders::Holders;

impl Observer {
    /// Whether somebody has what objects claim that are about to be applied for the first time, or anew.
    ///
    /// # Errors
    /// A listing failed for another reason than a missing right or an unknown kind: what cannot be seen stands in nobody's way.
    pub async fn check_claims(
        &self,
        environment: &EnvironmentName,
        manifests: &[Manifest],
        inventory: &Inventory,
    ) -> Result<Option<Objection>, Error> {
        let wanted = claims::new_claims(manifests, inventory);
        let claimed: BTreeSet<_> = wanted.iter().map(|wanted| &wanted.claim).collect();
        let mut standing = Standing::default();
        for kind in claims::kinds_to_look_at(&wanted) {
            self.look_at(kind, &claimed, &mut standing).await?;
        }
        let mut conflicts = claims::conflicts(environment, &wanted, &standing);
        for conflict in &mut conflicts {
            self.find_environment(conflict).await?;
        }
        Ok(claims::objection(&conflicts))
    }

    /// Takes in who has something by a kind, unless there is no such kind or it may not be seen.
    async fn look_at(&self, kind: Kind, claimed: &BTreeSet<&Claim>, standing: &mut Standing) -> Result<(), Error> {
        let Some(resource) = self.kinds.find(&key_of(kind, None, String::new())).await? else {
            return Ok(());
        };
        if let Some(holders) = self.holders.as_ref().filter(|_| claims::is_watched(kind)) {
            match holders.of(kind, &resource, claimed).await {
                Answer::Held(holders) => {
                    standing.add(kind, [], holders);
                    return Ok(());
                }
                Answer::Forbidden => return Ok(()),
                Answer::Behind => {}
            }
        }
        if let Some(objects) = self.list_kind(kind, &resource).await? {
            let names = objects.iter().map(|(key, _)| key.name.clone()).collect::<Vec<_>>();
            let holders = objects.into_iter().filter_map(|(key, body)| claims::holders_of(key, &body));
            standing.add(kind, names, holders);
        }
        Ok(())
    }

    /// Every object of a kind, from the API server's cache; `None` if it may not be listed.
    async fn list_kind(&self, kind: Kind, resource: &Resource) -> Result<Option<Vec<(ObjectKey, Value)>>, Error> {
        let api: Api<DynamicObject> = Api::all_with(self.connection.controller(), &resource.api);
        let params = ListParams::default().match_any();
        let what = resource.api.plural.clone();
        let listed = within(
            || format!("list {what}"),
            api.list(&params),
            |source| Error::List {
                what: what.clone(),
                source,
            },
        );
        let objects = match listed.await {
            Ok(list) => list.items,
            Err(Error::List {
                source: kube::Error::Api(status),
                ..
            }) if matches!(status.code, 403 | 404) => return Ok(None),
            Err(error) => return Err(error),
        };
        let read = |object: DynamicObject| {
            let key = key_of(kind, object.metadata.namespace.clone(), object.metadata.name.clone()?);
            Some((key, serde_json::to_value(object).ok()?))
        };
        Ok(Some(objects.into_iter().filter_map(read).collect()))
    }

    /// Pods and claims made by controllers bear no label of ours, but their namespace does.
    async fn find_environment(&self, conflict: &mut Conflict<'_>) -> Result<(), Error> {
        let Taken::By(holder) = &mut conflict.obstacle else { return Ok(()) };
        let (None, Some(namespace)) = (&holder.environment, &holder.key.namespace) else {
            return Ok(());
        };
        let key = ObjectKey {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "Namespace".to_owned(),
            namespace: None,
            name: namespace.clone(),
        };
        let home = self.read(self.connection.controller(), &key).await?;
        holder.environment = home.and_then(|home| home.environment);
        Ok(())
    }
}

fn key_of((group, version, kind): Kind, namespace: Option<String>, name: String) -> ObjectKey {
    ObjectKey {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        namespace,
        name,
    }
}
