//! The objects of `job` and `steps` stages: the same ones as ever, and accepted by the real API server in a restricted namespace.
#![allow(clippy::unwrap_used, reason = "a stage that gives nothing is the test's failure")]

use std::time::Duration;

use graftling::domain::manifest::{Admission, AllowedKinds, Manifest, to_yaml};
use graftling::domain::name::EnvironmentName;
use graftling::domain::run::RunNumber;
use graftling::domain::stage::outputs::Outputs;
use graftling::domain::stage::{JobFacts, job, objects, steps};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::params::ValidationDirective;
use kube::{Api, Client};
use serde_json::{Value, json};
use testbed::{ControlPlane, wait};

use crate::world::{LONG, objects as live};

const ENVIRONMENT: &str = "shop-login-v5gwvdlaek";

/// Everything that a job can be told.
fn whole_job() -> Value {
    json!({
        "image": "registry.example/shop:1", "command": ["./migrate"], "args": ["--to", "$(outputs.build.VERSION)"], "workingDir": "/app",
        "env": { "LEVEL": "info", "PASSWORD": { "secret": "database", "key": "password" }, "CITY": { "configMap": "settings", "key": "city" } },
        "envFrom": [{ "secret": "database" }, { "configMap": "settings" }],
        "resources": { "requests": { "cpu": "10m", "memory": "16Mi" }, "limits": { "cpu": "100m", "memory": "64Mi" } },
        "imagePullSecrets": ["registry"], "outputs": ["SCHEMA"],
        "securityContext": { "runAsUser": 70, "fsGroup": 70, "readOnlyRootFilesystem": true },
    })
}

fn some_steps() -> Value {
    json!({
        "workspace": "2Gi",
        "run": [
            { "name": "install", "image": "registry.example/node:22", "command": ["npm", "ci"] },
            { "name": "test", "image": "registry.example/node:22", "command": ["npm", "test"], "outputs": ["COVERAGE"] },
        ],
    })
}

fn manifests(kind: &str, settings: &Value, pod_security: &str) -> Vec<Manifest> {
    manifests_in(ENVIRONMENT, kind, settings, pod_security)
}

fn manifests_in(environment: &str, kind: &str, settings: &Value, pod_security: &str) -> Vec<Manifest> {
    let environment: EnvironmentName = environment.parse().unwrap();
    let admission = Admission {
        namespace: &environment.namespace(),
        environment: &environment,
        project: &"previews/shop".parse().unwrap(),
        domain: &"preview.example.com".parse().unwrap(),
        kinds: &AllowedKinds::default(),
    };
    let outputs: Outputs = [("build".to_owned(), [("VERSION".to_owned(), "1.2".to_owned())].into())].into();
    let facts = JobFacts {
        stage: kind,
        line: 7,
        run: RunNumber(3),
        attempt: 1,
        timeout: Duration::from_secs(900),
        is_teardown: false,
        branch: "feature/$(login)",
        revision: "0123456789abcdef0123456789abcdef01234567",
        pull_request: Some(12),
        url: "https://shop-login-v5gwvdlaek.preview.example.com",
        host: "shop-login-v5gwvdlaek.preview.example.com",
        is_first_deploy: false,
        outputs: &outputs,
        pod_security,
        tools_image: graftling::domain::stage::checkout::TOOLS_IMAGE,
        admission: &admission,
    };
    let built = match kind {
        "job" => objects::of_job(&job::read(settings).unwrap(), &facts),
        _ => objects::of_steps(&steps::read(settings).unwrap(), &facts),
    };
    built.unwrap_or_else(|refusals| panic!("{refusals:#?}"))
}

fn golden(name: &str, manifests: &[Manifest]) {
    insta::with_settings!({ snapshot_path => "../golden", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, to_yaml(manifests));
    });
}

#[test]
fn feature_s2_jobs_and_steps_are_the_same_objects_as_ever() {
    golden("stage-job", &manifests("job", &whole_job(), "restricted"));
    golden("stage-job-baseline", &manifests("job", &json!({ "image": "x" }), "baseline"));
    golden("stage-steps", &manifests("steps", &some_steps(), "restricted"));
}

/// Applies an object as the server does, with every field known to the API server.
async fn apply_strictly(client: &Client, body: &Value) -> Value {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
    let api = live::api(client, &text("/apiVersion"), &text("/kind"), Some(&text("/metadata/namespace"))).await;
    let params = PatchParams {
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply("test")
    };
    let applied = api.patch(&text("/metadata/name"), &params, &Patch::Apply(body)).await;
    serde_json::to_value(applied.unwrap_or_else(|error| panic!("{}: {error}\n{body:#}", text("/kind")))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_takes_every_field_and_a_restricted_namespace_takes_the_pods() {
    let plane = ControlPlane::shared().await;
    let client = plane.client().await;
    let name = format!("shop-stages-{}", std::process::id());
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let body = json!({ "metadata": { "name": name, "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
    namespaces
        .create(&PostParams::default(), &serde_json::from_value(body).unwrap())
        .await
        .unwrap();
    for (kind, settings) in [("job", whole_job()), ("steps", some_steps())] {
        for manifest in manifests_in(&name, kind, &settings, "restricted") {
            apply_strictly(&client, &manifest.body).await;
        }
        // Pods that Pod Security refuses never come into being, and nothing else would tell.
        wait::until(format!("a pod of {kind}"), LONG, || async {
            let job = live::api(&client, "batch/v1", "Job", Some(&name))
                .await
                .get(&format!("{kind}-3-1"))
                .await
                .unwrap();
            let status = &job.data["status"];
            let count = |field: &str| status[field].as_u64().unwrap_or_default();
            (count("active") + count("succeeded") > 0).then_some(())
        })
        .await;
    }
    namespaces.delete(&name, &DeleteParams::default()).await.unwrap();
}
