//! GitHost: a connection to one Git host.
#![allow(clippy::duplicated_attributes, reason = "every printer column repeats the names of its settings")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A connection to one Git host: where it is, who we are there, and how its webhooks are signed.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[kube(
    group = "graftling.dev",
    version = "v1alpha1",
    kind = "GitHost",
    namespaced,
    status = "GitHostStatus",
    derive = "PartialEq",
    shortname = "gh",
    category = "graftling",
    doc = "A connection to one Git host: where it is, who we are there, and how its webhooks are signed.",
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.provider"),
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.url"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Webhook", type_ = "string", json_path = ".status.webhookPath"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = "1")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.provider == oldSelf.provider && self.url == oldSelf.url")
        .message("provider and url are part of the identity of every environment and cannot change; create another GitHost"),
    validation = Rule::new("self.provider == 'git' || self.url.startsWith('http')")
        .message("url of a github, gitlab, bitbucket or gitea host must begin with https:// or http://")
)]
pub struct GitHostSpec {
    /// Which kind of host this is. `gitea` is Gitea or Forgejo, `git` is any plain Git remote, a folder of bare repositories included.
    pub provider: Provider,
    /// The base URL, for example `https://github.com` or `file:///srv/git`.
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^(https?|file)://"))]
    pub url: String,
    /// The URL of the host's API where it does not follow from `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^https?://"))]
    pub api_url: Option<String>,
    /// The Secret with the credentials: key `token` for `github`, `gitlab`, `bitbucket` and `gitea`, with `username` beside it for an API
    /// token of Bitbucket Cloud, or keys `appId`, `installationId` and `privateKey` for a GitHub App; keys `username` and `password` for
    /// `git` over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<SecretReference>,
    /// How the host's webhooks are verified. Without it there is no endpoint, and changes are found by the periodic sweep alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
}

/// The kinds of Git host.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// github.com or GitHub Enterprise Server.
    Github,
    /// gitlab.com or GitLab Self-Managed.
    Gitlab,
    /// Bitbucket Cloud, if the URL is that of `bitbucket.org`, else Bitbucket Data Center.
    Bitbucket,
    /// Gitea or Forgejo.
    Gitea,
    /// A plain Git remote.
    Git,
}

/// A Secret in the same namespace.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct SecretReference {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// One key of a Secret in the same namespace.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct SecretKeyReference {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key within it.
    #[serde(default = "SecretKeyReference::default_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

impl SecretKeyReference {
    fn default_key() -> String {
        "secret".to_owned()
    }
}

/// How webhooks are verified.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct Webhook {
    /// The shared secret that the host signs deliveries with.
    pub secret: SecretKeyReference,
}

/// What graftling knows about the connection.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHostStatus {
    /// `Ready`: the settings and Secrets are complete. `WebhookReady`: deliveries are accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The path of the webhook endpoint on graftling's server; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_path: Option<String>,
    /// One sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
