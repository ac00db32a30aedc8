//! What counts on the ServiceAccounts of a namespace, by consistent reads.

mod bindings;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use self::bindings::Bindings;
pub use self::bindings::RecentBindings;
use super::Error;
use super::connection::{Deployer, within};
use super::observe::Observer;
use super::teardown::list;
use crate::domain::manifest::ObjectKey;
use crate::domain::name::Namespace;
use crate::domain::plan::teardown::references::{CloudIdentity, Reference, References, TokenSecret};

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
            self.recent_bindings(namespace),
            token_secrets(reads_secrets, namespace),
            self.cloud_identities(namespace)
        )?;
        Ok(References {
            bindings,
            tokens,
            cloud_identities,
        })
    }

    /// As [`Observer::bindings_elsewhere`], by a listing that others may share and that is a second old at most.
    async fn recent_bindings(&self, namespace: &Namespace) -> Result<Vec<Reference>, Error> {
        let bindings = self.bindings.get(self.list_bindings()).await?;
        Ok(bindings.of_namespace(namespace))
    }

    /// Bindings outside of `namespace` that name one of its accounts, or all of them.
    ///
    /// # Errors
    /// A listing failed.
    pub async fn bindings_elsewhere(&self, namespace: &Namespace) -> Result<Vec<Reference>, Error> {
        Ok(self.list_bindings().await?.of_namespace(namespace))
    }

    async fn list_bindings(&self) -> Result<Bindings, Error> {
        let (of_namespaces, of_cluster) = (
            Api::<RoleBinding>::all(self.connection.controller()),
            Api::all(self.connection.controller()),
        );
        let (bindings, cluster_bindings) = futures::try_join!(
            list(&of_namespaces, "role bindings".to_owned()),
            list::<ClusterRoleBinding>(&of_cluster, "cluster role bindings".to_owned())
        )?;
        Ok(Bindings::of(&bindings, &cluster_bindings))
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

fn core_key(kind: &str, namespace: &Namespace, name: String) -> ObjectKey {
    ObjectKey {
        group: String::new(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: Some(namespace.to_string()),
        name,
    }
}
