//! What was read of a namespace, and how its parts hang together.

use serde::Deserialize;
use serde_json::Value;

use crate::domain::readiness::{list, number, text};

/// What was read of an environment's namespace: bodies as the API server sent them.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Scene {
    /// The environment's objects that are not ready.
    pub unready: Vec<Value>,
    /// All pods.
    pub pods: Vec<Value>,
    /// All ReplicaSets, which say whose pods are whose.
    pub replica_sets: Vec<Value>,
    /// The namespace's Events, in any order.
    pub events: Vec<Value>,
    /// All Services.
    pub services: Vec<Value>,
    /// All PersistentVolumeClaims.
    pub claims: Vec<Value>,
    /// The last words of a container that ended, if they were read.
    pub log: Option<LogTail>,
}

/// The end of a container's log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogTail {
    /// The pod's name.
    pub pod: String,
    /// The container's name.
    pub container: String,
    /// Its last lines.
    pub text: String,
}

/// What a sentence is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    kind: String,
    name: String,
}

/// A pod and what made it.
#[derive(Debug, Clone)]
pub(super) struct Pod<'a> {
    pub(super) body: &'a Value,
    pub(super) name: &'a str,
    pub(super) subject: Subject,
}

/// A container of a pod.
#[derive(Debug, Clone, Copy)]
pub(super) struct Container<'a> {
    pub(super) name: &'a str,
    pub(super) status: &'a Value,
    pub(super) spec: &'a Value,
    pub(super) is_init: bool,
    is_only: bool,
}

// === impl Scene ===

impl Scene {
    /// Pods that may say why something is not ready: neither ending nor done.
    pub(super) fn pods(&self) -> impl Iterator<Item = Pod<'_>> {
        let counts = |body: &&Value| {
            let ending = body.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null());
            !ending && text(body, "/status/phase") != Some("Succeeded")
        };
        self.pods.iter().filter(counts).map(|body| Pod {
            body,
            name: text(body, "/metadata/name").unwrap_or_default(),
            subject: self.owner(body),
        })
    }

    /// What a pod belongs to, as far up as is known.
    fn owner(&self, pod: &Value) -> Subject {
        let own = || Subject::new("Pod", text(pod, "/metadata/name").unwrap_or_default());
        let Some(owner) = controller(pod) else { return own() };
        if owner.kind != "ReplicaSet" {
            return owner;
        }
        let set = self
            .replica_sets
            .iter()
            .find(|set| text(set, "/metadata/name") == Some(owner.name.as_str()));
        set.and_then(controller).unwrap_or_else(|| {
            let hash = text(pod, "/metadata/labels/pod-template-hash").map(|hash| format!("-{hash}"));
            let name = hash.and_then(|hash| owner.name.strip_suffix(&hash).map(str::to_owned));
            name.map_or(owner, |name| Subject::new("Deployment", &name))
        })
    }

    /// Messages of Events with this reason about an object, newest first.
    pub(super) fn events(&self, kind: &str, name: &str, reason: &str) -> Vec<&str> {
        let mut found: Vec<(&str, &str)> = self
            .events
            .iter()
            .filter(|event| about(event, "kind") == Some(kind) && about(event, "name") == Some(name))
            .filter(|event| text(event, "/reason") == Some(reason))
            .map(|event| {
                (
                    time(event),
                    text(event, "/message").or_else(|| text(event, "/note")).unwrap_or_default(),
                )
            })
            .collect();
        found.sort_by(|left, right| right.0.cmp(left.0));
        found.into_iter().map(|(_, message)| message).collect()
    }

    /// The newest Event about an object: its reason and its message.
    pub(super) fn newest_event(&self, kind: &str, name: &str, reasons: &[&str]) -> Option<(&str, &str)> {
        let of = self.events.iter().filter(|event| {
            about(event, "kind") == Some(kind)
                && about(event, "name") == Some(name)
                && text(event, "/reason").is_some_and(|reason| reasons.contains(&reason))
        });
        let newest = of.max_by(|left, right| time(left).cmp(time(right)))?;
        Some((
            text(newest, "/reason")?,
            text(newest, "/message").or_else(|| text(newest, "/note")).unwrap_or_default(),
        ))
    }

    /// The last line that a container wrote, if it was read; masked.
    pub(super) fn last_words(&self, pod: &Pod<'_>, container: &Container<'_>) -> Option<String> {
        let log = self.log.as_ref()?;
        if log.pod != pod.name || log.container != container.name {
            return None;
        }
        last_line(&log.text)
    }
}

/// The last line that says something, masked.
pub(super) fn last_line(log: &str) -> Option<String> {
    let masked = super::mask::masked_text(log);
    let line = masked
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| line.chars().any(char::is_alphanumeric))?;
    let line = super::mask::cut(line, super::MAX_LINE);
    (!line.is_empty()).then_some(line)
}

/// The container whose log says most about what is wrong, by pod and container: one that ended with an error, and whether what ended is
/// its run before the present one.
pub fn crashed_container(scene: &Scene) -> Option<(String, String, bool)> {
    let mut crashed = scene.pods().flat_map(|pod| {
        let containers: Vec<_> = pod.containers().collect();
        containers.into_iter().filter_map(move |container| {
            let ended = container.ended()?;
            let code = number(ended, "/exitCode").unwrap_or_default();
            let is_previous = container.status.pointer("/state/running").is_some();
            let rank = (code == 0, text(ended, "/reason") == Some("OOMKilled"), is_previous);
            Some((rank, pod.name.to_owned(), container.name.to_owned(), is_previous))
        })
    });
    let first = crashed.next()?;
    let best = crashed.fold(first, |best, next| if next.0 < best.0 { next } else { best });
    Some((best.1, best.2, best.3))
}

fn about<'e>(event: &'e Value, field: &str) -> Option<&'e str> {
    text(event, &format!("/involvedObject/{field}")).or_else(|| text(event, &format!("/regarding/{field}")))
}

fn time(event: &Value) -> &str {
    let places = [
        "/lastTimestamp",
        "/series/lastObservedTime",
        "/eventTime",
        "/metadata/creationTimestamp",
    ];
    places.iter().find_map(|place| text(event, place)).unwrap_or_default()
}

fn controller(body: &Value) -> Option<Subject> {
    let owner = list(body, "/metadata/ownerReferences")
        .iter()
        .find(|owner| owner.pointer("/controller").and_then(Value::as_bool) == Some(true))?;
    Some(Subject::new(text(owner, "/kind")?, text(owner, "/name")?))
}

// === impl Subject ===

impl Subject {
    /// A subject of this kind and name.
    pub fn new(kind: &str, name: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
        }
    }

    pub(super) fn of(body: &Value) -> Self {
        Self::new(
            text(body, "/kind").unwrap_or("object"),
            text(body, "/metadata/name").unwrap_or_default(),
        )
    }

    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// As people call it: what runs is called by its name alone.
    pub(super) fn plain(&self) -> String {
        match self.kind.as_str() {
            "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Pod" => self.name.clone(),
            "Job" | "CronJob" => format!("the job {}", self.name),
            "PersistentVolumeClaim" => format!("the disk {}", self.name),
            kind => format!("{kind} {}", self.name),
        }
    }

    /// As Kubernetes calls it.
    pub fn formal(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

// === impl Pod ===

impl<'a> Pod<'a> {
    /// Its containers that have a status, those that run first first.
    pub(super) fn containers(&self) -> impl Iterator<Item = Container<'a>> {
        let body = self.body;
        let is_only = list(body, "/spec/containers").len() + list(body, "/spec/initContainers").len() == 1;
        let of = move |field: &'static str, specs: &'static str, is_init: bool| {
            list(body, field).iter().filter_map(move |status| {
                let name = text(status, "/name")?;
                let spec = list(body, specs).iter().find(|spec| text(spec, "/name") == Some(name));
                Some(Container {
                    name,
                    status,
                    spec: spec.unwrap_or(&Value::Null),
                    is_init,
                    is_only,
                })
            })
        };
        of("/status/initContainerStatuses", "/spec/initContainers", true).chain(of("/status/containerStatuses", "/spec/containers", false))
    }

    /// What its sentence begins with: the subject, and the container where there are several.
    pub(super) fn words(&self, container: &Container<'_>) -> String {
        match container.is_only || container.name == self.subject.name() {
            true => self.subject.plain(),
            false => format!("{} ({})", self.subject.plain(), container.name),
        }
    }

    /// Where a field of a container is written: `image of container app of Deployment web`.
    pub(super) fn field(&self, container: &Container<'_>, field: &str) -> String {
        let kind = if container.is_init { "init container" } else { "container" };
        format!("{field} of {kind} {} of {}", container.name, self.subject.formal())
    }

    pub(super) fn evidence(&self, what: &str) -> String {
        format!("Pod {}: {what}", self.name)
    }
}

// === impl Container ===

impl<'a> Container<'a> {
    /// What it waits for: a reason and a message.
    pub(super) fn waits(&self) -> Option<(&'a str, &'a str)> {
        let reason = text(self.status, "/state/waiting/reason")?;
        Some((reason, text(self.status, "/state/waiting/message").unwrap_or_default()))
    }

    /// How it ended, now or the time before; nothing if it never did, or is well after a restart.
    pub(super) fn ended(&self) -> Option<&'a Value> {
        let is_ready = self.status.pointer("/ready").and_then(Value::as_bool) == Some(true);
        if let Some(ended) = self.status.pointer("/state/terminated").filter(|ended| ended.is_object()) {
            // An init container that has done its work, and a container that may end.
            let is_done = number(ended, "/exitCode") == Some(0) && (self.is_init || is_ready);
            return (!is_done).then_some(ended);
        }
        if is_ready {
            return None;
        }
        self.status.pointer("/lastState/terminated").filter(|ended| ended.is_object())
    }

    pub(super) fn restarts(&self) -> i64 {
        number(self.status, "/restartCount").unwrap_or_default()
    }

    /// The image as it is written.
    pub(super) fn image(&self) -> &'a str {
        text(self.spec, "/image").or_else(|| text(self.status, "/image")).unwrap_or("?")
    }
}
