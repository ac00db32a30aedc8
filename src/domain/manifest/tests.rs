//! The gate: what a bundle may and may not bring into an environment.
#![allow(clippy::unwrap_used, reason = "the test's own names are valid")]

mod outcomes;
mod texts;

use serde_json::{Value, json};

use super::*;
use crate::domain::policy::{ClaimPolicy, Permission};

pub(super) const NAME: &str = "shop-login-abcdefghij";

pub(super) fn admit_with(kinds: &AllowedKinds, bodies: Vec<Value>) -> Result<Vec<Manifest>, Vec<String>> {
    let environment: EnvironmentName = NAME.parse().unwrap();
    let documents = bodies.into_iter().enumerate().map(|(index, value)| Document {
        file: "templates/a.yaml".into(),
        line: index + 1,
        value,
    });
    let admission = Admission {
        namespace: &environment.namespace(),
        environment: &environment,
        project: &"team/shop".parse().unwrap(),
        domain: &"preview.example.com".parse().unwrap(),
        kinds,
    };
    admit(documents.collect(), &admission).map_err(|refusals| refusals.iter().map(ToString::to_string).collect())
}

fn admit_all(bodies: Vec<Value>) -> Result<Vec<Manifest>, Vec<String>> {
    admit_with(&AllowedKinds::default(), bodies)
}

/// An object with these fields beside its identity; `metadata` is merged.
pub(super) fn object(version: &str, kind: &str, rest: Value) -> Value {
    let mut body = json!({ "apiVersion": version, "kind": kind, "metadata": { "name": "x" } });
    for (key, value) in rest.as_object().unwrap() {
        match (key.as_str(), value) {
            ("metadata", Value::Object(metadata)) => {
                for (key, value) in metadata {
                    body["metadata"][key] = value.clone();
                }
            }
            _ => body[key] = value.clone(),
        }
    }
    body
}

fn refusals(body: Value) -> Vec<String> {
    admit_all(vec![body]).err().unwrap_or_default()
}

/// Expects exactly one refusal of the object, which contains `wanted`.
fn check_refused(body: Value, wanted: &str) {
    let found = refusals(body.clone());
    assert_eq!(found.len(), 1, "{body}: {found:?}");
    assert!(found[0].contains(wanted), "{body}: {found:?}");
}

fn check_admitted(body: Value) {
    let found = refusals(body.clone());
    assert!(found.is_empty(), "{body}: {found:?}");
}

#[test]
fn an_admitted_object_gets_its_namespace_and_our_labels_and_loses_its_status() {
    let body = object(
        "apps/v1",
        "Deployment",
        json!({
            "metadata": { "labels": { "app": "x" }, "creationTimestamp": null },
            "spec": { "selector": { "matchLabels": { "app": "x" } }, "template": { "metadata": { "labels": { "app": "x" }, "creationTimestamp": null } } },
            "status": { "replicas": 1 },
        }),
    );
    let manifests = admit_all(vec![body]).unwrap();
    assert_eq!(
        *manifests[0].body,
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "x",
                "namespace": NAME,
                "labels": { "app": "x", "app.kubernetes.io/managed-by": "graftling", "graftling.dev/project": "shop", "graftling.dev/project-namespace": "team", "graftling.dev/environment": NAME },
            },
            "spec": { "selector": { "matchLabels": { "app": "x" } }, "template": { "metadata": { "labels": { "app": "x" }, "creationTimestamp": null } } },
        })
    );
    assert_eq!(manifests[0].key.namespace.as_deref(), Some(NAME));
    assert_eq!(
        format!("{:?}", manifests[0]),
        format!("Manifest(apps/v1 Deployment x from templates/a.yaml:1, {})", manifests[0].digest)
    );
    let without = admit_all(vec![object("v1", "ConfigMap", json!({ "metadata": { "labels": null } }))]).unwrap();
    assert_eq!(without[0].body["metadata"]["labels"].as_object().unwrap().len(), 4);
}

#[test]
fn a_digest_changes_with_the_body_and_not_with_the_order_of_its_keys() {
    let digest = |data: Value| {
        admit_all(vec![object("v1", "ConfigMap", json!({ "data": data }))]).unwrap()[0]
            .digest
            .clone()
    };
    let first = digest(serde_json::from_str("{\"a\": \"1\", \"b\": \"2\"}").unwrap());
    assert_eq!(first.len(), 32);
    assert_eq!(first, digest(serde_json::from_str("{\"b\": \"2\", \"a\": \"1\"}").unwrap()));
    assert_ne!(first, digest(json!({ "a": "1" })));
}

#[test]
fn objects_come_in_the_order_in_which_they_are_applied() {
    let manifests = admit_all(vec![
        object("apps/v1", "Deployment", json!({})),
        object("v1", "Secret", json!({})),
        object("v1", "ServiceAccount", json!({})),
        object("v1", "ConfigMap", json!({})),
    ])
    .unwrap();
    let keys: Vec<String> = manifests.iter().map(|manifest| manifest.key.to_string()).collect();
    assert_eq!(
        keys,
        ["v1 ServiceAccount x", "v1 ConfigMap x", "v1 Secret x", "apps/v1 Deployment x"]
    );
}

#[test]
fn f82_lists_are_their_members_and_names_are_given_by_the_bundle() {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": [
        object("v1", "ConfigMap", json!({})),
        { "apiVersion": "v1", "kind": "List", "items": [object("v1", "Secret", json!({}))] },
    ] });
    assert_eq!(admit_all(vec![list]).unwrap().len(), 2);
    assert_eq!(
        admit_all(vec![json!({ "apiVersion": "v1", "kind": "List", "items": [] })])
            .unwrap()
            .len(),
        0
    );
    for (body, wanted) in [
        (
            json!({ "apiVersion": "v1", "kind": "List", "items": [5] }),
            "unknown object: document: is not a mapping",
        ),
        (json!("text"), "unknown object: document: is not a mapping"),
        (
            json!({ "apiVersion": "apps/v1", "kind": "DeploymentList", "metadata": { "name": "x" }, "items": [] }),
            "kind: apps/DeploymentList is not allowed",
        ),
        (
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "generateName": "x-" } }),
            "Pod without a name: metadata.generateName: a name made up by the cluster cannot be found again",
        ),
        (
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": 10 } }),
            "metadata.name: is read as a number or a boolean: put it in quotes",
        ),
        (
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": "x" }),
            "metadata.name: is missing",
        ),
        (
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "A_b" } }),
            "metadata.name: \"A_b\" must consist of lower-case letters",
        ),
    ] {
        check_refused(body, wanted);
    }
}

#[test]
fn feature_p3_two_objects_of_one_name_are_refused_with_both_places() {
    let found = admit_all(vec![
        object("apps/v1", "Deployment", json!({})),
        object("v1", "ConfigMap", json!({})),
        object("apps/v1beta1", "Deployment", json!({})),
    ])
    .unwrap_err();
    assert_eq!(
        found,
        [
            "templates/a.yaml:3: apps/v1beta1 Deployment x: metadata.name: templates/a.yaml:1 has an object of the same kind and name: rename one"
        ]
    );
}

#[test]
fn f22_an_object_that_etcd_would_refuse_is_refused_with_its_place_and_size() {
    let found = refusals(object("v1", "ConfigMap", json!({ "data": { "a": "x".repeat(MAX_OBJECT) } })));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("templates/a.yaml:1: v1 ConfigMap x: size: the object has 15731"),
        "{found:?}"
    );
}

#[test]
fn f23_too_many_or_too_large_objects_are_refused_as_a_whole() {
    let named = |index: usize, size: usize| {
        object(
            "v1",
            "ConfigMap",
            json!({ "metadata": { "name": format!("x{index}") }, "data": { "a": "x".repeat(size) } }),
        )
    };
    assert!(admit_all((0..500).map(|index| named(index, 0)).collect()).is_ok());
    assert_eq!(
        admit_all((0..5_000).map(|index| named(index, 0)).collect()).unwrap_err(),
        ["templates/a.yaml:501: bundle: objects: the bundle gives 5000 objects, at most 500 are allowed: use fewer, larger ones"]
    );
    assert_eq!(
        admit_all((0..20).map(|index| named(index, 1024 * 1024)).collect()).unwrap_err(),
        ["templates/a.yaml:8: v1 ConfigMap x7: size: with this object the bundle exceeds 8388608 bytes: make the objects smaller"]
    );
}

#[test]
fn f23_names_that_no_status_could_hold_are_refused_with_the_way_out() {
    let named = |index: usize, length: usize| {
        let name = format!("x{index:0length$}");
        object("v1", "ConfigMap", json!({ "metadata": { "name": name } }))
    };
    assert!(admit_all((0..500).map(|index| named(index, 47)).collect()).is_ok());
    let refused = admit_all((0..500).map(|index| named(index, 62)).collect()).unwrap_err();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(
        refused[0].contains("metadata.name: the names of all objects have 31512 bytes together, at most 24576 are allowed"),
        "{refused:?}"
    );
}

#[test]
fn f80_a_label_that_cannot_be_one_is_refused_with_the_way_to_write_it() {
    for value in [json!("feature/a"), json!("x".repeat(64)), json!("-a"), json!("a.")] {
        check_refused(
            object("v1", "ConfigMap", json!({ "metadata": { "labels": { "branch": value } } })),
            "use {{dnsLabel …}}",
        );
    }
    check_admitted(object(
        "v1",
        "ConfigMap",
        json!({ "metadata": { "labels": { "a": "", "b": "x_1.y" }, "annotations": { "branch": "feature/a" } } }),
    ));
    for value in [json!(true), json!(12), json!(null), json!({})] {
        check_refused(
            object("v1", "ConfigMap", json!({ "metadata": { "labels": { "a": value } } })),
            "must be text: write it with {{quote …}}",
        );
    }
    check_refused(
        object("v1", "ConfigMap", json!({ "metadata": { "labels": [] } })),
        "must be a mapping of text to text",
    );
}

#[test]
fn threat_t14_a_binding_reaches_only_roles_and_accounts_of_the_bundle() {
    let role = || {
        object(
            "rbac.authorization.k8s.io/v1",
            "Role",
            json!({ "rules": [{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"] }] }),
        )
    };
    let binding = |role_ref: Value, subject: Value| {
        object(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            json!({ "roleRef": role_ref, "subjects": [subject] }),
        )
    };
    let own_role = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "x" });
    let account = json!({ "kind": "ServiceAccount", "name": "web" });
    let admitted = admit_all(vec![role(), binding(own_role.clone(), account.clone())]).unwrap();
    assert_eq!(admitted[1].body["subjects"][0]["namespace"], NAME);

    let cluster_admin = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" });
    let foreign = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "graftling-deployer" });
    for (role_ref, subject, wanted) in [
        (cluster_admin, account.clone(), "roleRef.kind: is \"ClusterRole\""),
        (
            json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "x" }),
            account.clone(),
            "roleRef.kind: is \"ClusterRole\"",
        ),
        (json!({ "kind": "Role", "name": "x" }), account.clone(), "roleRef.apiGroup: must be"),
        (foreign, account.clone(), "\"graftling-deployer\" is not a Role of this bundle"),
        (
            own_role.clone(),
            json!({ "kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:authenticated" }),
            "subjects[0].kind: must be ServiceAccount",
        ),
        (
            own_role.clone(),
            json!({ "kind": "User", "name": "system:serviceaccount:kube-system:default" }),
            "subjects[0].kind: must be ServiceAccount",
        ),
        (
            own_role,
            json!({ "kind": "ServiceAccount", "name": "a", "namespace": "kube-system" }),
            "subjects[0].namespace: is \"kube-system\"",
        ),
    ] {
        let found = admit_all(vec![role(), binding(role_ref, subject)]).unwrap_err();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(wanted), "{found:?}");
    }
}

#[test]
fn threat_t14_a_role_gives_neither_everything_nor_the_means_to_get_more() {
    let rule = |rule: Value| object("rbac.authorization.k8s.io/v1", "Role", json!({ "rules": [rule] }));
    for (bad, wanted) in [
        (
            json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["*"] }),
            "rules[0].verbs: \"*\"",
        ),
        (
            json!({ "apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"] }),
            "rules[0].apiGroups: \"*\"",
        ),
        (
            json!({ "apiGroups": [""], "resources": ["*"], "verbs": ["get"] }),
            "rules[0].resources: \"*\"",
        ),
        (
            json!({ "apiGroups": [""], "resources": ["pods/*"], "verbs": ["get"] }),
            "rules[0].resources: \"*\"",
        ),
        (
            json!({ "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["get", "escalate"] }),
            "\"escalate\" is a way to more rights",
        ),
        (
            json!({ "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["bind"] }),
            "\"bind\" is a way to more rights",
        ),
        (
            json!({ "apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"] }),
            "\"impersonate\" is a way to more rights",
        ),
        (
            json!({ "apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"] }),
            "makes tokens of every account",
        ),
        (
            json!({ "apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"] }),
            "runs commands in every container",
        ),
    ] {
        check_refused(rule(bad), wanted);
    }
    check_admitted(rule(
        json!({ "apiGroups": ["", "apps"], "resources": ["configmaps"], "verbs": ["get", "list", "watch"] }),
    ));
}

#[test]
fn threat_t15_what_belongs_to_the_cluster_is_refused_with_the_reason() {
    for (version, kind, wanted) in [
        ("v1", "Namespace", "the environment's namespace is made by graftling"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole", "belongs to the whole cluster"),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "belongs to the whole cluster"),
        (
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            "belongs to the whole cluster",
        ),
        ("apiregistration.k8s.io/v1", "APIService", "belongs to the whole cluster"),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "belongs to the whole cluster",
        ),
        ("scheduling.k8s.io/v1", "PriorityClass", "belongs to the whole cluster"),
        ("v1", "PersistentVolume", "belongs to the whole cluster"),
        ("v1", "Node", "belongs to the whole cluster"),
        ("v1", "ResourceQuota", "come from the Project's guardrails"),
        ("v1", "LimitRange", "come from the Project's guardrails"),
        ("networking.k8s.io/v1", "NetworkPolicy", "come from the Project's guardrails"),
        ("external-secrets.io/v1", "SecretStore", "the Project can allow it in policy.kinds"),
    ] {
        check_refused(object(version, kind, json!({})), wanted);
    }
    let policies = AllowedKinds::with(["networking.k8s.io/NetworkPolicy".parse().unwrap()]);
    assert!(admit_with(&policies, vec![object("networking.k8s.io/v1", "NetworkPolicy", json!({}))]).is_ok());
}

#[test]
fn threat_t16_another_namespace_is_refused_and_not_rewritten() {
    for namespace in ["kube-system", "shop-other-abcdefghij", "default", ""] {
        check_refused(
            object("v1", "ConfigMap", json!({ "metadata": { "namespace": namespace } })),
            "metadata.namespace: must be shop-login-abcdefghij, the environment's own: remove the field",
        );
    }
    check_admitted(object("v1", "ConfigMap", json!({ "metadata": { "namespace": NAME } })));
}

#[test]
fn threat_t18_names_that_the_system_keeps_are_refused() {
    for (version, kind, name) in [
        ("v1", "ServiceAccount", "default"),
        ("v1", "ConfigMap", "kube-root-ca.crt"),
        ("rbac.authorization.k8s.io/v1", "Role", "graftling-deployer"),
        ("v1", "Secret", "graftling-x"),
    ] {
        check_refused(
            object(version, kind, json!({ "metadata": { "name": name } })),
            "is kept for the system: choose another",
        );
    }
    check_admitted(object("v1", "ConfigMap", json!({ "metadata": { "name": "default" } })));
}

#[test]
fn threat_t20_a_secret_cannot_ask_for_a_token() {
    check_refused(
        object("v1", "Secret", json!({ "type": "kubernetes.io/service-account-token" })),
        "type: would hold the token of a ServiceAccount",
    );
    check_refused(
        object("v1", "Secret", json!({ "type": "bootstrap.kubernetes.io/token" })),
        "type: would let new nodes join",
    );
    check_admitted(object("v1", "Secret", json!({ "type": "kubernetes.io/tls" })));
}

#[test]
fn threat_t22_labels_that_add_rules_to_roles_of_the_cluster_are_refused() {
    let labels = json!({ "rbac.authorization.k8s.io/aggregate-to-admin": "true" });
    check_refused(
        object("rbac.authorization.k8s.io/v1", "Role", json!({ "metadata": { "labels": labels } })),
        "would add rules to roles of the whole cluster",
    );
}

#[test]
fn threat_t23_an_ingress_serves_only_hosts_of_its_environment() {
    let ingress = |spec: Value| object("networking.k8s.io/v1", "Ingress", json!({ "spec": spec }));
    let rule = |host: Value| ingress(json!({ "rules": [{ "host": host }] }));
    for host in [
        "shop-login-abcdefghij.preview.example.com",
        "api-shop-login-abcdefghij.preview.example.com",
        "a-b-shop-login-abcdefghij.preview.example.com",
    ] {
        check_admitted(rule(json!(host)));
        check_admitted(ingress(json!({ "rules": [{ "host": host }], "tls": [{ "hosts": [host] }] })));
    }
    for host in [
        "www.example.com",
        "preview.example.com",
        "shop-other-abcdefghij.preview.example.com",
        "a.shop-login-abcdefghij.preview.example.com",
        "xshop-login-abcdefghij.preview.example.com",
        "-shop-login-abcdefghij.preview.example.com",
        "shop-login-abcdefghij.preview.example.com.",
        "shop-login-abcdefghij.preview.example.org",
        "shop-login-abcdefghijpreview.example.com",
        "SHOP-login-abcdefghij.preview.example.com",
    ] {
        check_refused(rule(json!(host)), "is not a host of this environment: use {{environment.host}}");
    }
    for (body, wanted) in [
        (rule(json!("*.preview.example.com")), "is a wildcard"),
        (rule(json!("")), "spec.rules[0].host: is empty, which means every host"),
        (rule(json!(null)), "is empty, which means every host"),
        (ingress(json!({})), "spec.rules: is missing"),
        (
            ingress(json!({ "rules": [{ "host": format!("{NAME}.preview.example.com") }], "defaultBackend": { "service": {} } })),
            "spec.defaultBackend: would serve every host",
        ),
        (
            ingress(
                json!({ "rules": [{ "host": format!("{NAME}.preview.example.com") }], "tls": [{ "hosts": ["*.preview.example.com"] }] }),
            ),
            "spec.tls[0].hosts[0]: \"*.preview.example.com\" is a wildcard",
        ),
    ] {
        check_refused(body, wanted);
    }
}

#[test]
fn threat_t23_annotations_and_routes_cannot_claim_hosts_either() {
    for (key, value, wanted) in [
        ("nginx.ingress.kubernetes.io/server-alias", "www.example.com", "reach into a proxy"),
        (
            "nginx.ingress.kubernetes.io/configuration-snippet",
            "return 200;",
            "reach into a proxy",
        ),
        (
            "external-dns.alpha.kubernetes.io/hostname",
            "www.example.com",
            "is not a host of this environment",
        ),
    ] {
        check_refused(
            object("v1", "Service", json!({ "metadata": { "annotations": { (key): value } } })),
            wanted,
        );
    }
    let own = format!("{NAME}.preview.example.com");
    check_admitted(object(
        "v1",
        "Service",
        json!({ "metadata": { "annotations": { "external-dns.alpha.kubernetes.io/hostname": own } } }),
    ));

    let routes = AllowedKinds::with(["gateway.networking.k8s.io/HTTPRoute".parse().unwrap()]);
    let route = |spec: Value| {
        admit_with(
            &routes,
            vec![object("gateway.networking.k8s.io/v1", "HTTPRoute", json!({ "spec": spec }))],
        )
    };
    assert!(route(json!({ "hostnames": [own] })).is_ok());
    assert!(route(json!({ "hostnames": ["www.example.com"] })).is_err());
    assert!(route(json!({})).is_err());
}

#[test]
fn threat_t24_a_service_leads_nowhere_else_and_takes_nothing_from_others() {
    let service = |spec: Value| object("v1", "Service", json!({ "spec": spec }));
    for (spec, wanted) in [
        (json!({ "type": "ExternalName" }), "spec.type: ExternalName"),
        (
            json!({ "externalName": "169.254.169.254.nip.io" }),
            "spec.externalName: would lead out",
        ),
        (json!({ "externalIPs": ["192.0.2.1"] }), "spec.externalIPs: would take over"),
        (json!({ "type": "NodePort" }), "spec.type: NodePort"),
        (
            json!({ "ports": [{ "port": 80 }, { "port": 81, "nodePort": 30080 }] }),
            "spec.ports[1].nodePort",
        ),
        (json!({ "healthCheckNodePort": 30000 }), "spec.healthCheckNodePort"),
    ] {
        check_refused(service(spec), wanted);
    }
    check_refused(object("v1", "Endpoints", json!({})), "hand-written endpoints could lead anywhere");
    check_refused(
        object("discovery.k8s.io/v1", "EndpointSlice", json!({})),
        "hand-written endpoints could lead anywhere",
    );
    for (spec, wanted) in [
        (
            json!({ "type": "LoadBalancer" }),
            "spec.type: LoadBalancer takes an address of the cloud",
        ),
        (json!({ "loadBalancerIP": "192.0.2.1" }), "spec.loadBalancerIP: takes an address"),
    ] {
        check_refused(service(spec), wanted);
    }
    let metadata_service = json!({ "subsets": [{ "addresses": [{ "ip": "169.254.169.254" }], "ports": [{ "port": 80 }] }] });
    check_refused(
        object("v1", "Endpoints", metadata_service),
        "hand-written endpoints could lead anywhere",
    );
    check_admitted(service(json!({ "clusterIP": "None", "ports": [{ "port": 80 }] })));
}

#[test]
fn threat_t25_owners_finalizers_and_what_the_cluster_sets_are_refused() {
    for (field, value, wanted) in [
        (
            "ownerReferences",
            json!([{ "kind": "Namespace", "name": "kube-system", "blockOwnerDeletion": true }]),
            "would let a foreign object decide",
        ),
        (
            "finalizers",
            json!(["example.com/never"]),
            "would keep the environment from being torn down",
        ),
        ("uid", json!("1"), "is set by the cluster"),
        ("resourceVersion", json!("1"), "is set by the cluster"),
        ("managedFields", json!([]), "is set by the cluster"),
        ("deletionTimestamp", json!("2026-11-23T00:00:00Z"), "is set by the cluster"),
        ("creationTimestamp", json!("2026-11-23T00:00:00Z"), "is set by the cluster"),
        ("lables", json!({}), "is set by the cluster"),
    ] {
        check_refused(object("v1", "ConfigMap", json!({ "metadata": { (field): value } })), wanted);
    }
    let nested = json!({ "spec": { "volumeClaimTemplates": [{ "metadata": { "name": "data", "finalizers": ["a/b"] } }] } });
    check_refused(
        object("apps/v1", "StatefulSet", nested),
        "spec.volumeClaimTemplates[0].metadata.finalizers: must not be set",
    );
}

#[test]
fn threat_t26_keys_that_say_what_is_whose_are_ours_alone() {
    for key in ["graftling.dev/environment", "graftling.dev/anything", "x.graftling.dev/y"] {
        check_refused(
            object("v1", "ConfigMap", json!({ "metadata": { "labels": { (key): "a" } } })),
            "keys of graftling.dev say what is whose",
        );
        check_refused(
            object("v1", "ConfigMap", json!({ "metadata": { "annotations": { (key): "a" } } })),
            "keys of graftling.dev say what is whose",
        );
        let template = json!({ "spec": { "jobTemplate": { "spec": { "template": { "metadata": { "labels": { (key): "a" } } } } } } });
        check_refused(
            object("batch/v1", "CronJob", template),
            "spec.jobTemplate.spec.template.metadata.labels",
        );
    }
    check_admitted(object(
        "v1",
        "ConfigMap",
        json!({ "metadata": { "labels": { "notgraftling.dev/x": "a" } } }),
    ));
}

#[test]
fn a_claim_cannot_ask_for_a_given_volume() {
    check_refused(
        object("v1", "PersistentVolumeClaim", json!({ "spec": { "volumeName": "pv-1" } })),
        "could claim a volume with somebody else's data",
    );
}

#[test]
fn every_refusal_of_every_object_is_reported_in_order() {
    let found = admit_all(vec![
        object(
            "v1",
            "Service",
            json!({ "metadata": { "namespace": "a", "uid": "1" }, "spec": { "type": "NodePort" } }),
        ),
        json!({ "kind": 5 }),
        object("v1", "Namespace", json!({})),
    ])
    .unwrap_err();
    let places: Vec<&str> = found.iter().map(|refusal| refusal.split(": ").nth(2).unwrap_or_default()).collect();
    assert_eq!(
        places,
        [
            "metadata.namespace",
            "metadata.uid",
            "spec.type",
            "apiVersion",
            "kind",
            "metadata.name",
            "kind"
        ]
    );
}

#[test]
fn threat_t19_no_pod_runs_under_a_name_of_the_system() {
    for (version, kind, pointer) in [
        ("v1", "Pod", "/spec"),
        ("apps/v1", "Deployment", "/spec/template/spec"),
        ("apps/v1", "StatefulSet", "/spec/template/spec"),
        ("apps/v1", "DaemonSet", "/spec/template/spec"),
        ("batch/v1", "Job", "/spec/template/spec"),
        ("batch/v1", "CronJob", "/spec/jobTemplate/spec/template/spec"),
    ] {
        let path = pointer.trim_start_matches('/').replace('/', ".");
        for field in ["serviceAccountName", "serviceAccount"] {
            let spec = json!({ (field): "graftling-deployer", "containers": [] });
            check_refused(
                nested(version, kind, pointer, spec),
                &format!("{path}.{field}: names that begin with"),
            );
        }
        check_admitted(nested(version, kind, pointer, json!({ "serviceAccountName": "web" })));
    }
}

/// An object with `value` at a place.
fn nested(version: &str, kind: &str, pointer: &str, value: Value) -> Value {
    let inner = pointer
        .trim_start_matches('/')
        .rsplit('/')
        .fold(value, |inner, field| json!({ (field): inner }));
    object(version, kind, inner)
}

#[test]
fn threat_t21_kinds_that_copy_secrets_from_a_store_are_refused_until_the_project_lists_them() {
    for kind in ["ExternalSecret", "SecretStore", "PushSecret"] {
        check_refused(
            object("external-secrets.io/v1", kind, json!({})),
            "the Project can allow it in policy.kinds",
        );
    }
    for kind in ["ClusterSecretStore", "ClusterExternalSecret"] {
        check_refused(object("external-secrets.io/v1", kind, json!({})), "is not allowed");
    }
    check_refused(object("bitnami.com/v1alpha1", "SealedSecret", json!({})), "is not allowed");
    check_refused(
        object("secrets-store.csi.x-k8s.io/v1", "SecretProviderClass", json!({})),
        "is not allowed",
    );
}

#[test]
fn threat_t24_a_route_leads_to_services_of_its_environment_only() {
    let routes = AllowedKinds::with(["gateway.networking.k8s.io/HTTPRoute".parse().unwrap()]);
    let route = |backend: Value| {
        let spec = json!({ "hostnames": [format!("{NAME}.preview.example.com")], "rules": [{ "backendRefs": [backend] }] });
        admit_with(
            &routes,
            vec![object("gateway.networking.k8s.io/v1", "HTTPRoute", json!({ "spec": spec }))],
        )
    };
    assert!(route(json!({ "name": "web" })).is_ok());
    assert!(route(json!({ "name": "web", "namespace": NAME })).is_ok());
    let refused = route(json!({ "name": "kubernetes", "namespace": "default" })).unwrap_err();
    assert!(
        refused[0].contains("spec.rules[0].backendRefs[0].namespace: is \"default\", a foreign namespace"),
        "{refused:?}"
    );
}

#[test]
fn threat_t23_a_gateway_listens_to_hosts_of_its_environment_only() {
    let gateways = AllowedKinds::with(["gateway.networking.k8s.io/Gateway".parse().unwrap()]);
    let gateway = |listener: Value| {
        let spec = json!({ "spec": { "gatewayClassName": "shared", "listeners": [listener] } });
        admit_with(&gateways, vec![object("gateway.networking.k8s.io/v1", "Gateway", spec)])
    };
    assert!(gateway(json!({ "name": "web", "hostname": format!("{NAME}.preview.example.com") })).is_ok());
    for (listener, wanted) in [
        (json!({ "name": "web" }), "spec.listeners[0].hostname: is empty"),
        (json!({ "hostname": "*.preview.example.com" }), "is a wildcard"),
        (json!({ "hostname": "www.example.com" }), "is not a host of this environment"),
    ] {
        let refused = gateway(listener).unwrap_err();
        assert!(refused[0].contains(wanted), "{refused:?}");
    }
}

#[test]
fn feature_i6_what_the_cluster_has_only_once_is_admitted_where_the_project_says_so() {
    let claims = |claims: ClaimPolicy| AllowedKinds::default().claims(claims);
    let allow = Permission::Allow;
    let service = |spec: Value| object("v1", "Service", json!({ "spec": spec }));
    let port = json!({ "containers": [{ "name": "a", "ports": [{ "containerPort": 80, "hostPort": 80 }] }] });
    for (policy, body, refused) in [
        (
            ClaimPolicy {
                node_ports: allow,
                ..ClaimPolicy::default()
            },
            service(json!({ "type": "NodePort", "ports": [{ "port": 80, "nodePort": 30080 }] })),
            "NodePort takes a port of every node",
        ),
        (
            ClaimPolicy {
                load_balancers: allow,
                ..ClaimPolicy::default()
            },
            service(json!({ "type": "LoadBalancer", "loadBalancerIP": "192.0.2.1" })),
            "LoadBalancer takes an address",
        ),
        (
            ClaimPolicy {
                host_ports: allow,
                ..ClaimPolicy::default()
            },
            nested("apps/v1", "Deployment", "/spec/template/spec", port),
            "spec.template.spec.containers[0].ports[0].hostPort: takes a port of the node",
        ),
        (
            ClaimPolicy {
                static_volumes: allow,
                ..ClaimPolicy::default()
            },
            object("v1", "PersistentVolumeClaim", json!({ "spec": { "volumeName": "games" } })),
            "spec.volumeName: could claim a volume",
        ),
    ] {
        let found = refusals(body.clone());
        assert!(found.iter().any(|refusal| refusal.contains(refused)), "{found:?}");
        assert_eq!(admit_with(&claims(policy), vec![body]).err(), None);
    }
}

#[test]
fn feature_x3_an_object_may_ask_to_be_kept_only_where_the_project_lets_it() {
    let asks = |value: &str| {
        object(
            "v1",
            "ConfigMap",
            json!({ "metadata": { "annotations": { "graftling.dev/retain": value } } }),
        )
    };
    check_refused(asks("true"), "set spec.policy.retain of the Project to Allow");
    let allowed = AllowedKinds::default().retain(Permission::Allow);
    assert_eq!(admit_with(&allowed, vec![asks("true")]).map(|admitted| admitted.len()), Ok(1));
    let refused = admit_with(&allowed, vec![asks("yes")]).err().unwrap_or_default();
    assert!(refused[0].contains("must be \"true\""), "{refused:?}");
    let nested = json!({ "metadata": { "labels": { "app": "x" }, "annotations": { "graftling.dev/retain": "true" } } });
    let pods = object(
        "apps/v1",
        "Deployment",
        json!({ "spec": { "selector": { "matchLabels": { "app": "x" } }, "template": nested } }),
    );
    let refused = admit_with(&allowed, vec![pods]).err().unwrap_or_default();
    assert!(refused.iter().any(|text| text.contains("say what is whose")), "{refused:?}");
}
