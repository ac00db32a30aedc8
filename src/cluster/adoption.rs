//! What an adoption is decided over, by consistent reads, and the one object that it makes.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Namespace as ClusterNamespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource};
use serde_json::{Value, json};

use super::Error;
use super::connection::{Deployer, within};
use super::observe::{FAN_OUT, Observer};
use crate::api::{Environment, convert, keys};
use crate::domain::adoption::{Belonging, Claim, Marks, belonging};
use crate::domain::manifest::ObjectKey;
use crate::domain::manifest::scope::SHARED_LABEL;
use crate::domain::name::{EnvironmentName, Namespace, ProjectKey};
use crate::domain::observed::LiveObject;
use crate::domain::outcome::FailureClass;
use crate::domain::roster::Wanted;

/// Where a namespace says whose it is.
pub const MARKS: Marks<'static> = Marks {
    field_manager: keys::FIELD_MANAGER,
    environment_uid: keys::ENVIRONMENT_UID_ANNOTATION,
    branch: keys::BRANCH_ANNOTATION,
};

/// What there is of a lost environment.
#[derive(Debug, Clone, Default)]
pub struct Belongings {
    /// The objects that belong to it, with their UIDs.
    pub ours: Vec<(ObjectKey, String)>,
    /// Objects that bear its label without showing who put it there.
    pub doubtful: Vec<ObjectKey>,
}

impl Observer {
    /// What the namespace of an environment says of itself; `None` if there is none.
    ///
    /// # Errors
    /// The read failed.
    pub async fn claim(&self, environment: &EnvironmentName) -> Result<Option<Claim>, Error> {
        let body = self.read_whole(self.connection.controller(), &namespace_key(environment)).await?;
        Ok(body.and_then(|body| Claim::read(&body, MARKS)))
    }

    /// Whether an Environment with this UID exists, wherever. Only metadata is read: one that we cannot understand exists as well.
    ///
    /// # Errors
    /// The listing failed. A cluster without the kind is such a failure: it does not say that there are no Environments.
    pub async fn environment_exists(&self, uid: &str) -> Result<bool, Error> {
        let all = environments(&self.connection.controller()).await?;
        Ok(all.iter().any(|environment| environment.metadata.uid.as_deref() == Some(uid)))
    }

    /// Everything that bears the label of an environment, and every shared object that it owns. `trusting`: whatever bears the label is
    /// taken for the environment's, because somebody who has looked says so.
    ///
    /// # Errors
    /// A read or a listing failed: half an inventory would leave things behind.
    pub async fn belongings(&self, deployer: &Deployer, environment: &EnvironmentName, trusting: bool) -> Result<Belongings, Error> {
        let controller = self.connection.controller();
        let as_deployer = self.connection.deployer(deployer)?;
        let clients = [controller.clone(), as_deployer.clone()];
        let everywhere = self.residue(environment).await?;
        // Secrets are only seen inside of the namespace, and only by the deployer. Without its binding they are found by a second look,
        // once the binding is back.
        let inside = self.contents(&clients, &environment.namespace()).await?;
        let labelled = |found: &crate::domain::residue::Found| found.environment.as_deref() == Some(environment.as_str());
        let found = everywhere.found.into_iter().chain(inside.found).filter(labelled);
        // An environment's own objects are in its namespace, or in none.
        let home = environment.namespace();
        let own = found.filter(|found| found.key.namespace.as_deref().is_none_or(|namespace| namespace == home.as_str()));
        let keys: BTreeSet<ObjectKey> = own.map(|found| found.key).collect();
        let mut belongings = self.sort(&clients, environment, keys, trusting).await?;
        belongings.ours.extend(self.shares_of(&as_deployer, environment).await?);
        Ok(belongings)
    }

    async fn sort(
        &self,
        clients: &[Client; 2],
        environment: &EnvironmentName,
        keys: BTreeSet<ObjectKey>,
        trusting: bool,
    ) -> Result<Belongings, Error> {
        let reads: Vec<_> = keys.into_iter().map(|key| self.read_as_either(clients, key)).collect();
        let bodies: Vec<_> = stream::iter(reads).buffer_unordered(FAN_OUT).try_collect().await?;
        let mut belongings = Belongings::default();
        for (key, body) in bodies.into_iter().flatten() {
            let uid = body.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned();
            // What a controller made and gave our labels goes with its owner.
            let is_owned = body.pointer("/metadata/ownerReferences").is_some();
            match belonging(&body, environment.as_str(), keys::FIELD_MANAGER) {
                Belonging::Applied => belongings.ours.push((key, uid)),
                Belonging::Labelled if is_owned => {}
                Belonging::Labelled if trusting => belongings.ours.push((key, uid)),
                Belonging::Labelled => belongings.doubtful.push(key),
                Belonging::Foreign => {}
            }
        }
        belongings.ours.sort();
        belongings.doubtful.sort();
        Ok(belongings)
    }

    /// Secrets may be read by the deployer alone, guardrails by the controller alone.
    async fn read_as_either(&self, clients: &[Client; 2], key: ObjectKey) -> Result<Option<(ObjectKey, Value)>, Error> {
        let [controller, deployer] = clients;
        let body = match self.read_whole(controller.clone(), &key).await {
            Err(Error::Read {
                source: kube::Error::Api(status),
                ..
            }) if status.code == 403 => self.read_whole(deployer.clone(), &key).await?,
            other => other?,
        };
        Ok(body.map(|body| (key, body)))
    }

    /// The shared objects that an environment is an owner of.
    async fn shares_of(&self, as_deployer: &Client, environment: &EnvironmentName) -> Result<Vec<(ObjectKey, String)>, Error> {
        let shared = self.labelled(SHARED_LABEL).await?;
        let outside = shared
            .found
            .into_iter()
            .map(|found| found.key)
            .filter(|key| key.namespace.is_none());
        let mut owned = Vec::new();
        for key in outside {
            match self.read(as_deployer.clone(), &key).await {
                Ok(Some(live)) if owns(&live, environment) => owned.push((live.key, live.uid)),
                Ok(_) => {}
                // Other Projects share kinds that this one's deployer has no right to, so it never owned one of them.
                Err(error) if error.class() == FailureClass::Forbidden => {}
                Err(error) => return Err(error),
            }
        }
        Ok(owned)
    }
}

fn owns(live: &LiveObject, environment: &EnvironmentName) -> bool {
    live.is_shared() && live.shares.get(environment.as_str()).is_some_and(|share| share.ownership.is_some())
}

/// The namespace of an environment, which bears its name.
pub fn namespace_key(environment: &EnvironmentName) -> ObjectKey {
    ObjectKey {
        group: String::new(),
        version: "v1".to_owned(),
        kind: "Namespace".to_owned(),
        namespace: None,
        name: environment.to_string(),
    }
}

/// What every namespace that bears the label of an environment says of itself: one request.
///
/// # Errors
/// The listing failed.
pub async fn claims(client: &Client) -> Result<Vec<Claim>, Error> {
    let api: Api<ClusterNamespace> = Api::all(client.clone());
    let params = ListParams::default().labels(keys::ENVIRONMENT_LABEL);
    let listed = within(
        || "list the namespaces of environments".to_owned(),
        api.list_metadata(&params),
        |source| Error::List {
            what: "the namespaces of environments".to_owned(),
            source,
        },
    )
    .await?;
    let read = |object: &PartialObjectMeta<ClusterNamespace>| Claim::read(&json!({ "metadata": object.metadata }), MARKS);
    Ok(listed.items.iter().filter_map(read).collect())
}

/// The metadata of every Environment of the cluster.
///
/// # Errors
/// The listing failed.
pub async fn environments(client: &Client) -> Result<Vec<PartialObjectMeta<Environment>>, Error> {
    let api: Api<Environment> = Api::all(client.clone());
    let listed = within(
        || "list all Environments".to_owned(),
        api.list_metadata(&ListParams::default()),
        |source| Error::List {
            what: "all Environments".to_owned(),
            source,
        },
    )
    .await?;
    Ok(listed.items)
}

/// Makes an Environment anew for a namespace whose Environment is lost and whose branch was not found. It must not exist. `asked_by` is
/// whoever asked for it by name, if somebody did.
///
/// # Errors
/// The write failed; 409 if there is an Environment of the name by now.
pub async fn create_for_orphan(
    client: Client,
    project: &ProjectKey,
    wanted: &Wanted,
    namespace_uid: &str,
    asked_by: Option<&str>,
) -> Result<Environment, Error> {
    let api: Api<Environment> = Api::namespaced(client, project.namespace.as_str());
    let mut annotations = json!({
        (keys::BRANCH_ANNOTATION): wanted.branch.as_str(),
        (keys::ADOPTING_ANNOTATION): namespace_uid,
    });
    if let Some(who) = asked_by {
        annotations[keys::ADOPT_ANNOTATION] = json!(namespace_uid);
        annotations[keys::ADOPT_BY_ANNOTATION] = json!(who);
    }
    let body = json!({
        "apiVersion": Environment::api_version(&()),
        "kind": Environment::kind(&()),
        "metadata": {
            "name": wanted.name.as_str(),
            "namespace": project.namespace.as_str(),
            // Creates, or is refused: every existing object has another version.
            "resourceVersion": "1",
            "finalizers": [keys::FINALIZER],
            "labels": {
                "app.kubernetes.io/managed-by": "graftling",
                (keys::PROJECT_LABEL): project.name.as_str(),
            },
            "annotations": annotations,
        },
        "spec": convert::environment::spec(wanted, project),
    });
    let params = PatchParams::apply(keys::FIELD_MANAGER).force();
    within(
        || format!("write Environment {}", wanted.name),
        api.patch(wanted.name.as_str(), &params, &Patch::Apply(&body)),
        |source| Error::Write {
            what: format!("Environment {}", wanted.name),
            source,
        },
    )
    .await
}

/// Whether the definition of Environments is being deleted, and every Environment with it. Whoever may not look cannot tell, and takes a
/// deletion for what it says.
///
/// # Errors
/// The read failed for another reason than a missing right.
pub async fn definition_is_ending(client: &Client) -> Result<bool, Error> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = <Environment as kube::CustomResourceExt>::crd_name();
    let read = within(
        || format!("read the definition {name}"),
        api.get_metadata_opt(name),
        |source| Error::Read {
            what: format!("CustomResourceDefinition {name}"),
            source,
        },
    );
    match read.await {
        Ok(definition) => Ok(definition.is_none_or(|definition| definition.metadata.deletion_timestamp.is_some())),
        Err(Error::Read {
            source: kube::Error::Api(status),
            ..
        }) if status.code == 403 => Ok(false),
        Err(error) => Err(error),
    }
}

/// The ServiceAccount that a namespace's RoleBinding of the deployer names, if it is one of the Project's namespace.
///
/// # Errors
/// The read failed.
pub async fn bound_deployer(observer: &Observer, environment: &EnvironmentName, project: &ProjectKey) -> Result<Option<Deployer>, Error> {
    let key = ObjectKey {
        group: "rbac.authorization.k8s.io".to_owned(),
        version: "v1".to_owned(),
        kind: "RoleBinding".to_owned(),
        namespace: Some(environment.to_string()),
        name: "graftling-deployer".to_owned(),
    };
    let binding = observer.read_whole(observer.connection.controller(), &key).await?;
    let subject = |field: &str| {
        let subject = binding.as_ref()?.pointer("/subjects/0")?;
        subject.get(field)?.as_str().map(str::to_owned)
    };
    let namespace: Option<Namespace> = subject("namespace").and_then(|text| text.parse().ok());
    let name = subject("name").and_then(|text| text.parse().ok());
    Ok(namespace
        .filter(|namespace| *namespace == project.namespace)
        .zip(name)
        .map(|(namespace, name)| Deployer { namespace, name }))
}
