//! Comments on a Data Center's pull requests, and what their authors may do.

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;

use super::wire::User;
use super::{Server, unusable};
use crate::domain::comment::{Comment, Permission};
use crate::domain::git::RepositoryName;
use crate::githost::Error;
use crate::githost::bitbucket::{READ_COMMENT, READ_PERMISSION, text};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: u64,
    #[serde(default)]
    text: String,
    author: Option<User>,
    version: u64,
    created_date: i64,
    updated_date: i64,
}

pub(super) async fn comment(server: &Server, name: &RepositoryName, number: u64, id: u64) -> Result<Option<Comment>, Error> {
    let url = server.below(name, &["pull-requests", &number.to_string(), "comments", &id.to_string()])?;
    let answer = server.api.get(READ_COMMENT, url).await?;
    match answer.status {
        StatusCode::OK => answer.decode::<Told>(READ_COMMENT)?.into_domain(number).map(Some),
        StatusCode::NOT_FOUND => answer.is_its_own(READ_COMMENT).map(|()| None),
        _ => Err(answer.unexpected(READ_COMMENT)),
    }
}

/// The effective right of an account, by whichever group or project it has it. A public repository gives nobody one.
pub(super) async fn permission(server: &Server, name: &RepositoryName, login: &str) -> Result<Permission, Error> {
    for (told, permission) in [("REPO_WRITE", Permission::Write), ("REPO_READ", Permission::Read)] {
        if has(server, name, login, told).await? {
            return Ok(permission);
        }
    }
    Ok(Permission::None)
}

/// Whether the account is among those who have a right. The filter also finds parts of names.
async fn has(server: &Server, name: &RepositoryName, login: &str, permission: &str) -> Result<bool, Error> {
    let (project, slug) = server.parts(name)?;
    let mut url = server.api.url(&["users"]);
    url.query_pairs_mut().extend_pairs([
        ("filter", login),
        ("permission.1", permission),
        ("permission.1.projectKey", project),
        ("permission.1.repositorySlug", slug),
    ]);
    let users: Vec<User> = server
        .all_pages(READ_PERMISSION, url, name, |user: &User| user.name.clone())
        .await?;
    let is_theirs = |user: &User| user.name.eq_ignore_ascii_case(login) && user.active == Some(true) && is_person(user);
    Ok(users.iter().any(is_theirs))
}

/// Access tokens of projects and repositories have accounts of their own.
fn is_person(user: &User) -> bool {
    user.r#type.as_deref() == Some("NORMAL")
}

impl Told {
    fn into_domain(self, number: u64) -> Result<Comment, Error> {
        let person = self.author.filter(is_person).map(|author| author.name);
        let created = Timestamp::from_millisecond(self.created_date);
        Ok(Comment {
            id: self.id,
            pull_request: number,
            automated: person.is_none(),
            author: person,
            body: text::shown(&self.text),
            edited: self.version != 0 || self.updated_date != self.created_date,
            created: created.map_err(|_| unusable(READ_COMMENT, "its time is none"))?,
        })
    }
}
