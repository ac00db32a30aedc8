//! The command line's way into the cluster: found by the conventions of kubectl, narrowed to typed calls.
//!
//! Every call has a deadline of its own, because the client below retries an overloaded server for a very long time.

mod adopt;
mod diagnose;
mod error;
mod projects;
pub mod receipts;
pub mod records;
mod requests;
mod restore;
pub mod setup;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures::{Stream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, PostParams, Preconditions};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use tokio::time::timeout;

use crate::api::receipt::{SIGNATURE_KEY, config_map_name};
use crate::api::{Environment, GitHost, Project};
use crate::cluster::environments::record_reason;
use crate::domain::git::BranchName;
use crate::domain::name::{EnvironmentName, Namespace, ObjectName, ProjectName};
use crate::domain::removal::Reason;

pub use diagnose::Look;
pub use error::{Class, Error};
pub use requests::{Asked, Caller, Word, Written};
pub use restore::Restoration;

/// Which cluster, and how long to wait for it.
#[derive(Debug, Clone)]
pub struct Target {
    /// A kubeconfig; `None`: `KUBECONFIG`, else `~/.kube/config`, else the ServiceAccount of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context; `None`: its current one.
    pub context: Option<String>,
    /// The namespace; `None`: that of the context, else `default`.
    pub namespace: Option<Namespace>,
    /// The deadline of each call.
    pub request_timeout: Duration,
}

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// In one namespace.
    Namespace(Namespace),
    /// In all of them.
    AllNamespaces,
}

/// What a request to delete led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// The object is marked; its finalizer holds it until the teardown is proven.
    Requested,
    /// There was nothing left to mark.
    AlreadyGone,
}

/// A connection to one cluster.
#[derive(Clone)]
pub struct Access {
    config: kube::Config,
    client: Client,
    namespace: Namespace,
    request_timeout: Duration,
}

/// How many objects one page of a listing holds.
const PAGE: u32 = 500;

// === impl Access ===

impl Access {
    /// Finds the cluster. Nothing is sent to it yet.
    ///
    /// # Errors
    /// The settings are missing or unusable; [`Error::class`] is [`Class::Access`].
    pub async fn connect(target: &Target) -> Result<Self, Error> {
        let mut config = client_config(target).await?;
        config.connect_timeout = Some(target.request_timeout);
        let namespace = match &target.namespace {
            Some(namespace) => namespace.clone(),
            None => config.default_namespace.parse().map_err(Error::ParseNamespace)?,
        };
        Ok(Self {
            client: Client::try_from(config.clone()).map_err(Error::from_client)?,
            config,
            namespace,
            request_timeout: target.request_timeout,
        })
    }

    /// How the cluster is reached.
    pub(super) fn config(&self) -> kube::Config {
        self.config.clone()
    }

    /// The namespace that is meant when nothing else is said.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Every environment in `scope`, sorted by namespace and name.
    ///
    /// # Errors
    /// The cluster did not answer, did not permit it, or does not know the kind.
    pub async fn environments(&self, scope: &Scope) -> Result<Vec<Environment>, Error> {
        self.list(scope, ListParams::default()).await
    }

    /// The environments in `scope` that bear `text` as their name or as their branch. Empty: there are none.
    ///
    /// # Errors
    /// As [`Access::environments`].
    pub async fn environments_called(&self, scope: &Scope, text: &str) -> Result<Vec<Environment>, Error> {
        let mut found = match BranchName::from_stored(text) {
            Ok(branch) => self.environments_of_branch(scope, &branch).await?,
            Err(_) => Vec::new(),
        };
        if let Ok(name) = text.parse::<EnvironmentName>() {
            let named = ListParams::default().fields(&format!("metadata.name={name}"));
            found.extend(self.list(scope, named).await?);
        }
        found.sort_by_key(place);
        found.dedup_by_key(|environment| place(environment));
        Ok(found)
    }

    /// The environments in `scope` of one branch, of every Project that has it.
    ///
    /// # Errors
    /// As [`Access::environments`].
    pub async fn environments_of_branch(&self, scope: &Scope, branch: &BranchName) -> Result<Vec<Environment>, Error> {
        let selector = format!("spec.branch={}", escape_selector_value(branch.as_str()));
        self.list(scope, ListParams::default().fields(&selector)).await
    }

    /// One environment by its exact name, or `None`.
    ///
    /// # Errors
    /// As [`Access::environments`].
    pub async fn environment(&self, namespace: &Namespace, name: &EnvironmentName) -> Result<Option<Environment>, Error> {
        let api: Api<Environment> = self.namespaced(namespace);
        self.within("read the environment", api.get_opt(name.as_str())).await
    }

    /// Asks for the deletion of exactly this environment: not of another one that has taken its name since. Who asks is recorded on it
    /// before, if the caller may change it; whoever may only delete is not told apart from `kubectl delete`.
    ///
    /// # Errors
    /// [`Class::Conflict`] when the name belongs to another object by now; else as [`Access::environments`].
    pub async fn delete_environment(&self, environment: &Environment) -> Result<Deletion, Error> {
        const OPERATION: &str = "delete the environment";
        let api = self.beside(environment);
        let precondition = DeleteParams::default().preconditions(Preconditions {
            uid: environment.uid(),
            ..Preconditions::default()
        });
        let name = environment.name_any();
        self.record_request(&api, environment).await;
        match timeout(self.request_timeout, api.delete(&name, &precondition)).await {
            Err(_) => Err(self.late(OPERATION)),
            Ok(Ok(_)) => Ok(Deletion::Requested),
            Ok(Err(kube::Error::Api(status))) if status.is_not_found() && status.details.is_some() => Ok(Deletion::AlreadyGone),
            Ok(Err(error)) => Err(Error::from_request(OPERATION, error)),
        }
    }

    /// Follows one environment: each state that is seen, then `None` once it is gone. An object of the same name with another
    /// UID is another environment: this one is gone then.
    ///
    /// # Caveats
    /// The stream never ends by itself, and goes on after an error of passing nature with growing pauses; the caller ends it.
    pub fn follow(&self, environment: &Environment) -> impl Stream<Item = Result<Option<Environment>, Error>> + Send + use<> {
        let uid = environment.uid();
        let api = self.beside(environment);
        watcher::watch_object(api, &environment.name_any())
            .default_backoff()
            .map(move |event| match event {
                Ok(seen) => Ok(seen.filter(|seen| seen.uid() == uid)),
                Err(error) => Err(Error::from_watch("follow the environment", error)),
            })
    }

    /// One Project, or `None`.
    ///
    /// # Errors
    /// As [`Access::environments`].
    pub async fn project(&self, namespace: &Namespace, name: &ProjectName) -> Result<Option<Project>, Error> {
        let api: Api<Project> = self.namespaced(namespace);
        self.within("read the Project", api.get_opt(name.as_str())).await
    }

    /// One GitHost, or `None`.
    ///
    /// # Errors
    /// As [`Access::environments`].
    pub async fn git_host(&self, namespace: &Namespace, name: &ObjectName) -> Result<Option<GitHost>, Error> {
        let api: Api<GitHost> = self.namespaced(namespace);
        self.within("read the GitHost", api.get_opt(name.as_str())).await
    }

    /// The receipt of an environment's teardown: what its ConfigMap holds, by key; `None` when there is none.
    ///
    /// # Errors
    /// As [`Access::environments`].
    pub async fn receipt(&self, environment: &Environment) -> Result<Option<BTreeMap<String, String>>, Error> {
        let namespace = environment.namespace().unwrap_or_default();
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &namespace);
        let name = config_map_name(&environment.name_any(), &environment.uid().unwrap_or_default());
        let receipt = self.within("read the receipt", api.get_opt(&name)).await?;
        Ok(receipt.map(|receipt| {
            let mut data = receipt.data.unwrap_or_default();
            // For machines: `graftling receipt verify` checks it.
            data.remove(SIGNATURE_KEY);
            data
        }))
    }

    async fn record_request(&self, api: &Api<Environment>, environment: &Environment) {
        if environment.metadata.deletion_timestamp.is_some() {
            return;
        }
        let reviews: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let recorded = async {
            let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await;
            let user = review.ok().and_then(|review| review.status?.user_info?.username);
            let reason = Reason::requested(user.as_deref());
            // Whatever its status has become meanwhile: it is this environment that is to go.
            let mut environment = environment.clone();
            environment.metadata.resource_version = None;
            record_reason(api, &environment, &reason, Timestamp::now()).await
        };
        // The reason is for people; the deletion does not depend on it.
        let _ = timeout(self.request_timeout, recorded).await;
    }

    fn namespaced<K>(&self, namespace: &Namespace) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), namespace.as_str())
    }

    fn beside(&self, environment: &Environment) -> Api<Environment> {
        let namespace = environment.namespace().unwrap_or_default();
        Api::namespaced(self.client.clone(), &namespace)
    }

    /// Reads page after page. A token that expires in between starts the listing again, whole, as kubectl does.
    async fn list(&self, scope: &Scope, parameters: ListParams) -> Result<Vec<Environment>, Error> {
        const OPERATION: &str = "list environments";
        let api: Api<Environment> = match scope {
            Scope::Namespace(namespace) => self.namespaced(namespace),
            Scope::AllNamespaces => Api::all(self.client.clone()),
        };
        let mut found = Vec::new();
        let mut page = parameters.clone().limit(PAGE);
        loop {
            let list = match self.within(OPERATION, api.list(&page)).await {
                Err(Error::Answer { code: 410, .. }) if page.continue_token.is_some() => {
                    found.clear();
                    self.within(OPERATION, api.list(&parameters)).await?
                }
                answer => answer?,
            };
            let next = list.metadata.continue_.filter(|token| !token.is_empty());
            found.extend(list.items);
            match next {
                Some(token) => page.continue_token = Some(token),
                None => break,
            }
        }
        found.sort_by_key(place);
        Ok(found)
    }

    async fn within<T>(&self, operation: &'static str, call: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
        match timeout(self.request_timeout, call).await {
            Ok(answer) => answer.map_err(|error| Error::from_request(operation, error)),
            Err(_) => Err(self.late(operation)),
        }
    }

    fn late(&self, operation: &'static str) -> Error {
        Error::TimeOut {
            operation,
            after: self.request_timeout,
        }
    }
}

fn place(environment: &Environment) -> (Option<String>, String) {
    (environment.namespace(), environment.name_any())
}

async fn client_config(target: &Target) -> Result<kube::Config, Error> {
    let kubeconfig = match &target.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let options = KubeConfigOptions {
        context: target.context.clone(),
        ..KubeConfigOptions::default()
    };
    match kubeconfig {
        Ok(kubeconfig) => kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(Error::from_kubeconfig),
        Err(error) if nothing_was_asked_for(target) && is_missing(&error) => kube::Config::incluster().map_err(Error::FindCluster),
        Err(error) => Err(Error::from_kubeconfig(error)),
    }
}

/// Whether only the default kubeconfig was looked for: only then does its absence lead on to the pod's ServiceAccount.
fn nothing_was_asked_for(target: &Target) -> bool {
    let variable = std::env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty());
    target.kubeconfig.is_none() && target.context.is_none() && !variable
}

fn is_missing(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(source, _) => source.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// A field selector separates its terms by `,` and `=`, both of which a branch's name may hold.
fn escape_selector_value(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '\\' | ',' | '=') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_with_separators_is_one_term_of_a_field_selector() {
        assert_eq!(escape_selector_value("a=b,c"), "a\\=b\\,c");
        assert_eq!(escape_selector_value("feature/x"), "feature/x");
    }
}
