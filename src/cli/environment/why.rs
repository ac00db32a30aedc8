//! `graftling env why`: one sentence and the next step, for people who know no Kubernetes word.

use std::fmt::Write;

use clap::{Args, ValueEnum};
use kube::ResourceExt;
use serde::Serialize;

use super::Selection;
use super::show::{NONE, phase};
use crate::api::Environment;
use crate::api::environment::Phase;
use crate::app::access::Look;
use crate::cli::output::{json, print};
use crate::cli::printable::printable;
use crate::domain::name::Namespace;
use crate::domain::why::{Explanation, explain, is_wait, next_step};

/// Which environment, and how much of it.
#[derive(Debug, Args)]
#[command(after_help = "Exits with 0 whatever it tells; with 3 if there is no such environment, with 5 if it may not be read.")]
pub struct Arguments {
    /// Form of the output: text, wide (with what it was concluded from) or json
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    output: Form,
    #[command(flatten)]
    selection: Selection,
}

/// The forms of the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A sentence and the next step
    #[default]
    Text,
    /// With what it was concluded from, and what else is wrong
    Wide,
    /// All of it, as JSON
    Json,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    environment: String,
    branch: String,
    phase: String,
    /// The class of what is wrong, or the reason of the status.
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    sentence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    evidence: Vec<String>,
    /// What else is wrong.
    also: Vec<Explanation>,
    /// What could not be read, so that the answer may be incomplete.
    unread: Vec<String>,
}

/// Carries out the command.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (access, environment) = arguments.selection.find().await?;
    let look = match place(&environment) {
        Some(namespace) => access.diagnose(&namespace).await,
        None => Look::default(),
    };
    let answer = answer(&environment, look);
    print(&match arguments.output {
        Form::Text => text(&answer),
        Form::Wide => wide(&answer),
        Form::Json => json(&answer)?,
    })?;
    Ok(())
}

/// Where to look: nowhere if the status says all that there is.
fn place(environment: &Environment) -> Option<Namespace> {
    let is_there = environment.metadata.deletion_timestamp.is_none() && environment.status.as_ref()?.namespace.is_some();
    let (phase, reason) = (environment.status.as_ref()?.phase?, reason(environment));
    let may_tell_more = match phase {
        Phase::Ready | Phase::Deploying => true,
        Phase::Failed => is_wait(&reason) || next_step(&reason).is_none(),
        Phase::Pending | Phase::Resting | Phase::Deleting | Phase::Blocked => false,
    };
    (is_there && may_tell_more).then(|| environment.name_any().parse().ok())?
}

fn reason(environment: &Environment) -> String {
    let conditions = environment.status.iter().flat_map(|status| &status.conditions);
    let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
    ready.map(|condition| condition.reason.clone()).unwrap_or_default()
}

fn answer(environment: &Environment, look: Look) -> Answer {
    let mut found = explain(&look.scene);
    let is_ready = environment.status.as_ref().is_some_and(|status| status.phase == Some(Phase::Ready));
    let first = (!found.is_empty()).then(|| found.remove(0));
    let base = Answer {
        environment: environment.name_any(),
        branch: environment.spec.branch.clone(),
        phase: phase(environment),
        reason: reason(environment),
        object: None,
        sentence: standing(environment),
        next: None,
        evidence: Vec::new(),
        also: found,
        unread: look.missing,
    };
    match first {
        Some(first) => Answer {
            reason: first.class.name().to_owned(),
            object: Some(first.object),
            sentence: match is_ready {
                true => format!("{}, but {}", base.sentence, first.sentence),
                false => first.sentence,
            },
            next: Some(first.next),
            evidence: first.evidence,
            ..base
        },
        None => Answer {
            next: next_step(&base.reason).map(str::to_owned),
            ..base
        },
    }
}

/// Where the environment stands, in the words of its status.
fn standing(environment: &Environment) -> String {
    let status = environment.status.clone().unwrap_or_default();
    match (status.phase, status.message, status.url) {
        (Some(Phase::Ready), _, Some(url)) => format!("it is ready: {url}"),
        (_, Some(message), _) => message,
        (_, None, _) => "nobody has looked at it yet: is the server running?".to_owned(),
    }
}

fn text(answer: &Answer) -> String {
    let mut text = format!("{}\n", printable(&answer.sentence));
    if let Some(next) = &answer.next {
        let _ = writeln!(text, "Next: {}", printable(next));
    }
    text
}

fn wide(answer: &Answer) -> String {
    let mut wide = text(answer);
    let reason = if answer.reason.is_empty() { NONE } else { &answer.reason };
    let object = answer.object.as_ref().map(|object| format!(" of {object}")).unwrap_or_default();
    let _ = writeln!(
        wide,
        "\n{} (branch {}) is {}: {}{}",
        answer.environment,
        printable(&answer.branch),
        answer.phase,
        printable(reason),
        printable(&object)
    );
    for line in &answer.evidence {
        let _ = writeln!(wide, "  {}", printable(line));
    }
    for other in &answer.also {
        let _ = writeln!(wide, "\n{}: {}", other.class.name(), printable(&other.sentence));
        let _ = writeln!(wide, "  Next: {}", printable(&other.next));
        for line in &other.evidence {
            let _ = writeln!(wide, "  {}", printable(line));
        }
    }
    if !answer.unread.is_empty() {
        wide.push_str("\nNot everything could be read:\n");
    }
    for missing in &answer.unread {
        let _ = writeln!(wide, "  {}", printable(missing));
    }
    wide
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "an environment that cannot be made is the test's failure")]

    use serde_json::{Value, json};

    use super::*;

    fn environment(phase: &str, reason: &str, message: &str) -> Environment {
        serde_json::from_value(json!({
            "apiVersion": "graftling.dev/v1alpha1", "kind": "Environment",
            "metadata": { "name": "shop-a-aaaaaaaaaa", "namespace": "team" },
            "spec": { "projectRef": { "name": "shop" }, "branch": "feature/a", "repositoryId": "1", "revision": "ab".repeat(20) },
            "status": {
                "phase": phase, "message": message, "url": "https://shop-a-aaaaaaaaaa.example.com",
                "namespace": { "name": "shop-a-aaaaaaaaaa" },
                "conditions": [{
                    "type": "Ready", "status": "False", "reason": reason, "message": message,
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }],
            },
        }))
        .unwrap()
    }

    fn look(pods: Value) -> Look {
        let mut look = Look::default();
        look.scene.pods = serde_json::from_value(pods).unwrap();
        look
    }

    fn broken() -> Look {
        look(json!([
            { "metadata": { "name": "web" }, "spec": { "containers": [{ "name": "web", "image": "Web:" }] }, "status": {
                "containerStatuses": [{ "name": "web", "ready": false, "state": { "waiting": { "reason": "InvalidImageName", "message": "no" } } }] } },
            { "metadata": { "name": "db" }, "spec": {}, "status": { "phase": "Failed", "reason": "Evicted", "message": "out of memory" } },
        ]))
    }

    #[test]
    fn feature_c6_the_answer_is_a_sentence_and_the_next_step() {
        let told = |phase: &str, reason: &str, message: &str, look: Look| text(&answer(&environment(phase, reason, message), look));
        insta::assert_snapshot!(told("Deploying", "Waiting", "apps/v1 Deployment web is starting", broken()), @r#"
        web cannot start: "Web:" is not the name of an image
        Next: correct image of container web of Pod web: it should look like registry.example.com/team/app:tag
        "#);
        insta::assert_snapshot!(told("Deploying", "Waiting", "apps/v1 Deployment web is starting", Look::default()), @r"
        apps/v1 Deployment web is starting
        Next: wait: it goes on by itself
        ");
        insta::assert_snapshot!(told("Ready", "Ready", "everything is applied and ready", Look::default()), @"it is ready: https://shop-a-aaaaaaaaaa.example.com");
        insta::assert_snapshot!(told("Failed", "InvalidBundle", "Project shop: bundle web: templates/web.yaml:3: no", Look::default()), @r"
        Project shop: bundle web: templates/web.yaml:3: no
        Next: correct the file and line in the bundle and push again; graftling bundle lint shows every problem
        ");
        insta::assert_snapshot!(told("Resting", "Resting", "the branch is gone", Look::default()), @r"
        the branch is gone
        Next: push to the branch, or run graftling env restore
        ");
        insta::assert_snapshot!(told("Blocked", "TerminationBlocked", "Widget a has finalizer x", Look::default()), @r"
        Widget a has finalizer x
        Next: remove what holds it, or see graftling env unstick
        ");
        assert!(
            told("Ready", "Ready", "", broken()).starts_with("it is ready: https://shop-a-aaaaaaaaaa.example.com, but web cannot start")
        );
    }

    #[test]
    fn only_what_may_tell_more_is_looked_at() {
        for (phase, reason, looks) in [
            ("Deploying", "Waiting", true),
            ("Failed", "ObjectFailed", true),
            ("Failed", "ImageNotFound", true),
            ("Failed", "StageFailed", true),
            ("Failed", "InvalidBundle", false),
            ("Resting", "Resting", false),
            ("Blocked", "TeardownBlocked", false),
        ] {
            assert_eq!(place(&environment(phase, reason, "")).is_some(), looks, "{phase} {reason}");
        }
    }

    #[test]
    fn the_wide_form_shows_what_it_was_concluded_from_and_json_has_all_of_it() {
        let mut look = broken();
        look.missing = vec!["events: not permitted".to_owned()];
        let answer = answer(&environment("Deploying", "Waiting", "starting"), look);
        insta::assert_snapshot!(wide(&answer), @r#"
        web cannot start: "Web:" is not the name of an image
        Next: correct image of container web of Pod web: it should look like registry.example.com/team/app:tag

        shop-a-aaaaaaaaaa (branch feature/a) is Deploying: InvalidImageName of Pod web
          Pod web: container web waits: InvalidImageName: no

        Evicted: db was ended because its machine ran out of memory
          Next: set resources.requests of Pod db to what it really needs, or make it use less
          Pod db: out of memory

        Not everything could be read:
          events: not permitted
        "#);
        let json: Value = serde_json::from_str(&json(&answer).unwrap()).unwrap();
        assert_eq!(
            (&json["reason"], &json["object"], &json["also"][0]["reason"]),
            (&json!("InvalidImageName"), &json!("Pod web"), &json!("Evicted"))
        );
    }
}
