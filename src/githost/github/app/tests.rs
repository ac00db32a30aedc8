//! A GitHub that gives tokens to an App, as far as these tests need one.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::App;
use crate::domain::signature::private_pem;
use crate::githost::github::{Github, Settings};
use crate::githost::{Class, Error, GitHost};

/// A request: its first line and who asks.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// Gives the token `ghs_given` to whoever asks as an App, or refuses it, and shows a repository to whoever has the token.
async fn github(gives: bool) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let seen = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let seen = seen.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let first = head.lines().next().unwrap().to_owned();
                let who = head
                    .lines()
                    .find_map(|line| line.strip_prefix("authorization: "))
                    .unwrap_or_default()
                    .to_owned();
                let (status, body) = match (first.starts_with("POST /api/v3/app/installations/42/access_tokens"), who.as_str()) {
                    (true, _) if gives => (
                        201,
                        json!({"token": "ghs_given", "expires_at": "2999-01-01T00:00:00Z", "permissions": {"contents": "read"},
                               "repository_selection": "selected"}),
                    ),
                    (false, "Bearer ghs_given") => (200, json!({"id": 7, "full_name": "acme/shop", "default_branch": "main"})),
                    _ => (401, json!({"message": "Bad credentials"})),
                };
                seen.lock().unwrap().push((first, who));
                let body = body.to_string();
                let head = "content-type: application/json\r\nconnection: close";
                let reply = format!("HTTP/1.1 {status} X\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(reply.as_bytes()).await.unwrap();
            });
        }
    });
    (url, asked)
}

fn key() -> String {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    private_pem(der.as_ref())
}

fn settings(url: &str, private_key: String) -> Settings {
    let mut settings = Settings::new(url);
    settings.app = Some(App {
        id: 17,
        installation: 42,
        private_key: private_key.into(),
    });
    settings
}

#[tokio::test]
async fn an_app_asks_with_a_token_of_its_installation_and_keeps_it() {
    let (url, asked) = github(true).await;
    let host = Github::connect(&settings(&url, key())).unwrap();
    let name = "acme/shop".parse().unwrap();
    for _ in 0..2 {
        assert_eq!(host.repository(&name).await.unwrap().id.as_str(), "7");
    }
    let asked = asked.lock().unwrap().clone();
    let lines: Vec<_> = asked.iter().map(|(line, _)| line.split(' ').next().unwrap()).collect();
    assert_eq!(lines, ["POST", "GET", "GET"], "one token serves several requests");
    let claims = asked[0].1.strip_prefix("Bearer ").unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert!(claims["iss"] == json!("17") || claims["iss"] == json!(17), "{claims}");
}

#[tokio::test]
async fn an_app_without_its_installation_needs_attention_and_no_key_is_ever_shown() {
    let (url, _) = github(false).await;
    let key = key();
    let settings = settings(&url, key.clone());
    let host = Github::connect(&settings).unwrap();
    let error = host.repository(&"acme/shop".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 401, .. }), "{error:?}");
    assert_eq!(error.class(), Class::NeedsAttention);
    let secret = key.lines().nth(1).unwrap();
    assert!(!format!("{error:?} {settings:?} {host:?}").contains(secret));
    let broken = Github::connect(&self::settings(&url, key.replace("BEGIN", "BEGUN"))).unwrap_err();
    assert!(matches!(broken, Error::Misconfigured { .. }), "{broken}");
    assert!(!format!("{broken:?} {broken}").contains(secret));
}
