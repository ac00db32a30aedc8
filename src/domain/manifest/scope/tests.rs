//! Cluster-scoped objects of a bundle: refused, renamed with every reference, or shared.
#![allow(clippy::unwrap_used, reason = "the test's own names are valid")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::domain::manifest::AllowedKinds;
use crate::domain::manifest::tests::{NAME, admit_with, object};
use crate::domain::policy::{ClaimPolicy, Permission};

const HASH: &str = "abcdefghij";
const RBAC: &str = "rbac.authorization.k8s.io/v1";

fn under(policy: ClusterScoped) -> AllowedKinds {
    let custom = ["gateway.networking.k8s.io/GatewayClass", "cert-manager.io/ClusterIssuer"];
    let namespaced = ["cert-manager.io/Certificate", "gateway.networking.k8s.io/Gateway"];
    AllowedKinds::with(namespaced.map(|kind| kind.parse().unwrap()))
        .cluster_scoped(policy, custom.map(|kind| kind.parse().unwrap()))
        .claims(ClaimPolicy {
            static_volumes: Permission::Allow,
            ..ClaimPolicy::default()
        })
}

fn named(version: &str, kind: &str, name: &str, rest: Value) -> Value {
    let mut body = object(version, kind, rest);
    body["metadata"]["name"] = json!(name);
    body
}

fn renamed(bodies: Vec<Value>) -> Vec<Value> {
    let manifests = admit_with(&under(ClusterScoped::Rename), bodies).unwrap();
    manifests.into_iter().map(|manifest| Value::clone(&manifest.body)).collect()
}

fn of_kind<'b>(bodies: &'b [Value], kind: &str) -> &'b Value {
    bodies.iter().find(|body| body["kind"] == kind).unwrap()
}

#[test]
fn feature_i5_threat_t15_what_belongs_to_the_cluster_is_refused_by_default_with_kind_name_and_place() {
    for (version, kind) in OWN.map(|(group, kind)| (format!("{group}/v1").trim_start_matches('/').to_owned(), kind)) {
        let refused = admit_with(&under(ClusterScoped::Deny), vec![object(&version, kind, json!({}))]).unwrap_err();
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(
            refused[0].starts_with(&format!(
                "templates/a.yaml:1: {version} {kind} x: kind: {kind} belongs to the whole cluster"
            )),
            "{refused:?}"
        );
        assert!(refused[0].contains("policy.clusterScoped"), "{refused:?}");
    }
}

#[test]
fn threat_t15_what_acts_on_everybody_is_refused_under_every_policy() {
    for policy in [ClusterScoped::Deny, ClusterScoped::Rename, ClusterScoped::Share] {
        for kind in CLUSTER_SCOPED.iter().filter(|kind| !OWN.contains(kind)) {
            let kind = GroupKind {
                group: kind.0.into(),
                kind: kind.1.into(),
            };
            let everything = AllowedKinds::with([kind.clone()]).cluster_scoped(policy, [kind.clone()]);
            assert!(everything.check(&kind).is_err(), "{kind} was allowed under {policy:?}");
        }
    }
}

#[test]
fn feature_i5_every_reference_follows_a_renamed_object() {
    let pod = json!({
        "priorityClassName": "urgent",
        "runtimeClassName": "sandbox",
        "containers": [{ "name": "a", "image": "a" }],
        "volumes": [{ "name": "scratch", "ephemeral": { "volumeClaimTemplate": { "spec": { "storageClassName": "fast" } } } }],
    });
    let role_ref = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader" });
    let subjects = json!([{ "kind": "ServiceAccount", "name": "web" }]);
    let host = format!("{NAME}.preview.example.com");
    let bodies = renamed(vec![
        named(RBAC, "ClusterRole", "reader", json!({ "rules": [] })),
        named(
            RBAC,
            "ClusterRoleBinding",
            "readers",
            json!({ "roleRef": role_ref, "subjects": subjects }),
        ),
        named(RBAC, "RoleBinding", "local", json!({ "roleRef": role_ref, "subjects": subjects })),
        named("scheduling.k8s.io/v1", "PriorityClass", "urgent", json!({ "value": 10 })),
        named("storage.k8s.io/v1", "StorageClass", "fast", json!({ "provisioner": "a.example" })),
        named(
            "networking.k8s.io/v1",
            "IngressClass",
            "inner",
            json!({ "spec": { "controller": "a.example/b" } }),
        ),
        named("node.k8s.io/v1", "RuntimeClass", "sandbox", json!({ "handler": "runsc" })),
        named(
            "gateway.networking.k8s.io/v1",
            "GatewayClass",
            "edge",
            json!({ "spec": { "controllerName": "a.example/b" } }),
        ),
        named("cert-manager.io/v1", "ClusterIssuer", "ca", json!({ "spec": {} })),
        named(
            "v1",
            "PersistentVolume",
            "games",
            json!({ "spec": { "storageClassName": "fast", "claimRef": { "name": "data" } } }),
        ),
        named(
            "v1",
            "PersistentVolumeClaim",
            "data",
            json!({ "spec": { "storageClassName": "fast", "volumeName": "games" } }),
        ),
        named("apps/v1", "Deployment", "web", json!({ "spec": { "template": { "spec": pod } } })),
        named(
            "batch/v1",
            "CronJob",
            "tidy",
            json!({ "spec": { "jobTemplate": { "spec": { "template": { "spec": pod } } } } }),
        ),
        named(
            "apps/v1",
            "StatefulSet",
            "db",
            json!({ "spec": {
            "template": { "spec": {} },
            "volumeClaimTemplates": [{ "metadata": { "name": "data", "annotations": { "volume.beta.kubernetes.io/storage-class": "fast" } }, "spec": { "storageClassName": "fast" } }],
        } }),
        ),
        named(
            "networking.k8s.io/v1",
            "Ingress",
            "web",
            json!({
                "metadata": { "annotations": { "kubernetes.io/ingress.class": "inner", "cert-manager.io/cluster-issuer": "ca" } },
                "spec": { "ingressClassName": "inner", "rules": [{ "host": host }] },
            }),
        ),
        named(
            "gateway.networking.k8s.io/v1",
            "Gateway",
            "web",
            json!({ "spec": { "gatewayClassName": "edge", "listeners": [{ "hostname": host }] } }),
        ),
        named(
            "cert-manager.io/v1",
            "Certificate",
            "web",
            json!({ "spec": { "issuerRef": { "kind": "ClusterIssuer", "group": "cert-manager.io", "name": "ca" } } }),
        ),
    ]);
    let new = |name: &str| json!(format!("{name}-{HASH}"));
    for (kind, pointer, wanted) in [
        ("ClusterRole", "/metadata/name", new("reader")),
        ("ClusterRoleBinding", "/metadata/name", new("readers")),
        ("ClusterRoleBinding", "/roleRef/name", new("reader")),
        ("ClusterRoleBinding", "/subjects/0/namespace", json!(NAME)),
        ("ClusterRoleBinding", "/subjects/0/name", json!("web")),
        ("RoleBinding", "/metadata/name", json!("local")),
        ("RoleBinding", "/roleRef/name", new("reader")),
        ("PersistentVolume", "/metadata/name", new("games")),
        ("PersistentVolume", "/spec/storageClassName", new("fast")),
        ("PersistentVolume", "/spec/claimRef/name", json!("data")),
        ("PersistentVolume", "/spec/claimRef/namespace", json!(NAME)),
        ("PersistentVolumeClaim", "/metadata/name", json!("data")),
        ("PersistentVolumeClaim", "/spec/storageClassName", new("fast")),
        ("PersistentVolumeClaim", "/spec/volumeName", new("games")),
        ("Deployment", "/spec/template/spec/priorityClassName", new("urgent")),
        ("Deployment", "/spec/template/spec/runtimeClassName", new("sandbox")),
        (
            "Deployment",
            "/spec/template/spec/volumes/0/ephemeral/volumeClaimTemplate/spec/storageClassName",
            new("fast"),
        ),
        ("CronJob", "/spec/jobTemplate/spec/template/spec/priorityClassName", new("urgent")),
        ("StatefulSet", "/spec/volumeClaimTemplates/0/spec/storageClassName", new("fast")),
        (
            "StatefulSet",
            "/spec/volumeClaimTemplates/0/metadata/annotations/volume.beta.kubernetes.io~1storage-class",
            new("fast"),
        ),
        ("Ingress", "/spec/ingressClassName", new("inner")),
        ("Ingress", "/metadata/annotations/kubernetes.io~1ingress.class", new("inner")),
        ("Ingress", "/metadata/annotations/cert-manager.io~1cluster-issuer", new("ca")),
        ("Gateway", "/spec/gatewayClassName", new("edge")),
        ("Certificate", "/spec/issuerRef/name", new("ca")),
    ] {
        assert_eq!(of_kind(&bodies, kind).pointer(pointer), Some(&wanted), "{kind} {pointer}");
    }
    let class = of_kind(&bodies, "PriorityClass");
    assert_eq!(class["metadata"]["labels"]["graftling.dev/environment"], NAME);
    assert_eq!(class["metadata"].get("namespace"), None);
}

#[test]
fn feature_i5_references_to_what_the_bundle_does_not_have_and_words_that_only_look_like_them_stay() {
    let bodies = renamed(vec![
        named("storage.k8s.io/v1", "StorageClass", "fast", json!({ "provisioner": "a.example" })),
        named(
            "v1",
            "PersistentVolumeClaim",
            "data",
            json!({ "spec": { "storageClassName": "standard" } }),
        ),
        named("v1", "ConfigMap", "settings", json!({ "data": { "storageClassName": "fast" } })),
        named(
            "v1",
            "Service",
            "web",
            json!({ "spec": { "selector": { "storageClassName": "fast" } } }),
        ),
        named(
            "apps/v1",
            "Deployment",
            "fast",
            json!({ "spec": { "template": { "spec": { "containers": [
            { "name": "fast", "image": "fast", "env": [{ "name": "storageClassName", "value": "fast" }] },
        ] } } } }),
        ),
    ]);
    assert_eq!(of_kind(&bodies, "PersistentVolumeClaim")["spec"]["storageClassName"], "standard");
    assert_eq!(of_kind(&bodies, "ConfigMap")["data"]["storageClassName"], "fast");
    assert_eq!(of_kind(&bodies, "Service")["spec"]["selector"]["storageClassName"], "fast");
    let deployment = of_kind(&bodies, "Deployment");
    assert_eq!(deployment["metadata"]["name"], "fast");
    assert_eq!(
        deployment["spec"]["template"]["spec"]["containers"][0],
        json!({ "name": "fast", "image": "fast", "env": [{ "name": "storageClassName", "value": "fast" }] })
    );
}

#[test]
fn feature_i5_a_new_name_is_short_enough_and_a_name_that_is_the_environments_own_already_stays() {
    let name = |name: &str| {
        let bodies = renamed(vec![named("scheduling.k8s.io/v1", "PriorityClass", name, json!({ "value": 1 }))]);
        bodies[0]["metadata"]["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(name("urgent"), format!("urgent-{HASH}"));
    assert_eq!(name(&format!("urgent-{HASH}")), format!("urgent-{HASH}"));
    let label = "a".repeat(60);
    let long = |end: &str| name(&format!("{label}.{label}.{label}.{label}{end}"));
    assert!(long("").len() <= 253 && long("").ends_with(HASH));
    assert_ne!(long("aa"), long("ab"), "what was cut off still tells them apart");
}

#[test]
fn threat_t14_a_cluster_role_binding_reaches_only_roles_and_accounts_of_the_bundle() {
    let binding = |role: &str, subject: Value| {
        let role_ref = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role });
        named(
            RBAC,
            "ClusterRoleBinding",
            "b",
            json!({ "roleRef": role_ref, "subjects": [subject] }),
        )
    };
    let own = || json!({ "kind": "ServiceAccount", "name": "web" });
    let role = || named(RBAC, "ClusterRole", "reader", json!({ "rules": [] }));
    assert!(admit_with(&under(ClusterScoped::Rename), vec![role(), binding("reader", own())]).is_ok());
    for (body, wanted) in [
        (
            binding("cluster-admin", own()),
            "\"cluster-admin\" is not a ClusterRole of this bundle",
        ),
        (
            binding(
                "reader",
                json!({ "kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:authenticated" }),
            ),
            "subjects[0].kind: must be ServiceAccount",
        ),
        (
            binding(
                "reader",
                json!({ "kind": "ServiceAccount", "name": "default", "namespace": "kube-system" }),
            ),
            "subjects[0].namespace: is \"kube-system\"",
        ),
    ] {
        let refused = admit_with(&under(ClusterScoped::Rename), vec![role(), body]).unwrap_err();
        assert!(refused.len() == 1 && refused[0].contains(wanted), "{refused:?}");
    }
    let shared = admit_with(&under(ClusterScoped::Share), vec![role(), binding("reader", own())]).unwrap_err();
    assert!(shared[0].contains("cannot be shared"), "{shared:?}");
}

#[test]
fn threat_t22_a_cluster_role_neither_collects_rules_nor_gives_everything() {
    for (rest, wanted) in [
        (json!({ "aggregationRule": {} }), "aggregationRule: would collect rules"),
        (
            json!({ "metadata": { "labels": { "rbac.authorization.k8s.io/aggregate-to-view": "true" } } }),
            "would add rules to roles of the whole cluster",
        ),
        (json!({ "rules": [{ "verbs": ["*"] }] }), "rules[0].verbs: \"*\""),
        (json!({ "rules": [{ "verbs": ["escalate"] }] }), "a way to more rights"),
    ] {
        let refused = admit_with(&under(ClusterScoped::Rename), vec![object(RBAC, "ClusterRole", rest)]).unwrap_err();
        assert!(refused.len() == 1 && refused[0].contains(wanted), "{refused:?}");
    }
}

#[test]
fn threat_t15_a_class_is_never_the_default_and_a_volume_never_a_folder_of_a_node() {
    let default = |key: &str| json!({ "metadata": { "annotations": { (key): "true" } } });
    let volume = |source: &str| json!({ "spec": { (source): { "path": "/" }, "claimRef": { "name": "data" } } });
    for (version, kind, rest, wanted) in [
        (
            "storage.k8s.io/v1",
            "StorageClass",
            default("storageclass.kubernetes.io/is-default-class"),
            "would change objects of everybody",
        ),
        (
            "networking.k8s.io/v1",
            "IngressClass",
            default("ingressclass.kubernetes.io/is-default-class"),
            "would change objects of everybody",
        ),
        (
            "scheduling.k8s.io/v1",
            "PriorityClass",
            json!({ "globalDefault": true }),
            "would change pods of everybody",
        ),
        ("v1", "PersistentVolume", volume("hostPath"), "spec.hostPath: would open a folder"),
        ("v1", "PersistentVolume", volume("local"), "spec.local: would open a folder"),
        ("v1", "PersistentVolume", json!({ "spec": {} }), "spec.claimRef.name: is missing"),
        (
            "v1",
            "PersistentVolume",
            json!({ "spec": { "claimRef": { "name": "data", "namespace": "default" } } }),
            "spec.claimRef.namespace: is \"default\"",
        ),
        (
            "scheduling.k8s.io/v1",
            "PriorityClass",
            json!({ "metadata": { "namespace": NAME } }),
            "metadata.namespace: belongs to no namespace",
        ),
    ] {
        let refused = admit_with(&under(ClusterScoped::Rename), vec![object(version, kind, rest)]).unwrap_err();
        assert!(refused.len() == 1 && refused[0].contains(wanted), "{refused:?}");
    }
}

#[test]
fn feature_i5_a_shared_object_keeps_its_name_and_names_its_owner_instead_of_one_environment() {
    let body = named("scheduling.k8s.io/v1", "PriorityClass", "urgent", json!({ "value": 10 }));
    let manifests = admit_with(&under(ClusterScoped::Share), vec![body]).unwrap();
    let manifest = &manifests[0];
    assert_eq!((manifest.key.name.as_str(), &manifest.key.namespace), ("urgent", &None));
    let labels = &manifest.body["metadata"]["labels"];
    assert_eq!(
        labels,
        &json!({ "app.kubernetes.io/managed-by": "graftling", "graftling.dev/shared": "true" })
    );
    let (owner, digest) = manifest.owner().unwrap();
    assert_eq!((owner, digest.len()), (NAME, 32));
    let other = named("scheduling.k8s.io/v1", "PriorityClass", "urgent", json!({ "value": 11 }));
    let other = admit_with(&under(ClusterScoped::Share), vec![other]).unwrap();
    assert_ne!(other[0].owner().unwrap().1, digest);
}

/// Every name that an object refers to a class by.
fn references(value: &Value, found: &mut BTreeSet<(String, String)>) {
    match value {
        Value::Object(entries) => entries.iter().for_each(|(field, value)| {
            if let (true, Some(name)) = (field.ends_with("ClassName"), value.as_str()) {
                found.insert((field.clone(), name.to_owned()));
            }
            references(value, found);
        }),
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn feature_i5_no_reference_to_a_renamed_object_dangles_and_none_to_another_changes(
        classes in proptest::collection::btree_set("[a-c]{1,2}", 0..4),
        pods in proptest::collection::vec(("[a-c]{1,2}", "[a-c]{1,2}"), 0..6),
    ) {
        let mut bodies: Vec<Value> = classes
            .iter()
            .flat_map(|name| {
                [
                    named("scheduling.k8s.io/v1", "PriorityClass", name, json!({ "value": 1 })),
                    named("storage.k8s.io/v1", "StorageClass", name, json!({ "provisioner": "a" })),
                ]
            })
            .collect();
        let mut wanted = BTreeSet::new();
        for (index, (priority, storage)) in pods.iter().enumerate() {
            let new = |name: &String| if classes.contains(name) { format!("{name}-{HASH}") } else { name.clone() };
            wanted.insert(("priorityClassName".to_owned(), new(priority)));
            wanted.insert(("storageClassName".to_owned(), new(storage)));
            bodies.push(named("apps/v1", "StatefulSet", &format!("s{index}"), json!({ "spec": {
                "template": { "spec": { "priorityClassName": priority } },
                "volumeClaimTemplates": [{ "spec": { "storageClassName": storage } }],
            } })));
        }
        let renamed = renamed(bodies);
        let mut found = BTreeSet::new();
        renamed.iter().for_each(|body| references(body, &mut found));
        prop_assert_eq!(found, wanted);
        let has = |kind: &str, name: &str| renamed.iter().any(|body| body["kind"] == kind && body["metadata"]["name"] == name);
        for name in &classes {
            let new = format!("{name}-{HASH}");
            prop_assert!(has("PriorityClass", &new) && has("StorageClass", &new));
            prop_assert!(!has("PriorityClass", name));
        }
    }
}
