//! Every kind that the cluster serves now: asked anew each time, since a kind may be younger than any cache.

use kube::core::discovery::v2::{APIGroupDiscovery, APIResourceDiscovery};
use kube::discovery::{ApiResource, verbs};
use kube::error::DiscoveryError;
use kube::{Client, Error as KubeError};

use crate::cluster::Error;
use crate::cluster::connection::within;

/// What can be listed, and what did not answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Served {
    /// Kinds whose objects can be listed, each in the version that its group prefers of those that have it.
    pub kinds: Vec<Kind>,
    /// API groups whose server did not say what it serves, as `version.group`.
    pub silent: Vec<String>,
}

/// A kind that can be listed.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    /// As the API serves it.
    pub api: ApiResource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

/// Asks for every kind, in two requests.
///
/// # Errors
/// A request failed, or the answer holds no group at all: nothing may be concluded from that.
pub(super) async fn discover(client: &Client) -> Result<Served, Error> {
    let what = || "discover the kinds of the cluster".to_owned();
    let failed = |source| Error::List {
        what: "the kinds of the cluster".to_owned(),
        source,
    };
    let core = within(what, client.list_core_api_versions_aggregated(), failed).await?;
    let groups = within(what, client.list_api_groups_aggregated(), failed).await?;
    // A server that does not know aggregated discovery answers with another list, which reads as an empty one.
    if core.items.is_empty() || groups.items.is_empty() {
        return Err(failed(KubeError::Discovery(DiscoveryError::EmptyApiGroup("/apis".to_owned()))));
    }
    let mut served = Served::default();
    for group in core.items.into_iter().chain(groups.items) {
        take(&mut served, group);
    }
    Ok(served)
}

/// The versions of a group come in the order of its preference. A kind may be missing in the first: it is taken from the next.
fn take(served: &mut Served, group: APIGroupDiscovery) {
    let name = group.metadata.and_then(|metadata| metadata.name).unwrap_or_default();
    let first = served.kinds.len();
    for version in group.versions {
        let number = version.version.unwrap_or_default();
        if version.freshness.as_deref() == Some("Stale") {
            served.silent.push(format!("{number}.{name}"));
        }
        for resource in version.resources {
            let kind = kind(&name, &number, resource);
            let known = |known: &Kind| known.api.plural == kind.0.api.plural;
            if kind.1 && !served.kinds[first..].iter().any(known) {
                served.kinds.push(kind.0);
            }
        }
    }
}

/// The kind, and whether it can be listed.
fn kind(group: &str, version: &str, resource: APIResourceDiscovery) -> (Kind, bool) {
    let api_version = match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    };
    let kind = Kind {
        namespaced: resource.scope.as_deref() == Some("Namespaced"),
        api: ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version,
            kind: resource.response_kind.and_then(|kind| kind.kind).unwrap_or_default(),
            plural: resource.resource.unwrap_or_default(),
        },
    };
    (kind, resource.verbs.iter().any(|verb| verb == verbs::LIST))
}

impl Kind {
    /// `group/Kind`, or `Kind` for the core group.
    pub(super) fn name(&self) -> String {
        match self.api.group.as_str() {
            "" => self.api.kind.clone(),
            group => format!("{group}/{}", self.api.kind),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    #[test]
    fn a_kind_that_only_an_older_version_has_is_served_too_and_none_twice() {
        let resource = |plural: &str, kind: &str, verbs: &[&str]| serde_json::json!({ "resource": plural, "responseKind": { "kind": kind }, "scope": "Namespaced", "verbs": verbs });
        let group: APIGroupDiscovery = serde_json::from_value(serde_json::json!({
            "metadata": { "name": "homes.example" },
            "versions": [
                { "version": "v1", "freshness": "Current", "resources": [resource("homes", "Home", &["get", "list"])] },
                { "version": "v1beta1", "freshness": "Stale", "resources": [
                    resource("homes", "Home", &["list"]),
                    resource("sheds", "Shed", &["list"]),
                    resource("reviews", "Review", &["create"]),
                ]},
            ],
        }))
        .unwrap();
        let mut served = Served::default();
        take(&mut served, group);
        let kinds: Vec<_> = served
            .kinds
            .iter()
            .map(|kind| (kind.name(), kind.api.api_version.as_str()))
            .collect();
        let expected = [
            ("homes.example/Home".to_owned(), "homes.example/v1"),
            ("homes.example/Shed".to_owned(), "homes.example/v1beta1"),
        ];
        assert_eq!(kinds, expected);
        assert_eq!(served.silent, ["v1beta1.homes.example"]);
    }
}
