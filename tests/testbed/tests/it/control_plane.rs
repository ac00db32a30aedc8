//! A control plane that works: controllers, scheduler, fake nodes, identities, audit log.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use testbed::{AuditEvent, ControlPlane, wait};

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_namespace_gets_its_default_service_account_and_the_root_certificate() {
    let control_plane = ControlPlane::shared().await;
    let namespace = control_plane.namespace("accounts").await;
    let client = control_plane.client().await;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace.name());
    assert!(accounts.get_opt("default").await.unwrap().is_some());
    let config_maps: Api<ConfigMap> = Api::namespaced(client, namespace.name());
    wait::until("root certificate", LIMIT, || async { config_maps.get("kube-root-ca.crt").await }).await;
}

#[tokio::test]
async fn the_api_server_tells_a_version_that_can_be_parsed() {
    let version = ControlPlane::shared().await.client().await.apiserver_version().await.unwrap();
    assert!(
        version.git_version.starts_with(&format!("v{}.{}.", version.major, version.minor)),
        "{version:?}"
    );
}

#[tokio::test]
async fn what_a_release_has_outside_of_its_namespace_goes_with_it_and_nothing_of_another() {
    let control_plane = ControlPlane::shared().await;
    let roles: Api<ClusterRole> = Api::all(control_plane.client().await);
    for release in ["short-lived", "long-lived"] {
        let labels = json!({ "app.kubernetes.io/instance": release });
        let role = json!({ "metadata": { "name": release, "labels": labels } });
        let role = serde_json::from_value(role).unwrap();
        roles.create(&PostParams::default(), &role).await.unwrap();
    }
    drop(control_plane.release("short-lived"));
    wait::until("end of the role", LIMIT, || async {
        roles.get_opt("short-lived").await.unwrap().is_none()
    })
    .await;
    assert!(roles.get_opt("long-lived").await.unwrap().is_some());
}

#[tokio::test]
async fn a_deployment_becomes_ready_on_the_fake_node() {
    let control_plane = ControlPlane::shared().await;
    let namespace = control_plane.namespace("deployment").await;
    let deployments: Api<Deployment> = Api::namespaced(control_plane.client().await, namespace.name());
    deployments.create(&PostParams::default(), &deployment("web", 2)).await.unwrap();
    let ready = |deployment: &Deployment| deployment.status.as_ref().and_then(|status| status.ready_replicas) == Some(2);
    wait::for_object(&deployments, "web", "ready Deployment", LIMIT, ready).await;
}

#[tokio::test]
async fn an_object_that_does_not_come_to_the_state_in_time_is_shown_as_it_is() {
    let control_plane = ControlPlane::shared().await;
    let namespace = control_plane.namespace("never").await;
    let client = control_plane.client().await;
    let waiting = tokio::spawn(async move {
        let accounts: Api<ServiceAccount> = Api::namespaced(client, namespace.name());
        wait::for_object(&accounts, "default", "absurd state", Duration::from_millis(300), |_| false).await;
    });
    let panic = waiting.await.expect_err("it panics").into_panic();
    let message = panic.downcast_ref::<String>().expect("a formatted message");
    assert!(message.starts_with("no absurd state after 0.3 s"), "{message}");
    assert!(message.contains("\"uid\"") && message.contains("control_plane.rs"), "{message}");
}

#[tokio::test]
async fn every_write_is_in_the_audit_log_exactly_once_as_soon_as_it_is_answered() {
    let control_plane = ControlPlane::shared().await;
    let namespace = control_plane.namespace("audit").await;
    let api: Api<ConfigMap> = Api::namespaced(control_plane.client().await, namespace.name());
    let start = control_plane.audit().position();
    for number in 0..20 {
        api.create(&PostParams::default(), &config_map(&format!("map-{number}")))
            .await
            .unwrap();
    }
    let change = Patch::Merge(json!({ "data": { "key": "value" } }));
    api.patch("map-1", &PatchParams::default(), &change).await.unwrap();
    api.create(&PostParams::default(), &config_map("map-1")).await.unwrap_err();
    api.delete("map-2", &DeleteParams::default()).await.unwrap();
    api.list(&ListParams::default()).await.unwrap();
    let events = events_of("admin", namespace.name(), &control_plane.audit().since(start));
    let count = |verb: &str, code: u16| events.iter().filter(|event| event.verb == verb && event.code == code).count();
    assert_eq!(
        (
            count("create", 201),
            count("patch", 200),
            count("create", 409),
            count("delete", 200)
        ),
        (20, 1, 1, 1)
    );
    assert_eq!(events.iter().filter(|event| event.is_write()).count(), 23);
    assert_eq!(events.iter().filter(|event| !event.is_write()).count(), 1, "the list");
    let patch = events.iter().find(|event| event.verb == "patch").unwrap();
    assert_eq!(
        (patch.resource.as_str(), patch.name.as_str(), patch.api_group.as_str()),
        ("configmaps", "map-1", "")
    );
}

#[tokio::test]
async fn a_service_account_kubeconfig_holds_exactly_that_identity() {
    let control_plane = ControlPlane::shared().await;
    let namespace = control_plane.namespace("identity").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    control_plane
        .service_account_kubeconfig(namespace.name(), "default", &path)
        .await
        .unwrap();
    let client = client_of(&path).await;
    let user = format!("system:serviceaccount:{}:default", namespace.name());
    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await.unwrap();
    assert_eq!(review.status.unwrap().user_info.unwrap().username.as_deref(), Some(user.as_str()));

    let start = control_plane.audit().position();
    let namespaces: Api<Namespace> = Api::all(client);
    namespaces.get(namespace.name()).await.expect_err("RBAC holds for it");
    let events = control_plane.audit().since(start);
    let refused: Vec<_> = events.iter().filter(|event| event.user == user).collect();
    assert_eq!(
        refused.iter().map(|event| (event.verb.as_str(), event.code)).collect::<Vec<_>>(),
        [("get", 403)]
    );
}

#[tokio::test]
async fn impersonation_and_watches_show_in_the_audit_log() {
    let control_plane = ControlPlane::shared().await;
    let namespace = control_plane.namespace("impersonation").await;
    let mut config = testbed::configuration(control_plane.kubeconfig()).await;
    config.auth_info.impersonate = Some("somebody".to_owned());
    let api: Api<ConfigMap> = Api::namespaced(kube::Client::try_from(config).unwrap(), namespace.name());
    let start = control_plane.audit().position();
    api.get("nothing").await.expect_err("somebody may do nothing");
    let admin: Api<ConfigMap> = Api::namespaced(control_plane.client().await, namespace.name());
    let _watch = admin.watch(&Default::default(), "0").await.unwrap();
    let events = events_of("admin", namespace.name(), &control_plane.audit().since(start));
    let seen: Vec<_> = events
        .iter()
        .map(|event| (event.verb.as_str(), event.impersonated_user.as_deref(), event.code))
        .collect();
    assert_eq!(seen, [("get", Some("somebody"), 403), ("watch", None, 200)]);
}

#[tokio::test]
async fn a_dump_shows_the_state_of_objects_and_masks_secrets() {
    let control_plane = ControlPlane::shared().await;
    let namespace = control_plane.namespace("dump").await;
    let client = control_plane.client().await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace.name());
    deployments.create(&PostParams::default(), &deployment("web", 1)).await.unwrap();
    let data = BTreeMap::from([("password".to_owned(), "hunter2".to_owned())]);
    let secret = Secret {
        metadata: named("credentials"),
        string_data: Some(data),
        ..Default::default()
    };
    Api::namespaced(client, namespace.name())
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();
    wait::until("event of a scheduled pod in the dump", LIMIT, || async {
        let dump = namespace.dump().await;
        if dump.contains("Scheduled") && dump.contains("Available") {
            Ok(())
        } else {
            Err(dump)
        }
    })
    .await;
    let dump = namespace.dump().await;
    assert!(dump.contains("--- Secret credentials") && dump.contains("password"), "{dump}");
    assert!(!dump.contains("aHVudGVyMg==") && !dump.contains("hunter2"), "{dump}");
}

#[tokio::test]
async fn a_failing_test_dumps_its_namespace_without_a_second_panic() {
    let namespace = ControlPlane::shared().await.namespace("failing").await;
    let failing = std::thread::spawn(move || {
        let _namespace = namespace;
        panic!("this failure is part of the test");
    });
    let panic = failing.join().expect_err("it panics");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"this failure is part of the test"));
}

#[tokio::test]
async fn an_outage_of_the_api_server_begins_and_ends_and_loses_nothing() {
    let control_plane = ControlPlane::start().await.unwrap();
    let namespace = control_plane.namespace("outage").await;
    let namespaces: Api<Namespace> = Api::all(control_plane.client().await);
    control_plane.stop_api_server();
    namespaces.get(namespace.name()).await.expect_err("nobody listens");
    control_plane.start_api_server().await.unwrap();
    namespaces.get(namespace.name()).await.unwrap();
    control_plane.stop().await.unwrap();
}

fn events_of(user: &str, namespace: &str, events: &[AuditEvent]) -> Vec<AuditEvent> {
    events
        .iter()
        .filter(|event| event.user == user && event.namespace == namespace)
        .cloned()
        .collect()
}

async fn client_of(kubeconfig: &Path) -> kube::Client {
    kube::Client::try_from(testbed::configuration(kubeconfig).await).unwrap()
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        ..Default::default()
    }
}

fn config_map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: named(name),
        ..Default::default()
    }
}

fn deployment(name: &str, replicas: i32) -> Deployment {
    serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": "main", "image": "registry.example/app:1" }] },
            },
        },
    }))
    .unwrap()
}
