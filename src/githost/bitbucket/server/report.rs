//! Where people look at a Data Center: the builds of a commit, a pull request.

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, StatusCode};
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;

use super::pages::{self, Page};
use super::wire::User;
use super::{Server, statuses, unusable};
use crate::domain::git::RepositoryName;
use crate::domain::report::{CommitReport, DeploymentReport};
use crate::githost::Error;
use crate::githost::bitbucket::{EDIT_COMMENT, FIND_COMMENT, MAX_PAGES, WRITE_COMMENT, text};
use crate::githost::report::{OwnComment, Report};

/// The header in which each answer names the account that asked.
pub(super) const ACCOUNT: &str = "x-auserid";
/// How often a comment is changed again that somebody else changed meanwhile.
const TRIES: usize = 3;

/// Something that happened to a pull request.
#[derive(Deserialize)]
struct Activity {
    comment: Option<Told>,
}

#[derive(Deserialize)]
struct Told {
    id: u64,
    #[serde(default)]
    text: String,
    author: Option<User>,
}

#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

#[derive(Deserialize)]
struct Written {
    id: u64,
}

/// The oldest comment of our own with `marker`. There is no list of comments but that of all that happened, the newest first.
async fn find(server: &Server, name: &RepositoryName, number: u64, marker: &str) -> Result<Option<OwnComment>, Error> {
    let mut url = server.below(name, &["pull-requests", &number.to_string(), "activities"])?;
    url.query_pairs_mut().append_pair("limit", "100");
    let (mut oldest, mut at) = (None::<Told>, url.clone());
    for _ in 0..MAX_PAGES {
        let answer = server.api.get(FIND_COMMENT, at).await?;
        match answer.status {
            StatusCode::OK => {}
            // Either the repository is not there, or the pull request is gone.
            StatusCode::NOT_FOUND => {
                answer.is_its_own(FIND_COMMENT)?;
                return server.find_repository(FIND_COMMENT, name).await.map(|_| None);
            }
            _ => return Err(answer.unexpected(FIND_COMMENT)),
        }
        let page: Page<Activity> = answer.decode(FIND_COMMENT)?;
        let account = answer.header(ACCOUNT).and_then(|text| text.parse::<u64>().ok());
        let account = account.ok_or_else(|| unusable(FIND_COMMENT, "it does not say whose token it is"))?;
        let next = page.next_start();
        let told = page.values.into_iter().filter_map(|activity| activity.comment);
        let own = told.filter(|one| one.author.as_ref().and_then(|author| author.id) == Some(account));
        let marked = own.filter(|one| text::shown(&one.text).contains(marker));
        oldest = marked.chain(oldest).min_by_key(|one| one.id);
        match next {
            Some(Ok(start)) => at = pages::from(&url, start),
            Some(Err(())) => return Err(unusable(FIND_COMMENT, "a page does not say where the next one starts")),
            None => {
                return Ok(oldest.map(|one| OwnComment {
                    id: one.id,
                    body: text::shown(&one.text),
                }));
            }
        }
    }
    Err(unusable(
        FIND_COMMENT,
        format!("the pull request has more than {MAX_PAGES} pages of activities"),
    ))
}

async fn write(server: &Server, name: &RepositoryName, number: u64, body: &str) -> Result<u64, Error> {
    let url = server.below(name, &["pull-requests", &number.to_string(), "comments"])?;
    let body = json!({"text": text::hidden(body)});
    let answer = server.api.send(WRITE_COMMENT, Method::POST, url, Some(&body)).await?;
    match answer.status {
        StatusCode::CREATED => answer.decode::<Written>(WRITE_COMMENT).map(|written| written.id),
        _ => Err(answer.unexpected(WRITE_COMMENT)),
    }
}

/// A change names the version that it replaces; one that another change came before is made again.
async fn edit(server: &Server, name: &RepositoryName, number: u64, id: u64, body: &str) -> Result<bool, Error> {
    let url = server.below(name, &["pull-requests", &number.to_string(), "comments", &id.to_string()])?;
    for _ in 0..TRIES {
        let Some(version) = version(server, name, url.clone()).await? else {
            return Ok(false);
        };
        let body = json!({"text": text::hidden(body), "version": version});
        let answer = server.api.send(EDIT_COMMENT, Method::PUT, url.clone(), Some(&body)).await?;
        match answer.status {
            StatusCode::OK => return answer.decode::<Written>(EDIT_COMMENT).map(|_| true),
            StatusCode::CONFLICT | StatusCode::NOT_FOUND => answer.is_its_own(EDIT_COMMENT)?,
            _ => return Err(answer.unexpected(EDIT_COMMENT)),
        }
    }
    Err(unusable(EDIT_COMMENT, "it is changed again and again by somebody else"))
}

async fn version(server: &Server, name: &RepositoryName, url: Url) -> Result<Option<u64>, Error> {
    let answer = server.api.get(EDIT_COMMENT, url).await?;
    match answer.status {
        StatusCode::OK => answer.decode::<Versioned>(EDIT_COMMENT).map(|told| Some(told.version)),
        StatusCode::NOT_FOUND => {
            answer.is_its_own(EDIT_COMMENT)?;
            server.find_repository(EDIT_COMMENT, name).await.map(|_| None)
        }
        _ => Err(answer.unexpected(EDIT_COMMENT)),
    }
}

impl Report for Server {
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

    /// Nothing: a Data Center shows deployments of builds, which are kept by commit and never end, so that one of an environment that is
    /// gone would stand there for good.
    fn deployment<'a>(
        &'a self,
        _: &'a RepositoryName,
        _: &'a DeploymentReport,
        _: Option<u64>,
    ) -> BoxFuture<'a, Result<Option<u64>, Error>> {
        async { Ok(None) }.boxed()
    }
}
