//! Which bindings of the cluster name accounts of which namespace.
//!
//! To know that of one namespace takes a listing of all bindings: where many environments go at once, they share it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding, Subject as RbacSubject};
use kube::ResourceExt;
use tokio::sync::Mutex;

use crate::cluster::Error;
use crate::cluster::teardown::FRESH;
use crate::domain::manifest::ObjectKey;
use crate::domain::name::Namespace;
use crate::domain::plan::teardown::references::{Reference, Subject};

const RBAC: &str = "rbac.authorization.k8s.io";

/// By the namespace of the accounts, the bindings elsewhere that name them.
#[derive(Debug, Default)]
pub(super) struct Bindings(HashMap<String, Vec<Reference>>);

/// A listing, and when it began.
type Listed = (Instant, Arc<Bindings>);

/// The last listing, for whoever asks within [`FRESH`] after it began. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct RecentBindings(Arc<Mutex<Option<Listed>>>);

impl RecentBindings {
    /// What was listed a moment ago, or what `list` gives now; who comes meanwhile waits for it.
    pub(super) async fn get(&self, list: impl Future<Output = Result<Bindings, Error>>) -> Result<Arc<Bindings>, Error> {
        let mut last = self.0.lock().await;
        if let Some((_, bindings)) = last.as_ref().filter(|(began, _)| began.elapsed() < FRESH) {
            return Ok(bindings.clone());
        }
        let began = Instant::now();
        let bindings = Arc::new(list.await?);
        *last = Some((began, bindings.clone()));
        Ok(bindings)
    }
}

impl Bindings {
    pub(super) fn of(bindings: &[RoleBinding], cluster_bindings: &[ClusterRoleBinding]) -> Self {
        let mut all = Self::default();
        for binding in bindings {
            all.add("RoleBinding", binding, binding.subjects.as_deref());
        }
        for binding in cluster_bindings {
            all.add("ClusterRoleBinding", binding, binding.subjects.as_deref());
        }
        all
    }

    /// Those outside of `namespace` that name one of its accounts, or all of them.
    pub(super) fn of_namespace(&self, namespace: &Namespace) -> Vec<Reference> {
        self.0.get(namespace.as_str()).cloned().unwrap_or_default()
    }

    fn add(&mut self, kind: &str, binding: &impl ResourceExt, subjects: Option<&[RbacSubject]>) {
        for (namespace, subject) in subjects.unwrap_or_default().iter().filter_map(named) {
            // What is in the namespace goes with it.
            if binding.namespace().as_deref() == Some(namespace) {
                continue;
            }
            self.0.entry(namespace.to_owned()).or_default().push(Reference {
                binding: ObjectKey {
                    group: RBAC.to_owned(),
                    version: "v1".to_owned(),
                    kind: kind.to_owned(),
                    namespace: binding.namespace(),
                    name: binding.name_any(),
                },
                uid: binding.uid().unwrap_or_default(),
                subject,
            });
        }
    }
}

/// Whom a subject names, and of which namespace. RBAC knows an account by its user name and by its group as well.
fn named(subject: &RbacSubject) -> Option<(&str, Subject)> {
    match subject.kind.as_str() {
        "ServiceAccount" => Some((subject.namespace.as_deref()?, Subject::Account(subject.name.clone()))),
        "User" => {
            let (namespace, name) = subject.name.strip_prefix("system:serviceaccount:")?.split_once(':')?;
            Some((namespace, Subject::Account(name.to_owned())))
        }
        "Group" => Some((subject.name.strip_prefix("system:serviceaccounts:")?, Subject::AllAccounts)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use serde_json::json;

    use super::*;

    fn subject(kind: &str, namespace: Option<&str>, name: &str) -> RbacSubject {
        RbacSubject {
            kind: kind.into(),
            namespace: namespace.map(str::to_owned),
            name: name.into(),
            ..RbacSubject::default()
        }
    }

    /// Whom a binding in `elsewhere` with this subject names in `shop-a`.
    fn read(one: RbacSubject) -> Vec<Subject> {
        let mut binding: RoleBinding = serde_json::from_value(json!({
            "metadata": { "name": "b", "namespace": "elsewhere" },
            "roleRef": { "apiGroup": RBAC, "kind": "Role", "name": "r" },
        }))
        .unwrap();
        binding.subjects = Some(vec![one]);
        let found = Bindings::of(&[binding], &[]).of_namespace(&"shop-a".parse().unwrap());
        found.into_iter().map(|reference| reference.subject).collect()
    }

    #[test]
    fn f52_an_account_is_named_by_itself_by_its_user_name_and_by_the_group_of_its_namespace() {
        let web = || vec![Subject::Account("web".into())];
        assert_eq!(read(subject("ServiceAccount", Some("shop-a"), "web")), web());
        assert_eq!(read(subject("User", None, "system:serviceaccount:shop-a:web")), web());
        assert_eq!(
            read(subject("Group", None, "system:serviceaccounts:shop-a")),
            [Subject::AllAccounts]
        );
        for other in [
            subject("ServiceAccount", Some("shop-ab"), "web"),
            subject("ServiceAccount", None, "web"),
            subject("User", None, "system:serviceaccount:shop-ab:web"),
            subject("Group", None, "system:serviceaccounts:shop-ab"),
            subject("Group", None, "system:serviceaccounts"),
        ] {
            assert_eq!(read(other.clone()), [], "{other:?}");
        }
    }

    #[test]
    fn a_binding_within_the_namespace_is_no_reference_from_elsewhere() {
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": { "name": "b", "namespace": "shop-a" },
            "roleRef": { "apiGroup": RBAC, "kind": "Role", "name": "r" },
            "subjects": [{ "kind": "ServiceAccount", "namespace": "shop-a", "name": "web" }],
        }))
        .unwrap();
        assert_eq!(Bindings::of(&[binding], &[]).of_namespace(&"shop-a".parse().unwrap()), []);
    }

    #[tokio::test]
    async fn who_asks_a_moment_later_shares_the_listing_and_a_failed_one_is_nobodys() {
        let recent = RecentBindings::default();
        let failed = async {
            Err(Error::WatchBehind {
                kind: "RoleBinding".to_owned(),
            })
        };
        assert!(recent.get(failed).await.is_err());
        assert!(recent.get(async { Ok(Bindings::default()) }).await.is_ok());
        let unused = async { unreachable!("the listing is shared") };
        assert!(recent.get(unused).await.is_ok());
    }
}
