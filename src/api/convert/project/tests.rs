//! Projects as people write them.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use serde_json::{Value, json};

use super::*;
use crate::domain::render::{Layer, Origin};

/// A Project with nothing but what it must have, and `more` over that.
fn stored(more: &Value) -> Project {
    let mut spec = json!({
        "gitHostRef": {"name": "git"},
        "repository": "acme/shop",
        "bundle": {"name": "web"},
        "domain": "preview.example.com",
    });
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    let object = json!({
        "apiVersion": "graftling.dev/v1alpha1",
        "kind": "Project",
        "metadata": {"name": "shop", "namespace": "team"},
        "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

fn problems(more: &Value) -> Vec<String> {
    project(&stored(more)).unwrap_err()
}

#[test]
fn a_short_project_gets_safe_defaults() {
    let project = project(&stored(&json!({}))).unwrap();
    assert_eq!(project.key.to_string(), "team/shop");
    assert_eq!(
        project.host.to_string(),
        "team/git",
        "the GitHost stands in the Project's namespace"
    );
    assert!(project.https && !project.suspended);
    assert_eq!(project.deployer.as_str(), "graftling-deployer");
    assert_eq!(project.guardrails.pod_security, "baseline");
    assert!(!project.guardrails.quota.is_empty() && !project.guardrails.default_limits.is_empty());
    assert!(project.guardrails.ingress_from.is_some_and(|labels| !labels.is_empty()));
    let verdict = project.branches.verdict(&"feature/a".parse().unwrap());
    assert_eq!(verdict, policy::Verdict::Included);
}

#[test]
fn feature_i2_an_empty_quota_means_none_and_a_missing_one_the_default() {
    let guardrails = |settings: Value| project(&stored(&json!({"guardrails": settings}))).unwrap().guardrails;
    assert!(guardrails(json!({"quota": {}})).quota.is_empty());
    assert_eq!(guardrails(json!({"quota": {"pods": "3"}})).quota.len(), 1);
    assert_eq!(guardrails(json!({"network": {"mode": "Open"}})).ingress_from, None);
    assert_eq!(
        guardrails(json!({"network": {"ingressFrom": {}}})).ingress_from,
        Some(BTreeMap::new()),
        "isolated from everybody"
    );
}

#[test]
fn every_problem_is_told_at_once_with_its_field() {
    let found = problems(&json!({
        "repository": "a b",
        "domain": "UPPER",
        "bundle": {"name": "-"},
        "gitHostRef": {"name": "_"},
        "deployer": {"serviceAccountName": "X"},
        "branches": {"include": ["a["]},
        "rules": [{"branches": ["ok"], "values": {}}, {"branches": ["a["], "values": {}}],
        "branchFile": {"allow": ["ok", "a..b"]},
        "policy": {"kinds": ["Widget", "/", "a/b/C", "example.com/Widget", "/Pod"]},
    }));
    for field in [
        "spec.repository: ",
        "spec.domain: ",
        "spec.bundle.name: ",
        "spec.gitHostRef.name: ",
        "spec.deployer.serviceAccountName: ",
        "spec.branches.include: ",
        "spec.rules[1].branches: ",
        "spec.branchFile.allow[1]: ",
    ] {
        assert_eq!(
            found.iter().filter(|problem| problem.starts_with(field)).count(),
            1,
            "{field} {found:?}"
        );
    }
    let of_kinds: Vec<_> = found.iter().filter(|problem| problem.starts_with("spec.policy.kinds: ")).collect();
    assert_eq!(of_kinds.len(), 3, "{of_kinds:?}");
    assert_eq!(found.len(), 11);
}

#[test]
fn feature_n4_a_project_cannot_claim_the_namespaces_of_kubernetes() {
    let mut kube = stored(&json!({}));
    kube.metadata.name = Some("kube-system".into());
    assert!(project(&kube).unwrap_err()[0].starts_with("metadata.name: "));
}

#[test]
fn feature_p1_layers_are_ordered_project_rules_branch_file_environment() {
    let read = project(&stored(&json!({
        "values": {"a": 1},
        "rules": [
            {"branches": ["feature/*", "**"], "values": {"b": 1}},
            {"branches": ["release/*"], "values": {"c": 1}},
            {"branches": ["feature/**"], "values": {"d": 1}},
        ],
        "branchFile": {"allow": ["e"]},
    })))
    .unwrap();
    let file = Layer::new(Origin::BranchFile, json!({"e": 1}).as_object().unwrap().clone());
    let layers = |branch: &str| {
        let layers = read.layers(&branch.parse().unwrap(), Some(file.clone()), json!({"f": 1}).as_object().unwrap());
        layers
            .into_iter()
            .map(|layer| (layer.origin, Value::Object(layer.values)))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        layers("feature/x"),
        [
            (Origin::Project, json!({"a": 1})),
            (Origin::Rule("feature/*".into()), json!({"b": 1})),
            (Origin::Rule("feature/**".into()), json!({"d": 1})),
            (Origin::BranchFile, json!({"e": 1})),
            (Origin::Environment, json!({"f": 1})),
        ]
    );
    let of_release: Vec<_> = layers("release/1").into_iter().map(|(origin, _)| origin).collect();
    assert_eq!(of_release[1..3], [Origin::Rule("**".into()), Origin::Rule("release/*".into())]);
    let closed = project(&stored(&json!({"branchFile": {}}))).unwrap();
    assert!(closed.branch_file.is_empty() && closed.rules.is_empty());
}

#[test]
fn every_source_of_a_bundle_is_read_and_two_or_none_are_refused() {
    let digest = "a".repeat(64);
    for (bundle, shown) in [
        (json!({"name": "web"}), "\"web\""),
        (json!({"directory": {"path": "/srv/bundles/web"}}), "in directory /srv/bundles/web"),
        (json!({"configMap": {"name": "web"}}), "in ConfigMap web"),
        (
            json!({"repository": {"path": "deploy"}}),
            "in repository at deploy (default branch)",
        ),
        (
            json!({"repository": {"path": ".", "from": "Branch"}}),
            "in repository at . (own branch)",
        ),
        (
            json!({"archive": {"url": "https://example.com/web.tgz", "sha256": digest}}),
            "in https://example.com/web.tgz",
        ),
    ] {
        let project = project(&stored(&json!({"bundle": bundle}))).unwrap();
        assert_eq!(project.bundle.to_string(), shown);
    }
    for bundle in [json!({}), json!({"name": "web", "configMap": {"name": "web"}})] {
        let found = problems(&json!({"bundle": bundle}));
        assert!(found[0].starts_with("spec.bundle: exactly one of"), "{found:?}");
    }
}

#[test]
fn threat_t30_a_source_that_could_lead_elsewhere_is_refused_with_its_field() {
    let digest = "a".repeat(64);
    let archive = |url: &str| json!({"archive": {"url": url, "sha256": digest}});
    for (bundle, field) in [
        (json!({"directory": {"path": "srv"}}), "spec.bundle.directory.path: "),
        (json!({"directory": {"path": "/srv/../etc"}}), "spec.bundle.directory.path: "),
        (json!({"repository": {"path": "../x"}}), "spec.bundle.repository.path: "),
        (json!({"repository": {"path": "/x"}}), "spec.bundle.repository.path: "),
        (archive("http://example.com/x"), "spec.bundle.archive.url: "),
        (archive("https://me:pass@example.com/x"), "spec.bundle.archive.url: "),
        (archive("https://example.com\\@evil/x"), "spec.bundle.archive.url: "),
        (archive("https:///x"), "spec.bundle.archive.url: "),
        (
            json!({"archive": {"url": "https://example.com/x", "sha256": "AB"}}),
            "spec.bundle.archive.sha256: ",
        ),
    ] {
        let found = problems(&json!({"bundle": bundle}));
        assert!(found.len() == 1 && found[0].starts_with(field), "{bundle} {found:?}");
    }
}

#[test]
fn feature_i6_nothing_may_be_claimed_by_default_and_the_default_quota_follows_what_may() {
    let plain = project(&stored(&json!({}))).unwrap();
    assert_eq!(plain.claims, ClaimPolicy::default());
    assert_eq!(plain.cluster_scoped, ClusterScoped::Deny);
    let quota = |claims: Value| {
        let project = project(&stored(&json!({"policy": {"claims": claims}}))).unwrap();
        let count = |name: &str| project.guardrails.quota[name].clone();
        (count("services.nodeports"), count("services.loadbalancers"))
    };
    for (claims, nodeports, loadbalancers) in [
        (json!({}), "0", "0"),
        (json!({"nodePorts": "Allow"}), "10", "0"),
        (json!({"loadBalancers": "Allow"}), "10", "10"),
        (json!({"hostPorts": "Allow", "staticVolumes": "Allow"}), "0", "0"),
    ] {
        assert_eq!(quota(claims), (nodeports.to_owned(), loadbalancers.to_owned()));
    }
    let own = json!({"policy": {"claims": {"nodePorts": "Allow"}}, "guardrails": {"quota": {"pods": "1"}}});
    assert_eq!(
        project(&stored(&own)).unwrap().guardrails.quota.len(),
        1,
        "a quota that is set is taken as it is"
    );
}
