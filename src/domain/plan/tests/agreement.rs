//! Owners of a shared object who change their minds: the object follows once all want the same, whatever dies in between.
//!
//! The model is that of server-side apply: fields with their values, and the fields that each owner holds.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::domain::inventory::Entry;
use crate::domain::observed::Share;
use crate::domain::outcome::Outcome;
use crate::domain::plan::deploy;
use crate::domain::readiness::Readiness;
use crate::domain::retention::Retention;
use crate::domain::status::{Phase, Report, summarise_deployment};

const CLASS: &str = "scheduling.k8s.io/PriorityClass/shared";
const NAMES: [&str; 3] = [ENVIRONMENT, "shop-b-bbbbbbbbbb", "shop-c-cccccccccc"];

/// Fields by their names. What every content has is under "value"; each has a field of its own besides.
type Fields = BTreeMap<String, String>;

#[derive(Debug, Clone, Default)]
struct Object {
    uid: u64,
    version: u64,
    fields: Fields,
    held: BTreeMap<String, BTreeSet<String>>,
}

/// A cluster with room for one shared object, and the environments' namespaces.
#[derive(Debug, Default)]
struct World {
    object: Option<Object>,
    writes: u64,
    stored: BTreeMap<&'static str, Inventory>,
}

/// Where a pass dies: before its write reaches the server, or before the answer comes back.
#[derive(Debug, Clone, Copy)]
enum Dies {
    Before,
    After,
}

fn annotation(environment: &str) -> String {
    format!("owner/{environment}")
}

/// What applying this content sets.
fn content(content: &str) -> Fields {
    let fields = [
        ("value", content),
        (&format!("only-{content}"), "x"),
        ("content", &format!("digest of {content}")),
    ];
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn wish(environment: &str, content: &str) -> Desired {
    let mut desired = desired(&[(CLASS, content)]);
    desired.guardrails.clear();
    Arc::make_mut(&mut desired.objects[0].body)["metadata"]["annotations"] =
        json!({format!("owner.graftling.dev/{environment}"): format!("digest of {content}")});
    desired
}

impl Object {
    fn live(&self) -> LiveObject {
        let wanted = |name: &&&str| self.fields.get(&annotation(name)).cloned();
        let ownership = |name: &&&str| self.held.get(**name).map(|held| format!("{held:?}"));
        let shares = NAMES.iter().filter_map(|name| {
            let share = Share {
                wanted: wanted(&name),
                ownership: ownership(&name),
            };
            (share != Share::default()).then(|| ((*name).to_owned(), share))
        });
        LiveObject {
            key: key(CLASS),
            uid: self.uid.to_string(),
            version: self.version,
            shares: shares.collect(),
            shared_content: self.fields.get("content").cloned(),
            ..namespace()
        }
    }

    /// Server-side apply: who applies holds what it applies, and what it no longer applies goes unless others hold it.
    fn apply(&mut self, name: &str, applied: &Fields, force: bool) {
        let differing: Vec<_> = applied
            .iter()
            .filter(|(field, value)| self.fields.get(*field) != Some(value))
            .collect();
        for (owner, held) in self.held.iter_mut().filter(|(owner, _)| *owner != name) {
            for (field, _) in &differing {
                assert!(!held.remove(*field) || force, "{name} conflicts with {owner} over {field}");
            }
        }
        let before = self
            .held
            .insert(name.to_owned(), applied.keys().cloned().collect())
            .unwrap_or_default();
        self.fields.extend(applied.clone());
        self.drop_unheld(before);
    }

    fn release(&mut self, name: &str) {
        let before = self.held.remove(name).unwrap_or_default();
        self.drop_unheld(before);
    }

    fn drop_unheld(&mut self, fields: BTreeSet<String>) {
        for field in fields {
            if !self.held.values().any(|held| held.contains(&field)) {
                self.fields.remove(&field);
            }
        }
    }

    fn owners(&self) -> BTreeSet<&str> {
        let wishes = self.fields.keys().filter_map(|field| field.strip_prefix("owner/"));
        wishes.collect()
    }
}

/// The namespace of whichever environment is planned for: it is there, and all is well with it.
fn namespace() -> LiveObject {
    LiveObject {
        key: namespace_key(),
        uid: "namespace".into(),
        version: 1,
        deletion: None,
        environment: None,
        environment_uid: Some(UID.into()),
        ownership: None,
        co_appliers: Vec::new(),
        secret: None,
        readiness: Readiness::Ready,
        owners: Vec::new(),
        shares: Shares::new(),
        shared_content: None,
        retention: Retention::default(),
    }
}

impl World {
    fn inventory(&self, name: &'static str, desired: &Desired) -> Inventory {
        let stored = self.stored.get(name).cloned().unwrap_or_default();
        let entry = Entry {
            stage: Stage::Namespace,
            uid: Some("namespace".into()),
            digest: Some(desired.namespace.recorded_digest()),
            ownership: None,
            gone: false,
            asked: false,
        };
        let namespace = (desired.namespace.key.clone(), entry);
        Inventory::from_entries(stored.iter().map(|(key, entry)| (key.clone(), entry.clone())).chain([namespace]))
    }

    fn plan(&self, name: &'static str, desired: &Desired) -> Plan {
        let mut space = namespace();
        space.environment = Some(name.to_owned());
        let mut observed = Observed::from([(space.key.clone(), space)]);
        observed.extend(self.object.as_ref().map(|object| (key(CLASS), object.live())));
        deploy::plan(&name.parse().unwrap(), UID, desired, &self.inventory(name, desired), &observed)
    }

    /// One pass of an environment that wants this content, over a look at the object that may be an old one; `None` if it died.
    fn pass(&mut self, name: &'static str, wanted: &str, dies: Option<Dies>) -> Option<Report> {
        let plan = self.plan(name, &wish(name, wanted));
        self.carry_out(name, &plan, dies)
    }

    fn carry_out(&mut self, name: &'static str, plan: &Plan, dies: Option<Dies>) -> Option<Report> {
        self.stored.insert(name, plan.write_ahead.clone());
        let mut outcomes = Vec::new();
        for step in &plan.steps {
            match (step, dies) {
                (_, Some(Dies::Before)) => return None,
                (Step::Apply(applies), _) => outcomes.extend(applies.iter().map(|apply| self.apply(name, apply))),
                (Step::Delete(deletes), _) => outcomes.extend(deletes.iter().map(|delete| self.delete(name, delete))),
            }
            if dies.is_some() {
                return None;
            }
        }
        let report = summarise_deployment(plan, &outcomes);
        self.stored.insert(name, report.inventory.clone());
        Some(report)
    }

    fn apply(&mut self, name: &str, apply: &Apply) -> Outcome {
        self.writes += 1;
        let before = match (&mut self.object, &apply.fence) {
            (slot @ None, Fence::MustNotExist) => slot.insert(Object {
                uid: self.writes,
                ..Object::default()
            }),
            (Some(object), Fence::Unchanged { uid, version }) if object.uid.to_string() == *uid && object.version == *version => object,
            (Some(object), _) => {
                return Outcome::Exists {
                    live: Box::new(object.live()),
                };
            }
            (None, _) => return Outcome::Vanished { key: key(CLASS) },
        };
        let owners: Vec<_> = before.owners().into_iter().map(str::to_owned).collect();
        let (_, wanted) = apply.manifest.owner().unwrap();
        let own = [(annotation(name), wanted.to_owned())];
        let mut fields = match apply.because {
            Because::Wished => before.fields.clone(),
            _ => content(wanted.trim_start_matches("digest of ")),
        };
        fields.retain(|field, _| !field.starts_with("owner/"));
        // Where whoever wrote the content last has left before the others followed, there is none until the rest agree.
        if let (Some(after), Some(now)) = (fields.get("content"), before.fields.get("content"))
            && after != now
        {
            let wishes = before
                .fields
                .iter()
                .filter(|(field, _)| field.starts_with("owner/") && **field != annotation(name));
            assert!(wishes.clone().all(|(_, wish)| wish == wanted), "{name} decides over {before:?}");
        }
        fields.extend(own);
        before.apply(name, &fields, apply.force);
        before.version = self.writes;
        assert!(
            owners.iter().all(|owner| before.owners().contains(owner.as_str())),
            "an owner was lost"
        );
        Outcome::Applied {
            stage: apply.stage,
            digest: match apply.because {
                Because::Wished => format!("wish for {wanted}"),
                _ => apply.manifest.recorded_digest(),
            },
            live: Box::new(before.live().seen_by(name)),
        }
    }

    fn delete(&mut self, name: &str, delete: &Delete) -> Outcome {
        self.writes += 1;
        let object = self.object.as_mut().unwrap();
        match &delete.removal {
            Removal::Release { version, .. } if object.version == *version => {
                object.release(name);
                object.version = self.writes;
            }
            Removal::DeleteUnchanged { version } if object.version == *version => self.object = None,
            other => panic!("{other:?} of {object:?}"),
        }
        Outcome::Deleting { key: key(CLASS) }
    }

    fn leave(&mut self, name: &'static str) {
        let mut nothing = wish(name, "x");
        nothing.objects.clear();
        let plan = self.plan(name, &nothing);
        self.carry_out(name, &plan, None);
        assert!(self.object.as_ref().is_none_or(|object| !object.owners().contains(name)));
    }

    fn fields(&self) -> Fields {
        let mut fields = self.object.as_ref().unwrap().fields.clone();
        fields.retain(|field, _| !field.starts_with("owner/"));
        fields
    }
}

#[test]
fn feature_i5_the_content_of_a_shared_object_changes_once_all_of_its_owners_want_it_to() {
    let mut world = World::default();
    for name in NAMES {
        assert_eq!(world.pass(name, "one", None).unwrap().phase, Phase::Ready);
    }
    let [a, b, c] = NAMES;
    for (name, others) in [(a, [b, c].as_slice()), (b, &[c])] {
        let report = world.pass(name, "two", None).unwrap();
        assert_eq!((report.phase, report.reason, report.applied), (Phase::Deploying, "Waiting", false));
        assert!(report.again.unwrap().as_secs() <= 10, "no watch wakes it up");
        for word in others.iter().chain(&[name, "test.yaml:1", "another name"]) {
            assert!(report.message.contains(word), "{}", report.message);
        }
        assert_eq!(world.fields(), content("one"));
        let (writes, again) = (world.writes, world.pass(name, "two", None).unwrap());
        assert_eq!((again.message, world.writes), (report.message, writes), "it waits without writing");
        assert_eq!(
            world.pass(c, "one", None).unwrap().phase,
            Phase::Ready,
            "who wants it as it is has no reason to wait"
        );
    }
    for name in [c, a, b] {
        let report = world.pass(name, "two", None).unwrap();
        assert_eq!((report.phase, report.applied), (Phase::Ready, true), "{}", report.message);
    }
    assert_eq!(world.fields(), content("two"));
    let writes = world.writes;
    for name in NAMES {
        world.pass(name, "two", None);
    }
    assert_eq!(world.writes, writes);
}

#[test]
fn feature_i5_owners_that_differ_for_good_are_told_of_each_other_and_may_still_agree() {
    let mut world = World::default();
    let [a, b, c] = NAMES;
    for name in [a, b] {
        world.pass(name, "one", None);
    }
    world.pass(a, "two", None);
    for (name, other, wanted) in [(b, a, "three"), (a, b, "two")] {
        let report = world.pass(name, wanted, None).unwrap();
        assert_eq!(report.phase, Phase::Failed);
        for word in [name, other, "make both the same", "another name"] {
            assert!(report.message.contains(word), "{}", report.message);
        }
    }
    assert_eq!(world.fields(), content("one"));
    let report = world.pass(c, "two", None).unwrap();
    assert_eq!(report.phase, Phase::Failed, "who is no owner has no say");
    assert!(world.plan(c, &wish(c, "two")).is_quiet());
    // One gives in, and the other one, which has waited, need not do anything.
    for name in [a, b] {
        assert_eq!(world.pass(name, "three", None).unwrap().phase, Phase::Ready);
    }
    assert_eq!(world.fields(), content("three"));
    // Or one leaves.
    world.pass(a, "two", None);
    world.leave(b);
    assert_eq!(world.pass(a, "two", None).unwrap().phase, Phase::Ready);
    assert_eq!(world.fields(), content("two"));
}

#[test]
fn feature_i5_an_owner_that_gives_up_its_wish_lets_the_object_be() {
    let mut world = World::default();
    let [a, b, _] = NAMES;
    for (name, wanted) in [(a, "one"), (b, "one"), (a, "two"), (a, "one")] {
        world.pass(name, wanted, None);
    }
    assert_eq!(world.object.as_ref().unwrap().fields[&annotation(a)], "digest of one");
    for name in [a, b] {
        assert_eq!(world.pass(name, "one", None).unwrap().phase, Phase::Ready);
    }
    assert_eq!(world.fields(), content("one"));
}

#[test]
fn feature_i5_f55_an_owner_that_changes_its_mind_in_the_meantime_is_not_overruled() {
    let mut world = World::default();
    let [a, b, _] = NAMES;
    for (name, wanted) in [(a, "one"), (b, "one"), (a, "two")] {
        world.pass(name, wanted, None);
    }
    let late = world.plan(b, &wish(b, "two"));
    world.pass(a, "three", None);
    let report = world.carry_out(b, &late, None).unwrap();
    assert_eq!((report.phase, report.applied), (Phase::Deploying, false));
    assert_eq!(world.fields(), content("one"));
}

#[derive(Debug, Clone)]
enum Happens {
    Pass(&'static str, &'static str, Option<Dies>),
    Leave(&'static str),
}

fn happens() -> impl Strategy<Value = Happens> {
    let dies = select(vec![None, None, Some(Dies::Before), Some(Dies::After)]);
    let pass = (select(&NAMES[..]), select(&["one", "two", "three"][..]), dies);
    prop_oneof![
        6 => pass.prop_map(|(name, wanted, dies)| Happens::Pass(name, wanted, dies)),
        1 => select(&NAMES[..]).prop_map(Happens::Leave),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn f44_f55_owners_that_want_the_same_in_the_end_get_it_and_the_last_one_to_leave_removes_it(
        history in prop::collection::vec(happens(), 0..24),
        order in Just(NAMES.to_vec()).prop_shuffle(),
        last in select(&["one", "two"][..]),
    ) {
        let mut world = World::default();
        for event in history {
            match event {
                Happens::Pass(name, wanted, dies) => drop(world.pass(name, wanted, dies)),
                Happens::Leave(name) => world.leave(name),
            }
        }
        for _ in 0..3 {
            for name in &order {
                world.pass(name, last, None);
            }
        }
        prop_assert_eq!(world.fields(), content(last));
        prop_assert_eq!(world.object.as_ref().unwrap().owners(), BTreeSet::from(NAMES));
        for name in &order {
            let plan = world.plan(name, &wish(name, last));
            prop_assert!(plan.is_quiet() && plan.waiting.is_empty() && plan.obstacles.is_empty(), "{plan}");
        }
        for name in order {
            prop_assert!(world.object.is_some());
            world.leave(name);
        }
        prop_assert!(world.object.is_none());
    }
}
