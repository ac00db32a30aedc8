//! `graftling env unstick`: the only way in which graftling ever removes a finalizer.

use std::fmt::Write;

use clap::Args;
use kube::ResourceExt;

use super::Selection;
use super::confirm::confirm;
use super::show::reference;
use crate::app::unstick::{Held, Unstick};
use crate::cli::output::print;
use crate::cli::printable::{printable, printable_lines};

/// Which environment, and what of it.
#[derive(Debug, Args)]
#[command(after_help = "\
Only for an environment that is being deleted, and only for objects of it that are being deleted and
do not end. It uses your rights, not the server's. Whatever a finalizer's controller would still have
cleaned up stays behind: repair the controller instead wherever that is possible.")]
pub struct Arguments {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Only this object; may be given several times
    #[arg(long, value_name = "KIND/NAME", value_parser = parse_object)]
    object: Vec<(String, String)>,
    #[command(flatten)]
    selection: Selection,
}

/// Why nothing was removed.
#[derive(Debug, thiserror::Error)]
pub enum UnstickError {
    /// The environment has no such object that is held.
    #[error("{environment} has no {kind} {name} that is being deleted and holds finalizers")]
    FindObject {
        /// The environment.
        environment: String,
        /// The kind asked for.
        kind: String,
        /// The name asked for.
        name: String,
    },
}

fn parse_object(text: &str) -> Result<(String, String), String> {
    let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let parts = text.split_once('/').and_then(|(kind, name)| Some((part(kind)?, part(name)?)));
    parts.ok_or_else(|| "write it as KIND/NAME, such as ConfigMap/settings".to_owned())
}

/// Shows what is held, asks, and takes the finalizers off.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (access, environment) = arguments.selection.find().await?;
    let unstick = Unstick::new(&access, &environment)?;
    let held = select(unstick.held().await?, &arguments.object, &reference(&environment))?;
    if held.is_empty() {
        eprintln!("Nothing of {} is being deleted and holds a finalizer.", environment.name_any());
        return Ok(());
    }
    let by = unstick.caller().await?;
    eprint!("{}", printable_lines(&description(&held)));
    let question = format!("Remove these finalizers from {} objects as {}?", held.len(), printable(&by));
    confirm(&question, arguments.yes)?;
    for object in &held {
        unstick.release(object, &by).await?;
        let finalizers = object.finalizers.join(", ");
        print(&printable_lines(&format!("{}: removed {finalizers}\n", object.key)))?;
    }
    Ok(())
}

fn select(held: Vec<Held>, wanted: &[(String, String)], environment: &str) -> Result<Vec<Held>, UnstickError> {
    let is = |object: &Held, (kind, name): &(String, String)| object.key.kind.eq_ignore_ascii_case(kind) && object.key.name == *name;
    if let Some((kind, name)) = wanted.iter().find(|wanted| !held.iter().any(|object| is(object, wanted))) {
        return Err(UnstickError::FindObject {
            environment: environment.to_owned(),
            kind: kind.clone(),
            name: name.clone(),
        });
    }
    let is_wanted = |object: &Held| wanted.is_empty() || wanted.iter().any(|wanted| is(object, wanted));
    Ok(held.into_iter().filter(is_wanted).collect())
}

fn description(held: &[Held]) -> String {
    let mut text = String::new();
    for object in held {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{}, being deleted since {}:", object.key, object.since);
        for finalizer in &object.finalizers {
            let _infallible = writeln!(text, "  {finalizer}: {}", consequence(finalizer));
        }
    }
    text
}

/// What removing a finalizer leads to.
fn consequence(finalizer: &str) -> &'static str {
    match finalizer {
        "kubernetes.io/pvc-protection" => "the claim goes although a Pod may still use its volume",
        "kubernetes.io/pv-protection" => "the volume's record goes although a claim may still be bound to it",
        "service.kubernetes.io/load-balancer-cleanup" => {
            "the load balancer stays in the cloud, and costs money, until somebody removes it there"
        }
        "foregroundDeletion" => "its dependents are collected later, and may still run when it is gone",
        "orphan" => "its dependents may be collected with it",
        _ => "whatever its controller would still have cleaned up stays behind",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;
    use crate::domain::manifest::ObjectKey;

    fn held(kind: &str, name: &str) -> Held {
        Held {
            key: ObjectKey {
                group: String::new(),
                version: "v1".into(),
                kind: kind.into(),
                namespace: Some("n".into()),
                name: name.into(),
            },
            uid: "u".into(),
            since: "2026-01-01T00:00:00Z".into(),
            finalizers: vec!["a.example/b".into()],
        }
    }

    #[test]
    fn only_what_was_asked_for_is_selected_and_what_is_not_there_is_an_error() {
        let all = || vec![held("ConfigMap", "a"), held("Secret", "a")];
        assert_eq!(select(all(), &[], "e").unwrap(), all());
        assert_eq!(
            select(all(), &[("configmap".into(), "a".into())], "e").unwrap(),
            [held("ConfigMap", "a")]
        );
        let missing = select(all(), &[("Secret".into(), "a".into()), ("Secret".into(), "b".into())], "e").unwrap_err();
        assert_eq!(missing.to_string(), "e has no Secret b that is being deleted and holds finalizers");
    }

    #[test]
    fn an_object_is_written_as_kind_and_name() {
        assert_eq!(parse_object("ConfigMap/a").unwrap(), ("ConfigMap".into(), "a".into()));
        for text in ["a", "/a", "a/", ""] {
            assert!(parse_object(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_shown_names_object_time_finalizer_and_consequence() {
        assert_eq!(
            description(&[held("ConfigMap", "a")]),
            "v1 ConfigMap a, being deleted since 2026-01-01T00:00:00Z:\n  a.example/b: whatever its controller would still have cleaned up stays behind\n"
        );
    }
}
