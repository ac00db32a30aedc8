//! Bodies of GitHub's webhook events, with the fields that receivers look at in the places where GitHub puts them.

use serde_json::{Value, json};

/// The revision that stands for "no such branch" in a push.
pub const NO_REVISION: &str = "0000000000000000000000000000000000000000";

/// The head of the base branch in events of pull requests; nobody should build anything from it.
const BASE_REVISION: &str = "ba5eba5eba5eba5eba5eba5eba5eba5eba5eba5e";

/// A repository as it appears in the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GithubRepository {
    /// The number that survives renames and transfers.
    pub id: u64,
    /// The user or organisation.
    pub owner: String,
    /// The name without the owner.
    pub name: String,
    /// The branch that pull requests go to.
    pub default_branch: String,
}

/// A pull request as it appears in the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest<'a> {
    /// Its number in the repository.
    pub number: u64,
    /// The branch that is to be merged.
    pub branch: &'a str,
    /// The revision at the head of that branch.
    pub revision: &'a str,
    /// The branch it goes to.
    pub base: &'a str,
    /// The repository of the branch, if it is a fork.
    pub fork: Option<&'a GithubRepository>,
    /// Names of its labels.
    pub labels: &'a [&'a str],
    /// Whether it is a draft.
    pub draft: bool,
    /// Whether it was merged; then it is closed too.
    pub merged: bool,
}

impl GithubRepository {
    /// A repository whose default branch is `main`.
    pub fn new(id: u64, owner: &str, name: &str) -> GithubRepository {
        GithubRepository {
            id,
            owner: owner.to_owned(),
            name: name.to_owned(),
            default_branch: "main".to_owned(),
        }
    }

    /// `owner/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// Event `push` of a branch that is new.
    pub fn push_create(&self, branch: &str, after: &str) -> Value {
        self.push(&branch_reference(branch), NO_REVISION, after, false)
    }

    /// Event `push` of commits on top of a branch.
    pub fn push_update(&self, branch: &str, before: &str, after: &str) -> Value {
        self.push(&branch_reference(branch), before, after, false)
    }

    /// Event `push` that rewrites a branch.
    pub fn push_force(&self, branch: &str, before: &str, after: &str) -> Value {
        self.push(&branch_reference(branch), before, after, true)
    }

    /// Event `push` that deletes a branch.
    pub fn push_delete(&self, branch: &str, before: &str) -> Value {
        self.push(&branch_reference(branch), before, NO_REVISION, false)
    }

    /// Event `push` of a new tag.
    pub fn push_tag(&self, tag: &str, after: &str) -> Value {
        self.push(&format!("refs/tags/{tag}"), NO_REVISION, after, false)
    }

    /// Event `create` of a branch.
    pub fn create_branch(&self, branch: &str) -> Value {
        let mut event = self.reference_event(branch, "branch");
        event["master_branch"] = json!(self.default_branch);
        event["description"] = Value::Null;
        event
    }

    /// Event `create` of a tag.
    pub fn create_tag(&self, tag: &str) -> Value {
        let mut event = self.create_branch(tag);
        event["ref_type"] = json!("tag");
        event
    }

    /// Event `delete` of a branch.
    pub fn delete_branch(&self, branch: &str) -> Value {
        self.reference_event(branch, "branch")
    }

    /// Event `delete` of a tag.
    pub fn delete_tag(&self, tag: &str) -> Value {
        self.reference_event(tag, "tag")
    }

    /// Event `pull_request` with an action such as `opened`, `synchronize`, `labeled`, `reopened` or `closed`.
    pub fn pull_request(&self, action: &str, pull_request: &PullRequest<'_>) -> Value {
        let state = if action == "closed" || pull_request.merged {
            "closed"
        } else {
            "open"
        };
        let labels: Vec<Value> = pull_request.labels.iter().map(|label| json!({ "name": label })).collect();
        let head = pull_request.fork.unwrap_or(self);
        let url = format!("https://github.com/{}/pull/{}", self.full_name(), pull_request.number);
        json!({
            "action": action,
            "number": pull_request.number,
            "pull_request": {
                "number": pull_request.number,
                "html_url": url,
                "state": state,
                "title": format!("Merge {}", pull_request.branch),
                "draft": pull_request.draft,
                "merged": pull_request.merged,
                "labels": labels,
                "user": user("octocat"),
                "head": head.side(pull_request.branch, pull_request.revision),
                "base": self.side(pull_request.base, BASE_REVISION),
            },
            "repository": self.repository(),
            "sender": user("octocat"),
        })
    }

    /// Event `ping`, which GitHub sends when a webhook is created.
    pub fn ping(&self) -> Value {
        json!({
            "zen": "A test says hello.",
            "hook_id": 109_948_940,
            "hook": { "type": "Repository", "id": 109_948_940, "name": "web", "active": true, "events": ["push", "delete"] },
            "repository": self.repository(),
            "sender": user("octocat"),
        })
    }

    fn push(&self, reference: &str, before: &str, after: &str, forced: bool) -> Value {
        let deleted = after == NO_REVISION;
        let head = if deleted { Value::Null } else { commit(after) };
        let url = format!(
            "https://github.com/{}/compare/{}...{}",
            self.full_name(),
            short(before),
            short(after)
        );
        json!({
            "ref": reference,
            "before": before,
            "after": after,
            "created": before == NO_REVISION,
            "deleted": deleted,
            "forced": forced,
            "base_ref": null,
            "compare": url,
            "commits": if deleted { json!([]) } else { json!([commit(after)]) },
            "head_commit": head,
            "repository": self.repository(),
            "pusher": { "name": "octocat", "email": "octocat@example.com" },
            "sender": user("octocat"),
        })
    }

    /// Here GitHub gives the bare name, not `refs/…`.
    fn reference_event(&self, name: &str, kind: &str) -> Value {
        json!({
            "ref": name,
            "ref_type": kind,
            "pusher_type": "user",
            "repository": self.repository(),
            "sender": user("octocat"),
        })
    }

    fn side(&self, branch: &str, revision: &str) -> Value {
        json!({
            "label": format!("{}:{branch}", self.owner),
            "ref": branch,
            "sha": revision,
            "user": user(&self.owner),
            "repo": self.repository(),
        })
    }

    fn repository(&self) -> Value {
        let full_name = self.full_name();
        json!({
            "id": self.id,
            "node_id": format!("R_{}", self.id),
            "name": self.name,
            "full_name": full_name,
            "private": false,
            "owner": user(&self.owner),
            "html_url": format!("https://github.com/{full_name}"),
            "clone_url": format!("https://github.com/{full_name}.git"),
            "fork": false,
            "default_branch": self.default_branch,
        })
    }
}

impl<'a> PullRequest<'a> {
    /// An open pull request of a branch of the repository itself to `main`, without labels.
    pub fn new(number: u64, branch: &'a str, revision: &'a str) -> PullRequest<'a> {
        PullRequest {
            number,
            branch,
            revision,
            base: "main",
            fork: None,
            labels: &[],
            draft: false,
            merged: false,
        }
    }
}

fn branch_reference(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

fn commit(revision: &str) -> Value {
    json!({
        "id": revision,
        "message": "Change something",
        "timestamp": "2026-01-01T00:00:00Z",
        "author": { "name": "octocat", "email": "octocat@example.com", "username": "octocat" },
    })
}

fn user(login: &str) -> Value {
    json!({ "login": login, "id": 583_231, "type": "User", "html_url": format!("https://github.com/{login}") })
}

fn short(revision: &str) -> &str {
    revision.get(..12).unwrap_or(revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_is_told_by_flag_revision_and_missing_commit() {
        let event = GithubRepository::new(7, "shop", "web").push_delete("feature/a", "1111111111111111111111111111111111111111");
        assert_eq!(event["ref"], "refs/heads/feature/a");
        assert_eq!(event["deleted"], true);
        assert_eq!(event["after"], NO_REVISION);
        assert_eq!(event["head_commit"], Value::Null);
        assert_eq!(event["repository"]["full_name"], "shop/web");
    }

    #[test]
    fn a_pull_request_of_a_fork_names_both_repositories() {
        let repository = GithubRepository::new(7, "shop", "web");
        let fork = GithubRepository::new(8, "stranger", "web");
        let pull_request = PullRequest {
            fork: Some(&fork),
            ..PullRequest::new(3, "patch", "22")
        };
        let event = repository.pull_request("opened", &pull_request);
        assert_eq!(event["pull_request"]["head"]["repo"]["id"], 8);
        assert_eq!(event["pull_request"]["base"]["repo"]["id"], 7);
        assert_eq!(event["pull_request"]["state"], "open");
    }
}
