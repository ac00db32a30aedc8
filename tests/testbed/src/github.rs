//! A stand-in for GitHub: the part of its REST interface that graftling uses, with the branches of real Git repositories.
//!
//! It has state, not a script: every answer is computed from what the repository holds at that moment. Faults are switched at run time.

mod comments;
mod commits;
mod http;
mod pages;
mod reports;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::comments::Comments;
use self::http::{Request, Response, document, hang, message};

pub use self::comments::IssueComment;
pub use self::reports::Deployment;

/// Below what a GitHub Enterprise Server has its REST interface.
const PREFIX: &str = "/api/v3";

/// A running stand-in. It stops when it is dropped.
#[derive(Debug)]
pub struct FakeGithub {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 500 with JSON.
    ServerError,
    /// 200 with a page of HTML.
    Html,
    /// 302 to a login page, which is HTML with 200.
    LoginRedirect,
    /// 200 with `[]`, and nothing for objects.
    EmptyList,
    /// 200 with an empty body.
    EmptyBody,
    /// The connection breaks in the middle of the page with this number; other pages are well.
    CutPage(usize),
    /// The link to the next page leads to another host.
    ForeignLink,
    /// 401, as for a revoked token.
    Unauthorized,
    /// 403, as for a token without the right.
    Forbidden,
    /// 404 in GitHub's words.
    NotFound,
    /// 404 with a page of HTML, as from a proxy.
    HtmlNotFound,
    /// 429 with `Retry-After` in seconds.
    TooManyRequests(u64),
    /// 403 because the hourly limit is used up, which begins anew in this many seconds.
    LimitUsedUp(u64),
    /// 403 with GitHub's text about secondary limits and no header.
    SecondaryLimit,
    /// No answer at all.
    Hang,
}

/// The kinds of requests that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// `/repos/{owner}/{name}` and `/repositories/{id}`.
    Repository,
    /// `…/git/matching-refs/heads`.
    Heads,
    /// `…/git/ref/…`.
    Reference,
    /// `…/pulls`.
    Pulls,
    /// `…/tarball/…`, and the place that it redirects to.
    Archive,
    /// `…/issues/comments/…`.
    Comment,
    /// `…/collaborators/…/permission`.
    Permission,
    /// `…/commits/…/statuses`.
    Statuses,
    /// `…/commits/…/check-runs`.
    CheckRuns,
    /// What is written about environments.
    Report,
    /// Anything else.
    Unknown,
}

/// What is left of the requests that a token has.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// How many it has an hour.
    pub limit: u64,
    /// How many are left.
    pub remaining: u64,
    /// In how many seconds the hour ends.
    pub ends_in: u64,
}

/// An open pull request.
#[derive(Debug, Clone)]
pub struct OpenPullRequest {
    /// Its number.
    pub number: u64,
    /// The branch to merge.
    pub head: String,
    /// The id of the repository with that branch; `None` when that repository was deleted.
    pub head_repository: Option<u64>,
    /// The login of the owner of that repository.
    pub head_owner: String,
    /// The names of its labels.
    pub labels: Vec<String>,
}

#[derive(Debug, Default)]
struct State {
    repositories: BTreeMap<u64, Repository>,
    /// Former names, which redirect.
    moved: BTreeMap<(String, String), u64>,
    token: Option<String>,
    max_page_size: Option<usize>,
    faults: BTreeMap<Route, Fault>,
    requests: Vec<Route>,
    unchanged: usize,
    budget: Option<Budget>,
    comments: Comments,
    reports: reports::Reports,
}

#[derive(Debug, Clone)]
struct Repository {
    id: u64,
    owner: String,
    name: String,
    directory: PathBuf,
    default_branch: String,
    pulls: Vec<OpenPullRequest>,
    commits: commits::Said,
    /// The branches as they were, where they are not read any more.
    frozen: Option<Vec<(String, String)>>,
}

impl FakeGithub {
    /// Starts on a free loopback port, without repositories.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let server = tokio::spawn(http::serve(listener, move |request| answer(&shared, address, request)));
        Ok(Self { state, address, server })
    }

    /// What people open in a browser; the interface is below `/api/v3`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves the bare repository at `directory` as `owner/name`.
    pub fn add_repository(&self, owner: &str, name: &str, id: u64, directory: &Path, default_branch: &str) {
        let repository = Repository {
            id,
            owner: owner.to_owned(),
            name: name.to_owned(),
            directory: directory.to_owned(),
            default_branch: default_branch.to_owned(),
            pulls: Vec::new(),
            commits: commits::Said::default(),
            frozen: None,
        };
        self.state().repositories.insert(id, repository);
    }

    /// Renames or transfers a repository: its former name redirects.
    pub fn rename_repository(&self, id: u64, owner: &str, name: &str) {
        let mut state = self.state();
        if let Some(repository) = state.repositories.get_mut(&id) {
            let former = (repository.owner.clone(), repository.name.clone());
            repository.owner = owner.to_owned();
            repository.name = name.to_owned();
            state.moved.insert(former, id);
        }
    }

    /// Keeps answering with the branches that a repository has now, without running git for each answer: for those who measure others.
    pub fn freeze(&self, id: u64) {
        if let Some(repository) = self.state().repositories.get_mut(&id) {
            repository.frozen = Some(repository.heads());
        }
    }

    /// Deletes a repository.
    pub fn remove_repository(&self, id: u64) {
        self.state().repositories.remove(&id);
    }

    /// Sets all open pull requests of a repository.
    pub fn set_pull_requests(&self, id: u64, pulls: Vec<OpenPullRequest>) {
        if let Some(repository) = self.state().repositories.get_mut(&id) {
            repository.pulls = pulls;
        }
    }

    /// Demands this token with every request.
    pub fn require_token(&self, token: &str) {
        self.state().token = Some(token.to_owned());
    }

    /// Gives at most this many items a page, whatever is asked for.
    pub fn set_max_page_size(&self, items: usize) {
        self.state().max_page_size = Some(items);
    }

    /// Lets every request fail this way.
    pub fn set_fault(&self, fault: Fault) {
        for route in [
            Route::Repository,
            Route::Heads,
            Route::Reference,
            Route::Pulls,
            Route::Archive,
            Route::Statuses,
            Route::CheckRuns,
            Route::Report,
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

    /// Says with every answer that so much is left.
    pub fn set_budget(&self, budget: Budget) {
        self.state().budget = Some(budget);
    }

    /// How many requests were answered with 304 so far.
    pub fn unchanged(&self) -> usize {
        self.state().unchanged
    }

    /// The kind of every request so far, in order.
    pub fn requests(&self) -> Vec<Route> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FakeGithub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn answer(state: &Mutex<State>, address: SocketAddr, request: &Request) -> Response {
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    if segments == ["login"] {
        return Response::html(200);
    }
    if let ["codeload", id, commit] = segments[..] {
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        return match state.find(&id.parse().map_or(Place::Nothing, Place::Id)) {
            Found::Here(repository) => repository.archive(commit),
            _ => message(404, "Not Found"),
        };
    }
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(["repos" | "repositories", ..]) = segments.strip_prefix(&["api", "v3"]) else {
        return reports::account(&state, &segments).unwrap_or_else(|| message(404, "Not Found"));
    };
    let (place, rest) = place(&segments[2..]);
    let route = route(rest);
    state.requests.push(route);
    let fault = state.faults.get(&route).copied();
    if let Some(response) = fault.and_then(|fault| fault.response(route)) {
        return response;
    }
    if state.token.is_some() && state.token.as_deref() != request.token.as_deref() {
        return message(401, "Bad credentials");
    }
    match state.find(&place) {
        Found::Here(repository) if route == Route::Report || request.method == "PATCH" => {
            reports::answer(&mut state, &repository, rest, request).with_fault(fault, request)
        }
        Found::Here(repository) if matches!(route, Route::Comment | Route::Permission) => state
            .comments
            .answer(repository.id, rest, &address.to_string())
            .with_fault(fault, request),
        Found::Here(repository) => {
            let base = format!("http://{address}{PREFIX}");
            let response = pages::answer(&repository, route, rest, request, &base, state.max_page_size);
            let response = response.with_budget(state.budget).with_fault(fault, request).if_changed(request);
            state.unchanged += usize::from(response.is_unchanged());
            response
        }
        Found::Moved(id) => {
            let rest: String = rest.iter().map(|segment| format!("/{}", http::escape(segment))).collect();
            let location = format!("http://{address}{PREFIX}/repositories/{id}{rest}{}", request.raw_query());
            // What is written is to be written again, and not read.
            let status = if request.method == "GET" { 301 } else { 307 };
            message(status, "Moved").with_header("Location", location)
        }
        Found::Nowhere => message(404, "Not Found"),
    }
}

enum Place {
    Name(String, String),
    Id(u64),
    Nothing,
}

enum Found {
    Here(Repository),
    Moved(u64),
    Nowhere,
}

/// Which repository a path speaks of, and the rest of the path.
fn place<'a>(segments: &'a [&'a str]) -> (Place, &'a [&'a str]) {
    match segments {
        ["repos", owner, name, rest @ ..] => (Place::Name((*owner).to_owned(), (*name).to_owned()), rest),
        ["repositories", id, rest @ ..] => (id.parse().map_or(Place::Nothing, Place::Id), rest),
        _ => (Place::Nothing, &[]),
    }
}

fn route(rest: &[&str]) -> Route {
    match rest {
        [] => Route::Repository,
        ["git", "matching-refs", "heads"] => Route::Heads,
        ["git", "ref", ..] => Route::Reference,
        ["pulls"] => Route::Pulls,
        ["tarball", _] => Route::Archive,
        ["issues", "comments", _] => Route::Comment,
        ["collaborators", _, "permission"] => Route::Permission,
        ["commits", _, "statuses"] => Route::Statuses,
        ["commits", _, "check-runs"] => Route::CheckRuns,
        _ if reports::is_ours(rest) => Route::Report,
        _ => Route::Unknown,
    }
}

impl State {
    fn find(&self, place: &Place) -> Found {
        match place {
            Place::Id(id) => self.repositories.get(id).cloned().map_or(Found::Nowhere, Found::Here),
            Place::Name(owner, name) => {
                let here = self.repositories.values().find(|one| one.owner == *owner && one.name == *name);
                let moved = || self.moved.get(&(owner.clone(), name.clone()));
                match (here, moved()) {
                    (Some(repository), _) => Found::Here(repository.clone()),
                    (None, Some(id)) => Found::Moved(*id),
                    (None, None) => Found::Nowhere,
                }
            }
            Place::Nothing => Found::Nowhere,
        }
    }
}

impl Fault {
    /// The answer of a fault that does not need the right one.
    fn response(self, route: Route) -> Option<Response> {
        let is_list = matches!(route, Route::Heads | Route::Pulls | Route::Statuses);
        Some(match self {
            Self::ServerError => message(500, "Server Error"),
            Self::Html => Response::html(200),
            Self::LoginRedirect => Response::html(302).with_header("Location", "/login".to_owned()),
            Self::EmptyList if is_list => document(200, &json!([])),
            Self::EmptyBody => document(200, &Value::Null).with_body(Vec::new()),
            Self::Unauthorized => message(401, "Bad credentials"),
            Self::Forbidden => message(403, "Resource not accessible by personal access token"),
            Self::NotFound => message(404, "Not Found"),
            Self::HtmlNotFound => Response::html(404),
            Self::TooManyRequests(seconds) => message(429, "slow down").with_header("Retry-After", seconds.to_string()),
            Self::LimitUsedUp(seconds) => {
                let now = jiff::Timestamp::now().as_second();
                message(403, "API rate limit exceeded")
                    .with_header("X-RateLimit-Remaining", "0".to_owned())
                    .with_header(
                        "X-RateLimit-Reset",
                        (now + i64::try_from(seconds).unwrap_or(i64::MAX / 2)).to_string(),
                    )
            }
            Self::SecondaryLimit => message(403, "You have exceeded a secondary rate limit"),
            Self::Hang => hang(),
            Self::EmptyList | Self::CutPage(_) | Self::ForeignLink => return None,
        })
    }
}
