//! Objects that somebody changes back each time that they are put right: after a few rounds they are left alone for a while, so that there
//! is no war of writes, and told by name.
//!
//! A mutating webhook that changes the value of a Secret and a controller that updates a field of ours look the same from here: the same
//! manifest has to be applied again and again. The count is in memory; a restart begins it anew.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::deploy::holds_other_values;
use super::{Apply, Because, Plan, Step};
use crate::domain::inventory::{Inventory, Stage};
use crate::domain::manifest::{Manifest, ObjectKey};
use crate::domain::observed::is_secret;
use crate::domain::outcome::Outcome;

/// How often each object of an environment was put right in a row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DriftLoops(BTreeMap<ObjectKey, Loop>);

#[derive(Debug, Clone, PartialEq)]
struct Loop {
    /// The manifest: another one is a new beginning.
    digest: String,
    rounds: u32,
    last: Timestamp,
    /// The answer to the last write showed already that it did not last.
    undone_at_once: bool,
    /// What is told of it until it is tried again.
    told: Option<String>,
}

/// An object that is left alone although it is not as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// What it should be.
    pub manifest: Manifest,
    /// The stage that it belongs to.
    pub stage: Stage,
    /// How often it was put right in vain.
    pub rounds: u32,
    /// When it is tried again.
    pub until: Timestamp,
    /// What was found out about it in this pause.
    pub told: Option<String>,
}

/// So many rounds in vain are enough.
const ROUNDS: u32 = 3;
/// What was changed back so soon is a round of a loop; what lasted longer was changed by somebody who meant it once.
const SOON: SignedDuration = SignedDuration::from_secs(30);
/// How long an object in a loop is left alone at first; doubled with each further round in vain.
const PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// And at most.
const LONGEST: SignedDuration = SignedDuration::from_mins(8);
/// How many fields are named.
const MOST_FIELDS: usize = 5;

impl DriftLoops {
    /// Takes out of a plan what is in a loop and was tried a short time ago.
    pub fn hold(&mut self, plan: &mut Plan, inventory: &Inventory, now: Timestamp) -> Vec<Held> {
        self.settle(plan, inventory, now);
        let mut held = Vec::new();
        for step in &mut plan.steps {
            let Step::Apply(applies) = step else { continue };
            applies.retain(|apply| match self.pause(apply, inventory, now) {
                Some(pause) => {
                    held.push(pause);
                    false
                }
                None => true,
            });
        }
        plan.steps.retain(|step| !step.is_empty());
        held
    }

    fn pause(&self, apply: &Apply, inventory: &Inventory, now: Timestamp) -> Option<Held> {
        let known = self
            .0
            .get(&apply.manifest.key)
            .filter(|known| is_correction(apply, inventory) && known.is_about(apply))?;
        let until = known.tried_again()?;
        (now < until).then(|| Held {
            manifest: apply.manifest.clone(),
            stage: apply.stage,
            rounds: known.rounds,
            until,
            told: known.told.clone(),
        })
    }

    /// Forgets what was found as it should be some time after it was put right.
    fn settle(&mut self, plan: &Plan, inventory: &Inventory, now: Timestamp) {
        let wrong: Vec<&Apply> = plan.applies().filter(|apply| is_correction(apply, inventory)).collect();
        self.0.retain(|key, known| {
            let is_wrong = wrong.iter().any(|apply| apply.manifest.key == *key && known.is_about(apply));
            is_wrong || now.duration_since(known.last) < SOON && inventory.get(key).is_some()
        });
    }

    /// Counts what a plan, after [`DriftLoops::hold`], has put right over what `inventory` recorded before. Whether something of it is known
    /// to be wrong again already: no watch may show that.
    pub fn record(&mut self, plan: &Plan, inventory: &Inventory, outcomes: &[Outcome], now: Timestamp) -> bool {
        let mut is_undone = false;
        for apply in plan.applies().filter(|apply| is_correction(apply, inventory)) {
            let key = &apply.manifest.key;
            let applied = outcomes.iter().find_map(|outcome| match outcome {
                Outcome::Applied { live, .. } if live.key == *key => Some(live),
                _ => None,
            });
            let Some(live) = applied else { continue };
            let digest = apply.manifest.recorded_digest();
            let before = self.0.get(key).filter(|known| known.digest == digest);
            let rounds = match before {
                Some(known) if known.undone_at_once || known.rounds >= ROUNDS || now.duration_since(known.last) < SOON => known.rounds + 1,
                _ => 1,
            };
            let is_labelled = live.environment.is_some() || live.is_shared();
            let undone_at_once = holds_other_values(&apply.manifest, live) || !is_labelled;
            is_undone |= undone_at_once;
            self.0.insert(
                key.clone(),
                Loop {
                    digest,
                    rounds,
                    last: now,
                    undone_at_once,
                    told: None,
                },
            );
        }
        is_undone
    }

    /// Keeps what was found out about an object, until it is tried again.
    pub fn tell(&mut self, key: &ObjectKey, told: &str) {
        if let Some(known) = self.0.get_mut(key) {
            known.told = Some(told.to_owned());
        }
    }

    /// Whether nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Loop {
    fn is_about(&self, apply: &Apply) -> bool {
        self.digest == apply.manifest.recorded_digest()
    }

    /// When it is tried again, once there were enough rounds.
    fn tried_again(&self) -> Option<Timestamp> {
        let more = self.rounds.checked_sub(ROUNDS)?;
        let pause = PAUSE.checked_mul(1_i32 << more.min(4)).unwrap_or(LONGEST).min(LONGEST);
        self.last.checked_add(pause).ok()
    }
}

/// Whether the very manifest that was applied last has to be applied again.
fn is_correction(apply: &Apply, inventory: &Inventory) -> bool {
    let recorded = inventory.get(&apply.manifest.key).and_then(|entry| entry.digest.as_deref());
    matches!(apply.because, Because::Drifted | Because::Changed) && recorded == Some(apply.manifest.recorded_digest().as_str())
}

/// The fields of a manifest that a live object has otherwise, at most `most`, and who wrote last besides us. Values are not shown.
pub fn differing_fields(manifest: &Manifest, live: &Value, most: usize) -> Vec<String> {
    let mut wanted = Value::clone(&manifest.body);
    if is_secret(&manifest.key) {
        as_data(&mut wanted);
    }
    let mut fields = Vec::new();
    compare(&wanted, live, "", &mut fields);
    fields.truncate(most);
    fields
}

/// A Secret's `stringData` is stored as `data`: under that name it is found.
fn as_data(body: &mut Value) {
    use base64::Engine;
    let Some(Value::Object(plain)) = body.as_object_mut().and_then(|body| body.remove("stringData")) else {
        return;
    };
    for (name, value) in plain {
        let encoded = base64::prelude::BASE64_STANDARD.encode(value.as_str().unwrap_or_default());
        body["data"][name] = Value::String(encoded);
    }
}

fn compare(wanted: &Value, live: &Value, path: &str, fields: &mut Vec<String>) {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            for (name, wanted) in wanted {
                let below = match path {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                compare(wanted, live.get(name).unwrap_or(&Value::Null), &below, fields);
            }
        }
        (Value::Array(wanted), Value::Array(live)) if wanted.len() == live.len() => {
            for (index, (wanted, live)) in wanted.iter().zip(live).enumerate() {
                compare(wanted, live, &format!("{path}[{index}]"), fields);
            }
        }
        (wanted, live) if wanted == live || is_empty(wanted) && is_empty(live) => {}
        _ => fields.push(path.to_owned()),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(entries) => entries.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Who has written to an object besides `ours`, the last one first.
pub fn other_writers(live: &Value, ours: &str) -> Vec<String> {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let mut others: Vec<(&str, &str)> = entries
        .into_iter()
        .flatten()
        .filter(|entry| entry.get("subresource").is_none())
        .filter_map(|entry| {
            Some((
                entry.get("time").and_then(Value::as_str).unwrap_or_default(),
                entry.get("manager")?.as_str()?,
            ))
        })
        .filter(|(_, manager)| *manager != ours)
        .collect();
    others.sort_by(|left, right| right.cmp(left));
    let mut names: Vec<String> = others.into_iter().map(|(_, name)| name.chars().take(64).collect()).collect();
    names.dedup();
    names
}

impl Held {
    /// What is told of it: the object, the fields, who writes them, and the way out.
    pub fn sentence(&self, live: Option<&Value>, field_manager: &str) -> String {
        let key = &self.manifest.key;
        let fields = live
            .map(|live| differing_fields(&self.manifest, live, MOST_FIELDS))
            .unwrap_or_default();
        let what = match fields.is_empty() {
            true => String::new(),
            false => format!(" ({})", fields.join(", ")),
        };
        let writers = live.map(|live| other_writers(live, field_manager)).unwrap_or_default();
        let who = match writers.first() {
            Some(writer) => format!("{writer} or a webhook"),
            None => "a webhook or controller of the cluster".to_owned(),
        };
        format!(
            "{} {}{what} is changed back each time that it is put right, {} times by now: {who} writes it as well; stop that, or take these \
             fields out of the bundle; it is left alone until {:.0}",
            key.kind, key.name, self.rounds, self.until
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a plan that cannot be made is the test's failure")]

    use serde_json::json;

    use super::*;
    use crate::domain::manifest::Source;
    use crate::domain::observed::Marks;
    use crate::domain::plan::Fence;

    const MARKS: Marks<'static> = Marks {
        field_manager: "graftling",
        environment_label: "graftling.dev/environment",
        environment_uid_annotation: "graftling.dev/environment-uid",
    };

    fn key() -> ObjectKey {
        ObjectKey {
            group: String::new(),
            version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: Some("n".into()),
            name: "settings".into(),
        }
    }

    fn manifest(greeting: &str) -> Manifest {
        let source = Source {
            file: "test.yaml".into(),
            line: 1,
        };
        Manifest::new(key(), json!({ "data": { "greeting": greeting, "other": "x" } }), source)
    }

    fn plan(manifest: &Manifest, because: Option<Because>) -> Plan {
        let apply = because.map(|because| Apply {
            manifest: manifest.clone(),
            stage: Stage::Deploy,
            fence: Fence::Uid("u".into()),
            force: true,
            because,
        });
        Plan {
            write_ahead: Inventory::default(),
            steps: apply.map(|apply| Step::Apply(vec![apply])).into_iter().collect(),
            waiting: Vec::new(),
            obstacles: Vec::new(),
            stale: 0,
            withheld: 0,
            retained: Vec::new(),
        }
    }

    fn applied(manifest: &Manifest, labels: Value) -> Outcome {
        let body = json!({ "metadata": { "uid": "u", "resourceVersion": "1", "labels": labels } });
        let live = crate::domain::observed::LiveObject::from_body(key(), &body, MARKS).unwrap();
        Outcome::Applied {
            stage: Stage::Deploy,
            digest: manifest.recorded_digest(),
            live: Box::new(live),
        }
    }

    /// A world in which an object is found wrong at some seconds; what each pass did: `w` for a write, `h` for holding back.
    struct World {
        loops: DriftLoops,
        inventory: Inventory,
        labels: Value,
    }

    impl World {
        fn new(manifest: &Manifest) -> Self {
            let mut world = Self {
                loops: DriftLoops::default(),
                inventory: Inventory::default(),
                labels: json!({ "graftling.dev/environment": "e" }),
            };
            crate::domain::outcome::absorb(&mut world.inventory, &[applied(manifest, world.labels.clone())]);
            world
        }

        fn pass(&mut self, second: i64, manifest: &Manifest, because: Option<Because>) -> char {
            let now = Timestamp::from_second(second).unwrap();
            let mut plan = plan(manifest, because);
            let held = self.loops.hold(&mut plan, &self.inventory, now);
            if plan.is_quiet() {
                return if held.is_empty() { '-' } else { 'h' };
            }
            let outcomes = [applied(manifest, self.labels.clone())];
            self.loops.record(&plan, &self.inventory, &outcomes, now);
            crate::domain::outcome::absorb(&mut self.inventory, &outcomes);
            'w'
        }
    }

    const DRIFTED: Option<Because> = Some(Because::Drifted);

    #[test]
    fn f29_after_three_rounds_an_object_is_left_alone_and_tried_less_and_less_often() {
        let manifest = manifest("hello");
        let mut world = World::new(&manifest);
        let mut told: Vec<(i64, char)> = Vec::new();
        for second in 0..600 {
            let did = world.pass(second, &manifest, DRIFTED);
            if told.last().is_none_or(|(_, last)| *last != did) || did == 'w' {
                told.push((second, did));
            }
        }
        let writes: Vec<i64> = told.iter().filter(|(_, did)| *did == 'w').map(|(second, _)| *second).collect();
        assert_eq!(writes, [0, 1, 2, 32, 92, 212, 452]);
    }

    #[test]
    fn f29_another_manifest_is_written_at_once_and_what_stays_right_is_forgotten() {
        let (manifest, other) = (manifest("hello"), manifest("hi"));
        let mut world = World::new(&manifest);
        for second in 0..3 {
            assert_eq!(world.pass(second, &manifest, DRIFTED), 'w');
        }
        assert_eq!(world.pass(3, &manifest, DRIFTED), 'h');
        assert_eq!(world.pass(4, &other, Some(Because::Changed)), 'w');
        assert_eq!(world.pass(5, &other, None), '-');
        assert_eq!(world.pass(40, &other, None), '-');
        assert!(world.loops.is_empty(), "{:?}", world.loops);
    }

    #[test]
    fn f29_edits_by_hand_that_last_for_a_while_are_no_loop() {
        let manifest = manifest("hello");
        let mut world = World::new(&manifest);
        for round in 0..6 {
            assert_eq!(world.pass(round * 40, &manifest, DRIFTED), 'w', "{round}");
        }
    }

    #[test]
    fn f29_what_the_answer_shows_undone_counts_however_late_it_is_looked_at() {
        let manifest = manifest("hello");
        let mut world = World::new(&manifest);
        world.labels = json!({});
        let did: String = (0..5).map(|round| world.pass(round * 120, &manifest, DRIFTED)).collect();
        assert_eq!(did, "wwwww", "two minutes are longer than the pauses so far");
        assert_eq!(world.pass(500, &manifest, DRIFTED), 'h');
    }

    #[test]
    fn f29_what_differs_is_named_without_its_value() {
        let held = Held {
            manifest: manifest("hello"),
            stage: Stage::Deploy,
            rounds: 3,
            until: Timestamp::from_second(60).unwrap(),
            told: None,
        };
        let live = json!({ "data": { "greeting": "theirs", "other": "x" }, "metadata": { "managedFields": [
            { "manager": "graftling", "time": "2026-01-01T00:00:09Z" }, { "manager": "meddler", "time": "2026-01-01T00:00:08Z" },
            { "manager": "early", "time": "2026-01-01T00:00:01Z" }, { "manager": "status", "subresource": "status", "time": "2027-01-01T00:00:00Z" },
        ] } });
        assert_eq!(
            held.sentence(Some(&live), "graftling"),
            "ConfigMap settings (data.greeting) is changed back each time that it is put right, 3 times by now: meddler or a webhook writes \
             it as well; stop that, or take these fields out of the bundle; it is left alone until 1970-01-01T00:01:00Z"
        );
        assert_eq!(other_writers(&live, "graftling"), ["meddler", "early"]);
    }
}
