//! An environment at rest: what runs is stopped, everything else stays.
//!
//! The branch is gone, and with it maybe the bundle. So what an object should be at rest is a function of what we applied of it last, as
//! the API server remembers it: the same manifest, with a few fields changed. What they were is written beside them, and the way back
//! needs nothing else either.

mod fields;

use serde_json::{Map, Value, json};

use super::{Apply, Because, Delete, Fence, Plan, Removal, Step, Waiting};
use crate::domain::difference::owned;
use crate::domain::inventory::{Entry, Inventory, Relation};
use crate::domain::manifest::{Manifest, ObjectKey, Source};
use crate::domain::name::EnvironmentName;
use crate::domain::observed::LiveObject;
use fields::{Field, is_bare_pod, put, running, take};

pub use fields::concerns;

/// Annotation on an object at rest: what the changed fields were before, as JSON by their pointers.
pub const RESTING_ANNOTATION: &str = "graftling.dev/resting";

/// Something that runs, or makes something run.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// The object, reduced.
    pub live: LiveObject,
    /// The object, whole.
    pub whole: Value,
}

/// Whose environment is planned for.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// What it has ever applied.
    pub inventory: &'a Inventory,
    /// The field manager that it applies under.
    pub field_manager: &'a str,
}

/// Plans how the environment comes to rest.
///
/// # Guarantees
/// - Nothing is deleted but pods that nobody would start again: they hold no data that outlives them. Each goes under its UID.
/// - Only fields that say how much runs are changed, and claims of a StatefulSet are kept however it treats them when it shrinks.
/// - Every write is fenced by the UID; what is not ours is left alone.
/// - Planning again over the result plans nothing.
pub fn plan(whose: &Whose<'_>, workloads: &[Workload]) -> Plan {
    let mut plan = empty(whose);
    let (mut triggers, mut rest, mut pods) = (Vec::new(), Vec::new(), Vec::new());
    for (workload, entry) in ours(whose, workloads) {
        let live = &workload.live;
        if live.deletion.is_some() {
            plan.waiting.push(waiting(live, "is being deleted"));
            continue;
        }
        if is_bare_pod(&live.key) {
            pods.extend(running(&workload.whole).map(|_| delete(live, entry)));
            continue;
        }
        if let Some(body) = resting(&workload.whole, whose.field_manager) {
            let applies = if fields::starts_others(&live.key) {
                &mut triggers
            } else {
                &mut rest
            };
            applies.push(apply(workload, entry, body, Because::Resting));
        } else if let Some(reason) = running(&workload.whole) {
            plan.waiting.push(waiting(live, &reason));
        }
    }
    // What starts others is stopped first, or it would start them again.
    plan.steps
        .extend([triggers, rest].into_iter().filter(|applies| !applies.is_empty()).map(Step::Apply));
    plan.steps.extend((!pods.is_empty()).then_some(Step::Delete(pods)));
    plan
}

/// Plans the way back from rest, to what everything was before, where the bundle cannot be had to say what it should be.
///
/// # Guarantees
/// As [`plan`]. Pods that nobody starts again are not among what comes back.
pub fn plan_return(whose: &Whose<'_>, workloads: &[Workload]) -> Plan {
    let mut plan = empty(whose);
    let mut applies = Vec::new();
    for (workload, entry) in ours(whose, workloads) {
        if workload.live.deletion.is_some() {
            plan.waiting.push(waiting(&workload.live, "is being deleted"));
        } else if let Some(body) = returned(&workload.whole, whose.field_manager) {
            applies.push(apply(workload, entry, body, Because::Returned));
        }
    }
    plan.steps.extend((!applies.is_empty()).then_some(Step::Apply(applies)));
    plan
}

fn empty(whose: &Whose<'_>) -> Plan {
    Plan {
        write_ahead: whose.inventory.clone(),
        steps: Vec::new(),
        waiting: Vec::new(),
        obstacles: Vec::new(),
        stale: 0,
        withheld: 0,
        retained: Vec::new(),
    }
}

fn ours<'a>(whose: &Whose<'a>, workloads: &'a [Workload]) -> impl Iterator<Item = (&'a Workload, &'a Entry)> {
    let (inventory, environment) = (whose.inventory, whose.environment);
    workloads.iter().filter_map(move |workload| {
        let entry = inventory.get(&workload.live.key)?;
        let relation = entry.relation(&workload.live, environment.as_str());
        (relation != Relation::Foreign).then_some((workload, entry))
    })
}

fn apply(workload: &Workload, entry: &Entry, body: Value, because: Because) -> Apply {
    let live = &workload.live;
    let source = Source {
        file: "as it was applied last".to_owned(),
        line: 1,
    };
    Apply {
        manifest: Manifest::new(live.key.clone(), body, source),
        stage: entry.stage,
        fence: Fence::Uid(live.uid.clone()),
        force: live.co_appliers.is_empty(),
        because,
    }
}

fn delete(live: &LiveObject, entry: &Entry) -> Delete {
    Delete {
        key: live.key.clone(),
        uid: live.uid.clone(),
        stage: entry.stage,
        removal: Removal::Delete,
    }
}

fn waiting(live: &LiveObject, reason: &str) -> Waiting {
    Waiting {
        key: live.key.clone(),
        reason: reason.to_owned(),
        deletion: live.deletion.clone(),
        failed: false,
    }
}

/// What to apply so that the object is at rest; `None` if it is.
fn resting(whole: &Value, field_manager: &str) -> Option<Value> {
    let unmet = |field: &Field| whole.pointer(field.pointer) != Some(&field.at_rest());
    let fields: Vec<_> = Field::of(whole).filter(|field| field.applies_to(whole) && unmet(field)).collect();
    if fields.is_empty() {
        return None;
    }
    let mut body = owned(whole, field_manager);
    let mut before = remembered(whole);
    for field in fields {
        let was = body.pointer(field.pointer).cloned().unwrap_or(Value::Null);
        // What was remembered when the rest began counts, whoever has changed the field since.
        before.entry(field.pointer.to_owned()).or_insert(was);
        put(&mut body, field.pointer, field.at_rest());
    }
    annotate(&mut body, Some(Value::Object(before).to_string()));
    Some(body)
}

/// What to apply so that the object is as it was before its rest; `None` if it does not rest. Fields that were not ours are left to
/// whoever sets them, or to the API server's default. Of what the annotation says, only the fields that a rest changes count.
fn returned(whole: &Value, field_manager: &str) -> Option<Value> {
    whole.pointer("/metadata/annotations")?.get(RESTING_ANNOTATION)?;
    let before = remembered(whole);
    let mut body = owned(whole, field_manager);
    for field in Field::of(whole) {
        match before.get(field.pointer) {
            Some(Value::Null) => take(&mut body, field.pointer),
            Some(was) => put(&mut body, field.pointer, was.clone()),
            None => {}
        }
    }
    annotate(&mut body, None);
    Some(body)
}

fn remembered(whole: &Value) -> Map<String, Value> {
    let annotation = whole
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(RESTING_ANNOTATION));
    let text = annotation.and_then(Value::as_str);
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn annotate(body: &mut Value, resting: Option<String>) {
    let pointer = format!("/metadata/annotations/{}", RESTING_ANNOTATION.replace('/', "~1"));
    match resting {
        Some(text) => put(body, &pointer, json!(text)),
        None => take(body, &pointer),
    }
}

/// Whether an object that bears a key would be changed by a rest, for who has to read it whole.
pub fn is_concerned((key, entry): &(&ObjectKey, &Entry)) -> bool {
    concerns(key) && !entry.gone
}

#[cfg(test)]
mod tests;
