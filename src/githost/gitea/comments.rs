//! Comments on pull requests, and what their authors may do.

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;

use super::Gitea;
use super::api::unusable;
use crate::domain::comment::{Comment, Permission};
use crate::domain::git::RepositoryName;
use crate::githost::Error;

const READ_COMMENT: &str = "read the comment";
const READ_PERMISSION: &str = "ask what the author of the comment may do";

#[derive(Deserialize)]
struct WireComment {
    id: u64,
    #[serde(default)]
    body: String,
    user: Option<User>,
    /// `…/pulls/NUMBER`; empty for a comment on an issue.
    #[serde(default)]
    pull_request_url: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Deserialize)]
struct User {
    /// Below one for accounts that are nobody's: a deleted one, Gitea's own for its actions.
    id: i64,
    login: String,
}

#[derive(Deserialize)]
struct WirePermission {
    permission: String,
}

pub(super) async fn comment(gitea: &Gitea, name: &RepositoryName, id: u64) -> Result<Option<Comment>, Error> {
    let url = gitea.below(name, &["issues", "comments", &id.to_string()])?;
    let answer = gitea.api.get(READ_COMMENT, url).await?;
    match answer.status {
        StatusCode::OK => answer.decode::<WireComment>(READ_COMMENT)?.into_domain(),
        // What stands between the comments: a label that was added, a branch that was deleted.
        StatusCode::NO_CONTENT => Ok(None),
        StatusCode::NOT_FOUND => answer.is_its_own(READ_COMMENT).map(|()| None),
        _ => Err(answer.unexpected(READ_COMMENT)),
    }
}

/// # Caveats
/// Gitea tells this only to who administers the repository; others are refused.
pub(super) async fn permission(gitea: &Gitea, name: &RepositoryName, login: &str) -> Result<Permission, Error> {
    let url = gitea.below(name, &["collaborators", login, "permission"])?;
    let answer = gitea.api.get(READ_PERMISSION, url).await?;
    match answer.status {
        StatusCode::OK => Ok(match answer.decode::<WirePermission>(READ_PERMISSION)?.permission.as_str() {
            "owner" | "admin" | "write" => Permission::Write,
            "read" => Permission::Read,
            _ => Permission::None,
        }),
        StatusCode::NOT_FOUND => answer.is_its_own(READ_PERMISSION).map(|()| Permission::None),
        _ => Err(answer.unexpected(READ_PERMISSION)),
    }
}

impl WireComment {
    /// `None` for a comment on an issue.
    fn into_domain(self) -> Result<Option<Comment>, Error> {
        if self.pull_request_url.is_empty() {
            return Ok(None);
        }
        let number = self.pull_request_url.rsplit('/').next().and_then(|number| number.parse().ok());
        let pull_request = number.ok_or_else(|| unusable(READ_COMMENT, "it does not say which pull request the comment is on"))?;
        let author = self.user.filter(|user| user.id > 0);
        Ok(Some(Comment {
            id: self.id,
            pull_request,
            automated: author.is_none(),
            author: author.map(|user| user.login),
            body: self.body,
            edited: self.updated_at != self.created_at,
            created: self.created_at,
        }))
    }
}
