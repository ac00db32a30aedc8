//! GitHub and GitHub Enterprise Server, by their REST interface.

mod api;
mod app;
mod archive;
mod changes;
mod comments;
mod pages;
pub(super) mod payload;
mod report;
mod setup;
mod statuses;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::StatusCode;
use reqwest::Url;
use secrecy::SecretString;

use self::api::{Answer, Api};
pub use self::app::App;
use self::pages::{List, Page, Paging};
use super::address::{self, parse_url};
use super::conditional::Remembered;
use super::report::Report;
use super::setup::Setup;
use super::{Error, Files, GitHost, Tree, listing};
use crate::domain::comment::{Comment, Permission};
use crate::domain::git::{BranchName, Commit, Listing, PullRequest, RefLookup, Repository, RepositoryName, Revision, TreePath};
use crate::domain::stage::wait::{ReportedRun, ReportedStatus};

const FIND_REPOSITORY: &str = "find the repository";
const LIST_BRANCHES: &str = "list the branches";
const LIST_PULL_REQUESTS: &str = "list the open pull requests";
const FIND_BRANCH: &str = "find the branch";

/// How to reach a GitHub.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What people open in a browser, for example `https://github.com`.
    pub url: String,
    /// Where the REST interface is. Without it, it follows from `url`:
    ///
    /// 1. `https://github.com` has it at `https://api.github.com`.
    /// 2. A host that begins with `api.` and a URL with a path are taken for the interface itself.
    /// 3. Any other host is a GitHub Enterprise Server, which has it below `/api/v3`.
    pub api_url: Option<String>,
    /// A personal, installation or fine-grained token. Without one, only public repositories can be read, 60 requests an hour.
    pub token: Option<SecretString>,
    /// A GitHub App to act as instead of with a token.
    pub app: Option<App>,
    /// How long one request may take, its body included.
    pub request_timeout: Duration,
}

impl Settings {
    /// Anonymous access to the GitHub at `url`, ten seconds a request.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            api_url: None,
            token: None,
            app: None,
            request_timeout: Duration::from_secs(10),
        }
    }
}

/// A connection to one GitHub. Clones share its connection pool.
///
/// # Guarantees
/// Repositories are known by their numeric id, so that a rename or a transfer changes nothing but the name. Requests are never repeated
/// here: whether and when to try again is decided by [`Error::class`].
///
/// # Caveats
/// Pages of pull requests are counted, not cursors: one that is closed while pages are read moves the first of a later page out of sight. One
/// listing is therefore not enough to retire anything.
///
/// # Cost
/// A listing is one request for the repository, one for all branches and one for each hundred open pull requests. Each asks only for what has
/// changed: where nothing has, none of them counts against the rate limit.
#[derive(Clone)]
pub struct Github {
    api: Api,
    repositories: Remembered<Repository>,
    heads: Remembered<Page<(BranchName, Revision)>>,
    pulls: Remembered<Page<PullRequest>>,
    account: report::Account,
}

impl Github {
    /// Prepares the connection; nothing is sent yet. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] for a URL that is not http or https and for a token that no header can carry.
    pub fn connect(settings: &Settings) -> Result<Self, Error> {
        let base = match &settings.api_url {
            Some(api_url) => parse_url("apiUrl", api_url)?,
            None => api_url(parse_url("url", &settings.url)?),
        };
        Ok(Self {
            api: Api::connect(base, settings)?,
            repositories: Remembered::default(),
            heads: Remembered::default(),
            pulls: Remembered::default(),
            account: report::Account::default(),
        })
    }

    async fn find_repository(&self, operation: &'static str, name: &RepositoryName) -> Result<Repository, Error> {
        let (owner, repository) = owner_and_name(name)?;
        let url = self.api.url(&["repos", owner, repository]);
        let read = |answer: &Answer| match answer.status {
            StatusCode::OK => answer.decode::<wire::Repository>(operation)?.into_domain(operation),
            StatusCode::NOT_FOUND => Err(Error::RepositoryNotFound {
                operation,
                repository: name.clone(),
            }),
            _ => Err(answer.unexpected(operation)),
        };
        let found = self.api.get_if_changed(operation, &url, &self.repositories, read).await?;
        Ok(Repository::clone(&found))
    }

    /// All branches in one answer, however many there are: GitHub does not cut this list.
    async fn branches(&self, repository: &Repository) -> Result<BTreeMap<BranchName, Revision>, Error> {
        let list = List {
            operation: LIST_BRANCHES,
            repository: &repository.name,
            paging: Paging::Whole,
            remembered: &self.heads,
        };
        let url = self.below(repository, &["git", "matching-refs", "heads"])?;
        let heads = list
            .all(&self.api, url, |head: wire::Reference| head.into_branch(LIST_BRANCHES))
            .await?;
        Ok(heads.into_iter().collect())
    }

    async fn pull_requests(&self, repository: &Repository, head: Option<&str>) -> Result<Vec<PullRequest>, Error> {
        let list = List {
            operation: LIST_PULL_REQUESTS,
            repository: &repository.name,
            paging: Paging::Counted,
            remembered: &self.pulls,
        };
        let mut url = self.below(repository, &["pulls"])?;
        url.query_pairs_mut().append_pair("state", "open");
        if let Some(head) = head {
            url.query_pairs_mut().append_pair("head", head);
        }
        let read = |pull: wire::PullRequest| Ok(pull.into_domain(&repository.id));
        list.all(&self.api, url, read).await
    }

    /// The open pull request with the lowest number from `branch` of the same repository.
    async fn pull_request_of(&self, repository: &Repository, branch: &BranchName) -> Result<Option<PullRequest>, Error> {
        let (owner, _) = owner_and_name(&repository.name)?;
        let pulls = self.pull_requests(repository, Some(&format!("{owner}:{branch}"))).await?;
        Ok(pulls
            .into_iter()
            .filter(|pull| pull.fork.is_none() && pull.head == *branch)
            .min_by_key(|pull| pull.number))
    }

    /// The head of `branch`, or `None` when GitHub says that there is no such branch.
    async fn head(&self, repository: &Repository, branch: &BranchName) -> Result<Option<Revision>, Error> {
        let mut segments = vec!["git", "ref", "heads"];
        segments.extend(branch.as_str().split('/'));
        let answer = self.api.get(FIND_BRANCH, self.below(repository, &segments)?).await?;
        match answer.status {
            StatusCode::OK => answer
                .decode::<wire::Reference>(FIND_BRANCH)?
                .into_head(FIND_BRANCH, branch)
                .map(Some),
            // A proxy's own 404 page proves nothing: it has to be GitHub's answer, which is JSON with a message.
            StatusCode::NOT_FOUND => answer.decode::<wire::Problem>(FIND_BRANCH).map(|_| None),
            StatusCode::CONFLICT => Err(Error::Unusable {
                operation: FIND_BRANCH,
                problem: "the repository is empty".to_owned(),
            }),
            _ => Err(answer.unexpected(FIND_BRANCH)),
        }
    }

    async fn find_branch(&self, name: &RepositoryName, branch: &BranchName) -> Result<RefLookup, Error> {
        let repository = self.find_repository(FIND_BRANCH, name).await?;
        let head = self.head(&repository, branch).await?;
        let pull_request = match &head {
            Some(_) => self.pull_request_of(&repository, branch).await?,
            None => {
                self.confirm(&repository).await?;
                None
            }
        };
        Ok(RefLookup {
            repository,
            branch: branch.clone(),
            head,
            pull_request,
        })
    }

    /// Asks for the repository once more after a 404 on one of its refs: GitHub hides a repository with the same 404 when access to it ends.
    async fn confirm(&self, repository: &Repository) -> Result<(), Error> {
        let again = self.find_repository(FIND_BRANCH, &repository.name).await?;
        if again.id == repository.id {
            return Ok(());
        }
        Err(Error::Unusable {
            operation: FIND_BRANCH,
            problem: "the repository was replaced by another of its name while it was looked at".to_owned(),
        })
    }

    fn below(&self, repository: &Repository, segments: &[&str]) -> Result<Url, Error> {
        let (owner, name) = owner_and_name(&repository.name)?;
        Ok(self.api.url(&[&["repos", owner, name], segments].concat()))
    }
}

impl GitHost for Github {
    fn repository<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Repository, Error>> {
        self.find_repository(FIND_REPOSITORY, name).boxed()
    }

    fn listing<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Listing, Error>> {
        async move {
            self.api.budget().spare(LIST_BRANCHES)?;
            let repository = self.find_repository(LIST_BRANCHES, name).await?;
            let branches = self.branches(&repository).await?;
            let pull_requests = self.pull_requests(&repository, None).await?;
            listing::complete(LIST_BRANCHES, repository, branches, pull_requests)
        }
        .boxed()
    }

    fn lookup<'a>(&'a self, name: &'a RepositoryName, branch: &'a BranchName) -> BoxFuture<'a, Result<RefLookup, Error>> {
        self.find_branch(name, branch).boxed()
    }

    fn files<'a>(&'a self, name: &'a RepositoryName, at: &'a Commit, path: &'a TreePath) -> BoxFuture<'a, Result<Files, Error>> {
        archive::files(self, name, at, path).boxed()
    }

    fn comment<'a>(&'a self, name: &'a RepositoryName, _pull_request: u64, id: u64) -> BoxFuture<'a, Result<Option<Comment>, Error>> {
        comments::comment(self, name, id).boxed()
    }

    fn permission<'a>(&'a self, name: &'a RepositoryName, login: &'a str) -> BoxFuture<'a, Result<Permission, Error>> {
        comments::permission(self, name, login).boxed()
    }

    fn checkout<'a>(&'a self, name: &'a RepositoryName, at: &'a Commit) -> BoxFuture<'a, Result<Tree, Error>> {
        archive::checkout(self, name, at).boxed()
    }

    /// Without a token nothing can be written.
    fn report(&self) -> Option<&dyn Report> {
        self.api.has_token().then_some(self)
    }

    fn commit_status<'a>(
        &'a self,
        name: &'a RepositoryName,
        revision: &'a Revision,
        context: &'a str,
    ) -> BoxFuture<'a, Result<Option<ReportedStatus>, Error>> {
        statuses::commit_status(self, name, revision, context).boxed()
    }

    fn check_runs<'a>(
        &'a self,
        name: &'a RepositoryName,
        revision: &'a Revision,
        run: &'a str,
    ) -> BoxFuture<'a, Result<Vec<ReportedRun>, Error>> {
        statuses::check_runs(self, name, revision, run).boxed()
    }

    fn changed_paths<'a>(
        &'a self,
        name: &'a RepositoryName,
        base: &'a BranchName,
        head: &'a Revision,
    ) -> BoxFuture<'a, Result<Option<BTreeSet<String>>, Error>> {
        changes::changed_paths(self, name, base, head).boxed()
    }

    fn setup(&self) -> Option<&dyn Setup> {
        Some(self)
    }
}

impl fmt::Debug for Github {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Github").field("api", &self.api.base().as_str()).finish()
    }
}

/// The rule of [`Settings::api_url`].
fn api_url(url: Url) -> Url {
    let host = url.host_str().unwrap_or_default();
    let is_interface = host.starts_with("api.") || !url.path().trim_matches('/').is_empty();
    let mut api = url.clone();
    match host {
        "github.com" | "www.github.com" => {
            // Fails only for URLs without a host, and this one has a host.
            let _ = api.set_host(Some("api.github.com"));
            api.set_path("/");
        }
        _ if is_interface => {}
        _ => api.set_path("/api/v3"),
    }
    api
}

fn owner_and_name(name: &RepositoryName) -> Result<(&str, &str), Error> {
    address::owner_and_name(name, "GitHub")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    #[test]
    fn the_interface_follows_from_the_url_that_people_know() {
        for (url, expected) in [
            ("https://github.com", "https://api.github.com/"),
            ("https://www.github.com/acme", "https://api.github.com/"),
            ("https://api.github.com", "https://api.github.com/"),
            ("https://git.example.com", "https://git.example.com/api/v3"),
            ("https://git.example.com/", "https://git.example.com/api/v3"),
            ("https://git.example.com/api/v3", "https://git.example.com/api/v3"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/api/v3"),
            ("http://127.0.0.1:8080/fake", "http://127.0.0.1:8080/fake"),
        ] {
            assert_eq!(api_url(parse_url("url", url).unwrap()).as_str(), expected, "{url}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_an_interface_is_refused_with_the_fields_name() {
        for url in [
            "ssh://git@github.com",
            "github.com",
            "",
            "https://me:pass@github.com",
            "https://github.com?x=1",
        ] {
            let error = parse_url("url", url).unwrap_err();
            assert!(
                matches!(error, Error::Misconfigured { .. }) && error.to_string().contains("GitHost's url"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_repository_name_that_could_leave_its_path_is_refused() {
        for name in [
            "shop",
            "acme/shop/x",
            "./shop",
            "acme/.",
            "acme/a?b",
            "acme/a%2fb",
            "/shop",
            "acme/",
        ] {
            let name: RepositoryName = name.parse().unwrap();
            assert!(owner_and_name(&name).is_err(), "{name}");
        }
        assert_eq!(owner_and_name(&"acme/shop.js".parse().unwrap()).unwrap(), ("acme", "shop.js"));
    }

    #[tokio::test]
    async fn a_token_that_no_header_can_carry_is_refused_and_never_shown() {
        let mut settings = Settings::new("https://github.com");
        settings.token = Some("ghp_s3cret\nX-Injected: 1".to_owned().into());
        let error = Github::connect(&settings).unwrap_err();
        assert!(matches!(error, Error::Misconfigured { .. }), "{error}");
        settings.token = Some("ghp_s3cret\n".to_owned().into());
        let github = Github::connect(&settings).unwrap();
        assert!(!format!("{error:?} {error} {settings:?} {github:?}").contains("s3cret"));
    }
}
