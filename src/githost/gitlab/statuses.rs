//! What is said of a commit, by others and by us. Each job of a pipeline is a commit status as well, by its name.

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::Gitlab;
use super::pages::Page;
use crate::domain::git::{RepositoryName, Revision};
use crate::domain::report::{CommitReport, CommitState};
use crate::domain::stage::wait::ReportedStatus;
use crate::githost::Error;

const READ_STATUS: &str = "read the status of the commit";
const WRITE_STATUS: &str = "set the status of the commit";
/// How GitLab refuses to set a state that is set already.
const SAME_STATE: &str = "Cannot transition status";

#[derive(Deserialize)]
struct Status {
    id: u64,
    name: String,
    status: String,
    description: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// The newest status of a context. GitLab lists the latest of each name and ref.
pub(super) async fn read(
    gitlab: &Gitlab,
    name: &RepositoryName,
    revision: &Revision,
    context: &str,
) -> Result<Option<ReportedStatus>, Error> {
    let mut url = gitlab.below(name, &["repository", "commits", revision.as_str(), "statuses"])?;
    url.query_pairs_mut().extend_pairs([("name", context), ("per_page", "100")]);
    let (mut newest, mut next) = (None::<Status>, Some(url));
    while let Some(url) = next {
        let page: Page<Status> = match gitlab.api.page(READ_STATUS, &url, name).await {
            // Either the project is not there, or it does not have the commit yet.
            Err(Error::RepositoryNotFound { .. }) => return gitlab.find_repository(READ_STATUS, name).await.map(|_| None),
            answer => answer?,
        };
        let own = page.items.into_iter().filter(|status| status.name == context);
        newest = own.chain(newest).max_by_key(|status| status.id);
        next = page.next.map(|next| next.url).filter(|next| *next != url);
    }
    Ok(newest.map(|status| ReportedStatus {
        state: state(&status.status).to_owned(),
        description: status.description.filter(|text| !text.is_empty()),
    }))
}

/// GitLab's word in those that are waited for. What is new in a later version is not known to have ended.
fn state(status: &str) -> &'static str {
    match status {
        "success" => "success",
        "failed" => "failure",
        "canceled" | "skipped" => "error",
        _ => "pending",
    }
}

/// Sets a status at the pipeline of the commit on its branch, which GitLab makes where there is none.
///
/// # Caveats
/// GitLab takes a state once: said again with another description, the first one stays.
pub(super) async fn write(gitlab: &Gitlab, name: &RepositoryName, report: &CommitReport) -> Result<(), Error> {
    let url = gitlab.below(name, &["statuses", report.revision.as_str()])?;
    let body = json!({
        "state": match report.state {
            CommitState::Pending => "pending",
            CommitState::Success => "success",
            CommitState::Failure => "failed",
        },
        "name": report.context,
        "ref": report.branch.as_str(),
        "description": report.description,
        "target_url": report.target,
    });
    let answer = gitlab.api.send(WRITE_STATUS, Method::POST, url, Some(&body)).await?;
    match answer.status {
        StatusCode::CREATED | StatusCode::OK => answer.decode::<Status>(WRITE_STATUS).map(|_| ()),
        StatusCode::BAD_REQUEST => match answer.decode::<Refusal>(WRITE_STATUS) {
            Ok(refusal) if refusal.message.starts_with(SAME_STATE) => Ok(()),
            _ => Err(answer.unexpected(WRITE_STATUS)),
        },
        // A commit that nobody looks at any more.
        StatusCode::NOT_FOUND => {
            answer.is_its_own(WRITE_STATUS)?;
            gitlab.find_repository(WRITE_STATUS, name).await.map(|_| ())
        }
        _ => Err(answer.unexpected(WRITE_STATUS)),
    }
}
