//! Which fields say how much of an object runs.

use serde_json::{Map, Value, json};

use crate::domain::manifest::ObjectKey;

/// A field that a rest changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    /// The JSON pointer to it.
    pub pointer: &'static str,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// How many pods there are: none.
    Replicas,
    /// What becomes of the claims of pods that a StatefulSet ends: they stay.
    Claims,
    /// A label that no node bears.
    Node,
    /// Whether nothing is started.
    Suspend,
    /// Whether an autoscaler may begin at zero pods: one that may not, leaves alone what has none.
    FromZero,
}

const REPLICAS: Field = Field {
    pointer: "/spec/replicas",
    what: What::Replicas,
};
const CLAIMS: Field = Field {
    pointer: "/spec/persistentVolumeClaimRetentionPolicy/whenScaled",
    what: What::Claims,
};
const NODE: Field = Field {
    pointer: "/spec/template/spec/nodeSelector/graftling.dev~1resting",
    what: What::Node,
};
const SUSPEND: Field = Field {
    pointer: "/spec/suspend",
    what: What::Suspend,
};
const FROM_ZERO: Field = Field {
    pointer: "/spec/minReplicas",
    what: What::FromZero,
};

impl Field {
    /// The fields of an object's kind.
    pub(super) fn of(whole: &Value) -> impl Iterator<Item = Self> {
        let version = whole["apiVersion"].as_str().unwrap_or_default();
        let group = version.split_once('/').map_or("", |(group, _)| group);
        of_kind(group, whole["kind"].as_str().unwrap_or_default()).iter().copied()
    }

    /// Whether the field of this very object has to change, or would, if it were not at rest already.
    pub(super) fn applies_to(self, whole: &Value) -> bool {
        match self.what {
            What::Replicas | What::Node => true,
            What::Claims => whole.pointer(self.pointer) == Some(&json!("Delete")),
            What::FromZero => whole.pointer(self.pointer) == Some(&json!(0)),
            What::Suspend => !is_finished(whole),
        }
    }

    /// What the field is at rest.
    pub(super) fn at_rest(self) -> Value {
        match self.what {
            What::Replicas => json!(0),
            What::Claims => json!("Retain"),
            What::Node => json!("true"),
            What::Suspend => json!(true),
            What::FromZero => json!(1),
        }
    }
}

fn of_kind(group: &str, kind: &str) -> &'static [Field] {
    match (group, kind) {
        ("apps", "Deployment" | "ReplicaSet") | ("", "ReplicationController") => &[REPLICAS],
        ("apps", "StatefulSet") => &[REPLICAS, CLAIMS],
        ("apps", "DaemonSet") => &[NODE],
        ("batch", "CronJob" | "Job") => &[SUSPEND],
        ("autoscaling", "HorizontalPodAutoscaler") => &[FROM_ZERO],
        _ => &[],
    }
}

/// Whether a rest may concern an object: it runs, or it makes others run.
pub fn concerns(key: &ObjectKey) -> bool {
    is_bare_pod(key) || !of_kind(&key.group, &key.kind).is_empty()
}

/// A pod of the bundle's own: nobody would start it again, and its size cannot be changed.
pub(super) fn is_bare_pod(key: &ObjectKey) -> bool {
    key.group.is_empty() && key.kind == "Pod"
}

/// Whether the object starts or sizes other objects of the bundle.
pub(super) fn starts_others(key: &ObjectKey) -> bool {
    matches!(key.kind.as_str(), "HorizontalPodAutoscaler" | "CronJob")
}

/// A Job that is over runs nothing.
fn is_finished(whole: &Value) -> bool {
    let conditions = whole.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|condition| matches!(condition["type"].as_str(), Some("Complete" | "Failed")) && condition["status"].as_str() == Some("True"))
}

/// What of an object runs still, worded to follow its key; `None` if nothing does.
pub(super) fn running(whole: &Value) -> Option<String> {
    let number = |pointer: &str| whole.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    if whole["kind"].as_str() == Some("Pod") {
        let is_over = matches!(whole.pointer("/status/phase").and_then(Value::as_str), Some("Succeeded" | "Failed"));
        return (!is_over).then(|| "runs".to_owned());
    }
    if number("/status/observedGeneration") < number("/metadata/generation") && whole.pointer("/status/observedGeneration").is_some() {
        return Some("is about to stop".to_owned());
    }
    // A CronJob's status names the Jobs that it has started: they run to their end.
    let counted = ["/status/replicas", "/status/currentNumberScheduled"].map(number);
    let active = if whole["kind"].as_str() == Some("Job") {
        number("/status/active")
    } else {
        0
    };
    match counted.into_iter().sum::<i64>() + active {
        0 => None,
        1 => Some("waits for 1 pod to end".to_owned()),
        pods => Some(format!("waits for {pods} pods to end")),
    }
}

/// Puts a value at a JSON pointer, with the objects on the way to it.
pub(super) fn put(body: &mut Value, pointer: &str, value: Value) {
    let (parents, last) = split(pointer);
    let mut place = body;
    for parent in parents {
        if !place[&parent].is_object() {
            place[&parent] = Value::Object(Map::new());
        }
        place = &mut place[&parent];
    }
    place[&last] = value;
}

/// Takes a field out, and the objects around it that have nothing else.
pub(super) fn take(body: &mut Value, pointer: &str) {
    let (parents, last) = split(pointer);
    take_at(body, &parents, &last);
}

fn take_at(body: &mut Value, parents: &[String], last: &str) {
    let Some(entries) = body.as_object_mut() else { return };
    let Some((first, rest)) = parents.split_first() else {
        entries.remove(last);
        return;
    };
    let Some(inner) = entries.get_mut(first) else { return };
    take_at(inner, rest, last);
    if inner.as_object().is_some_and(Map::is_empty) {
        entries.remove(first);
    }
}

fn split(pointer: &str) -> (Vec<String>, String) {
    let mut parts: Vec<_> = pointer
        .split('/')
        .skip(1)
        .map(|part| part.replace("~1", "/").replace("~0", "~"))
        .collect();
    let last = parts.pop().unwrap_or_default();
    (parts, last)
}
