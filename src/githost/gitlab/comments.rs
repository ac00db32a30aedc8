//! Comments on merge requests, which GitLab calls notes, and what their authors may do.

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;

use super::Gitlab;
use super::api::unusable;
use crate::domain::comment::{Comment, Permission};
use crate::domain::git::RepositoryName;
use crate::githost::Error;

const READ_COMMENT: &str = "read the comment";
const READ_PERMISSION: &str = "ask what the author of the comment may do";
/// The account that owns what deleted accounts have left.
const GHOST: &str = "ghost";
/// The access level of a Developer, the lowest that may push.
pub(super) const DEVELOPER: u64 = 30;
/// The access level of a Reporter, the lowest that may read the code of a private project.
pub(super) const REPORTER: u64 = 20;
const ACTIVE: &str = "active";

#[derive(Deserialize)]
struct Note {
    id: u64,
    #[serde(default)]
    body: String,
    author: Option<Account>,
    noteable_type: String,
    noteable_iid: Option<u64>,
    /// Whether GitLab wrote it about something that happened.
    #[serde(default)]
    system: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Deserialize)]
struct Account {
    id: u64,
    username: String,
}

#[derive(Deserialize)]
struct Member {
    access_level: u64,
    /// That of the account: `active`, `blocked`, `deactivated` and others.
    state: String,
    /// `awaiting` where somebody has to accept the member first.
    membership_state: Option<String>,
}

pub(super) async fn comment(gitlab: &Gitlab, name: &RepositoryName, number: u64, id: u64) -> Result<Option<Comment>, Error> {
    let url = gitlab.below(name, &["merge_requests", &number.to_string(), "notes", &id.to_string()])?;
    let answer = gitlab.api.get(READ_COMMENT, url).await?;
    match answer.status {
        StatusCode::OK => answer.decode::<Note>(READ_COMMENT)?.into_domain(number),
        StatusCode::NOT_FOUND => answer.is_its_own(READ_COMMENT).map(|()| None),
        _ => Err(answer.unexpected(READ_COMMENT)),
    }
}

/// A membership of the project or of a group above it, as it is effective: the highest counts.
pub(super) async fn permission(gitlab: &Gitlab, name: &RepositoryName, login: &str) -> Result<Permission, Error> {
    let mut url = gitlab.api.url(&["users"]);
    url.query_pairs_mut().append_pair("username", login);
    let answer = gitlab.api.get(READ_PERMISSION, url).await?;
    if answer.status != StatusCode::OK {
        return Err(answer.unexpected(READ_PERMISSION));
    }
    let accounts: Vec<Account> = answer.decode(READ_PERMISSION)?;
    let Some(account) = accounts.iter().find(|account| account.username.eq_ignore_ascii_case(login)) else {
        return Ok(Permission::None);
    };
    Ok(match access_level(gitlab, name, account.id).await? {
        DEVELOPER.. => Permission::Write,
        REPORTER.. => Permission::Read,
        _ => Permission::None,
    })
}

/// The access level of an account in a project; none for one that is no member, or not active.
pub(super) async fn access_level(gitlab: &Gitlab, name: &RepositoryName, account: u64) -> Result<u64, Error> {
    let url = gitlab.below(name, &["members", "all", &account.to_string()])?;
    let answer = gitlab.api.get(READ_PERMISSION, url).await?;
    match answer.status {
        StatusCode::OK => Ok(answer.decode::<Member>(READ_PERMISSION)?.effective_level()),
        StatusCode::NOT_FOUND => answer.is_its_own(READ_PERMISSION).map(|()| 0),
        _ => Err(answer.unexpected(READ_PERMISSION)),
    }
}

impl Note {
    /// `None` for what is no comment of somebody on a merge request.
    fn into_domain(self, number: u64) -> Result<Option<Comment>, Error> {
        if self.system || self.noteable_type != "MergeRequest" {
            return Ok(None);
        }
        if self.noteable_iid.is_some_and(|on| on != number) {
            return Err(unusable(READ_COMMENT, "it is about a comment on another merge request"));
        }
        let author = self.author.map(|author| author.username).filter(|name| name != GHOST);
        Ok(Some(Comment {
            id: self.id,
            pull_request: number,
            automated: author.as_deref().is_none_or(is_robot),
            author,
            body: self.body,
            edited: self.updated_at != self.created_at,
            created: self.created_at,
        }))
    }
}

/// The accounts of project and group access tokens have such names: `project_7_bot_1f…`. A person who chose one is not heard.
fn is_robot(username: &str) -> bool {
    let rest = username.strip_prefix("project_").or_else(|| username.strip_prefix("group_"));
    rest.and_then(|rest| rest.split_once('_'))
        .is_some_and(|(number, rest)| number.bytes().all(|byte| byte.is_ascii_digit()) && (rest == "bot" || rest.starts_with("bot_")))
}

impl Member {
    fn effective_level(&self) -> u64 {
        let is_active = self.state == ACTIVE && self.membership_state.as_deref().is_none_or(|state| state == ACTIVE);
        if is_active { self.access_level } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accounts_of_access_tokens_are_known_by_their_names() {
        for robot in ["project_7_bot", "project_7_bot_1f2e3d", "group_12_bot_a"] {
            assert!(is_robot(robot), "{robot}");
        }
        for person in ["mia", "project_bot", "project_7_botany", "project_x_bot", "group_7_bob_bot", "bot"] {
            assert!(!is_robot(person), "{person}");
        }
    }
}
