//! What every Git host must answer, over real repositories; and what GitHub's and Git's failures must never be taken for.

mod bitbucket;
mod comments;
mod contract;
mod files;
mod git_faults;
mod gitea;
mod github;
mod gitlab;
mod hook;
pub(crate) mod http_backend;
mod reports;
mod scratch;
mod statuses;

use std::sync::Arc;

use graftling::domain::git::{BranchName, Provider, RepositoryName};
use graftling::githost::GitHost;
use graftling::githost::github::{Github, Settings};
use graftling::githost::plain::PlainGit;
use testbed::bitbucket::FakeBitbucket;
use testbed::github::FakeGithub;
use testbed::gitlab::FakeGitlab;

use self::gitea::GiteaFront;
use self::http_backend::HttpBackend;
use self::scratch::Scratch;

/// The id of the only repository of a [`FakeGithub`] in these tests.
const ID: u64 = 186_853_002;

/// A real repository, and one provider's connection to it.
struct Case {
    /// For the messages of failed assertions.
    label: &'static str,
    provider: Provider,
    scratch: Scratch,
    host: Arc<dyn GitHost>,
    name: RepositoryName,
    github: Option<FakeGithub>,
    gitlab: Option<FakeGitlab>,
    gitea: Option<GiteaFront>,
    bitbucket: Option<FakeBitbucket>,
    _server: Option<HttpBackend>,
}

impl Case {
    /// One case for each way to reach a repository, each with a repository of its own that has no branches yet.
    async fn all() -> Vec<Self> {
        vec![
            Self::github().await,
            Self::gitlab().await,
            Self::gitea().await,
            Self::bitbucket_cloud().await,
            Self::bitbucket_server().await,
            Self::directory(),
            Self::served().await,
        ]
    }

    async fn github() -> Self {
        let scratch = Scratch::new();
        let github = FakeGithub::start().await.expect("a loopback port is free");
        github.add_repository("acme", "shop", ID, scratch.directory(), "main");
        let host = connect(&github);
        Self::new("github", Provider::Github, scratch, Arc::new(host), "acme/shop").with_github(github)
    }

    fn directory() -> Self {
        let scratch = Scratch::new();
        let host = PlainGit::connect(&format!("file://{}", scratch.root().display()), None).expect("the URL is valid");
        Self::new("git over file", Provider::Git, scratch, Arc::new(host), "shop.git")
    }

    async fn served() -> Self {
        let scratch = Scratch::new();
        let server = HttpBackend::start(scratch.root()).await;
        let host = PlainGit::connect(&server.url(), None).expect("the URL is valid");
        let mut case = Self::new("git over http", Provider::Git, scratch, Arc::new(host), "shop.git");
        case._server = Some(server);
        case
    }

    fn new(label: &'static str, provider: Provider, scratch: Scratch, host: Arc<dyn GitHost>, name: &str) -> Self {
        Self {
            label,
            provider,
            scratch,
            host,
            name: name.parse().expect("the name is valid"),
            github: None,
            gitlab: None,
            gitea: None,
            bitbucket: None,
            _server: None,
        }
    }

    fn with_github(mut self, github: FakeGithub) -> Self {
        self.github = Some(github);
        self
    }

    /// Makes the repository go away.
    fn delete_repository(&self) {
        if let Some(gitea) = &self.gitea {
            return gitea.remove();
        }
        match (&self.github, &self.gitlab, &self.bitbucket) {
            (Some(github), ..) => github.remove_repository(ID),
            (None, Some(gitlab), _) => gitlab.remove_project(ID),
            (None, None, Some(bitbucket)) => bitbucket.remove_repository(ID),
            (None, None, None) => std::fs::remove_dir_all(self.scratch.directory()).expect("the directory can be removed"),
        }
    }
}

fn connect(github: &FakeGithub) -> Github {
    Github::connect(&Settings::new(github.url())).expect("the settings are valid")
}

fn branch(text: &str) -> BranchName {
    text.parse().expect("the branch name is valid")
}
