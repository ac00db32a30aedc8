//! The right answers: objects and pages of lists, from what the real repository holds now.

use std::process::Command;

use serde_json::{Value, json};

use super::http::{Request, Response, document, message};
use super::{OpenPullRequest, Repository, Route};

/// GitHub's own page size when none is asked for.
const DEFAULT_PAGE_SIZE: usize = 30;
const LARGEST_PAGE_SIZE: usize = 100;

pub(super) fn answer(
    repository: &Repository,
    route: Route,
    rest: &[&str],
    request: &Request,
    base: &str,
    max_page_size: Option<usize>,
) -> Response {
    let size = request
        .number("per_page", DEFAULT_PAGE_SIZE)
        .min(max_page_size.unwrap_or(LARGEST_PAGE_SIZE));
    match route {
        Route::Repository => document(200, &repository.object()),
        // The real one gives all of them at once, whatever is asked for; pages are what it once had, and may have again.
        Route::Heads if repository.heads().is_empty() => message(409, "Git Repository is empty."),
        Route::Heads => {
            let heads = repository.heads().into_iter().map(
                |(name, head)| json!({ "ref": format!("refs/heads/{name}"), "node_id": "x", "object": { "type": "commit", "sha": head } }),
            );
            let url = format!("{base}/repositories/{}/git/matching-refs/heads", repository.id);
            page(heads.collect(), max_page_size.unwrap_or(usize::MAX), request, &url)
        }
        Route::Pulls => {
            let wanted = request.parameter("head");
            let pulls = repository.pulls.iter().filter(|pull| {
                let label = format!("{}:{}", pull.head_owner, pull.head);
                wanted.as_ref().is_none_or(|wanted| *wanted == label)
            });
            let heads = repository.heads();
            let pulls = pulls.map(|pull| repository.pull(pull, &heads)).collect();
            page(pulls, size, request, &format!("{base}/repositories/{}/pulls", repository.id))
        }
        Route::Reference => repository.reference(&rest[2..].join("/")),
        // Another server gives the archives, and without a token.
        Route::Archive if repository.has(rest[1]) => {
            let host = base.trim_end_matches("/api/v3");
            let place = format!("{host}/codeload/{}/{}", repository.id, rest[1]);
            message(302, "Found").with_header("Location", place)
        }
        Route::Statuses | Route::CheckRuns if !repository.has(rest[1]) => message(422, &format!("No commit found for SHA: {}", rest[1])),
        Route::Statuses => {
            let url = format!("{base}/repositories/{}/commits/{}/statuses", repository.id, rest[1]);
            page(repository.commits.statuses(rest[1]), size, request, &url)
        }
        Route::CheckRuns => document(200, &repository.commits.runs(rest[1], request.parameter("check_name").as_deref())),
        Route::Archive | Route::Comment | Route::Permission | Route::Report | Route::Unknown => message(404, "Not Found"),
    }
}

/// One page of `items` with GitHub's links to the others.
fn page(items: Vec<Value>, size: usize, request: &Request, url: &str) -> Response {
    let number = request.number("page", 1).max(1);
    let pages = items.len().div_ceil(size).max(1);
    let shown: Vec<_> = items.into_iter().skip((number - 1) * size).take(size).collect();
    let response = document(200, &Value::from(shown));
    if number >= pages {
        return response;
    }
    let link = |page: usize, relation: &str| format!("<{url}?per_page={size}&page={page}>; rel=\"{relation}\"");
    response.with_header("Link", format!("{}, {}", link(number + 1, "next"), link(pages, "last")))
}

impl Repository {
    fn object(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "full_name": format!("{}/{}", self.owner, self.name), "private": true,
            "owner": { "login": self.owner, "type": "Organization" }, "default_branch": self.default_branch, "archived": false,
        })
    }

    fn pull(&self, pull: &OpenPullRequest, heads: &[(String, String)]) -> Value {
        let head = pull
            .head_repository
            .map(|id| json!({ "id": id, "full_name": format!("{}/{}", pull.head_owner, self.name), "fork": id != self.id }));
        let is_own = pull.head_repository == Some(self.id);
        let sha = heads.iter().find(|(name, _)| is_own && *name == pull.head);
        let sha = sha.map_or_else(|| "f".repeat(40), |(_, sha)| sha.clone());
        json!({
            "number": pull.number, "state": "open", "title": format!("Merge {}", pull.head), "draft": false,
            "user": { "login": "mona" }, "base": { "ref": self.default_branch, "repo": { "id": self.id } },
            "head": { "ref": pull.head, "sha": sha, "label": format!("{}:{}", pull.head_owner, pull.head), "repo": head },
            "labels": pull.labels.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>(),
        })
    }

    /// The answer for `heads/…`: only a ref of exactly this name.
    fn reference(&self, short_ref: &str) -> Response {
        let heads = self.heads();
        if heads.is_empty() {
            return message(409, "Git Repository is empty.");
        }
        let found = heads.into_iter().find(|(name, _)| short_ref.strip_prefix("heads/") == Some(name));
        match found {
            Some((name, head)) => document(
                200,
                &json!({ "ref": format!("refs/heads/{name}"), "object": { "type": "commit", "sha": head } }),
            ),
            None => message(404, "Not Found"),
        }
    }

    /// Whether there is such a commit.
    pub(super) fn has(&self, commit: &str) -> bool {
        let object = format!("{commit}^{{commit}}");
        let is_id = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        let found = || self.git(&["cat-file", "-e", &object]).status.success();
        is_id && found()
    }

    /// A commit as `.tar.gz`, in a folder of its own as GitHub packs it.
    pub(super) fn archive(&self, commit: &str) -> Response {
        let prefix = format!("--prefix={}-{}-{}/", self.owner, self.name, commit.get(..7).unwrap_or(commit));
        let output = self.git(&["archive", "--format=tar.gz", &prefix, commit]);
        if !output.status.success() {
            return message(404, "Not Found");
        }
        Response::new(200, "application/x-gzip", output.stdout)
    }

    fn git(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(&self.directory).args(arguments);
        command.output().expect("git is installed")
    }

    /// Every branch with its head, by name.
    pub(super) fn heads(&self) -> Vec<(String, String)> {
        if let Some(frozen) = &self.frozen {
            return frozen.clone();
        }
        let output = Command::new("git")
            .arg("--git-dir")
            .arg(&self.directory)
            .args(["for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/"])
            .output()
            .expect("git is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let heads = lines.lines().filter_map(|line| {
            let (head, name) = line.split_once(" refs/heads/")?;
            Some((name.to_owned(), head.to_owned()))
        });
        heads.collect()
    }
}
