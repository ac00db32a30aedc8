//! What is said of a commit at a Data Center, by others and by us: build statuses of the repository.

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::Server;
use crate::domain::git::{RepositoryName, Revision};
use crate::domain::report::{CommitReport, CommitState};
use crate::domain::stage::wait::ReportedStatus;
use crate::githost::Error;
use crate::githost::bitbucket::{READ_STATUS, WRITE_STATUS, below, text};

/// The most characters of a key.
const LONGEST_KEY: usize = 255;

#[derive(Deserialize)]
struct Status {
    key: String,
    state: String,
    description: Option<String>,
}

/// The status with this key. Those that are kept by the commit alone are not looked at: whoever has the commit in a fork could set them.
pub(super) async fn read(
    server: &Server,
    name: &RepositoryName,
    revision: &Revision,
    context: &str,
) -> Result<Option<ReportedStatus>, Error> {
    let key = text::key(context, LONGEST_KEY);
    let mut url = server.latest(name, &["commits", revision.as_str(), "builds"])?;
    url.query_pairs_mut().append_pair("key", &key);
    let answer = server.api.get(READ_STATUS, url).await?;
    let status: Status = match answer.status {
        StatusCode::OK => answer.decode(READ_STATUS)?,
        // Either the repository is not there, or there is no such status or commit yet.
        StatusCode::NOT_FOUND => {
            answer.is_its_own(READ_STATUS)?;
            return server.find_repository(READ_STATUS, name).await.map(|_| None);
        }
        _ => return Err(answer.unexpected(READ_STATUS)),
    };
    if status.key != key {
        return Err(super::unusable(READ_STATUS, "it is about another status"));
    }
    Ok(Some(ReportedStatus {
        state: state(&status.state).to_owned(),
        description: status.description.filter(|text| !text.is_empty()),
    }))
}

/// Bitbucket's word in those that are waited for. What is new in a later version is not known to have ended.
fn state(word: &str) -> &'static str {
    match word {
        "SUCCESSFUL" => "success",
        "FAILED" => "failure",
        "CANCELLED" => "error",
        _ => "pending",
    }
}

/// Sets a status: the one of the same key is replaced.
pub(super) async fn write(server: &Server, name: &RepositoryName, report: &CommitReport) -> Result<(), Error> {
    let (project, slug) = server.parts(name)?;
    let url = server.latest(name, &["commits", report.revision.as_str(), "builds"])?;
    // Each status leads somewhere.
    let target = report.target.clone();
    let target = target.unwrap_or_else(|| below(&server.web, &["projects", project, "repos", slug]).to_string());
    let body = json!({
        "key": text::key(&report.context, LONGEST_KEY),
        "name": report.context,
        "state": match report.state {
            CommitState::Pending => "INPROGRESS",
            CommitState::Success => "SUCCESSFUL",
            CommitState::Failure => "FAILED",
        },
        "description": report.description,
        "url": target,
        "ref": report.branch.full_ref(),
    });
    let answer = server.api.send(WRITE_STATUS, Method::POST, url, Some(&body)).await?;
    match answer.status {
        StatusCode::NO_CONTENT | StatusCode::CREATED => Ok(()),
        // A commit that nobody looks at any more.
        StatusCode::NOT_FOUND => {
            answer.is_its_own(WRITE_STATUS)?;
            server.find_repository(WRITE_STATUS, name).await.map(|_| ())
        }
        _ => Err(answer.unexpected(WRITE_STATUS)),
    }
}
