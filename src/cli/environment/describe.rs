//! `graftling env describe`: everything that is known of one environment, for people.
//!
//! Values are named, never shown: they are settings of others. Whether an applied object is ready is not recorded; the stages say it.

mod control;

use std::fmt::Write;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use super::show::{NONE, phase, short};
use crate::api::convert::inventory::entries;
use crate::api::convert::removal;
use crate::api::environment::run::StageStatus;
use crate::api::environment::{
    Environment, EnvironmentStatus, Grace, GraceState, HistoryEntry, InventoryEntry, PullRequest, Receipt, RevisionStatus,
};
use crate::cli::printable::printable;
use crate::cli::table::{age, table};

/// The environment in words, section by section. What is not known is left out.
pub fn describe(environment: &Environment, now: Timestamp) -> String {
    let unknown = EnvironmentStatus::default();
    let status = environment.status.as_ref().unwrap_or(&unknown);
    let mut text = identity(environment, status, now);
    text += &section("Conditions", conditions(&status.conditions, now));
    text += &section("Changed by hand", control::drift(&status.drift));
    text += &section("Stages", stages(&status.stages));
    text += &section("Waits for approval", control::approvals(&status.pending_approvals));
    text += &section("Inventory (the stages tell what of it is ready)", inventory(status));
    text += &section("History", history(&status.history, now));
    text += &section("Receipt", status.receipt.as_ref().map(|receipt| self::receipt(receipt, now)));
    text
}

fn identity(environment: &Environment, status: &EnvironmentStatus, now: Timestamp) -> String {
    let spec = &environment.spec;
    let created = environment.creation_timestamp();
    let mut lines = vec![
        ("Name", Some(environment.name_any())),
        ("Namespace", environment.namespace()),
        ("Project", Some(spec.project_ref.name.clone())),
        ("Branch", Some(spec.branch.clone())),
        ("Repository ID", Some(spec.repository_id.clone())),
        ("Pull request", spec.pull_request.as_ref().map(pull_request)),
        (
            "Created",
            created.map(|time| format!("{} ({} ago)", time.0, age(Some(time.0), now))),
        ),
        ("Phase", Some(phase(environment))),
        ("Kept until", spec.grace.as_ref().map(kept_until)),
        ("Message", status.message.clone()),
        (
            "Expires",
            status
                .expires_at
                .as_ref()
                .map(|time| format!("{} unless something is pushed", time.0)),
        ),
        (
            "Removed",
            environment
                .metadata
                .deletion_timestamp
                .as_ref()
                .map(|_| format!("because {}", removal::reason(environment))),
        ),
        ("Suspended", spec.suspend.then(|| "yes: nothing is applied".to_owned())),
        ("Request", control::request(status)),
        ("URL", status.url.clone()),
        ("URLs", (!status.urls.is_empty()).then(|| status.urls.join(", "))),
        (
            "Wanted",
            Some(revision(status, |revision| &revision.wanted).unwrap_or_else(|| spec.revision.clone())),
        ),
        (
            "Applied",
            Some(revision(status, |revision| &revision.applied).unwrap_or_else(|| NONE.to_owned())),
        ),
    ];
    let owner = status.deployer.as_ref();
    lines.push(("Runs in", status.namespace.as_ref().map(|namespace| namespace.name.clone())));
    lines.push((
        "Deployer",
        owner.map(|deployer| format!("{}/{}", deployer.namespace, deployer.name)),
    ));
    lines.push((
        "Own values",
        (!spec.values.is_empty()).then(|| spec.values.keys().cloned().collect::<Vec<_>>().join(", ")),
    ));
    pairs(lines)
}

/// What comes after it is for people who wonder whether it is theirs to keep.
fn kept_until(grace: &Grace) -> String {
    let next = match grace.state {
        GraceState::Resting => "then it is torn down",
        GraceState::Restored => "then it rests once more",
        GraceState::Sleeping => {
            return format!(
                "it is pushed, or its pull request reopened; since {}: {}",
                grace.since.0, grace.reason
            );
        }
        GraceState::Woken => "then it sleeps once more",
    };
    format!("{}, {next}; since {}: {}", grace.until.0, grace.since.0, grace.reason)
}

fn pairs(lines: Vec<(&str, Option<String>)>) -> String {
    let mut text = String::new();
    for (name, value) in lines {
        if let Some(value) = value {
            let _ = writeln!(text, "{:<15}{}", format!("{name}:"), printable(&value));
        }
    }
    text
}

fn revision(status: &EnvironmentStatus, which: impl Fn(&RevisionStatus) -> &Option<String>) -> Option<String> {
    status.revision.as_ref().and_then(|revision| which(revision).clone())
}

fn pull_request(pull_request: &PullRequest) -> String {
    let PullRequest {
        number,
        base,
        author,
        title,
        ..
    } = pull_request;
    let draft = if pull_request.draft { ", draft" } else { "" };
    let labels = match pull_request.labels.as_slice() {
        [] => String::new(),
        labels => format!(", labelled {}", labels.join(", ")),
    };
    let fork = match &pull_request.fork {
        Some(fork) => format!(
            ", from {} at {}",
            fork.repository.as_deref().unwrap_or("a fork that is gone"),
            short(&fork.revision)
        ),
        None => String::new(),
    };
    format!("#{number} {title:?} by {author} into {base}{draft}{labels}{fork}")
}

fn conditions(conditions: &[Condition], now: Timestamp) -> Option<String> {
    let rows = conditions.iter().map(|condition| {
        vec![
            condition.type_.clone(),
            condition.status.clone(),
            condition.reason.clone(),
            age(Some(condition.last_transition_time.0), now),
            condition.message.clone(),
        ]
    });
    unless_empty(conditions, &["TYPE", "STATUS", "REASON", "AGE", "MESSAGE"], rows)
}

fn stages(stages: &[StageStatus]) -> Option<String> {
    let rows = stages
        .iter()
        .map(|stage| vec![stage.name.clone(), stage.state.clone(), stage.message.clone().unwrap_or_default()]);
    unless_empty(stages, &["NAME", "STATE", "MESSAGE"], rows)
}

fn inventory(status: &EnvironmentStatus) -> Option<String> {
    let inventory = match entries(status) {
        Ok(inventory) => inventory,
        Err(problem) => return Some(format!("{}\n", printable(&problem))),
    };
    let rows = inventory.iter().map(|entry| {
        vec![
            entry.stage.clone(),
            entry.api_version.clone(),
            entry.kind.clone(),
            entry.namespace.clone().unwrap_or_else(|| NONE.to_owned()),
            entry.name.clone(),
            standing(entry).to_owned(),
        ]
    });
    unless_empty(&inventory, &["STAGE", "APIVERSION", "KIND", "NAMESPACE", "NAME", "STANDING"], rows)
}

fn standing(entry: &InventoryEntry) -> &'static str {
    match (entry.gone, &entry.uid) {
        (true, _) => "gone",
        (false, Some(_)) => "applied",
        (false, None) => "not confirmed",
    }
}

fn history(history: &[HistoryEntry], now: Timestamp) -> Option<String> {
    let rows = history.iter().map(|entry| {
        vec![
            age(Some(entry.at.0), now),
            short(&entry.revision),
            entry.result.clone(),
            entry.changed.to_string(),
        ]
    });
    unless_empty(history, &["AGE", "REVISION", "RESULT", "CHANGED"], rows)
}

fn receipt(receipt: &Receipt, now: Timestamp) -> String {
    let mut text = format!(
        "created {}, removed {}, left {}, {} ago; in full in ConfigMap {}\n",
        receipt.created,
        receipt.removed,
        receipt.left.len(),
        age(Some(receipt.at.0), now),
        printable(&receipt.config_map),
    );
    for left in &receipt.left {
        let _ = writeln!(text, "left: {}: {}", printable(&left.object), printable(&left.reason));
    }
    text
}

fn unless_empty<T>(entries: &[T], header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Option<String> {
    (!entries.is_empty()).then(|| table(header, rows))
}

fn section(title: &str, content: Option<String>) -> String {
    let Some(content) = content else {
        return String::new();
    };
    let mut text = format!("\n{title}:\n");
    for line in content.lines() {
        let _ = writeln!(text, "  {line}");
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "an unreadable example is the test's failure")]

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::api::environment::LeftOver;

    fn now() -> Timestamp {
        "2026-01-01T02:00:00Z".parse().unwrap()
    }

    fn environment(status: serde_json::Value) -> Environment {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "graftling.dev/v1alpha1",
            "kind": "Environment",
            "metadata": { "name": "shop-feature-a-aaaaaaaaaa", "namespace": "team", "creationTimestamp": "2026-01-01T00:00:00Z" },
            "spec": {
                "projectRef": { "name": "shop" },
                "branch": "feature/a",
                "repositoryId": "42",
                "revision": "ab".repeat(20),
                "pullRequest": { "number": 7, "base": "main", "author": "mia", "title": "New \u{1b}[31mcart", "labels": ["ui"], "draft": true },
                "values": { "replicas": 2, "token": "not-to-be-shown" },
            },
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_running_environment_is_explained_section_by_section() {
        let text = describe(
            &environment(serde_json::json!({
                "phase": "Deploying",
                "message": "Waiting for Deployment web",
                "conditions": [{
                    "type": "Ready", "status": "False", "reason": "Waiting", "message": "Deployment web is not ready",
                    "lastTransitionTime": "2026-01-01T01:59:00Z",
                }],
                "namespace": { "name": "shop-feature-a-aaaaaaaaaa", "uid": "1" },
                "deployer": { "namespace": "team", "name": "graftling-deployer" },
                "url": "https://shop-feature-a-aaaaaaaaaa.example.com",
                "urls": ["https://shop-feature-a-aaaaaaaaaa.example.com", "https://api-shop-feature-a-aaaaaaaaaa.example.com"],
                "revision": { "wanted": "ab".repeat(20), "applied": "cd".repeat(20) },
                "stages": [{ "name": "database", "state": "Ready" }, { "name": "web", "state": "Running", "message": "1 of 2 ready" }],
                "inventory": [
                    { "apiVersion": "v1", "kind": "Secret", "namespace": "x", "name": "web", "stage": "database", "uid": "2" },
                    { "apiVersion": "apps/v1", "kind": "Deployment", "namespace": "x", "name": "web", "stage": "web" },
                ],
                "history": [{ "revision": "cd".repeat(20), "at": "2026-01-01T01:00:00Z", "result": "Ready", "changed": 5 }],
            })),
            now(),
        );
        insta::assert_snapshot!(text, @r#"
        Name:          shop-feature-a-aaaaaaaaaa
        Namespace:     team
        Project:       shop
        Branch:        feature/a
        Repository ID: 42
        Pull request:  #7 "New \u{1b}[31mcart" by mia into main, draft, labelled ui
        Created:       2026-01-01T00:00:00Z (120m ago)
        Phase:         Deploying
        Message:       Waiting for Deployment web
        URL:           https://shop-feature-a-aaaaaaaaaa.example.com
        URLs:          https://shop-feature-a-aaaaaaaaaa.example.com, https://api-shop-feature-a-aaaaaaaaaa.example.com
        Wanted:        abababababababababababababababababababab
        Applied:       cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd
        Runs in:       shop-feature-a-aaaaaaaaaa
        Deployer:      team/graftling-deployer
        Own values:    replicas, token

        Conditions:
          TYPE    STATUS   REASON    AGE   MESSAGE
          Ready   False    Waiting   60s   Deployment web is not ready

        Stages:
          NAME       STATE     MESSAGE
          database   Ready
          web        Running   1 of 2 ready

        Inventory (the stages tell what of it is ready):
          STAGE      APIVERSION   KIND         NAMESPACE   NAME   STANDING
          database   v1           Secret       x           web    applied
          web        apps/v1      Deployment   x           web    not confirmed

        History:
          AGE   REVISION       RESULT   CHANGED
          60m   cdcdcdcdcdcd   Ready    5
        "#);
    }

    #[test]
    fn an_environment_without_a_status_has_no_empty_sections() {
        let text = describe(&environment(serde_json::Value::Null), now());
        insta::assert_snapshot!(text, @r#"
        Name:          shop-feature-a-aaaaaaaaaa
        Namespace:     team
        Project:       shop
        Branch:        feature/a
        Repository ID: 42
        Pull request:  #7 "New \u{1b}[31mcart" by mia into main, draft, labelled ui
        Created:       2026-01-01T00:00:00Z (120m ago)
        Phase:         <none>
        Wanted:        abababababababababababababababababababab
        Applied:       <none>
        Own values:    replicas, token
        "#);
    }

    #[test]
    fn a_receipt_says_what_is_left_and_why() {
        let mut environment = environment(serde_json::json!({ "phase": "Deleting" }));
        let left = LeftOver {
            object: "PersistentVolumeClaim data".to_owned(),
            reason: "kept by policy".to_owned(),
        };
        environment.status.as_mut().unwrap().receipt = Some(Receipt {
            created: 5,
            removed: 4,
            left: vec![left],
            at: Time("2026-01-01T01:58:00Z".parse().unwrap()),
            config_map: "shop-feature-a-aaaaaaaaaa-receipt".to_owned(),
        });
        let text = describe(&environment, now());
        assert!(
            text.contains("created 5, removed 4, left 1, 2m ago; in full in ConfigMap shop-feature-a-aaaaaaaaaa-receipt"),
            "{text}"
        );
        assert!(text.contains("left: PersistentVolumeClaim data: kept by policy"), "{text}");
    }

    #[test]
    fn neither_values_nor_escape_sequences_are_shown() {
        let text = describe(&environment(serde_json::Value::Null), now());
        assert!(!text.contains("not-to-be-shown"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
