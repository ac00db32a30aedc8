//! The chart, by real helm: what it grants, and what it refuses.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use serde_json::{Value, json};
use testbed::subject;

use crate::world::root;

fn helm(arguments: &[&str]) -> Result<String, String> {
    let folder = root().join("helm/graftling").display().to_string();
    let arguments: Vec<_> = arguments.iter().map(|argument| argument.replace("CHART", &folder)).collect();
    testbed::helm::helm(arguments).map_err(|error| error.to_string())
}

#[test]
fn the_chart_passes_the_strict_lint() {
    helm(&["lint", "--strict", "CHART"]).unwrap();
}

#[test]
fn the_chart_renders_with_the_values_that_people_set_and_refuses_the_others() {
    for values in [
        "replicaCount=3",
        "projectNamespaces={team-a,team-b},watchAllNamespaces=false",
        "rbac.customResources[0].apiGroups={a.example},rbac.customResources[0].resources={widgets}",
        "rbac.clusterScoped[0].apiGroups={scheduling.k8s.io},rbac.clusterScoped[0].resources={priorityclasses}",
        "rbac.clusterScoped[0].apiGroups={cert-manager.io},rbac.clusterScoped[0].resources={clusterissuers}",
        "deployer.create=false,rbac.create=false,admissionPolicies.enabled=false",
        "ingress.enabled=true,ingress.host=hooks.example.com,networkPolicy.enabled=true",
        "metrics.serviceMonitor.enabled=true,leaderElection.enabled=true",
    ] {
        helm(&["template", "release", "CHART", "--namespace", "previews", "--set", values])
            .unwrap_or_else(|error| panic!("{values}: {error}"));
    }
    for values in [
        "unheardOf=1",
        "replicaCount=many",
        "sweepInterval=60",
        "service.type=ExternalName",
        "log.format=xml",
        "admissionPolicies.podSecurityLevels={anything}",
        "projectNamespaces={Not_A_Namespace}",
        "rbac.clusterScoped[0].apiGroups={},rbac.clusterScoped[0].resources={priorityclasses}",
        "rbac.clusterScoped[0].apiGroups={rbac.authorization.k8s.io},rbac.clusterScoped[0].resources={roles}",
        "rbac.clusterScoped[0].apiGroups={scheduling.k8s.io},rbac.clusterScoped[0].resources={*}",
        "rbac.clusterScoped[0].apiGroups={admissionregistration.k8s.io},rbac.clusterScoped[0].resources={validatingwebhookconfigurations}",
        "rbac.clusterScoped[0].apiGroups={apiextensions.k8s.io},rbac.clusterScoped[0].resources={customresourcedefinitions}",
    ] {
        let error = helm(&["template", "release", "CHART", "--namespace", "previews", "--set", values]).expect_err(values);
        assert!(error.contains("values don't meet the specifications"), "{values}: {error}");
    }
}

fn strings<'a>(rule: &'a Value, field: &str) -> Vec<&'a str> {
    rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn threat_t34_no_role_of_the_chart_holds_a_star_or_a_way_to_more() {
    let custom = "rbac.customResources[0].apiGroups={a.example},rbac.customResources[0].resources={widgets}";
    let objects = subject::chart("previews", &[custom.to_owned(), "leaderElection.enabled=true".to_owned()]).unwrap();
    let roles: Vec<_> = objects.iter().filter(|object| object["rules"].is_array()).collect();
    assert!(roles.len() >= 4, "ClusterRoles, project Role and election Role");
    for role in roles {
        let name = &role["metadata"]["name"];
        for rule in role["rules"].as_array().unwrap() {
            for field in ["verbs", "resources", "apiGroups", "nonResourceURLs"] {
                assert!(!strings(rule, field).iter().any(|word| word.contains('*')), "{name}: {rule}");
            }
            let names = strings(rule, "resourceNames");
            for verb in strings(rule, "verbs") {
                match verb {
                    "escalate" => panic!("{name}: {rule}"),
                    "bind" => assert_eq!(names, ["previews-deployer"], "{name}"),
                    "impersonate" => {
                        assert_eq!(
                            (strings(rule, "resources"), names.as_slice()),
                            (vec!["serviceaccounts"], &["graftling-deployer"][..]),
                            "{name}"
                        );
                        assert_eq!(role["kind"], "Role", "{name}");
                    }
                    _ => {}
                }
            }
            let secrets = strings(rule, "resources").contains(&"secrets");
            let of_server = role["metadata"]["name"] == "previews";
            assert!(
                !(secrets && of_server) || strings(rule, "verbs") == ["get"] && role["kind"] == "Role",
                "{name}: {rule}"
            );
        }
    }
    let bound: Vec<_> = objects
        .iter()
        .filter(|object| object["kind"] == "ClusterRoleBinding")
        .map(|object| &object["roleRef"]["name"])
        .collect();
    assert_eq!(bound, [&json!("previews")], "the deployer's role is never bound everywhere");
}

#[test]
fn feature_i5_rights_outside_of_namespaces_are_only_what_the_values_list_and_come_with_a_policy() {
    let values = "rbac.clusterScoped[0].apiGroups={scheduling.k8s.io},rbac.clusterScoped[0].resources={priorityclasses}";
    let named = |objects: &[Value], kind: &str, name: &str| {
        let mut found = objects
            .iter()
            .filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        found.next().cloned()
    };
    let objects = subject::chart("previews", &[values.to_owned()]).unwrap();
    let role = named(&objects, "ClusterRole", "previews-deployer-cluster").unwrap();
    assert_eq!(role["rules"].as_array().unwrap().len(), 1);
    assert_eq!(role["rules"][0]["resources"], json!(["priorityclasses"]));
    let binding = named(&objects, "ClusterRoleBinding", "previews-deployer-cluster").unwrap();
    assert_eq!(
        binding["subjects"],
        json!([{ "kind": "ServiceAccount", "name": "graftling-deployer", "namespace": "previews" }])
    );
    let policy = "previews-cluster-scoped";
    assert!(named(&objects, "ValidatingAdmissionPolicy", policy).is_some());
    assert!(named(&objects, "ValidatingAdmissionPolicyBinding", policy).is_some());
    let plain = subject::chart("previews", &[]).unwrap();
    assert_eq!(named(&plain, "ClusterRoleBinding", "previews-deployer-cluster"), None);
    assert_eq!(named(&plain, "ValidatingAdmissionPolicy", policy), None);
}
