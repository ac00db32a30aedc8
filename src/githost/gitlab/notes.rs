//! The comment that we write on a merge request.

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::Gitlab;
use super::api::unusable;
use crate::domain::git::RepositoryName;
use crate::githost::Error;
use crate::githost::report::OwnComment;

const FIND_ACCOUNT: &str = "ask whose token it is";
const FIND_COMMENT: &str = "look for the comment";
const WRITE_COMMENT: &str = "write the comment";
const EDIT_COMMENT: &str = "change the comment";
/// The most pages of notes that are looked through.
const MAX_PAGES: usize = 50;
/// Takes no room, and keeps a line that begins with a slash from being a command.
const GUARD: &str = "\u{200b}/";

#[derive(Deserialize)]
struct Account {
    id: u64,
}

#[derive(Deserialize)]
struct Note {
    id: u64,
    body: String,
    author: Account,
    #[serde(default)]
    system: bool,
}

#[derive(Deserialize)]
struct Written {
    id: u64,
}

/// The number of the account that the token belongs to, asked for once.
pub(super) async fn account(gitlab: &Gitlab) -> Result<u64, Error> {
    let ask = || async {
        let answer = gitlab.api.get(FIND_ACCOUNT, gitlab.api.url(&["user"])).await?;
        match answer.status {
            StatusCode::OK => answer.decode::<Account>(FIND_ACCOUNT).map(|account| account.id),
            _ => Err(answer.unexpected(FIND_ACCOUNT)),
        }
    };
    gitlab.account.get_or_try_init(ask).await.copied()
}

/// The oldest note of our own with `marker`.
pub(super) async fn find(gitlab: &Gitlab, name: &RepositoryName, number: u64, marker: &str) -> Result<Option<OwnComment>, Error> {
    let account = account(gitlab).await?;
    let mut url = gitlab.below(name, &["merge_requests", &number.to_string(), "notes"])?;
    url.query_pairs_mut()
        .extend_pairs([("order_by", "created_at"), ("sort", "asc"), ("per_page", "100")]);
    for _ in 0..MAX_PAGES {
        let page = match gitlab.api.page::<Note>(FIND_COMMENT, &url, name).await {
            // Either the project is not there, or the merge request is gone.
            Err(Error::RepositoryNotFound { .. }) => return gitlab.find_repository(FIND_COMMENT, name).await.map(|_| None),
            answer => answer?,
        };
        let is_ours = |note: &Note| note.author.id == account && !note.system && note.body.contains(marker);
        if let Some(note) = page.items.into_iter().find(is_ours) {
            return Ok(Some(OwnComment {
                id: note.id,
                body: unguarded(&note.body),
            }));
        }
        let Some(next) = page.next else { return Ok(None) };
        url = next.url;
    }
    Err(unusable(
        FIND_COMMENT,
        format!("the merge request has more than {MAX_PAGES} pages of notes"),
    ))
}

pub(super) async fn write(gitlab: &Gitlab, name: &RepositoryName, number: u64, body: &str) -> Result<u64, Error> {
    let url = gitlab.below(name, &["merge_requests", &number.to_string(), "notes"])?;
    let body = json!({ "body": guarded(body) });
    let answer = gitlab.api.send(WRITE_COMMENT, Method::POST, url, Some(&body)).await?;
    match answer.status {
        StatusCode::CREATED => answer.decode::<Written>(WRITE_COMMENT).map(|written| written.id),
        _ => Err(answer.unexpected(WRITE_COMMENT)),
    }
}

pub(super) async fn edit(gitlab: &Gitlab, name: &RepositoryName, number: u64, id: u64, body: &str) -> Result<bool, Error> {
    let url = gitlab.below(name, &["merge_requests", &number.to_string(), "notes", &id.to_string()])?;
    let body = json!({ "body": guarded(body) });
    let answer = gitlab.api.send(EDIT_COMMENT, Method::PUT, url, Some(&body)).await?;
    match answer.status {
        StatusCode::OK => answer.decode::<Written>(EDIT_COMMENT).map(|_| true),
        StatusCode::NOT_FOUND => {
            answer.is_its_own(EDIT_COMMENT)?;
            gitlab.find_repository(EDIT_COMMENT, name).await.map(|_| false)
        }
        _ => Err(answer.unexpected(EDIT_COMMENT)),
    }
}

/// GitLab carries out a line such as `/close` in the name of its author. What comes from a log must never do that.
fn guarded(body: &str) -> String {
    let line = |line: &str| {
        let text = line.trim_start();
        match text.strip_prefix('/') {
            Some(rest) => format!("{}{GUARD}{rest}", &line[..line.len() - text.len()]),
            None => line.to_owned(),
        }
    };
    body.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

fn unguarded(body: &str) -> String {
    body.replace(GUARD, "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threat_t33_a_line_that_gitlab_would_carry_out_is_only_text_and_reads_back_as_it_was() {
        let body = "/close\n\n```\n  /merge\n```\nhttps://a/b /close\n/";
        let sent = guarded(body);
        assert!(sent.lines().all(|line| !line.trim_start_matches(' ').starts_with('/')), "{sent:?}");
        assert!(sent.contains("https://a/b /close"), "{sent:?}");
        assert_eq!(unguarded(&sent), body);
        assert_eq!(guarded("nothing to do\n"), "nothing to do\n");
    }
}
