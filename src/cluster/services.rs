//! From a Service of an environment to one of its pods.
//!
//! Pods are found by the Service's selector, not by EndpointSlices: those may be written by whoever has rights on them, and an address in
//! one could be anybody's. The address of a pod is written by its node.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::{Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::Error;
use super::connection::within;

/// Where a Service is reached, or why it is not.
pub type Found = Result<SocketAddr, Unreachable>;

/// Why there is nowhere to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable {
    /// What is wrong, and what would mend it.
    pub message: String,
    /// Whether it stays so until the bundle is changed.
    pub is_final: bool,
}

/// No environment has so many pods behind one Service that the first of them do not hold a ready one, if there is one.
const MAX_PODS: u32 = 500;

/// The address of a ready pod behind a Service, at the port that the Service's port leads to.
///
/// # Errors
/// The API server did not answer, or `client` may not read there.
pub async fn find(client: &Client, namespace: &str, name: &str, port: Option<&str>) -> Result<Found, Error> {
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let what = format!("Service {namespace}/{name}");
    let read = within(
        || format!("read {what}"),
        services.get_opt(name),
        |source| Error::Read {
            what: what.clone(),
            source,
        },
    );
    let Some(service) = read.await? else {
        return Ok(Err(for_now(format!("there is no Service {name:?}"))));
    };
    let selector = match selector(&service) {
        Ok(selector) => selector,
        Err(problem) => return Ok(Err(problem)),
    };
    let pods = list_pods(client, namespace, &selector).await?;
    Ok(pick(&service, port, &pods))
}

/// The pods that a selector selects.
///
/// # Errors
/// As [`find`].
pub(super) async fn list_pods(client: &Client, namespace: &str, selector: &str) -> Result<Vec<Pod>, Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    // What the API server has in its cache is new enough: the question is repeated.
    let parameters = ListParams::default().labels(selector).limit(MAX_PODS).match_any();
    let list = within(
        || format!("list the pods in {namespace}"),
        pods.list(&parameters),
        |source| Error::List {
            what: format!("the pods in {namespace}"),
            source,
        },
    );
    Ok(list.await?.items)
}

fn selector(service: &Service) -> Result<String, Unreachable> {
    let name = service.name_any();
    let spec = service.spec.as_ref();
    if spec.and_then(|spec| spec.type_.as_deref()) == Some("ExternalName") {
        return Err(for_good(format!(
            "Service {name:?} leads out of the environment, and is not followed"
        )));
    }
    let selector = spec.and_then(|spec| spec.selector.as_ref()).filter(|selector| !selector.is_empty());
    let Some(selector) = selector else {
        return Err(for_good(format!(
            "Service {name:?} selects no pods, and only pods of the environment are asked"
        )));
    };
    let parts: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Ok(parts.join(","))
}

fn pick(service: &Service, port: Option<&str>, pods: &[Pod]) -> Found {
    let port = service_port(service, port)?;
    let mut ready: Vec<&Pod> = pods.iter().filter(|pod| is_ready(pod)).collect();
    ready.sort_by_key(|pod| pod.name_any());
    let name = service.name_any();
    let Some(pod) = ready.first() else {
        return Err(for_now(match pods.len() {
            0 => format!("there is no pod behind Service {name:?}"),
            1 => format!("the pod behind Service {name:?} is not ready"),
            count => format!("none of the {count} pods behind Service {name:?} is ready"),
        }));
    };
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref());
    let address: Option<IpAddr> = address.and_then(|text| text.parse().ok());
    let Some(address) = address else {
        return Err(for_now(format!("pod {} has no address yet", pod.name_any())));
    };
    let number = match port.target_port.as_ref() {
        None => u16::try_from(port.port).ok(),
        Some(IntOrString::Int(number)) => u16::try_from(*number).ok(),
        Some(IntOrString::String(name)) => container_port(pod, name),
    };
    let target = || match &port.target_port {
        Some(IntOrString::String(name)) => name.clone(),
        _ => port.port.to_string(),
    };
    match number {
        Some(number) => Ok(SocketAddr::new(address, number)),
        None => Err(for_good(format!(
            "Service {name:?} leads to a port {:?}, which no container of pod {} has",
            target(),
            pod.name_any()
        ))),
    }
}

fn service_port<'a>(service: &'a Service, wanted: Option<&str>) -> Result<&'a ServicePort, Unreachable> {
    let name = service.name_any();
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let known = || {
        let shown = |port: &ServicePort| match &port.name {
            Some(name) => format!("{} ({name})", port.port),
            None => port.port.to_string(),
        };
        ports.iter().map(shown).collect::<Vec<_>>().join(", ")
    };
    match (wanted, ports) {
        (None, [port]) => Ok(port),
        (None, []) => Err(for_good(format!("Service {name:?} has no port"))),
        (None, _) => Err(for_good(format!("Service {name:?} has several ports: say which of {}", known()))),
        (Some(wanted), _) => {
            let is_wanted = |port: &&ServicePort| port.name.as_deref() == Some(wanted) || port.port.to_string() == wanted;
            let found = ports.iter().find(is_wanted);
            found.ok_or_else(|| for_good(format!("Service {name:?} has no port {wanted:?}, but {}", known())))
        }
    }
}

/// Whether a pod is ready and not on its way out.
pub(super) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    let is_ready = conditions
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    is_ready && pod.metadata.deletion_timestamp.is_none()
}

fn container_port(pod: &Pod, name: &str) -> Option<u16> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    let port = ports.find(|port| port.name.as_deref() == Some(name))?;
    u16::try_from(port.container_port).ok()
}

fn for_now(message: String) -> Unreachable {
    Unreachable { message, is_final: false }
}

fn for_good(message: String) -> Unreachable {
    Unreachable { message, is_final: true }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use serde_json::{Value, json};

    use super::*;

    fn service(spec: Value) -> Service {
        serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec})).unwrap()
    }

    fn pod(name: &str, ready: &str, address: Option<&str>) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"containers": [{"name": "a", "ports": [{"name": "http", "containerPort": 8080}]}]},
            "status": {"podIP": address, "conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    fn message(found: Found) -> (String, bool) {
        let problem = found.unwrap_err();
        (problem.message, problem.is_final)
    }

    #[test]
    fn feature_s1_a_service_leads_to_a_ready_pod_at_the_port_that_it_maps_to() {
        let pods = [
            pod("a", "False", Some("10.0.0.1")),
            pod("c", "True", Some("10.0.0.3")),
            pod("b", "True", Some("10.0.0.2")),
        ];
        let web = service(json!({"ports": [{"name": "web", "port": 80, "targetPort": "http"}, {"name": "raw", "port": 81}]}));
        let address = |port| pick(&web, port, &pods).map(|address| address.to_string());
        assert_eq!(address(Some("80")), Ok("10.0.0.2:8080".to_owned()));
        assert_eq!(address(Some("web")), Ok("10.0.0.2:8080".to_owned()));
        assert_eq!(address(Some("raw")), Ok("10.0.0.2:81".to_owned()));
        let (text, is_final) = message(pick(&web, None, &pods));
        assert!(is_final && text.ends_with("say which of 80 (web), 81 (raw)"), "{text}");
        let (text, is_final) = message(pick(&web, Some("82"), &pods));
        assert!(
            is_final && text == "Service \"web\" has no port \"82\", but 80 (web), 81 (raw)",
            "{text}"
        );
    }

    #[test]
    fn what_is_not_ready_is_told_and_asked_again() {
        let web = service(json!({"ports": [{"port": 80}]}));
        assert_eq!(
            message(pick(&web, None, &[])),
            ("there is no pod behind Service \"web\"".to_owned(), false)
        );
        let (text, is_final) = message(pick(&web, None, &[pod("a", "False", None)]));
        assert!(!is_final && text.contains("is not ready"));
        let (text, is_final) = message(pick(&web, None, &[pod("a", "True", None)]));
        assert!(!is_final && text.contains("no address"));
        let unknown = service(json!({"ports": [{"port": 80, "targetPort": "grpc"}]}));
        let (text, is_final) = message(pick(&unknown, None, &[pod("a", "True", Some("10.0.0.1"))]));
        assert!(is_final && text.contains("leads to a port \"grpc\""), "{text}");
    }

    #[test]
    fn threat_t24_a_service_that_leads_elsewhere_is_not_followed() {
        for spec in [
            json!({"type": "ExternalName", "externalName": "metadata.internal", "selector": {"a": "b"}}),
            json!({"ports": [{"port": 80}]}),
            json!({"selector": {}}),
        ] {
            assert!(selector(&service(spec.clone())).unwrap_err().is_final, "{spec}");
        }
        assert_eq!(
            selector(&service(json!({"selector": {"app": "web", "b": "c"}}))).unwrap(),
            "app=web,b=c"
        );
    }
}
