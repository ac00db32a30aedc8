//! `--keep`: stays up, says what can be done, and tells what becomes of it.

use std::collections::BTreeMap;

use anyhow::bail;
use futures::StreamExt;
use graftling::api::environment::{Environment, Phase};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use testbed::Repository;

use crate::chart::NAMESPACE;
use crate::repository::clone_of;
use crate::screen::{Mark, Screen};
use crate::server::Server;

/// What to do next, as commands to copy.
pub fn explain(screen: &mut Screen, flags: &str, server: &Server, repository: &Repository) {
    let clone = clone_of(repository).display().to_string();
    let program = server.program.display();
    screen.act("It stays up until Ctrl-C. From another terminal:");
    for (what, command) in [
        ("all environments", format!("kubectl {flags} -n {NAMESPACE} get env")),
        ("the same", format!("{program} env list {flags} -n {NAMESPACE}")),
        ("one in detail", format!("{program} env describe main {flags} -n {NAMESPACE}")),
        ("a new branch", format!("git -C {clone} push origin HEAD:refs/heads/feature/cart")),
        ("its end", format!("git -C {clone} push origin :feature/cart")),
        (
            "the receipts",
            format!("kubectl {flags} -n {NAMESPACE} get configmaps -l graftling.dev/receipt -o yaml"),
        ),
    ] {
        screen.remark(format!("{what:<17} {command}"));
    }
    screen.act("What happens meanwhile");
}

/// Tells of every environment until somebody ends the demo.
pub async fn watch(client: &Client, screen: &mut Screen) -> anyhow::Result<()> {
    let environments: Api<Environment> = Api::namespaced(client.clone(), NAMESPACE);
    let mut events = watcher::watcher(environments, watcher::Config::default()).boxed();
    let mut told: BTreeMap<String, Option<Phase>> = BTreeMap::new();
    loop {
        match events.next().await {
            Some(Ok(Event::Apply(environment) | Event::InitApply(environment))) => {
                let status = environment.status.clone().unwrap_or_default();
                if told.insert(environment.name_any(), status.phase) != Some(status.phase)
                    && let Some(phase) = status.phase
                {
                    let words = match phase {
                        Phase::Ready => status.url.unwrap_or_default(),
                        _ => status.message.unwrap_or_default(),
                    };
                    screen.line(mark(phase), format!("{} is {phase:?}: {words}", environment.spec.branch));
                }
            }
            Some(Ok(Event::Delete(environment))) => {
                told.remove(&environment.name_any());
                screen.line(Mark::Removed, format!("{} is gone", environment.spec.branch));
            }
            // The watch begins anew by itself.
            Some(Ok(Event::Init | Event::InitDone) | Err(_)) => {}
            None => bail!("the watch ended"),
        }
    }
}

fn mark(phase: Phase) -> Mark {
    match phase {
        Phase::Ready => Mark::Done,
        Phase::Failed | Phase::Blocked => Mark::Changed,
        Phase::Pending | Phase::Deploying | Phase::Resting | Phase::Deleting => Mark::Step,
    }
}
