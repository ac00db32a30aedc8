//! Comments on the Cloud's pull requests, and what their authors may do.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::wire::{Account, bare};
use super::{Cloud, unusable};
use crate::domain::comment::{Comment, Permission};
use crate::domain::git::RepositoryName;
use crate::githost::Error;
use crate::githost::bitbucket::{READ_COMMENT, READ_PERMISSION, text};

/// The Cloud sets both times of a new comment one after the other. Nobody edits that fast.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(1);
/// The type of a person's account. Apps and access tokens have others.
const PERSON: &str = "user";

#[derive(Deserialize)]
struct Told {
    id: u64,
    #[serde(default)]
    content: Content,
    user: Option<Account>,
    #[serde(default)]
    deleted: bool,
    pullrequest: Option<On>,
    created_on: Timestamp,
    updated_on: Timestamp,
}

#[derive(Deserialize, Default)]
struct Content {
    #[serde(default)]
    raw: String,
}

#[derive(Deserialize)]
struct On {
    id: u64,
}

#[derive(Deserialize)]
struct Right {
    permission: String,
    user: Account,
}

pub(super) async fn comment(cloud: &Cloud, name: &RepositoryName, number: u64, id: u64) -> Result<Option<Comment>, Error> {
    let url = cloud.below(name, &["pullrequests", &number.to_string(), "comments", &id.to_string()])?;
    let answer = cloud.api.get(READ_COMMENT, url).await?;
    match answer.status {
        StatusCode::OK => answer.decode::<Told>(READ_COMMENT)?.into_domain(number),
        StatusCode::NOT_FOUND => answer.is_its_own(READ_COMMENT).map(|()| None),
        _ => Err(answer.unexpected(READ_COMMENT)),
    }
}

/// The effective right of an account, which is known by its `uuid`: names are not unique. Only a token that may administer the repository is
/// told of others' rights; with another one this is an error, and nobody is taken to be permitted anything.
pub(super) async fn permission(cloud: &Cloud, name: &RepositoryName, login: &str) -> Result<Permission, Error> {
    let is_possible = !login.is_empty() && login.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-:".contains(&byte));
    if !is_possible {
        return Ok(Permission::None);
    }
    let (workspace, slug) = cloud.parts(name)?;
    let mut url = cloud.api.url(&["workspaces", workspace, "permissions", "repositories", slug]);
    url.query_pairs_mut().append_pair("q", &format!("user.uuid=\"{{{login}}}\""));
    let rights: Vec<Right> = cloud
        .all_pages(READ_PERMISSION, url, 100, name, |right: &Right| right.user.uuid.clone())
        .await?;
    let is_theirs = |right: &&Right| right.user.r#type == PERSON && right.user.uuid.as_deref().map(bare) == Some(login);
    Ok(match rights.iter().find(is_theirs).map(|right| right.permission.as_str()) {
        Some("admin" | "write") => Permission::Write,
        Some("read") => Permission::Read,
        _ => Permission::None,
    })
}

impl Told {
    /// `None` for one that is deleted, which the Cloud keeps while there are answers to it.
    fn into_domain(self, number: u64) -> Result<Option<Comment>, Error> {
        if self.deleted {
            return Ok(None);
        }
        if self.pullrequest.is_some_and(|on| on.id != number) {
            return Err(unusable(READ_COMMENT, "it is about a comment on another pull request"));
        }
        let person = self.user.filter(|user| user.r#type == PERSON).and_then(|user| user.uuid);
        Ok(Some(Comment {
            id: self.id,
            pull_request: number,
            automated: person.is_none(),
            author: person.map(|uuid| bare(&uuid).to_owned()),
            body: text::shown(&self.content.raw),
            edited: self.updated_on.duration_since(self.created_on).abs() > AT_ONCE,
            created: self.created_on,
        }))
    }
}
