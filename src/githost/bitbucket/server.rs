//! Bitbucket Data Center, by its interface 1.0 and what newer versions have beside it.

mod comments;
mod pages;
mod report;
mod setup;
mod statuses;
mod wire;

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::StatusCode;
use reqwest::Url;

use self::pages::Page;
use super::api::{Api, invalid, unusable};
use super::{COMPARE, FIND_BRANCH, FIND_REPOSITORY, LIST_BRANCHES, LIST_PULL_REQUESTS, MAX_PAGES, parts, without_check_runs};
use crate::domain::comment::{Comment, Permission};
use crate::domain::git::{BranchName, Commit, Listing, PullRequest, RefLookup, Repository, RepositoryName, Revision, TreePath};
use crate::domain::stage::wait::{ReportedRun, ReportedStatus};
use crate::githost::report::Report;
use crate::githost::setup::Setup;
use crate::githost::tree::{self, READ_FILES};
use crate::githost::{Error, Files, GitHost, Tree, listing, tarball};

/// From as many on, a Data Center may have left out some: this is its hard limit, unless its administrator chose otherwise.
const MAX_CHANGES: usize = 1000;

/// A connection to one Data Center. Clones share its connection pool.
///
/// # Guarantees
/// Repositories are known by their numeric id, so that a rename or a move to another project changes nothing but the name.
#[derive(Clone)]
pub(super) struct Server {
    api: Api,
    web: Url,
}

impl Server {
    pub(super) fn new(api: Api, web: Url) -> Self {
        Self { api, web }
    }

    async fn find_repository(&self, operation: &'static str, name: &RepositoryName) -> Result<Repository, Error> {
        let answer = self.api.get(operation, self.below(name, &[])?).await?;
        let repository: wire::Repository = answer.decode_of(operation, name)?;
        let answer = self.api.get(operation, self.below(name, &["default-branch"])?).await?;
        let default: Option<wire::Ref> = match answer.status {
            StatusCode::OK => Some(answer.decode(operation)?),
            StatusCode::NO_CONTENT => None,
            StatusCode::NOT_FOUND => answer.is_its_own(operation).map(|()| None)?,
            _ => return Err(answer.unexpected(operation)),
        };
        repository.into_domain(operation, default)
    }

    /// The branches whose names contain `filter`, or all.
    async fn branches(
        &self,
        operation: &'static str,
        name: &RepositoryName,
        filter: Option<&str>,
    ) -> Result<BTreeMap<BranchName, Revision>, Error> {
        let mut url = self.below(name, &["branches"])?;
        url.query_pairs_mut()
            .append_pair("orderBy", "ALPHABETICAL")
            .extend_pairs(filter.map(|filter| ("filterText", filter)));
        let key = |branch: &wire::Branch| branch.id.clone();
        let branches = self.all_pages(operation, url, name, key).await?;
        branches
            .into_iter()
            .filter_map(|branch| branch.into_domain(operation).transpose())
            .collect()
    }

    /// The open pull requests into this repository, the oldest first, so that new ones come at the end. `filters` reduce the list.
    async fn pull_requests(&self, repository: &Repository, filters: &[(&str, &str)]) -> Result<Vec<PullRequest>, Error> {
        let mut url = self.below(&repository.name, &["pull-requests"])?;
        url.query_pairs_mut()
            .extend_pairs([("state", "OPEN"), ("order", "OLDEST")])
            .extend_pairs(filters);
        // Those that lead out of this repository have numbers of another one.
        let key = |request: &wire::PullRequest| (request.target(), request.id);
        let requests = self.all_pages(LIST_PULL_REQUESTS, url, &repository.name, key).await?;
        let own = requests
            .into_iter()
            .filter(|request| request.target().to_string() == repository.id.as_str());
        Ok(own.filter_map(|request| request.into_domain(&repository.id)).collect())
    }

    async fn find_branch(&self, name: &RepositoryName, branch: &BranchName) -> Result<RefLookup, Error> {
        let repository = self.find_repository(FIND_BRANCH, name).await?;
        let name = &repository.name;
        let head = self.branches(FIND_BRANCH, name, Some(branch.as_str())).await?.remove(branch);
        let pull_request = match &head {
            Some(_) => {
                let full = branch.full_ref();
                let filters = [("direction", "OUTGOING"), ("at", full.as_str())];
                let pulls = self.pull_requests(&repository, &filters).await?.into_iter();
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

    /// Looks again after a list without the branch: the repository may have gone meanwhile, its storage may be lost, and a list that was
    /// filtered by something else lacks the branch as well.
    async fn confirm(&self, repository: &Repository, branch: &BranchName) -> Result<(), Error> {
        let again = self.find_repository(FIND_BRANCH, &repository.name).await?;
        if again.id != repository.id {
            let problem = "the repository was replaced by another of its name while it was looked at";
            return Err(unusable(FIND_BRANCH, problem));
        }
        let Some(default) = &again.default_branch else {
            return Err(unusable(FIND_BRANCH, "the repository is empty, or the token may not read its code"));
        };
        if default != branch && self.head(FIND_BRANCH, &again.name, default).await?.is_none() {
            return Err(unusable(FIND_BRANCH, format!("the default branch {default} is missing as well")));
        }
        match self.head(FIND_BRANCH, &again.name, branch).await? {
            None => Ok(()),
            Some(_) => Err(unusable(FIND_BRANCH, "the list of branches lacks one whose commits there are")),
        }
    }

    /// The head of `branch` by its commits: a full ref is never mistaken for another.
    async fn head(&self, operation: &'static str, name: &RepositoryName, branch: &BranchName) -> Result<Option<Revision>, Error> {
        let mut url = self.below(name, &["commits"])?;
        url.query_pairs_mut()
            .extend_pairs([("until", branch.full_ref().as_str()), ("limit", "1")]);
        let answer = self.api.get(operation, url).await?;
        match answer.status {
            StatusCode::OK => {
                let page: Page<wire::Commit> = answer.decode(operation)?;
                let newest = page.values.into_iter().next();
                newest.map(|commit| commit.id.parse().map_err(invalid(operation))).transpose()
            }
            StatusCode::NOT_FOUND => answer.is_its_own(operation).map(|()| None),
            _ => Err(answer.unexpected(operation)),
        }
    }

    /// Since the merge base. The base is asked for by its commit, because a tag may bear the branch's name.
    async fn compare(&self, name: &RepositoryName, base: &BranchName, head: &Revision) -> Result<Option<BTreeSet<String>>, Error> {
        let Some(base) = self.head(COMPARE, name, base).await? else {
            return Ok(None);
        };
        let mut url = self.below(name, &["compare", "changes"])?;
        url.query_pairs_mut()
            .extend_pairs([("from", head.as_str()), ("to", base.as_str()), ("limit", "500")]);
        let (mut paths, mut count, mut at) = (BTreeSet::new(), 0, url.clone());
        for _ in 0..MAX_PAGES {
            let answer = self.api.get(COMPARE, at.clone()).await?;
            match answer.status {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return answer.is_its_own(COMPARE).map(|()| None),
                _ => return Err(answer.unexpected(COMPARE)),
            }
            let page: Page<wire::Change> = answer.decode(COMPARE)?;
            let next = page.next_start();
            count += page.values.len();
            paths.extend(page.values.into_iter().flat_map(wire::Change::into_paths));
            match next {
                Some(Ok(start)) => at = pages::from(&url, start),
                // It says that there is more, and not where.
                Some(Err(())) => return Ok(None),
                None => return Ok((count < MAX_CHANGES).then_some(paths)),
            }
        }
        Ok(None)
    }

    /// The archive in a folder of its own, as all other hosts make it.
    async fn archive(&self, name: &RepositoryName, at: &Commit) -> Result<Vec<u8>, Error> {
        let mut url = self.latest(name, &["archive"])?;
        url.query_pairs_mut()
            .extend_pairs([("at", at.revision.as_str()), ("format", "tgz"), ("prefix", "commit/")]);
        let answer = self.api.archive(READ_FILES, url).await?;
        match answer.status {
            StatusCode::OK => return Ok(answer.into_body()),
            StatusCode::NOT_FOUND => answer.is_its_own(READ_FILES)?,
            _ => return Err(answer.unexpected(READ_FILES)),
        }
        self.find_repository(READ_FILES, name).await?;
        let url = self.below(name, &["commits", at.revision.as_str()])?;
        let commit = self.api.get(READ_FILES, url).await?;
        match commit.status {
            StatusCode::NOT_FOUND => commit.is_its_own(READ_FILES).and_then(|()| Err(tree::moved(at))),
            _ => Err(answer.unexpected(READ_FILES)),
        }
    }

    /// The project and the repository; `~login` is somebody's own project.
    fn parts<'a>(&self, name: &'a RepositoryName) -> Result<(&'a str, &'a str), Error> {
        parts(name, "PROJECT/REPOSITORY on Bitbucket Data Center")
    }

    /// The URL of `segments` below a repository.
    fn below(&self, name: &RepositoryName, segments: &[&str]) -> Result<Url, Error> {
        let (project, slug) = self.parts(name)?;
        Ok(self.api.url(&[&["projects", project, "repos", slug], segments].concat()))
    }

    /// The same in the interface of the newest version, which has what 1.0 has not.
    fn latest(&self, name: &RepositoryName, segments: &[&str]) -> Result<Url, Error> {
        let (project, slug) = self.parts(name)?;
        let mut url = self.api.base().clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty()
                .pop()
                .extend(["latest", "projects", project, "repos", slug])
                .extend(segments);
        }
        Ok(url)
    }
}

impl GitHost for Server {
    fn repository<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Repository, Error>> {
        self.find_repository(FIND_REPOSITORY, name).boxed()
    }

    fn listing<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Listing, Error>> {
        async move {
            let repository = self.find_repository(LIST_BRANCHES, name).await?;
            let branches = self.branches(LIST_BRANCHES, &repository.name, None).await?;
            let pull_requests = self.pull_requests(&repository, &[]).await?;
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
