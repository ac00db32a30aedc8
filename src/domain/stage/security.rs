//! The security contexts of a stage's pod: what the Pod Security level of the namespace demands, and what the stage wants otherwise.
//!
//! A pod that the level does not admit is not refused when its Job is created, but again and again afterwards, until the deadline. So
//! what can be known of it is said here.

use serde_json::{Map, Value, json};

/// The user and group of everything that shares a workspace under the level `restricted`, which refuses root.
const USER: u64 = 1000;

/// Fields that are the pod's; all others are its containers'.
const OF_POD: [&str; 7] = [
    "fsGroup",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "seLinuxOptions",
    "seccompProfile",
    "supplementalGroups",
];

/// The security contexts of a pod.
pub(super) struct Contexts {
    /// That of the pod.
    pub(super) pod: Value,
    /// That of each of its containers.
    pub(super) container: Value,
}

/// The contexts under a level; `shares_files`: the containers write to the same volume, each from an image of its own.
pub(super) fn contexts(level: &str, wanted: &Map<String, Value>, shares_files: bool) -> Contexts {
    let mut pod = Map::new();
    let mut container = Map::new();
    if level != "privileged" {
        pod.insert("seccompProfile".to_owned(), json!({ "type": "RuntimeDefault" }));
    }
    if level == "restricted" {
        pod.insert("runAsNonRoot".to_owned(), json!(true));
        container.insert("allowPrivilegeEscalation".to_owned(), json!(false));
        container.insert("capabilities".to_owned(), json!({ "drop": ["ALL"] }));
        if shares_files {
            for field in ["runAsUser", "runAsGroup", "fsGroup"] {
                pod.insert(field.to_owned(), json!(USER));
            }
        }
    }
    for (field, value) in wanted {
        let context = if OF_POD.contains(&field.as_str()) {
            &mut pod
        } else {
            &mut container
        };
        match (field.as_str(), context.get_mut(field)) {
            // Adding a capability does not take back that all others are dropped.
            ("capabilities", Some(Value::Object(present))) => {
                present.extend(value.as_object().cloned().unwrap_or_default());
            }
            _ => {
                context.insert(field.clone(), value.clone());
            }
        }
    }
    Contexts {
        pod: Value::Object(pod),
        container: Value::Object(container),
    }
}

/// What the level does not admit of these: the field, and what to do.
pub(super) fn refused(level: &str, contexts: &Contexts) -> Vec<(&'static str, String)> {
    let found = match level {
        "privileged" => Vec::new(),
        "restricted" => [beyond_baseline(contexts), beyond_restricted(contexts)].concat(),
        _ => [beyond_baseline(contexts), unusual_capabilities(contexts)].concat(),
    };
    let explain = |(field, what): (&'static str, &str)| {
        let reason = format!(
            "{what} under the Pod Security level {level}, so the pod would never be created: change it, or set guardrails.podSecurity of \
             the Project"
        );
        (field, reason)
    };
    found.into_iter().map(explain).collect()
}

/// A field, and what is wrong with it.
type Excess = (&'static str, &'static str);

/// What no level but `privileged` admits.
fn beyond_baseline(contexts: &Contexts) -> Vec<Excess> {
    let is_privileged = contexts.container["privileged"] == json!(true);
    let is_unconfined = contexts.pod["seccompProfile"]["type"] == json!("Unconfined");
    [
        (is_privileged, ("privileged", "is not admitted")),
        (is_unconfined, ("seccompProfile", "Unconfined is not admitted")),
    ]
    .into_iter()
    .filter_map(|(is_wrong, excess)| is_wrong.then_some(excess))
    .collect()
}

fn unusual_capabilities(contexts: &Contexts) -> Vec<Excess> {
    let is_usual = |capability: &&str| USUAL_CAPABILITIES.contains(capability);
    let is_wrong = !added(contexts).iter().all(is_usual);
    is_wrong
        .then_some(("capabilities", "such a capability is not admitted"))
        .into_iter()
        .collect()
}

/// What `restricted` demands beyond `baseline`.
fn beyond_restricted(contexts: &Contexts) -> Vec<Excess> {
    let (pod, container) = (&contexts.pod, &contexts.container);
    let adds = added(contexts).iter().any(|capability| *capability != "NET_BIND_SERVICE");
    let dropped = container["capabilities"]["drop"].as_array();
    let keeps = !dropped.is_some_and(|dropped| dropped.contains(&json!("ALL")));
    [
        (adds, ("capabilities", "only NET_BIND_SERVICE can be added")),
        (keeps, ("capabilities", "all capabilities (ALL) have to be dropped")),
        (
            container["allowPrivilegeEscalation"] != json!(false),
            ("allowPrivilegeEscalation", "has to be false"),
        ),
        (pod["runAsNonRoot"] != json!(true), ("runAsNonRoot", "has to be true")),
        (pod["runAsUser"] == json!(0), ("runAsUser", "root is not admitted")),
    ]
    .into_iter()
    .filter_map(|(is_wrong, excess)| is_wrong.then_some(excess))
    .collect()
}

fn added(contexts: &Contexts) -> Vec<&str> {
    let added = contexts.container["capabilities"]["add"].as_array();
    added.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What `baseline` lets a container add.
const USUAL_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
