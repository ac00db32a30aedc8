//! Health checks: who runs and does not say that it is ready, and who is restarted because of it.

use serde_json::Value;

use super::container::declared_ports;
use super::scene::{Container, Pod};
use super::{Class, Explanation, Scene};
use crate::domain::readiness::{list, number, text};

/// A container that runs and is not ready, because its check fails.
pub(super) fn of_pod(pod: &Pod<'_>, scene: &Scene) -> Option<Explanation> {
    let unready = |container: &Container<'_>| {
        let is_ready = container.status.pointer("/ready").and_then(Value::as_bool) == Some(true);
        !is_ready && !container.is_init && container.status.pointer("/state/running").is_some()
    };
    pod.containers().filter(unready).find_map(|container| {
        let (which, message) = newest(pod, scene, &["Readiness", "Startup"])?;
        Some(failing(pod, &container, &which, message))
    })
}

/// A container that ended because the kubelet ended it, as its health check failed.
pub(super) fn of_killed(pod: &Pod<'_>, container: &Container<'_>, scene: &Scene) -> Option<Explanation> {
    let killed = scene.events("Pod", pod.name, "Killing");
    let named = format!("Container {} failed ", container.name);
    let event = killed.iter().find(|event| event.starts_with(&named) && event.contains("probe"))?;
    let which = if event.contains("startup") { "Startup" } else { "Liveness" };
    let (_, message) = newest(pod, scene, &[which]).unwrap_or((which.to_owned(), ""));
    let check = Check::of(container, which);
    let sentence = format!(
        "{} is restarted again and again because its health check {}",
        pod.words(container),
        check.result(message)
    );
    let next = format!(
        "let the program answer its check in time, or correct {} ({})",
        pod.field(container, check.field),
        check.words()
    );
    let evidence = [pod.evidence(event), pod.evidence(message)];
    Some(Explanation::new(Class::LivenessFailing, &pod.subject, sentence, next).with_evidence(evidence))
}

/// The newest failure of a check of one of these kinds: `Readiness probe failed: HTTP probe failed with statuscode: 503`.
fn newest<'s>(pod: &Pod<'_>, scene: &'s Scene, kinds: &[&str]) -> Option<(String, &'s str)> {
    scene.events("Pod", pod.name, "Unhealthy").into_iter().find_map(|event| {
        let (kind, message) = event.split_once(" probe ")?;
        kinds.contains(&kind).then(|| (kind.to_owned(), message))
    })
}

fn failing(pod: &Pod<'_>, container: &Container<'_>, which: &str, message: &str) -> Explanation {
    let check = Check::of(container, which);
    let evidence = [pod.evidence(&format!("{which} probe {message}"))];
    let declared = declared_ports(pod.body);
    let ports: Vec<String> = declared.iter().map(|(port, _)| port.to_string()).collect();
    let is_elsewhere = check
        .port
        .is_some_and(|port| !declared.is_empty() && declared.iter().all(|(declared, _)| *declared != port));
    if is_refused(message) && is_elsewhere {
        let sentence = format!(
            "{} runs, but its check asks on port {}, where nobody listens: it says that it listens on {}",
            pod.words(container),
            check.port.unwrap_or_default(),
            ports.join(", ")
        );
        let next = format!("correct the port in {}", pod.field(container, check.field));
        return Explanation::new(Class::PortMismatch, &pod.subject, sentence, next).with_evidence(evidence);
    }
    let sentence = format!(
        "{} runs but does not become ready: its check {}",
        pod.words(container),
        check.result(message)
    );
    let next = format!(
        "let the program answer, or correct {} ({})",
        pod.field(container, check.field),
        check.words()
    );
    Explanation::new(Class::ProbeFailing, &pod.subject, sentence, next).with_evidence(evidence)
}

fn is_refused(message: &str) -> bool {
    message.contains("connection refused")
}

/// A check as it is written.
struct Check<'a> {
    field: &'static str,
    probe: Option<&'a Value>,
    /// The port as a number, where it is known.
    port: Option<i64>,
}

impl<'a> Check<'a> {
    fn of(container: &Container<'a>, which: &str) -> Self {
        let field = match which {
            "Readiness" => "readinessProbe",
            "Startup" => "startupProbe",
            _ => "livenessProbe",
        };
        let probe = container.spec.get(field);
        let port = probe.and_then(|probe| {
            let port = ["httpGet", "tcpSocket", "grpc"]
                .iter()
                .find_map(|kind| probe.get(kind)?.get("port"))?;
            port.as_i64().or_else(|| {
                let name = port.as_str()?;
                let ports = list(container.spec, "/ports").iter();
                ports
                    .into_iter()
                    .find(|port| text(port, "/name") == Some(name))
                    .and_then(|port| number(port, "/containerPort"))
            })
        });
        Self { field, probe, port }
    }

    /// What it does: `GET /healthz on port 8080`.
    fn words(&self) -> String {
        let port = self.port.map(|port| format!(" on port {port}")).unwrap_or_default();
        let Some(probe) = self.probe else { return "its check".to_owned() };
        if let Some(get) = probe.get("httpGet") {
            return format!("GET {}{port}", text(get, "/path").unwrap_or("/"));
        }
        match probe.get("exec") {
            Some(exec) => {
                let command: Vec<&str> = list(exec, "/command").iter().filter_map(Value::as_str).collect();
                super::masked(&format!("`{}`", command.join(" ")))
            }
            None => format!("a connection{port}"),
        }
    }

    /// What came of it, worded to follow "its check".
    fn result(&self, message: &str) -> String {
        let check = self.words();
        if let Some((_, code)) = message.split_once("statuscode: ") {
            let code: String = code.chars().take_while(char::is_ascii_digit).collect();
            return format!("{check} is answered with status {code}");
        }
        match message {
            "" => format!("{check} fails"),
            message if is_refused(message) => format!("{check} is refused: nobody listens there"),
            message
                if ["deadline exceeded", "Timeout", "timed out", "timeout"]
                    .iter()
                    .any(|word| message.contains(word)) =>
            {
                format!("{check} is not answered in time")
            }
            message => {
                let message = message.strip_prefix("failed: ").unwrap_or(message);
                format!("{check} fails: {}", super::masked(message))
            }
        }
    }
}
