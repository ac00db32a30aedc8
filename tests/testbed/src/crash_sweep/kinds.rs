//! The kinds that an API server can list, so that a look at a cluster forgets none.

use kube::Client;
use kube::discovery::{ApiResource, Discovery, Scope, verbs};

use super::Error;

/// A kind that can be listed.
#[derive(Debug, Clone)]
pub struct Kind {
    /// What to ask for.
    pub resource: ApiResource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether it can be watched.
    pub watchable: bool,
}

impl Kind {
    /// Whether its objects tell of others and go by themselves.
    pub fn is_event(&self) -> bool {
        self.resource.kind == "Event"
    }
}

/// Every kind that can be listed, in the version that the API server prefers. Events only once, by their own group.
pub(super) async fn discover(client: &Client) -> Result<Vec<Kind>, Error> {
    let discovery = Discovery::new(client.clone()).run_aggregated().await;
    let discovery = discovery.map_err(Error::request("discover the kinds"))?;
    let all = discovery.groups().flat_map(|group| group.recommended_resources());
    let listable = all.filter(|(_, capabilities)| capabilities.supports_operation(verbs::LIST));
    let kinds = listable.map(|(resource, capabilities)| Kind {
        resource,
        namespaced: capabilities.scope == Scope::Namespaced,
        watchable: capabilities.supports_operation(verbs::WATCH),
    });
    let mut kinds: Vec<Kind> = kinds.filter(|kind| !(kind.is_event() && kind.resource.group.is_empty())).collect();
    kinds.sort_by(|a, b| (&a.resource.group, &a.resource.kind).cmp(&(&b.resource.group, &b.resource.kind)));
    Ok(kinds)
}
