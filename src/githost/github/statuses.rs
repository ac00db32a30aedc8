//! What others say of a commit: statuses and check runs.

use http::StatusCode;
use serde::Deserialize;

use super::{Github, owner_and_name, wire};
use crate::domain::git::{RepositoryName, Revision};
use crate::domain::stage::wait::{ReportedRun, ReportedStatus};
use crate::githost::Error;

const READ_STATUS: &str = "read the status of the commit";
const READ_RUNS: &str = "read the check runs of the commit";
/// The most pages of a commit's statuses that are looked through for one context: newest first, a hundred each.
const MAX_PAGES: usize = 20;

#[derive(Deserialize)]
struct Status {
    context: String,
    state: String,
    #[serde(default)]
    description: Option<String>,
}

#[derive(Deserialize)]
struct Runs {
    check_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    name: String,
    #[serde(default)]
    conclusion: Option<String>,
    #[serde(default)]
    output: Option<Output>,
}

#[derive(Deserialize)]
struct Output {
    #[serde(default)]
    title: Option<String>,
}

/// The newest status of a context. GitHub lists every status that was ever set, the newest first.
pub(super) async fn commit_status(
    github: &Github,
    name: &RepositoryName,
    revision: &Revision,
    context: &str,
) -> Result<Option<ReportedStatus>, Error> {
    let (owner, repository) = owner_and_name(name)?;
    let url = github
        .api
        .url(&["repos", owner, repository, "commits", revision.as_str(), "statuses"]);
    for page in 1..=MAX_PAGES {
        let mut url = url.clone();
        url.query_pairs_mut()
            .append_pair("per_page", "100")
            .append_pair("page", &page.to_string());
        let answer = github.api.get(READ_STATUS, url).await?;
        let has_more = answer.next_link().is_some();
        let statuses: Vec<Status> = match answer.status {
            StatusCode::OK => answer.decode(READ_STATUS)?,
            _ => return unknown_commit(READ_STATUS, name, &answer).map(|()| None),
        };
        // A full page without a link is not trusted to be the last.
        let is_last = !has_more && statuses.len() < 100;
        // As GitHub compares contexts.
        let found = statuses.into_iter().find(|status| status.context.eq_ignore_ascii_case(context));
        if found.is_some() || is_last {
            return Ok(found.map(|status| ReportedStatus {
                state: status.state,
                description: status.description,
            }));
        }
    }
    Err(Error::Unusable {
        operation: READ_STATUS,
        problem: format!("the commit has more than {} statuses", MAX_PAGES * 100),
    })
}

/// The newest check runs of a name.
pub(super) async fn check_runs(github: &Github, name: &RepositoryName, revision: &Revision, run: &str) -> Result<Vec<ReportedRun>, Error> {
    let (owner, repository) = owner_and_name(name)?;
    let mut url = github
        .api
        .url(&["repos", owner, repository, "commits", revision.as_str(), "check-runs"]);
    url.query_pairs_mut()
        .append_pair("check_name", run)
        .append_pair("filter", "latest")
        .append_pair("per_page", "100");
    let answer = github.api.get(READ_RUNS, url).await?;
    if answer.status != StatusCode::OK {
        return unknown_commit(READ_RUNS, name, &answer).map(|()| Vec::new());
    }
    let runs: Runs = answer.decode(READ_RUNS)?;
    let reported = |run: Run| ReportedRun {
        conclusion: run.conclusion,
        title: run.output.and_then(|output| output.title),
    };
    Ok(runs
        .check_runs
        .into_iter()
        .filter(|found| found.name == run)
        .map(reported)
        .collect())
}

/// Accepts GitHub's words for a commit that it does not know (yet). A repository that it does not show is an error, and so is a token
/// without the right to look.
fn unknown_commit(operation: &'static str, name: &RepositoryName, answer: &super::api::Answer) -> Result<(), Error> {
    match answer.status {
        StatusCode::UNPROCESSABLE_ENTITY => answer.decode::<wire::Problem>(operation).map(|_| ()),
        StatusCode::NOT_FOUND => {
            answer.decode::<wire::Problem>(operation)?;
            Err(Error::RepositoryNotFound {
                operation,
                repository: name.clone(),
            })
        }
        _ => Err(answer.unexpected(operation)),
    }
}
