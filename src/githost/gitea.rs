//! Gitea and Forgejo, by the REST interface that both have.

mod api;
mod archive;
mod changes;
mod comments;
pub(super) mod payload;
mod report;
mod setup;
mod statuses;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::StatusCode;
use reqwest::Url;
use tokio::sync::OnceCell;

use self::api::{Api, unusable};
use super::address::owner_and_name;
use super::report::Report;
pub use super::rest::Settings;
use super::setup::Setup;
use super::{Error, Files, GitHost, Tree, listing};
use crate::domain::comment::{Comment, Permission};
use crate::domain::git::{BranchName, Commit, Listing, PullRequest, RefLookup, Repository, RepositoryName, Revision, TreePath};
use crate::domain::stage::wait::{ReportedRun, ReportedStatus};

const FIND_REPOSITORY: &str = "find the repository";
const LIST_BRANCHES: &str = "list the branches";
const LIST_PULL_REQUESTS: &str = "list the open pull requests";
const FIND_BRANCH: &str = "find the branch";

/// A connection to one Gitea or Forgejo. Clones share its connection pool.
///
/// # Guarantees
/// Repositories are known by their numeric id, so that a rename or a transfer changes nothing but the name. Requests are never repeated
/// here: whether and when to try again is decided by [`Error::class`]. A listing during which a branch came or went is an error.
///
/// # Caveats
/// There are no conditional requests: a listing costs one request for the repository, one for all branches, and one for each fifty open pull
/// requests.
#[derive(Clone)]
pub struct Gitea {
    api: Api,
    /// The id of the token's account, once it is known.
    account: Arc<OnceCell<i64>>,
}

impl Gitea {
    /// Prepares the connection; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] for a URL that is not http or https and for a token that no header can carry.
    pub fn connect(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            api: Api::connect(settings.base(&["api", "v1"])?, settings.token.as_ref(), settings.request_timeout)?,
            account: Arc::default(),
        })
    }

    async fn find_repository(&self, operation: &'static str, name: &RepositoryName) -> Result<Repository, Error> {
        let answer = self.api.get(operation, self.below(name, &[])?).await?;
        answer.decode_of::<wire::Repository>(operation, name)?.into_domain(operation)
    }

    /// All branches in one answer, however many there are: Gitea does not cut this list.
    async fn branches(&self, repository: &Repository) -> Result<BTreeMap<BranchName, Revision>, Error> {
        let url = self.below(&repository.name, &["git", "refs", "heads"])?;
        let answer = self.api.get(LIST_BRANCHES, url).await?;
        match answer.status {
            StatusCode::OK => answer
                .decode::<Vec<wire::Reference>>(LIST_BRANCHES)?
                .into_iter()
                .filter_map(|reference| reference.into_branch(LIST_BRANCHES).transpose())
                .collect(),
            // So it says of a repository without branches, which is none that a listing can be made of.
            StatusCode::NOT_FOUND => {
                answer.is_its_own(LIST_BRANCHES)?;
                Err(unusable(LIST_BRANCHES, "the repository has no branches"))
            }
            _ => Err(answer.unexpected(LIST_BRANCHES)),
        }
    }

    async fn pull_requests(&self, repository: &Repository) -> Result<Vec<PullRequest>, Error> {
        let mut url = self.below(&repository.name, &["pulls"])?;
        url.query_pairs_mut().append_pair("state", "open");
        let key = |pull: &wire::PullRequest| pull.number;
        let pulls: Vec<wire::PullRequest> = self.api.all_pages(LIST_PULL_REQUESTS, url, &repository.name, key).await?;
        Ok(pulls.into_iter().filter_map(|pull| pull.into_domain(&repository.id)).collect())
    }

    /// The head of `branch`, or `None` when Gitea says that there is no such branch.
    async fn head(&self, repository: &Repository, branch: &BranchName) -> Result<Option<Revision>, Error> {
        let mut segments = vec!["branches"];
        segments.extend(branch.as_str().split('/'));
        let answer = self.api.get(FIND_BRANCH, self.below(&repository.name, &segments)?).await?;
        match answer.status {
            StatusCode::OK => answer.decode::<wire::Branch>(FIND_BRANCH)?.into_head(FIND_BRANCH, branch).map(Some),
            // A proxy's own 404 page proves nothing: it has to be Gitea's answer, which is JSON with a message.
            StatusCode::NOT_FOUND => answer.is_its_own(FIND_BRANCH).map(|()| None),
            _ => Err(answer.unexpected(FIND_BRANCH)),
        }
    }

    async fn find_branch(&self, name: &RepositoryName, branch: &BranchName) -> Result<RefLookup, Error> {
        let repository = self.find_repository(FIND_BRANCH, name).await?;
        let head = self.head(&repository, branch).await?;
        let pull_request = match &head {
            // The open pull request with the lowest number from the branch of the same repository: there is no filter for it.
            Some(_) => {
                let pulls = self.pull_requests(&repository).await?.into_iter();
                pulls
                    .filter(|pull| pull.fork.is_none() && pull.head == *branch)
                    .min_by_key(|pull| pull.number)
            }
            None => {
                self.confirm(&repository, branch).await?;
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

    /// Looks again after a 404 on a branch: Gitea hides a repository with the same 404 when access to it ends, and one whose storage is
    /// lost has none of its branches.
    async fn confirm(&self, repository: &Repository, branch: &BranchName) -> Result<(), Error> {
        let again = self.find_repository(FIND_BRANCH, &repository.name).await?;
        if again.id != repository.id {
            let problem = "the repository was replaced by another of its name while it was looked at";
            return Err(unusable(FIND_BRANCH, problem));
        }
        let Some(default) = &again.default_branch else {
            return Err(unusable(FIND_BRANCH, "the repository is empty"));
        };
        match default == branch || self.head(&again, default).await?.is_some() {
            true => Ok(()),
            false => Err(unusable(FIND_BRANCH, format!("the default branch {default} is missing as well"))),
        }
    }

    fn below(&self, name: &RepositoryName, segments: &[&str]) -> Result<Url, Error> {
        let (owner, repository) = owner_and_name(name, "Gitea and Forgejo")?;
        Ok(self.api.url(&[&["repos", owner, repository], segments].concat()))
    }
}

impl GitHost for Gitea {
    fn repository<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Repository, Error>> {
        self.find_repository(FIND_REPOSITORY, name).boxed()
    }

    fn listing<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Listing, Error>> {
        async move {
            let repository = self.find_repository(LIST_BRANCHES, name).await?;
            let branches = self.branches(&repository).await?;
            let pull_requests = self.pull_requests(&repository).await?;
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

    fn check_runs<'a>(&'a self, _: &'a RepositoryName, _: &'a Revision, _: &'a str) -> BoxFuture<'a, Result<Vec<ReportedRun>, Error>> {
        let problem = "Gitea and Forgejo have no check runs: wait for a commit status instead".to_owned();
        async { Err(Error::Misconfigured { problem }) }.boxed()
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

impl fmt::Debug for Gitea {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Gitea").field("api", &self.api.base().as_str()).finish()
    }
}

#[cfg(test)]
mod tests;
