//! Who has what an environment is about to claim: one listing for each kind that could, and none where nothing new is claimed.

use kube::Api;
use kube::api::{DynamicObject, ListParams};
use serde_json::Value;

use super::Error;
use super::connection::within;
use super::observe::Observer;
use crate::domain::claims::{self, Conflict, Kind, Objection, Standing, Taken};
use crate::domain::inventory::Inventory;
use crate::domain::manifest::{Manifest, ObjectKey};
use crate::domain::name::EnvironmentName;

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
        let mut standing = Standing::default();
        for kind in claims::kinds_to_list(&wanted) {
            if let Some(objects) = self.list_kind(kind).await? {
                let names = objects.iter().map(|(key, _)| key.name.clone()).collect::<Vec<_>>();
                let holders = objects.into_iter().filter_map(|(key, body)| claims::holders_of(key, &body));
                standing.add(kind, names, holders);
            }
        }
        let mut conflicts = claims::conflicts(environment, &wanted, &standing);
        for conflict in &mut conflicts {
            self.find_environment(conflict).await?;
        }
        Ok(claims::objection(&conflicts))
    }

    /// Every object of a kind, from the API server's cache; `None` if there is no such kind or it may not be listed.
    async fn list_kind(&self, (group, version, kind): Kind) -> Result<Option<Vec<(ObjectKey, Value)>>, Error> {
        let of_kind = |namespace: Option<String>, name: String| ObjectKey {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            namespace,
            name,
        };
        let Some(resource) = self.kinds.find(&of_kind(None, String::new())).await? else {
            return Ok(None);
        };
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
            let key = of_kind(object.metadata.namespace.clone(), object.metadata.name.clone()?);
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
