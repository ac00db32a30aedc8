//! A stand-in for Bitbucket: the part of the interfaces of the Cloud and of a Data Center that graftling uses, with the branches of real Git
//! repositories.
//!
//! It has state, not a script: every answer is computed from what the repository holds at that moment. Faults are switched at run time.

mod answer;
mod cloud;
mod code;
mod hooks;
mod server;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::exchange;

pub use self::answer::{Fault, Route};
pub use self::hooks::Hook;

/// The number of the account that every token belongs to.
pub const ACCOUNT: u64 = 1;

/// A running stand-in for both. It stops when it is dropped.
#[derive(Debug)]
pub struct FakeBitbucket {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

/// An open pull request.
#[derive(Debug, Clone)]
pub struct PullRequest {
    /// The number that people use.
    pub id: u64,
    /// The branch to merge.
    pub source_branch: String,
    /// The repository with that branch; `None` when it was deleted.
    pub source_repository: Option<u64>,
    /// Its head.
    pub sha: String,
}

/// A comment on a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its number.
    pub id: u64,
    /// The number of the pull request.
    pub pull_request: u64,
    /// The number and the name of its author.
    pub author: (u64, String),
    /// Whether the author is a person.
    pub is_person: bool,
    /// Its text.
    pub body: String,
    /// How often it was changed.
    pub version: u64,
    /// Whether it is deleted, and kept because there are answers to it.
    pub deleted: bool,
}

/// A build status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The commit.
    pub commit: String,
    /// What tells it from others.
    pub key: String,
    /// What it is called.
    pub name: String,
    /// What it says, in Bitbucket's words.
    pub state: String,
    /// Where it leads.
    pub url: String,
    description: String,
    number: u64,
}

#[derive(Debug, Default)]
struct State {
    repositories: BTreeMap<u64, Repository>,
    authorization: Option<String>,
    /// Whether the token may say whose it is.
    is_nameless: bool,
    /// The scopes that the Cloud tells of the token.
    scopes: Option<String>,
    /// Whether a Data Center does not know who asks.
    is_anonymous: bool,
    max_page_size: Option<usize>,
    /// Whether the Cloud leaves out how many items there are.
    uncounted: bool,
    faults: BTreeMap<Route, Fault>,
    requests: Vec<Route>,
}

#[derive(Debug, Clone)]
struct Repository {
    id: u64,
    /// The workspace or the project, and the repository.
    name: (String, String),
    directory: PathBuf,
    default_branch: String,
    pull_requests: Vec<PullRequest>,
    statuses: Vec<Status>,
    comments: Vec<Comment>,
    hooks: Vec<Hook>,
    /// Accounts with their rights: number, name, and `read`, `write` or `admin`.
    rights: Vec<(u64, String, String)>,
    last: u64,
}

impl FakeBitbucket {
    /// Starts on a free loopback port, without repositories.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let server = tokio::spawn(exchange::serve(listener, move |request| answer::answer(&shared, address, request)));
        Ok(Self { state, address, server })
    }

    /// What people open in a browser.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where the Cloud's interface is; a Data Center's is where it always is below [`Self::url`].
    pub fn cloud_api_url(&self) -> String {
        format!("http://{}/2.0", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the bare repository at `directory`.
    pub fn add_repository(&self, owner: &str, slug: &str, id: u64, directory: &Path, default_branch: &str) {
        let repository = Repository {
            id,
            name: (owner.to_owned(), slug.to_owned()),
            directory: directory.to_owned(),
            default_branch: default_branch.to_owned(),
            pull_requests: Vec::new(),
            statuses: Vec::new(),
            comments: Vec::new(),
            hooks: Vec::new(),
            rights: Vec::new(),
            last: 100,
        };
        self.state().repositories.insert(id, repository);
    }

    /// Deletes a repository.
    pub fn remove_repository(&self, id: u64) {
        self.state().repositories.remove(&id);
    }

    /// Sets all open pull requests of a repository.
    pub fn set_pull_requests(&self, id: u64, pull_requests: Vec<PullRequest>) {
        self.change(id, |repository| repository.pull_requests = pull_requests);
    }

    /// Somebody comments on a pull request, or changes a comment.
    pub fn put_comment(&self, id: u64, comment: Comment) {
        self.change(id, |repository| {
            repository.comments.retain(|one| one.id != comment.id);
            repository.comments.push(comment);
        });
    }

    /// Gives an account a right: `read`, `write` or `admin`.
    pub fn set_right(&self, id: u64, user: u64, name: &str, right: &str) {
        self.change(id, |repository| repository.rights.push((user, name.to_owned(), right.to_owned())));
    }

    /// Somebody sets a build status.
    pub fn put_status(&self, id: u64, commit: &str, key: &str, state: &str) {
        self.change(id, |repository| {
            repository.set_status(commit, [key, key, state, "https://ci.example.com", ""].map(str::to_owned));
        });
    }

    /// All build statuses, the newest last.
    pub fn statuses(&self, id: u64) -> Vec<Status> {
        let state = self.state();
        state.repositories.get(&id).map(|one| one.statuses.clone()).unwrap_or_default()
    }

    /// All comments.
    pub fn comments(&self, id: u64) -> Vec<Comment> {
        let state = self.state();
        state.repositories.get(&id).map(|one| one.comments.clone()).unwrap_or_default()
    }

    /// Demands exactly this authorization with every request: a token, or what follows it after `Basic`.
    pub fn require_authorization(&self, text: &str) {
        self.state().authorization = Some(text.to_owned());
    }

    /// The token may not say whose it is, as those of repositories of the Cloud may not.
    pub fn hide_account(&self) {
        self.state().is_nameless = true;
    }

    /// Gives at most this many items a page, whatever is asked for.
    pub fn set_max_page_size(&self, items: usize) {
        self.state().max_page_size = Some(items);
    }

    /// Says no more how many items there are.
    pub fn stop_counting(&self) {
        self.state().uncounted = true;
    }

    /// Lets every request fail this way.
    pub fn set_fault(&self, fault: Fault) {
        Route::ALL.into_iter().for_each(|route| self.set_fault_on(route, fault));
    }

    /// Lets requests of one kind fail this way.
    pub fn set_fault_on(&self, route: Route, fault: Fault) {
        self.state().faults.insert(route, fault);
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// The kind of every request so far, in order.
    pub fn requests(&self) -> Vec<Route> {
        self.state().requests.clone()
    }

    fn change(&self, id: u64, change: impl FnOnce(&mut Repository)) {
        if let Some(repository) = self.state().repositories.get_mut(&id) {
            change(repository);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Comment {
    /// A person's comment, never changed.
    pub fn new(id: u64, pull_request: u64, author: (u64, &str), body: &str) -> Self {
        Self {
            id,
            pull_request,
            author: (author.0, author.1.to_owned()),
            is_person: true,
            body: body.to_owned(),
            version: 0,
            deleted: false,
        }
    }
}

impl Drop for FakeBitbucket {
    fn drop(&mut self) {
        self.server.abort();
    }
}
