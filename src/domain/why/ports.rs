//! Services that send requests to where nobody listens.

use serde_json::Value;

use super::container::declared_ports;
use super::scene::Subject;
use super::{Class, Explanation, Scene};
use crate::domain::readiness::{list, number, text};

/// Services whose pods say that they listen on other ports. A pod that declares none says nothing: the field is only a note.
pub(super) fn of_services(scene: &Scene) -> Vec<Explanation> {
    scene.services.iter().filter_map(|service| of_service(service, scene)).collect()
}

fn of_service(service: &Value, scene: &Scene) -> Option<Explanation> {
    let selector = service.pointer("/spec/selector")?.as_object()?;
    let selects = |pod: &Value| {
        selector
            .iter()
            .all(|(key, value)| pod.pointer("/metadata/labels").and_then(|labels| labels.get(key)) == Some(value))
    };
    let pods: Vec<_> = scene.pods().filter(|pod| selects(pod.body)).collect();
    let pod = pods.first()?;
    let declared = declared_ports(pod.body);
    let (port, target) = list(service, "/spec/ports").iter().find_map(|port| wrong(port, &declared))?;
    let subject = Subject::of(service);
    let numbers: Vec<String> = declared
        .iter()
        .map(|(number, name)| name.map_or_else(|| number.to_string(), |name| format!("{number} ({name})")))
        .collect();
    let sentence = format!(
        "what is sent to port {port} of {} goes to {target} of {}, where nobody listens: it says that it listens on {}",
        subject.name(),
        pod.subject.plain(),
        if numbers.is_empty() {
            "no port".to_owned()
        } else {
            numbers.join(", ")
        },
    );
    let next = format!("correct spec.ports.targetPort of {}", subject.formal());
    let evidence = format!(
        "{}: targetPort {target}; {} declares {}",
        subject.formal(),
        pod.name,
        numbers.join(", ")
    );
    Some(Explanation::new(Class::PortMismatch, &subject, sentence, next).with_evidence([evidence]))
}

/// The port of a Service, and where it leads, if that is nowhere.
fn wrong(port: &Value, declared: &[(i64, Option<&str>)]) -> Option<(i64, String)> {
    if text(port, "/protocol").is_some_and(|protocol| protocol != "TCP") {
        return None;
    }
    let from = number(port, "/port")?;
    match port.get("targetPort") {
        Some(Value::String(name)) => {
            let is_known = declared.iter().any(|(_, declared)| *declared == Some(name));
            (!is_known).then(|| (from, format!("the port {name:?}")))
        }
        target => {
            let target = target.and_then(Value::as_i64).unwrap_or(from);
            let is_known = declared.is_empty() || declared.iter().any(|(number, _)| *number == target);
            (!is_known).then(|| (from, format!("port {target}")))
        }
    }
}
