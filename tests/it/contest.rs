//! The contest is fair: whoever takes part writes the same fourteen objects.
#![allow(clippy::unwrap_used, reason = "content that gives nothing is the test's failure")]

use std::collections::{BTreeMap, BTreeSet};

use graftling::api::{self, convert};
use graftling::domain::bundle::Bundle;
use graftling::domain::bundle::case::Case;
use graftling::domain::guardrails::{self, Fence};
use graftling::domain::manifest::{Admission, AllowedKinds, admit};
use graftling::domain::render::render;
use graftling::render::load_directory;
use serde_json::{Map, Value, json};
use testbed::contest::clock::Clock;
use testbed::contest::content::{self, COUNT, Naming};
use testbed::contest::floor::{self, Mode, Writer};
use testbed::contest::graftling::Graftling;
use testbed::contest::task::{Contender, Namer, Task};
use testbed::subject::merge;
use testbed::{ControlPlane, Position};

use crate::world::LONG;

/// The namespace of the Project, and the ClusterRole of its deployer.
const TEAM: &str = "team";
const ROLE: &str = "graftling-deployer";

/// What graftling adds to every object, by which it finds and proves what is its own.
const LABELS: [&str; 4] = [
    "app.kubernetes.io/managed-by",
    "graftling.dev/environment",
    "graftling.dev/project",
    "graftling.dev/project-namespace",
];

/// What graftling adds to the namespace beside these.
const ANNOTATIONS: [&str; 2] = ["graftling.dev/branch", "graftling.dev/environment-uid"];

/// Graftling's objects by kind and name, and what the others are told to give the same.
fn ours() -> (BTreeMap<String, Value>, Naming) {
    let mut spec = json!({ "gitHostRef": { "name": "git" }, "repository": "shop.git" });
    merge(&mut spec, content::project());
    let body = json!({ "metadata": { "name": "shop", "namespace": TEAM }, "spec": spec });
    let project: api::Project = serde_json::from_value(with_type(body)).unwrap();
    let project = convert::project::project(&project).unwrap();
    let mut case = Case::of_defaults();
    case.branch = "feature/ä#1".parse().unwrap();
    let mut context = case.context();
    context.project = project.key.clone();
    let (environment, role) = (context.environment.clone(), ROLE.parse().unwrap());
    let fence = Fence {
        environment: &environment,
        environment_uid: "0b1c",
        branch: context.branch.as_str(),
        project: &project.key,
        guardrails: &project.guardrails,
        deployer: &project.deployer,
        deployer_role: &role,
    };
    let files = load_directory(&content::bundles().join("e14")).unwrap();
    let bundle = Bundle::parse(files.files()).unwrap();
    let admission = Admission {
        namespace: &environment.namespace(),
        environment: &environment,
        project: &project.key,
        domain: &context.address.domain,
        kinds: &AllowedKinds::default(),
    };
    let admitted = admit(render(&bundle, &context).unwrap().documents, &admission).unwrap();
    let fences = std::iter::once(guardrails::namespace(&fence)).chain(guardrails::guardrails(&fence));
    let naming = Naming {
        namespace: environment.as_str().to_owned(),
        branch: context.branch.as_str().to_owned(),
        revision: context.revision.as_str().to_owned(),
        project_namespace: TEAM.to_owned(),
        deployer_role: ROLE.to_owned(),
    };
    (
        by_name(fences.chain(admitted).map(|manifest| serde_json::Value::clone(&manifest.body))),
        naming,
    )
}

fn with_type(mut body: Value) -> Value {
    body["apiVersion"] = json!("graftling.dev/v1alpha1");
    body["kind"] = json!("Project");
    body
}

fn by_name(bodies: impl IntoIterator<Item = Value>) -> BTreeMap<String, Value> {
    let key = |body: &Value| format!("{} {}", body["kind"], body["metadata"]["name"]).replace('"', "");
    bodies.into_iter().map(|body| (key(&body), body)).collect()
}

/// Takes the entries of these names out of a map of the metadata, and says which there were.
fn take(body: &mut Value, map: &str, names: &[&str]) -> BTreeSet<String> {
    let metadata = body["metadata"].as_object_mut().unwrap();
    let Some(entries) = metadata.get_mut(map).and_then(Value::as_object_mut) else {
        return BTreeSet::new();
    };
    let taken = names.iter().filter(|name| entries.remove(**name).is_some());
    let taken = taken.map(|name| (*name).to_owned()).collect();
    if *entries == Map::new() {
        metadata.remove(map);
    }
    taken
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn graftling_plain_yaml_and_a_chart_give_the_same_fourteen_objects() {
    let (mut ours, naming) = ours();
    assert_eq!(ours.len(), COUNT, "{:?}", ours.keys());
    for (key, body) in &mut ours {
        assert_eq!(take(body, "labels", &LABELS), set(&LABELS), "{key}");
        let annotations = take(body, "annotations", &ANNOTATIONS);
        assert_eq!(annotations.is_empty(), !key.starts_with("Namespace "), "{key}: {annotations:?}");
    }
    let plain = by_name(content::parse(&content::text(&naming).unwrap()).unwrap());
    let chart = content::chart().display().to_string();
    let values = content::helm_arguments(&naming);
    let arguments = ["template", &naming.namespace, &chart].map(str::to_owned).into_iter().chain(values);
    let charted = by_name(content::parse(&testbed::helm::helm(arguments).unwrap()).unwrap());
    for (others, which) in [(plain, "the plain YAML"), (charted, "the chart")] {
        assert_eq!(ours.keys().collect::<Vec<_>>(), others.keys().collect::<Vec<_>>(), "{which}");
        for (key, body) in &ours {
            assert_eq!(*body, others[key], "{key} of {which}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_sees_fourteen_objects_of_the_floor_and_of_graftling_and_a_change_of_one() {
    let plane = ControlPlane::shared().await;
    let client = plane.client().await;
    let namer = Namer::new("contest-floor");
    let writer = Writer::connect(plane.kubeconfig()).await.unwrap();
    let program = env!("CARGO_BIN_EXE_graftling").into();
    let graftling = Graftling::start(plane, program, Vec::new()).await.unwrap();
    let clock = Clock::start(&client, true).await.unwrap();
    for mode in [Mode::Post, Mode::Apply] {
        let environment = namer.environment(&format!("{mode:?}").to_lowercase()).unwrap();
        let name = environment.naming.namespace.clone();
        clock.expect(&name, &environment.objects);
        let requests = floor::requests(Task::Create, mode, &[environment]);
        assert_eq!(requests[0].len(), COUNT);
        writer.write(&requests).await.unwrap();
        clock.complete(&name, LONG).await.unwrap();
    }

    let environments = graftling.enter(&["feature/a".to_owned()]).await.unwrap();
    let name = environments[0].naming.namespace.clone();
    clock.expect(&name, &environments[0].objects);
    let begin = graftling.carry_out(Task::Create, &environments).await.unwrap();
    assert!(clock.complete(&name, LONG).await.unwrap() > begin);

    let next = graftling.advance(&environments).await.unwrap();
    let changed = content::changed(&next[0].objects);
    clock.expect(&name, &changed);
    let position = plane.audit().position();
    graftling.carry_out(Task::Change, &next).await.unwrap();
    clock.complete(&name, LONG).await.unwrap();
    // The status that tells of it is written after it.
    let revision = &next[0].naming.revision;
    graftling.subject().wait_ready("feature/a", revision).await.unwrap();
    let written = written(plane, &graftling, position, &name);
    assert_eq!(written, ["configmaps"], "one object changes");
}

/// The resources that graftling wrote to in a namespace since then, its records aside.
fn written(plane: &ControlPlane, graftling: &Graftling, since: Position, namespace: &str) -> Vec<String> {
    let users = graftling.users();
    let events = plane.audit().since(since).into_iter();
    let of = events.filter(|event| users.contains(&event.user) && event.namespace == namespace && event.is_write());
    let of = of.filter(|event| event.resource != "secrets" || event.name == "database");
    of.map(|event| event.resource).collect()
}
