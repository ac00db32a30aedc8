//! What others changed of an environment's objects while nothing is applied.
//!
//! Told from what is recorded alone: a bundle that cannot be rendered, or a newer commit that waits, is no drift.

#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;

use super::difference::owned;
use super::inventory::{Entry, Inventory};
use super::manifest::ObjectKey;
use super::observed::LiveObject;
use super::plan::Observed;
use super::plan::records::is_looked_at;
use super::record::is_record;

/// An object that is not as it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Which object.
    pub key: ObjectKey,
    /// What became of it.
    pub change: Change,
}

/// What somebody did with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was deleted.
    Deleted,
    /// It was deleted and made anew by somebody else.
    Replaced,
    /// Our label was taken off it, or another put there.
    Disowned,
    /// These fields were changed or removed; none: it is not known which.
    Fields(Vec<String>),
}

/// How many objects are looked at and told.
pub const OBJECTS: usize = 20;

/// How many fields of one object are told.
const FIELDS: usize = 5;

/// The objects that differ from what was applied, in the order of their keys. Of those that changed, the fields are still to be found.
///
/// A Job that is gone has done its work, and records are nobody's to look at.
pub fn objects(inventory: &Inventory, observed: &Observed, environment: &str) -> Vec<Drift> {
    let settled = inventory.present().filter(|(key, entry)| {
        let is_known = entry.uid.is_some() && entry.digest.is_some() && !entry.asked;
        is_known && !is_record(key) && is_looked_at(key, entry)
    });
    let drifted = settled.filter_map(|(key, entry)| {
        let change = match observed.get(key) {
            None if key.kind == "Job" => return None,
            None => Change::Deleted,
            Some(live) => changed(entry, live, environment)?,
        };
        Some(Drift { key: key.clone(), change })
    });
    drifted.collect()
}

fn changed(entry: &Entry, live: &LiveObject, environment: &str) -> Option<Change> {
    if entry.uid.as_deref() != Some(live.uid.as_str()) {
        return Some(Change::Replaced);
    }
    if !live.is_shared() && !live.is_labelled_for(environment) {
        return Some(Change::Disowned);
    }
    let is_ours = entry.ownership.as_ref() == live.ownership_of(environment);
    (!is_ours).then(|| Change::Fields(Vec::new()))
}

/// The fields of `manifest` that `manager` applied and does not own any more in `live`: somebody else set or removed them. At most a few.
pub fn fields(manifest: &Value, live: &Value, manager: &str) -> Vec<String> {
    let mut found = Vec::new();
    let own = owned(live, manager);
    for (name, wanted) in manifest.as_object().into_iter().flatten() {
        // What identifies an object is never anybody's field, and the values of a Secret are nobody's to see.
        match name.as_str() {
            "apiVersion" | "kind" => {}
            "stringData" => compare("data", wanted, own.get("data"), &mut found),
            "metadata" => metadata(wanted, &own["metadata"], &mut found),
            name => compare(name, wanted, own.get(name), &mut found),
        }
    }
    found.truncate(FIELDS);
    found
}

fn metadata(wanted: &Value, own: &Value, found: &mut Vec<String>) {
    for (name, wanted) in wanted.as_object().into_iter().flatten() {
        if !matches!(name.as_str(), "name" | "namespace") {
            compare(&format!("metadata.{name}"), wanted, own.get(name), found);
        }
    }
}

/// The recursion is as deep as the manifest, which was parsed within limits.
fn compare(path: &str, wanted: &Value, own: Option<&Value>, found: &mut Vec<String>) {
    let Some(own) = own else {
        return lost(path, wanted, found);
    };
    match (wanted, own) {
        (Value::Object(wanted), Value::Object(own)) => {
            for (name, wanted) in wanted {
                compare(&format!("{path}{}", segment(name)), wanted, own.get(name), found);
            }
        }
        (Value::Array(wanted), Value::Array(own)) => {
            for (index, wanted) in wanted.iter().enumerate() {
                match wanted["name"].as_str() {
                    Some(name) => match own.iter().find(|item| item["name"].as_str() == Some(name)) {
                        Some(same) => compare(&format!("{path}[{name}]"), wanted, Some(same), found),
                        None => found.push(format!("{path}[{name}]")),
                    },
                    None => compare(&format!("{path}[{index}]"), wanted, own.get(index), found),
                }
            }
        }
        _ => {}
    }
}

/// Names what is not ours any more, down to its fields. Server-side apply owns nothing of what is empty.
fn lost(path: &str, wanted: &Value, found: &mut Vec<String>) {
    match wanted {
        Value::Null => {}
        Value::Object(entries) => entries
            .iter()
            .for_each(|(name, wanted)| lost(&format!("{path}{}", segment(name)), wanted, found)),
        Value::Array(items) if items.is_empty() => {}
        _ => found.push(path.to_owned()),
    }
}

/// A step of a path; names with dots in them, such as those of labels, in brackets.
fn segment(name: &str) -> String {
    match name.contains(['.', '/']) {
        true => format!("[{name}]"),
        false => format!(".{name}"),
    }
}

/// All of it, worded to follow "nothing is applied"; empty if there is nothing.
pub fn sentence(drifts: &[Drift]) -> String {
    match drifts {
        [] => String::new(),
        [one] => format!("; changed by hand and put right on resume: {one}"),
        [first, rest @ ..] => format!("; changed by hand and put right on resume: {first} and {} more", rest.len()),
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.key.kind, self.key.name)?;
        match &self.change {
            Change::Fields(fields) if fields.is_empty() => Ok(()),
            change => write!(formatter, " ({change})"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deleted => formatter.write_str("deleted"),
            Self::Replaced => formatter.write_str("deleted and made anew"),
            Self::Disowned => formatter.write_str("its label graftling.dev/environment"),
            Self::Fields(fields) => formatter.write_str(&fields.join(", ")),
        }
    }
}
