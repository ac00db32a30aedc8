//! Whether an environment whose branch is there is as it must be.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::observed::{Key, Observed, condition, text, uid};
use super::super::operation::{Branch, SLOTS};
use super::judge::said;
use super::{Known, Model, wish};

/// What Kubernetes itself puts into every namespace.
const OF_KUBERNETES: [(&str, &str); 2] = [("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")];

/// The one template of the bundle.
const TEMPLATE: &str = "templates/all.yaml";

/// Whether an environment that is not kept up may show this revision: it was there at the last quiet point, or the branch was there since.
pub(super) fn may_show(known: &Known, revision: &str) -> bool {
    known.heads.contains(revision) || known.last.as_ref().is_some_and(|last| last.revision == revision)
}

/// All that is wrong with an environment that is to be as its branch, its Project and its bundle say.
pub(super) fn complaints(model: &Model, branch: Branch, environment: &Value, observed: &Observed, say: &mut impl FnMut(String)) {
    let known = model.known(branch);
    if known.foreign_namespace.is_some() {
        in_the_way(model, environment, say);
    } else if model.bundle.broken {
        cannot_be_rendered(model, known, environment, observed, say);
    } else {
        ready(model, branch, environment, observed, say);
    }
}

/// L3: the status says what is in the way; where that is a broken template, too, one of both.
fn in_the_way(model: &Model, environment: &Value, say: &mut impl FnMut(String)) {
    let name = text(environment, "/metadata/name");
    let message = text(environment, "/status/message");
    let names_one = message.contains(name) || model.bundle.broken && message.contains(TEMPLATE);
    if text(environment, "/status/phase") != "Failed" || !names_one {
        say(format!(
            "a namespace of others is in its way, and it does not say so (L3): {}",
            said(environment)
        ));
    }
    not_ready(environment, say);
}

/// L3: it says which file; and what runs keeps running.
fn cannot_be_rendered(model: &Model, known: &Known, environment: &Value, observed: &Observed, say: &mut impl FnMut(String)) {
    if text(environment, "/status/phase") != "Failed" || !text(environment, "/status/message").contains(TEMPLATE) {
        say(format!(
            "a template is broken, and it does not say which (L3): {}",
            said(environment)
        ));
    }
    not_ready(environment, say);
    let untouched = !known.touched && !known.namespace_removed && !known.removed && !known.was_absent;
    let as_before = untouched && (model.broken_throughout || !model.changed && !known.moved);
    let Some(last) = known.last.as_ref().filter(|last| as_before && last.uid == uid(environment)) else {
        return;
    };
    let name = text(environment, "/metadata/name");
    for ((_, kind, object), before) in &last.objects {
        let key: Key = (name.to_owned(), kind.clone(), object.clone());
        if observed.objects.get(&key).map(uid) != Some(before.as_str()) {
            say(format!(
                "a template is broken, and {kind} {object}, which was there, is gone or another"
            ));
        }
    }
}

fn not_ready(environment: &Value, say: &mut impl FnMut(String)) {
    if !matches!(condition(environment, "Ready"), Some(("False", ..))) {
        say(format!("it cannot be ready and does not say so (L3): {}", said(environment)));
    }
}

fn ready(model: &Model, branch: Branch, environment: &Value, observed: &Observed, say: &mut impl FnMut(String)) {
    let name = text(environment, "/metadata/name");
    let revision = text(environment, "/spec/revision");
    status(model, environment, say);
    let Some(namespace) = observed.namespaces.get(name) else {
        return say(format!("its namespace {name} is not there"));
    };
    if text(environment, "/status/namespace/uid") != uid(namespace) {
        say(format!("its status has another UID of namespace {name} than the cluster"));
    }
    let wanted = wish::objects(&model.settings, &model.bundle, branch, revision);
    for ((kind, object), facts) in &wanted {
        let key: Key = (name.to_owned(), (*kind).to_owned(), object.clone());
        match observed.objects.get(&key) {
            None => say(format!("{kind} {object} is missing")),
            Some(live) => compare(name, &format!("{kind} {object}"), facts, live, say),
        }
    }
    surplus(model, branch, name, &wanted, observed, say);
    made_anew(model, branch, name, observed, say);
}

/// S9: nothing is deleted and made again unless somebody had a hand in it. What the bundle has only at times may come and go within a group.
fn made_anew(model: &Model, branch: Branch, namespace: &str, observed: &Observed, say: &mut impl FnMut(String)) {
    let known = model.known(branch);
    let untouched = !known.touched && !known.namespace_removed;
    let Some(last) = known.lives_on().filter(|_| untouched) else {
        return;
    };
    for ((_, kind, object), before) in last.objects.iter().filter(|((.., object), _)| !SLOTS.contains(&object.as_str())) {
        let key: Key = (namespace.to_owned(), kind.clone(), object.clone());
        let is_record = object.starts_with("graftling-run-");
        if !is_record && observed.objects.get(&key).is_some_and(|live| uid(live) != before) {
            say(format!("{kind} {object} was deleted and made anew (S9)"));
        }
    }
}

/// L3 the other way round: who is ready says so, of this generation, this revision and this URL.
fn status(model: &Model, environment: &Value, say: &mut impl FnMut(String)) {
    let revision = text(environment, "/spec/revision");
    if text(environment, "/status/phase") != "Ready" || !matches!(condition(environment, "Ready"), Some(("True", ..))) {
        say(format!("it is not ready: {}", said(environment)));
    }
    if text(environment, "/status/revision/applied") != revision {
        say(format!(
            "it has applied {:?} and not {revision}",
            text(environment, "/status/revision/applied")
        ));
    }
    if environment["status"]["observedGeneration"] != environment["metadata"]["generation"] {
        say("its status speaks of an older generation".to_owned());
    }
    let url = format!(
        "https://{}.{}",
        text(environment, "/metadata/name"),
        wish::domain(model.settings.domain)
    );
    if text(environment, "/status/url").trim_end_matches('/') != url {
        say(format!("its URL is {:?} and not {url}", text(environment, "/status/url")));
    }
}

/// S3 and drift: everything of ours is as this branch's bundle says, under our label.
fn compare(environment: &str, what: &str, facts: &wish::Facts, live: &Value, say: &mut impl FnMut(String)) {
    if text(live, "/metadata/labels/graftling.dev~1environment") != environment {
        say(format!("{what} does not bear our label"));
    }
    for (place, wanted) in facts {
        if live.pointer(place) != Some(wanted) {
            // A Secret's value belongs into no complaint.
            let shown = if what.starts_with("Secret") {
                "…".to_owned()
            } else {
                wanted.to_string()
            };
            say(format!("{what} has another {place} than {shown}"));
        }
    }
    if what.starts_with("ConfigMap") {
        let keys = live["data"].as_object().into_iter().flat_map(|data| data.keys());
        let wanted = |key: &&String| facts.iter().any(|(place, _)| place.strip_prefix("/data/") == Some(key.as_str()));
        for key in keys.filter(|key| !wanted(key)) {
            say(format!("{what} has a key {key} that nobody wants"));
        }
    }
}

/// Nothing is left of what the bundle had once.
fn surplus(
    model: &Model,
    branch: Branch,
    namespace: &str,
    wanted: &BTreeMap<(&'static str, String), wish::Facts>,
    observed: &Observed,
    say: &mut impl FnMut(String),
) {
    let planted = &model.known(branch).planted;
    for ((_, kind, name), _) in observed.inside(namespace) {
        let is_wanted = wanted.keys().any(|(of, object)| of == kind && object == name);
        let is_record = kind == "Secret" && name.starts_with("graftling-run-");
        let is_of_kubernetes = OF_KUBERNETES.contains(&(kind.as_str(), name.as_str()));
        let is_theirs = kind == "ConfigMap" && planted.contains_key(name);
        if !is_wanted && !is_record && !is_of_kubernetes && !is_theirs {
            say(format!("{kind} {name} is there, and nobody wants it"));
        }
    }
}
