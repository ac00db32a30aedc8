//! What is said of a commit at the Cloud, by others and by us: build statuses.

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::pages::Page;
use super::{Cloud, below};
use crate::domain::git::{RepositoryName, Revision};
use crate::domain::report::{CommitReport, CommitState};
use crate::domain::stage::wait::ReportedStatus;
use crate::githost::Error;
use crate::githost::bitbucket::{MAX_PAGES, READ_STATUS, WRITE_STATUS, text};

/// The most characters of a key.
const LONGEST_KEY: usize = 40;

#[derive(Deserialize)]
struct Status {
    key: String,
    name: Option<String>,
    state: String,
    description: Option<String>,
    updated_on: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Written {
    #[serde(rename = "key")]
    _key: IgnoredAny,
}

/// The newest status whose key or whose name is the context.
pub(super) async fn read(
    cloud: &Cloud,
    name: &RepositoryName,
    revision: &Revision,
    context: &str,
) -> Result<Option<ReportedStatus>, Error> {
    let mut url = cloud.below(name, &["commit", revision.as_str(), "statuses"])?;
    url.query_pairs_mut().append_pair("pagelen", "100");
    let (key, mut newest) = (text::key(context, LONGEST_KEY), None::<Status>);
    for _ in 0..MAX_PAGES {
        let page: Page<Status> = match cloud.page(READ_STATUS, &url, name).await {
            // Either the repository is not there, or it does not have the commit yet.
            Err(Error::RepositoryNotFound { .. }) => return cloud.find_repository(READ_STATUS, name).await.map(|_| None),
            answer => answer?,
        };
        let next = page.next(READ_STATUS, &url)?;
        let own = page
            .values
            .into_iter()
            .filter(|status| status.key == key || status.name.as_deref() == Some(context));
        newest = newest.into_iter().chain(own).max_by_key(|status| status.updated_on);
        match next {
            Some(next) => url = next,
            None => break,
        }
    }
    Ok(newest.map(|status| ReportedStatus {
        state: state(&status.state).to_owned(),
        description: status.description.filter(|text| !text.is_empty()),
    }))
}

/// The Cloud's word in those that are waited for. What is new in a later version is not known to have ended.
fn state(word: &str) -> &'static str {
    match word {
        "SUCCESSFUL" => "success",
        "FAILED" => "failure",
        "STOPPED" => "error",
        _ => "pending",
    }
}

/// Sets a status: the one of the same key is replaced.
pub(super) async fn write(cloud: &Cloud, name: &RepositoryName, report: &CommitReport) -> Result<(), Error> {
    let (workspace, slug) = cloud.parts(name)?;
    let url = cloud.below(name, &["commit", report.revision.as_str(), "statuses", "build"])?;
    // Each status leads somewhere.
    let target = report.target.clone();
    let target = target.unwrap_or_else(|| below(&cloud.web, &[workspace, slug]).to_string());
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
    });
    let answer = cloud.api.send(WRITE_STATUS, Method::POST, url, Some(&body)).await?;
    match answer.status {
        StatusCode::CREATED | StatusCode::OK => answer.decode::<Written>(WRITE_STATUS).map(|_| ()),
        // A commit that nobody looks at any more.
        StatusCode::NOT_FOUND => {
            answer.is_its_own(WRITE_STATUS)?;
            cloud.find_repository(WRITE_STATUS, name).await.map(|_| ())
        }
        _ => Err(answer.unexpected(WRITE_STATUS)),
    }
}
