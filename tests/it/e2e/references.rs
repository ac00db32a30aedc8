//! What still counts on a ServiceAccount keeps it, and what was removed is proved dead.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::BTreeSet;

use graftling::api::Environment;
use graftling::api::environment::Phase;
use k8s_openapi::api::authentication::v1::TokenReview;
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use testbed::wait;

use super::scene::{CONFIG, Scene, WEB};
use crate::world::{LONG, objects};

const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// Rights of the account of [`WEB`].
const ROLE: &str = r#"
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
"#;

const ROLE_ARN: &str = "arn:aws:iam::111122223333:role/web";

fn binding(subject: Value) -> Value {
    let role = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view" });
    json!({ "roleRef": role, "subjects": [subject] })
}

fn account(namespace: &str, name: &str) -> Value {
    json!({ "kind": "ServiceAccount", "name": name, "namespace": namespace })
}

fn group(namespace: &str) -> Value {
    let name = format!("system:serviceaccounts:{namespace}");
    json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name })
}

async fn receipt(scene: &Scene, environment: &Environment) -> Value {
    serde_saphyr::from_str(&scene.world.receipt(environment).await).unwrap()
}

/// The account and what gives it rights are there, and nobody asked for their end.
async fn rights_are_untouched(scene: &Scene, namespace: &str) {
    for (version, kind, name) in [
        ("v1", "ServiceAccount", "web"),
        (RBAC, "Role", "reader"),
        (RBAC, "RoleBinding", "reader"),
    ] {
        let found = scene.read(version, kind, namespace, name).await;
        let found = found.unwrap_or_else(|| panic!("{kind} {name} is gone"));
        assert!(found["metadata"]["deletionTimestamp"].is_null(), "{kind}");
    }
}

async fn authenticates(scene: &Scene, token: &str) -> bool {
    let review: TokenReview = serde_json::from_value(json!({ "metadata": {}, "spec": { "token": token } })).unwrap();
    let api: Api<TokenReview> = Api::all(scene.world.client.clone());
    let review = api.create(&PostParams::default(), &review).await.unwrap();
    review.status.unwrap().authenticated.unwrap_or_default()
}

// === Bindings elsewhere ===

#[tokio::test(flavor = "multi_thread")]
async fn f52_f53_bindings_elsewhere_keep_accounts_and_rights_until_they_are_removed_or_the_project_lets_them_be() {
    let scene = Scene::start("kept", &format!("{WEB}{ROLE}")).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let home = scene.world.namespace.name().to_owned();
    let everywhere = format!("everywhere-{home}");
    scene
        .world
        .create(RBAC, "ClusterRoleBinding", None, &everywhere, binding(group(&name)))
        .await;
    scene
        .world
        .create(RBAC, "RoleBinding", Some(&home), "elsewhere", binding(account(&name, "web")))
        .await;
    scene.delete(&environment).await;
    let words = [
        "ClusterRoleBinding",
        &everywhere,
        "every ServiceAccount",
        "remove the binding",
        "Report",
        "1 more",
    ];
    scene.told("feature/a", Phase::Blocked, &words).await;
    rights_are_untouched(&scene, &name).await;
    assert!(
        scene.read("apps/v1", "Deployment", &name, "web").await.is_none(),
        "nothing needs it"
    );

    scene.remove(RBAC, "ClusterRoleBinding", "", &everywhere).await;
    scene.nudge(&environment).await;
    let words = ["RoleBinding elsewhere", &format!("in Namespace {home}"), "ServiceAccount web"];
    scene.told("feature/a", Phase::Blocked, &words).await;
    rights_are_untouched(&scene, &name).await;

    scene
        .change_project(json!({ "policy": { "references": { "bindings": "Report" } } }))
        .await;
    scene.nudge(&environment).await;
    scene.world.wait_gone("feature/a").await;
    let receipt = receipt(&scene, &environment).await;
    let dangling = receipt["danglingReferences"].as_array().unwrap();
    assert_eq!(dangling.len(), 1, "{dangling:?}");
    let told = dangling[0].as_str().unwrap();
    assert!(
        told.contains("severity medium") && told.contains(&format!("in Namespace {home}")),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f53_a_cluster_role_binding_that_the_project_lets_be_is_in_the_receipt_with_high_severity() {
    let policy = json!({ "policy": { "references": { "bindings": "Report" } } });
    let scene = Scene::with("grave", CONFIG, policy, &[]).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let everywhere = format!("everywhere-{}", scene.world.namespace.name());
    // The bundle brings no account at all, but the next namespace of the branch has the same name and its accounts the same group.
    scene
        .world
        .create(RBAC, "ClusterRoleBinding", None, &everywhere, binding(group(&name)))
        .await;
    scene.delete(&environment).await;
    scene.world.wait_gone("feature/a").await;
    let receipt = receipt(&scene, &environment).await;
    let told = receipt["danglingReferences"][0].as_str().unwrap();
    assert!(told.contains("severity high") && told.contains("every ServiceAccount"), "{told}");
    scene.remove(RBAC, "ClusterRoleBinding", "", &everywhere).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f53_a_cluster_role_binding_of_the_bundle_is_no_reference_and_goes_with_it() {
    let policy = json!({ "policy": { "clusterScoped": "Rename" } });
    let values = [
        "rbac.clusterScoped[0].apiGroups={rbac.authorization.k8s.io},rbac.clusterScoped[0].resources={clusterroles,clusterrolebindings}",
        "rbac.clusterScoped[1].apiGroups={storage.k8s.io},rbac.clusterScoped[1].resources={storageclasses}",
    ];
    let scene = Scene::with("own", &format!("{WEB}{CLUSTER_ROLE}"), policy, &values).await;
    let environment = scene.up("feature/a").await;
    scene.delete(&environment).await;
    scene.world.wait_gone("feature/a").await;
    let receipt = receipt(&scene, &environment).await;
    assert_eq!(receipt["danglingReferences"], json!([]));
    assert!(receipt["objects"].to_string().contains("ClusterRoleBinding"), "{receipt:#}");
}

const CLUSTER_ROLE: &str = r#"
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: classes}
rules: [{apiGroups: [storage.k8s.io], resources: [storageclasses], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: classes}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: classes}
subjects: [{kind: ServiceAccount, name: web}]
"#;

// === Clouds ===

fn with_role_arn() -> String {
    let annotated = format!("metadata: {{name: web, annotations: {{eks.amazonaws.com/role-arn: \"{ROLE_ARN}\"}}}}\n---");
    WEB.replacen("metadata: {name: web}\n---", &annotated, 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn f54_an_identity_in_a_cloud_is_in_the_receipt_with_its_annotation() {
    let scene = Scene::start("cloud", &with_role_arn()).await;
    let environment = scene.up("feature/a").await;
    scene.delete(&environment).await;
    scene.world.wait_gone("feature/a").await;
    let receipt = receipt(&scene, &environment).await;
    let wanted = json!([{ "account": "web", "annotation": "eks.amazonaws.com/role-arn", "value": ROLE_ARN }]);
    assert_eq!(receipt["cloudIdentities"], wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn f54_an_identity_in_a_cloud_keeps_its_account_where_the_project_says_so_until_the_annotation_is_off() {
    let policy = json!({ "policy": { "references": { "cloudIdentities": "Block" } } });
    let scene = Scene::with("trust", &format!("{}{ROLE}", with_role_arn()), policy, &[]).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    scene.delete(&environment).await;
    let words = [
        "ServiceAccount web",
        "eks.amazonaws.com/role-arn",
        ROLE_ARN,
        "trust",
        "annotation off",
    ];
    scene.told("feature/a", Phase::Blocked, &words).await;
    rights_are_untouched(&scene, &name).await;
    let off = json!({ "metadata": { "annotations": { "eks.amazonaws.com/role-arn": null } } });
    scene.edit("v1", "ServiceAccount", &name, "web", off).await;
    scene.nudge(&environment).await;
    scene.world.wait_gone("feature/a").await;
    assert_eq!(receipt(&scene, &environment).await["cloudIdentities"], json!([]));
}

// === Tokens ===

/// A Secret that Kubernetes fills with a token of the account `web`.
async fn legacy_token(scene: &Scene, namespace: &str) -> String {
    let annotations = json!({ "kubernetes.io/service-account.name": "web" });
    let body = json!({ "metadata": { "annotations": annotations }, "type": "kubernetes.io/service-account-token" });
    scene.world.create("v1", "Secret", Some(namespace), "legacy", body).await;
    wait::until("token in the Secret", LONG, || async {
        let secret = scene.read("v1", "Secret", namespace, "legacy").await?;
        let secret: k8s_openapi::api::core::v1::Secret = serde_json::from_value(secret).unwrap();
        let token = secret.data.unwrap_or_default().remove("token")?;
        Some(String::from_utf8(token.0).unwrap())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn f58_a_token_secret_of_somebody_else_keeps_its_account_and_goes_with_it_only_where_the_project_says_so() {
    let policy = json!({ "policy": { "foreignObjects": "Delete" } });
    let scene = Scene::with("legacy", &format!("{WEB}{ROLE}"), policy, &[]).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let token = legacy_token(&scene, &name).await;
    // The API server learns of the Secret by a watch of its own.
    wait::until("a token that counts", LONG, || async {
        authenticates(&scene, &token).await.then_some(())
    })
    .await;
    scene.delete(&environment).await;
    let words = [
        "Secret legacy",
        "token of ServiceAccount web",
        "remove the Secret",
        "policy.references.tokens",
    ];
    scene.told("feature/a", Phase::Blocked, &words).await;
    rights_are_untouched(&scene, &name).await;
    scene
        .change_project(json!({ "policy": { "references": { "tokens": "Report" } } }))
        .await;
    scene.nudge(&environment).await;
    scene.world.wait_gone("feature/a").await;
    let receipt = receipt(&scene, &environment).await;
    assert_eq!(receipt["tokenSecrets"], json!(["v1 Secret legacy of ServiceAccount web"]));
    wait::until("end of the token", LONG, || async { !authenticates(&scene, &token).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f58_the_receipt_proves_that_tokens_of_a_removed_account_are_dead_and_no_token_is_written_anywhere() {
    let scene = Scene::start("dead", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let uid = scene.uid("v1", "ServiceAccount", &name, "web").await;
    let token = scene.world.plane.service_account_token(&name, "web").await.unwrap();
    let position = scene.position();
    scene.delete(&environment).await;
    scene.world.wait_gone("feature/a").await;
    assert!(!authenticates(&scene, &token).await, "a token that nobody used is dead at once");
    let text = scene.world.receipt(&environment).await;
    let receipt: Value = serde_saphyr::from_str(&text).unwrap();
    let proofs = receipt["tokens"].as_array().unwrap();
    assert_eq!(proofs.len(), 1, "{receipt:#}");
    assert_eq!((&proofs[0]["account"], &proofs[0]["uid"]), (&json!("web"), &json!(uid)));
    assert!(
        proofs[0]["provedDead"].is_string() && proofs[0]["notProved"].is_null(),
        "{proofs:?}"
    );
    // Every JSON web token begins like this.
    assert!(!text.contains("eyJ"), "{text}");
    let log = scene.world.server().running.lines().join("\n");
    assert!(log.contains("leading"), "the log is the server's: {log}");
    assert!(!log.contains("eyJ"), "a token is in the log");
    // Made just before the account went, and reviewed when all was over.
    let writes = scene.writes(position);
    let first = |resource: &str, verb: &str| {
        writes
            .iter()
            .position(|event| event.resource == resource && event.verb == verb)
            .unwrap()
    };
    let account = writes
        .iter()
        .position(|event| event.verb == "delete" && event.resource == "serviceaccounts")
        .unwrap();
    let last_review = writes.iter().rposition(|event| event.resource == "tokenreviews").unwrap();
    let made = writes
        .iter()
        .position(|event| event.resource == "serviceaccounts" && event.subresource == "token")
        .unwrap();
    assert!(made < account && account < first("namespaces", "delete") && first("namespaces", "delete") < last_review);
    assert!(writes[made].impersonated_user.is_some(), "the deployer makes it, not the server");
}

#[tokio::test(flavor = "multi_thread")]
async fn f58_without_the_rights_for_the_proof_the_teardown_ends_and_the_receipt_says_why_nothing_is_proved() {
    let mut scene = Scene::start("rightless", WEB).await;
    let requests = scene.up("feature/requests").await;
    let restarts = scene.up("feature/restarts").await;
    let reviews = scene.up("feature/reviews").await;

    // Tokens were made by a server that is not there any more.
    let held = json!({ "metadata": { "finalizers": ["nobody.example/serves"] } });
    scene.edit("v1", "ServiceAccount", &restarts.name_any(), "web", held).await;
    scene.delete(&restarts).await;
    scene
        .told(
            "feature/restarts",
            Phase::Deleting,
            &["ServiceAccount web", "nobody.example/serves"],
        )
        .await;
    scene.world.server = None;
    scene.world.start_server().await;
    let free = json!({ "metadata": { "finalizers": null } });
    scene.edit("v1", "ServiceAccount", &restarts.name_any(), "web", free).await;
    scene.world.wait_gone("feature/restarts").await;
    not_proved(&scene, &restarts, "restarted").await;

    let release = scene.world.release.clone();
    let without = async |role: &str, resource: &str| {
        let mut rules = scene.read(RBAC, "ClusterRole", "", role).await.unwrap()["rules"].clone();
        rules.as_array_mut().unwrap().retain(|rule| rule["resources"] != json!([resource]));
        scene.edit(RBAC, "ClusterRole", "", role, json!({ "rules": rules })).await;
    };
    without(&format!("{release}-deployer"), "serviceaccounts/token").await;
    scene.delete(&requests).await;
    scene.world.wait_gone("feature/requests").await;
    not_proved(&scene, &requests, "serviceaccounts/token").await;

    without(&release, "tokenreviews").await;
    scene.delete(&reviews).await;
    scene.world.wait_gone("feature/reviews").await;
    let receipt = receipt(&scene, &reviews).await;
    assert!(receipt["tokens"][0]["provedDead"].is_null(), "{receipt:#}");
}

async fn not_proved(scene: &Scene, environment: &Environment, reason: &str) {
    let receipt = receipt(scene, environment).await;
    assert!(receipt["tokens"][0]["provedDead"].is_null(), "{receipt:#}");
    let told = receipt["tokens"][0]["notProved"].as_str().unwrap();
    assert!(told.contains(reason), "{told}");
}

// === Pods ===

async fn pod_of(scene: &Scene, namespace: &str) -> String {
    let api = objects::api(&scene.world.client, "v1", "Pod", Some(namespace)).await;
    let pods = api.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(pods.len(), 1, "{pods:?}");
    pods[0].name_any()
}

/// When something was first asked for that was granted.
fn at(events: &[testbed::AuditEvent], namespace: &str, verb: &str, resource: &str) -> jiff::Timestamp {
    let wanted = |event: &&testbed::AuditEvent| {
        event.namespace == namespace && event.verb == verb && event.resource == resource && event.subresource.is_empty() && event.code < 300
    };
    let found = events.iter().filter(wanted).map(|event| event.request_received).min();
    found.unwrap_or_else(|| panic!("no {verb} {resource}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn f49_a_pod_that_ends_slowly_keeps_its_account_and_its_rights_to_the_end() {
    let scene = Scene::start("slow", &format!("{WEB}{ROLE}")).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let pod = pod_of(&scene, &name).await;
    // It ends as a pod does that ignores SIGTERM: not before something else happens.
    let held = json!({ "metadata": { "finalizers": ["test.example/still-running"] } });
    scene.edit("v1", "Pod", &name, &pod, held).await;
    scene.delete(&environment).await;
    scene.told("feature/a", Phase::Deleting, &["Deployment web", "since 20"]).await;
    wait::until("end of the pod to be asked for", LONG, || async {
        let pod = scene.read("v1", "Pod", &name, &pod).await.unwrap();
        (!pod["metadata"]["deletionTimestamp"].is_null()).then_some(())
    })
    .await;
    // Even without the workload that made it: the pod alone keeps them.
    let free = json!({ "metadata": { "finalizers": null } });
    scene.edit("apps/v1", "Deployment", &name, "web", free.clone()).await;
    scene
        .told(
            "feature/a",
            Phase::Deleting,
            &["ServiceAccount web", &pod, "is being deleted", "test.example/still-running"],
        )
        .await;
    rights_are_untouched(&scene, &name).await;
    let position = scene.position();
    scene.edit("v1", "Pod", &name, &pod, free).await;
    scene.nudge(&environment).await;
    scene.world.wait_gone("feature/a").await;
    let events = scene.world.plane.audit().since(position);
    let freed = at(&events, &name, "patch", "pods");
    assert!(freed < at(&events, &name, "delete", "rolebindings"), "the binding outlives the pod");
    assert!(at(&events, &name, "delete", "rolebindings") < at(&events, &name, "delete", "serviceaccounts"));
}

#[tokio::test(flavor = "multi_thread")]
async fn f51_a_terminating_pod_of_somebody_else_keeps_the_account_and_a_completed_one_does_not() {
    let policy = json!({ "policy": { "foreignObjects": "Delete" } });
    let scene = Scene::with("ending", &format!("{WEB}{ROLE}"), policy, &[]).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let containers = json!([{ "name": "main", "image": "registry.example/debug:1" }]);
    let pod = |finalizers: Value, scheduler: &str| {
        let spec = json!({ "serviceAccountName": "web", "schedulerName": scheduler, "restartPolicy": "Never", "containers": containers });
        json!({ "metadata": { "finalizers": finalizers }, "spec": spec })
    };
    scene
        .world
        .create(
            "v1",
            "Pod",
            Some(&name),
            "ending",
            pod(json!(["test.example/still-running"]), "nobody"),
        )
        .await;
    scene.remove("v1", "Pod", &name, "ending").await;
    // Nothing serves its node, so the test says how it went.
    scene
        .world
        .create("v1", "Pod", Some(&name), "completed", pod(json!([]), "nobody"))
        .await;
    let api = objects::api(&scene.world.client, "v1", "Pod", Some(&name)).await;
    let succeeded = kube::api::Patch::Merge(json!({ "status": { "phase": "Succeeded" } }));
    api.patch_status("completed", &kube::api::PatchParams::default(), &succeeded)
        .await
        .unwrap();

    let position = scene.position();
    scene.delete(&environment).await;
    scene
        .told(
            "feature/a",
            Phase::Deleting,
            &["ServiceAccount web", "Pod ending", "is being deleted", "since 20"],
        )
        .await;
    rights_are_untouched(&scene, &name).await;
    scene
        .edit("v1", "Pod", &name, "ending", json!({ "metadata": { "finalizers": null } }))
        .await;
    scene.nudge(&environment).await;
    scene.world.wait_gone("feature/a").await;
    let events = scene.world.plane.audit().since(position);
    assert!(at(&events, &name, "patch", "pods") < at(&events, &name, "delete", "serviceaccounts"));
}

// === Whose accounts ===

#[tokio::test(flavor = "multi_thread")]
async fn f55_an_account_outside_of_the_environments_namespace_is_refused_so_that_no_two_environments_share_one() {
    let elsewhere = "metadata: {name: web, namespace: default}\n---";
    let template = WEB.replacen("metadata: {name: web}\n---", elsewhere, 1);
    let scene = Scene::start("shared", &template).await;
    scene.push("feature/a");
    let words = ["ServiceAccount", "metadata.namespace", "the environment's own"];
    scene.told("feature/a", Phase::Failed, &words).await;
    assert!(scene.read("v1", "ServiceAccount", "default", "web").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn f56_default_and_accounts_of_users_are_never_deleted_by_us() {
    let policy = json!({ "policy": { "foreignObjects": "Delete" } });
    let scene = Scene::with("users", WEB, policy, &[]).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    scene.world.create("v1", "ServiceAccount", Some(&name), "robot", json!({})).await;
    let position = scene.position();
    scene.delete(&environment).await;
    scene.world.wait_gone("feature/a").await;
    // A request without an answer is repeated, so how many there are proves nothing.
    let deleted: BTreeSet<_> = scene
        .writes(position)
        .into_iter()
        .filter(|event| event.namespace == name && event.verb.starts_with("delete") && event.resource == "serviceaccounts")
        .map(|event| event.name)
        .collect();
    assert_eq!(deleted, BTreeSet::from(["web".to_owned()]), "the others went with their namespace");
}

#[tokio::test(flavor = "multi_thread")]
async fn f57_an_account_that_somebody_makes_again_while_the_teardown_runs_is_left_to_them() {
    let scene = Scene::start("again", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let held = json!({ "metadata": { "finalizers": ["nobody.example/serves"] } });
    let free = json!({ "metadata": { "finalizers": null } });
    scene.edit("v1", "Secret", &name, "keys", held).await;
    scene.delete(&environment).await;
    scene
        .told("feature/a", Phase::Deleting, &["Secret keys", "nobody.example/serves"])
        .await;
    // The account would be next. Its labels are copied, too.
    let before = scene.read("v1", "ServiceAccount", &name, "web").await.unwrap();
    scene.remove("v1", "ServiceAccount", &name, "web").await;
    let labels = json!({ "metadata": { "labels": before["metadata"]["labels"] } });
    scene.world.create("v1", "ServiceAccount", Some(&name), "web", labels).await;
    let theirs = scene.uid("v1", "ServiceAccount", &name, "web").await;
    assert_ne!(before["metadata"]["uid"], theirs.as_str());

    let position = scene.position();
    scene.edit("v1", "Secret", &name, "keys", free).await;
    scene.nudge(&environment).await;
    scene
        .told("feature/a", Phase::Blocked, &["ServiceAccount web", "not created by graftling"])
        .await;
    assert_eq!(scene.uid("v1", "ServiceAccount", &name, "web").await, theirs);
    let writes = scene.writes_inside(position, &environment);
    assert!(!writes.iter().any(|write| write.contains("serviceaccounts")), "{writes:?}");
    scene.remove("v1", "ServiceAccount", &name, "web").await;
    scene.nudge(&environment).await;
    scene.world.wait_gone("feature/a").await;
    not_proved(&scene, &environment, "somebody else removed it").await;
}
