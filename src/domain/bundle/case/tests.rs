//! Reading cases, and comparing objects with them.
#![allow(clippy::unwrap_used, reason = "a case that cannot be read is the test's failure")]

use serde_json::json;

use super::*;
use crate::domain::manifest::{Admission, AllowedKinds, Manifest, admit};
use crate::domain::render::Document;

fn problems(text: &str) -> Vec<String> {
    match parse("tests/a.yaml", text) {
        Ok(cases) => vec![format!("accepted: {cases:?}")],
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn objects() -> Vec<Manifest> {
    let context = parse("tests/a.yaml", "cases: [{name: a, expect: {count: 1}}]").unwrap()[0].context();
    let documents = [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x.y": "1"}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [
            {"name": "http", "port": 80}, {"name": "admin", "port": 90},
        ]}}),
    ];
    let documents = documents.map(|value| Document {
        file: "templates/a.yaml".into(),
        line: 1,
        value,
    });
    let admission = Admission {
        namespace: &context.environment.namespace(),
        environment: &context.environment,
        project: &context.project,
        domain: &context.address.domain,
        kinds: &AllowedKinds::default(),
    };
    admit(documents.to_vec(), &admission).unwrap()
}

fn compared(expect: &str) -> Vec<String> {
    let cases = parse("tests/a.yaml", &format!("cases: [{{name: a, expect: {expect}}}]")).unwrap();
    mismatches(&cases[0].expect, &objects())
}

#[test]
fn a_case_is_an_environment_as_the_server_would_render_it() {
    let text = "\
cases:
  - name: everything
    branch: feature/login
    revision: fedcba9876543210fedcba9876543210fedcba98
    pullRequest: { number: 7, title: Login, author: ann, labels: [b, a] }
    project: { name: shop, namespace: team, domain: dev.example.org, repository: team/shop }
    values: { replicas: 2.0 }
    allowKinds: [example.com/Widget]
    isFirstDeploy: false
    expect: { golden: golden/everything.yaml }
";
    let context = parse("tests/a.yaml", text).unwrap()[0].context();
    assert_eq!((context.branch.as_str(), context.is_first_deploy), ("feature/login", false));
    assert_eq!(context.values[0].values["replicas"], 2);
    assert!(context.environment.as_str().starts_with("shop-feature-login-"), "{context:?}");
    let pull_request = context.pull_request.unwrap();
    assert_eq!((pull_request.number, pull_request.base.as_str()), (7, "main"));
    assert_eq!(pull_request.labels, ["a", "b"]);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_line() {
    assert_eq!(
        problems(
            "\
cases:
  - name: a
    expect: {}
  - name: a
    expect: { error: x, count: 1 }
  - name: b
    allowKinds: [\"\"]
    expect: { golden: ../values.yaml }
  - name: c
    expect: { objects: [{ kind: Job, name: x, absent: true, without: [spec] }], golden: here.yaml }
"
        ),
        [
            "tests/a.yaml:2: case \"a\": expect: write golden, objects, count or error, or nothing is tested",
            "tests/a.yaml:4: case \"a\": has the name of another case: rename one",
            "tests/a.yaml:4: case \"a\": expect: an error gives no objects: write error alone",
            "tests/a.yaml:6: case \"b\": allowKinds: kind \"\" must have the form Kind or group/Kind, without a version",
            "tests/a.yaml:6: case \"b\": expect.golden: \"../values.yaml\" should be a file in a folder below tests/, such as \
             golden/default.yaml",
            "tests/a.yaml:9: case \"c\": expect.golden: \"here.yaml\" should be a file in a folder below tests/, such as \
             golden/default.yaml",
            "tests/a.yaml:9: case \"c\": expect.objects: Job x cannot be absent and contain something",
        ]
    );
    assert!(
        problems("cases: [{name: a, brnach: main, expect: {count: 1}}]")[0]
            .starts_with("tests/a.yaml:1: there is no field \"brnach\" in a case (did")
    );
    assert!(problems("cases: [{name: a, branch: 'a b', expect: {count: 1}}]")[0].contains("branch"));
    assert_eq!(problems("cases: []"), ["tests/a.yaml: has 0 cases: write 1 to 100"]);
}

#[test]
fn what_is_expected_and_there_passes() {
    for expect in [
        "{count: 2}",
        "{objects: [{kind: ConfigMap, name: a, contains: {data: {x.y: '1'}}, without: ['data.x\\.z', spec]}]}",
        "{objects: [{kind: Service, name: a, apiVersion: v1, contains: {spec: {ports: [{port: 90}]}}, without: ['spec.ports[2]']}]}",
        "{objects: [{kind: Job, name: a, absent: true}]}",
    ] {
        assert_eq!(compared(expect), [""; 0], "{expect}");
    }
}

#[test]
fn each_difference_is_told_with_object_and_field() {
    for (expect, told) in [
        ("{count: 3}", "expected 3 objects, got 2: v1 ConfigMap a, v1 Service a"),
        ("{objects: [{kind: Job, name: a}]}", "there is no Job a"),
        ("{objects: [{kind: Service, name: a, apiVersion: v2}]}", "there is no Service a"),
        (
            "{objects: [{kind: Service, name: a, absent: true}]}",
            "Service a should not be there",
        ),
        (
            "{objects: [{kind: ConfigMap, name: a, contains: {data: {x.y: '2'}}}]}",
            "ConfigMap a: data.x.y: expected \"2\", got \"1\"",
        ),
        (
            "{objects: [{kind: ConfigMap, name: a, contains: {data: {z: '2'}}}]}",
            "ConfigMap a: data.z is missing, expected \"2\"",
        ),
        (
            "{objects: [{kind: Service, name: a, contains: {spec: {ports: [{port: 90}, {port: 80}]}}}]}",
            "Service a: spec.ports: no entry (after those before it) is {\"port\":80}",
        ),
        (
            "{objects: [{kind: Service, name: a, without: ['spec.ports[1].port']}]}",
            "Service a: spec.ports[1].port should not be there",
        ),
        (
            "{objects: [{kind: ConfigMap, name: a, without: ['data.x\\.y']}]}",
            "ConfigMap a: data.x\\.y should not be there",
        ),
    ] {
        assert_eq!(compared(expect), [told], "{expect}");
    }
}

#[test]
fn every_field_that_is_none_is_reported_at_once() {
    let text = "cases:\n  - nam: x\n    expect: {}\n  - name: b\n    pullRequest: {numbr: 1}\n    revision: 12\n    expect: {counts: 1}\n";
    let found = parse("tests/a.yaml", text).unwrap_err();
    let found: Vec<String> = found.iter().map(|problem| format!("{problem:#}")).collect();
    assert_eq!(found.len(), 5, "{found:#?}");
    assert_eq!(found[0], "tests/a.yaml:2:5: name: is missing: a case needs it");
    assert_eq!(
        found[1],
        "tests/a.yaml:2:5: there is no field \"nam\" in a case (did you mean \"name\"?)"
    );
    assert!(
        found[2].starts_with("tests/a.yaml:7:13: expect: unknown field `counts`"),
        "{found:#?}"
    );
    assert!(
        found[3].starts_with("tests/a.yaml:5:18: pullRequest: unknown field `numbr`"),
        "{found:#?}"
    );
    assert!(found[4].starts_with("tests/a.yaml:6:15: revision: "), "{found:#?}");
}
