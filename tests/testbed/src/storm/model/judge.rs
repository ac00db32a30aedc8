//! Whether what is there may be there.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::observed::{Observed, condition, is_ending, text, uid};
use super::super::operation::Branch;
use super::{Known, Model, environment};

/// So many environments may go at once whatever the size of a Project; a storm has no Project for which a share of them is more.
const BRAKE: usize = 3;

/// All that is wrong, as sentences.
pub(super) fn complaints(model: &Model, observed: &Observed) -> Vec<String> {
    let mut all = Vec::new();
    strangers(observed, &mut all);
    for branch in Branch::all() {
        one(model, branch, observed, &mut all);
    }
    limit(model, observed, &mut all);
    project(model, observed, &mut all);
    all
}

/// S2, and L2 as far as namespaces show it: one Environment for a branch, one namespace for an Environment, and none without one.
fn strangers(observed: &Observed, all: &mut Vec<String>) {
    let mut branches = BTreeSet::new();
    let mut namespaces = BTreeSet::new();
    for environment in &observed.environments {
        let (name, branch) = (text(environment, "/metadata/name"), text(environment, "/spec/branch"));
        if !Branch::all().any(|known| known.name() == branch) {
            all.push(format!("Environment {name} is for {branch:?}, which never gets one"));
        }
        if !branches.insert(branch) {
            all.push(format!("{branch} has two Environments"));
        }
        let namespace = text(environment, "/status/namespace/name");
        if !namespace.is_empty() && !namespaces.insert(namespace) {
            all.push(format!("namespace {namespace} belongs to two Environments (S2)"));
        }
    }
    for (name, namespace) in &observed.namespaces {
        let owner = text(namespace, "/metadata/labels/graftling.dev~1environment");
        let has_owner = observed
            .environments
            .iter()
            .any(|environment| text(environment, "/metadata/name") == owner);
        if !owner.is_empty() && !has_owner {
            all.push(format!("namespace {name} is left over from an environment that is gone (L2)"));
        }
    }
}

fn one(model: &Model, branch: Branch, observed: &Observed, all: &mut Vec<String>) {
    let known = model.known(branch);
    let environment = observed.environment(branch.name());
    planted(branch, known, environment, observed, all);
    foreign(branch, known, observed, all);
    let mut say = |what: String| all.push(format!("{branch}: {what}"));
    let goes = environment.is_none_or(is_ending);
    if goes && known.stays_held() && !known.removed && !model.released {
        say("the brake held its environment, and it goes although nobody released it (S4)".to_owned());
    }
    match environment {
        _ if model.settings.suspended => while_suspended(known, environment, &mut say),
        None => {
            if let Some(why) = must_have_one(model, branch, observed) {
                say(why);
            }
        }
        Some(environment) if is_ending(environment) => ending(known, environment, &mut say),
        Some(environment) if known.head.is_none() => held(model, branch, environment, observed, &mut say),
        Some(environment) => alive(model, branch, environment, observed, &mut say),
    }
}

/// S4, while nothing is created, updated or retired.
fn while_suspended(known: &Known, environment: Option<&Value>, say: &mut impl FnMut(String)) {
    let Some(last) = known.last.as_ref().filter(|last| !last.is_ending) else {
        return;
    };
    let stays = environment.is_some_and(|environment| uid(environment) == last.uid && !is_ending(environment));
    if !stays && !known.was_absent && !known.removed {
        say("its environment went although the branch was there all the time (S4)".to_owned());
    }
}

/// Why a branch without an environment must have one; nothing if it need not.
fn must_have_one(model: &Model, branch: Branch, observed: &Observed) -> Option<String> {
    let known = model.known(branch);
    known.head.as_ref()?;
    if known.lives_on().is_some() {
        return Some("its environment is gone although the branch was there all the time (S4)".to_owned());
    }
    if model.settings.excluded.contains(&branch) {
        return None;
    }
    match model.settings.most {
        Some(most) if observed.environments.len() >= most as usize => {
            let listed = observed.project["status"]["skipped"].as_array();
            let named = listed.is_some_and(|skipped| skipped.iter().any(|one| one["branch"] == branch.name()));
            (!named).then(|| "it waits for room, and the Project's status does not say so (L3)".to_owned())
        }
        _ => Some("it has no environment".to_owned()),
    }
}

/// A teardown ends, unless objects of others hold it up, or some that somebody made theirs by taking our label off; then the status names one.
fn ending(known: &Known, environment: &Value, say: &mut impl FnMut(String)) {
    let message = text(environment, "/status/message");
    if known.planted.is_empty() && known.unlabelled.is_empty() {
        return say(format!("its teardown does not end: {message}"));
    }
    let unlabelled = known.unlabelled.iter().map(|target| {
        let (_, kind, name) = target.object();
        format!("{kind} {name} no longer bears")
    });
    let named = known.planted.keys().cloned().chain(unlabelled).any(|what| message.contains(&what));
    if text(environment, "/status/phase") != "Blocked" || !named {
        say(format!(
            "objects of others hold its teardown up, and the status does not name one (L3): {message}"
        ));
    }
    if matches!(condition(environment, "Ready"), Some(("True", ..))) {
        say("it is being torn down and says that it is ready (L3)".to_owned());
    }
}

/// The branch is gone and its environment is not: only the brake keeps it.
fn held(model: &Model, branch: Branch, environment: &Value, observed: &Observed, say: &mut impl FnMut(String)) {
    let known = model.known(branch);
    if !observed.is_held(branch.name()) {
        return say(format!("the branch is gone, and its environment is not: {}", said(environment)));
    }
    if !known.stays_held() && going(model) <= BRAKE {
        say(format!(
            "the brake holds it although at most {} environments can be going",
            going(model)
        ));
    }
    let revision = text(environment, "/spec/revision");
    if !environment::may_show(known, revision) {
        say(format!("it shows {revision}, where the branch never was"));
    }
}

/// How many environments can have been going at once since the last quiet point.
fn going(model: &Model) -> usize {
    let may_go = |known: &&Known| {
        let was_ending = known.last.as_ref().is_some_and(|last| last.is_ending);
        known.was_absent || known.removed || was_ending
    };
    model.branches.values().filter(may_go).count()
}

fn alive(model: &Model, branch: Branch, environment: &Value, observed: &Observed, say: &mut impl FnMut(String)) {
    let known = model.known(branch);
    let revision = text(environment, "/spec/revision");
    let head = known.head.as_deref().unwrap_or_default();
    if known.lives_on().is_some_and(|last| last.uid != uid(environment)) {
        say("its Environment was deleted and made anew although the branch was there all the time (S4, S9)".to_owned());
    }
    if model.settings.excluded.contains(&branch) {
        // One that is there stays as it is.
        if known.last.is_none() && !known.was_wanted {
            say("it is excluded and has got an environment".to_owned());
        }
        if !environment::may_show(known, revision) {
            say(format!("it shows {revision}, where the branch never was"));
        }
    } else if revision != head {
        return say(format!("it is to show {revision} and not {head}"));
    }
    environment::complaints(model, branch, environment, observed, say);
}

/// S1: what others put there stays until they take it away; and nothing is lost but by a deletion that may have come first.
fn planted(branch: Branch, known: &Known, environment: Option<&Value>, observed: &Observed, all: &mut Vec<String>) {
    let was_ending = known.last.as_ref().is_some_and(|last| last.is_ending);
    let might_be_going = known.was_absent || known.removed || known.namespace_removed || was_ending;
    for (name, is_new) in &known.planted {
        let is_there = environment.is_some_and(|environment| {
            let namespace = text(environment, "/metadata/name").to_owned();
            let key = (namespace, "ConfigMap".to_owned(), name.clone());
            observed.objects.get(&key).is_some_and(|object| object["data"]["whose"] == "theirs")
        });
        let may_be_lost = known.namespace_removed || (*is_new && might_be_going);
        if !is_there && !may_be_lost {
            all.push(format!(
                "{branch}: ConfigMap {name}, which others put into its namespace, is gone or changed (S1)"
            ));
        }
    }
}

/// S1: a namespace that others made is theirs.
fn foreign(branch: Branch, known: &Known, observed: &Observed, all: &mut Vec<String>) {
    let Some(name) = &known.foreign_namespace else { return };
    let labels = observed.namespaces.get(name).map(|namespace| &namespace["metadata"]["labels"]);
    if labels.is_none_or(|labels| labels["whose"] != "theirs" || !labels["graftling.dev/environment"].is_null()) {
        all.push(format!("{branch}: namespace {name}, which others made, is gone or changed (S1)"));
    }
}

/// A limit keeps further environments from beginning, and never ends one.
fn limit(model: &Model, observed: &Observed, all: &mut Vec<String>) {
    if model.was_unlimited {
        return;
    }
    let before = model.branches.values().filter(|known| known.last.is_some()).count();
    let most = (model.highest_limit.unwrap_or_default() as usize).max(before);
    if observed.environments.len() > most {
        all.push(format!(
            "there are {} environments, and there may be {most}",
            observed.environments.len()
        ));
    }
}

/// The Project's conditions tell the truth.
fn project(model: &Model, observed: &Observed, all: &mut Vec<String>) {
    let Some((status, reason, message)) = condition(&observed.project, "Ready") else {
        return all.push("the Project has no condition Ready".to_owned());
    };
    let holds = !observed.project["status"]["brake"].is_null();
    let expected = match (model.settings.suspended, holds) {
        (true, _) => ("False", "Suspended"),
        (false, true) => ("False", "Braked"),
        (false, false) => ("True", "Synced"),
    };
    if (status, reason) != expected {
        all.push(format!("the Project is {expected:?} and says {status} {reason}: {message}"));
    }
    if observed.project["status"]["observedGeneration"] != observed.project["metadata"]["generation"] {
        all.push("the Project's status speaks of an older generation".to_owned());
    }
    let held = observed.project["status"]["brake"]["branches"].as_array();
    for branch in held.into_iter().flatten().filter_map(Value::as_str) {
        let is_there = Branch::all().any(|known| known.name() == branch && model.head(known).is_some());
        if is_there && !model.settings.suspended {
            all.push(format!("the brake holds {branch}, which is there"));
        }
    }
}

pub(super) fn said(environment: &Value) -> String {
    format!("{}: {}", text(environment, "/status/phase"), text(environment, "/status/message"))
}
