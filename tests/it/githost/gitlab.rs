//! GitLab's own ways: pages, merge requests, renames, tokens; and its failures, none of which is ever a listing.

mod code;
mod faults;
mod report;
mod setup;

use std::sync::Arc;

use graftling::domain::git::Provider;
use graftling::githost::gitlab::{Gitlab, Settings};
use testbed::gitlab::{FakeGitlab, MergeRequest};

use super::{Case, ID, Scratch};

/// The path of the only project, in a group of a group.
const PATH: &str = "acme/web/shop";

impl Case {
    pub(super) async fn gitlab() -> Self {
        let scratch = Scratch::new();
        let gitlab = FakeGitlab::start().await.expect("a loopback port is free");
        gitlab.add_project(PATH, ID, scratch.directory(), "main");
        let host = connect(&gitlab);
        let mut case = Self::new("gitlab", Provider::Gitlab, scratch, Arc::new(host), PATH);
        case.gitlab = Some(gitlab);
        case
    }
}

fn connect(gitlab: &FakeGitlab) -> Gitlab {
    Gitlab::connect(&Settings::new(gitlab.url())).expect("the settings are valid")
}

/// A project with the branches `main`, `x` and `y` at one commit.
async fn case_with_branches() -> (Case, FakeGitlab, String) {
    let mut case = Case::gitlab().await;
    let commit = case.scratch.commit("one");
    case.scratch.set(&commit, &["refs/heads/main", "refs/heads/x", "refs/heads/y"]);
    let gitlab = case.gitlab.take().expect("the case is GitLab's");
    (case, gitlab, commit)
}

fn merge_request(iid: u64, source_branch: &str, source_project: Option<u64>) -> MergeRequest {
    MergeRequest {
        iid,
        source_branch: source_branch.to_owned(),
        source_project,
        sha: "ab".repeat(20),
        labels: vec!["preview".to_owned(), "area/web".to_owned()],
        draft: false,
    }
}
