//! Bitbucket's own ways, at the Cloud and at a Data Center: pages, pull requests, rights; and their failures, none of which is ever a listing.

mod code;
mod faults;
mod report;
mod setup;

use std::sync::Arc;

use graftling::domain::git::Provider;
use graftling::githost::GitHost;
use graftling::githost::bitbucket::{Settings, connect};
use testbed::bitbucket::{FakeBitbucket, PullRequest};

use super::{Case, ID, Scratch};

/// The label of the Cloud's case.
pub(super) const CLOUD: &str = "bitbucket cloud";
const SERVER: &str = "bitbucket data center";

impl Case {
    pub(super) async fn bitbucket_cloud() -> Self {
        Self::bitbucket(CLOUD, "acme/shop").await
    }

    pub(super) async fn bitbucket_server() -> Self {
        Self::bitbucket(SERVER, "WEB/shop").await
    }

    async fn bitbucket(label: &'static str, name: &str) -> Self {
        let scratch = Scratch::new();
        let bitbucket = FakeBitbucket::start().await.expect("a loopback port is free");
        let (owner, slug) = name.split_once('/').expect("there are two parts");
        bitbucket.add_repository(owner, slug, ID, scratch.directory(), "main");
        let host = host(&settings(label, &bitbucket));
        let mut case = Self::new(label, Provider::Bitbucket, scratch, host, name);
        case.bitbucket = Some(bitbucket);
        case
    }
}

fn settings(label: &str, bitbucket: &FakeBitbucket) -> Settings {
    let mut settings = Settings::new(bitbucket.url());
    settings.api_url = (label == CLOUD).then(|| bitbucket.cloud_api_url());
    settings
}

fn host(settings: &Settings) -> Arc<dyn GitHost> {
    connect(settings).expect("the settings are valid")
}

/// Both, each with a repository with the branches `main`, `x` and `y` at one commit.
async fn both() -> Vec<(Case, FakeBitbucket, String)> {
    let mut both = Vec::new();
    for mut case in [Case::bitbucket_cloud().await, Case::bitbucket_server().await] {
        let commit = case.scratch.commit("one");
        case.scratch.set(&commit, &["refs/heads/main", "refs/heads/x", "refs/heads/y"]);
        let bitbucket = case.bitbucket.take().expect("the case is Bitbucket's");
        both.push((case, bitbucket, commit));
    }
    both
}

fn pull_request(id: u64, source_branch: &str, source_repository: Option<u64>) -> PullRequest {
    PullRequest {
        id,
        source_branch: source_branch.to_owned(),
        source_repository,
        sha: "ab".repeat(20),
    }
}
