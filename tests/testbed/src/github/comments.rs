//! Comments on pull requests, and what accounts may do.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::http::{Response, document, message};
use super::{FakeGithub, PREFIX};

/// A comment as people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueComment {
    /// Its number.
    pub id: u64,
    /// The number of the pull request.
    pub issue: u64,
    /// The login of its author.
    pub author: String,
    /// Whether a program wrote it.
    pub bot: bool,
    /// Its text.
    pub body: String,
    /// When it was written, as `2026-01-01T00:00:00Z`.
    pub created: String,
    /// When it was last changed.
    pub updated: String,
}

/// What the stand-in knows of comments and accounts, by the id of the repository.
#[derive(Debug, Default)]
pub(super) struct Comments {
    comments: BTreeMap<(u64, u64), IssueComment>,
    permissions: BTreeMap<(u64, String), &'static str>,
}

impl FakeGithub {
    /// Somebody comments on a pull request, or changes a comment.
    pub fn put_comment(&self, repository: u64, comment: IssueComment) {
        self.state().comments.comments.insert((repository, comment.id), comment);
    }

    /// An account gets `admin`, `write`, `read` or `none`.
    pub fn set_permission(&self, repository: u64, login: &str, permission: &'static str) {
        self.state().comments.permissions.insert((repository, login.to_owned()), permission);
    }
}

impl IssueComment {
    /// A person's comment, written now.
    pub fn new(id: u64, issue: u64, author: &str, body: &str) -> Self {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Self {
            id,
            issue,
            author: author.to_owned(),
            bot: false,
            body: body.to_owned(),
            created: now.clone(),
            updated: now,
        }
    }
}

impl Comments {
    /// The comments on a pull request.
    pub(super) fn on(&self, repository: u64, issue: u64) -> Vec<IssueComment> {
        let all = self
            .comments
            .iter()
            .filter(|((of, _), comment)| *of == repository && comment.issue == issue);
        all.map(|(_, comment)| comment.clone()).collect()
    }

    pub(super) fn put(&mut self, repository: u64, comment: IssueComment) {
        self.comments.insert((repository, comment.id), comment);
    }

    pub(super) fn remove(&mut self, repository: u64, id: u64) {
        self.comments.remove(&(repository, id));
    }

    /// Changes the text of a comment, if there is one.
    pub(super) fn edit(&mut self, repository: u64, id: u64, body: &str) -> bool {
        let comment = self.comments.get_mut(&(repository, id));
        comment.map(|comment| body.clone_into(&mut comment.body)).is_some()
    }

    /// The answer for `…/issues/comments/{id}` and `…/collaborators/{login}/permission`.
    pub(super) fn answer(&self, repository: u64, rest: &[&str], address: &str) -> Response {
        let found = match rest {
            ["issues", "comments", id] => id.parse().ok().and_then(|id| self.comment(repository, id, address)),
            ["collaborators", login, "permission"] => self.permission(repository, login),
            _ => None,
        };
        found.map_or_else(|| message(404, "Not Found"), |body| document(200, &body))
    }

    fn comment(&self, repository: u64, id: u64, address: &str) -> Option<Value> {
        let comment = self.comments.get(&(repository, id))?;
        Some(json!({
            "id": comment.id,
            "body": comment.body,
            "user": { "login": comment.author, "type": if comment.bot { "Bot" } else { "User" } },
            "issue_url": format!("http://{address}{PREFIX}/repositories/{repository}/issues/{}", comment.issue),
            "created_at": comment.created,
            "updated_at": comment.updated,
            "performed_via_github_app": Value::Null,
        }))
    }

    fn permission(&self, repository: u64, login: &str) -> Option<Value> {
        let permission = self.permissions.get(&(repository, login.to_owned()))?;
        Some(json!({ "permission": permission, "role_name": permission, "user": { "login": login } }))
    }
}
