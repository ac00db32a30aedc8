//! GitLab, by its REST interface.

mod api;
mod archive;
mod comments;
mod deployments;
mod notes;
mod pages;
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
use super::report::Report;
pub use super::rest::Settings;
use super::setup::Setup;
use super::{Error, Files, GitHost, Tree, listing};
use crate::domain::comment::{Comment, Permission};
use crate::domain::git::{BranchName, Commit, Listing, PullRequest, RefLookup, Repository, RepositoryName, Revision, TreePath};
use crate::domain::stage::wait::{ReportedRun, ReportedStatus};

const FIND_REPOSITORY: &str = "find the repository";
const LIST_BRANCHES: &str = "list the branches";
const LIST_PULL_REQUESTS: &str = "list the open merge requests";
const FIND_BRANCH: &str = "find the branch";
const COMPARE: &str = "compare the merge request with its target";

/// A connection to one GitLab. Clones share its connection pool.
///
/// # Guarantees
/// Repositories are known by their numeric id, so that a rename or a transfer changes nothing but the name. Requests are never repeated
/// here: whether and when to try again is decided by [`Error::class`].
///
/// # Caveats
/// A listing costs one request for the project and one for each hundred branches and merge requests. What is written is not sent after a
/// redirect: of a project that was renamed nothing is told before its Project bears the new name.
#[derive(Clone)]
pub struct Gitlab {
    api: Api,
    /// The number of the account that the token belongs to.
    account: Arc<OnceCell<u64>>,
}

impl Gitlab {
    /// Prepares the connection; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] for a URL that is not http or https and for a token that no header can carry.
    pub fn connect(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            api: Api::connect(settings.base(&["api", "v4"])?, settings.token.as_ref(), settings.request_timeout)?,
            account: Arc::default(),
        })
    }

    async fn find_repository(&self, operation: &'static str, name: &RepositoryName) -> Result<Repository, Error> {
        let answer = self.api.get(operation, self.below(name, &[])?).await?;
        answer.decode_of::<wire::Project>(operation, name)?.into_domain(operation)
    }

    /// By cursor: whatever comes or goes meanwhile moves no other branch to another page.
    async fn branches(&self, repository: &Repository) -> Result<BTreeMap<BranchName, Revision>, Error> {
        let mut url = self.below(&repository.name, &["repository", "branches"])?;
        url.query_pairs_mut().append_pair("pagination", "keyset");
        let key = |branch: &wire::Branch| branch.name.clone();
        let branches: Vec<wire::Branch> = self.api.all_pages(LIST_BRANCHES, url, &repository.name, key).await?;
        branches
            .into_iter()
            .filter_map(|branch| branch.into_domain(LIST_BRANCHES).transpose())
            .collect()
    }

    /// The oldest first, so that new ones come at the end. `filters` reduce the list.
    async fn pull_requests(&self, repository: &Repository, filters: &[(&str, &str)]) -> Result<Vec<PullRequest>, Error> {
        let mut url = self.below(&repository.name, &["merge_requests"])?;
        url.query_pairs_mut()
            .extend_pairs([("state", "opened"), ("scope", "all"), ("order_by", "created_at"), ("sort", "asc")])
            .extend_pairs(filters);
        let key = |merge_request: &wire::MergeRequest| merge_request.iid;
        let requests: Vec<wire::MergeRequest> = self.api.all_pages(LIST_PULL_REQUESTS, url, &repository.name, key).await?;
        Ok(requests.into_iter().filter_map(|one| one.into_domain(&repository.id)).collect())
    }

    /// The head of `branch`, or `None` when GitLab says that there is no such branch.
    async fn head(&self, operation: &'static str, name: &RepositoryName, branch: &BranchName) -> Result<Option<Revision>, Error> {
        let url = self.below(name, &["repository", "branches", branch.as_str()])?;
        let answer = self.api.get(operation, url).await?;
        match answer.status {
            StatusCode::OK => answer.decode::<wire::Branch>(operation)?.into_head(operation, branch).map(Some),
            // A proxy's own 404 page proves nothing: it has to be GitLab's answer, which is JSON with a message.
            StatusCode::NOT_FOUND => answer.is_its_own(operation).map(|()| None),
            _ => Err(answer.unexpected(operation)),
        }
    }

    async fn find_branch(&self, name: &RepositoryName, branch: &BranchName) -> Result<RefLookup, Error> {
        let repository = self.find_repository(FIND_BRANCH, name).await?;
        let head = self.head(FIND_BRANCH, &repository.name, branch).await?;
        let pull_request = match &head {
            Some(_) => {
                let filter = [("source_branch", branch.as_str())];
                let pulls = self.pull_requests(&repository, &filter).await?.into_iter();
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

    /// Looks again after a 404 on a branch: GitLab hides a project with the same 404 when access to it ends, and one whose storage is
    /// lost has none of its branches.
    async fn confirm(&self, repository: &Repository, branch: &BranchName) -> Result<(), Error> {
        let again = self.find_repository(FIND_BRANCH, &repository.name).await?;
        if again.id != repository.id {
            let problem = "the project was replaced by another of its name while it was looked at";
            return Err(unusable(FIND_BRANCH, problem));
        }
        let Some(default) = &again.default_branch else {
            return Err(unusable(FIND_BRANCH, "the repository is empty, or the token may not read its code"));
        };
        match default == branch || self.head(FIND_BRANCH, &again.name, default).await?.is_some() {
            true => Ok(()),
            false => Err(unusable(FIND_BRANCH, format!("the default branch {default} is missing as well"))),
        }
    }

    /// From the merge base on. The base is asked for by its commit, because a tag may bear the branch's name.
    async fn compare(&self, name: &RepositoryName, base: &BranchName, head: &Revision) -> Result<Option<BTreeSet<String>>, Error> {
        let Some(from) = self.head(COMPARE, name, base).await? else {
            return Ok(None);
        };
        let mut url = self.below(name, &["repository", "compare"])?;
        url.query_pairs_mut()
            .extend_pairs([("from", from.as_str()), ("to", head.as_str()), ("straight", "false")]);
        let answer = self.api.get(COMPARE, url).await?;
        match answer.status {
            StatusCode::OK => Ok(answer.decode::<wire::Comparison>(COMPARE)?.into_paths()),
            StatusCode::NOT_FOUND => answer.is_its_own(COMPARE).map(|()| None),
            _ => Err(answer.unexpected(COMPARE)),
        }
    }

    /// The URL of `segments` below a project, whose path is one segment, with its slashes escaped.
    fn below(&self, name: &RepositoryName, segments: &[&str]) -> Result<Url, Error> {
        Ok(self.api.url(&[&["projects", path(name)?], segments].concat()))
    }
}

/// The path of a project with all its groups: letters, digits, `-`, `_` and `.`, so that it cannot leave its place.
fn path(name: &RepositoryName) -> Result<&str, Error> {
    let is_valid = |part: &str| {
        let characters = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        characters && !matches!(part, "" | "." | "..")
    };
    match name.as_str().contains('/') && name.as_str().split('/').all(is_valid) {
        true => Ok(name.as_str()),
        false => Err(Error::Misconfigured {
            problem: format!("the Project's repository {name} must have the form GROUP/PROJECT or GROUP/SUBGROUP/PROJECT on GitLab"),
        }),
    }
}

impl GitHost for Gitlab {
    fn repository<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Repository, Error>> {
        self.find_repository(FIND_REPOSITORY, name).boxed()
    }

    fn listing<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Listing, Error>> {
        async move {
            let repository = self.find_repository(LIST_BRANCHES, name).await?;
            let branches = self.branches(&repository).await?;
            let pull_requests = self.pull_requests(&repository, &[]).await?;
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

    fn comment<'a>(&'a self, name: &'a RepositoryName, pull_request: u64, id: u64) -> BoxFuture<'a, Result<Option<Comment>, Error>> {
        comments::comment(self, name, pull_request, id).boxed()
    }

    fn permission<'a>(&'a self, name: &'a RepositoryName, login: &'a str) -> BoxFuture<'a, Result<Permission, Error>> {
        comments::permission(self, name, login).boxed()
    }

    fn checkout<'a>(&'a self, name: &'a RepositoryName, at: &'a Commit) -> BoxFuture<'a, Result<Tree, Error>> {
        archive::checkout(self, name, at).boxed()
    }

    fn commit_status<'a>(
        &'a self,
        name: &'a RepositoryName,
        revision: &'a Revision,
        context: &'a str,
    ) -> BoxFuture<'a, Result<Option<ReportedStatus>, Error>> {
        statuses::read(self, name, revision, context).boxed()
    }

    fn check_runs<'a>(&'a self, _: &'a RepositoryName, _: &'a Revision, _: &'a str) -> BoxFuture<'a, Result<Vec<ReportedRun>, Error>> {
        let problem = "GitLab has no check runs: wait for a commit status instead; each job of a pipeline is one, by its name".to_owned();
        async { Err(Error::Misconfigured { problem }) }.boxed()
    }

    fn changed_paths<'a>(
        &'a self,
        name: &'a RepositoryName,
        base: &'a BranchName,
        head: &'a Revision,
    ) -> BoxFuture<'a, Result<Option<BTreeSet<String>>, Error>> {
        self.compare(name, base, head).boxed()
    }

    fn report(&self) -> Option<&dyn Report> {
        Some(self)
    }

    fn setup(&self) -> Option<&dyn Setup> {
        Some(self)
    }
}

impl fmt::Debug for Gitlab {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Gitlab").field("api", &self.api.base().as_str()).finish()
    }
}

#[cfg(test)]
mod tests;
