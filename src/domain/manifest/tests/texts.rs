//! Numbers and booleans where Kubernetes wants text, and the other way round.

use super::*;

const TEXT: &str = "put it in quotes, or use {{quote …}}";
const NUMBER: &str = "remove the quotes, or use {{int …}}";

fn refusals(body: Value) -> Vec<String> {
    let lines = admit_all(vec![body]).map_or_else(|refusals| refusals, |_| Vec::new());
    lines
        .iter()
        .map(|line| line.splitn(4, ": ").skip(2).collect::<Vec<_>>().join(": "))
        .collect()
}

fn container(fields: Value) -> Value {
    let spec = json!({ "selector": { "matchLabels": { "a": "b" } }, "template": {
        "metadata": { "labels": { "a": "b" } }, "spec": { "containers": [fields] },
    } });
    object("apps/v1", "Deployment", json!({ "spec": spec }))
}

#[test]
fn f82_a_number_or_a_boolean_where_kubernetes_wants_text_is_refused_with_the_way_to_write_it() {
    for (body, wanted) in [
        (
            object("v1", "ConfigMap", json!({ "data": { "port": 8080 } })),
            format!("data[\"port\"]: must be text but is read as the number 8080: {TEXT}"),
        ),
        (
            object("v1", "ConfigMap", json!({ "binaryData": { "x": true } })),
            format!("binaryData[\"x\"]: must be text but is read as true: {TEXT}"),
        ),
        (
            object("v1", "Secret", json!({ "stringData": { "pin": 1234 } })),
            format!("stringData[\"pin\"]: must be text but is read as a number: {TEXT}"),
        ),
        (
            container(json!({ "name": "x", "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": false }] })),
            format!("spec.template.spec.containers[0].env[1].value: must be text but is read as false: {TEXT}"),
        ),
        (
            container(json!({ "name": "x", "args": ["--port", 80] })),
            format!("spec.template.spec.containers[0].args[1]: must be text but is read as the number 80: {TEXT}"),
        ),
        (
            container(json!({ "name": "x", "ports": [{ "containerPort": "80" }] })),
            format!("spec.template.spec.containers[0].ports[0].containerPort: must be a number but is read as text: {NUMBER}"),
        ),
        (
            container(json!({ "name": "x", "securityContext": { "privileged": "false" } })),
            "spec.template.spec.containers[0].securityContext.privileged: must be true or false but is read as text: remove the quotes"
                .into(),
        ),
        (
            object("apps/v1", "Deployment", json!({ "spec": { "replicas": "3" } })),
            format!("spec.replicas: must be a number but is read as text: {NUMBER}"),
        ),
        (
            object(
                "apps/v1",
                "StatefulSet",
                json!({ "spec": { "template": { "metadata": { "labels": { "v": 1.1 } } } } }),
            ),
            format!("spec.template.metadata.labels[\"v\"]: must be text but is read as the number 1.1: {TEXT}"),
        ),
        (
            object("v1", "Service", json!({ "spec": { "ports": [{ "port": "80" }] } })),
            format!("spec.ports[0].port: must be a number but is read as text: {NUMBER}"),
        ),
    ] {
        assert_eq!(refusals(body.clone()), [wanted], "{body}");
    }
}

#[test]
fn what_has_the_right_type_or_takes_either_is_admitted() {
    let fields = json!({
        "name": "x", "args": ["80"], "env": [{ "name": "A", "value": null }, { "name": "B", "value": "1" }],
        "ports": [{ "containerPort": 80 }], "resources": { "limits": { "cpu": 1, "memory": "1Gi" } },
    });
    for body in [
        container(fields),
        object("v1", "ConfigMap", json!({ "data": { "a": "1" }, "immutable": true })),
        object(
            "v1",
            "Service",
            json!({ "spec": { "ports": [{ "port": 80, "targetPort": "http" }, { "port": 81, "targetPort": 81, "name": "b" }] } }),
        ),
    ] {
        assert_eq!(refusals(body.clone()), Vec::<String>::new(), "{body}");
    }
}
