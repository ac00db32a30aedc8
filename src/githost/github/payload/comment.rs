//! The event of a comment on an issue or a pull request.

use serde::Deserialize;

use crate::domain::comment::is_addressed;
use crate::domain::event::{CommentHint, Delivery};
use crate::githost::payload::{NamedRepository, PayloadError};

/// The event's name.
pub(super) const EVENT: &str = "issue_comment";

#[derive(Deserialize)]
pub(super) struct IssueComment {
    action: String,
    issue: Issue,
    comment: Comment,
    repository: NamedRepository,
}

#[derive(Deserialize)]
struct Issue {
    number: u64,
    /// Only a pull request has it.
    pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    #[serde(default)]
    body: Option<String>,
}

/// The text only says whether a look is worth a request: what counts is what the host answers.
pub(super) fn read(event: IssueComment) -> Result<Delivery, PayloadError> {
    let repository = event.repository.hint(EVENT)?;
    if event.action != "created" {
        return Ok(Delivery::Ignored("a comment that was changed or removed"));
    }
    if event.issue.pull_request.is_none() {
        return Ok(Delivery::Ignored("a comment on something that is no pull request"));
    }
    if !event.comment.body.as_deref().is_some_and(is_addressed) {
        return Ok(Delivery::Ignored("a comment that asks for nothing"));
    }
    Ok(Delivery::Comment(CommentHint {
        repository,
        pull_request: event.issue.number,
        comment: event.comment.id,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use serde_json::{Value, json};

    use super::*;

    fn event(change: impl Fn(&mut Value)) -> Delivery {
        let mut event = json!({
            "action": "created",
            "issue": { "number": 12, "pull_request": { "url": "https://github.example/pull/12" } },
            "comment": { "id": 99, "body": "/preview approve release", "user": { "login": "mia" } },
            "repository": { "id": 1, "full_name": "acme/shop" },
        });
        change(&mut event);
        read(serde_json::from_value(event).unwrap()).unwrap()
    }

    #[test]
    fn a_comment_that_asks_for_something_says_where_to_read_it_and_nothing_of_what_it_says() {
        let Delivery::Comment(hint) = event(|_| {}) else {
            panic!("it is no hint")
        };
        assert_eq!(
            (hint.pull_request, hint.comment, hint.repository.name.as_str()),
            (12, 99, "acme/shop")
        );
    }

    #[test]
    fn other_comments_cost_no_look() {
        let ignored = |change: fn(&mut Value)| matches!(event(change), Delivery::Ignored(_));
        assert!(ignored(|event| event["action"] = json!("edited")));
        assert!(ignored(|event| event["action"] = json!("deleted")));
        assert!(ignored(|event| event["comment"]["body"] = json!("looks good")));
        assert!(ignored(|event| event["comment"]["body"] = Value::Null));
        assert!(ignored(|event| event["issue"] = json!({ "number": 12 })));
    }
}
