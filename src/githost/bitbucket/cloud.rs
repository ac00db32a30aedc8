//! Bitbucket Cloud, by its interface 2.0.

mod comments;
mod pages;
mod report;
mod setup;
mod statuses;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::StatusCode;
use reqwest::Url;
use tokio::sync::OnceCell;

use self::pages::Page;
use super::api::{Api, invalid, unusable};
use super::{COMPARE, FIND_BRANCH, FIND_REPOSITORY, LIST_BRANCHES, LIST_PULL_REQUESTS, MAX_PAGES, below, parts, without_check_runs};
use crate::domain::comment::{Comment, Permission};
use crate::domain::git::{BranchName, Commit, Listing, PullRequest, RefLookup, Repository, RepositoryName, Revision, TreePath};
use crate::domain::stage::wait::{ReportedRun, ReportedStatus};
use crate::githost::report::Report;
use crate::githost::setup::Setup;
use crate::githost::tree::{self, READ_FILES};
use crate::githost::{Error, Files, GitHost, Tree, listing, tarball};

/// The most pull requests of a page.
const PULL_REQUESTS: usize = 50;
/// The most of other things.
const ITEMS: usize = 100;

/// A connection to the Cloud. Clones share its connection pool.
///
/// # Guarantees
/// Repositories are known by their `uuid`, so that a rename or a transfer changes nothing but the name; accounts as well, because the names
/// that the Cloud shows are chosen freely and not unique.
///
/// # Caveats
/// A pull request from a fork tells only the beginning of its commit's id: each costs a request.
#[derive(Clone)]
pub(super) struct Cloud {
    api: Api,
    web: Url,
    /// The account that the token belongs to, if it may say so.
    account: Arc<OnceCell<Option<String>>>,
}

impl Cloud {
    pub(super) fn new(api: Api, web: Url) -> Self {
        let account = Arc::default();
        Self { api, web, account }
    }

    async fn find_repository(&self, operation: &'static str, name: &RepositoryName) -> Result<Repository, Error> {
        let answer = self.api.get(operation, self.below(name, &[])?).await?;
        answer.decode_of::<wire::Repository>(operation, name)?.into_domain(operation)
    }

    async fn branches(&self, repository: &Repository) -> Result<BTreeMap<BranchName, Revision>, Error> {
        let mut url = self.below(&repository.name, &["refs", "branches"])?;
        url.query_pairs_mut().append_pair("sort", "name");
        let key = |branch: &wire::Branch| branch.name.clone();
        let branches = self.all_pages(LIST_BRANCHES, url, ITEMS, &repository.name, key).await?;
        branches
            .into_iter()
            .filter_map(|branch| branch.into_domain(LIST_BRANCHES).transpose())
            .collect()
    }

    /// The open pull requests, the oldest first, so that new ones come at the end.
    async fn pull_requests(&self, repository: &Repository, filter: Option<&str>) -> Result<Vec<PullRequest>, Error> {
        let mut url = self.below(&repository.name, &["pullrequests"])?;
        url.query_pairs_mut()
            .extend_pairs([("state", "OPEN"), ("sort", "created_on")])
            .extend_pairs(filter.map(|filter| ("q", filter)));
        let key = |request: &wire::PullRequest| request.id;
        let requests = self
            .all_pages(LIST_PULL_REQUESTS, url, PULL_REQUESTS, &repository.name, key)
            .await?;
        let mut pulls = Vec::new();
        for request in requests {
            let fork = match request.is_from(&repository.id) {
                true => None,
                false => self.fork_head(&repository.name, &request).await?,
            };
            pulls.extend(request.into_domain(&repository.id, fork));
        }
        Ok(pulls)
    }

    /// The commit of a pull request from a fork, of which the list tells twelve digits.
    async fn fork_head(&self, name: &RepositoryName, request: &wire::PullRequest) -> Result<Option<Revision>, Error> {
        let Some(told) = request.told_commit() else { return Ok(None) };
        if let Ok(whole) = told.parse() {
            return Ok(Some(whole));
        }
        let mut url = self.below(name, &["pullrequests", &request.id.to_string(), "commits"])?;
        url.query_pairs_mut().append_pair("pagelen", "1");
        let answer = self.api.get(LIST_PULL_REQUESTS, url).await?;
        match answer.status {
            StatusCode::OK => {
                let page: Page<wire::Target> = answer.decode(LIST_PULL_REQUESTS)?;
                let newest = page.values.into_iter().next().filter(|commit| commit.hash.starts_with(told));
                Ok(newest.and_then(|commit| commit.hash.parse().ok()))
            }
            StatusCode::NOT_FOUND => answer.is_its_own(LIST_PULL_REQUESTS).map(|()| None),
            _ => Err(answer.unexpected(LIST_PULL_REQUESTS)),
        }
    }

    /// The head of `branch`, or `None` when the Cloud says that there is no such branch.
    async fn head(&self, operation: &'static str, name: &RepositoryName, branch: &BranchName) -> Result<Option<Revision>, Error> {
        // The rest of the path is the name, its slashes as they are.
        let segments: Vec<&str> = ["refs", "branches"].into_iter().chain(branch.as_str().split('/')).collect();
        let answer = self.api.get(operation, self.below(name, &segments)?).await?;
        match answer.status {
            StatusCode::OK => answer.decode::<wire::Branch>(operation)?.into_head(operation, branch).map(Some),
            // A proxy's own 404 page proves nothing: it has to be Bitbucket's answer, which is JSON with an error.
            StatusCode::NOT_FOUND => answer.is_its_own(operation).map(|()| None),
            _ => Err(answer.unexpected(operation)),
        }
    }

    async fn find_branch(&self, name: &RepositoryName, branch: &BranchName) -> Result<RefLookup, Error> {
        let repository = self.find_repository(FIND_BRANCH, name).await?;
        let head = self.head(FIND_BRANCH, &repository.name, branch).await?;
        let pull_request = match &head {
            Some(_) => {
                let own = format!("source.repository.uuid=\"{{{}}}\"", repository.id);
                let filter = format!("source.branch.name=\"{}\" AND {own}", branch.as_str().replace('"', "\\\""));
                let pulls = self.pull_requests(&repository, Some(&filter)).await?.into_iter();
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

    /// Looks again after a 404 on a branch: the Cloud hides a repository with the same 404 when access to it ends.
    async fn confirm(&self, repository: &Repository, branch: &BranchName) -> Result<(), Error> {
        let again = self.find_repository(FIND_BRANCH, &repository.name).await?;
        if again.id != repository.id {
            let problem = "the repository was replaced by another of its name while it was looked at";
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

    /// Since the merge base. The base is asked for by its commit, because a tag may bear the branch's name.
    async fn compare(&self, name: &RepositoryName, base: &BranchName, head: &Revision) -> Result<Option<BTreeSet<String>>, Error> {
        let Some(base) = self.head(COMPARE, name, base).await? else {
            return Ok(None);
        };
        // The Cloud has the source first, other than Git.
        let mut url = self.below(name, &["diffstat", &format!("{head}..{base}")])?;
        url.query_pairs_mut().extend_pairs([("pagelen", "500"), ("topic", "true")]);
        let (mut paths, mut count) = (BTreeSet::new(), 0);
        for _ in 0..MAX_PAGES {
            let answer = self.api.get(COMPARE, url.clone()).await?;
            match answer.status {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return answer.is_its_own(COMPARE).map(|()| None),
                _ => return Err(answer.unexpected(COMPARE)),
            }
            let page: Page<wire::Change> = answer.decode(COMPARE)?;
            let (next, size) = (page.next(COMPARE, &url)?, page.size);
            for change in page.values {
                let Some(names) = change.into_paths() else { return Ok(None) };
                paths.extend(names);
                count += 1;
            }
            match next {
                Some(next) => url = next,
                None => return Ok(size.is_none_or(|size| size == count).then_some(paths)),
            }
        }
        Ok(None)
    }

    /// The Cloud's archives are not in its interface, and whatever it says of one that is missing is a page for people: the interface tells
    /// whether the commit is gone.
    async fn archive(&self, name: &RepositoryName, at: &Commit) -> Result<Vec<u8>, Error> {
        let (workspace, slug) = self.parts(name)?;
        let url = below(&self.web, &[workspace, slug, "get", &format!("{}.tar.gz", at.revision)]);
        let answer = self.api.archive(READ_FILES, url).await?;
        match answer.status {
            StatusCode::OK => return Ok(answer.into_body()),
            StatusCode::NOT_FOUND => {}
            _ => return Err(answer.unexpected(READ_FILES)),
        }
        self.find_repository(READ_FILES, name).await?;
        let commit = self
            .api
            .get(READ_FILES, self.below(name, &["commit", at.revision.as_str()])?)
            .await?;
        match commit.status {
            StatusCode::NOT_FOUND => commit.is_its_own(READ_FILES).and_then(|()| Err(tree::moved(at))),
            _ => Err(answer.unexpected(READ_FILES)),
        }
    }

    fn parts<'a>(&self, name: &'a RepositoryName) -> Result<(&'a str, &'a str), Error> {
        parts(name, "WORKSPACE/REPOSITORY on Bitbucket Cloud")
    }

    /// The URL of `segments` below a repository.
    fn below(&self, name: &RepositoryName, segments: &[&str]) -> Result<Url, Error> {
        let (workspace, slug) = self.parts(name)?;
        Ok(self.api.url(&[&["repositories", workspace, slug], segments].concat()))
    }
}

impl GitHost for Cloud {
    fn repository<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Repository, Error>> {
        self.find_repository(FIND_REPOSITORY, name).boxed()
    }

    fn listing<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Listing, Error>> {
        async move {
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
        async move { tarball::files(self.archive(name, at).await?, at, path).await }.boxed()
    }

    fn comment<'a>(&'a self, name: &'a RepositoryName, pull_request: u64, id: u64) -> BoxFuture<'a, Result<Option<Comment>, Error>> {
        comments::comment(self, name, pull_request, id).boxed()
    }

    fn permission<'a>(&'a self, name: &'a RepositoryName, login: &'a str) -> BoxFuture<'a, Result<Permission, Error>> {
        comments::permission(self, name, login).boxed()
    }

    fn checkout<'a>(&'a self, name: &'a RepositoryName, at: &'a Commit) -> BoxFuture<'a, Result<Tree, Error>> {
        async move { tarball::checkout(self.archive(name, at).await?).await }.boxed()
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
        async { Err(without_check_runs()) }.boxed()
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
