//! Who should have ended a deletion, and whether they are there: asked only once something does not end.

use futures::future::join;
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::core::v1::Namespace as NamespaceObject;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::Error;
use super::connection::within;
use super::observe::Observer;
use crate::domain::name::Namespace;
use crate::domain::plan::teardown::stuck::{Definition, Surroundings};

impl Observer {
    /// What is known of those who should end deletions in `namespace`. What cannot be asked for is not known: a diagnosis never keeps a
    /// teardown from going on.
    pub async fn surroundings(&self, namespace: &Namespace) -> Surroundings {
        let (definitions, dead_apis) = join(self.definitions(), self.dead_apis()).await;
        Surroundings {
            definitions: definitions.inspect_err(unknown).ok(),
            dead_apis: dead_apis.inspect_err(unknown).unwrap_or_default(),
            conditions: self.conditions(namespace).await.inspect_err(unknown).unwrap_or_default(),
        }
    }

    async fn definitions(&self) -> Result<Vec<Definition>, Error> {
        let api: Api<CustomResourceDefinition> = Api::all(self.connection.controller());
        let params = ListParams::default();
        let listed = within(
            || asked("custom resource definitions"),
            api.list_metadata(&params),
            |source| failed("custom resource definitions", source),
        );
        let definition = |found: kube::api::PartialObjectMeta<CustomResourceDefinition>| Definition {
            name: found.name_any(),
            ending: found.metadata.deletion_timestamp.is_some(),
        };
        Ok(listed.await?.items.into_iter().map(definition).collect())
    }

    /// Aggregated APIs that do not answer, each with the reason that the API server gives.
    async fn dead_apis(&self) -> Result<Vec<(String, String)>, Error> {
        let api: Api<APIService> = Api::all(self.connection.controller());
        let params = ListParams::default();
        let listed = within(|| asked("API services"), api.list(&params), |source| failed("API services", source));
        let reason = |service: &APIService| {
            let conditions = service.status.as_ref()?.conditions.as_ref()?;
            let unavailable = conditions
                .iter()
                .find(|condition| condition.type_ == "Available" && condition.status == "False")?;
            Some(unavailable.reason.clone().unwrap_or_default())
        };
        let dead = listed.await?.items;
        Ok(dead
            .iter()
            .filter_map(|service| Some((service.name_any(), reason(service)?)))
            .collect())
    }

    /// The conditions of an ending namespace that hold.
    async fn conditions(&self, namespace: &Namespace) -> Result<Vec<String>, Error> {
        let api: Api<NamespaceObject> = Api::all(self.connection.controller());
        let read = within(
            || format!("read Namespace {namespace}"),
            api.get_opt(namespace.as_str()),
            |source| Error::Read {
                what: format!("Namespace {namespace}"),
                source,
            },
        );
        let conditions = read.await?.and_then(|namespace| namespace.status?.conditions).unwrap_or_default();
        Ok(conditions
            .iter()
            .filter(|condition| condition.status == "True")
            .map(|condition| format!("{}: {}", condition.type_, condition.message.as_deref().unwrap_or_default()))
            .collect())
    }

    /// The configuration that has an admission webhook of this name, in words.
    pub async fn webhook_configuration(&self, webhook: &str) -> Option<String> {
        let client = self.connection.controller();
        let params = ListParams::default();
        let validating: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
        let mutating: Api<MutatingWebhookConfiguration> = Api::all(client);
        let what = "webhook configurations";
        let validating = within(|| asked(what), validating.list(&params), |source| failed(what, source));
        let mutating = within(|| asked(what), mutating.list(&params), |source| failed(what, source));
        let (validating, mutating) = join(validating, mutating).await;
        let validating = validating.inspect_err(unknown).map(|list| list.items).unwrap_or_default();
        let mutating = mutating.inspect_err(unknown).map(|list| list.items).unwrap_or_default();
        let of_validating = validating
            .iter()
            .find(|found| found.webhooks.iter().flatten().any(|known| known.name == webhook))
            .map(|found| format!("ValidatingWebhookConfiguration {}", found.name_any()));
        let of_mutating = mutating
            .iter()
            .find(|found| found.webhooks.iter().flatten().any(|known| known.name == webhook))
            .map(|found| format!("MutatingWebhookConfiguration {}", found.name_any()));
        of_validating.or(of_mutating)
    }

    /// The time by the API server's clock, by which deletions are dated.
    pub fn server_time(&self) -> Option<Timestamp> {
        self.connection.server_time()
    }
}

fn asked(what: &str) -> String {
    format!("list {what}")
}

fn failed(what: &str, source: kube::Error) -> Error {
    Error::List {
        what: what.to_owned(),
        source,
    }
}

fn unknown(error: &Error) {
    tracing::debug!(error = %error.chain(), "a diagnosis of what is stuck goes without this");
}
