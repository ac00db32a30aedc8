//! Which answer a request gets: who asks, of which project, what goes wrong, and pages.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::{ACCOUNT, Project, Route, State};
use crate::exchange::{Ending, Request, Response, escape};

/// GitLab's own page size when none is asked for.
const DEFAULT_PAGE_SIZE: usize = 20;
const LARGEST_PAGE_SIZE: usize = 100;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 500 with JSON.
    ServerError,
    /// 200 with a page of HTML.
    Html,
    /// 302 to a login page, which is HTML with 200.
    LoginRedirect,
    /// 302 to the same path at another address.
    ForeignRedirect(SocketAddr),
    /// 200 with `[]` for lists.
    EmptyList,
    /// 200 with an empty body.
    EmptyBody,
    /// The connection breaks in the middle of the page with this number; other pages are well.
    CutPage(usize),
    /// No header says anything about pages.
    NoPageHeaders,
    /// After the page with this number the first merge request is merged.
    MergedAfterPage(usize),
    /// 401, as for a revoked token.
    Unauthorized,
    /// 403, as for a token without the right.
    Forbidden,
    /// 404 in GitLab's words.
    NotFound,
    /// 404 with a page of HTML, as from a proxy.
    HtmlNotFound,
    /// 429 with `Retry-After` in seconds.
    TooManyRequests(u64),
    /// 429 because the limit is used up, which begins anew in this many seconds.
    LimitUsedUp(u64),
    /// No answer at all.
    Hang,
}

pub(super) fn answer(state: &Mutex<State>, address: SocketAddr, request: &Request) -> Response {
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    if segments == ["login"] {
        return Response::html(200);
    }
    let Some(rest) = segments.strip_prefix(&["api", "v4"]) else {
        return Response::json(404, &json!({"error": "404 Not Found"}));
    };
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let route = route(rest);
    state.requests.push(route);
    let fault = state.faults.get(&route).copied();
    if let Some(response) = fault.and_then(|fault| fault.response(request)) {
        return response;
    }
    if state.token.is_some() && state.token != request.token {
        return Response::message(401, "401 Unauthorized");
    }
    let response = match rest {
        ["user"] => Response::json(
            200,
            &json!({"id": ACCOUNT, "username": "graftling", "state": "active", "bot": false}),
        ),
        ["users"] => state.users_of(request),
        ["personal_access_tokens", "self"] => Response::json(200, &json!({"id": 3, "scopes": state.scopes, "active": true})),
        ["projects", path, rest @ ..] => match state.find(path) {
            Ok(id) => of_project(&mut state, id, route, rest, request),
            Err(Some(id)) if request.method == "GET" => {
                let rest: String = rest.iter().map(|segment| format!("/{}", escape(segment))).collect();
                let query = request
                    .target
                    .split_once('?')
                    .map(|(_, query)| format!("?{query}"))
                    .unwrap_or_default();
                let location = format!("http://{address}/api/v4/projects/{id}{rest}{query}");
                Response::message(301, "This resource has been moved permanently").with_header("Location", location)
            }
            Err(Some(_)) => Response::message(405, "Non GET methods are not allowed for moved projects"),
            Err(None) => Response::message(404, "404 Project Not Found"),
        },
        _ => Response::json(404, &json!({"error": "404 Not Found"})),
    };
    match fault {
        Some(fault) => fault.applied(response, request),
        None => response,
    }
}

fn of_project(state: &mut State, id: u64, route: Route, rest: &[&str], request: &Request) -> Response {
    let limits = (state.max_page_size, state.uncounted);
    let merged = matches!(state.faults.get(&route), Some(Fault::MergedAfterPage(page)) if request.number("page", 1) == *page);
    if request.method != "GET" {
        state.writes.push(format!("{} {}", request.method, rest.join("/")));
    }
    let users = state.users.clone();
    let project = state.projects.get_mut(&id).expect("it was found");
    let response = match project.answer(route, rest, request, &users) {
        Found::Items(items) if route == Route::Branches && request.parameter("pagination").as_deref() == Some("keyset") => {
            after_token(items, request, limits.0)
        }
        Found::Items(items) => numbered(&items, request, limits),
        Found::One(response) => response,
    };
    if merged && !project.merge_requests.is_empty() {
        project.merge_requests.remove(0);
    }
    response
}

/// What a project answers, before it is cut into pages.
pub(super) enum Found {
    Items(Vec<Value>),
    One(Response),
}

impl Project {
    fn answer(&mut self, route: Route, rest: &[&str], request: &Request, users: &super::BTreeMap<u64, (String, String)>) -> Found {
        match route {
            Route::Project => Found::One(Response::json(200, &self.object())),
            Route::Branches => Found::Items(self.branches()),
            Route::Branch => Found::One(self.branch(rest[2])),
            Route::MergeRequests => Found::Items(self.merge_requests(request)),
            Route::Archive => Found::One(self.archive(&request.parameter("sha").unwrap_or_default())),
            Route::Commit => Found::One(self.commit(rest[2])),
            Route::Compare => Found::One(self.compare(request)),
            Route::Member => Found::One(self.member(rest[2], users)),
            Route::Statuses | Route::Notes | Route::Environments | Route::Deployments => self.tell(route, rest, request),
            Route::Hooks => self.hook(rest, request),
            Route::Users | Route::Account | Route::Token | Route::Unknown => {
                Found::One(Response::json(404, &json!({"error": "404 Not Found"})))
            }
        }
    }
}

fn size(request: &Request, most: Option<usize>) -> usize {
    request.number("per_page", DEFAULT_PAGE_SIZE).min(most.unwrap_or(LARGEST_PAGE_SIZE))
}

/// The page after the branch that a cursor names. The links name the host as it calls itself.
fn after_token(items: Vec<Value>, request: &Request, most: Option<usize>) -> Response {
    let (size, token) = (size(request, most), request.parameter("page_token"));
    let is_after = |item: &Value| token.as_deref().is_none_or(|token| item["name"].as_str() > Some(token));
    let shown: Vec<_> = items.into_iter().filter(is_after).take(size).collect();
    let last = shown.last().filter(|_| shown.len() == size).and_then(|item| item["name"].as_str());
    let link = last.map(|name| link(request, "page_token", name));
    let response = Response::json(200, &Value::from(shown));
    match link {
        Some(link) => response.with_header("Link", link),
        None => response,
    }
}

/// The page of a number.
fn numbered(items: &[Value], request: &Request, (most, uncounted): (Option<usize>, bool)) -> Response {
    let (size, number) = (size(request, most), request.number("page", 1).max(1));
    let shown: Vec<_> = items.iter().skip((number - 1) * size).take(size).cloned().collect();
    let has_next = number * size < items.len();
    let next = if has_next { (number + 1).to_string() } else { String::new() };
    let mut response = Response::json(200, &Value::from(shown))
        .with_header("X-Page", number.to_string())
        .with_header("X-Next-Page", next.clone());
    if !uncounted {
        response = response.with_header("X-Total", items.len().to_string());
    }
    match has_next {
        true => response.with_header("Link", link(request, "page", &next)),
        false => response,
    }
}

fn link(request: &Request, name: &str, value: &str) -> String {
    let path = request.target.split('?').next().unwrap_or_default();
    format!("<http://gitlab.invalid{path}?{}>; rel=\"next\"", request.query_with(name, value))
}

fn route(rest: &[&str]) -> Route {
    match rest {
        ["user"] => Route::Account,
        ["users"] => Route::Users,
        ["personal_access_tokens", "self"] => Route::Token,
        ["projects", _, rest @ ..] => match rest {
            [] => Route::Project,
            ["repository", "branches"] => Route::Branches,
            ["repository", "branches", _] => Route::Branch,
            ["repository", "archive.tar.gz"] => Route::Archive,
            ["repository", "compare"] => Route::Compare,
            ["repository", "commits", _] => Route::Commit,
            ["repository", "commits", _, "statuses"] | ["statuses", _] => Route::Statuses,
            ["merge_requests"] => Route::MergeRequests,
            ["merge_requests", _, "notes", ..] => Route::Notes,
            ["members", "all", _] => Route::Member,
            ["hooks", ..] => Route::Hooks,
            ["environments", ..] => Route::Environments,
            ["deployments", ..] => Route::Deployments,
            _ => Route::Unknown,
        },
        _ => Route::Unknown,
    }
}

impl State {
    /// The project at a path or of a number; else the number of the one that moved away from there.
    fn find(&self, path: &str) -> Result<u64, Option<u64>> {
        let number = path.parse().ok().filter(|id| self.projects.contains_key(id));
        let named = || {
            self.projects
                .values()
                .find(|project| project.path == path)
                .map(|project| project.id)
        };
        number.or_else(named).ok_or_else(|| self.moved.get(path).copied())
    }

    fn users_of(&self, request: &Request) -> Response {
        let wanted = request.parameter("username").unwrap_or_default();
        let found = self.users.iter().filter(|(_, (name, _))| name.eq_ignore_ascii_case(&wanted));
        let found: Vec<_> = found
            .map(|(id, (name, state))| json!({"id": id, "username": name, "state": state}))
            .collect();
        Response::json(200, &Value::from(found))
    }
}

impl Fault {
    /// The answer of a fault that does not need the right one.
    fn response(self, request: &Request) -> Option<Response> {
        Some(match self {
            Self::ServerError => Response::message(500, "500 Internal Server Error"),
            Self::Html => Response::html(200),
            Self::LoginRedirect => Response::html(302).with_header("Location", "/login".to_owned()),
            Self::ForeignRedirect(address) => Response::html(307).with_header("Location", format!("http://{address}{}", request.target)),
            Self::EmptyBody => Response::new(200, "application/json", Vec::new()),
            Self::Unauthorized => Response::message(401, "401 Unauthorized"),
            Self::Forbidden => Response::message(403, "403 Forbidden"),
            Self::NotFound => Response::message(404, "404 Project Not Found"),
            Self::HtmlNotFound => Response::html(404),
            Self::TooManyRequests(seconds) => {
                Response::new(429, "text/plain", b"Retry later\n".to_vec()).with_header("Retry-After", seconds.to_string())
            }
            Self::LimitUsedUp(seconds) => {
                let reset = jiff::Timestamp::now().as_second() + i64::try_from(seconds).unwrap_or(i64::MAX / 2);
                Response::new(429, "text/plain", b"Retry later\n".to_vec())
                    .with_header("RateLimit-Remaining", "0".to_owned())
                    .with_header("RateLimit-Reset", reset.to_string())
            }
            Self::Hang => Response {
                ending: Ending::Hang,
                ..Response::html(200)
            },
            Self::EmptyList | Self::CutPage(_) | Self::NoPageHeaders | Self::MergedAfterPage(_) => return None,
        })
    }

    /// Applies the faults that change a right answer.
    fn applied(self, mut response: Response, request: &Request) -> Response {
        let is_page = |headers: &[(&str, String)]| headers.iter().any(|(name, _)| matches!(*name, "X-Page" | "Link"));
        match self {
            Self::CutPage(page) if request.number("page", 1) == page => response.ending = Ending::Cut,
            Self::NoPageHeaders => response.headers.retain(|(name, _)| *name == "Content-Type"),
            Self::EmptyList if is_page(&response.headers) || response.body.starts_with(b"[") => {
                response = Response::json(200, &json!([]));
            }
            _ => {}
        }
        response
    }
}
