//! `graftling githost check`.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{GitHostError, find, server_url};
use crate::cli::environment::Cluster;
use crate::cli::output::{json as as_json, print};
use crate::cli::printable::printable;
use crate::domain::git::RepositoryName;
use crate::domain::name::ObjectName;
use crate::domain::setup::{Finding, State};

/// Shown below the options.
pub const HELP: &str = "\
Reads the GitHost, its Secrets and the Projects that name it with your own rights in the cluster.
Nothing is changed: what the credentials may write is found out by requests that cannot be carried
out. With --server-url, or the URL of a webhook that is there, one delivery that says nothing is
signed with the GitHost's secret and sent to the server.

Exit code 0: all is as it has to be; 9: something is missing, wrong, or could not be found out.";

/// Which GitHost, and what of it.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The GitHost
    #[arg(value_name = "NAME")]
    name: ObjectName,
    /// A repository, as often as needed [default: those of the Projects that name the GitHost]
    #[arg(long = "repository", value_name = "REPOSITORY")]
    repositories: Vec<RepositoryName>,
    /// The URL under which Git hosts reach the server
    #[arg(long, value_name = "URL", value_parser = server_url)]
    server_url: Option<String>,
    /// Form of the output: text or json
    #[arg(short, long, value_enum, default_value_t = Form::Text, hide_possible_values = true, value_name = "FORM")]
    output: Form,
    #[command(flatten)]
    cluster: Cluster,
}

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let set_up = find(&arguments.cluster, &arguments.name).await?;
    let repositories = match arguments.repositories.is_empty() {
        true => set_up.repositories(),
        false => &arguments.repositories,
    };
    let findings = set_up.check(repositories, arguments.server_url.as_deref()).await;
    let count = findings.iter().filter(|finding| is_wrong(finding)).count();
    let text = match arguments.output {
        Form::Text => findings.iter().map(line).collect(),
        Form::Json => as_json(&json!({
            "githost": arguments.name.as_str(),
            "provider": set_up.provider().as_str(),
            "complete": count == 0,
            "findings": findings,
        }))?,
    };
    print(&text)?;
    match count {
        0 => Ok(()),
        count => Err(GitHostError::Incomplete {
            count,
            all: findings.len(),
        }
        .into()),
    }
}

fn is_wrong(finding: &Finding) -> bool {
    matches!(finding.state, State::Missing | State::Unknown)
}

/// One line, and one below it with what to do.
fn line(finding: &Finding) -> String {
    let word = match finding.state {
        State::Good => "ok",
        State::Optional => "note",
        State::Unknown => "unknown",
        State::Missing => "MISSING",
    };
    let repository = finding.repository.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    let mut text = format!(
        "{word:<8} {}\n",
        printable(&format!("{repository}{}: {}", finding.about, finding.says))
    );
    if let Some(next) = &finding.next {
        text += &format!("         next: {}\n", printable(next));
    }
    text
}
