//! Fields that Kubernetes wants to be text but YAML reads as something else, and the other way round.
//!
//! `port: 8080` in a ConfigMap, `value: yes` in an environment variable, `replicas: "3"`: the API server refuses each without a
//! line of any template, so they are found here. The tables hold what templates write every day; the API server knows the rest.

use serde_json::Value;

use super::review::Review;

/// What a field must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Number,
    Boolean,
}

use Type::{Boolean, Number, Text};

/// Fields by their path; `*` stands for each entry of a list or a mapping.
type Fields = &'static [(Type, &'static str)];

const CONFIG_MAP: Fields = &[(Text, "data.*"), (Text, "binaryData.*"), (Boolean, "immutable")];
const SECRET: Fields = &[(Text, "data.*"), (Text, "stringData.*"), (Text, "type"), (Boolean, "immutable")];
const SERVICE: Fields = &[
    (Text, "spec.type"),
    (Text, "spec.clusterIP"),
    (Text, "spec.selector.*"),
    (Text, "spec.ports.*.name"),
    (Text, "spec.ports.*.protocol"),
    (Number, "spec.ports.*.port"),
];
const INGRESS: Fields = &[
    (Text, "spec.ingressClassName"),
    (Text, "spec.rules.*.host"),
    (Text, "spec.rules.*.http.paths.*.path"),
    (Text, "spec.rules.*.http.paths.*.pathType"),
    (Text, "spec.rules.*.http.paths.*.backend.service.name"),
    (Number, "spec.rules.*.http.paths.*.backend.service.port.number"),
    (Text, "spec.rules.*.http.paths.*.backend.service.port.name"),
    (Text, "spec.tls.*.hosts.*"),
    (Text, "spec.tls.*.secretName"),
];
/// What the kinds that make pods have beside the pod.
const WORKLOAD: Fields = &[
    (Number, "spec.replicas"),
    (Number, "spec.revisionHistoryLimit"),
    (Number, "spec.minReadySeconds"),
    (Number, "spec.progressDeadlineSeconds"),
    (Number, "spec.parallelism"),
    (Number, "spec.completions"),
    (Number, "spec.backoffLimit"),
    (Number, "spec.activeDeadlineSeconds"),
    (Number, "spec.ttlSecondsAfterFinished"),
    (Text, "spec.schedule"),
    (Text, "spec.serviceName"),
    (Boolean, "spec.suspend"),
    (Boolean, "spec.paused"),
    (Text, "spec.selector.matchLabels.*"),
];
/// Below what holds the `metadata` and the `spec` of a pod.
const POD: Fields = &[
    (Text, "spec.serviceAccountName"),
    (Text, "spec.restartPolicy"),
    (Text, "spec.nodeSelector.*"),
    (Text, "spec.priorityClassName"),
    (Text, "spec.imagePullSecrets.*.name"),
    (Text, "spec.volumes.*.name"),
    (Text, "spec.volumes.*.configMap.name"),
    (Text, "spec.volumes.*.secret.secretName"),
    (Text, "spec.volumes.*.persistentVolumeClaim.claimName"),
    (Number, "spec.volumes.*.configMap.defaultMode"),
    (Number, "spec.volumes.*.secret.defaultMode"),
    (Number, "spec.terminationGracePeriodSeconds"),
    (Number, "spec.securityContext.runAsUser"),
    (Number, "spec.securityContext.runAsGroup"),
    (Number, "spec.securityContext.fsGroup"),
    (Boolean, "spec.securityContext.runAsNonRoot"),
    (Boolean, "spec.automountServiceAccountToken"),
    (Boolean, "spec.enableServiceLinks"),
];
const CONTAINER: Fields = &[
    (Text, "name"),
    (Text, "image"),
    (Text, "imagePullPolicy"),
    (Text, "workingDir"),
    (Text, "command.*"),
    (Text, "args.*"),
    (Text, "env.*.name"),
    (Text, "env.*.value"),
    (Text, "ports.*.name"),
    (Text, "ports.*.protocol"),
    (Number, "ports.*.containerPort"),
    (Text, "volumeMounts.*.name"),
    (Text, "volumeMounts.*.mountPath"),
    (Text, "volumeMounts.*.subPath"),
    (Boolean, "volumeMounts.*.readOnly"),
    (Number, "securityContext.runAsUser"),
    (Number, "securityContext.runAsGroup"),
    (Boolean, "securityContext.runAsNonRoot"),
    (Boolean, "securityContext.readOnlyRootFilesystem"),
    (Boolean, "securityContext.allowPrivilegeEscalation"),
    (Boolean, "securityContext.privileged"),
];

/// Checks the fields of an object; its own labels and annotations are looked at with the rest of its metadata.
pub(super) fn check(review: &mut Review<'_>, body: &Value) {
    let key = review.key;
    let (fields, pod): (Fields, Option<&str>) = match (key.group.as_str(), key.kind.as_str()) {
        ("", "ConfigMap") => (CONFIG_MAP, None),
        ("", "Secret") => (SECRET, None),
        ("", "Service") => (SERVICE, None),
        ("networking.k8s.io", "Ingress") => (INGRESS, None),
        ("", "Pod") => (&[], Some("")),
        ("apps", _) | ("batch", "Job") => (WORKLOAD, Some("spec.template")),
        ("batch", "CronJob") => (WORKLOAD, Some("spec.jobTemplate.spec.template")),
        _ => return,
    };
    let mut look = Look {
        is_secret: super::is_secret(key),
        found: Vec::new(),
    };
    look.fields(body, "", fields);
    if let Some(pod) = pod {
        look.fields(body, pod, POD);
        for containers in ["containers", "initContainers"] {
            look.fields(body, &join(pod, &format!("spec.{containers}.*")), CONTAINER);
        }
    }
    if pod.is_some_and(|pod| !pod.is_empty()) {
        let template = pod.unwrap_or_default();
        look.fields(body, template, &[(Text, "metadata.labels.*"), (Text, "metadata.annotations.*")]);
    }
    for (field, reason) in look.found {
        review.refuse(field, reason);
    }
}

struct Look {
    /// Whether values must not be shown.
    is_secret: bool,
    /// Fields with what is wrong with each.
    found: Vec<(String, String)>,
}

impl Look {
    fn fields(&mut self, body: &Value, below: &str, fields: Fields) {
        for (wanted, path) in fields {
            let path = join(below, path);
            let parts: Vec<&str> = path.split('.').collect();
            self.descend(body, &parts, String::new(), *wanted);
        }
    }

    fn descend(&mut self, value: &Value, parts: &[&str], path: String, wanted: Type) {
        match (parts, value) {
            ([], leaf) => self.leaf(leaf, path, wanted),
            (["*", rest @ ..], Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.descend(item, rest, format!("{path}[{index}]"), wanted);
                }
            }
            (["*", rest @ ..], Value::Object(entries)) => {
                for (key, entry) in entries {
                    self.descend(entry, rest, format!("{path}[{key:?}]"), wanted);
                }
            }
            ([name, rest @ ..], Value::Object(entries)) => {
                if let Some(entry) = entries.get(*name) {
                    self.descend(entry, rest, join(&path, name), wanted);
                }
            }
            _ => {}
        }
    }

    fn leaf(&mut self, value: &Value, path: String, wanted: Type) {
        let reason = match (wanted, value) {
            (Text, Value::Number(_) | Value::Bool(_)) => {
                format!(
                    "must be text but is read as {}: put it in quotes, or use {{{{quote …}}}}",
                    self.kind(value)
                )
            }
            (Number, Value::String(_) | Value::Bool(_)) => {
                format!(
                    "must be a number but is read as {}: remove the quotes, or use {{{{int …}}}}",
                    self.kind(value)
                )
            }
            (Boolean, Value::String(_) | Value::Number(_)) => {
                format!("must be true or false but is read as {}: remove the quotes", self.kind(value))
            }
            _ => return,
        };
        self.found.push((path, reason));
    }

    fn kind(&self, value: &Value) -> String {
        match value {
            Value::Number(_) if self.is_secret => "a number".into(),
            Value::Bool(_) if self.is_secret => "true or false".into(),
            Value::Number(number) => format!("the number {number}"),
            Value::Bool(truth) => truth.to_string(),
            _ => "text".into(),
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
