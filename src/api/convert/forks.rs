//! Which commits of pull requests from forks were approved: an annotation of the Project ↔ domain.

use jiff::Timestamp;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use crate::api::{Project, keys};
use crate::domain::git::Revision;
use crate::domain::roster::ApprovedForks;

/// One approval: whose word it was, and for exactly which commit.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ForkApproval {
    /// The pull request.
    pub pull_request: u64,
    /// The commit, in full.
    pub revision: Revision,
    /// Who approved it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The host's number of the comment that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<u64>,
}

/// So many are kept; the oldest goes first. What it approved stays as it is, and an environment that is there with it.
const MOST: usize = 200;

/// What is approved on this Project. An annotation that cannot be read approves nothing.
pub fn approvals(project: &Project) -> Vec<ForkApproval> {
    let text = project.annotations().get(keys::APPROVED_FORKS_ANNOTATION);
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The same as the roster uses it: the last word on each pull request.
pub fn approved(project: &Project) -> ApprovedForks {
    let all = approvals(project).into_iter();
    all.map(|approval| (approval.pull_request, approval.revision)).collect()
}

/// The annotation's text with another approval, which takes the place of earlier ones on its pull request.
pub fn with(project: &Project, approval: ForkApproval) -> String {
    let mut all = approvals(project);
    all.retain(|known| known.pull_request != approval.pull_request);
    all.push(approval);
    let surplus = all.len().saturating_sub(MOST);
    all.drain(..surplus);
    // Plain text always serialises.
    serde_json::to_string(&all).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "an unreadable example is the test's failure")]

    use serde_json::json;

    use super::*;

    fn project(annotation: &str) -> Project {
        serde_json::from_value(json!({
            "metadata": { "name": "shop", "namespace": "team", "annotations": { (keys::APPROVED_FORKS_ANNOTATION): annotation } },
            "spec": { "gitHostRef": { "name": "git" }, "repository": "shop", "bundle": { "name": "web" }, "domain": "example.com" },
        }))
        .unwrap()
    }

    fn approval(pull_request: u64, digit: char) -> ForkApproval {
        ForkApproval {
            pull_request,
            revision: digit.to_string().repeat(40).parse().unwrap(),
            by: "mia".into(),
            at: Timestamp::UNIX_EPOCH,
            comment: Some(3),
        }
    }

    #[test]
    fn threat_t12_the_last_word_on_a_pull_request_counts_and_what_cannot_be_read_approves_nothing() {
        let first = with(&project(""), approval(7, 'a'));
        let both = with(&project(&first), approval(8, 'a'));
        let later = with(&project(&both), approval(7, 'b'));
        let read = approved(&project(&later));
        assert_eq!(read.len(), 2);
        assert_eq!(read[&7].as_str(), "b".repeat(40));
        for nonsense in [
            "",
            "yes",
            r#"[{"pullRequest":7,"revision":"abcdef1","by":"x","at":"1970-01-01T00:00:00Z"}]"#,
        ] {
            assert!(approved(&project(nonsense)).is_empty(), "a commit is approved in full: {nonsense}");
        }
    }

    #[test]
    fn only_so_many_approvals_are_kept() {
        let mut text = String::new();
        for number in 0..=MOST as u64 {
            text = with(&project(&text), approval(number, 'a'));
        }
        let all = approvals(&project(&text));
        assert_eq!((all.len(), all[0].pull_request), (MOST, 1));
    }
}
