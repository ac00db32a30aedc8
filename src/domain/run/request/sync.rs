//! `sync --only`: some objects are put right and no others.

use std::collections::BTreeSet;

use super::{Answer, Effect, ObjectName, Refusal};
use crate::domain::manifest::ObjectKey;
use crate::domain::render::suggest::did_you_mean;

/// The objects that are meant. A name that fits several kinds of one word, of different API groups, means all of them.
pub(super) fn sync(objects: &[ObjectKey], only: &[ObjectName], by: &str) -> Result<Answer, Refusal> {
    let mut chosen = BTreeSet::new();
    for wanted in only {
        let found: Vec<&ObjectKey> = objects.iter().filter(|key| is_meant(wanted, key)).collect();
        if found.is_empty() {
            return Err(Refusal::NoObject {
                object: wanted.clone(),
                hint: near(wanted, objects),
            });
        }
        chosen.extend(found.into_iter().cloned());
    }
    let names: Vec<String> = chosen.iter().map(named).collect();
    Ok(Answer {
        told: format!("only {} put right: {by} asked for it", listed(&names)),
        effect: Effect::Sync(chosen.into_iter().collect()),
    })
}

fn named(key: &ObjectKey) -> String {
    format!("{}/{}", key.kind, key.name)
}

fn listed(names: &[String]) -> String {
    match names {
        [one] => format!("{one} is"),
        several => format!("{} are", several.join(", ")),
    }
}

/// Kinds are written as kubectl takes them: in any case, also in the plural.
fn is_meant(wanted: &ObjectName, key: &ObjectKey) -> bool {
    let (asked, kind) = (wanted.kind.to_lowercase(), key.kind.to_lowercase());
    let plural = match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if kind.ends_with('s') => format!("{kind}es"),
        None => format!("{kind}s"),
    };
    wanted.name == key.name && (asked == kind || asked == plural)
}

/// The nearest name of all; else what the environment has of that name, or of that kind.
fn near(wanted: &ObjectName, objects: &[ObjectKey]) -> String {
    let names: Vec<String> = objects.iter().map(named).collect();
    let nearest = did_you_mean(&wanted.to_string(), names.iter().map(String::as_str));
    if !nearest.is_empty() {
        return nearest;
    }
    let fits = |key: &&ObjectKey| key.name == wanted.name || key.kind.eq_ignore_ascii_case(&wanted.kind);
    let fitting: Vec<String> = objects.iter().filter(fits).take(5).map(named).collect();
    match fitting.as_slice() {
        [] => String::new(),
        fitting => format!(" (it has {})", fitting.join(", ")),
    }
}
