//! Any plain Git remote: refs by the Git protocol, hints from our own post-receive hook.

pub mod hook;
mod local;
mod pack;
pub mod payload;
mod refs;
mod smart_http;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use gix_transport::client::blocking_io::Transport;
use reqwest::Url;
use secrecy::SecretString;

use self::pack::Fetched;
use self::refs::{Asked, Cause, Refs};
use super::checkout::Tree;
use super::tree::{self, Files, READ_FILES};
use super::{Error, GitHost, listing};
use crate::domain::comment::{Comment, Permission};
use crate::domain::git::{BranchName, Commit, Listing, RefLookup, Repository, RepositoryName, Revision, TreePath};
use crate::domain::stage::wait::{ReportedRun, ReportedStatus};

const FIND_REPOSITORY: &str = "find the repository";
const LIST_BRANCHES: &str = "list the branches";
const FIND_BRANCH: &str = "find the branch";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);
/// A fetch may take longer than a question about refs.
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection to a place that holds Git repositories: a directory, or a URL below which they are served.
///
/// # Guarantees
/// Every answer rests on one list of refs that ended as the protocol wants it. That a branch is absent is only told from one of all refs
/// that contained the branch that HEAD points to; a look-up asks for its own branches first, and for all if one of them is not told.
///
/// # Caveats
/// Plain Git knows no identifier of a repository besides its place: the [`RepositoryId`](crate::domain::git::RepositoryId) is the
/// normalised name, and a repository that is moved is another one. There are no pull requests.
#[derive(Debug, Clone)]
pub struct PlainGit {
    root: Root,
    credentials: Option<Credentials>,
    timeout: Duration,
}

/// What a Git server over http(s) asks for.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The password or token. It is sent over https only.
    pub password: SecretString,
}

#[derive(Debug, Clone)]
enum Root {
    Directory(PathBuf),
    Server(Url),
}

impl PlainGit {
    /// Prepares the connection to `url`: `https://…`, `http://…`, `file:///…` or an absolute path. Nothing is opened yet.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] for any other URL, and for credentials that could not be used or would travel in clear text.
    pub fn connect(url: &str, credentials: Option<Credentials>) -> Result<Self, Error> {
        let root = parse_root(url).map_err(misconfigured)?;
        let problem = match (&root, &credentials) {
            (Root::Directory(_), Some(_)) => "the GitHost has credentials, but its url is a directory: remove the credentials",
            (Root::Server(url), Some(_)) if url.scheme() == "http" => {
                "the GitHost has credentials, but its url begins with http://, which would send them in clear text: use https://"
            }
            _ => {
                return Ok(Self {
                    root,
                    credentials,
                    timeout: DEFAULT_TIMEOUT,
                });
            }
        };
        Err(misconfigured(problem.to_owned()))
    }

    /// Gives up one question after this time instead of 20 seconds.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Asks the repository `name` by the Git protocol.
    async fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        name: &RepositoryName,
        timeout: Duration,
        question: impl FnOnce(&mut dyn Transport) -> Result<T, Cause> + Send + 'static,
    ) -> Result<T, Error> {
        let segments = segments(name)?;
        match &self.root {
            Root::Directory(directory) => {
                let path = segments.iter().fold(directory.clone(), |path, segment| path.join(segment));
                local::ask(operation, name, path, timeout, question).await
            }
            Root::Server(url) => {
                let mut url = url.clone();
                if let Ok(mut path) = url.path_segments_mut() {
                    path.pop_if_empty().extend(&segments);
                }
                let credentials = self.credentials.clone();
                smart_http::ask(operation, name, smart_http::Exchange { url, credentials }, timeout, question).await
            }
        }
    }

    async fn refs(&self, operation: &'static str, name: &RepositoryName, asked: Asked) -> Result<(Repository, Refs), Error> {
        let segments = segments(name)?;
        let refs = self
            .ask(operation, name, self.timeout, move |mut transport| {
                refs::list(&mut transport, &asked)
            })
            .await?;
        let id = segments.join("/").parse().map_err(|error| misconfigured(format!("{error}")))?;
        let repository = Repository {
            id,
            name: name.clone(),
            default_branch: refs.default_branch.clone(),
        };
        Ok((repository, refs))
    }

    async fn complete_listing(&self, operation: &'static str, name: &RepositoryName) -> Result<Listing, Error> {
        let (repository, refs) = self.refs(operation, name, Asked::All).await?;
        let branches: BTreeMap<_, _> = refs.branches;
        listing::complete(operation, repository, branches, Vec::new())
    }

    async fn look_up(&self, name: &RepositoryName, branches: &[BranchName]) -> Result<Vec<RefLookup>, Error> {
        let (mut repository, refs) = self.refs(FIND_BRANCH, name, Asked::These(branches.to_vec())).await?;
        let mut heads = refs.branches;
        if !refs.is_default_branch_there || branches.iter().any(|branch| !heads.contains_key(branch)) {
            let listing = self.complete_listing(FIND_BRANCH, name).await?;
            (repository, heads) = (listing.repository, listing.branches);
        }
        let lookup = |branch: &BranchName| RefLookup {
            repository: repository.clone(),
            branch: branch.clone(),
            head: heads.get(branch).cloned(),
            pull_request: None,
        };
        Ok(branches.iter().map(lookup).collect())
    }
}

impl GitHost for PlainGit {
    fn repository<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Repository, Error>> {
        async move { Ok(self.refs(FIND_REPOSITORY, name, Asked::All).await?.0) }.boxed()
    }

    fn listing<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Listing, Error>> {
        self.complete_listing(LIST_BRANCHES, name).boxed()
    }

    fn lookup<'a>(&'a self, name: &'a RepositoryName, branch: &'a BranchName) -> BoxFuture<'a, Result<RefLookup, Error>> {
        async move {
            let mut lookups = self.look_up(name, std::slice::from_ref(branch)).await?;
            Ok(lookups.remove(0))
        }
        .boxed()
    }

    fn lookups<'a>(&'a self, name: &'a RepositoryName, branches: &'a [BranchName]) -> BoxFuture<'a, Result<Vec<RefLookup>, Error>> {
        self.look_up(name, branches).boxed()
    }

    fn files<'a>(&'a self, name: &'a RepositoryName, at: &'a Commit, path: &'a TreePath) -> BoxFuture<'a, Result<Files, Error>> {
        fetch(self, name, at, path).boxed()
    }

    // A plain remote has neither comments nor accounts.
    fn comment<'a>(&'a self, _: &'a RepositoryName, _: u64, _: u64) -> BoxFuture<'a, Result<Option<Comment>, Error>> {
        async { Ok(None) }.boxed()
    }

    fn permission<'a>(&'a self, _: &'a RepositoryName, _: &'a str) -> BoxFuture<'a, Result<Permission, Error>> {
        async { Ok(Permission::None) }.boxed()
    }

    fn checkout<'a>(&'a self, name: &'a RepositoryName, at: &'a Commit) -> BoxFuture<'a, Result<Tree, Error>> {
        fetch_tree(self, name, at).boxed()
    }

    fn commit_status<'a>(
        &'a self,
        _: &'a RepositoryName,
        _: &'a Revision,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<ReportedStatus>, Error>> {
        async { Err(without("commit statuses")) }.boxed()
    }

    fn check_runs<'a>(&'a self, _: &'a RepositoryName, _: &'a Revision, _: &'a str) -> BoxFuture<'a, Result<Vec<ReportedRun>, Error>> {
        async { Err(without("check runs")) }.boxed()
    }
}

fn without(what: &str) -> Error {
    Error::Misconfigured {
        problem: format!(
            "a plain Git remote has no {what}: wait for an image, use a check or a webhook instead, or a GitHost of a provider that has them"
        ),
    }
}

async fn fetch(host: &PlainGit, name: &RepositoryName, at: &Commit, path: &TreePath) -> Result<Files, Error> {
    let (wanted, place) = (at.clone(), path.clone());
    let question = move |transport: &mut dyn Transport| pack::fetch(transport, &wanted, &place);
    match host.ask(READ_FILES, name, host.timeout.max(FETCH_TIMEOUT), question).await? {
        Fetched::Found(files) => tree::accept(at, path, files),
        Fetched::Moved => Err(tree::moved(at)),
        Fetched::Refused(problem) => Err(tree::refuse(problem)),
    }
}

async fn fetch_tree(host: &PlainGit, name: &RepositoryName, at: &Commit) -> Result<Tree, Error> {
    let wanted = at.clone();
    let question = move |transport: &mut dyn Transport| pack::fetch_tree(transport, &wanted);
    match host.ask(READ_FILES, name, host.timeout.max(FETCH_TIMEOUT), question).await? {
        Fetched::Found(tree) => Ok(tree),
        Fetched::Moved => Err(tree::moved(at)),
        Fetched::Refused(problem) => Err(tree::refuse(problem)),
    }
}

fn parse_root(text: &str) -> Result<Root, String> {
    if text.starts_with('/') {
        return Ok(Root::Directory(PathBuf::from(text)));
    }
    let url = Url::parse(text).map_err(|error| format!("the GitHost's url {text:?} is neither a URL nor an absolute path: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the GitHost's url must not contain credentials: use the Secret".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the GitHost's url must not have a query or a fragment".to_owned());
    }
    match url.scheme() {
        "http" | "https" => Ok(Root::Server(url)),
        "file" => url
            .to_file_path()
            .map(Root::Directory)
            .map_err(|()| "the GitHost's url must have the form file:///absolute/path".to_owned()),
        "ssh" => Err("the GitHost's url uses ssh, which is not supported yet: use https:// with a token".to_owned()),
        scheme => Err(format!(
            "the GitHost's url uses {scheme}, which is not supported: use https://, http://, file:/// or an absolute path"
        )),
    }
}

/// The parts of a repository's name that lead anywhere. They are only ever appended below the root: see threat T32.
fn segments(name: &RepositoryName) -> Result<Vec<&str>, Error> {
    let parts: Vec<_> = name.as_str().split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() || parts.contains(&"..") {
        return Err(misconfigured(format!(
            "the Project's repository {name} names no place below the GitHost's url"
        )));
    }
    Ok(parts)
}

fn misconfigured(problem: String) -> Error {
    Error::Misconfigured { problem }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    #[test]
    fn a_root_is_a_server_or_an_absolute_directory_and_nothing_else() {
        for url in [
            "/srv/git",
            "file:///srv/git",
            "https://git.example.com/scm",
            "http://git.example.com",
        ] {
            assert!(PlainGit::connect(url, None).is_ok(), "{url}");
        }
        for (url, hint) in [
            ("ssh://git@example.com/srv", "credentials"),
            ("ssh://example.com/srv", "not supported yet"),
            ("git://example.com", "not supported"),
            ("ext::sh -c touch% /tmp/x", "not supported"),
            ("git@example.com:srv", "neither a URL nor an absolute path"),
            ("srv/git", "neither a URL nor an absolute path"),
            ("--upload-pack=x", "neither a URL nor an absolute path"),
            ("file://host/srv", "file:///absolute/path"),
            ("https://me:pass@example.com", "credentials"),
        ] {
            let error = PlainGit::connect(url, None).unwrap_err();
            assert!(
                matches!(error, Error::Misconfigured { .. }) && error.to_string().contains(hint),
                "{url}: {error}"
            );
        }
    }

    #[test]
    fn credentials_never_travel_in_clear_text_nor_show_up() {
        let credentials = || {
            Some(Credentials {
                username: "me".into(),
                password: "s3cret".to_owned().into(),
            })
        };
        assert!(PlainGit::connect("http://example.com", credentials()).is_err());
        assert!(PlainGit::connect("/srv/git", credentials()).is_err());
        let shown = format!("{:?}", PlainGit::connect("https://example.com", credentials()).unwrap());
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn threat_t32_a_repositorys_name_never_leaves_the_root() {
        for (name, expected) in [
            ("/etc/passwd", "etc/passwd"),
            ("./a//b/", "a/b"),
            ("a/--upload-pack=x", "a/--upload-pack=x"),
            ("https://evil/x", "https:/evil/x"),
        ] {
            assert_eq!(segments(&name.parse().unwrap()).unwrap().join("/"), expected);
        }
        for name in ["/", ".", "./."] {
            assert!(segments(&name.parse().unwrap()).is_err(), "{name}");
        }
        for name in ["-x", "--upload-pack=touch", "../x", "a/../../x"] {
            assert!(name.parse::<RepositoryName>().is_err(), "{name}");
        }
    }
}
