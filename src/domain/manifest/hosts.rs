//! The host names that an environment may claim: its own, `<environment>.<domain>`, and one below the same domain for each service,
//! `<service>-<environment>.<domain>`.

use serde_json::Value;

use super::Admission;
use super::review::{Review, is_set, list, text};
use crate::domain::name::check_label;

/// Annotations whose value is put into a proxy's configuration, or is a list of further hosts.
const REFUSED_ANNOTATIONS: [&str; 4] = ["-snippet", "/server-alias", "/server-snippets", "/location-snippets"];

/// Annotations that hold a list of hosts.
pub(in crate::domain) const HOST_ANNOTATIONS: [&str; 2] = [
    "external-dns.alpha.kubernetes.io/hostname",
    "external-dns.alpha.kubernetes.io/internal-hostname",
];

/// An Ingress serves only hosts of its environment, each one named.
pub(super) fn check_ingress(review: &mut Review<'_>, body: &Value) {
    if is_set(body, "/spec/defaultBackend") {
        review.refuse(
            "spec.defaultBackend",
            "would serve every host that nobody else serves: use rules with a host",
        );
    }
    let rules = list(body, "/spec/rules");
    if rules.is_empty() {
        review.refuse("spec.rules", format!("is missing: {}", advice(review.admission)));
    }
    for (index, rule) in rules.iter().enumerate() {
        check_host(review, &format!("spec.rules[{index}].host"), text(rule, "/host"));
    }
    for (index, tls) in list(body, "/spec/tls").iter().enumerate() {
        for (host_index, host) in list(tls, "/hosts").iter().enumerate() {
            check_host(review, &format!("spec.tls[{index}].hosts[{host_index}]"), host.as_str());
        }
    }
}

/// A route of the Gateway API serves only hosts of its environment; without any it would serve all of its gateway's.
pub(super) fn check_route(review: &mut Review<'_>, body: &Value) {
    let hosts = list(body, "/spec/hostnames");
    if hosts.is_empty() {
        review.refuse("spec.hostnames", format!("is missing: {}", advice(review.admission)));
    }
    for (index, host) in hosts.iter().enumerate() {
        check_host(review, &format!("spec.hostnames[{index}]"), host.as_str());
    }
    let own = review.admission.namespace.as_str();
    for (index, rule) in list(body, "/spec/rules").iter().enumerate() {
        for (backend_index, backend) in list(rule, "/backendRefs").iter().enumerate() {
            if let Some(namespace) = text(backend, "/namespace").filter(|namespace| *namespace != own) {
                review.refuse(
                    format!("spec.rules[{index}].backendRefs[{backend_index}].namespace"),
                    format!("is {namespace:?}, a foreign namespace: remove the field"),
                );
            }
        }
    }
}

/// A Gateway listens to hosts of its environment, each one named.
pub(super) fn check_gateway(review: &mut Review<'_>, body: &Value) {
    for (index, listener) in list(body, "/spec/listeners").iter().enumerate() {
        check_host(review, &format!("spec.listeners[{index}].hostname"), text(listener, "/hostname"));
    }
}

/// Annotations that claim hosts, on any object.
pub(super) fn check_annotations(review: &mut Review<'_>, body: &Value) {
    let Some(annotations) = body.pointer("/metadata/annotations").and_then(Value::as_object) else {
        return;
    };
    for (key, value) in annotations {
        let field = format!("metadata.annotations[{key:?}]");
        if REFUSED_ANNOTATIONS.iter().any(|end| key.ends_with(end)) {
            review.refuse(field, "would reach into a proxy that all environments share: remove it");
        } else if HOST_ANNOTATIONS.contains(&key.as_str()) {
            for host in value.as_str().unwrap_or_default().split(',') {
                check_host(review, &field, Some(host.trim()));
            }
        }
    }
}

fn check_host(review: &mut Review<'_>, field: &str, host: Option<&str>) {
    let admission = review.admission;
    match host {
        None | Some("") => review.refuse(field, format!("is empty, which means every host: {}", advice(admission))),
        Some(host) if host.contains('*') => review.refuse(field, format!("{host:?} is a wildcard: {}", advice(admission))),
        Some(host) if !is_own(admission, host) => {
            review.refuse(field, format!("{host:?} is not a host of this environment: {}", advice(admission)));
        }
        Some(_) => {}
    }
}

fn is_own(admission: &Admission<'_>, host: &str) -> bool {
    let Some(label) = host.strip_suffix(admission.domain.as_str()).and_then(|host| host.strip_suffix('.')) else {
        return false;
    };
    let environment = admission.environment.as_str();
    let service = label.strip_suffix(environment).and_then(|service| service.strip_suffix('-'));
    label == environment || service.is_some_and(|service| check_label(service).is_ok() && check_label(label).is_ok())
}

fn advice(admission: &Admission<'_>) -> String {
    format!(
        "use {{{{environment.host}}}} or {{{{host \"SERVICE\"}}}}, which give {environment}.{domain} and SERVICE-{environment}.{domain}",
        environment = admission.environment,
        domain = admission.domain
    )
}
