//! What is there, as the machine finds it at a quiet point: JSON alone.

use std::collections::BTreeMap;

use serde_json::Value;

/// An object in a namespace: namespace, kind, name.
pub type Key = (String, String, String);

/// What is there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// The Project.
    pub project: Value,
    /// All Environments of the installation.
    pub environments: Vec<Value>,
    /// The namespaces that bear our labels or a name that an environment had, by name.
    pub namespaces: BTreeMap<String, Value>,
    /// What is in these namespaces, of the kinds that environments consist of.
    pub objects: BTreeMap<Key, Value>,
}

/// The text at a place of an object; empty if there is none.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The UID of an object.
pub fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// Whether an object is on its way out.
pub fn is_ending(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// A condition of an object by its type: status, reason, message.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let all = object["status"]["conditions"].as_array()?;
    let found = all.iter().find(|condition| condition["type"] == kind)?;
    Some((text(found, "/status"), text(found, "/reason"), text(found, "/message")))
}

impl Observed {
    /// The Environment of a branch.
    pub fn environment(&self, branch: &str) -> Option<&Value> {
        self.environments.iter().find(|environment| environment["spec"]["branch"] == branch)
    }

    /// Whether the brake holds the environment of a branch.
    pub fn is_held(&self, branch: &str) -> bool {
        let held = self.project["status"]["brake"]["branches"].as_array();
        held.is_some_and(|held| held.iter().any(|one| one == branch))
    }

    /// What is in one namespace.
    pub fn inside<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = (&'a Key, &'a Value)> {
        self.objects.iter().filter(move |((of, ..), _)| of == namespace)
    }
}
