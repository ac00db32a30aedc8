//! What is written to Gitea and Forgejo: commit statuses and comments. They have no deployments.

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::Gitea;
use super::api::{Answer, unusable};
use crate::domain::git::RepositoryName;
use crate::domain::report::{CommitReport, CommitState, DeploymentReport};
use crate::githost::Error;
use crate::githost::report::{OwnComment, Report};

const WRITE_STATUS: &str = "set the status of the commit";
const FIND_ACCOUNT: &str = "find out whose token it is";
const LIST_COMMENTS: &str = "read the comments of the pull request";
const WRITE_COMMENT: &str = "comment on the pull request";

#[derive(Deserialize)]
struct User {
    id: i64,
}

#[derive(Deserialize)]
struct WireComment {
    id: u64,
    #[serde(default)]
    body: String,
    user: Option<User>,
}

#[derive(Deserialize)]
struct Created {
    id: u64,
}

impl Report for Gitea {
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
            let url = self.below(name, &["issues", &pull_request.to_string(), "comments"])?;
            let answer = self
                .api
                .send(WRITE_COMMENT, Method::POST, url, Some(&json!({ "body": body })))
                .await?;
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
            let url = self.below(name, &["issues", "comments", &comment.to_string()])?;
            let answer = self
                .api
                .send(WRITE_COMMENT, Method::PATCH, url, Some(&json!({ "body": body })))
                .await?;
            match answer.status {
                StatusCode::OK => Ok(true),
                // The second is what stands between the comments: it is none that was written.
                StatusCode::NOT_FOUND => answer.is_its_own(WRITE_COMMENT).map(|()| false),
                StatusCode::NO_CONTENT => Ok(false),
                _ => Err(refused(WRITE_COMMENT, name, &answer)),
            }
        }
        .boxed()
    }

    fn deployment<'a>(
        &'a self,
        _: &'a RepositoryName,
        _: &'a DeploymentReport,
        _: Option<u64>,
    ) -> BoxFuture<'a, Result<Option<u64>, Error>> {
        async { Ok(None) }.boxed()
    }
}

fn refused(operation: &'static str, name: &RepositoryName, answer: &Answer) -> Error {
    match answer.status {
        StatusCode::NOT_FOUND => Error::RepositoryNotFound {
            operation,
            repository: name.clone(),
        },
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::LOCKED => Error::Misconfigured {
            problem: format!("could not {operation}: the host refuses it (HTTP {})", answer.status.as_u16()),
        },
        _ => answer.unexpected(operation),
    }
}

async fn set_status(gitea: &Gitea, name: &RepositoryName, report: &CommitReport) -> Result<(), Error> {
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
    let url = gitea.below(name, &["statuses", report.revision.as_str()])?;
    let error = match gitea.api.send(WRITE_STATUS, Method::POST, url, Some(&body)).await {
        Ok(answer) if answer.status == StatusCode::CREATED => return Ok(()),
        Ok(answer) => refused(WRITE_STATUS, name, &answer),
        Err(error @ Error::ServerError { .. }) => error,
        Err(error) => return Err(error),
    };
    // A commit that is not there (any more) is a server error or nothing found, as the version may be.
    match is_missing(gitea, name, report).await {
        Ok(true) => Ok(()),
        _ => Err(error),
    }
}

async fn is_missing(gitea: &Gitea, name: &RepositoryName, report: &CommitReport) -> Result<bool, Error> {
    gitea.find_repository(WRITE_STATUS, name).await?;
    let url = gitea.below(name, &["git", "commits", report.revision.as_str()])?;
    let answer = gitea.api.get(WRITE_STATUS, url).await?;
    match answer.status {
        StatusCode::NOT_FOUND => answer.is_its_own(WRITE_STATUS).map(|()| true),
        _ => Ok(false),
    }
}

/// All comments come in one answer, the oldest first.
async fn own_comment(gitea: &Gitea, name: &RepositoryName, pull_request: u64, marker: &str) -> Result<Option<OwnComment>, Error> {
    let account = account(gitea).await?;
    let url = gitea.below(name, &["issues", &pull_request.to_string(), "comments"])?;
    let answer = gitea.api.get(LIST_COMMENTS, url).await?;
    let comments: Vec<WireComment> = match answer.status {
        StatusCode::OK => answer.decode(LIST_COMMENTS)?,
        StatusCode::NOT_FOUND => return answer.is_its_own(LIST_COMMENTS).map(|()| None),
        _ => return Err(answer.unexpected(LIST_COMMENTS)),
    };
    let own = comments
        .into_iter()
        .filter(|comment| comment.user.as_ref().is_some_and(|user| user.id == account) && comment.body.contains(marker))
        .min_by_key(|comment| comment.id);
    Ok(own.map(|comment| OwnComment {
        id: comment.id,
        body: comment.body,
    }))
}

/// The id of the token's account, which a token of the scope `read:user` may ask for.
async fn account(gitea: &Gitea) -> Result<i64, Error> {
    let find = || async {
        let answer = gitea.api.get(FIND_ACCOUNT, gitea.api.url(&["user"])).await?;
        let user: User = match answer.status {
            StatusCode::OK => answer.decode(FIND_ACCOUNT)?,
            _ => return Err(answer.unexpected(FIND_ACCOUNT)),
        };
        match user.id {
            // Gitea's own for its actions: others write in its name as well.
            ..1 => Err(unusable(FIND_ACCOUNT, "the token is nobody's")),
            id => Ok(id),
        }
    };
    gitea.account.get_or_try_init(find).await.copied()
}
