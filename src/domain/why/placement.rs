//! Where a pod runs and what it needs there: nodes, volumes, Secrets, ConfigMaps, claims.

use serde_json::Value;

use super::quantity;
use super::scene::{Pod, Subject};
use super::{Class, Explanation, Scene};
use crate::domain::readiness::{list, text};

/// What keeps a pod from a node, or a node from the pod.
pub(super) fn of_pod(pod: &Pod<'_>, scene: &Scene) -> Option<Explanation> {
    let scheduled = list(pod.body, "/status/conditions")
        .iter()
        .find(|condition| text(condition, "/type") == Some("PodScheduled"));
    if let Some(condition) = scheduled.filter(|condition| text(condition, "/status") == Some("False")) {
        let message = text(condition, "/message").unwrap_or_default();
        return Some(unschedulable(pod, scene, message));
    }
    let waits = pod.containers().any(|container| {
        container
            .waits()
            .is_some_and(|(reason, _)| matches!(reason, "ContainerCreating" | "PodInitializing"))
    });
    let has_no_status = list(pod.body, "/status/containerStatuses").is_empty();
    if !waits && !has_no_status {
        return None;
    }
    let (reason, message) = scene.newest_event("Pod", pod.name, &["FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"])?;
    if let Some(missing) = missing(message) {
        return Some(missing.explain(pod, &pod.subject.plain(), message));
    }
    let evidence = [pod.evidence(message)];
    Some(
        match reason {
            "FailedCreatePodSandBox" => Explanation::new(
                Class::NodeTrouble,
                &pod.subject,
                format!("{} cannot start: its machine {} cannot prepare it", pod.subject.plain(), node(pod)),
                "wait: it is tried again by itself; if it stays, ask the platform team about this machine".to_owned(),
            ),
            _ => Explanation::new(
                Class::VolumeNotMounted,
                &pod.subject,
                format!(
                    "{} cannot start: one of its disks cannot be attached to its machine {}",
                    pod.subject.plain(),
                    node(pod)
                ),
                format!(
                    "wait: it is tried again by itself; if it stays, check volumes of {} with the platform team",
                    pod.subject.formal()
                ),
            ),
        }
        .with_evidence(evidence),
    )
}

fn node<'p>(pod: &Pod<'p>) -> &'p str {
    text(pod.body, "/spec/nodeName").unwrap_or_default()
}

fn unschedulable(pod: &Pod<'_>, scene: &Scene, message: &str) -> Explanation {
    let (words, formal) = (pod.subject.plain(), pod.subject.formal());
    let says = |part: &str| message.contains(part);
    let team = "ask the platform team";
    if let Some(claim) = pending_claim(pod, scene, message) {
        return claim;
    }
    let (sentence, next) = match () {
        () if says("Insufficient") => {
            let short: Vec<&str> = ["cpu", "memory", "ephemeral-storage"]
                .into_iter()
                .filter(|resource| says(&format!("Insufficient {resource}")))
                .collect();
            let asked: Vec<String> = short
                .iter()
                .map(|resource| format!("{} {resource}", requested(pod.body, resource)))
                .collect();
            let asked = if asked.is_empty() {
                "more than there is".to_owned()
            } else {
                asked.join(" and ")
            };
            (
                format!("no machine of the cluster has room for {words}: it asks for {asked}"),
                format!("lower resources.requests of {formal}, or {team} for more machines; it starts by itself once there is room"),
            )
        }
        () if says("Too many pods") => (
            format!("no machine of the cluster takes one more program, so {words} waits"),
            format!("wait, or {team} for more machines"),
        ),
        () if says("node affinity/selector") => (
            format!(
                "no machine of the cluster is of the kind that {words} asks for{}",
                selector(pod.body)
            ),
            format!("correct nodeSelector or affinity of {formal}, or {team} for such a machine"),
        ),
        () if says("untolerated taint") => (
            format!(
                "the machines of the cluster are reserved for others ({}), so {words} waits",
                taint(message)
            ),
            format!("add the toleration to {formal} if it may run there, or {team}"),
        ),
        () if says("topology spread") || says("anti-affinity") => (
            format!("{words} asks to be spread over more machines than the cluster has"),
            format!("loosen topologySpreadConstraints or affinity of {formal}"),
        ),
        () if says("free ports") => (
            format!("every machine of the cluster already has somebody on the port that {words} asks for"),
            format!("take hostPort out of {formal}"),
        ),
        () => (
            format!("the cluster has no machine for {words}"),
            format!("{team}: the reason is shown with -o wide"),
        ),
    };
    Explanation::new(Class::Unschedulable, &pod.subject, sentence, next).with_evidence([pod.evidence(message)])
}

/// What all containers of a pod ask for together.
fn requested(pod: &Value, resource: &str) -> String {
    let amounts = list(pod, "/spec/containers").iter().filter_map(|container| {
        let place = format!("/resources/requests/{resource}");
        text(container, &place).or_else(|| text(container, &format!("/resources/limits/{resource}")))
    });
    let amounts: Vec<&str> = amounts.collect();
    match amounts.as_slice() {
        [one] => (*one).to_owned(),
        several => {
            let sum: f64 = several.iter().filter_map(|amount| quantity::value(amount)).sum();
            match resource {
                "cpu" => format!("{sum}"),
                _ => format!("{:.0}Mi", sum / 1_048_576.0),
            }
        }
    }
}

fn selector(pod: &Value) -> String {
    let labels = pod.pointer("/spec/nodeSelector").and_then(Value::as_object);
    let labels: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    match labels.is_empty() {
        true => String::new(),
        false => format!(" ({})", labels.join(", ")),
    }
}

/// `{gpu: yes}` of `1 node(s) had untolerated taint {gpu: yes}`, or in newer words `untolerated taint(s) {…}`.
fn taint(message: &str) -> String {
    let taint = message
        .split_once("untolerated taint")
        .and_then(|(_, rest)| rest.split_once('{'))
        .and_then(|(_, rest)| rest.split_once('}'));
    taint.map_or_else(
        || "a taint".to_owned(),
        |(taint, _)| format!("taint {}", super::masked(taint.trim())),
    )
}

/// A claim that a pod waits for, where the scheduler says so.
fn pending_claim(pod: &Pod<'_>, scene: &Scene, message: &str) -> Option<Explanation> {
    let named = message
        .split_once("persistentvolumeclaim \"")
        .and_then(|(_, rest)| rest.split_once('"'));
    if let Some((name, _)) = named.filter(|_| message.contains("not found")) {
        let sentence = format!(
            "{} cannot start: the disk {name} that it needs is not part of the environment",
            pod.subject.plain()
        );
        let next = format!(
            "add PersistentVolumeClaim {name} to the bundle, or correct volumes of {}",
            pod.subject.formal()
        );
        return Some(Explanation::new(Class::VolumePending, &pod.subject, sentence, next).with_evidence([pod.evidence(message)]));
    }
    if message.contains("volume node affinity conflict") || message.contains("had no available volume zone") {
        let sentence = format!(
            "{} cannot start: its disk is at another place than the machines with room",
            pod.subject.plain()
        );
        let next = format!(
            "delete the claim of {} so that it is made anew, or ask the platform team",
            pod.subject.formal()
        );
        return Some(Explanation::new(Class::VolumePending, &pod.subject, sentence, next).with_evidence([pod.evidence(message)]));
    }
    if !message.contains("unbound immediate PersistentVolumeClaims") && !message.contains("find available persistent volumes") {
        return None;
    }
    let claims = list(pod.body, "/spec/volumes")
        .iter()
        .filter_map(|volume| text(volume, "/persistentVolumeClaim/claimName"));
    let pending = claims.filter_map(|name| scene.claims.iter().find(|claim| text(claim, "/metadata/name") == Some(name)));
    let claim = pending.into_iter().find(|claim| text(claim, "/status/phase") != Some("Bound"))?;
    Some(of_claim(claim, scene))
}

/// Claims that nothing provides a volume for, whoever waits for them.
pub(super) fn of_claims(scene: &Scene) -> Vec<Explanation> {
    let is_pending = |claim: &&Value| {
        let name = text(claim, "/metadata/name").unwrap_or_default();
        // One that waits for its first pod is not in trouble.
        let newest = scene.newest_event(
            "PersistentVolumeClaim",
            name,
            &["ProvisioningFailed", "FailedBinding", "WaitForFirstConsumer"],
        );
        text(claim, "/status/phase") == Some("Lost")
            || text(claim, "/status/phase") == Some("Pending") && newest.is_some_and(|(reason, _)| reason != "WaitForFirstConsumer")
    };
    scene.claims.iter().filter(is_pending).map(|claim| of_claim(claim, scene)).collect()
}

fn of_claim(claim: &Value, scene: &Scene) -> Explanation {
    let subject = Subject::of(&with_kind(claim, "PersistentVolumeClaim"));
    let name = subject.name().to_owned();
    let event = scene.newest_event("PersistentVolumeClaim", &name, &["ProvisioningFailed", "FailedBinding"]);
    let message = event.map(|(_, message)| message).unwrap_or_default();
    let class = text(claim, "/spec/storageClassName");
    let size = text(claim, "/spec/resources/requests/storage").unwrap_or("some space");
    let why = match class {
        _ if text(claim, "/status/phase") == Some("Lost") => "its volume is gone, and the data with it".to_owned(),
        _ if message.contains("no storage class is set") => "the cluster has no default kind of disk".to_owned(),
        Some(class) if message.contains("not found") => format!("the cluster knows no kind of disk {class:?}"),
        Some(class) => format!("nobody has provided {size} of {class:?} yet"),
        None => format!("nobody has provided {size} yet"),
    };
    let sentence = format!("the disk {name} is not there: {why}");
    let next = format!(
        "set spec.storageClassName of {} to a class that the cluster has, or ask the platform team",
        subject.formal()
    );
    let evidence = [format!("{}: {message}", subject.formal())];
    Explanation::new(Class::VolumePending, &subject, sentence, next).with_evidence(evidence)
}

/// Items of a list lack their kind.
fn with_kind(body: &Value, kind: &str) -> Value {
    serde_json::json!({ "kind": kind, "metadata": { "name": text(body, "/metadata/name") } })
}

/// Something that a pod names and that is not there.
pub(super) struct Missing {
    kind: &'static str,
    name: String,
    key: Option<String>,
}

/// What a message of the kubelet misses: `secret "db" not found`, `configmap "web" not found`, `couldn't find key URL in Secret ns/db`,
/// `references non-existent secret key: URL`.
pub(super) fn missing(message: &str) -> Option<Missing> {
    if let Some((_, rest)) = message.split_once("couldn't find key ") {
        let (key, rest) = rest.split_once(" in ")?;
        let (kind, place) = rest.split_once(' ')?;
        let name = place.split_whitespace().next()?;
        return Some(Missing {
            kind: if kind.eq_ignore_ascii_case("secret") {
                "Secret"
            } else {
                "ConfigMap"
            },
            name: name.rsplit('/').next()?.to_owned(),
            key: Some(key.to_owned()),
        });
    }
    if let Some((before, key)) = message.split_once("references non-existent ") {
        let (kind, key) = key.split_once(" key: ")?;
        let volume = before
            .split_once("volume \"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .map(|(volume, _)| volume);
        return Some(Missing {
            kind: if kind.contains("secret") { "Secret" } else { "ConfigMap" },
            name: volume.map(|volume| format!("of volume {volume}")).unwrap_or_default(),
            key: Some(key.split_whitespace().next()?.trim_end_matches(',').to_owned()),
        });
    }
    [("secret \"", "Secret"), ("configmap \"", "ConfigMap")]
        .into_iter()
        .find_map(|(words, kind)| {
            let (_, rest) = message.split_once(words)?;
            let (name, rest) = rest.split_once('"')?;
            rest.trim_start().starts_with("not found").then(|| Missing {
                kind,
                name: name.to_owned(),
                key: None,
            })
        })
}

impl Missing {
    pub(super) fn explain(&self, pod: &Pod<'_>, words: &str, message: &str) -> Explanation {
        let Self { kind, name, key } = self;
        let what = if *kind == "Secret" { "secret" } else { "configuration" };
        let (class, sentence, next) = match key {
            Some(key) => (
                Class::KeyMissing,
                format!("{words} cannot start: the {what} {name} has no entry {key:?}"),
                format!(
                    "add the key {key:?} to {kind} {name}, or correct the key that {} asks for",
                    pod.subject.formal()
                ),
            ),
            None => (
                if *kind == "Secret" {
                    Class::SecretMissing
                } else {
                    Class::ConfigMapMissing
                },
                format!("{words} cannot start: the {what} {name} that it needs does not exist"),
                format!(
                    "add {kind} {name} to the bundle, or correct the name that {} asks for",
                    pod.subject.formal()
                ),
            ),
        };
        Explanation::new(class, &pod.subject, sentence, next).with_evidence([pod.evidence(message)])
    }
}
