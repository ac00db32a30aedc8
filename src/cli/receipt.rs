//! `graftling receipt`: the proofs of teardowns, and whether they are true.

mod show;
mod verdict;
mod verify;

use clap::{Args, Subcommand, ValueEnum};

use super::environment::Cluster;
use super::output::{json, print, yaml};
use crate::api::receipt::FullReceipt;
use crate::app::access::Scope;
use crate::app::access::receipts::Kept;
use crate::domain::name::ProjectName;

pub use verdict::VerifyError;

/// What to do with receipts.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List receipts, the latest first
    #[command(visible_alias = "ls")]
    List(List),
    /// Show the receipt of a teardown
    Show(Show),
    /// Check that a receipt is what the server signed, and that it adds up
    #[command(after_help = verify::HELP)]
    Verify(Box<verify::Arguments>),
}

/// The forms of output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Table,
    /// As JSON
    Json,
    /// As it is kept
    Yaml,
    /// Only the names of the ConfigMaps
    Name,
}

/// Which receipts, and in which form.
#[derive(Debug, Args)]
pub struct List {
    /// Only receipts of this Project
    #[arg(long, value_name = "NAME")]
    project: Option<ProjectName>,
    /// Form of the output: table, json, yaml or name
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    output: Format,
    #[command(flatten)]
    cluster: Cluster,
}

/// Which receipt, and in which form.
#[derive(Debug, Args)]
pub struct Show {
    /// Every receipt of the branch, not only the latest
    #[arg(long)]
    all: bool,
    /// Form of the output: table, json, yaml or name
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    output: Format,
    #[command(flatten)]
    selection: Selection,
}

/// One branch's receipts.
#[derive(Debug, Args)]
struct Selection {
    /// The branch, the name of the environment, or that of the receipt's ConfigMap
    #[arg(value_name = "BRANCH")]
    wanted: String,
    /// The Project, where several have this branch
    #[arg(long, value_name = "NAME")]
    project: Option<ProjectName>,
    #[command(flatten)]
    cluster: Cluster,
}

/// There is no such receipt.
#[derive(Debug, thiserror::Error)]
#[error("there is no receipt of {wanted:?} in {place}; receipts are kept for 30 days")]
pub struct FindError {
    wanted: String,
    place: String,
}

/// A receipt that could be read, beside what it was read from.
struct Read {
    kept: Kept,
    receipt: FullReceipt,
}

/// Carries out a command.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List(arguments) => list(arguments).await,
        Command::Show(arguments) => show(arguments).await,
        Command::Verify(arguments) => verify::run(*arguments).await,
    }
}

async fn list(arguments: List) -> anyhow::Result<()> {
    let (access, scope) = arguments.cluster.connect().await?;
    let receipts = read(access.receipts(&scope).await?, arguments.project.as_ref());
    let text = match arguments.output {
        Format::Table => show::list(&receipts, scope == Scope::AllNamespaces),
        form => machine(&receipts, form)?,
    };
    print(&text)?;
    Ok(())
}

async fn show(arguments: Show) -> anyhow::Result<()> {
    let mut found = arguments.selection.find().await?.1;
    if !arguments.all {
        found.truncate(1);
    }
    let text = match (arguments.output, found.as_slice()) {
        (Format::Table, found) => found.iter().map(|read| show::one(&read.receipt)).collect::<Vec<_>>().join("\n"),
        (Format::Yaml, [only]) => only.kept.text.clone(),
        (Format::Json, [only]) => json(&only.receipt)?,
        (form, found) => machine(found, form)?,
    };
    print(&text)?;
    Ok(())
}

fn machine(receipts: &[Read], form: Format) -> anyhow::Result<String> {
    let all: Vec<_> = receipts.iter().map(|read| &read.receipt).collect();
    Ok(match form {
        Format::Json => json(&all)?,
        Format::Yaml => yaml(&all)?,
        Format::Table | Format::Name => receipts.iter().map(|read| format!("configmap/{}\n", read.kept.name)).collect(),
    })
}

/// The receipts that can be read, the latest first. Whoever may write ConfigMaps may write one that cannot.
fn read(kept: Vec<Kept>, project: Option<&ProjectName>) -> Vec<Read> {
    let of_project = |receipt: &FullReceipt| {
        let name = receipt.project.rsplit('/').next();
        project.is_none_or(|project| name == Some(project.as_str()))
    };
    let mut read: Vec<_> = kept
        .into_iter()
        .filter_map(|kept| match serde_saphyr::from_str::<FullReceipt>(&kept.text) {
            Ok(receipt) => Some(Read { kept, receipt }),
            Err(_) => {
                eprintln!(
                    "warning: ConfigMap {}/{} holds no receipt that can be read",
                    kept.namespace, kept.name
                );
                None
            }
        })
        .filter(|read| of_project(&read.receipt))
        .collect();
    read.sort_by_key(|read| std::cmp::Reverse(read.receipt.completed_at.0));
    read
}

// === impl Selection ===

impl Selection {
    /// The receipts that are meant, the latest first; at least one.
    async fn find(&self) -> anyhow::Result<(crate::app::access::Access, Vec<Read>)> {
        let (access, scope) = self.cluster.connect().await?;
        let wanted = &self.wanted;
        let mut found = read(access.receipts(&scope).await?, self.project.as_ref());
        found.retain(|read| [&read.receipt.branch, &read.receipt.environment, &read.kept.name].contains(&wanted));
        if found.is_empty() {
            let place = match scope {
                Scope::Namespace(namespace) => format!("namespace {namespace}"),
                Scope::AllNamespaces => "any namespace".to_owned(),
            };
            let wanted = wanted.clone();
            return Err(FindError { wanted, place }.into());
        }
        Ok((access, found))
    }
}
