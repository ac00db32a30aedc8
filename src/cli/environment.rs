//! `graftling env`: which environments there are, how they stand, and how to remove one.

mod adopt;
mod approve;
mod confirm;
mod delete;
mod describe;
mod dry_run;
mod follow;
mod pause;
mod request;
mod resolve;
mod restore;
mod show;
mod unstick;
mod watch;
mod why;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use self::resolve::{Wanted, resolve};
use super::output::print;
use crate::api::Environment;
use crate::api::environment::requests::Verdict;
use crate::app::access::{Access, Scope, Target};
use crate::config::parse_interval;
use crate::domain::name::{Namespace, ProjectName};

pub use adopt::AdoptError;
pub use approve::ApproveError;
pub use confirm::{ConfirmError, confirm};
pub use dry_run::Blocked;
pub use follow::FollowError;
pub use request::RequestError;
pub use resolve::{ResolveError, place};
pub use restore::RestoreError;
pub use show::{Format, NONE};
pub use unstick::UnstickError;

/// What to do with environments.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List environments
    #[command(visible_alias = "ls")]
    List(List),
    /// Show one environment
    Get(Get),
    /// Explain one environment: identity, conditions, stages, what was applied, and its past
    Describe(Describe),
    /// Tell in one sentence why an environment is not ready, and what to do
    Why(why::Arguments),
    /// Watch the run of an environment as it goes on
    Watch(watch::Arguments),
    /// Remove one environment and everything in it
    Delete(delete::Arguments),
    /// Take over the namespace of an Environment that was lost
    Adopt(adopt::Arguments),
    /// Remove the finalizers that keep an environment from ending
    Unstick(unstick::Arguments),
    /// Bring back an environment that rests because its branch was deleted
    Restore(restore::Arguments),
    /// Try again what failed in the last run
    Retry(request::Retry),
    /// Go on without a stage of the run
    Skip(request::Skip),
    /// Approve a stage that waits for a person's word
    Approve(approve::Arguments),
    /// Reject a stage that waits for a person's word: the stage fails
    Reject(approve::Arguments),
    /// Pause an environment: nothing is applied, and what is changed by hand stays
    Pause(pause::Pause),
    /// Let a paused environment go on
    Resume(pause::Resume),
    /// Put back what an earlier run applied
    Rollback(request::Rollback),
    /// Put only some objects right
    Sync(request::Sync),
    /// Run a stage of the last run once more
    Rerun(request::Rerun),
}

/// Which environments, and in which form.
#[derive(Debug, Args)]
pub struct List {
    /// Only environments of this Project
    #[arg(long, value_name = "NAME")]
    project: Option<ProjectName>,
    /// Form of the output: table, wide, json, yaml or name
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    output: Format,
    #[command(flatten)]
    cluster: Cluster,
}

/// Which environment, and in which form.
#[derive(Debug, Args)]
pub struct Get {
    /// Form of the output: table, wide, json, yaml or name
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    output: Format,
    #[command(flatten)]
    selection: Selection,
}

/// Which environment.
#[derive(Debug, Args)]
pub struct Describe {
    #[command(flatten)]
    selection: Selection,
}

/// One environment.
#[derive(Debug, Args)]
pub struct Selection {
    /// The branch, or the exact name of the environment, which wins where both fit
    #[arg(value_name = "BRANCH")]
    wanted: String,
    /// The Project, where several have this branch
    #[arg(long, value_name = "NAME")]
    project: Option<ProjectName>,
    #[command(flatten)]
    cluster: Cluster,
}

/// One environment, for a command that can do without.
#[derive(Debug, Args)]
pub struct OptionalSelection {
    /// The branch, or the exact name of the environment, which wins where both fit
    #[arg(value_name = "BRANCH")]
    wanted: Option<String>,
    /// The Project, where several have this branch
    #[arg(long, value_name = "NAME")]
    project: Option<ProjectName>,
    #[command(flatten)]
    cluster: Cluster,
}

/// Which cluster, and where in it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Cluster")]
pub struct Cluster {
    /// Namespace of the Projects [default: that of the kubeconfig's context]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<Namespace>,
    /// Look in all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The kubeconfig [default: KUBECONFIG, else ~/.kube/config, else the pod's ServiceAccount]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Deadline of each call to the cluster
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_interval)]
    request_timeout: Duration,
}

/// Carries out a command.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List(arguments) => list(arguments).await,
        Command::Get(arguments) => get(arguments).await,
        Command::Describe(arguments) => describe(arguments).await,
        Command::Why(arguments) => why::run(arguments).await,
        Command::Watch(arguments) => watch::run(arguments).await,
        Command::Delete(arguments) => delete::run(arguments).await,
        Command::Adopt(arguments) => adopt::run(arguments).await,
        Command::Unstick(arguments) => unstick::run(arguments).await,
        Command::Restore(arguments) => restore::run(arguments).await,
        Command::Retry(arguments) => request::retry(arguments).await,
        Command::Skip(arguments) => request::skip(arguments).await,
        Command::Approve(arguments) => approve::run(arguments, Verdict::Approved).await,
        Command::Reject(arguments) => approve::run(arguments, Verdict::Rejected).await,
        Command::Pause(arguments) => pause::pause(arguments).await,
        Command::Resume(arguments) => pause::resume(arguments).await,
        Command::Rollback(arguments) => request::rollback(arguments).await,
        Command::Sync(arguments) => request::sync(arguments).await,
        Command::Rerun(arguments) => request::rerun(arguments).await,
    }
}

async fn list(arguments: List) -> anyhow::Result<()> {
    let (access, scope) = arguments.cluster.connect().await?;
    let mut environments = access.environments(&scope).await?;
    if let Some(project) = &arguments.project {
        environments.retain(|environment| environment.spec.project_ref.name == project.as_str());
    }
    if environments.is_empty() && arguments.output.is_for_people() {
        eprintln!("No environments found{}.", resolve::place(&scope, arguments.project.as_ref()));
        return Ok(());
    }
    let everywhere = scope == Scope::AllNamespaces;
    print(&show::list(&environments, arguments.output, everywhere, Timestamp::now())?)?;
    Ok(())
}

async fn get(arguments: Get) -> anyhow::Result<()> {
    let (_, environment) = arguments.selection.find().await?;
    let everywhere = arguments.selection.cluster.all_namespaces;
    print(&show::one(&environment, arguments.output, everywhere, Timestamp::now())?)?;
    Ok(())
}

async fn describe(arguments: Describe) -> anyhow::Result<()> {
    let (_, environment) = arguments.selection.find().await?;
    print(&describe::describe(&environment, Timestamp::now()))?;
    Ok(())
}

// === impl Cluster ===

impl Cluster {
    /// The way into the cluster, and where in it to look.
    pub async fn connect(&self) -> anyhow::Result<(Access, Scope)> {
        let access = Access::connect(&Target {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            namespace: self.namespace.clone(),
            request_timeout: self.request_timeout,
        })
        .await?;
        let scope = match self.all_namespaces {
            true => Scope::AllNamespaces,
            false => Scope::Namespace(access.namespace().clone()),
        };
        Ok((access, scope))
    }
}

// === impl OptionalSelection ===

impl OptionalSelection {
    /// The selection, where one was made.
    pub fn given(self) -> Option<Selection> {
        let Self { wanted, project, cluster } = self;
        wanted.map(|wanted| Selection { wanted, project, cluster })
    }
}

// === impl Selection ===

impl Selection {
    /// The one environment that is meant. Only a text that fits none costs a full listing: it is what near names are found in.
    pub async fn find(&self) -> anyhow::Result<(Access, Environment)> {
        let (access, scope) = self.cluster.connect().await?;
        let wanted = Wanted {
            text: &self.wanted,
            project: self.project.as_ref(),
            scope: &scope,
        };
        let called = access.environments_called(&scope, &self.wanted).await?;
        let environment = match resolve(&wanted, &called) {
            Err(ResolveError::FindNone { .. }) => resolve(&wanted, &access.environments(&scope).await?)?.clone(),
            resolved => resolved?.clone(),
        };
        Ok((access, environment))
    }
}
