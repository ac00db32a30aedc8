//! Outputs in the manifests that a later stage applies.
//!
//! A manifest is admitted before its outputs are known. So they may only go where any text is admitted: what goes elsewhere could give an
//! object a host, an account or a type that the Project forbids.

use serde_json::Value;

use super::{Form, Outputs, put_into, references};
use crate::domain::manifest::{Manifest, ObjectKey, pod_spec_pointer};

/// Where outputs may go, for people.
pub const PLACES: &str =
    "image, command, args and env of containers, data of ConfigMaps, stringData of Secrets and spec of custom resources";

/// The manifest with outputs in their places; the same where there are none.
///
/// # Errors
/// The places whose output is not known, each worded as a whole sentence.
pub fn substitute(manifest: &Manifest, outputs: &Outputs) -> Result<Manifest, Vec<String>> {
    if !super::is_used_in(&manifest.body) {
        return Ok(manifest.clone());
    }
    let mut body = Value::clone(&manifest.body);
    let mut missing = Vec::new();
    walk(&mut body, &mut Vec::new(), &mut |text, path| {
        if let Some(form) = form(&manifest.key, path) {
            *text = put_into(text, outputs, form, &mut missing);
        }
    });
    missing.dedup();
    if missing.is_empty() {
        Ok(Manifest::new(manifest.key.clone(), body, manifest.source.clone()))
    } else {
        Err(missing)
    }
}

/// Every text of a manifest that names outputs: the field, the text, and whether outputs may go there.
pub fn uses(manifest: &Manifest) -> Vec<(String, String, bool)> {
    let mut uses = Vec::new();
    if !super::is_used_in(&manifest.body) {
        return uses;
    }
    walk(&mut Value::clone(&manifest.body), &mut Vec::new(), &mut |text, path| {
        if !references(text).is_empty() {
            uses.push((path.join("."), text.clone(), form(&manifest.key, path).is_some()));
        }
    });
    uses
}

/// How outputs go into a field of an object; `None`: they may not.
fn form(key: &ObjectKey, path: &[String]) -> Option<Form> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match (key.group.as_str(), key.kind.as_str(), &path[..]) {
        ("", "ConfigMap", ["data", _]) | ("", "Secret", ["stringData", _]) => return Some(Form::Plain),
        (group, _, ["spec", ..]) if is_custom(group) => return Some(Form::Plain),
        _ => {}
    }
    let spec: Vec<&str> = pod_spec_pointer(key)?.split('/').skip(1).collect();
    match path.strip_prefix(&spec[..])? {
        ["containers" | "initContainers", _, "image"] => Some(Form::Plain),
        ["containers" | "initContainers", _, "command" | "args", _] => Some(Form::Expanded),
        ["containers" | "initContainers", _, "env", _, "value"] => Some(Form::Expanded),
        _ => None,
    }
}

/// Whether a group is none of Kubernetes' own, for whose kinds there may be rules.
fn is_custom(group: &str) -> bool {
    group.contains('.') && !group.ends_with(".k8s.io")
}

/// Gives every text with its path. The depth is bounded by what YAML may have.
fn walk(value: &mut Value, path: &mut Vec<String>, found: &mut impl FnMut(&mut String, &[String])) {
    match value {
        Value::String(text) => found(text, path),
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.push(index.to_string());
                walk(item, path, found);
                path.pop();
            }
        }
        Value::Object(entries) => {
            for (key, entry) in entries {
                path.push(key.clone());
                walk(entry, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}
