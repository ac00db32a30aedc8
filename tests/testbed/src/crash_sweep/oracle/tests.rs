//! A judge that overlooks something would prove nothing: each invariant, broken once, in a cell that has nothing else against it.

use std::time::Instant;

use serde_json::json;

use super::*;
use crate::fault_proxy::Request;

const ENVIRONMENT: &str = "shop-a-lwgt6uobat";
const HOME: &str = "home";
const BESIDE: &str = "shop-beside-abcdefghij";
const FOREIGN: &str = "somebody-elses";

fn environment(name: &str) -> Value {
    json!({
        "apiVersion": "graftling.dev/v1alpha1", "kind": "Environment", "metadata": { "namespace": HOME, "name": name, "uid": "e" },
        "status": {
            "namespace": { "name": name },
            "conditions": [{ "type": "Ready", "status": "True", "reason": "Ready", "message": "everything is applied and ready" }],
        },
    })
}

fn settings(namespace: &str, greeting: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "namespace": namespace, "name": "settings", "uid": "c" },
        "data": { "greeting": greeting },
    })
}

fn wrote(verb: &str, resource: &str, namespace: &str, name: &str) -> Exchange {
    let request = Request {
        verb: verb.to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..Request::default()
    };
    Exchange {
        number: 0,
        request,
        status: Some(200),
        upstream: Some(200),
        injected: None,
        error: None,
        started: Instant::now(),
        ended: None,
    }
}

fn deleted(kind: &str, namespace: &str, name: &str, revision: u64) -> Change {
    Change {
        turn: Turn::Deleted,
        kind: kind.to_owned(),
        resource: format!("{}s", kind.to_lowercase()),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: format!("uid-of-{name}"),
        watched: true,
        owner: None,
        revision,
    }
}

/// A cell with an environment that is as it should be.
fn scene() -> Scene {
    let mut names = Names::default();
    names.call(ENVIRONMENT, "ENV");
    Scene {
        names,
        objects: vec![environment(ENVIRONMENT), settings(ENVIRONMENT, "hello")],
        written: vec![
            wrote("apply", "environments", HOME, ENVIRONMENT),
            wrote("apply", "configmaps", ENVIRONMENT, "settings"),
        ],
        environment: Some(ENVIRONMENT.to_owned()),
        ..Scene::default()
    }
}

/// A cell whose environment is gone, in the right order.
fn torn_down() -> Scene {
    Scene {
        objects: Vec::new(),
        changes: vec![
            deleted("Pod", ENVIRONMENT, "web-1", 10),
            deleted("ServiceAccount", ENVIRONMENT, "web", 11),
            deleted("Environment", HOME, ENVIRONMENT, 12),
        ],
        written: vec![
            wrote("delete", "environments", HOME, ENVIRONMENT),
            wrote("delete", "namespaces", ENVIRONMENT, ENVIRONMENT),
        ],
        ..scene()
    }
}

fn others(greeting: &str) -> State {
    state::exact(&[settings(FOREIGN, greeting)])
}

/// All that is held against a cell but what was done to others.
fn found(scene: &Scene, scenario: Scenario) -> Vec<String> {
    let mut found = scene.two_in_one_namespace();
    found.extend(scene.removed_without_proof(scenario));
    found.extend(scene.wrong_order());
    found.extend(scene.outside(HOME));
    found.extend(scene.secrets(&["environment changed phase".to_owned()]));
    found.extend(scene.untold_failures());
    if scenario == Scenario::Teardown {
        found.extend(scene.residue(&[settings(FOREIGN, "theirs")]));
    }
    found
}

fn touched(scene: &Scene, now: &State) -> Vec<String> {
    scene.touched([BESIDE, FOREIGN], &others("theirs"), now)
}

#[test]
fn nothing_is_held_against_what_is_as_it_should_be() {
    assert_eq!(found(&scene(), Scenario::Update), [""; 0]);
    assert_eq!(found(&torn_down(), Scenario::Teardown), [""; 0]);
    assert_eq!(touched(&scene(), &others("theirs")), [""; 0]);
}

#[test]
fn invariant_s1_s3_whoever_touches_what_is_somebody_elses_is_found_out() {
    let changed = touched(&scene(), &others("ours"));
    assert_eq!(changed.len(), 1);
    assert!(
        changed[0].starts_with("S1: ") && changed[0].contains("expected \"theirs\", found \"ours\""),
        "{changed:?}"
    );
    let gone = touched(&scene(), &State::new());
    assert!(gone[0].starts_with("S1: ") && gone[0].ends_with("missing"), "{gone:?}");
    for (namespace, name) in [(BESIDE, "settings"), (HOME, BESIDE), (FOREIGN, "settings")] {
        let mut scene = scene();
        scene.written.push(wrote("apply", "configmaps", namespace, name));
        let tried = touched(&scene, &others("theirs"));
        assert!(tried.len() == 1 && tried[0].starts_with("S1: wrote apply configmaps"), "{tried:?}");
    }
}

#[test]
fn invariant_s2_two_environments_in_one_namespace_are_found_out() {
    let mut scene = scene();
    let mut second = environment("shop-b-zzzzzzzzzz");
    second["status"]["namespace"]["name"] = json!(ENVIRONMENT);
    scene.objects.push(second);
    assert_eq!(found(&scene, Scenario::Create), ["S2: 2 environments in ENV"]);
}

#[test]
fn invariant_s4_a_deletion_while_the_branch_is_there_is_found_out() {
    for resource in ["environments", "namespaces"] {
        let mut scene = scene();
        scene.written.push(wrote("delete", resource, ENVIRONMENT, ENVIRONMENT));
        let line = format!("S4: delete {resource}/ ENV ENV while the branch is there");
        assert_eq!(found(&scene, Scenario::Rollback), [line]);
    }
}

#[test]
fn invariant_s5_an_account_that_goes_before_a_pod_is_found_out() {
    let mut scene = torn_down();
    scene.changes[0].revision = 12;
    scene.changes[2].revision = 13;
    assert_eq!(found(&scene, Scenario::Teardown), ["S5: ServiceAccount web went before a pod"]);
}

#[test]
fn invariant_s7_a_write_outside_of_the_environment_is_found_out() {
    let mut scene = scene();
    scene.written.push(wrote("apply", "clusterroles", "", "admin"));
    assert_eq!(found(&scene, Scenario::Create), ["S7: apply clusterroles/  admin"]);
}

#[test]
fn invariant_s8_a_secret_in_a_log_a_status_or_an_event_is_found_out() {
    for secret in [
        SECRET.to_owned(),
        STANDARD.encode(SECRET),
        crate::subject::WEBHOOK_SECRET.to_owned(),
    ] {
        let logged = scene().secrets(&[format!("password={secret}")]);
        assert_eq!(logged, ["S8: a line of the log tells a Secret"]);
        let mut told = scene();
        told.objects[0]["status"]["message"] = json!(format!("{secret} is wrong"));
        told.objects
            .push(json!({ "kind": "Event", "metadata": { "namespace": HOME, "name": "x" }, "note": secret }));
        told.objects
            .push(json!({ "kind": "Secret", "metadata": { "namespace": HOME, "name": "x" }, "data": secret }));
        let told = found(&told, Scenario::Create);
        assert_eq!(told.len(), 2, "the status and the Event, and not the Secret itself: {told:?}");
        assert!(told.iter().all(|line| line.starts_with("S8: ")), "{told:?}");
    }
}

#[test]
fn invariant_s9_what_came_or_went_once_too_often_is_found_out() {
    let digest = |times: u32| Evidence {
        state: State::new(),
        history: Digest::from([("added ConfigMap settings".to_owned(), times)]),
    };
    assert_eq!(differences(&digest(1), &digest(1)), [""; 0]);
    let twice = ["S9: added ConfigMap settings: 1 times without faults, 2 times here"];
    assert_eq!(differences(&digest(1), &digest(2)), twice);
    let never = ["S9: added ConfigMap settings: 1 times without faults, 0 times here"];
    assert_eq!(differences(&digest(1), &Evidence::default()), never);
    let surprise = ["S9: added ConfigMap settings: 0 times without faults, 1 times here"];
    assert_eq!(differences(&Evidence::default(), &digest(1)), surprise);
}

#[test]
fn invariant_l1_an_end_that_is_not_the_one_without_faults_is_found_out() {
    let evidence = |objects: &[Value]| Evidence {
        state: state::canonical(objects, &scene().names),
        history: Digest::new(),
    };
    let expected = evidence(&[settings(ENVIRONMENT, "hello")]);
    assert_eq!(differences(&expected, &evidence(&[settings(ENVIRONMENT, "hello")])), [""; 0]);
    let other = differences(&expected, &evidence(&[settings(ENVIRONMENT, "bye")]));
    assert!(other[0].starts_with("end state: ENV v1 ConfigMap settings"), "{other:?}");
    let nothing = differences(&expected, &Evidence::default());
    assert_eq!(nothing, ["end state: ENV v1 ConfigMap settings: missing"]);
    let more = differences(&Evidence::default(), &expected);
    assert_eq!(more, ["end state: ENV v1 ConfigMap settings: should not be there"]);
}

#[test]
fn invariant_l2_what_a_teardown_leaves_anywhere_is_found_out() {
    let role = |metadata: Value| json!({ "apiVersion": "v1", "kind": "ClusterRole", "metadata": metadata });
    let left = |object: Value| torn_down().residue(&[object]);
    let line = ["L2:  v1 ClusterRole x is left"];
    assert_eq!(
        left(role(json!({ "name": "x", "labels": { "graftling.dev/environment": ENVIRONMENT } }))),
        line
    );
    assert_eq!(
        left(role(json!({ "name": "x", "ownerReferences": [{ "uid": "uid-of-web" }] }))),
        line
    );
    let receipt = json!({ "name": format!("{ENVIRONMENT}-receipt"), "labels": { "graftling.dev/receipt": "true" } });
    assert_eq!(left(role(receipt)), [""; 0], "its receipt stays");
    let mut late = torn_down();
    late.changes.push(deleted("ConfigMap", ENVIRONMENT, "settings", 13));
    assert_eq!(
        found(&late, Scenario::Teardown),
        ["L2: ConfigMap settings went after its Environment"]
    );
    let mut unseen = torn_down();
    unseen.environment = None;
    unseen.changes.clear();
    unseen.written.clear();
    assert_eq!(found(&unseen, Scenario::Teardown), ["L2: nobody saw the environment"]);
}

#[test]
fn invariant_l3_an_environment_that_says_nothing_is_found_out() {
    for field in ["reason", "message"] {
        let mut scene = scene();
        scene.objects[0]["status"]["conditions"][0][field] = json!("");
        assert_eq!(
            found(&scene, Scenario::Update),
            ["L3: home graftling.dev/v1alpha1 Environment ENV says nothing"]
        );
    }
    let mut scene = scene();
    scene.objects[0]["status"] = json!({});
    assert_eq!(found(&scene, Scenario::Update).len(), 1);
}
