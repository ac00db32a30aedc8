//! What the pod of a stage is told, whatever its containers do: who it runs as, and with which rights over its node.

use serde_json::{Map, Value};

use super::fields::Fields;
use super::is_template;
use crate::domain::name::check_subdomain;

/// Who runs a pod and how.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Workload {
    /// The ServiceAccount, one of the bundle's. None: one of its own, without any right.
    pub service_account: Option<String>,
    /// Secrets with which images are pulled.
    pub image_pull_secrets: Vec<String>,
    /// What is to differ from the defaults of the Pod Security level, as Kubernetes writes it in a container.
    pub security: Map<String, Value>,
}

/// What a `securityContext` may say: of the pod, and of every container.
const SECURITY: [&str; 11] = [
    "allowPrivilegeEscalation",
    "capabilities",
    "fsGroup",
    "privileged",
    "readOnlyRootFilesystem",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "seccompProfile",
    "seLinuxOptions",
    "supplementalGroups",
];

/// Reads the fields that say how a pod runs.
pub(super) fn read(fields: &mut Fields<'_>) -> Workload {
    let workload = Workload {
        service_account: fields.text("serviceAccount"),
        image_pull_secrets: fields.texts("imagePullSecrets"),
        security: security(fields),
    };
    if let Some(name) = &workload.service_account {
        check_name(fields, "serviceAccount", name, "use a ServiceAccount of the bundle");
    }
    for (index, name) in workload.image_pull_secrets.iter().enumerate() {
        check_name(fields, &format!("imagePullSecrets[{index}]"), name, "use a Secret of the bundle");
    }
    workload
}

fn check_name(fields: &mut Fields<'_>, field: &str, name: &str, instead: &str) {
    if is_template(name) {
        return;
    }
    if let Err(rule) = check_subdomain(name) {
        fields.refuse(field, format!("{name:?} {rule}"));
    } else if name.starts_with("graftling-") {
        fields.refuse(
            field,
            format!("names that begin with \"graftling-\" are kept for the system: {instead}"),
        );
    }
}

fn security(fields: &mut Fields<'_>) -> Map<String, Value> {
    let mut security = Map::new();
    let path = fields.path("securityContext");
    let Some(value) = fields.get("securityContext") else {
        return security;
    };
    let mut inner = Fields::new(&path, value);
    for name in SECURITY {
        let Some(value) = inner.get(name) else { continue };
        let is_right = match name {
            "fsGroup" | "runAsGroup" | "runAsUser" => value.as_u64().is_some(),
            "capabilities" | "seccompProfile" | "seLinuxOptions" => value.is_object(),
            "supplementalGroups" => value.is_array(),
            _ => value.is_boolean(),
        };
        if is_right {
            security.insert(name.to_owned(), value.clone());
        } else if !value.as_str().is_some_and(is_template) {
            let wanted = match name {
                "fsGroup" | "runAsGroup" | "runAsUser" => "a number",
                "capabilities" | "seccompProfile" | "seLinuxOptions" => "a mapping",
                "supplementalGroups" => "a list of numbers",
                _ => "true or false",
            };
            inner.refuse(name, format!("should be {wanted}"));
        }
    }
    fields.absorb(inner.finish());
    security
}
