//! What is written to GitHub: commit statuses, comments, deployments.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, StatusCode};
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::api::{Answer, unusable};
use super::{Github, owner_and_name, wire};
use crate::domain::git::RepositoryName;
use crate::domain::report::{CommitReport, CommitState, DeploymentReport, DeploymentState};
use crate::githost::Error;
use crate::githost::report::{OwnComment, Report};

const WRITE_STATUS: &str = "set the status of the commit";
const FIND_ACCOUNT: &str = "find out whose token it is";
const LIST_COMMENTS: &str = "read the comments of the pull request";
const WRITE_COMMENT: &str = "comment on the pull request";
const FIND_DEPLOYMENT: &str = "find the deployment";
const WRITE_DEPLOYMENT: &str = "tell of the deployment";

/// The most that GitHub gives.
const PAGE_SIZE: usize = 100;
/// So many pages of comments are looked through: ours is one of the first.
const MAX_PAGES: usize = 30;

/// The login that the token belongs to, once it is known.
pub(super) type Account = Arc<OnceCell<String>>;

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Viewed {
    data: Viewer,
}

#[derive(Deserialize)]
struct Viewer {
    viewer: User,
}

#[derive(Deserialize)]
struct WireComment {
    id: u64,
    #[serde(default)]
    body: Option<String>,
    user: Option<User>,
}

#[derive(Deserialize)]
struct Created {
    id: u64,
}

impl Report for Github {
    fn commit<'a>(&'a self, name: &'a RepositoryName, report: &'a CommitReport) -> BoxFuture<'a, Result<(), Error>> {
        set_status(self, name, report).boxed()
    }

    fn own_comment<'a>(
        &'a self,
        name: &'a RepositoryName,
        pull_request: u64,
        marker: &'a str,
    ) -> BoxFuture<'a, Result<Option<OwnComment>, Error>> {
        own_comment(self, name, pull_request, marker).boxed()
    }

    fn write_comment<'a>(&'a self, name: &'a RepositoryName, pull_request: u64, body: &'a str) -> BoxFuture<'a, Result<u64, Error>> {
        async move {
            let url = below(self, name, &["issues", &pull_request.to_string(), "comments"])?;
            let answer = self.api.send(WRITE_COMMENT, Method::POST, url, &json!({ "body": body })).await?;
            match answer.status {
                StatusCode::CREATED => Ok(answer.decode::<Created>(WRITE_COMMENT)?.id),
                _ => Err(refused(WRITE_COMMENT, name, &answer)),
            }
        }
        .boxed()
    }

    fn edit_comment<'a>(
        &'a self,
        name: &'a RepositoryName,
        _pull_request: u64,
        comment: u64,
        body: &'a str,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        async move {
            let url = below(self, name, &["issues", "comments", &comment.to_string()])?;
            let answer = self.api.send(WRITE_COMMENT, Method::PATCH, url, &json!({ "body": body })).await?;
            match answer.status {
                StatusCode::OK => Ok(true),
                StatusCode::NOT_FOUND | StatusCode::GONE => answer.decode::<wire::Problem>(WRITE_COMMENT).map(|_| false),
                _ => Err(refused(WRITE_COMMENT, name, &answer)),
            }
        }
        .boxed()
    }

    fn deployment<'a>(
        &'a self,
        name: &'a RepositoryName,
        report: &'a DeploymentReport,
        known: Option<u64>,
    ) -> BoxFuture<'a, Result<Option<u64>, Error>> {
        tell_deployment(self, name, report, known).boxed()
    }
}

fn below(github: &Github, name: &RepositoryName, segments: &[&str]) -> Result<Url, Error> {
    let (owner, repository) = owner_and_name(name)?;
    Ok(github.api.url(&[&["repos", owner, repository], segments].concat()))
}

/// What a refusal of something that is written means.
fn refused(operation: &'static str, name: &RepositoryName, answer: &Answer) -> Error {
    match answer.status {
        // GitHub hides what a token may not do behind the same answer.
        StatusCode::NOT_FOUND | StatusCode::GONE => Error::RepositoryNotFound {
            operation,
            repository: name.clone(),
        },
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT => Error::Misconfigured {
            problem: format!("could not {operation}: GitHub refuses it (HTTP {})", answer.status.as_u16()),
        },
        _ => answer.unexpected(operation),
    }
}

async fn set_status(github: &Github, name: &RepositoryName, report: &CommitReport) -> Result<(), Error> {
    let state = match report.state {
        CommitState::Pending => "pending",
        CommitState::Success => "success",
        CommitState::Failure => "failure",
    };
    let body = json!({
        "state": state,
        "context": report.context,
        "description": report.description,
        "target_url": report.target,
    });
    let url = below(github, name, &["statuses", report.revision.as_str()])?;
    let answer = github.api.send(WRITE_STATUS, Method::POST, url, &body).await?;
    match answer.status {
        StatusCode::CREATED => Ok(()),
        StatusCode::UNPROCESSABLE_ENTITY if answer.says("No commit found") => Ok(()),
        _ => Err(refused(WRITE_STATUS, name, &answer)),
    }
}

/// The login of the token's account. The tokens of apps are refused by the first way, and know the second.
///
/// # Caveats
/// A GitHub Enterprise Server has the second at another place, which octocrab does not reach: there, comments need a person's token.
async fn account(github: &Github) -> Result<&str, Error> {
    let find = || async {
        match github.api.get(FIND_ACCOUNT, github.api.url(&["user"])).await {
            Ok(answer) if answer.status == StatusCode::OK => Ok(answer.decode::<User>(FIND_ACCOUNT)?.login),
            Ok(answer) => Err(answer.unexpected(FIND_ACCOUNT)),
            Err(Error::Refused { status: 403, .. }) => {
                let query = json!({ "query": "query { viewer { login } }" });
                let answer = github
                    .api
                    .send(FIND_ACCOUNT, Method::POST, github.api.url(&["graphql"]), &query)
                    .await?;
                if answer.status != StatusCode::OK {
                    return Err(answer.unexpected(FIND_ACCOUNT));
                }
                Ok(answer.decode::<Viewed>(FIND_ACCOUNT)?.data.viewer.login)
            }
            Err(error) => Err(error),
        }
    };
    github.account.get_or_try_init(find).await.map(String::as_str)
}

async fn own_comment(github: &Github, name: &RepositoryName, pull_request: u64, marker: &str) -> Result<Option<OwnComment>, Error> {
    let account = account(github).await?;
    for number in 1..=MAX_PAGES {
        let mut url = below(github, name, &["issues", &pull_request.to_string(), "comments"])?;
        url.query_pairs_mut()
            .append_pair("per_page", &PAGE_SIZE.to_string())
            .append_pair("page", &number.to_string());
        let answer = github.api.get(LIST_COMMENTS, url).await?;
        let page: Vec<WireComment> = match answer.status {
            StatusCode::OK => answer.decode(LIST_COMMENTS)?,
            StatusCode::NOT_FOUND | StatusCode::GONE => return answer.decode::<wire::Problem>(LIST_COMMENTS).map(|_| None),
            _ => return Err(answer.unexpected(LIST_COMMENTS)),
        };
        let is_last = page.is_empty() || (page.len() < PAGE_SIZE && answer.next_link().is_none());
        let is_own = |comment: &WireComment| comment.user.as_ref().is_some_and(|user| user.login.eq_ignore_ascii_case(account));
        let own = page
            .into_iter()
            .filter(is_own)
            .map(|comment| OwnComment {
                id: comment.id,
                body: comment.body.unwrap_or_default(),
            })
            .find(|comment| comment.body.contains(marker));
        if own.is_some() || is_last {
            return Ok(own);
        }
    }
    Err(unusable(LIST_COMMENTS, format!("there are more than {MAX_PAGES} pages")))
}

async fn tell_deployment(
    github: &Github,
    name: &RepositoryName,
    report: &DeploymentReport,
    known: Option<u64>,
) -> Result<Option<u64>, Error> {
    if let Some(known) = known
        && add_state(github, name, report, known).await?
    {
        return Ok(Some(known));
    }
    let found = find_deployment(github, name, report).await?.filter(|found| Some(*found) != known);
    let id = match found {
        Some(found) => found,
        // What was never told of is not made to say that it is over.
        None if report.state == DeploymentState::Inactive => return Ok(None),
        None => match create_deployment(github, name, report).await? {
            Some(created) => created,
            None => return Ok(None),
        },
    };
    Ok(add_state(github, name, report, id).await?.then_some(id))
}

/// The newest deployment of the environment and the commit: an answer to its creation may have been lost.
async fn find_deployment(github: &Github, name: &RepositoryName, report: &DeploymentReport) -> Result<Option<u64>, Error> {
    let mut url = below(github, name, &["deployments"])?;
    url.query_pairs_mut()
        .append_pair("sha", report.revision.as_str())
        .append_pair("environment", &report.environment)
        .append_pair("per_page", "1");
    let answer = github.api.get(FIND_DEPLOYMENT, url).await?;
    match answer.status {
        StatusCode::OK => {
            let page: Vec<Created> = answer.decode(FIND_DEPLOYMENT)?;
            Ok(page.first().map(|deployment| deployment.id))
        }
        _ => Err(refused(FIND_DEPLOYMENT, name, &answer)),
    }
}

/// `None` for a commit that GitHub does not have.
async fn create_deployment(github: &Github, name: &RepositoryName, report: &DeploymentReport) -> Result<Option<u64>, Error> {
    let body = json!({
        "ref": report.revision.as_str(),
        "environment": report.environment,
        "description": report.description,
        "transient_environment": true,
        "production_environment": false,
        // The commit is deployed as it is, whatever else is said of it.
        "auto_merge": false,
        "required_contexts": [],
    });
    let url = below(github, name, &["deployments"])?;
    let answer = github.api.send(WRITE_DEPLOYMENT, Method::POST, url, &body).await?;
    match answer.status {
        StatusCode::CREATED => Ok(Some(answer.decode::<Created>(WRITE_DEPLOYMENT)?.id)),
        StatusCode::UNPROCESSABLE_ENTITY if answer.says("No ref found") => Ok(None),
        _ => Err(refused(WRITE_DEPLOYMENT, name, &answer)),
    }
}

/// `false` if the deployment is gone.
async fn add_state(github: &Github, name: &RepositoryName, report: &DeploymentReport, id: u64) -> Result<bool, Error> {
    let state = match report.state {
        DeploymentState::Queued => "queued",
        DeploymentState::InProgress => "in_progress",
        DeploymentState::Success => "success",
        DeploymentState::Failure => "failure",
        DeploymentState::Inactive => "inactive",
    };
    let mut body = json!({
        "state": state,
        "description": report.description,
        // It leaves transient deployments alone anyway: what is over is told by us.
        "auto_inactive": false,
    });
    if let Some(url) = &report.url {
        body["environment_url"] = Value::String(url.clone());
    }
    let url = below(github, name, &["deployments", &id.to_string(), "statuses"])?;
    let answer = github.api.send(WRITE_DEPLOYMENT, Method::POST, url, &body).await?;
    match answer.status {
        StatusCode::CREATED => Ok(true),
        StatusCode::NOT_FOUND => answer.decode::<wire::Problem>(WRITE_DEPLOYMENT).map(|_| false),
        _ => Err(refused(WRITE_DEPLOYMENT, name, &answer)),
    }
}
