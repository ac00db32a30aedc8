//! The fences, as they are written to the cluster.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use super::*;

fn settings() -> Guardrails {
    let own = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    Guardrails {
        quota: own(&[("pods", "50"), ("requests.cpu", "4")]),
        default_limits: own(&[("memory", "512Mi")]),
        default_requests: own(&[("cpu", "50m"), ("memory", "128Mi")]),
        ingress_from: Some(own(&[("kubernetes.io/metadata.name", "ingress-nginx")])),
        checks_from: BTreeMap::new(),
        internet: true,
        pod_security: "baseline",
    }
}

/// The namespace, then the guardrails.
fn fenced(settings: &Guardrails, branch: &str) -> Vec<Manifest> {
    let (environment, project) = ("shop-a-aaaaaaaaaa".parse().unwrap(), "team/shop".parse().unwrap());
    let (deployer, deployer_role) = ("deployer".parse().unwrap(), "graftling-deployer".parse().unwrap());
    let fence = Fence {
        environment: &environment,
        environment_uid: "0b1c",
        branch,
        project: &project,
        guardrails: settings,
        deployer: &deployer,
        deployer_role: &deployer_role,
    };
    std::iter::once(namespace(&fence)).chain(guardrails(&fence)).collect()
}

fn kinds(manifests: &[Manifest]) -> Vec<&str> {
    manifests.iter().map(|manifest| manifest.key.kind.as_str()).collect()
}

fn ingress_rules(manifests: &[Manifest]) -> &Value {
    let policy = manifests.iter().find(|manifest| manifest.key.name == "graftling-ingress").unwrap();
    &policy.body["spec"]["ingress"][0]["from"]
}

#[test]
fn the_fences_of_an_ordinary_project_are_these() {
    let bodies: Vec<_> = fenced(&settings(), "feature/a").into_iter().map(|manifest| manifest.body).collect();
    insta::assert_snapshot!(serde_json::to_string_pretty(&bodies).unwrap());
}

#[test]
fn feature_i1_every_fence_bears_the_label_of_the_environment_and_stands_in_its_namespace() {
    for manifest in fenced(&settings(), "a") {
        assert_eq!(
            manifest.body["metadata"]["labels"]["graftling.dev/environment"], "shop-a-aaaaaaaaaa",
            "{}",
            manifest.key
        );
        assert_eq!(
            manifest.body["metadata"]["name"].as_str(),
            Some(manifest.key.name.as_str()),
            "{}",
            manifest.key
        );
        assert_eq!(manifest.body["metadata"]["namespace"].as_str(), manifest.key.namespace.as_deref());
        assert_eq!(
            manifest.body["apiVersion"].as_str(),
            Some(manifest.key.api_version().as_str()),
            "{}",
            manifest.key
        );
        assert_eq!(manifest.body["kind"].as_str(), Some(manifest.key.kind.as_str()));
        let inside = manifest.key.namespace.as_deref();
        assert_eq!(inside.is_none(), manifest.key.kind == "Namespace");
        assert!(inside.is_none_or(|namespace| namespace == "shop-a-aaaaaaaaaa"));
    }
}

#[test]
fn feature_i3_nobody_is_let_in_from_outside_if_no_namespace_is_named() {
    let mut settings = settings();
    assert_eq!(ingress_rules(&fenced(&settings, "a")).as_array().unwrap().len(), 2);
    settings.ingress_from = Some(BTreeMap::new());
    let manifests = fenced(&settings, "a");
    assert_eq!(
        *ingress_rules(&manifests),
        json!([{"podSelector": {}}]),
        "an empty selector would select every namespace"
    );
}

#[test]
fn feature_s1_checks_are_let_in_from_the_namespace_that_is_named_for_them() {
    let mut settings = settings();
    settings.checks_from = BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), "graftling".to_owned())]);
    let manifests = fenced(&settings, "a");
    let selector = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "graftling"}}});
    assert!(ingress_rules(&manifests).as_array().unwrap().contains(&selector));
}

#[test]
fn feature_i2_what_is_switched_off_is_not_made() {
    let mut settings = settings();
    settings.quota.clear();
    settings.default_limits.clear();
    settings.ingress_from = None;
    assert_eq!(
        kinds(&fenced(&settings, "a")),
        ["Namespace", "RoleBinding", "LimitRange"],
        "requests alone make a LimitRange"
    );
    settings.default_requests.clear();
    assert_eq!(kinds(&fenced(&settings, "a")), ["Namespace", "RoleBinding"]);
}

#[test]
fn f80_a_branch_of_any_name_stands_in_an_annotation_and_in_no_label() {
    let branch = format!("feature/{}", "ä".repeat(100));
    let manifests = fenced(&settings(), &branch);
    assert_eq!(
        manifests[0].body["metadata"]["annotations"]["graftling.dev/branch"],
        branch.as_str()
    );
    for manifest in &manifests {
        let labels = manifest.body["metadata"]["labels"].as_object().unwrap();
        assert!(labels.values().all(|value| value.as_str().is_some_and(|text| text.len() <= 63)));
    }
}

#[test]
fn threat_t17_the_namespace_enforces_the_level_that_the_project_asks_for() {
    for level in ["privileged", "baseline", "restricted"] {
        let settings = Guardrails {
            pod_security: level,
            ..settings()
        };
        let labels = &fenced(&settings, "a")[0].body["metadata"]["labels"];
        for mode in ["enforce", "audit", "warn"] {
            assert_eq!(labels[format!("pod-security.kubernetes.io/{mode}")], level);
        }
    }
}

#[test]
fn the_same_settings_give_the_same_fences() {
    assert_eq!(fenced(&settings(), "a"), fenced(&settings(), "a"));
}

#[test]
fn a_quota_of_secrets_has_room_for_run_records_and_no_other_quota_changes() {
    let quota = [("count/secrets", "5"), ("secrets", "many"), ("pods", "5")].map(|(name, hard)| (name.to_owned(), hard.to_owned()));
    assert_eq!(
        with_room(&quota.into()),
        [
            ("count/secrets", (5 + ROOM).to_string()),
            ("secrets", "many".into()),
            ("pods", "5".into())
        ]
        .map(|(name, hard)| (name.to_owned(), hard))
        .into()
    );
}
