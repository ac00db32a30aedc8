//! Which claims an object holds, a manifest or a live one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Claim, Holder, Kind, VOLUME_CLAIM};
use crate::domain::manifest::{ENVIRONMENT_LABEL, HOST_ANNOTATIONS, ObjectKey, containers, pod_spec_pointer};

const INGRESS_CLASS: Kind = ("networking.k8s.io", "v1", "IngressClass");
const GATEWAY_CLASS: Kind = ("gateway.networking.k8s.io", "v1", "GatewayClass");
const STORAGE_CLASS: Kind = ("storage.k8s.io", "v1", "StorageClass");
const PRIORITY_CLASS: Kind = ("scheduling.k8s.io", "v1", "PriorityClass");
const RUNTIME_CLASS: Kind = ("node.k8s.io", "v1", "RuntimeClass");

/// Everything that an object claims by what it says.
pub(super) fn claims_of(key: &ObjectKey, body: &Value) -> BTreeSet<Claim> {
    let mut claims = BTreeSet::new();
    of_annotations(body, &mut claims);
    match (key.group.as_str(), key.kind.as_str()) {
        ("networking.k8s.io", "Ingress") => {
            claims.extend(hosts(list(body, "/spec/rules").iter().filter_map(|rule| text(rule, "/host"))));
            claims.extend(class(body, "/spec/ingressClassName", INGRESS_CLASS));
        }
        ("gateway.networking.k8s.io", "Gateway") => {
            let listeners = list(body, "/spec/listeners").iter();
            claims.extend(hosts(listeners.filter_map(|listener| text(listener, "/hostname"))));
            claims.extend(class(body, "/spec/gatewayClassName", GATEWAY_CLASS));
        }
        ("gateway.networking.k8s.io", _) => claims.extend(hosts(list(body, "/spec/hostnames").iter().filter_map(Value::as_str))),
        ("", "Service") => of_service(body, &mut claims),
        ("", "PersistentVolumeClaim") => {
            claims.extend(text(body, "/spec/volumeName").map(|name| Claim::Volume(name.to_owned())));
            claims.extend(class(body, "/spec/storageClassName", STORAGE_CLASS));
        }
        ("apps", "StatefulSet") => {
            let templates = list(body, "/spec/volumeClaimTemplates").iter();
            claims.extend(templates.filter_map(|template| class(template, "/spec/storageClassName", STORAGE_CLASS)));
        }
        _ => {}
    }
    if let Some(spec) = pod_spec_pointer(key).and_then(|pointer| body.pointer(pointer)) {
        of_pod(spec, &mut claims);
    }
    claims
}

/// What a live object has: a volume is its claim's, and a pod that has ended has nothing.
pub fn holders_of(key: ObjectKey, body: &Value) -> Option<Holder> {
    if matches!(text(body, "/status/phase"), Some("Succeeded" | "Failed")) && key.kind == "Pod" {
        return None;
    }
    let environment = body.pointer("/metadata/labels").and_then(|labels| labels.get(ENVIRONMENT_LABEL));
    let environment = environment.and_then(Value::as_str).map(str::to_owned);
    if key.kind == "PersistentVolume" && key.group.is_empty() {
        let claimed = ObjectKey {
            kind: VOLUME_CLAIM.2.to_owned(),
            namespace: Some(text(body, "/spec/claimRef/namespace")?.to_owned()),
            name: text(body, "/spec/claimRef/name")?.to_owned(),
            ..key.clone()
        };
        return Some(Holder {
            key: claimed,
            environment,
            claims: BTreeSet::from([Claim::Volume(key.name)]),
        });
    }
    let claims = claims_of(&key, body);
    (!claims.is_empty()).then_some(Holder { key, environment, claims })
}

fn of_annotations(body: &Value, claims: &mut BTreeSet<Claim>) {
    for annotation in HOST_ANNOTATIONS {
        let value = body
            .pointer("/metadata/annotations")
            .and_then(|annotations| annotations.get(annotation));
        let value = value.and_then(Value::as_str).unwrap_or_default();
        claims.extend(hosts(value.split(',').map(str::trim)));
    }
}

fn of_service(body: &Value, claims: &mut BTreeSet<Claim>) {
    let ports = list(body, "/spec/ports").iter().filter_map(|port| port.get("nodePort"));
    let health = body.pointer("/spec/healthCheckNodePort");
    let numbers = ports.chain(health).filter_map(Value::as_u64).filter(|port| *port > 0);
    claims.extend(numbers.map(Claim::NodePort));
    claims.extend(text(body, "/spec/loadBalancerIP").map(|address| Claim::Address(address.to_owned())));
}

fn of_pod(spec: &Value, claims: &mut BTreeSet<Claim>) {
    claims.extend(class(spec, "/priorityClassName", PRIORITY_CLASS));
    claims.extend(class(spec, "/runtimeClassName", RUNTIME_CLASS));
    for (_, container) in containers(spec) {
        for port in list(container, "/ports") {
            let protocol = text(port, "/protocol").unwrap_or("TCP").to_owned();
            let number = port.get("hostPort").and_then(Value::as_u64).filter(|number| *number > 0);
            claims.extend(number.map(|number| Claim::HostPort(number, protocol)));
        }
    }
    for volume in list(spec, "/volumes") {
        claims.extend(class(volume, "/ephemeral/volumeClaimTemplate/spec/storageClassName", STORAGE_CLASS));
    }
}

fn hosts<'v>(hosts: impl Iterator<Item = &'v str>) -> impl Iterator<Item = Claim> {
    hosts
        .filter(|host| !host.is_empty())
        .map(|host| Claim::Host(host.to_ascii_lowercase()))
}

/// The empty name means that no class is wanted.
fn class(value: &Value, pointer: &str, kind: Kind) -> Option<Claim> {
    let name = text(value, pointer).filter(|name| !name.is_empty())?;
    Some(Claim::Class(kind, name.to_owned()))
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}
