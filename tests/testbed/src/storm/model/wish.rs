//! What an environment consists of, as a function of the Project, the bundle, the branch and the revision; and the bundle as a template.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::operation::{Branch, Kind, Slot};

/// The beginning of every secret value of a storm: it must never be seen outside of a Secret.
pub const PLANTED: &str = "planted-secret";

/// What a Project says, as far as a storm changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The value `greeting`.
    pub greeting: u32,
    /// The quota of pods.
    pub pods: u32,
    /// Which domain.
    pub domain: u32,
    /// Branches that are excluded, besides `main`.
    pub excluded: Vec<Branch>,
    /// `maxEnvironments`.
    pub most: Option<u32>,
    /// `suspend`.
    pub suspended: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            greeting: 0,
            pods: 20,
            domain: 0,
            excluded: Vec::new(),
            most: None,
            suspended: false,
        }
    }
}

/// What a bundle has, beside what it always has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundle {
    /// Its objects and their contents.
    pub objects: BTreeMap<Slot, (Kind, u32)>,
    /// Whether one of its templates cannot be rendered.
    pub broken: bool,
}

/// What must be true of an object: values at places of it.
pub type Facts = Vec<(&'static str, Value)>;

/// The host of an environment's URL, without the environment's name.
pub fn domain(number: u32) -> String {
    format!("preview-{number}.example.com")
}

/// The spec of the Project, for a merge patch.
pub fn spec(settings: &Settings, tick: u32) -> Value {
    let excluded: Vec<&str> = ["main"]
        .into_iter()
        .chain(settings.excluded.iter().map(|branch| branch.name()))
        .collect();
    json!({
        "bundle": { "name": "app" },
        "branches": { "exclude": excluded },
        // The tick changes nothing of an environment. It says that the bundle is another, for a bundle of the server is not watched.
        "values": { "greeting": settings.greeting.to_string(), "tick": tick },
        "domain": domain(settings.domain),
        "guardrails": { "quota": { "pods": settings.pods.to_string() } },
        "lifecycle": { "maxEnvironments": settings.most },
        "suspend": settings.suspended,
    })
}

/// The one template of the bundle.
pub fn template(bundle: &Bundle) -> String {
    let mut text = ALWAYS.to_owned();
    for (slot, (kind, content)) in &bundle.objects {
        text.push_str("---\n");
        text.push_str(&extra(slot.name(), *kind, *content));
    }
    if bundle.broken {
        text.push_str(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: broken}\ndata: {nothing: {{quote values.nobody.gives.this}}}\n",
        );
    }
    text
}

const ALWAYS: &str = r#"apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {greeting: {{quote values.greeting}}, branch: {{quote branch}}, revision: {{quote revision}}}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {key: planted-secret-0}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: web
      containers: [{name: web, image: "registry.example/web:1", env: [{name: REVISION, value: {{quote revision}}}]}]
"#;

fn extra(name: &str, kind: Kind, content: u32) -> String {
    match kind {
        Kind::ConfigMap => format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{content: \"{content}\", branch: {{{{quote branch}}}}}}\n"
        ),
        Kind::Secret => format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{key: {PLANTED}-{content}}}\n"),
        Kind::Service => format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{clusterIP: None, selector: {{app: web}}, ports: [{{port: {}}}]}}\n",
            8000 + content
        ),
        Kind::ServiceAccount => {
            format!(
                "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, annotations: {{example.com/content: \"{content}\"}}}}\n"
            )
        }
    }
}

/// The objects in the namespace of an environment, by kind and name.
pub fn objects(settings: &Settings, bundle: &Bundle, branch: Branch, revision: &str) -> BTreeMap<(&'static str, String), Facts> {
    let mut all = BTreeMap::from([
        (("RoleBinding", "graftling-deployer".to_owned()), Vec::new()),
        (
            ("ResourceQuota", "graftling-quota".to_owned()),
            vec![("/spec/hard/pods", json!(settings.pods.to_string()))],
        ),
        (("LimitRange", "graftling-limits".to_owned()), Vec::new()),
        (("NetworkPolicy", "graftling-ingress".to_owned()), Vec::new()),
        (("NetworkPolicy", "graftling-egress".to_owned()), Vec::new()),
        (("ServiceAccount", "web".to_owned()), Vec::new()),
        (
            ("ConfigMap", "settings".to_owned()),
            vec![
                ("/data/greeting", json!(settings.greeting.to_string())),
                ("/data/branch", json!(branch.name())),
                ("/data/revision", json!(revision)),
            ],
        ),
        (("Secret", "keys".to_owned()), vec![("/data/key", secret(0))]),
        (
            ("Deployment", "web".to_owned()),
            vec![
                ("/spec/template/spec/containers/0/env/0/value", json!(revision)),
                ("/spec/template/spec/containers/0/image", json!("registry.example/web:1")),
            ],
        ),
    ]);
    for (slot, (kind, content)) in &bundle.objects {
        let (kind, facts) = extra_facts(*kind, *content, branch);
        all.insert((kind, slot.name().to_owned()), facts);
    }
    all
}

fn extra_facts(kind: Kind, content: u32, branch: Branch) -> (&'static str, Facts) {
    match kind {
        Kind::ConfigMap => (
            "ConfigMap",
            vec![
                ("/data/content", json!(content.to_string())),
                ("/data/branch", json!(branch.name())),
            ],
        ),
        Kind::Secret => ("Secret", vec![("/data/key", secret(content))]),
        Kind::Service => (
            "Service",
            vec![("/spec/ports/0/port", json!(8000 + content)), ("/spec/clusterIP", json!("None"))],
        ),
        Kind::ServiceAccount => (
            "ServiceAccount",
            vec![("/metadata/annotations/example.com~1content", json!(content.to_string()))],
        ),
    }
}

fn secret(content: u32) -> Value {
    json!(base64(format!("{PLANTED}-{content}").as_bytes()))
}

/// As Secrets hold their values.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
