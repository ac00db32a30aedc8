//! What GitHub's answers say of credentials, and what it is told of a webhook.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::super::Settings;
use super::*;
use crate::domain::setup::Endpoint;

const URL: &str = "https://hooks.example.com/hooks/team/github";

type Seen = Arc<Mutex<Vec<(String, Value)>>>;

/// A GitHub that answers `METHOD path` below `/repos/acme/shop` with a status, header lines and a body.
async fn github(answer: impl Fn(&str) -> (u16, &'static str, Value) + Send + Sync + 'static) -> (Github, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen: Seen = Arc::default();
    let (answer, log) = (Arc::new(answer), Arc::clone(&seen));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let (mut first, mut length) = (String::new(), 0);
                stream.read_line(&mut first).await.unwrap();
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).await.unwrap();
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.unwrap();
                let mut words = first.split(' ');
                let (method, target) = (words.next().unwrap(), words.next().unwrap());
                let path = target.split('?').next().unwrap().strip_prefix("/api/v3/repos/acme/shop").unwrap();
                let request = format!("{method} {path}");
                let (status, headers, reply) = answer(&request);
                log.lock()
                    .unwrap()
                    .push((request, serde_json::from_slice(&body).unwrap_or_default()));
                let (reply, end) = (reply.to_string(), "connection: close\r\n\r\n");
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n",
                    reply.len()
                );
                let _gone = stream.write_all(format!("{head}{end}{reply}").as_bytes()).await;
            });
        }
    });
    (Github::connect(&Settings::new(url)).unwrap(), seen)
}

fn name() -> RepositoryName {
    "acme/shop".parse().unwrap()
}

fn hook(id: u64, url: &str) -> Value {
    json!({
        "id": id, "name": "web", "active": true, "events": ["push"],
        "config": { "url": url, "content_type": "form", "secret": "********" },
        "last_response": { "code": 502, "status": "misconfigured", "message": "Bad gateway" },
    })
}

async fn capabilities(github: &Github) -> Vec<(Task, Allowed)> {
    let found = github.capabilities(&name()).await.unwrap();
    found.into_iter().map(|one| (one.task, one.allowed)).collect()
}

#[tokio::test]
async fn a_refusal_because_of_the_body_proves_the_right_and_one_before_it_disproves_it() {
    let (github, seen) = github(|request| match request {
        "GET " => (200, "", json!({"id": 1, "full_name": "acme/shop", "default_branch": "main"})),
        "GET /branches" | "GET /pulls" => (200, "", json!([])),
        "POST /deployments" | "POST /hooks" => (403, "", json!({"message": "Resource not accessible by personal access token"})),
        "POST /issues/0/comments" => (404, "", json!({"message": "Not Found"})),
        _ => (422, "", json!({"message": "No commit found for SHA"})),
    })
    .await;
    let found = capabilities(&github).await;
    let refused: Vec<Task> = found
        .iter()
        .filter(|(_, allowed)| *allowed == Allowed::No)
        .map(|(task, _)| *task)
        .collect();
    assert_eq!(refused, [Task::TellDeployments, Task::ManageWebhooks]);
    let good = found.iter().filter(|(_, allowed)| *allowed == Allowed::Yes).count();
    assert_eq!(good, 4, "{found:?}");
    // Nothing that could come to anything was sent: no commit, no issue, no ref, no URL.
    for (request, body) in seen.lock().unwrap().iter().filter(|(request, _)| request.starts_with("POST")) {
        let zeros = "0".repeat(40);
        let harmless = request.contains(&zeros) || request.contains("/issues/0/") || body["ref"] == zeros || body["config"] == json!({});
        assert!(harmless, "{request} {body}");
    }
}

#[tokio::test]
async fn a_classic_token_may_comment_by_its_scopes_alone() {
    for (scopes, wanted) in [
        ("x-oauth-scopes: repo:status, read:org\r\n", Allowed::No),
        ("x-oauth-scopes: repo\r\n", Allowed::Yes),
    ] {
        let (github, _) = github(move |request| match request {
            "GET " => (200, scopes, json!({"id": 1, "full_name": "acme/shop", "default_branch": "main"})),
            request if request.starts_with("GET") => (200, "", json!([])),
            _ => (404, "", json!({"message": "Not Found"})),
        })
        .await;
        let found = capabilities(&github).await;
        assert!(found.contains(&(Task::Comment, wanted.clone())), "{scopes}: {found:?}");
    }
}

#[tokio::test]
async fn an_outage_says_nothing_of_credentials() {
    let (github, _) = github(|_| (502, "", json!({}))).await;
    assert!(matches!(github.capabilities(&name()).await, Err(Error::ServerError { .. })));
}

#[tokio::test]
async fn a_webhook_is_installed_once_and_its_secret_is_in_no_answer() {
    let wanted = || WantedWebhook {
        endpoint: Endpoint {
            path: "/hooks/team/github".to_owned(),
            url: Some(URL.to_owned()),
        },
        url: URL.to_owned(),
        secret: "s3cret".to_owned().into(),
    };
    let (empty, seen) = github(|request| match request {
        "GET /hooks" => (200, "", json!([hook(3, "https://ci.example.com/")])),
        _ => (201, "", json!({"id": 9})),
    })
    .await;
    assert_eq!(empty.install_webhook(&name(), &wanted()).await.unwrap(), Installed::Created);
    let (request, body) = seen.lock().unwrap().pop().unwrap();
    assert_eq!(
        (request.as_str(), &body["config"]["secret"], &body["name"]),
        ("POST /hooks", &json!("s3cret"), &json!("web"))
    );

    let (known, seen) = github(|request| match request {
        "GET /hooks" => (
            200,
            "",
            json!([
                hook(3, "https://ci.example.com/"),
                hook(4, "http://old.example.com/hooks/team/github")
            ]),
        ),
        _ => (200, "", json!({"id": 4})),
    })
    .await;
    assert_eq!(known.install_webhook(&name(), &wanted()).await.unwrap(), Installed::Updated);
    let (request, body) = seen.lock().unwrap().pop().unwrap();
    assert_eq!((request.as_str(), &body["config"]["url"]), ("PATCH /hooks/4", &json!(URL)));
    let own = known.webhooks(&name()).await.unwrap().remove(1);
    assert_eq!((own.json, own.lacks.len()), (false, 4));
    assert!(!own.last.clone().unwrap().taken && own.last.unwrap().says == "HTTP 502");
    assert!(!format!("{:?}", wanted()).contains("s3cret"));
}
