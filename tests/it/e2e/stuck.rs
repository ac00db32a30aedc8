//! Deletions that do not end: what holds them is named, nothing is forced, and the teardown goes on by itself once it is gone.
//!
//! Each of these waits for the minute after which something counts as stuck, so they are best run at the same time.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::{Duration, Instant};

use graftling::api::environment::{EnvironmentStatus, Phase, StuckObject};
use graftling::domain::plan::teardown::stuck::STUCK_AFTER;
use kube::ResourceExt;
use serde_json::{Value, json};
use testbed::wait;

use super::scene::{CONFIG, Scene, WEB, short};
use super::teardown::define_widgets;
use crate::world::{LONG, ready_reason};

fn finalizers(list: &[&str]) -> Value {
    json!({ "metadata": { "finalizers": list } })
}

/// Waits until the environment says that it is stuck, which must not be sooner than a minute after `begun`.
async fn stuck(scene: &Scene, branch: &str, begun: Instant, words: &[&str]) -> EnvironmentStatus {
    let status = wait::until(format!("a stuck {branch} that tells {words:?}"), STUCK_AFTER + LONG, || async {
        let status = scene
            .world
            .environment(branch)
            .await
            .and_then(|environment| environment.status)
            .unwrap_or_default();
        let message = status.message.clone().unwrap_or_default();
        let told = status.phase == Some(Phase::Blocked) && words.iter().all(|word| message.contains(word));
        if told {
            Ok(status)
        } else {
            Err(format!("{:?}: {message}", status.phase))
        }
    })
    .await;
    println!(
        "stuck after {:.1} s: {}",
        begun.elapsed().as_secs_f64(),
        status.message.as_deref().unwrap_or_default()
    );
    assert_eq!(ready_reason(&status.conditions), "TerminationBlocked");
    // Deletions are dated to the second.
    assert!(
        begun.elapsed() + Duration::from_secs(1) >= STUCK_AFTER,
        "too early: {:?}",
        begun.elapsed()
    );
    status
}

fn entry<'a>(status: &'a EnvironmentStatus, object: &str) -> &'a StuckObject {
    let found = status.stuck.iter().find(|entry| entry.object == object);
    found.unwrap_or_else(|| panic!("no {object} in {:?}", status.stuck))
}

async fn is_untouched(scene: &Scene, version: &str, kind: &str, namespace: &str, name: &str) -> bool {
    let object = scene.read(version, kind, namespace, name).await;
    object.is_some_and(|object| object["metadata"]["deletionTimestamp"].is_null())
}

#[tokio::test(flavor = "multi_thread")]
async fn f36_a_finalizer_that_nobody_serves_is_named_with_its_object_and_heals_when_it_is_removed() {
    let scene = Scene::start("nobody", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    scene
        .edit("v1", "ConfigMap", &name, "settings", finalizers(&["nobody.example/serves"]))
        .await;
    let begun = Instant::now();
    scene.delete(&environment).await;
    let told = scene
        .told(
            "feature/a",
            Phase::Deleting,
            &["ConfigMap settings", "since", "nobody.example/serves"],
        )
        .await;
    assert_eq!(told.stuck, [], "it may yet end");
    let status = stuck(&scene, "feature/a", begun, &["ConfigMap settings", "nobody.example/serves"]).await;
    let held = entry(&status, "v1 ConfigMap settings");
    assert_eq!(held.finalizers, ["nobody.example/serves"]);
    let live = scene.read("v1", "ConfigMap", &name, "settings").await.unwrap();
    assert_eq!(live["metadata"]["deletionTimestamp"], held.since.as_str());
    assert!(
        held.cause.contains("no custom resource of nobody.example is installed"),
        "{}",
        held.cause
    );
    assert!(is_untouched(&scene, "v1", "Namespace", "", &name).await, "never forced");
    assert!(is_untouched(&scene, "v1", "ServiceAccount", &name, "web").await, "S5");
    scene.world.wait_for_event("TerminationBlocked").await;
    let metrics = scene.world.metrics().await;
    assert!(metrics.contains("graftling_terminations_blocked_total 1"), "{metrics}");

    let released = Instant::now();
    scene.edit("v1", "ConfigMap", &name, "settings", finalizers(&[])).await;
    scene.world.wait_gone("feature/a").await;
    println!("gone {:.1} s after the finalizer", released.elapsed().as_secs_f64());
    assert_eq!(scene.world.events("TerminationBlocked").await.len(), 1, "told once");
    assert!(scene.world.receipt(&environment).await.contains("left: []"));
}

#[tokio::test(flavor = "multi_thread")]
async fn f37_an_aggregated_api_that_does_not_answer_is_named_and_heals_when_it_is_removed() {
    let scene = Scene::apart("deadapi", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let service = json!({ "spec": {
        "group": "dead.example.com", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
        "insecureSkipTLSVerify": true, "service": { "name": "nowhere", "namespace": "default" },
    }});
    let (version, name) = ("apiregistration.k8s.io/v1", "v1beta1.dead.example.com");
    scene.world.create(version, "APIService", None, name, service).await;
    let begun = Instant::now();
    scene.delete(&environment).await;
    let status = stuck(
        &scene,
        "feature/a",
        begun,
        &["Namespace", &format!("APIService {name}"), "repair its server or delete it"],
    )
    .await;
    let held = entry(&status, &format!("v1 Namespace {}", environment.name_any()));
    assert!(held.cause.contains("NamespaceDeletionDiscoveryFailure"), "{}", held.cause);
    scene.remove(version, "APIService", "", name).await;
    scene.world.wait_gone("feature/a").await;
    assert!(scene.world.receipt(&environment).await.contains("left: []"));
}

#[tokio::test(flavor = "multi_thread")]
async fn f38_a_definition_that_goes_before_its_objects_leaves_nothing_stuck_but_what_it_names() {
    define_widgets("undefined").await;
    let widget = "apiVersion: undefined.test.example/v1\nkind: Widget\nmetadata: {name: spring}\nspec: {size: 3}\n";
    let policy = json!({ "policy": { "kinds": ["undefined.test.example/Widget"] } });
    let values = ["rbac.customResources[0].apiGroups={undefined.test.example},rbac.customResources[0].resources={widgets}"];
    let scene = Scene::with("undefined", &format!("{CONFIG}---\n{widget}"), policy, &values).await;
    let held = scene.up("feature/held").await;
    let free = scene.up("feature/free").await;
    let (version, name) = ("undefined.test.example/v1", held.name_any());
    scene
        .edit(version, "Widget", &name, "spring", finalizers(&["undefined.test.example/clean"]))
        .await;
    let begun = Instant::now();
    scene.suspend_project().await;
    let definition = "widgets.undefined.test.example";
    scene
        .remove("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", definition)
        .await;
    scene.delete(&held).await;
    scene.delete(&free).await;
    // What has no finalizer goes with its definition, and the teardown does not miss it.
    scene.world.wait_gone("feature/free").await;
    let status = stuck(
        &scene,
        "feature/held",
        begun,
        &[
            "Widget spring",
            "undefined.test.example/clean",
            definition,
            "is being deleted as well",
        ],
    )
    .await;
    assert_eq!(status.stuck.len(), 1, "{:?}", status.stuck);
    scene.edit(version, "Widget", &name, "spring", finalizers(&[])).await;
    scene.world.wait_gone("feature/held").await;
    for environment in [&held, &free] {
        assert!(scene.world.receipt(environment).await.contains("left: []"));
    }
}

const BALANCED: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn f46_a_load_balancer_that_is_late_is_waited_for_and_told_and_nothing_is_forced() {
    let scene = Scene::with(
        "balancer",
        BALANCED,
        json!({ "policy": { "claims": { "loadBalancers": "Allow" } } }),
        &[],
    )
    .await;
    // No cloud, so the address that makes the Service ready is told by hand.
    scene.push("feature/a");
    let name = wait::until("the Service", LONG, || async {
        let name = scene.world.environment("feature/a").await?.name_any();
        scene.read("v1", "Service", &name, "web").await.map(|_| name)
    })
    .await;
    scene
        .edit(
            "v1",
            "Service",
            &name,
            "web",
            finalizers(&["service.kubernetes.io/load-balancer-cleanup"]),
        )
        .await;
    let begun = Instant::now();
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    let status = stuck(
        &scene,
        "feature/a",
        begun,
        &["Service web", "load-balancer-cleanup", "cloud's load balancer controller"],
    )
    .await;
    assert_eq!(
        entry(&status, "v1 Service web").finalizers,
        ["service.kubernetes.io/load-balancer-cleanup"]
    );
    for (kind, object) in [("PersistentVolumeClaim", "data"), ("ServiceAccount", "web")] {
        assert!(is_untouched(&scene, "v1", kind, &name, object).await, "{kind}");
    }
    assert!(is_untouched(&scene, "v1", "Namespace", "", &name).await, "never forced");
    scene.edit("v1", "Service", &name, "web", finalizers(&[])).await;
    scene.world.wait_gone("feature/a").await;
}

const ROUTED: &str = r#"
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {rules: [{host: {{quote environment.host}}, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn f47_what_is_known_outside_goes_after_workloads_before_volumes_and_is_waited_for() {
    let scene = Scene::start("routed", &format!("{WEB}{ROUTED}")).await;
    scene.push("feature/a");
    let name = wait::until("the workload", LONG, || async {
        let name = scene.world.environment("feature/a").await?.name_any();
        scene.read("apps/v1", "Deployment", &name, "web").await.map(|_| name)
    })
    .await;
    let ingress = "networking.k8s.io/v1";
    scene
        .edit(ingress, "Ingress", &name, "web", finalizers(&["dns.example/record"]))
        .await;
    let position = scene.position();
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene
        .told("feature/a", Phase::Deleting, &["Ingress web", "dns.example/record"])
        .await;
    assert!(
        scene.read("apps/v1", "Deployment", &name, "web").await.is_none(),
        "workloads are gone by then"
    );
    for (version, kind, object) in [
        ("v1", "PersistentVolumeClaim", "data"),
        ("v1", "Secret", "keys"),
        ("v1", "ServiceAccount", "web"),
    ] {
        assert!(is_untouched(&scene, version, kind, &name, object).await, "{kind}");
    }
    scene.edit(ingress, "Ingress", &name, "web", finalizers(&[])).await;
    scene.world.wait_gone("feature/a").await;
    let order: Vec<_> = scene
        .writes(position)
        .iter()
        .map(short)
        .filter(|write| write.starts_with("delete "))
        .collect();
    let place = |wanted: &str| {
        order
            .iter()
            .position(|write| write == wanted)
            .unwrap_or_else(|| panic!("no {wanted} in {order:#?}"))
    };
    let places = [
        "delete deployments web",
        "delete ingresses web",
        "delete persistentvolumeclaims data",
        "delete secrets keys",
        "delete serviceaccounts web",
        &format!("delete namespaces {name}"),
    ]
    .map(place);
    assert!(places.is_sorted(), "{order:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x5_an_admission_webhook_that_is_down_is_named_with_its_configuration() {
    let scene = Scene::start("webhook", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let configuration = scene.webhook_is_down(&environment, "deny.down.example.com", &["DELETE"]).await;
    let begun = Instant::now();
    scene.delete(&environment).await;
    let status = stuck(
        &scene,
        "feature/a",
        begun,
        &[
            "ConfigMap settings",
            "deny.down.example.com",
            "ValidatingWebhookConfiguration",
            &configuration,
        ],
    )
    .await;
    assert!(
        entry(&status, "v1 ConfigMap settings")
            .cause
            .contains("repair its server or remove the configuration")
    );
    scene.webhook_is_gone(&configuration).await;
    scene.world.wait_gone("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x5_what_holds_a_namespace_that_a_person_deleted_is_named_whoever_made_it() {
    let scene = Scene::start("byhand", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    scene
        .world
        .create("v1", "ConfigMap", Some(&name), "notes", finalizers(&["theirs.example/keep"]))
        .await;
    let begun = Instant::now();
    scene.suspend_project().await;
    scene.remove("v1", "Namespace", "", &name).await;
    scene.delete(&environment).await;
    let status = stuck(&scene, "feature/a", begun, &["ConfigMap notes", "theirs.example/keep"]).await;
    assert_eq!(entry(&status, "v1 ConfigMap notes").finalizers, ["theirs.example/keep"]);
    scene.edit("v1", "ConfigMap", &name, "notes", finalizers(&[])).await;
    scene.world.wait_gone("feature/a").await;
}
