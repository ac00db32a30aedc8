#![allow(clippy::unwrap_used, reason = "an object that cannot be read is the test's failure")]

use super::*;
use crate::domain::inventory::Stage;
use crate::domain::observed::Marks;

const MARKS: Marks<'static> = Marks {
    field_manager: "graftling",
    environment_label: "graftling.dev/environment",
    environment_uid_annotation: "graftling.dev/environment-uid",
};

fn environment() -> EnvironmentName {
    "shop-a-aaaaaaaaaa".parse().unwrap()
}

/// A live object of which we applied `spec` as far as `ours` says, in the form of managed fields.
fn workload(version: &str, kind: &str, spec: Value, ours: Value, status: Value) -> Workload {
    let (group, short) = version.split_once('/').unwrap_or(("", version));
    let key = ObjectKey {
        group: group.into(),
        version: short.into(),
        kind: kind.into(),
        namespace: Some("shop-a-aaaaaaaaaa".into()),
        name: "web".into(),
    };
    let whole = json!({
        "apiVersion": version, "kind": kind,
        "metadata": {
            "name": "web", "namespace": "shop-a-aaaaaaaaaa", "uid": "u", "resourceVersion": "7",
            "labels": { "graftling.dev/environment": "shop-a-aaaaaaaaaa", "team": "other" },
            "managedFields": [{
                "manager": "graftling", "operation": "Apply",
                "fieldsV1": { "f:metadata": { "f:labels": { "f:graftling.dev/environment": {} } }, "f:spec": ours },
            }],
        },
        "spec": spec, "status": status,
    });
    seen(key, whole)
}

fn seen(key: ObjectKey, whole: Value) -> Workload {
    Workload {
        live: LiveObject::from_body(key, &whole, MARKS).unwrap(),
        whole,
    }
}

fn inventory(workload: &Workload) -> Inventory {
    let entry = Entry {
        uid: Some("u".into()),
        digest: Some("d".into()),
        ..Entry::ahead(Stage::Deploy)
    };
    Inventory::from_entries([(workload.live.key.clone(), entry)])
}

fn planned(workload: &Workload, plan: impl Fn(&Whose<'_>, &[Workload]) -> Plan) -> Plan {
    let (environment, inventory) = (environment(), inventory(workload));
    let whose = Whose {
        environment: &environment,
        inventory: &inventory,
        field_manager: "graftling",
    };
    plan(&whose, std::slice::from_ref(workload))
}

fn body(plan: &Plan) -> &Value {
    match plan.steps.as_slice() {
        [Step::Apply(applies)] => {
            assert_eq!(applies.len(), 1);
            assert_eq!(applies[0].fence, Fence::Uid("u".into()));
            &applies[0].manifest.body
        }
        other => panic!("not one apply: {other:?}"),
    }
}

/// Applies to a workload as the API server would: what is applied is ours, and so is nothing else.
fn after(workload: &Workload, applied: &Value) -> Workload {
    let mut whole = workload.whole.clone();
    merge(&mut whole, applied);
    whole["metadata"]["managedFields"] = json!([{
        "manager": "graftling", "operation": "Apply",
        "fieldsV1": { "f:metadata": fields(&applied["metadata"]), "f:spec": fields(&applied["spec"]) },
    }]);
    seen(workload.live.key.clone(), whole)
}

fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => over
            .iter()
            .for_each(|(key, value)| merge(base.entry(key).or_insert(Value::Null), value)),
        (base, over) => *base = over.clone(),
    }
}

fn fields(value: &Value) -> Value {
    match value {
        Value::Object(entries) => Value::Object(entries.iter().map(|(key, value)| (format!("f:{key}"), fields(value))).collect()),
        _ => json!({}),
    }
}

/// Rests, checks that the rest is steady, and comes back: the two bodies.
fn there_and_back(workload: &Workload) -> (Value, Value) {
    let down = body(&planned(workload, plan)).clone();
    let at_rest = after(workload, &down);
    assert!(planned(&at_rest, plan).is_quiet(), "at rest there is nothing to do");
    let back = body(&planned(&at_rest, plan_return)).clone();
    (down, back)
}

#[test]
fn feature_x12_a_deployment_is_scaled_to_zero_and_back_and_nothing_else_of_it_changes() {
    let spec = json!({ "replicas": 3, "paused": false, "template": { "spec": { "hostname": "a" } } });
    let ours = json!({ "f:replicas": {}, "f:template": { "f:spec": { "f:hostname": {} } } });
    let workload = workload("apps/v1", "Deployment", spec, ours, json!({}));
    let (down, back) = there_and_back(&workload);
    assert_eq!(down["spec"], json!({ "replicas": 0, "template": { "spec": { "hostname": "a" } } }));
    assert_eq!(
        down["metadata"]["labels"],
        json!({ "graftling.dev/environment": "shop-a-aaaaaaaaaa" }),
        "labels of others are not ours"
    );
    assert_eq!(down["metadata"]["annotations"][RESTING_ANNOTATION], r#"{"/spec/replicas":3}"#);
    assert_eq!(back, owned(&workload.whole, "graftling"));
}

#[test]
fn feature_x12_replicas_that_an_autoscaler_sets_are_left_to_it_when_the_environment_is_back() {
    let workload = workload(
        "apps/v1",
        "Deployment",
        json!({ "replicas": 5, "paused": true }),
        json!({ "f:paused": {} }),
        json!({}),
    );
    let (down, back) = there_and_back(&workload);
    assert_eq!(down["spec"], json!({ "replicas": 0, "paused": true }));
    assert_eq!(back["spec"], json!({ "paused": true }));
}

#[test]
fn feature_x12_a_stateful_set_keeps_its_claims_although_it_would_drop_them_when_it_shrinks() {
    let policy = json!({ "whenScaled": "Delete", "whenDeleted": "Delete" });
    let spec = json!({ "replicas": 2, "persistentVolumeClaimRetentionPolicy": policy });
    let ours = json!({ "f:replicas": {}, "f:persistentVolumeClaimRetentionPolicy": { "f:whenScaled": {}, "f:whenDeleted": {} } });
    let workload = workload("apps/v1", "StatefulSet", spec.clone(), ours, json!({}));
    let (down, back) = there_and_back(&workload);
    assert_eq!(down["spec"]["replicas"], 0);
    assert_eq!(
        down["spec"]["persistentVolumeClaimRetentionPolicy"],
        json!({ "whenScaled": "Retain", "whenDeleted": "Delete" })
    );
    assert_eq!(back["spec"], spec);
}

#[test]
fn feature_x12_cron_jobs_and_jobs_that_run_are_suspended_and_jobs_that_are_over_are_left() {
    for (kind, status) in [("CronJob", json!({})), ("Job", json!({ "active": 1 }))] {
        let spec = json!({ "suspend": false, "parallelism": 1 });
        let workload = workload("batch/v1", kind, spec, json!({ "f:parallelism": {} }), status);
        let (down, back) = there_and_back(&workload);
        assert_eq!(
            (&down["spec"]["suspend"], &back["spec"]),
            (&json!(true), &json!({ "parallelism": 1 })),
            "{kind}"
        );
    }
    let over = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
    let workload = workload("batch/v1", "Job", json!({}), json!({}), over);
    assert!(planned(&workload, plan).is_quiet());
}

#[test]
fn feature_x12_a_daemon_set_finds_no_node_at_rest() {
    let spec = json!({ "template": { "spec": { "nodeSelector": { "disk": "fast" } } } });
    let ours = json!({ "f:template": { "f:spec": { "f:nodeSelector": { "f:disk": {} } } } });
    let workload = workload("apps/v1", "DaemonSet", spec.clone(), ours, json!({ "currentNumberScheduled": 1 }));
    let (down, back) = there_and_back(&workload);
    assert_eq!(
        down["spec"]["template"]["spec"]["nodeSelector"],
        json!({ "disk": "fast", "graftling.dev/resting": "true" })
    );
    assert_eq!(back["spec"], spec);
}

#[test]
fn feature_x12_only_an_autoscaler_that_may_begin_at_zero_is_held() {
    let zero = workload(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        json!({ "minReplicas": 0 }),
        json!({ "f:minReplicas": {} }),
        json!({}),
    );
    let (down, back) = there_and_back(&zero);
    assert_eq!((&down["spec"]["minReplicas"], &back["spec"]["minReplicas"]), (&json!(1), &json!(0)));
    let two = workload(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        json!({ "minReplicas": 2 }),
        json!({}),
        json!({}),
    );
    assert!(planned(&two, plan).is_quiet(), "a workload without replicas is left alone by it");
}

#[test]
fn feature_x12_who_scales_something_up_meanwhile_is_overruled_and_what_it_was_is_not_forgotten() {
    let first = workload(
        "apps/v1",
        "Deployment",
        json!({ "replicas": 3 }),
        json!({ "f:replicas": {} }),
        json!({}),
    );
    let mut edited = after(&first, body(&planned(&first, plan)));
    edited.whole["spec"]["replicas"] = json!(1);
    edited.whole["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"] = json!({});
    let again = body(&planned(&edited, plan)).clone();
    assert_eq!(again["spec"]["replicas"], 0);
    let back = body(&planned(&after(&edited, &again), plan_return)).clone();
    assert_eq!(back["spec"]["replicas"], 3);
}

#[test]
fn feature_x12_a_forged_memory_brings_nothing_but_the_fields_of_a_rest() {
    let first = workload(
        "apps/v1",
        "Deployment",
        json!({ "replicas": 3 }),
        json!({ "f:replicas": {} }),
        json!({}),
    );
    let mut forged = after(&first, body(&planned(&first, plan)));
    for text in [
        r#"{"/spec/template/spec/serviceAccountName":"admin","/spec/replicas":2}"#,
        "not JSON",
    ] {
        forged.whole["metadata"]["annotations"][RESTING_ANNOTATION] = json!(text);
        let back = body(&planned(&forged, plan_return)).clone();
        assert_eq!(back.pointer("/spec/template"), None, "{text}");
        assert_eq!(back["metadata"].get("annotations"), None, "{text}");
    }
}

#[test]
fn feature_x12_a_pod_of_the_bundle_goes_under_its_uid_and_one_that_is_over_stays() {
    let runs = workload("v1", "Pod", json!({}), json!({}), json!({ "phase": "Running" }));
    let plan_of = |workload: &Workload| planned(workload, plan);
    let Step::Delete(deletes) = plan_of(&runs).steps.remove(0) else {
        panic!("a deletion")
    };
    assert_eq!((deletes[0].uid.as_str(), &deletes[0].removal), ("u", &Removal::Delete));
    let over = workload("v1", "Pod", json!({}), json!({}), json!({ "phase": "Succeeded" }));
    assert!(plan_of(&over).is_quiet());
}

#[test]
fn feature_x12_what_is_not_ours_and_what_holds_data_is_left_alone() {
    let first = workload(
        "apps/v1",
        "Deployment",
        json!({ "replicas": 3 }),
        json!({ "f:replicas": {} }),
        json!({}),
    );
    let mut other = first.clone();
    other.live.uid = "another".into();
    assert!(planned(&other, plan).is_quiet());
    for kind in ["PersistentVolumeClaim", "Secret", "ConfigMap", "Service", "ServiceAccount"] {
        assert!(!concerns(&workload("v1", kind, json!({}), json!({}), json!({})).live.key), "{kind}");
    }
}

#[test]
fn feature_x12_it_is_told_how_many_pods_are_still_there() {
    let first = workload(
        "apps/v1",
        "Deployment",
        json!({ "replicas": 3 }),
        json!({ "f:replicas": {} }),
        json!({ "replicas": 2 }),
    );
    let at_rest = after(&first, body(&planned(&first, plan)));
    let waiting = planned(&at_rest, plan).waiting;
    assert_eq!(waiting[0].reason, "waits for 2 pods to end");
}
