//! The custom resources of `graftling.dev/v1alpha1` as they are serialised, and their conversion to domain types.
//!
//! Fields have documentation because it becomes the schema that `kubectl explain` shows.

pub mod convert;
pub mod environment;
pub mod githost;
pub mod keys;
pub mod project;
pub mod receipt;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

pub use environment::{Environment, EnvironmentSpec, EnvironmentStatus};
pub use githost::{GitHost, GitHostSpec, GitHostStatus};
pub use project::{Project, ProjectSpec, ProjectStatus};

/// The three definitions, in the order in which a reader meets them.
pub fn custom_resource_definitions() -> Vec<CustomResourceDefinition> {
    vec![GitHost::crd(), Project::crd(), Environment::crd()]
}

/// A mapping whose keys the schema does not know.
fn any_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
