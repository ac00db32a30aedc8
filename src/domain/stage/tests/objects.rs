//! The objects of `job` and `steps` stages: names, variables, security, and the gate that they pass.

use proptest::prelude::*;

use super::*;
use crate::domain::manifest::{Admission, AllowedKinds, Manifest, Refusal};
use crate::domain::name::{DomainName, EnvironmentName, Namespace, ProjectKey};
use crate::domain::run::RunNumber;
use crate::domain::stage::objects::{RUN_LABEL, STAGE_LABEL, of_job, of_steps};
use crate::domain::stage::outputs::Outputs;

/// An environment that owns what facts borrow.
struct Scene {
    environment: EnvironmentName,
    namespace: Namespace,
    project: ProjectKey,
    domain: DomainName,
    kinds: AllowedKinds,
    outputs: Outputs,
}

impl Scene {
    fn new() -> Self {
        let environment: EnvironmentName = "shop-login-abcdefghij".parse().unwrap();
        Self {
            namespace: environment.namespace(),
            environment,
            project: "team/shop".parse().unwrap(),
            domain: "preview.example.com".parse().unwrap(),
            kinds: AllowedKinds::default(),
            outputs: [("build-it".to_owned(), [("Image".to_owned(), "shop:$(X)".to_owned())].into())].into(),
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut JobFacts<'_>), work: impl FnOnce(&JobFacts<'_>) -> T) -> T {
        let admission = Admission {
            namespace: &self.namespace,
            environment: &self.environment,
            project: &self.project,
            domain: &self.domain,
            kinds: &self.kinds,
        };
        let mut facts = JobFacts {
            stage: "migrate",
            line: 7,
            run: RunNumber(3),
            attempt: 1,
            timeout: Duration::from_secs(900),
            is_teardown: false,
            branch: "feature/$(HOME)",
            revision: "0123456789abcdef0123456789abcdef01234567",
            pull_request: Some(12),
            url: "https://shop.example.com",
            host: "shop.example.com",
            is_first_deploy: true,
            outputs: &self.outputs,
            pod_security: "restricted",
            tools_image: "tools:1",
            admission: &admission,
        };
        change(&mut facts);
        work(&facts)
    }
}

fn job(settings: Value, change: impl FnOnce(&mut JobFacts<'_>)) -> Result<Vec<Manifest>, Vec<Refusal>> {
    let job = job::read(&settings).unwrap();
    Scene::new().with(change, |facts| of_job(&job, facts))
}

fn steps(settings: Value, change: impl FnOnce(&mut JobFacts<'_>)) -> Value {
    let steps = steps::read(&settings).unwrap();
    let manifests = Scene::new().with(change, |facts| of_steps(&steps, facts)).unwrap();
    manifests.last().unwrap().body["spec"]["template"]["spec"].clone()
}

#[test]
fn a_job_brings_an_account_without_rights_unless_it_names_one() {
    let manifests = job(json!({ "image": "shop" }), |_| {}).unwrap();
    let kinds: Vec<&str> = manifests.iter().map(|manifest| manifest.key.kind.as_str()).collect();
    assert_eq!(kinds, ["ServiceAccount", "Job"], "the account comes first");
    assert_eq!(manifests[0].body["automountServiceAccountToken"], false);
    let spec = &manifests[1].body["spec"]["template"]["spec"];
    assert_eq!(
        (&spec["serviceAccountName"], &spec["automountServiceAccountToken"]),
        (&json!("migrate-3-1"), &json!(false))
    );
    let own = job(json!({ "image": "shop", "serviceAccount": "migrator" }), |_| {}).unwrap();
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].body["spec"]["template"]["spec"]["serviceAccountName"], "migrator");
}

#[test]
fn objects_bear_the_labels_of_their_environment_stage_and_run() {
    let manifests = job(json!({ "image": "shop" }), |_| {}).unwrap();
    for manifest in &manifests {
        let labels = &manifest.body["metadata"]["labels"];
        assert_eq!((&labels[STAGE_LABEL], &labels[RUN_LABEL]), (&json!("migrate"), &json!("3")));
        assert_eq!(labels["graftling.dev/environment"], "shop-login-abcdefghij");
        assert_eq!(manifest.key.namespace.as_deref(), Some("shop-login-abcdefghij"));
        assert_eq!(manifest.source.to_string(), "pipeline.yaml:7");
        let again = Manifest::new(
            manifest.key.clone(),
            serde_json::Value::clone(&manifest.body),
            manifest.source.clone(),
        );
        assert_eq!(manifest.digest, again.digest, "the digest is that of what is applied");
    }
    let template = &manifests[1].body["spec"]["template"]["metadata"]["labels"];
    assert_eq!(template, &json!({ (STAGE_LABEL): "migrate", (RUN_LABEL): "3" }));
}

#[test]
fn feature_s2_a_container_is_told_the_facts_before_its_own_variables() {
    let manifests = job(json!({ "image": "shop", "env": { "A": "$(GRAFTLING_URL)/a" } }), |_| {}).unwrap();
    let env = manifests[1]
        .body
        .pointer("/spec/template/spec/containers/0/env")
        .unwrap()
        .as_array()
        .unwrap();
    let value = |name: &str| {
        env.iter()
            .find(|variable| variable["name"] == name)
            .map(|variable| variable["value"].clone())
    };
    for (name, wanted) in [
        ("GRAFTLING_ENVIRONMENT", "shop-login-abcdefghij"),
        ("GRAFTLING_NAMESPACE", "shop-login-abcdefghij"),
        ("GRAFTLING_PROJECT", "shop"),
        ("GRAFTLING_BRANCH", "feature/$$(HOME)"),
        ("GRAFTLING_REVISION", "0123456789abcdef0123456789abcdef01234567"),
        ("GRAFTLING_PULL_REQUEST", "12"),
        ("GRAFTLING_URL", "https://shop.example.com"),
        ("GRAFTLING_HOST", "shop.example.com"),
        ("GRAFTLING_RUN", "3"),
        ("GRAFTLING_STAGE", "migrate"),
        ("GRAFTLING_TRY", "1"),
        ("GRAFTLING_FIRST_DEPLOY", "true"),
        ("GRAFTLING_TEARDOWN", "false"),
        ("GRAFTLING_OUTPUTS", "/dev/termination-log"),
        ("GRAFTLING_OUTPUT_BUILD_IT_IMAGE", "shop:$$(X)"),
        ("A", "$(GRAFTLING_URL)/a"),
    ] {
        assert_eq!(value(name), Some(json!(wanted)), "{name}");
    }
    assert_eq!(env.last().unwrap()["name"], "A");
    let later = job(json!({ "image": "shop" }), |facts| facts.is_first_deploy = false).unwrap();
    let text = later[1].body.to_string();
    assert!(text.contains(r#"{"name":"GRAFTLING_FIRST_DEPLOY","value":"false"}"#), "{text}");
}

#[test]
fn names_say_stage_run_and_try_and_never_meet() {
    let name = |stage: &str, run: u64, attempt: u32| {
        Scene::new().with(
            |_| {},
            |facts| {
                JobFacts {
                    stage,
                    run: RunNumber(run),
                    attempt,
                    ..*facts
                }
                .name()
            },
        )
    };
    assert_eq!(name("migrate", 3, 2), "migrate-3-2");
    let (long, other) = ("a".repeat(63), format!("{}b", "a".repeat(62)));
    let (first, second) = (name(&long, u64::MAX, 11), name(&other, u64::MAX, 11));
    assert_ne!(first, second);
    assert!(first.len() <= 63 && second.ends_with("-18446744073709551615-11"), "{second}");
    let dashed = format!("{}-b", "a-".repeat(30));
    assert!(crate::domain::name::check_label(&name(&dashed, 1, 1)).is_ok());
}

#[test]
fn the_level_of_the_namespace_decides_over_what_a_pod_may() {
    let spec = |level: &'static str, security: Value| {
        let settings = json!({ "image": "shop", "securityContext": security });
        job(settings, |facts| facts.pod_security = level).map(|manifests| manifests[1].body["spec"]["template"]["spec"].clone())
    };
    let restricted = spec(
        "restricted",
        json!({ "runAsUser": 70, "capabilities": { "add": ["NET_BIND_SERVICE"] } }),
    )
    .unwrap();
    assert_eq!(
        restricted["securityContext"],
        json!({ "runAsNonRoot": true, "runAsUser": 70, "seccompProfile": { "type": "RuntimeDefault" } })
    );
    assert_eq!(
        restricted["containers"][0]["securityContext"],
        json!({ "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"], "add": ["NET_BIND_SERVICE"] } })
    );
    let baseline = spec("baseline", json!({ "runAsUser": 0 })).unwrap();
    assert_eq!(
        baseline["securityContext"],
        json!({ "runAsUser": 0, "seccompProfile": { "type": "RuntimeDefault" } })
    );
    let privileged = spec("privileged", json!({ "privileged": true })).unwrap();
    assert_eq!(privileged["containers"][0]["securityContext"], json!({ "privileged": true }));
    for (level, security, field) in [
        ("restricted", json!({ "runAsUser": 0 }), "runAsUser"),
        ("restricted", json!({ "runAsNonRoot": false }), "runAsNonRoot"),
        (
            "restricted",
            json!({ "allowPrivilegeEscalation": true }),
            "allowPrivilegeEscalation",
        ),
        ("restricted", json!({ "capabilities": { "add": ["CHOWN"] } }), "capabilities"),
        ("restricted", json!({ "capabilities": { "drop": [] } }), "capabilities"),
        (
            "restricted",
            json!({ "seccompProfile": { "type": "Unconfined" } }),
            "seccompProfile",
        ),
        ("baseline", json!({ "privileged": true }), "privileged"),
        ("baseline", json!({ "capabilities": { "add": ["SYS_ADMIN"] } }), "capabilities"),
    ] {
        let refusals = spec(level, security).unwrap_err();
        assert_eq!(refusals.len(), 1, "{refusals:?}");
        assert_eq!(refusals[0].field, format!("securityContext.{field}"));
        assert!(
            refusals[0]
                .to_string()
                .starts_with("pipeline.yaml:7: stage migrate: securityContext."),
            "{}",
            refusals[0]
        );
    }
}

#[test]
fn steps_run_one_after_the_other_in_one_workspace() {
    let list = json!([{ "name": "build", "image": "a" }, { "name": "test", "image": "b", "workingDir": "/src" }]);
    let spec = steps(list.clone(), |_| {});
    let names = |field: &str| -> Vec<String> {
        spec[field]
            .as_array()
            .into_iter()
            .flatten()
            .map(|container| container["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        (names("initContainers"), names("containers")),
        (vec!["checkout".to_owned(), "build".to_owned()], vec!["test".to_owned()])
    );
    assert_eq!(spec["initContainers"][0]["image"], "tools:1");
    let folders = (&spec["initContainers"][1]["workingDir"], &spec["containers"][0]["workingDir"]);
    assert_eq!(folders, (&json!("/workspace"), &json!("/src")));
    assert_eq!(
        spec["containers"][0]["volumeMounts"],
        json!([{ "name": "workspace", "mountPath": "/workspace" }])
    );
    let user = &spec["securityContext"];
    assert_eq!(
        (&user["runAsUser"], &user["fsGroup"]),
        (&json!(1000), &json!(1000)),
        "all share their files"
    );

    let without = steps(json!({ "checkout": false, "workspace": "5Gi", "run": list }), |_| {});
    assert_eq!(
        without["volumes"],
        json!([{ "name": "workspace", "emptyDir": { "sizeLimit": "5Gi" } }])
    );
    assert_eq!(without["initContainers"].as_array().unwrap().len(), 1);
    let teardown = steps(json!([{ "image": "a" }]), |facts| facts.is_teardown = true);
    assert!(teardown["initContainers"].is_null(), "the branch may be gone");
}

#[test]
fn threat_t15_a_stage_gains_nothing_that_templates_may_not_have() {
    let refusals = job(json!({ "image": "shop" }), |facts| facts.stage = "graftling-x").unwrap_err();
    assert!(refusals.iter().any(|refusal| refusal.field == "metadata.name"), "{refusals:?}");
    // Whatever the image is called, it stays the image.
    let manifests = job(json!({ "image": "a\",\"hostNetwork\":true" }), |_| {}).unwrap();
    assert!(manifests[1].body.pointer("/spec/template/spec/hostNetwork").is_none());
}

proptest! {
    #[test]
    fn any_branch_and_output_reach_the_container_as_they_are(branch in ".*", output in ".*") {
        let mut scene = Scene::new();
        scene.outputs = [("a".to_owned(), [("B".to_owned(), output.clone())].into())].into();
        let read = job::read(&json!({ "image": "shop" })).unwrap();
        let manifests = scene.with(|_| {}, |facts| of_job(&read, &JobFacts { branch: &branch, ..*facts })).unwrap();
        let env = manifests[1].body.pointer("/spec/template/spec/containers/0/env").unwrap().as_array().unwrap();
        let value = |name: &str| env.iter().find(|variable| variable["name"] == name).unwrap()["value"].as_str().unwrap().to_owned();
        prop_assert_eq!(expanded(&value("GRAFTLING_BRANCH")), Some(branch));
        prop_assert_eq!(expanded(&value("GRAFTLING_OUTPUT_A_B")), Some(output));
    }
}

/// A text as Kubernetes reads it where `$$` is a `$`; nothing if there is a variable in it.
fn expanded(text: &str) -> Option<String> {
    let mut read = String::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character == '$' && rest.next() != Some('$') {
            return None;
        }
        read.push(character);
    }
    Some(read)
}
