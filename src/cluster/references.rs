//! What counts on the ServiceAccounts of a namespace, by consistent reads.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding, Subject as RbacSubject};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::Error;
use super::connection::{Deployer, within};
use super::observe::Observer;
use super::teardown::list;
use crate::domain::manifest::ObjectKey;
use crate::domain::name::Namespace;
use crate::domain::plan::teardown::references::{CloudIdentity, Reference, References, Subject, TokenSecret};

const RBAC: &str = "rbac.authorization.k8s.io";
const TOKEN_TYPE: &str = "kubernetes.io/service-account-token";
const TOKEN_ACCOUNT: &str = "kubernetes.io/service-account.name";

impl Observer {
    /// Everything that counts on an account of `namespace`. Secrets are looked at as the deployer, and of them the metadata alone.
    ///
    /// # Errors
    /// The first listing that failed: nothing may be concluded from half a look.
    pub async fn references(&self, deployer: &Deployer, namespace: &Namespace) -> Result<References, Error> {
        let as_deployer = self.connection.deployer(deployer)?;
        self.references_as(&as_deployer, namespace).await
    }

    /// As [`Observer::references`], with Secrets read as whoever `reads_secrets` is.
    ///
    /// # Errors
    /// As [`Observer::references`].
    pub async fn references_as(&self, reads_secrets: &Client, namespace: &Namespace) -> Result<References, Error> {
        let (bindings, tokens, cloud_identities) = futures::try_join!(
            self.bindings_elsewhere(namespace),
            token_secrets(reads_secrets, namespace),
            self.cloud_identities(namespace)
        )?;
        Ok(References {
            bindings,
            tokens,
            cloud_identities,
        })
    }

    /// Bindings outside of `namespace` that name one of its accounts, or all of them.
    ///
    /// # Errors
    /// A listing failed.
    pub async fn bindings_elsewhere(&self, namespace: &Namespace) -> Result<Vec<Reference>, Error> {
        let (of_namespaces, of_cluster) = (
            Api::<RoleBinding>::all(self.connection.controller()),
            Api::all(self.connection.controller()),
        );
        let (bindings, cluster_bindings) = futures::try_join!(
            list(&of_namespaces, "role bindings".to_owned()),
            list::<ClusterRoleBinding>(&of_cluster, "cluster role bindings".to_owned())
        )?;
        let elsewhere = bindings
            .iter()
            .filter(|binding| binding.namespace().as_deref() != Some(namespace.as_str()))
            .map(|binding| (binding_key("RoleBinding", binding), binding.uid(), &binding.subjects));
        let everywhere = cluster_bindings
            .iter()
            .map(|binding| (binding_key("ClusterRoleBinding", binding), binding.uid(), &binding.subjects));
        Ok(elsewhere
            .chain(everywhere)
            .flat_map(|(binding, uid, subjects)| {
                named(subjects.as_deref(), namespace).map(move |subject| Reference {
                    binding: binding.clone(),
                    uid: uid.clone().unwrap_or_default(),
                    subject,
                })
            })
            .collect())
    }

    async fn cloud_identities(&self, namespace: &Namespace) -> Result<Vec<CloudIdentity>, Error> {
        let api: Api<ServiceAccount> = Api::namespaced(self.connection.controller(), namespace.as_str());
        let accounts = list(&api, format!("service accounts in {namespace}")).await?;
        let of_account = |account: &ServiceAccount| {
            let key = core_key("ServiceAccount", namespace, account.name_any());
            CloudIdentity::of(&key, &account.uid().unwrap_or_default(), account.annotations())
        };
        Ok(accounts.iter().flat_map(of_account).collect())
    }
}

async fn token_secrets(reads_secrets: &Client, namespace: &Namespace) -> Result<Vec<TokenSecret>, Error> {
    let api: Api<Secret> = Api::namespaced(reads_secrets.clone(), namespace.as_str());
    let params = ListParams::default().fields(&format!("type={TOKEN_TYPE}"));
    let what = || format!("token secrets in {namespace}");
    let listed = within(
        || format!("list {}", what()),
        api.list_metadata(&params),
        |source| Error::List { what: what(), source },
    )
    .await?;
    let token = |metadata: &BTreeMap<String, String>, name: String, uid: String| {
        Some(TokenSecret {
            secret: core_key("Secret", namespace, name),
            uid,
            account: metadata.get(TOKEN_ACCOUNT)?.clone(),
        })
    };
    Ok(listed
        .items
        .iter()
        .filter_map(|secret| token(secret.annotations(), secret.name_any(), secret.uid()?))
        .collect())
}

fn binding_key(kind: &str, binding: &impl ResourceExt) -> ObjectKey {
    ObjectKey {
        group: RBAC.to_owned(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: binding.namespace(),
        name: binding.name_any(),
    }
}

fn core_key(kind: &str, namespace: &Namespace, name: String) -> ObjectKey {
    ObjectKey {
        group: String::new(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: Some(namespace.to_string()),
        name,
    }
}

/// Whom of `namespace` the subjects name. RBAC knows an account by its user name and by its group as well.
fn named<'s>(subjects: Option<&'s [RbacSubject]>, namespace: &'s Namespace) -> impl Iterator<Item = Subject> + use<'s> {
    let user = format!("system:serviceaccount:{namespace}:");
    let group = format!("system:serviceaccounts:{namespace}");
    let read = move |subject: &RbacSubject| match subject.kind.as_str() {
        "ServiceAccount" if subject.namespace.as_deref() == Some(namespace.as_str()) => Some(Subject::Account(subject.name.clone())),
        "User" => subject.name.strip_prefix(&user).map(|name| Subject::Account(name.to_owned())),
        "Group" if subject.name == group => Some(Subject::AllAccounts),
        _ => None,
    };
    subjects.unwrap_or_default().iter().filter_map(read)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    fn subject(kind: &str, namespace: Option<&str>, name: &str) -> RbacSubject {
        RbacSubject {
            kind: kind.into(),
            namespace: namespace.map(str::to_owned),
            name: name.into(),
            ..RbacSubject::default()
        }
    }

    #[test]
    fn f52_an_account_is_named_by_itself_by_its_user_name_and_by_the_group_of_its_namespace() {
        let namespace = "shop-a".parse().unwrap();
        let read = |one: RbacSubject| named(Some(&[one]), &namespace).collect::<Vec<_>>();
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
}
