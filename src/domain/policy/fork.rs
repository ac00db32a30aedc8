//! Pull requests from forks, and the guarded class that their environments are in.
//!
//! Their code is a stranger's, approved commit by commit. Everything that a Project grants beyond the least is taken back, and what
//! describes the environment comes from the default branch.

use std::collections::BTreeMap;

use super::{AllowedKeys, BundleSource, ClaimPolicy, ClusterScoped, Guardrails, Outbound, Permission, Project, TemplatesFrom};
use crate::domain::why::quantity;

/// What becomes of pull requests from forks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Forks {
    /// Nothing.
    #[default]
    Ignore,
    /// They get an environment at exactly the commit that was approved.
    Approve,
}

/// What an environment of a fork may use at most; less where the Project says less.
const QUOTA: [(&str, &str); 7] = [
    ("requests.cpu", "2"),
    ("requests.memory", "4Gi"),
    ("limits.memory", "8Gi"),
    ("pods", "20"),
    ("persistentvolumeclaims", "5"),
    ("services.loadbalancers", "0"),
    ("services.nodeports", "0"),
];

impl Project {
    /// The Project as it is for environments of pull requests from forks.
    ///
    /// # Guarantees
    /// Nothing is read from the fork's commit but the files that a stage checks out: neither the bundle nor `.graftling.yaml`. Nobody is
    /// called by webhook, nothing outside of the namespace is written or claimed, and nothing outlives the environment.
    #[must_use]
    pub fn for_fork(mut self) -> Self {
        if let BundleSource::Repository { from, .. } = &mut self.bundle {
            *from = TemplatesFrom::DefaultBranch;
        }
        self.branch_file = AllowedKeys::default();
        self.cluster_scoped = ClusterScoped::Deny;
        self.cluster_kinds = Vec::new();
        self.claims = ClaimPolicy::default();
        self.outbound = Outbound::usual();
        self.retain = Permission::Deny;
        self.guardrails = self.guardrails.for_fork();
        self
    }
}

impl Guardrails {
    /// The fences of environments of pull requests from forks: never wider than the Project's, and never without NetworkPolicies. Pods
    /// reach their own namespace and DNS, and nothing else.
    #[must_use]
    pub fn for_fork(mut self) -> Self {
        for (name, most) in QUOTA {
            let hard = self.quota.entry(name.to_owned()).or_insert_with(|| most.to_owned());
            let is_less = quantity(hard).zip(quantity(most)).is_some_and(|(hard, most)| hard <= most);
            if !is_less {
                most.clone_into(hard);
            }
        }
        self.ingress_from.get_or_insert_with(BTreeMap::new);
        self.internet = false;
        if self.pod_security == "privileged" {
            self.pod_security = "baseline";
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threat_t11_the_fences_of_a_fork_are_never_wider_than_those_of_the_project() {
        let own = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        let wide = Guardrails {
            quota: own(&[
                ("pods", "500"),
                ("requests.cpu", "500m"),
                ("requests.memory", "much"),
                ("count/secrets", "3"),
            ]),
            pod_security: "privileged",
            ..Guardrails::none()
        };
        let fork = wide.for_fork();
        let hard = |name: &str| fork.quota[name].as_str();
        assert_eq!((hard("pods"), hard("requests.cpu"), hard("requests.memory")), ("20", "500m", "4Gi"));
        assert_eq!((hard("services.loadbalancers"), hard("count/secrets")), ("0", "3"));
        assert_eq!(
            (fork.pod_security, fork.ingress_from.as_ref(), fork.internet),
            ("baseline", Some(&BTreeMap::new()), false)
        );
        let strict = Guardrails {
            pod_security: "restricted",
            ..Guardrails::none()
        };
        assert_eq!(strict.for_fork().pod_security, "restricted");
        let empty = Guardrails::none().for_fork();
        assert_eq!(empty.quota.len(), QUOTA.len(), "a Project without a quota grants forks no more");
    }
}
