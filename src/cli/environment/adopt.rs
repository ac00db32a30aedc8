//! `graftling env adopt`.

use clap::Args;
use kube::ResourceExt;

use super::confirm::confirm;
use super::resolve::{Wanted as Meant, resolve};
use super::show::reference;
use super::{Cluster, Selection};
use crate::api::Environment;
use crate::app::access::Access;
use crate::cli::output::print;
use crate::cli::printable::printable;
use crate::domain::adoption::{Claim, Claimant, NO_REVISION, Verdict, judge, reasons};
use crate::domain::name::{EnvironmentName, ProjectKey};
use crate::domain::roster::Wanted;

/// Which namespace.
#[derive(Debug, Args)]
#[command(after_help = "\
An Environment object gets lost when its definition or its finalizer is removed by hand, or when a
backup brings back some objects and not others. The server takes its namespace over by itself where
the evidence is complete. Where some is missing, this asks it to, for exactly this incarnation of
the namespace. Evidence to the contrary stays a refusal. Nothing is removed: to remove it all, run
`graftling env delete` afterwards.")]
pub struct Arguments {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    selection: Selection,
}

/// Why nothing is taken over.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// There is no such namespace.
    #[error("nothing was changed: there is neither an environment nor a namespace {name:?}")]
    FindNamespace {
        /// What was asked for.
        name: String,
    },
    /// The namespace does not say whose it was.
    #[error(
        "nothing was changed: namespace {name} does not say for which Project and branch it was made (label graftling.dev/project, \
         label graftling.dev/project-namespace, annotation graftling.dev/branch); put them back, or remove it with kubectl"
    )]
    Identify {
        /// The namespace.
        name: String,
    },
    /// There is evidence to the contrary.
    #[error("nothing was changed: namespace {name} cannot be taken over: {reasons}")]
    Refuse {
        /// The namespace.
        name: String,
        /// What speaks against it.
        reasons: String,
    },
    /// It is ending.
    #[error("nothing was changed: namespace {name} is being deleted; a fresh one is made once it is gone")]
    Ending {
        /// The namespace.
        name: String,
    },
    /// It is the environment's own already.
    #[error("nothing was changed: namespace {name} is the environment's own already")]
    Own {
        /// The namespace.
        name: String,
    },
}

/// Asks for the adoption of a namespace, and makes the Environment anew where it is lost.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Selection { wanted, project, cluster } = &arguments.selection;
    let (access, scope) = cluster.connect().await?;
    let called = access.environments_called(&scope, wanted).await?;
    let environment = match called.is_empty() {
        true => None,
        false => {
            let meant = Meant {
                text: wanted,
                project: project.as_ref(),
                scope: &scope,
            };
            Some(resolve(&meant, &called)?.clone())
        }
    };
    let name = environment.as_ref().map_or_else(|| wanted.clone(), ResourceExt::name_any);
    let Some(claim) = access.claim(&name).await? else {
        return Err(AdoptError::FindNamespace { name }.into());
    };
    match environment {
        Some(environment) => ask(&access, &environment, &claim, arguments.yes).await,
        None => make_anew(&access, &claim, cluster, arguments.yes).await,
    }
}

async fn ask(access: &Access, environment: &Environment, claim: &Claim, confirmed: bool) -> anyhow::Result<()> {
    if claim.environment_uid.is_some() && claim.environment_uid == environment.uid() {
        return Err(AdoptError::Own { name: claim.name.clone() }.into());
    }
    let identity = crate::api::convert::environment::identity(environment).map_err(|problem| AdoptError::Refuse {
        name: claim.name.clone(),
        reasons: format!("its Environment cannot be understood: {problem}"),
    })?;
    let missing = check(
        claim,
        &Claimant {
            environment: &identity.name,
            project: &identity.project,
            branch: &identity.branch,
            consent: None,
        },
    )?;
    confirm(
        &question(claim, &format!("the environment of branch {}", identity.branch), &missing),
        confirmed,
    )?;
    let who = access.who_am_i().await?;
    access.ask_to_adopt(environment, claim, who.as_deref()).await?;
    print(&format!(
        "{} is asked to take over namespace {}\n",
        reference(environment),
        claim.name
    ))?;
    Ok(())
}

async fn make_anew(access: &Access, claim: &Claim, cluster: &Cluster, confirmed: bool) -> anyhow::Result<()> {
    let unknown = || AdoptError::Identify { name: claim.name.clone() };
    let environment: EnvironmentName = claim.name.parse().map_err(|_| unknown())?;
    let project = claim.project_key().ok_or_else(unknown)?;
    let branch = claim.branch.as_ref().and_then(|branch| branch.parse().ok()).ok_or_else(unknown)?;
    let elsewhere = !cluster.all_namespaces && *access.namespace() != project.namespace;
    if elsewhere {
        let reasons = format!("it belongs to Project {project}; run this with -n {}", project.namespace);
        return Err(AdoptError::Refuse {
            name: claim.name.clone(),
            reasons,
        }
        .into());
    }
    let missing = check(
        claim,
        &Claimant {
            environment: &environment,
            project: &project,
            branch: &branch,
            consent: None,
        },
    )?;
    confirm(
        &question(claim, &format!("a new Environment of branch {branch}"), &missing),
        confirmed,
    )?;
    let who = access.who_am_i().await?;
    let wanted = Wanted {
        grace: None,
        name: environment,
        branch,
        repository: repository(access, &project).await?.parse()?,
        revision: NO_REVISION.parse()?,
        pull_request: None,
    };
    let made = access
        .make_anew(&project, &wanted, claim, who.as_deref().unwrap_or("somebody"))
        .await?;
    print(&format!(
        "{} is made anew and takes over namespace {}\n",
        reference(&made),
        claim.name
    ))?;
    Ok(())
}

/// Environments belong to a repository by its id, which the Project knows; without one, the Environment can only be removed.
async fn repository(access: &Access, project: &ProjectKey) -> anyhow::Result<String> {
    let stored = access.project(&project.namespace, &project.name).await?;
    let id = stored.and_then(|project| project.status).and_then(|status| status.repository_id);
    Ok(id.unwrap_or_else(|| "unknown".to_owned()))
}

/// The evidence that is missing, as a text; the server looks once more, and also for the Environment that the namespace names.
fn check(claim: &Claim, claimant: &Claimant<'_>) -> Result<String, AdoptError> {
    let name = claim.name.clone();
    match judge(claim, claimant, false) {
        Verdict::Adopt => Ok(String::new()),
        Verdict::Ending => Err(AdoptError::Ending { name }),
        Verdict::Refuse { doubts, curable: true } => Ok(reasons(&doubts)),
        Verdict::Refuse { doubts, curable: false } => Err(AdoptError::Refuse {
            name,
            reasons: reasons(&doubts),
        }),
    }
}

fn question(claim: &Claim, who: &str, missing: &str) -> String {
    let missing = match missing {
        "" => "the evidence is complete".to_owned(),
        missing => format!("missing evidence: {missing}"),
    };
    let lost = claim.environment_uid.as_deref().unwrap_or("unknown");
    printable(&format!(
        "Namespace {} (UID {}) was made for the Environment with UID {lost}; {missing}. Let {who} take it over with everything in it?",
        claim.name, claim.uid
    ))
}
