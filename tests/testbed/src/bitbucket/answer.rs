//! Which answer a request gets: whose interface, what goes wrong, and pages.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::{Repository, State};
use crate::exchange::{Ending, Request, Response};

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 500 with JSON.
    ServerError,
    /// 200 with a page of HTML.
    Html,
    /// 302 to a login page, which is HTML with 200.
    LoginRedirect,
    /// 307 to the same path at another address.
    ForeignRedirect(SocketAddr),
    /// The next page is at another address.
    ForeignNext(SocketAddr),
    /// 200 with a page without items for lists, which says that it is the last.
    EmptyList,
    /// 200 with an empty body.
    EmptyBody,
    /// The connection breaks in the middle of the page with this number; other pages are well.
    CutPage(usize),
    /// After the page with this number the first pull request is merged.
    MergedAfterPage(usize),
    /// 401, as for a revoked token.
    Unauthorized,
    /// 403, as for a token without the right.
    Forbidden,
    /// 404 in Bitbucket's words.
    NotFound,
    /// 404 with a page of HTML, as from a proxy.
    HtmlNotFound,
    /// 429 with `Retry-After` in seconds.
    TooManyRequests(u64),
    /// No answer at all.
    Hang,
}

/// The kinds of requests that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// A repository.
    Repository,
    /// The default branch of a Data Center's repository.
    DefaultBranch,
    /// The list of branches.
    Branches,
    /// One branch; at a Data Center its newest commit.
    Branch,
    /// The list of pull requests.
    PullRequests,
    /// The commits of a pull request.
    Commits,
    /// An archive.
    Archive,
    /// One commit.
    Commit,
    /// The changed files of a comparison.
    Changes,
    /// Build statuses.
    Statuses,
    /// Comments and activities.
    Comments,
    /// Who may do what.
    Rights,
    /// Whose token it is.
    Account,
    /// Webhooks.
    Hooks,
    /// Anything else.
    Unknown,
}

impl Route {
    pub(super) const ALL: [Self; 15] = [
        Self::Repository,
        Self::DefaultBranch,
        Self::Branches,
        Self::Branch,
        Self::PullRequests,
        Self::Commits,
        Self::Archive,
        Self::Commit,
        Self::Changes,
        Self::Statuses,
        Self::Comments,
        Self::Rights,
        Self::Account,
        Self::Hooks,
        Self::Unknown,
    ];
}

/// Whose interface is asked.
#[derive(Clone, Copy, PartialEq)]
enum Edition {
    Cloud,
    Server,
}

/// What a repository answers, before it is cut into pages.
pub(super) enum Found {
    Items(Vec<Value>),
    One(Response),
}

pub(super) fn answer(state: &Mutex<State>, address: SocketAddr, request: &Request) -> Response {
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    let (edition, owner, slug, rest, route) = match segments[..] {
        ["login"] => return Response::html(200),
        ["2.0", "user"] => (Edition::Cloud, "", "", &[][..], Route::Account),
        ["2.0", "workspaces", owner, "permissions", "repositories", slug] => (Edition::Cloud, owner, slug, &[][..], Route::Rights),
        ["2.0", "repositories", owner, slug, ..] => (Edition::Cloud, owner, slug, &segments[4..], super::cloud::route(&segments[4..])),
        [owner, slug, "get", _] => (Edition::Cloud, owner, slug, &segments[2..], Route::Archive),
        ["rest", "api", _, "users"] => (Edition::Server, "", "", &[][..], Route::Rights),
        ["rest", "api", _, "projects", owner, "repos", slug, ..] => (
            Edition::Server,
            owner,
            slug,
            &segments[7..],
            super::server::route(&segments[7..], request),
        ),
        _ => return Response::html(404),
    };
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.requests.push(route);
    let fault = state.faults.get(&route).copied();
    if let Some(response) = fault.and_then(|fault| fault.response(edition, request)) {
        return response;
    }
    if state.authorization.is_some() && state.authorization != request.token {
        return missing(edition, 401, "the token is not known");
    }
    if route == Route::Account {
        return match state.is_nameless {
            true => missing(edition, 403, "your credentials lack the scope account"),
            false => Response::json(200, &super::cloud::account(super::ACCOUNT, false)),
        };
    }
    let named = (
        request.parameter("permission.1.projectKey"),
        request.parameter("permission.1.repositorySlug"),
    );
    let (owner, slug) = match (&named.0, &named.1) {
        (Some(owner), Some(slug)) => (owner.as_str(), slug.as_str()),
        _ => (owner, slug),
    };
    let all = state.repositories.clone();
    let (most, uncounted) = (state.max_page_size, state.uncounted);
    let told = (state.scopes.clone(), !state.is_anonymous);
    let found = state
        .repositories
        .values_mut()
        .find(|one| one.name.0 == owner && one.name.1 == slug);
    let Some(repository) = found else {
        return match route {
            Route::Archive if edition == Edition::Cloud => Response::html(404),
            _ => missing(edition, 404, "there is no such repository"),
        };
    };
    let found = match edition {
        Edition::Cloud => repository.cloud(route, rest, request, &all),
        Edition::Server => repository.server(route, rest, request, &all),
    };
    let page = Page {
        edition,
        address,
        most,
        uncounted,
        fault,
    };
    let response = match found {
        Found::One(response) => response,
        Found::Items(items) => page.of(items, request, repository),
    };
    about_token(response, told)
}

/// What Bitbucket tells with each answer: the scopes of the token, and whose it is.
fn about_token(response: Response, (scopes, is_known): (Option<String>, bool)) -> Response {
    let response = match scopes {
        Some(scopes) => response.with_header("X-OAuth-Scopes", scopes),
        None => response,
    };
    match is_known {
        true => response.with_header("X-AUSERID", super::ACCOUNT.to_string()),
        false => response,
    }
}

fn missing(edition: Edition, status: u16, message: &str) -> Response {
    match edition {
        Edition::Cloud => super::cloud::problem(status, message),
        Edition::Server => super::server::problem(status, message),
    }
}

struct Page {
    edition: Edition,
    address: SocketAddr,
    most: Option<usize>,
    uncounted: bool,
    fault: Option<Fault>,
}

impl Page {
    fn of(&self, items: Vec<Value>, request: &Request, repository: &mut Repository) -> Response {
        let asked = request.number(if self.edition == Edition::Cloud { "pagelen" } else { "limit" }, 25);
        let size = asked.min(self.most.unwrap_or(100)).max(1);
        let start = match self.edition {
            Edition::Cloud => (request.number("page", 1).max(1) - 1) * size,
            Edition::Server => request.number("start", 0),
        };
        let number = start / size + 1;
        let items = if self.fault == Some(Fault::EmptyList) { Vec::new() } else { items };
        let shown: Vec<_> = items.iter().skip(start).take(size).cloned().collect();
        let is_last = start + size >= items.len();
        let mut response = match self.edition {
            Edition::Cloud => self.cloud(request, &items, shown, (number, is_last)),
            Edition::Server => Response::json(
                200,
                &json!({
                    "size": shown.len(), "limit": size, "start": start, "isLastPage": is_last, "values": shown,
                    "nextPageStart": if is_last { Value::Null } else { json!(start + size) },
                }),
            ),
        };
        match self.fault {
            Some(Fault::CutPage(page)) if page == number => response.ending = Ending::Cut,
            Some(Fault::MergedAfterPage(page)) if page == number && !repository.pull_requests.is_empty() => {
                repository.pull_requests.remove(0);
            }
            _ => {}
        }
        response
    }

    fn cloud(&self, request: &Request, items: &[Value], shown: Vec<Value>, (number, is_last): (usize, bool)) -> Response {
        let mut page = json!({"values": shown, "page": number});
        if !self.uncounted {
            page["size"] = json!(items.len());
        }
        if !is_last {
            let path = request.target.split('?').next().unwrap_or_default();
            let address = match self.fault {
                Some(Fault::ForeignNext(address)) => address,
                _ => self.address,
            };
            let query = request.query_with("page", &(number + 1).to_string());
            page["next"] = json!(format!("http://{address}{path}?{query}"));
        }
        Response::json(200, &page)
    }
}

impl Fault {
    /// The answer of a fault that does not need the right one.
    fn response(self, edition: Edition, request: &Request) -> Option<Response> {
        Some(match self {
            Self::ServerError => missing(edition, 500, "something went wrong"),
            Self::Html => Response::html(200),
            Self::LoginRedirect => Response::html(302).with_header("Location", "/login".to_owned()),
            Self::ForeignRedirect(address) => Response::html(307).with_header("Location", format!("http://{address}{}", request.target)),
            Self::EmptyBody => Response::new(200, "application/json", Vec::new()),
            Self::Unauthorized => missing(edition, 401, "the token is not known"),
            Self::Forbidden => missing(edition, 403, "the token does not reach this"),
            Self::NotFound => missing(edition, 404, "there is no such thing"),
            Self::HtmlNotFound => Response::html(404),
            Self::TooManyRequests(seconds) => {
                Response::new(429, "text/plain", b"Rate limit\n".to_vec()).with_header("Retry-After", seconds.to_string())
            }
            Self::Hang => Response {
                ending: Ending::Hang,
                ..Response::html(200)
            },
            Self::EmptyList | Self::CutPage(_) | Self::MergedAfterPage(_) | Self::ForeignNext(_) => return None,
        })
    }
}
