//! Who is told of a Project's environments.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::githost::SecretKeyReference;

/// CEL: a receiver is at one place.
pub(super) const ONE_PLACE: &str = "!has(self.notifications) || self.notifications.all(n, has(n.url) != has(n.urlFrom))";

/// Somebody outside who is told of environments: at least once, under the same identifiers, and in order for each environment.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Its name. A receiver with another name is a new one, which is told only of what happens from then on.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Where it is. Its host has to be among `policy.webhooks`. Either this or `urlFrom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^https?://"))]
    pub url: Option<String>,
    /// The key of a Secret that holds the URL, for URLs that are secrets themselves, as those of chats. The Secret needs the label
    /// `graftling.dev/for-stages: "true"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_from: Option<SecretKeyReference>,
    /// The key of a Secret that deliveries are signed with, as by Standard Webhooks. The Secret needs the label
    /// `graftling.dev/for-stages: "true"`. Without it, deliveries are not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyReference>,
    /// In which form it is told.
    #[serde(default)]
    pub format: NotificationFormat,
    /// With the format `Template`: the body, JSON in which `{{name}}`, `{{#if name}}`, `{{#unless name}}` and `{{else}}` stand for what
    /// happened. The names are id, event, time, text, namespace, project, environment, repository, branch, revision, shortRevision, url,
    /// run, outcome and message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8192))]
    pub template: Option<String>,
    /// Of what it is told; empty: of everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    pub events: Vec<NotificationEvent>,
}

/// In which form a receiver is told.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
pub enum NotificationFormat {
    /// A CDEvent in a CloudEvent, as structured JSON.
    #[default]
    CloudEvents,
    /// `{"text": …}`, as Slack, Mattermost and others take it.
    Slack,
    /// As `template` says.
    Template,
}

/// What can happen, by the names of CDEvents.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
pub enum NotificationEvent {
    /// There is a new environment.
    #[serde(rename = "environment.created")]
    EnvironmentCreated,
    /// A later run has changed what an environment shows.
    #[serde(rename = "environment.modified")]
    EnvironmentModified,
    /// An environment is gone.
    #[serde(rename = "environment.deleted")]
    EnvironmentDeleted,
    /// A run has brought what an environment shows.
    #[serde(rename = "service.deployed")]
    ServiceDeployed,
    /// What an environment showed is gone.
    #[serde(rename = "service.removed")]
    ServiceRemoved,
    /// A run began.
    #[serde(rename = "pipelinerun.started")]
    RunStarted,
    /// A run ended, well or not.
    #[serde(rename = "pipelinerun.finished")]
    RunFinished,
}

/// A receiver as it is remembered.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct NotificationStatus {
    /// Its name.
    pub name: String,
    /// Under which number its environments remember what it was told.
    #[schemars(with = "i32", range(min = 0, max = 3))]
    pub slot: u32,
    /// Since when it is told.
    pub since: Time,
}
