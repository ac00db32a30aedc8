//! What people are told of an environment that is not ready, for each class of trouble: scenes as clusters show them, and their sentences.
#![allow(clippy::unwrap_used, reason = "a scene that cannot be read is the test's failure")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use graftling::domain::manifest::ObjectKey;
use graftling::domain::outcome::{Failure, FailureClass};
use graftling::domain::why::{Explanation, MAX_EVIDENCE_LINE, Scene, explain, next_step, of_refusal};
use proptest::prelude::*;

fn scenes() -> Vec<(String, Scene)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/why");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    let read = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files
        .iter()
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), read(path)))
        .collect()
}

fn shown(explanation: &Explanation) -> String {
    let Explanation {
        object, sentence, next, ..
    } = explanation;
    let mut text = format!("  {} ({object})\n    {sentence}\n    -> {next}\n", explanation.class.name());
    for line in &explanation.evidence {
        text += &format!("    . {line}\n");
    }
    text
}

fn golden(name: &str, text: &str) {
    insta::with_settings!({ snapshot_path => "../golden/why", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn feature_c6_each_class_of_trouble_is_one_sentence_and_a_next_step() {
    let mut text = String::new();
    let mut classes = BTreeSet::new();
    for (name, scene) in scenes() {
        let found = explain(&scene);
        classes.extend(found.iter().map(|explanation| explanation.class));
        let said: String = found.iter().map(shown).collect();
        text += &format!(
            "{name}\n{}\n",
            if said.is_empty() {
                "  nothing is known to be wrong\n"
            } else {
                &said
            }
        );
        for explanation in &found {
            assert!(!explanation.sentence.ends_with('.') && !explanation.next.is_empty(), "{name}");
            assert!(explanation.message().chars().count() <= 1_000, "{name}: {}", explanation.message());
        }
    }
    golden("explanations", &text);
    assert!(classes.len() >= 15, "{} classes", classes.len());
}

fn failure(kind: &str, class: FailureClass, message: &str) -> Failure {
    let (group, kind) = kind.split_once('/').unwrap_or(("", kind));
    Failure {
        key: ObjectKey {
            group: group.to_owned(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: Some("shop-a-1234567890".to_owned()),
            name: "web".to_owned(),
        },
        class,
        message: message.to_owned(),
    }
}

#[test]
fn feature_c6_what_the_api_server_refuses_is_told_in_plain_words() {
    use FailureClass::{Conflict, Forbidden, NamespaceEnding, Rejected, Transient};
    let refusals = [
        (
            "PersistentVolumeClaim",
            Rejected,
            "persistentvolumeclaims \"web\" is forbidden: exceeded quota: graftling-quota, requested: requests.storage=20Gi, used: requests.storage=0, limited: requests.storage=10Gi (templates/data.yaml:1)",
        ),
        (
            "Pod",
            Rejected,
            "pods \"web\" is forbidden: violates PodSecurity \"baseline:latest\": hostNetwork=true (templates/pod.yaml:1)",
        ),
        (
            "apps/Deployment",
            Rejected,
            "admission webhook \"images.policy.example.com\" denied the request: images must come from registry.example.com (templates/web.yaml:1)",
        ),
        (
            "apps/Deployment",
            Rejected,
            "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'owners' with binding 'owners' denied request: every Deployment needs an owner (templates/web.yaml:1)",
        ),
        (
            "apps/Deployment",
            Transient,
            "Internal error occurred: failed calling webhook \"images.policy.example.com\": failed to call webhook: Post \"https://policy.policy.svc:443/validate?timeout=10s\": dial tcp 10.96.3.4:443: connect: connection refused",
        ),
        (
            "apps/Deployment",
            Rejected,
            "Deployment.apps \"web\" is invalid: spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"shop\"}}: field is immutable (templates/web.yaml:1)",
        ),
        (
            "Service",
            Rejected,
            "Service \"web\" is invalid: spec.ports[0].port: Invalid value: 99999: must be between 1 and 65535, inclusive (templates/web.yaml:9)",
        ),
        (
            "apps/Deployment",
            Forbidden,
            "deployments.apps \"web\" is forbidden: User \"system:serviceaccount:team:graftling-deployer\" cannot patch resource \"deployments\" in API group \"apps\" in the namespace \"shop-a-1234567890\"",
        ),
        (
            "ConfigMap",
            NamespaceEnding,
            "configmaps \"web\" is forbidden: unable to create new content in namespace shop-a-1234567890 because it is being terminated",
        ),
        (
            "ConfigMap",
            Conflict,
            "Apply failed with 1 conflict: conflict with \"flux\": .data.greeting",
        ),
        ("ConfigMap", Transient, "etcdserver: request timed out"),
    ];
    let mut text = String::new();
    for (kind, class, message) in refusals {
        let said = of_refusal(&failure(kind, class, message)).map(|explanation| shown(&explanation));
        text += &format!("{message}\n{}\n", said.as_deref().unwrap_or("  is told as it is\n"));
    }
    golden("refusals", &text);
}

#[test]
fn nothing_that_looks_like_a_secret_is_told() {
    for (name, scene) in scenes() {
        let said = format!("{:?}", explain(&scene));
        for secret in ["hunter2", "ghp_0123456789"] {
            assert!(!said.contains(secret), "{name}: {said}");
        }
    }
}

proptest! {
    /// Messages come from anybody: cut anywhere and put together anyhow, they are only data.
    #[test]
    fn any_message_can_be_explained(case in 0_usize..1_000, cut in 0_usize..400, put in "\\PC{0,12}") {
        let mut all = scenes();
        let index = case % all.len();
        let (_, scene) = &mut all[index];
        let edit = |body: &mut serde_json::Value| edit_texts(body, &|text| {
            let at = text.char_indices().nth(cut % (text.chars().count() + 1)).map_or(text.len(), |(at, _)| at);
            format!("{}{put}{}", &text[..at], &text[at..])
        });
        scene.pods.iter_mut().chain(&mut scene.events).chain(&mut scene.replica_sets).for_each(edit);
        for explanation in explain(scene) {
            for line in &explanation.evidence {
                prop_assert!(line.chars().count() <= MAX_EVIDENCE_LINE);
            }
        }
    }
}

/// Changes the texts under `message`, `reason` and `image`.
fn edit_texts(body: &mut serde_json::Value, edit: &impl Fn(&str) -> String) {
    match body {
        serde_json::Value::Object(entries) => {
            for (key, value) in entries {
                match value {
                    serde_json::Value::String(text) if matches!(key.as_str(), "message" | "image") => *text = edit(text),
                    other => edit_texts(other, edit),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| edit_texts(item, edit)),
        _ => {}
    }
}

#[test]
fn feature_c6_each_reason_of_a_status_has_its_next_step() {
    let reasons = [
        "InvalidBundle",
        "InvalidBranchFile",
        "InvalidProject",
        "ProjectNotFound",
        "BundleUnavailable",
        "HostTaken",
        "PortTaken",
        "AddressTaken",
        "VolumeTaken",
        "ClassUnknown",
        "MissingRights",
        "Rejected",
        "Forbidden",
        "Conflict",
        "DriftLoop",
        "UnknownKind",
        "NotOurs",
        "NamespaceEnding",
        "ServerUnavailable",
        "Waiting",
        "StageRunning",
        "StageFailed",
        "RolledBack",
        "AwaitingApproval",
        "AwaitingUrl",
        "Suspended",
        "NotUnderstood",
        "ClusterRefuses",
        "TeardownBlocked",
        "TerminationBlocked",
        "AwaitingVolumes",
        "Deleting",
        "Resting",
    ];
    let text: String = reasons
        .iter()
        .map(|reason| format!("{reason}\n  -> {}\n", next_step(reason).unwrap_or("nothing to do")))
        .collect();
    golden("standings", &text);
    assert_eq!(next_step("Ready"), None);
}
