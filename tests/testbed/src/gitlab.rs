//! A stand-in for GitLab: the part of its REST interface that graftling uses, with the branches of real Git repositories.
//!
//! It has state, not a script: every answer is computed from what the repository holds at that moment. Faults are switched at run time.

mod answer;
mod code;
mod hooks;
mod told;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::exchange;

pub use self::answer::Fault;
pub use self::hooks::Hook;
pub use self::told::{Deployment, Environment, Note, Status};

/// The number of the account that every token belongs to.
pub const ACCOUNT: u64 = 1;

/// A running stand-in. It stops when it is dropped.
#[derive(Debug)]
pub struct FakeGitlab {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

/// The kinds of requests that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// `/projects/{path}`.
    Project,
    /// `…/repository/branches`.
    Branches,
    /// `…/repository/branches/…`.
    Branch,
    /// `…/merge_requests`.
    MergeRequests,
    /// `…/repository/archive.tar.gz`.
    Archive,
    /// `…/repository/commits/…`.
    Commit,
    /// `…/repository/compare`.
    Compare,
    /// `…/repository/commits/…/statuses` and `…/statuses/…`.
    Statuses,
    /// `…/merge_requests/…/notes` and below.
    Notes,
    /// `/users`.
    Users,
    /// `…/members/all/…`.
    Member,
    /// `/user`.
    Account,
    /// `…/environments` and below.
    Environments,
    /// `…/deployments` and below.
    Deployments,
    /// `…/hooks` and below.
    Hooks,
    /// `/personal_access_tokens/self`.
    Token,
    /// Anything else.
    Unknown,
}

/// An open merge request.
#[derive(Debug, Clone)]
pub struct MergeRequest {
    /// The number that people use.
    pub iid: u64,
    /// The branch to merge.
    pub source_branch: String,
    /// The project with that branch; `None` when it was deleted.
    pub source_project: Option<u64>,
    /// Its head.
    pub sha: String,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// Whether it is a draft.
    pub draft: bool,
}

#[derive(Debug, Default)]
struct State {
    projects: BTreeMap<u64, Project>,
    /// Former paths, which redirect.
    moved: BTreeMap<String, u64>,
    token: Option<String>,
    scopes: Vec<String>,
    /// Accounts by number: name and state.
    users: BTreeMap<u64, (String, String)>,
    max_page_size: Option<usize>,
    /// Whether answers leave out how many items there are.
    uncounted: bool,
    faults: BTreeMap<Route, Fault>,
    requests: Vec<Route>,
    writes: Vec<String>,
}

#[derive(Debug, Clone)]
struct Project {
    id: u64,
    path: String,
    directory: PathBuf,
    default_branch: String,
    merge_requests: Vec<MergeRequest>,
    members: BTreeMap<u64, u64>,
    diff_limit: usize,
    told: told::Told,
    hooks: hooks::Hooks,
}

impl FakeGitlab {
    /// Starts on a free loopback port, without projects.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let server = tokio::spawn(exchange::serve(listener, move |request| answer::answer(&shared, address, request)));
        Ok(Self { state, address, server })
    }

    /// What people open in a browser; the interface is below `/api/v4`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the bare repository at `directory` as the project `path`.
    pub fn add_project(&self, path: &str, id: u64, directory: &Path, default_branch: &str) {
        let project = Project {
            id,
            path: path.to_owned(),
            directory: directory.to_owned(),
            default_branch: default_branch.to_owned(),
            merge_requests: Vec::new(),
            members: BTreeMap::new(),
            diff_limit: usize::MAX,
            told: told::Told::default(),
            hooks: hooks::Hooks::default(),
        };
        self.state().projects.insert(id, project);
    }

    /// Renames or transfers a project: its former path redirects.
    pub fn rename_project(&self, id: u64, path: &str) {
        let mut state = self.state();
        if let Some(project) = state.projects.get_mut(&id) {
            let former = std::mem::replace(&mut project.path, path.to_owned());
            state.moved.insert(former, id);
        }
    }

    /// Deletes a project.
    pub fn remove_project(&self, id: u64) {
        self.state().projects.remove(&id);
    }

    /// Sets all open merge requests of a project.
    pub fn set_merge_requests(&self, id: u64, merge_requests: Vec<MergeRequest>) {
        self.change(id, |project| project.merge_requests = merge_requests);
    }

    /// Makes an account, a member of the project with this access level.
    pub fn add_member(&self, id: u64, user: u64, username: &str, state: &str, access_level: u64) {
        self.state().users.insert(user, (username.to_owned(), state.to_owned()));
        self.change(id, |project| {
            project.members.insert(user, access_level);
        });
    }

    /// Shows the texts of at most this many files of a comparison; the others are collapsed.
    pub fn set_diff_limit(&self, id: u64, files: usize) {
        self.change(id, |project| project.diff_limit = files);
    }

    /// Demands this token with every request.
    pub fn require_token(&self, token: &str) {
        self.state().token = Some(token.to_owned());
    }

    /// What the token may do, in GitLab's words.
    pub fn set_scopes(&self, scopes: &[&str]) {
        self.state().scopes = scopes.iter().map(ToString::to_string).collect();
    }

    /// Gives at most this many items a page, whatever is asked for.
    pub fn set_max_page_size(&self, items: usize) {
        self.state().max_page_size = Some(items);
    }

    /// Says no more how many items there are, as GitLab does beyond ten thousand.
    pub fn stop_counting(&self) {
        self.state().uncounted = true;
    }

    /// Lets every request fail this way.
    pub fn set_fault(&self, fault: Fault) {
        for route in [
            Route::Project,
            Route::Branches,
            Route::Branch,
            Route::MergeRequests,
            Route::Archive,
            Route::Commit,
            Route::Compare,
            Route::Statuses,
            Route::Notes,
            Route::Users,
            Route::Member,
            Route::Account,
            Route::Environments,
            Route::Deployments,
        ] {
            self.set_fault_on(route, fault);
        }
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

    /// Every request so far that was to change something and found its project, as `POST notes`.
    pub fn writes(&self) -> Vec<String> {
        self.state().writes.clone()
    }

    fn change(&self, id: u64, change: impl FnOnce(&mut Project)) {
        if let Some(project) = self.state().projects.get_mut(&id) {
            change(project);
        }
    }

    fn look<T: Default>(&self, id: u64, look: impl FnOnce(&Project) -> T) -> T {
        self.state().projects.get(&id).map(look).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FakeGitlab {
    fn drop(&mut self) {
        self.server.abort();
    }
}
