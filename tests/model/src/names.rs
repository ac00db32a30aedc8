//! The fixed names of the model, and the way from its small numbers to the types that graftling decides over, and back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use graftling::domain::adoption::{Claim, NO_REVISION};
use graftling::domain::git::{BranchName, Repository, Revision};
use graftling::domain::inventory::{Entry as DomainEntry, Inventory as DomainInventory, Stage};
use graftling::domain::manifest::{Manifest, ObjectKey, Source};
use graftling::domain::name::{EnvironmentName, Identity};
use graftling::domain::observed::{Deletion, LiveObject, Shares};
use graftling::domain::outcome::Outcome;
use graftling::domain::outcome::absorb;
use graftling::domain::plan::Observed;
use graftling::domain::plan::deploy::Desired;
use graftling::domain::policy::{self, AllowedKeys, BranchPolicy, Guardrails, Project};
use graftling::domain::readiness::Readiness;
use graftling::domain::residue::Found;
use graftling::domain::retention::Retention;
use serde_json::Value;

use crate::world::{BRANCHES as MOST, Branch, Content, Entry, FIXED, Inventory, Object, Place, Pod, SLOTS, Slot, UNSEEN, Uid};

/// The names of the branches.
pub const BRANCHES: [&str; MOST] = ["a", "b", "c", "d", "e", "f"];
/// The base URL of the Git host.
pub const HOST: &str = "https://git.example.com";
const SINCE: &str = "2026-01-01T00:00:00Z";

/// What is parsed once.
struct Names {
    project: Project,
    branches: Vec<BranchName>,
    environments: Vec<EnvironmentName>,
    keys: Vec<[ObjectKey; SLOTS]>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let project = make_project();
    let branches: Vec<BranchName> = BRANCHES.iter().map(|name| parse(name)).collect();
    let repository = repository(true).id;
    let environments: Vec<EnvironmentName> = branches
        .iter()
        .map(|branch| {
            EnvironmentName::compute(Identity {
                host_url: HOST,
                repository: &repository,
                branch,
                project: &project.key,
            })
        })
        .collect();
    let keys = environments.iter().map(|name| Slot::ALL.map(|slot| make_key(name, slot))).collect();
    Names {
        project,
        branches,
        environments,
        keys,
    }
});

/// The texts of the model are constants, so one that cannot be parsed is a mistake in the model.
fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a constant of the model is valid")
}

fn make_project() -> Project {
    Project {
        key: parse("team/shop"),
        host: graftling::domain::name::GitHostKey {
            namespace: parse("team"),
            name: parse("git"),
        },
        repository: parse("acme/shop"),
        branches: BranchPolicy::new(&["**".to_owned()], &["main".to_owned()], &[]).expect("the globs are constants"),
        bundle: policy::BundleSource::Shipped(parse("web")),
        values: serde_json::Map::new(),
        domain: parse("preview.example.com"),
        https: true,
        url_check: None,
        guardrails: Guardrails::none(),
        max_environments: None,
        grace_after_delete: None,
        ttl: None,
        pull_requests: policy::PullRequestPolicy::default(),
        forks: policy::Forks::default(),
        rules: Vec::new(),
        branch_file: AllowedKeys::default(),
        kinds: Vec::new(),
        cluster_scoped: policy::ClusterScoped::default(),
        cluster_kinds: Vec::new(),
        claims: policy::ClaimPolicy::default(),
        outbound: policy::Outbound::usual(),
        retain: policy::Permission::default(),
        deployer: parse("deployer"),
        mirrors: Vec::new(),
        suspended: false,
    }
}

fn make_key(name: &EnvironmentName, slot: Slot) -> ObjectKey {
    let (group, kind, object) = match slot {
        Slot::Namespace => ("", "Namespace", name.as_str()),
        Slot::Guardrail => ("rbac.authorization.k8s.io", "RoleBinding", "graftling-deployer"),
        Slot::Account => ("", "ServiceAccount", "web"),
        Slot::Settings => ("", "ConfigMap", "settings"),
        Slot::Workload => ("apps", "Deployment", "web"),
        Slot::Custom => ("example.com", "Bucket", "files"),
        Slot::Theirs => ("", "ConfigMap", "theirs"),
    };
    ObjectKey {
        group: group.to_owned(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: (slot != Slot::Namespace).then(|| name.to_string()),
        name: object.to_owned(),
    }
}

/// The Project.
pub fn project() -> &'static Project {
    &NAMES.project
}

/// A branch's name.
pub fn branch(number: usize) -> &'static BranchName {
    &NAMES.branches[number]
}

/// The number of a branch.
pub fn number(name: &BranchName) -> Option<usize> {
    NAMES.branches.iter().position(|known| known == name)
}

/// The name of a branch's environment.
pub fn environment(branch: usize) -> &'static EnvironmentName {
    &NAMES.environments[branch]
}

/// The key of an object.
pub fn key(branch: usize, slot: Slot) -> &'static ObjectKey {
    &NAMES.keys[branch][slot as usize]
}

/// The object of a key.
pub fn slot(branch: usize, key: &ObjectKey) -> Option<Slot> {
    let position = NAMES.keys[branch].iter().position(|known| known == key)?;
    Some(Slot::ALL[position])
}

/// The repository, or another one under its name.
pub fn repository(right: bool) -> Repository {
    Repository {
        id: parse(if right { "1" } else { "2" }),
        name: parse("acme/shop"),
        default_branch: Some(parse("main")),
    }
}

/// A revision as Git writes it.
pub fn revision(content: Content) -> Revision {
    match content {
        UNSEEN => parse(NO_REVISION),
        _ => parse(&format!("{content:040}")),
    }
}

/// The number of a revision.
pub fn content(revision: &Revision) -> Content {
    revision.as_str().parse().unwrap_or(UNSEEN)
}

/// The next head of a branch: no two branches have one in common.
pub fn next_head(number: usize, branch: &Branch) -> Content {
    Content::try_from(number).unwrap_or_default() * 10 + branch.pushes % 9 + 1
}

/// The branch that a content belongs to.
pub fn branch_of(content: Content) -> usize {
    usize::from((content - 1) / 10)
}

/// A UID as text.
pub fn uid(uid: Uid) -> String {
    uid.to_string()
}

/// The number of a UID.
pub fn uid_number(text: &str) -> Uid {
    text.parse().unwrap_or_default()
}

/// What the bundle of a revision contains: every second revision does without the custom resource and the settings.
pub fn wanted(revision: Content, slots: &[Slot]) -> Vec<Slot> {
    let is_short = revision.is_multiple_of(2);
    let keeps = |slot: &Slot| !(is_short && matches!(slot, Slot::Custom | Slot::Settings));
    slots.iter().copied().filter(keeps).collect()
}

/// What an environment should consist of.
pub fn desired(branch: usize, revision: Content, slots: &[Slot]) -> Desired {
    let slots = wanted(revision, slots);
    let in_stage = |stage| slots.iter().filter(move |slot| stage_of(**slot) == stage);
    Desired {
        namespace: manifest(branch, Slot::Namespace, FIXED),
        guardrails: in_stage(Stage::Guardrails).map(|slot| manifest(branch, *slot, FIXED)).collect(),
        objects: in_stage(Stage::Deploy).map(|slot| manifest(branch, *slot, revision)).collect(),
        held: BTreeSet::new(),
    }
}

fn manifest(branch: usize, slot: Slot, content: Content) -> Manifest {
    Manifest {
        key: key(branch, slot).clone(),
        body: Value::Null.into(),
        source: Source {
            file: String::new(),
            line: 1,
        },
        digest: content.to_string(),
    }
}

fn stage_of(slot: Slot) -> Stage {
    match slot {
        Slot::Namespace => Stage::Namespace,
        Slot::Guardrail => Stage::Guardrails,
        _ => Stage::Deploy,
    }
}

/// A live object as graftling reads it.
pub fn live(branch: usize, slot: Slot, object: &Object) -> LiveObject {
    LiveObject {
        key: key(branch, slot).clone(),
        uid: uid(object.uid),
        version: 1,
        deletion: object.deleting.then(|| Deletion {
            since: SINCE.to_owned(),
            finalizers: finalizers(object),
        }),
        environment: object.labelled.then(|| environment(branch).to_string()),
        environment_uid: (object.made_for != 0).then(|| uid(object.made_for)),
        ownership: object.ours.then(|| object.content.to_string()),
        co_appliers: Vec::new(),
        secret: None,
        readiness: match object.ready {
            true => Readiness::Ready,
            false => Readiness::Progressing {
                reason: "is starting".to_owned(),
            },
        },
        owners: Vec::new(),
        shares: Shares::new(),
        shared_content: None,
        retention: Retention::default(),
    }
}

fn finalizers(object: &Object) -> Vec<String> {
    let held = object.held.then(|| "example.com/hold".to_owned());
    held.into_iter().collect()
}

/// The live objects of a place.
pub fn observed(branch: usize, place: &Place) -> Observed {
    let there = Slot::ALL.into_iter().filter_map(|slot| Some((slot, place.get(slot)?)));
    there
        .map(|(slot, object)| (key(branch, slot).clone(), live(branch, slot, object)))
        .collect()
}

/// Everything inside the namespace of a place.
pub fn found(branch: usize, place: &Place) -> Vec<Found> {
    let inside = Slot::ALL.into_iter().skip(1).filter_map(|slot| Some((slot, place.get(slot)?)));
    let mut found: Vec<_> = inside
        .map(|(slot, object)| Found {
            key: key(branch, slot).clone(),
            uid: uid(object.uid),
            environment: object.labelled.then(|| environment(branch).to_string()),
            owners: Vec::new(),
            owner_kinds: Vec::new(),
            lost: false,
            finalizers: finalizers(object),
            deleting_since: object.deleting.then(|| SINCE.to_owned()),
            retention: Retention::default(),
        })
        .collect();
    found.extend(place.pod.map(|pod| found_pod(branch, place, pod)));
    found
}

fn found_pod(branch: usize, place: &Place, pod: Pod) -> Found {
    let workload = place.get(Slot::Workload);
    Found {
        key: ObjectKey {
            kind: "Pod".to_owned(),
            name: "web-1".to_owned(),
            ..key(branch, Slot::Account).clone()
        },
        uid: "pod".to_owned(),
        environment: None,
        // The UID of an owner that is gone leads nowhere, whatever it was.
        owners: vec![workload.map_or_else(|| "gone".to_owned(), |workload| uid(workload.uid))],
        owner_kinds: vec![("apps".to_owned(), "Deployment".to_owned())],
        lost: workload.is_none(),
        finalizers: Vec::new(),
        deleting_since: (pod == Pod::Ending).then(|| SINCE.to_owned()),
        retention: Retention::default(),
    }
}

/// What a namespace says of itself.
pub fn claim(branch: usize, namespace: &Object) -> Claim {
    let project = &project().key;
    Claim {
        name: environment(branch).to_string(),
        uid: uid(namespace.uid),
        environment: namespace.labelled.then(|| environment(branch).to_string()),
        project_namespace: namespace.labelled.then(|| project.namespace.to_string()),
        project: namespace.labelled.then(|| project.name.to_string()),
        branch: namespace.ours.then(|| self::branch(branch).to_string()),
        environment_uid: (namespace.made_for != 0).then(|| uid(namespace.made_for)),
        applied: namespace.ours,
        ending: namespace.deleting,
        retained: false,
    }
}

/// An inventory as graftling reads it.
pub fn inventory(branch: usize, inventory: &Inventory) -> DomainInventory {
    let number = |content: Content| (content != 0).then(|| content.to_string());
    let entries = Slot::ALL.into_iter().filter_map(|slot| Some((slot, inventory[slot as usize]?)));
    DomainInventory::from_entries(entries.map(|(slot, entry)| {
        let entry = DomainEntry {
            stage: stage_of(slot),
            uid: number(entry.uid),
            digest: number(entry.digest),
            ownership: number(entry.ownership),
            gone: entry.gone,
            asked: entry.asked,
        };
        (key(branch, slot).clone(), entry)
    }))
}

/// An inventory as the model stores it.
pub fn stored(branch: usize, inventory: &DomainInventory) -> Inventory {
    let number = |text: &Option<String>| text.as_deref().map(uid_number).unwrap_or_default();
    let mut stored = Inventory::default();
    for (key, entry) in inventory.iter() {
        let slot = slot(branch, key).expect("only what the model contains gets into an inventory");
        stored[slot as usize] = Some(Entry {
            uid: number(&entry.uid),
            digest: number(&entry.digest),
            ownership: number(&entry.ownership),
            gone: entry.gone,
            asked: entry.asked,
        });
    }
    stored
}

/// The inventory after an outcome, as graftling takes it in.
pub fn absorbed(branch: usize, before: &Inventory, outcome: Outcome) -> Inventory {
    let mut after = inventory(branch, before);
    absorb(&mut after, &[outcome]);
    stored(branch, &after)
}

/// The stage of an object.
pub fn stage(slot: Slot) -> Stage {
    stage_of(slot)
}

/// No absences at all.
pub fn nothing<T>() -> BTreeMap<EnvironmentName, T> {
    BTreeMap::new()
}
