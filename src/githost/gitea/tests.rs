//! What answers of a Gitea are worth, and what must never be taken for one.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::githost::Class;

const HEAD: &str = "1111111111111111111111111111111111111111";

/// An answer: status, header lines, body.
struct Reply(u16, String, String);

fn json_reply(status: u16, body: &Value) -> Reply {
    Reply(status, "content-type: application/json;charset=utf-8".to_owned(), body.to_string())
}

fn list(total: usize, items: &Value) -> Reply {
    let Reply(status, headers, body) = json_reply(200, items);
    Reply(status, format!("{headers}\r\nx-total-count: {total}"), body)
}

fn missing() -> Reply {
    json_reply(404, &json!({"message": "The target couldn't be found.", "errors": []}))
}

fn branch(name: &str) -> Value {
    json!({"name": name, "commit": {"id": HEAD, "message": "x"}, "protected": false})
}

fn repository() -> Value {
    json!({"id": 7, "full_name": "acme/shop", "default_branch": "main", "empty": false})
}

/// Answers requests by their path and query, below `/api/v1/repos/acme/shop`.
async fn gitea(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Gitea {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let target = head.split(' ').nth(1).unwrap();
                let Reply(status, headers, body) = answer(target.strip_prefix("/api/v1/repos/acme/shop").unwrap());
                let length = body.len();
                let reply = format!("HTTP/1.1 {status} X\r\n{headers}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
                let _gone = stream.write_all(reply.as_bytes()).await;
            });
        }
    });
    Gitea::connect(&Settings::new(url)).unwrap()
}

fn name() -> RepositoryName {
    "acme/shop".parse().unwrap()
}

fn page_of(target: &str) -> usize {
    target.rsplit_once("page=").unwrap().1.parse().unwrap()
}

fn heads(names: &[&str]) -> Value {
    let head = |name: &&str| json!({"ref": format!("refs/heads/{name}"), "url": "", "object": {"type": "commit", "sha": HEAD, "url": ""}});
    names.iter().map(head).collect()
}

fn pull(number: u64, repository: &Value, head: &str) -> Value {
    json!({"number": number, "head": {"ref": head, "sha": HEAD, "repo": repository}, "base": {"ref": "main", "repo": {"id": 7}},
           "user": {"login": "mia"}, "title": "T", "labels": [{"name": "z"}, {"name": "a"}], "draft": true})
}

/// A host with these branches, and whose pull requests are `pages`, each page telling its own total.
async fn host_of(branches: &'static [&'static str], pages: Vec<(usize, Vec<u64>)>) -> Gitea {
    gitea(move |target| match target {
        "" => json_reply(200, &repository()),
        "/git/refs/heads" if branches.is_empty() => missing(),
        "/git/refs/heads" => json_reply(200, &heads(branches)),
        target if target.starts_with("/pulls?") => {
            let (total, numbers) = pages.get(page_of(target) - 1).cloned().unwrap_or_default();
            let own = json!({"id": 7, "full_name": "acme/shop"});
            list(total, &numbers.into_iter().map(|number| pull(number, &own, "a")).collect())
        }
        other => panic!("not expected: {other}"),
    })
    .await
}

#[tokio::test]
async fn f64_a_listing_has_all_pages_however_short_the_administrator_made_them() {
    let host = host_of(&["main", "a", "feature/d"], vec![(5, vec![1, 2]), (5, vec![3, 4]), (5, vec![5])]).await;
    let listing = host.listing(&name()).await.unwrap();
    let names: Vec<_> = listing.branches.keys().map(BranchName::as_str).collect();
    assert_eq!(names, ["a", "feature/d", "main"]);
    assert_eq!(listing.pull_requests.len(), 5);
    assert_eq!(listing.repository.id.as_str(), "7");
}

#[tokio::test]
async fn f64_a_list_that_is_cut_moves_or_lacks_the_default_branch_is_no_listing() {
    for (problem, branches, pages) in [
        ("ends too early", &["main"][..], vec![(4, vec![1, 2]), (4, vec![])]),
        ("one was closed meanwhile", &["main"], vec![(4, vec![1, 2]), (3, vec![3])]),
        ("one moved to the front", &["main"], vec![(4, vec![1, 2]), (4, vec![2, 3])]),
        ("has more than it tells", &["main"], vec![(1, vec![1, 2])]),
        ("has no branches", &[], vec![(0, vec![])]),
        ("lacks the default branch", &["a", "b"], vec![(0, vec![])]),
    ] {
        let error = host_of(branches, pages).await.listing(&name()).await.unwrap_err();
        assert!(matches!(error, Error::Unusable { .. }), "{problem}: {error}");
    }
}

#[tokio::test]
async fn f64_what_is_no_answer_of_gitea_says_nothing_about_branches() {
    let page = || Reply(200, "content-type: text/html".to_owned(), "<h1>Sign in</h1>".to_owned());
    let plain = || Reply(404, "content-type: text/plain".to_owned(), "no such page".to_owned());
    let uncounted = || json_reply(200, &json!([]));
    let broken = || {
        Reply(
            200,
            "content-type: application/json\r\nx-total-count: 1".to_owned(),
            "[{".to_owned(),
        )
    };
    // So answers a real one for a repository that it takes for empty.
    let nothing = || {
        Reply(
            200,
            "content-type: application/json\r\nx-total-count: 0".to_owned(),
            "null".to_owned(),
        )
    };
    for broken in [page, plain, uncounted, broken, nothing] {
        let host = gitea(move |target| match target {
            "" => json_reply(200, &repository()),
            _ => broken(),
        })
        .await;
        let listed = host.listing(&name()).await.unwrap_err();
        assert!(matches!(listed, Error::Unusable { .. }), "{listed}");
        let looked = host.lookup(&name(), &"a".parse().unwrap()).await.unwrap_err();
        assert!(matches!(looked, Error::Unusable { .. }), "{looked}");
    }
}

#[tokio::test]
async fn f64_a_branch_is_absent_only_where_the_repository_and_its_default_branch_are_there() {
    let lookup = |is_default_there: bool, repository: Option<Value>| async move {
        let host = gitea(move |target| match (target, &repository) {
            ("", Some(repository)) => json_reply(200, repository),
            ("/branches/main", _) if is_default_there => json_reply(200, &branch("main")),
            _ => missing(),
        })
        .await;
        host.lookup(&name(), &"feature/a".parse().unwrap()).await
    };
    assert_eq!(lookup(true, Some(repository())).await.unwrap().head, None);
    assert!(matches!(lookup(false, Some(repository())).await, Err(Error::Unusable { .. })));
    assert!(matches!(lookup(true, None).await, Err(Error::RepositoryNotFound { .. })));
    let empty = json!({"id": 7, "full_name": "acme/shop", "default_branch": "main", "empty": true});
    assert!(matches!(lookup(true, Some(empty)).await, Err(Error::Unusable { .. })));
    let proxied = gitea(|target| match target {
        "" => json_reply(200, &repository()),
        "/branches/main" => json_reply(200, &branch("main")),
        _ => Reply(404, "content-type: text/plain".to_owned(), "no such page".to_owned()),
    })
    .await;
    let looked = proxied.lookup(&name(), &"feature/a".parse().unwrap()).await;
    assert!(
        matches!(looked, Err(Error::Unusable { .. })),
        "a 404 of a proxy is none of Gitea's: {looked:?}"
    );
}

#[tokio::test]
async fn a_branch_is_found_with_the_pull_request_from_its_own_repository() {
    let own = json!({"id": 7, "full_name": "acme/shop"});
    let pulls = json!([
        pull(5, &own, "feature/a"),
        pull(2, &own, "feature/b"),
        pull(1, &json!({"id": 8, "full_name": "mia/shop"}), "feature/a"),
        pull(3, &Value::Null, "feature/a"),
        pull(4, &own, "feature/a"),
    ]);
    let host = gitea(move |target| match target {
        "" => json_reply(200, &repository()),
        "/branches/feature/a" => json_reply(200, &branch("feature/a")),
        _ => list(5, &pulls),
    })
    .await;
    let found = host.lookup(&name(), &"feature/a".parse().unwrap()).await.unwrap();
    assert_eq!(found.head.unwrap().as_str(), HEAD);
    let pull = found.pull_request.unwrap();
    assert_eq!((pull.number, pull.draft, pull.author.as_str()), (4, true, "mia"));
    assert_eq!(pull.labels, ["a", "z"]);
}

#[tokio::test]
async fn f64_every_failure_has_its_class() {
    for (status, headers, class) in [
        (429, "retry-after: 7", Class::RateLimited(Some(Duration::from_secs(7)))),
        (429, "x: y", Class::RateLimited(None)),
        (401, "x: y", Class::NeedsAttention),
        (403, "x: y", Class::NeedsAttention),
        (500, "x: y", Class::Transient),
        (503, "x: y", Class::Transient),
        (302, "location: http://127.0.0.1:1/login", Class::Transient),
    ] {
        let host = gitea(move |_| Reply(status, headers.to_owned(), "{}".to_owned())).await;
        let error = host.listing(&name()).await.unwrap_err();
        assert_eq!(error.class(), class, "{status}: {error}");
    }
    let gone = Gitea::connect(&Settings::new("http://127.0.0.1:1")).unwrap();
    assert_eq!(gone.listing(&name()).await.unwrap_err().class(), Class::Transient);
}

#[tokio::test]
async fn a_comment_tells_its_pull_request_and_whether_it_was_changed_or_a_person_wrote_it() {
    let comment = |change: fn(&mut Value)| async move {
        let mut comment = json!({
            "id": 9, "body": "/preview approve", "user": {"id": 3, "login": "mia"}, "issue_url": "",
            "pull_request_url": "http://gitea.example/acme/shop/pulls/12",
            "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z",
        });
        change(&mut comment);
        let host = gitea(move |_| json_reply(200, &comment)).await;
        host.comment(&name(), 12, 9).await.unwrap()
    };
    let read = comment(|_| {}).await.unwrap();
    assert_eq!((read.pull_request, read.author.as_deref()), (12, Some("mia")));
    assert!(!read.edited && !read.automated);
    assert!(comment(|it| it["updated_at"] = json!("2026-01-02T03:04:06Z")).await.unwrap().edited);
    let robot = comment(|it| it["user"] = json!({"id": -2, "login": "gitea-actions"}))
        .await
        .unwrap();
    assert!(robot.automated && robot.author.is_none());
    assert!(
        comment(|it| it["pull_request_url"] = json!("")).await.is_none(),
        "it is on an issue"
    );
    assert!(gitea(|_| missing()).await.comment(&name(), 12, 9).await.unwrap().is_none());
}

#[tokio::test]
async fn only_who_may_write_may_write() {
    for (told, expected) in [
        ("owner", Permission::Write),
        ("admin", Permission::Write),
        ("write", Permission::Write),
        ("read", Permission::Read),
        ("none", Permission::None),
        ("something new", Permission::None),
    ] {
        let host = gitea(move |_| json_reply(200, &json!({"permission": told}))).await;
        assert_eq!(host.permission(&name(), "mia").await.unwrap(), expected, "{told}");
    }
    assert_eq!(gitea(|_| missing()).await.permission(&name(), "x").await.unwrap(), Permission::None);
    let refused = gitea(|_| Reply(403, "x: y".to_owned(), String::new())).await;
    assert!(matches!(refused.permission(&name(), "x").await, Err(Error::Refused { .. })));
}

#[tokio::test]
async fn feature_t14_the_newest_status_of_a_context_counts_on_whichever_page_it_is() {
    let status = |id: u64, context: &str, status: &str| json!({"id": id, "context": context, "status": status, "description": ""});
    let host = gitea(move |target| {
        assert!(target.starts_with(&format!("/statuses/{HEAD}?")), "{target}");
        match page_of(target) {
            1 => list(4, &json!([status(3, "lint", "pending"), status(1, "lint", "failure")])),
            _ => list(4, &json!([status(7, "lint", "success"), status(5, "CI/build", "failure")])),
        }
    })
    .await;
    let ask = |context: &'static str| {
        let host = host.clone();
        async move { host.commit_status(&name(), &HEAD.parse().unwrap(), context).await.unwrap() }
    };
    assert_eq!(ask("lint").await.unwrap().state, "success");
    assert_eq!(ask("ci/build").await.unwrap().state, "failure");
    assert_eq!(ask("other").await, None);
    let error = host.check_runs(&name(), &HEAD.parse().unwrap(), "x").await.unwrap_err();
    assert!(matches!(error, Error::Misconfigured { .. }));
}

#[tokio::test]
async fn a_commit_that_is_gone_is_told_from_an_archive_that_fails() {
    let at = Commit {
        branch: "feature/a".parse().unwrap(),
        revision: HEAD.parse().unwrap(),
    };
    for (is_there, status) in [(false, 500), (true, 500), (false, 404)] {
        let host = gitea(move |target| match target {
            "" => json_reply(200, &repository()),
            target if target.starts_with("/archive/") => json_reply(status, &json!({"message": "x"})),
            target if target.starts_with("/git/commits/") && is_there => json_reply(200, &json!({})),
            _ => missing(),
        })
        .await;
        let error = host.checkout(&name(), &at).await.unwrap_err();
        assert_eq!(matches!(error, Error::BranchMoved { .. }), !is_there, "{error}");
    }
}

#[test]
fn the_interface_is_below_the_url_unless_it_is_named() {
    let base = |url: &str, api_url: Option<&str>| {
        let mut settings = Settings::new(url);
        settings.api_url = api_url.map(str::to_owned);
        Gitea::connect(&settings).map(|gitea| gitea.api.base().to_string())
    };
    assert_eq!(base("https://git.example.com", None).unwrap(), "https://git.example.com/api/v1");
    assert_eq!(base("https://example.com/git/", None).unwrap(), "https://example.com/git/api/v1");
    assert_eq!(
        base("https://a.example", Some("https://b.example/x")).unwrap(),
        "https://b.example/x"
    );
    assert!(base("ssh://git@example.com", None).is_err());
}

#[test]
fn a_token_that_no_header_can_carry_is_refused_and_never_shown() {
    let mut settings = Settings::new("https://git.example.com");
    settings.token = Some("s3cret\nX-Injected: 1".to_owned().into());
    let error = Gitea::connect(&settings).unwrap_err();
    assert!(matches!(error, Error::Misconfigured { .. }), "{error}");
    settings.token = Some("s3cret\n".to_owned().into());
    let gitea = Gitea::connect(&settings).unwrap();
    assert!(!format!("{error:?} {error} {settings:?} {gitea:?}").contains("s3cret"));
}

#[tokio::test]
async fn feature_t7_the_changed_paths_of_a_pull_request_are_all_of_its_pages_with_both_names_of_what_was_renamed() {
    let side = |name: &str, sha: &str| json!({"ref": name, "sha": sha, "repo": {"id": 7, "full_name": "acme/shop"}});
    let pull = |number: u64, base: &str, sha: &str| json!({"number": number, "head": side("a", sha), "base": side(base, HEAD), "user": null, "title": "x", "labels": []});
    let other = "22".repeat(20);
    let pulls = json!([pull(1, "develop", HEAD), pull(2, "main", &other), pull(3, "main", HEAD)]);
    let host = gitea(move |target| match target {
        target if target.starts_with("/pulls?") => list(3, &pulls),
        target if target.starts_with("/pulls/3/files?") => match page_of(target) {
            1 => list(
                2,
                &json!([{"filename": "web/new", "previous_filename": "lib/old", "status": "renamed"}]),
            ),
            _ => list(2, &json!([{"filename": "api/a", "status": "changed"}])),
        },
        _ => missing(),
    })
    .await;
    let ask = |base: &str, head: &str| {
        let (host, base, head) = (host.clone(), base.parse().unwrap(), head.parse().unwrap());
        async move { host.changed_paths(&name(), &base, &head).await.unwrap() }
    };
    let paths = ask("main", HEAD).await.unwrap();
    assert_eq!(paths.into_iter().collect::<Vec<_>>(), ["api/a", "lib/old", "web/new"]);
    assert_eq!(ask("main", &"33".repeat(20)).await, None, "there is no such pull request");
}

#[tokio::test]
async fn feature_t7_a_page_of_changed_paths_that_is_missing_is_an_error_and_no_shorter_list() {
    let side = json!({"ref": "main", "sha": HEAD, "repo": null});
    let pulls = json!([{"number": 3, "head": side, "base": side, "user": null, "title": "x", "labels": null}]);
    let host = gitea(move |target| match target {
        target if target.starts_with("/pulls?") => list(1, &pulls),
        target if page_of(target) == 1 => list(2, &json!([{"filename": "a"}])),
        _ => list(2, &json!([])),
    })
    .await;
    let answer = host.changed_paths(&name(), &"main".parse().unwrap(), &HEAD.parse().unwrap()).await;
    assert!(matches!(answer, Err(Error::Unusable { .. })), "{answer:?}");
}
