//! What a request is about: verb, resource, namespace and name, as the API server reads them from path, query and body.

use http::{Method, header, request};
use serde_json::Value;

/// A request as rules see it.
///
/// Where a Git host is behind the proxy, only verb, method, path and query say something; the verb follows from the method alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `apply` for a server-side apply, `delete` or `deletecollection`.
    pub verb: String,
    /// The API group, empty for the core group and for requests that are not about objects.
    pub group: String,
    /// The plural resource such as `configmaps`, empty for requests that are not about objects.
    pub resource: String,
    /// The namespace, or empty. For a Namespace its own name, as in the audit log.
    pub namespace: String,
    /// The name of the object: of the path, of a field selector, or of the body of a creation. Empty for lists.
    pub name: String,
    /// The subresource such as `status`, or empty.
    pub subresource: String,
    /// Whether nothing is to be stored.
    pub dry_run: bool,
    /// What the client says it is.
    pub user_agent: String,
    /// Whom it acts for, if it acts for another.
    pub impersonated: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// The path, as it was sent.
    pub path: String,
    /// The query, as it was sent.
    pub query: String,
}

impl Request {
    /// Reads a request to an API server.
    pub(super) fn to_api_server(head: &request::Parts, body: &[u8]) -> Self {
        let mut request = Self::to_any(head);
        let path = request.path.clone();
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let rest = match segments.as_slice() {
            ["api", _version, rest @ ..] => rest,
            ["apis", group, _version, rest @ ..] => {
                request.group = (*group).to_owned();
                rest
            }
            _ => return request,
        };
        request.read_place(rest);
        if request.name.is_empty() {
            request.name = request.selected_name().unwrap_or_default();
            request.verb = request.verb_of_many(&head.method);
            if head.method == Method::POST {
                request.name = name_in(body);
            }
        }
        if request.parameter("watch").is_some_and(|value| value == "true" || value == "1") && head.method == Method::GET {
            "watch".clone_into(&mut request.verb);
        }
        if head.method == Method::PATCH && kind_of_body(head).starts_with("application/apply-patch") {
            "apply".clone_into(&mut request.verb);
        }
        request.dry_run = request.parameter("dryRun").is_some();
        request
    }

    /// Reads a request to any other server.
    pub(super) fn to_any(head: &request::Parts) -> Self {
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let verb = match head.method {
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "get",
        };
        Self {
            verb: verb.to_owned(),
            user_agent: text(header::USER_AGENT.as_str()).unwrap_or_default(),
            impersonated: text("impersonate-user"),
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            ..Self::default()
        }
    }

    /// Whether it is to change what is stored: no dry run, no question about rights, no token.
    pub fn is_write(&self) -> bool {
        let changes = !matches!(self.verb.as_str(), "get" | "list" | "watch");
        let asks = matches!(self.group.as_str(), "authorization.k8s.io" | "authentication.k8s.io") || self.subresource == "token";
        changes && !self.dry_run && !asks
    }

    /// Whether it stays open for as long as the client wants.
    pub fn is_watch(&self) -> bool {
        self.verb == "watch"
    }

    /// The value of a parameter of the query, decoded.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| unescape(value))
    }

    /// `[namespaces/NAMESPACE/]RESOURCE[/NAME[/SUBRESOURCE]]`, where a Namespace has subresources of its own.
    fn read_place(&mut self, segments: &[&str]) {
        let rest = match segments {
            ["namespaces", namespace, rest @ ..] => {
                self.namespace = unescape(namespace);
                match rest {
                    [] | ["status" | "finalize"] => segments,
                    inside => inside,
                }
            }
            all => all,
        };
        let text = |place: usize| rest.get(place).map(|text| unescape(text)).unwrap_or_default();
        self.resource = text(0);
        self.name = text(1);
        self.subresource = text(2);
    }

    fn verb_of_many(&self, method: &Method) -> String {
        match *method {
            Method::GET if !self.resource.is_empty() => "list".to_owned(),
            Method::DELETE => "deletecollection".to_owned(),
            _ => self.verb.clone(),
        }
    }

    fn selected_name(&self) -> Option<String> {
        let selector = self.parameter("fieldSelector")?;
        let name = selector.split(',').find_map(|part| part.strip_prefix("metadata.name="))?;
        Some(name.trim_start_matches('=').to_owned())
    }
}

fn kind_of_body(head: &request::Parts) -> &str {
    let kind = head.headers.get(header::CONTENT_TYPE);
    kind.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn name_in(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

fn unescape(text: &str) -> String {
    crate::exchange::unescape(&text.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, target: &str, body: &str) -> Request {
        read_as(method, target, body, "application/json")
    }

    fn read_as(method: &str, target: &str, body: &str, kind: &str) -> Request {
        let builder = http::Request::builder().method(method).uri(target);
        let request = builder.header("content-type", kind).body(()).expect("a request");
        Request::to_api_server(&request.into_parts().0, body.as_bytes())
    }

    fn words(request: &Request) -> [&str; 6] {
        let Request {
            verb,
            group,
            resource,
            namespace,
            name,
            subresource,
            ..
        } = request;
        [verb, group, resource, namespace, name, subresource]
    }

    #[test]
    fn requests_are_read_as_the_api_server_reads_them() {
        let cases = [
            ("GET /api/v1/namespaces/a/pods/p", ["get", "", "pods", "a", "p", ""]),
            (
                "GET /api/v1/namespaces/a/pods/p/log?follow=true",
                ["get", "", "pods", "a", "p", "log"],
            ),
            ("GET /api/v1/namespaces/a", ["get", "", "namespaces", "a", "a", ""]),
            ("GET /api/v1/namespaces", ["list", "", "namespaces", "", "", ""]),
            (
                "PUT /api/v1/namespaces/a/finalize",
                ["update", "", "namespaces", "a", "a", "finalize"],
            ),
            (
                "GET /apis/apps/v1/deployments?watch=true&resourceVersion=1",
                ["watch", "apps", "deployments", "", "", ""],
            ),
            (
                "GET /apis/apps/v1/namespaces/a/deployments?fieldSelector=metadata.name%3Dweb",
                ["list", "apps", "deployments", "a", "web", ""],
            ),
            (
                "DELETE /apis/apps/v1/namespaces/a/deployments/web",
                ["delete", "apps", "deployments", "a", "web", ""],
            ),
            (
                "DELETE /apis/apps/v1/namespaces/a/deployments",
                ["deletecollection", "apps", "deployments", "a", "", ""],
            ),
            ("GET /apis/apps/v1", ["get", "apps", "", "", "", ""]),
            ("GET /version", ["get", "", "", "", "", ""]),
        ];
        for (line, expected) in cases {
            let (method, target) = line.split_once(' ').expect("two words");
            assert_eq!(words(&read(method, target, "")), expected, "{line}");
        }
    }

    #[test]
    fn a_creation_has_its_name_from_the_body_and_an_apply_is_told_from_a_patch() {
        let created = read("POST", "/api/v1/namespaces/a/configmaps", r#"{"metadata":{"name":"settings"}}"#);
        assert_eq!(words(&created), ["create", "", "configmaps", "a", "settings", ""]);
        let target = "/apis/graftling.dev/v1alpha1/namespaces/a/environments/e/status?force=true";
        let applied = read_as("PATCH", target, "", "application/apply-patch+yaml");
        assert_eq!(words(&applied), ["apply", "graftling.dev", "environments", "a", "e", "status"]);
        assert_eq!(read_as("PATCH", target, "", "application/merge-patch+json").verb, "patch");
    }

    #[test]
    fn dry_runs_and_questions_about_rights_are_no_writes() {
        assert!(read("POST", "/api/v1/namespaces", "").is_write());
        assert!(!read("POST", "/api/v1/namespaces?dryRun=All", "").is_write());
        assert!(!read("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "").is_write());
        assert!(!read("POST", "/api/v1/namespaces/a/serviceaccounts/s/token", "").is_write());
        assert!(!read("GET", "/api/v1/namespaces", "").is_write());
    }
}
