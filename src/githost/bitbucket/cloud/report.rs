//! Where people look at the Cloud: the builds of a commit, a pull request.

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::pages::Page;
use super::wire::Account;
use super::{Cloud, statuses, unusable};
use crate::domain::git::RepositoryName;
use crate::domain::report::{CommitReport, DeploymentReport};
use crate::githost::Error;
use crate::githost::bitbucket::{EDIT_COMMENT, FIND_ACCOUNT, FIND_COMMENT, MAX_PAGES, WRITE_COMMENT, text};
use crate::githost::report::{OwnComment, Report};

#[derive(Deserialize)]
struct Told {
    id: u64,
    content: Content,
    user: Option<Account>,
    #[serde(default)]
    deleted: bool,
}

#[derive(Deserialize)]
struct Content {
    raw: String,
}

#[derive(Deserialize)]
struct Written {
    id: u64,
}

/// The account that the token belongs to, asked for once. An access token of a repository may not ask: it has an account of its own, which is
/// no person's.
async fn account(cloud: &Cloud) -> Result<Option<String>, Error> {
    let ask = || async {
        let answer = match cloud.api.get(FIND_ACCOUNT, cloud.api.url(&["user"])).await {
            Err(Error::Refused { status: 403, .. }) => return Ok(None),
            answer => answer?,
        };
        match answer.status {
            StatusCode::OK => Ok(answer.decode::<Account>(FIND_ACCOUNT)?.uuid),
            _ => Err(answer.unexpected(FIND_ACCOUNT)),
        }
    };
    cloud.account.get_or_try_init(ask).await.cloned()
}

/// The oldest comment of our own with `marker`. Where it is not known who we are, one of a program counts: nobody but its author can change
/// one, so that the worst that comes of it is an error.
async fn find(cloud: &Cloud, name: &RepositoryName, number: u64, marker: &str) -> Result<Option<OwnComment>, Error> {
    let account = account(cloud).await?;
    let is_ours = |user: &Account| match &account {
        Some(account) => user.uuid.as_ref() == Some(account),
        None => user.r#type != "user",
    };
    let mut url = cloud.below(name, &["pullrequests", &number.to_string(), "comments"])?;
    url.query_pairs_mut().extend_pairs([("sort", "created_on"), ("pagelen", "100")]);
    for _ in 0..MAX_PAGES {
        let page: Page<Told> = match cloud.page(FIND_COMMENT, &url, name).await {
            // Either the repository is not there, or the pull request is gone.
            Err(Error::RepositoryNotFound { .. }) => return cloud.find_repository(FIND_COMMENT, name).await.map(|_| None),
            answer => answer?,
        };
        let next = page.next(FIND_COMMENT, &url)?;
        let own = page
            .values
            .into_iter()
            .filter(|one| !one.deleted && one.user.as_ref().is_some_and(is_ours));
        let mut own = own.map(|one| OwnComment {
            id: one.id,
            body: text::shown(&one.content.raw),
        });
        if let Some(found) = own.find(|one| one.body.contains(marker)) {
            return Ok(Some(found));
        }
        let Some(next) = next else { return Ok(None) };
        url = next;
    }
    Err(unusable(
        FIND_COMMENT,
        format!("the pull request has more than {MAX_PAGES} pages of comments"),
    ))
}

fn content(body: &str) -> Value {
    json!({"content": {"raw": text::hidden(body)}})
}

async fn write(cloud: &Cloud, name: &RepositoryName, number: u64, body: &str) -> Result<u64, Error> {
    let url = cloud.below(name, &["pullrequests", &number.to_string(), "comments"])?;
    let answer = cloud.api.send(WRITE_COMMENT, Method::POST, url, Some(&content(body))).await?;
    match answer.status {
        StatusCode::CREATED => answer.decode::<Written>(WRITE_COMMENT).map(|written| written.id),
        _ => Err(answer.unexpected(WRITE_COMMENT)),
    }
}

async fn edit(cloud: &Cloud, name: &RepositoryName, number: u64, id: u64, body: &str) -> Result<bool, Error> {
    let url = cloud.below(name, &["pullrequests", &number.to_string(), "comments", &id.to_string()])?;
    let answer = cloud.api.send(EDIT_COMMENT, Method::PUT, url, Some(&content(body))).await?;
    match answer.status {
        StatusCode::OK => answer.decode::<Written>(EDIT_COMMENT).map(|_| true),
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            answer.is_its_own(EDIT_COMMENT)?;
            cloud.find_repository(EDIT_COMMENT, name).await.map(|_| false)
        }
        _ => Err(answer.unexpected(EDIT_COMMENT)),
    }
}

impl Report for Cloud {
    fn commit<'a>(&'a self, name: &'a RepositoryName, report: &'a CommitReport) -> BoxFuture<'a, Result<(), Error>> {
        statuses::write(self, name, report).boxed()
    }

    fn own_comment<'a>(
        &'a self,
        name: &'a RepositoryName,
        pull_request: u64,
        marker: &'a str,
    ) -> BoxFuture<'a, Result<Option<OwnComment>, Error>> {
        find(self, name, pull_request, marker).boxed()
    }

    fn write_comment<'a>(&'a self, name: &'a RepositoryName, pull_request: u64, body: &'a str) -> BoxFuture<'a, Result<u64, Error>> {
        write(self, name, pull_request, body).boxed()
    }

    fn edit_comment<'a>(
        &'a self,
        name: &'a RepositoryName,
        pull_request: u64,
        comment: u64,
        body: &'a str,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        edit(self, name, pull_request, comment, body).boxed()
    }

    /// Nothing: at the Cloud deployments belong to the steps of its own pipelines, and nobody else can make one.
    fn deployment<'a>(
        &'a self,
        _: &'a RepositoryName,
        _: &'a DeploymentReport,
        _: Option<u64>,
    ) -> BoxFuture<'a, Result<Option<u64>, Error>> {
        async { Ok(None) }.boxed()
    }
}
