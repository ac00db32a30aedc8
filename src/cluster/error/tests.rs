//! Answers of real API servers, and what they mean.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use kube::core::Status;
use serde_json::json;

use super::*;

/// An answer as the server sends it, with the reason of its first cause.
fn answer(code: u16, message: &str, cause: Option<&str>) -> kube::Error {
    let causes: Vec<_> = cause.map(|reason| json!({"reason": reason})).into_iter().collect();
    let status: Status = serde_json::from_value(json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": code, "message": message, "details": {"causes": causes},
    }))
    .unwrap();
    kube::Error::Api(status.boxed())
}

#[test]
fn f13_f21_f25_f28_f31_f32_every_answer_has_its_class() {
    use FailureClass::{Conflict, Forbidden, NamespaceEnding, Rejected, Transient, UnknownKind};
    for (code, message, cause, class) in [
        (
            409,
            "Operation cannot be fulfilled on configmaps \"x\": uid mismatch: the provided object specified uid 1, and no existing object was found",
            None,
            Transient,
        ),
        (
            409,
            "Apply failed with 1 conflict: conflict with \"flux\" using v1: .data.a",
            Some("FieldManagerConflict"),
            Conflict,
        ),
        (409, "object is being deleted: namespaces \"x\" already exists", None, Transient),
        (
            422,
            "ConfigMap \"x\" is invalid: metadata.uid: Invalid value: \"1\": field is immutable",
            Some("FieldValueInvalid"),
            Rejected,
        ),
        (
            403,
            "configmaps \"x\" is forbidden: unable to create new content in namespace n because it is being terminated",
            Some("NamespaceTerminating"),
            NamespaceEnding,
        ),
        (
            403,
            "configmaps is forbidden: User \"system:serviceaccount:team:deployer\" cannot patch resource \"configmaps\" in API group \"\" in the namespace \"n\"",
            None,
            Forbidden,
        ),
        (
            403,
            "serviceaccounts \"deployer\" is forbidden: User \"system:serviceaccount:graftling:graftling\" cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"team\"",
            None,
            Forbidden,
        ),
        (403, "forbidden: User \"ada\" cannot get path \"/apis\"", None, Forbidden),
        (
            403,
            "roles.rbac.authorization.k8s.io \"x\" is forbidden: user \"u\" (groups=[]) is attempting to grant RBAC permissions not currently held",
            None,
            Forbidden,
        ),
        (
            403,
            "pods \"x\" is forbidden: exceeded quota: graftling-quota, requested: pods=1, used: pods=50, limited: pods=50",
            None,
            Rejected,
        ),
        (
            403,
            "pods \"x\" is forbidden: violates PodSecurity \"baseline:latest\": privileged (container \"c\" must not set securityContext.privileged=true)",
            None,
            Rejected,
        ),
        (
            403,
            "admission webhook \"images.example.com\" denied the request: you cannot use the tag latest",
            None,
            Rejected,
        ),
        (401, "Unauthorized", None, Forbidden),
        (404, "the server could not find the requested resource", None, UnknownKind),
        (404, "404 page not found", None, UnknownKind),
        (404, "namespaces \"n\" not found", None, Transient),
        (
            400,
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"dta\"",
            None,
            Rejected,
        ),
        (408, "", None, Transient),
        (410, "The provided continue parameter is too old", None, Transient),
        (413, "Request entity too large: limit is 3145728", None, Rejected),
        (
            429,
            "the server has received too many requests and has asked us to try again later",
            None,
            Transient,
        ),
        (
            500,
            "Internal error occurred: failed calling webhook \"x\": connection refused",
            Some("InternalError"),
            Transient,
        ),
        (
            500,
            "failed to create typed patch object (n/web; apps/v1, Kind=Deployment): .spec.replica: field not declared in schema",
            None,
            Rejected,
        ),
        (500, "etcdserver: request timed out", None, Transient),
        (503, "the server is currently unable to handle the request", None, Transient),
        (504, "Timeout: request did not complete within requested timeout", None, Transient),
        // What a proxy answers in its own JSON has no code in its body.
        (0, "upstream failed", None, Transient),
    ] {
        assert_eq!(classify(&answer(code, message, cause)), class, "{code} {message}");
    }
}

#[test]
fn f16_whatever_is_no_answer_at_all_passes_by_itself() {
    let broken = kube::Error::SerdeError(serde_json::from_str::<u8>("x").unwrap_err());
    assert_eq!(classify(&broken), FailureClass::Transient);
    let timed_out = Error::TimedOut {
        operation: "read it".into(),
        seconds: 20,
    };
    assert_eq!(timed_out.class(), FailureClass::Transient);
    assert_eq!(Error::WatchBehind { kind: "Pod".into() }.class(), FailureClass::Transient);
}

#[test]
fn f25_a_kind_that_the_cluster_does_not_know_is_named() {
    let error = Error::UnknownKind {
        api_version: "example.com/v1".into(),
        kind: "Widget".into(),
    };
    assert_eq!(error.class(), FailureClass::UnknownKind);
    assert_eq!(error.to_string(), "the cluster knows no example.com/v1 Widget");
}

#[test]
fn only_a_404_of_the_object_itself_says_that_it_does_not_exist() {
    let write = |code| Error::Write {
        what: "it".into(),
        source: answer(code, "m", None),
    };
    assert!(write(404).is_not_found());
    assert!(!write(403).is_not_found());
    let list = Error::List {
        what: "things".into(),
        source: answer(404, "m", None),
    };
    assert!(!list.is_not_found());
}

#[test]
fn a_chain_tells_every_cause_once() {
    let error = Error::Write {
        what: "ConfigMap x".into(),
        source: answer(403, "quota exceeded", None),
    };
    let text = error.chain();
    assert_eq!(text, "could not write ConfigMap x: quota exceeded");
}

#[test]
fn the_message_for_a_status_is_what_the_server_said() {
    assert_eq!(message(&answer(422, "spec.type: unsupported", None)), "spec.type: unsupported");
    assert!(!message(&answer(500, "", None)).is_empty());
}
