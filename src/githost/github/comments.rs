//! Comments on pull requests, and what their authors may do.

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;

use super::{Github, owner_and_name, wire};
use crate::domain::comment::{Comment, Permission};
use crate::domain::git::RepositoryName;
use crate::githost::Error;

const READ_COMMENT: &str = "read the comment";
const READ_PERMISSION: &str = "ask what the author of the comment may do";

#[derive(Deserialize)]
struct WireComment {
    id: u64,
    #[serde(default)]
    body: Option<String>,
    /// `null` when the account was deleted.
    user: Option<User>,
    /// `…/issues/NUMBER`: pull requests are issues.
    issue_url: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// The app on whose behalf it was written.
    #[serde(default)]
    performed_via_github_app: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct User {
    login: String,
    #[serde(default)]
    r#type: String,
}

#[derive(Deserialize)]
struct WirePermission {
    permission: String,
}

pub(super) async fn comment(github: &Github, name: &RepositoryName, id: u64) -> Result<Option<Comment>, Error> {
    let (owner, repository) = owner_and_name(name)?;
    let url = github.api.url(&["repos", owner, repository, "issues", "comments", &id.to_string()]);
    let answer = github.api.get(READ_COMMENT, url).await?;
    match answer.status {
        StatusCode::OK => answer.decode::<WireComment>(READ_COMMENT)?.into_domain().map(Some),
        StatusCode::NOT_FOUND => answer.decode::<wire::Problem>(READ_COMMENT).map(|_| None),
        _ => Err(answer.unexpected(READ_COMMENT)),
    }
}

pub(super) async fn permission(github: &Github, name: &RepositoryName, login: &str) -> Result<Permission, Error> {
    let (owner, repository) = owner_and_name(name)?;
    let url = github.api.url(&["repos", owner, repository, "collaborators", login, "permission"]);
    let answer = github.api.get(READ_PERMISSION, url).await?;
    match answer.status {
        StatusCode::OK => Ok(match answer.decode::<WirePermission>(READ_PERMISSION)?.permission.as_str() {
            // GitHub tells the roles in between by the nearest of these.
            "admin" | "maintain" | "write" => Permission::Write,
            "triage" | "read" => Permission::Read,
            _ => Permission::None,
        }),
        // Nobody of that name: an app, for example.
        StatusCode::NOT_FOUND => answer.decode::<wire::Problem>(READ_PERMISSION).map(|_| Permission::None),
        _ => Err(answer.unexpected(READ_PERMISSION)),
    }
}

impl WireComment {
    fn into_domain(self) -> Result<Comment, Error> {
        let number = self.issue_url.rsplit('/').next().and_then(|number| number.parse().ok());
        let pull_request = number.ok_or_else(|| Error::Unusable {
            operation: READ_COMMENT,
            problem: "it does not say which pull request the comment is on".to_owned(),
        })?;
        let automated = self.performed_via_github_app.is_some() || self.user.as_ref().is_some_and(|user| user.r#type == "Bot");
        Ok(Comment {
            id: self.id,
            pull_request,
            author: self.user.map(|user| user.login),
            automated,
            body: self.body.unwrap_or_default(),
            edited: self.updated_at != self.created_at,
            created: self.created_at,
        })
    }
}
