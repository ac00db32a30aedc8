//! A teardown that nobody hinders: in which order things go, and that nothing stays.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::Instant;

use graftling::api::environment::Phase;
use k8s_openapi::api::authentication::v1::TokenReview;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use testbed::{AuditEvent, wait};

use super::scene::{CONFIG, Scene, WEB, short};
use crate::world::{LONG, objects};

/// Everything that a bundle usually has.
const WHOLE: &str = r#"
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: web}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: job, image: "registry.example/job:1"}]}}}}
"#;

/// One deletion, as the server asked for it or as kwok did for a pod.
fn deletions(scene: &Scene, position: testbed::Position, namespace: &str) -> Vec<AuditEvent> {
    let mut events = scene.world.plane.audit().since(position);
    let own = scene.world.server_user();
    events.retain(|event| event.verb == "delete" && event.code < 300 && (event.namespace == namespace || event.name == namespace));
    events.retain(|event| (event.user == own && event.resource != "environments") || event.resource == "pods");
    events.sort_by_key(|event| event.request_received);
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x1_workloads_go_first_identities_last_and_the_namespace_at_the_end() {
    let scene = Scene::start("tiers", &format!("{WEB}{WHOLE}")).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let token = scene.world.plane.service_account_token(&name, "web").await.unwrap();
    assert!(authenticates(&scene, &token).await);
    let position = scene.position();
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;

    let events = deletions(&scene, position, &name);
    let of_server = |event: &&AuditEvent| event.user == scene.world.server_user();
    let order: Vec<_> = events.iter().filter(of_server).map(short).collect();
    let tier = |wanted: &[&str]| -> (usize, usize) {
        let places: Vec<_> = wanted
            .iter()
            .map(|wanted| {
                order
                    .iter()
                    .position(|event| event == wanted)
                    .unwrap_or_else(|| panic!("no {wanted} in {order:#?}"))
            })
            .collect();
        (*places.iter().min().unwrap(), *places.iter().max().unwrap())
    };
    let tiers = [
        tier(&["delete deployments web", "delete cronjobs nightly"]),
        tier(&["delete services web", "delete configmaps settings"]),
        tier(&["delete roles reader", "delete rolebindings reader", "delete secrets keys"]),
        tier(&["delete serviceaccounts web"]),
        tier(&[&format!("delete namespaces {name}")]),
    ];
    assert!(tiers.windows(2).all(|pair| pair[0].1 < pair[1].0), "{order:#?}");
    assert_eq!(
        order.len(),
        10,
        "each object and the record of the run once, and no guardrail before its namespace: {order:#?}"
    );
    // F51: the last pod was gone before the account's deletion was asked for.
    let last_pod = events.iter().rposition(|event| event.resource == "pods").expect("pods went");
    let account = events
        .iter()
        .position(|event| short(event) == "delete serviceaccounts web")
        .unwrap();
    assert!(last_pod < account, "{:#?}", events.iter().map(short).collect::<Vec<_>>());
    // F58.
    wait::until("end of the account's token", LONG, || async {
        !authenticates(&scene, &token).await
    })
    .await;
}

async fn authenticates(scene: &Scene, token: &str) -> bool {
    let review: TokenReview = serde_json::from_value(json!({ "metadata": {}, "spec": { "token": token } })).unwrap();
    let api: Api<TokenReview> = Api::all(scene.world.client.clone());
    let review = api.create(&PostParams::default(), &review).await.unwrap();
    review.status.unwrap().authenticated.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x1_a_controller_that_needs_its_account_for_a_finalizer_still_has_it() {
    define_widgets("order").await;
    let policy = json!({ "policy": { "kinds": ["order.test.example/Widget"] } });
    let values = ["rbac.customResources[0].apiGroups={order.test.example},rbac.customResources[0].resources={widgets}"];
    let scene = Scene::with("widgets", &format!("{WEB}---{}", operated("order")), policy, &values).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let operator = as_account(&scene, &name, "operator").await;
    let api = objects::api(&operator, "order.test.example/v1", "Widget", Some(&name)).await;
    let finalizers = |list: Value| Patch::Merge(json!({ "metadata": { "finalizers": list } }));
    api.patch("spring", &PatchParams::default(), &finalizers(json!(["order.test.example/clean"])))
        .await
        .unwrap();

    let position = scene.position();
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    let told = scene
        .told(
            "feature/a",
            Phase::Deleting,
            &["Widget spring", "since", "order.test.example/clean"],
        )
        .await;
    assert!(told.namespace.is_some());
    // The controller works a while on it, and everything that it may need is still there.
    for (version, kind, object) in [
        ("v1", "ServiceAccount", "operator"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding", "operator"),
        ("apps/v1", "Deployment", "web"),
        ("v1", "Secret", "keys"),
    ] {
        assert!(
            scene.read(version, kind, &name, object).await.unwrap()["metadata"]["deletionTimestamp"].is_null(),
            "{kind}"
        );
    }
    api.patch("spring", &PatchParams::default(), &finalizers(json!([])))
        .await
        .expect("with the account's own token");
    scene.world.wait_gone("feature/a").await;
    let events = deletions(&scene, position, &name);
    let place = |wanted: &str| {
        events
            .iter()
            .position(|event| short(event) == wanted)
            .unwrap_or_else(|| panic!("no {wanted}: {events:#?}"))
    };
    assert!(place("delete widgets spring") < place("delete deployments web"));
    assert!(place("delete deployments web") < place("delete serviceaccounts operator"));
}

/// A Widget of the group `<group>.test.example`, and an account with the rights of its controller.
pub fn operated(group: &str) -> String {
    const OPERATED: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: operator}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: operator}
rules: [{apiGroups: [GROUP], resources: [widgets], verbs: [get, list, watch, patch, update]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: operator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: operator}
subjects: [{kind: ServiceAccount, name: operator}]
---
apiVersion: GROUP/v1
kind: Widget
metadata: {name: spring}
spec: {size: 3}
"#;
    OPERATED.replace("GROUP", &format!("{group}.test.example"))
}

/// Defines the kind `Widget` in the group `<group>.test.example`, as the admin of the cluster does.
pub async fn define_widgets(group: &str) {
    let client = testbed::ControlPlane::shared().await.client().await;
    let group = format!("{group}.test.example");
    let definition = json!({ "spec": {
        "group": group,
        "scope": "Namespaced",
        "names": { "kind": "Widget", "plural": "widgets", "singular": "widget" },
        "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        }}}],
    }});
    let name = format!("widgets.{group}");
    objects::apply(
        &client,
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        None,
        &name,
        definition,
    )
    .await;
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let established = |definition: &CustomResourceDefinition| {
        let conditions = definition.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions
            .into_iter()
            .any(|condition| condition.type_ == "Established" && condition.status == "True")
    };
    wait::for_object(&api, &name, "established definition", LONG, established).await;
    wait::until("widgets to be served", LONG, || async {
        client
            .list_api_group_resources(&format!("{group}/v1"))
            .await
            .is_ok_and(|list| !list.resources.is_empty())
    })
    .await;
}

/// A client with nothing but the token of an account of the environment.
pub async fn as_account(scene: &Scene, namespace: &str, account: &str) -> Client {
    let path = scene.world.folder.path().join(format!("{account}.kubeconfig"));
    scene
        .world
        .plane
        .service_account_kubeconfig(namespace, account, &path)
        .await
        .unwrap();
    let config = testbed::configuration(&path).await;
    Client::try_from(config).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_volume_claims_of_a_stateful_set_go_too() {
    let scene = Scene::start("claims", STATEFUL).await;
    scene.push("feature/a");
    let name = wait::until("claim of the StatefulSet", LONG, || async {
        let name = scene.world.environment("feature/a").await?.name_any();
        scene.read("v1", "PersistentVolumeClaim", &name, "data-db-0").await.map(|_| name)
    })
    .await;
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    assert!(!scene.world.namespace_exists(&name).await);
}

const STATEFUL: &str = r#"
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "registry.example/db:1", volumeMounts: [{name: data, mountPath: /data}]}]}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn feature_x6_a_teardown_needs_neither_project_nor_bundle_nor_git_host() {
    let scene = Scene::start("bare", WEB).await;
    let environment = scene.up("feature/a").await;
    scene.suspend_project().await;
    scene
        .remove("graftling.dev/v1alpha1", "Project", scene.world.namespace.name(), "shop")
        .await;
    scene
        .remove("graftling.dev/v1alpha1", "GitHost", scene.world.namespace.name(), "git")
        .await;
    std::fs::remove_dir_all(scene.bundle_folder()).unwrap();
    std::fs::remove_dir_all(scene.repository.path()).unwrap();
    let name = environment.name_any();
    scene
        .remove("graftling.dev/v1alpha1", "Environment", scene.world.namespace.name(), &name)
        .await;
    scene.world.wait_gone("feature/a").await;
    assert!(!scene.world.namespace_exists(&name).await);
    let receipt = scene.world.receipt(&environment).await;
    assert!(receipt.contains("left: []"), "{receipt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x11_a_teardown_ends_well_when_a_person_deletes_the_namespace_meanwhile_or_did_before() {
    let scene = Scene::start("twice", WEB).await;
    let during = scene.up("feature/during").await;
    let before = scene.up("feature/before").await;
    scene.suspend_project().await;
    scene.remove("v1", "Namespace", "", &before.name_any()).await;
    wait::until("end of the namespace", LONG, || async {
        !scene.world.namespace_exists(&before.name_any()).await
    })
    .await;
    let position = scene.position();
    scene.delete(&before).await;
    scene.remove("v1", "Namespace", "", &during.name_any()).await;
    scene.delete(&during).await;
    for environment in [&before, &during] {
        scene.world.wait_gone(&environment.spec.branch).await;
        let receipt = scene.world.receipt(environment).await;
        assert!(
            receipt.contains("left: []") && receipt.contains("created: 11\nremoved: 11\n"),
            "{receipt}"
        );
    }
    let inside = scene.writes_inside(position, &before);
    assert_eq!(inside, [""; 0], "there was nothing left to delete");
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x10_ten_teardowns_at_once_do_not_wait_for_one_that_is_stuck() {
    let scene = Scene::start("many", CONFIG).await;
    let stuck = scene.up("stuck").await;
    let finalizers = json!({ "metadata": { "finalizers": ["nobody.example/serves"] } });
    scene.edit("v1", "ConfigMap", &stuck.name_any(), "settings", finalizers).await;
    let branches: Vec<_> = (0..10).map(|number| format!("feature/{number}")).collect();
    let commits: Vec<_> = branches.iter().map(|branch| (branch.as_str(), &[][..])).collect();
    let revisions = scene.repository.push_many(&commits).unwrap();
    let mut environments = Vec::new();
    for (branch, revision) in branches.iter().zip(&revisions) {
        environments.push(scene.world.wait_for(branch, Phase::Ready, revision).await);
    }
    scene.delete(&stuck).await;
    let start = Instant::now();
    for environment in &environments {
        scene.delete(environment).await;
    }
    // Beside the ten: a busy machine takes longer for them than the one may be stuck before it is `Blocked`.
    let told = scene.told("stuck", Phase::Deleting, &["ConfigMap settings", "nobody.example/serves"]);
    let gone = async {
        for environment in &environments {
            scene.world.wait_gone(&environment.spec.branch).await;
        }
        println!("ten teardowns at once: {:.1} s", start.elapsed().as_secs_f64());
    };
    let (told, ()) = tokio::join!(told, gone);
    assert!(told.message.unwrap().contains("since"));
}
