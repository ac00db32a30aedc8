//! The body of GitHub's event about a comment.

use serde_json::{Value, json};

use super::github::GithubRepository;

impl GithubRepository {
    /// Event `issue_comment` with an action such as `created`, `edited` or `deleted`, of a comment on pull request `number`.
    pub fn issue_comment(&self, action: &str, number: u64, comment: u64, author: &str, body: &str) -> Value {
        let url = format!("https://github.com/{}/pull/{number}", self.full_name());
        let user = json!({ "login": author, "id": 583_231, "type": "User" });
        json!({
            "action": action,
            "issue": {
                "number": number, "title": "A change", "state": "open", "user": user,
                "pull_request": { "url": url, "html_url": url },
            },
            "comment": {
                "id": comment, "body": body, "user": user, "author_association": "MEMBER",
                "html_url": format!("{url}#issuecomment-{comment}"),
            },
            "repository": {
                "id": self.id, "name": self.name, "full_name": self.full_name(), "default_branch": self.default_branch,
                "owner": { "login": self.owner },
            },
            "sender": user,
        })
    }
}
