//! What stages are told, and what becomes of it.
#![allow(clippy::unwrap_used, reason = "settings that cannot be read are the test's failure")]

mod objects;
mod outputs;
mod resource;

use std::time::Duration;

use serde_json::{Value, json};

use super::container::{EnvFrom, Variable};
use super::*;

/// What is wrong with the settings of a kind.
fn problems(kind: &str, settings: &Value) -> Vec<String> {
    let action = action(kind, settings.clone());
    read(&action).err().unwrap_or_default()
}

fn action(kind: &str, settings: Value) -> Action {
    match kind {
        "job" => Action::Job(settings),
        "steps" => Action::Steps(settings),
        "approve" => Action::Approve(settings),
        "resource" => Action::Resource(settings),
        other => panic!("{other}"),
    }
}

#[test]
fn a_whole_job_is_read() {
    let settings = json!({
        "image": "shop", "command": "migrate", "args": ["--to", 12], "workingDir": "/app", "once": true,
        "env": { "LEVEL": 3, "FAST": true, "PASSWORD": { "secret": "db", "key": "password" }, "CITY": { "configMap": "c", "key": "k" } },
        "envFrom": [{ "secret": "db" }, { "configMap": "settings" }],
        "resources": { "requests": { "cpu": 0.5, "memory": "64Mi" }, "limits": { "memory": "1e9" } },
        "serviceAccount": "migrator", "imagePullSecrets": "registry", "securityContext": { "runAsUser": 70 }, "outputs": ["VERSION"],
    });
    let job = job::read(&settings).unwrap();
    assert_eq!(
        (job.container.command, job.container.args),
        (vec!["migrate".to_owned()], vec!["--to".to_owned(), "12".to_owned()])
    );
    assert_eq!(job.container.env["LEVEL"], Variable::Text("3".to_owned()));
    assert_eq!(job.container.env["FAST"], Variable::Text("true".to_owned()));
    let password = Variable::Secret {
        name: "db".to_owned(),
        key: "password".to_owned(),
    };
    assert_eq!(job.container.env["PASSWORD"], password);
    assert_eq!(
        job.container.env_from,
        [EnvFrom::Secret("db".to_owned()), EnvFrom::ConfigMap("settings".to_owned())]
    );
    assert_eq!(
        job.container.resources.unwrap(),
        json!({ "requests": { "cpu": "0.5", "memory": "64Mi" }, "limits": { "memory": "1e9" } })
    );
    assert_eq!(job.workload.service_account.as_deref(), Some("migrator"));
    assert_eq!(job.workload.image_pull_secrets, ["registry"]);
    assert!(job.once && job.container.outputs == ["VERSION"]);
}

#[test]
fn every_problem_of_a_job_is_named_with_its_field() {
    let settings = json!({
        "imgae": "x", "command": { "a": 1 }, "args": ["a", ["b"]], "workingDir": "app", "once": "maybe",
        "env": { "1": "a", "GRAFTLING_X": "a", "B": [], "C": { "secret": "graftling-run-1", "key": "k" }, "D": { "secret": "a" } },
        "envFrom": [{ "secret": "a", "configMap": "b" }, {}, { "secrt": "x" }],
        "resources": { "limits": { "memory": "much" }, "cpu": 1 },
        "serviceAccount": "graftling-deployer", "securityContext": { "runAsUser": "root", "sudo": true }, "outputs": ["A-B", "C", "C"],
    });
    assert_eq!(
        problems("job", &settings),
        [
            "image: is missing: write the image that is run",
            "command: should be a list of texts",
            "args[1]: should be text",
            "env.1: the name of a variable has letters, digits and _, and begins with no digit",
            "env.B: should be text, or {secret: NAME, key: KEY}",
            "env.C.secret: names that begin with \"graftling-\" are kept for the system: use an object of the bundle",
            "env.D.key: is missing: write which entry is meant",
            "env.GRAFTLING_X: names that begin with GRAFTLING_ are set by graftling: choose another",
            "envFrom[0].configMap: stands beside secret: write one of the two",
            "envFrom[1].secret: is missing: write secret or configMap, with the name of one",
            "envFrom[2].secret: is missing: write secret or configMap, with the name of one",
            "envFrom[2].secrt: there is no such field (did you mean \"secret\"?)",
            "resources.limits.memory: should be a quantity: 100m, 0.5, 64Mi",
            "resources.cpu: there is no such field: there are requests, limits",
            "workingDir: should be an absolute path: /app",
            "outputs[0]: \"A-B\" is no name of an output: letters, digits and _, no digit first, at most 63 characters",
            "outputs[2]: \"C\" is there twice: remove one",
            "securityContext.runAsUser: should be a number",
            "securityContext.sudo: there is no such field: there are allowPrivilegeEscalation, capabilities, fsGroup, privileged, \
             readOnlyRootFilesystem, runAsGroup, runAsNonRoot, runAsUser, seccompProfile, seLinuxOptions, supplementalGroups",
            "serviceAccount: names that begin with \"graftling-\" are kept for the system: use a ServiceAccount of the bundle",
            "once: should be true or false",
            "imgae: there is no such field (did you mean \"image\"?)",
        ]
    );
}

#[test]
fn a_text_that_is_still_a_template_may_become_anything() {
    let settings = json!({
        "image": "{{values.image}}", "workingDir": "{{x}}", "once": "{{values.once}}", "serviceAccount": "{{x}}",
        "env": { "A": { "secret": "{{x}}", "key": "{{y}}" } }, "resources": { "limits": { "memory": "{{x}}" } },
        "securityContext": { "runAsUser": "{{x}}", "privileged": "{{x}}" },
    });
    assert_eq!(problems("job", &settings), [""; 0]);
    let steps = json!({ "checkout": "{{x}}", "workspace": "{{x}}", "run": [{ "image": "{{x}}" }] });
    assert_eq!(problems("steps", &steps), [""; 0]);
    let approve = json!({ "message": "{{x}}", "groups": ["{{x}}"], "remindAfter": "{{x}}", "expiresAfter": "{{x}}" });
    assert_eq!(problems("approve", &approve), [""; 0]);
}

#[test]
fn quantities_are_known_from_other_texts() {
    for text in ["1", "0.5", "100m", "64Mi", "1e9", "2E6", "3E", "10Gi"] {
        assert!(container::is_quantity(text), "{text}");
    }
    for text in ["", "Mi", "1 Mi", "-1", "1mi", "much", "1e", ".5", "1.", "1e3Mi"] {
        assert!(!container::is_quantity(text), "{text}");
    }
}

#[test]
fn steps_are_a_list_or_a_mapping_with_one() {
    let list = json!([{ "image": "a" }, { "name": "build", "image": "b", "outputs": ["IMAGE"] }]);
    let steps = steps::read(&list).unwrap();
    let names: Vec<&str> = steps.run.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(
        (names, steps.checkout, steps.workspace.as_str()),
        (vec!["step-1", "build"], None, "1Gi")
    );
    assert_eq!(steps.outputs().collect::<Vec<_>>(), ["IMAGE"]);
    let mapping = json!({ "checkout": false, "workspace": "5Gi", "once": true, "run": list });
    let steps = steps::read(&mapping).unwrap();
    assert_eq!(
        (steps.run.len(), steps.checkout, steps.workspace.as_str(), steps.once),
        (2, Some(false), "5Gi", true)
    );
}

#[test]
fn every_problem_of_steps_is_named_with_its_step() {
    let settings = json!([
        { "name": "a", "image": "x", "outputs": ["A"] },
        { "name": "a", "image": "x", "outputs": ["A"] },
        { "name": "checkout", "image": "x", "serviceAccount": "y" },
        { "name": "B", "args": [] },
        7,
    ]);
    assert_eq!(
        problems("steps", &settings),
        [
            "[1].name: there is another step \"a\": rename one",
            "[1].outputs: \"A\" is an output of another step, too: rename one",
            "[2].name: is what takes in the files of the commit: choose another",
            "[2].serviceAccount: there is no such field: there are name, image, command, args, workingDir, env, envFrom, resources, outputs",
            "[3].image: is missing: write the image that is run",
            "[3].name: \"B\" must consist of lower-case letters, digits and '-'",
            "[4]: should be a mapping",
        ]
    );
    assert_eq!(problems("steps", &json!([])), ["run: should be a list of 1 to 16 steps"]);
    assert_eq!(
        problems("steps", &json!({ "run": [{ "image": "" }], "workspace": "big", "steps": [] })),
        [
            "workspace: should be a quantity: 500Mi, 2Gi",
            "run[0].image: is empty: write the image that is run",
            "steps: there is no such field: there are run, checkout, workspace, serviceAccount, imagePullSecrets, securityContext, once",
        ]
    );
}

#[test]
fn an_approval_needs_to_be_told_nothing() {
    assert_eq!(approve::read(&Value::Null).unwrap(), approve::Approve::default());
    let settings = json!({ "message": "Look at it", "groups": "testers", "remindAfter": "4h", "expiresAfter": "7d" });
    let read = approve::read(&settings).unwrap();
    assert_eq!(
        (read.groups, read.remind_after),
        (vec!["testers".to_owned()], Some(Duration::from_secs(14_400)))
    );
    assert_eq!(
        problems(
            "approve",
            &json!({ "message": "x".repeat(501), "groups": [""], "remindAfter": "7d", "expiresAfter": "1d", "by": "me" })
        ),
        [
            "message: should have at most 500 characters",
            "groups[0]: is empty: write the name of a group, as the cluster knows it",
            "remindAfter: should be shorter than expiresAfter, or nobody is ever reminded",
            "by: there is no such field: there are message, groups, remindAfter, expiresAfter",
        ]
    );
    assert_eq!(
        problems("approve", &json!({ "expiresAfter": "91d" })),
        ["expiresAfter: should be a whole number with s, m, h or d behind it, at most 90d: 30m, 2h"]
    );
}
