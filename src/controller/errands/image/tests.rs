#![allow(clippy::unwrap_used, reason = "a failed step is the test's failure")]

use std::sync::{Arc, Mutex};

use super::super::tests::around;
use super::super::tests::server::{Reply, Server, http};
use super::*;
use crate::controller::settings::ArchiveHost;
use crate::domain::errand::Worth;
use crate::domain::policy::Outbound;

#[test]
fn feature_t14_a_challenge_is_read_in_whatever_order_it_comes() {
    let expected = Some(Bearer {
        realm: "https://auth.example/token?a=b".to_owned(),
        service: Some("registry.example".to_owned()),
    });
    for text in [
        r#"Bearer realm="https://auth.example/token?a=b",service="registry.example",scope="repository:a/b:pull,push""#,
        r#"bearer scope="repository:a/b:pull,push", service=registry.example, realm="https://auth.example/token?a=b""#,
    ] {
        assert_eq!(bearer(text), expected, "{text}");
    }
    for text in ["", "Bearer", "Basic realm=\"x\"", "Bearer service=\"x\"", "Bearer realm=\"x"] {
        assert_eq!(bearer(text), None, "{text}");
    }
}

/// A registry that wants a token for everything, and has what was pushed.
async fn registry(images: Arc<Mutex<Vec<String>>>) -> Server {
    let own = Arc::new(Mutex::new(String::new()));
    let address = own.clone();
    let server = Server::start(move |request| {
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        if path == "/token?service=fake&scope=repository%3Aacme%2Fshop%3Apull" {
            return http(200, "", r#"{"token": "t0ken"}"#);
        }
        if !request.to_ascii_lowercase().contains("authorization: bearer t0ken\r\n") {
            let realm = format!("http://{}/token", address.lock().unwrap());
            return http(401, &format!("www-authenticate: Bearer realm=\"{realm}\",service=\"fake\"\r\n"), "");
        }
        let is_there = images
            .lock()
            .unwrap()
            .iter()
            .any(|tag| path == format!("/v2/acme/shop/manifests/{tag}"));
        if !request.starts_with("HEAD ") {
            return Reply::Hang;
        }
        http(if is_there { 200 } else { 404 }, "", "")
    })
    .await;
    *own.lock().unwrap() = server.address.to_string();
    server
}

fn nowhere() -> Secrets {
    let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
    Secrets::new(kube::Client::try_from(config).unwrap())
}

fn outside(server: &Server) -> Outside {
    let host = ArchiveHost {
        host: "127.0.0.1".to_owned(),
        port: server.address.port(),
    };
    Outside::new(&[host], None).unwrap()
}

fn allowing(registries: &[&str]) -> Around {
    let registries: Vec<String> = registries.iter().map(ToString::to_string).collect();
    Around {
        outbound: Outbound::new(&[], Some(&registries)).unwrap(),
        ..Around::clone(&around("shop-a"))
    }
}

fn image(reference: String) -> Image {
    Image {
        reference,
        pull_secret: None,
    }
}

#[tokio::test]
async fn feature_t14_an_image_is_waited_for_until_its_registry_has_it() {
    let images = Arc::new(Mutex::new(Vec::new()));
    let server = registry(images.clone()).await;
    let image = image(format!("{}/acme/shop:v1", server.address));
    let asked = || async { ask(&outside(&server), &nowhere(), &allowing(&["127.0.0.1"]), &image).await };
    let before = asked().await;
    assert_eq!(
        (before.worth, before.message.ends_with("is not there yet")),
        (Worth::NotYet, true),
        "{}",
        before.message
    );
    images.lock().unwrap().push("v1".to_owned());
    let after = asked().await;
    assert_eq!(after.worth, Worth::Good, "{}", after.message);
}

#[tokio::test]
async fn threat_t31_only_registries_that_the_project_allows_are_asked_and_plain_ones_only_where_they_are_named() {
    let server = registry(Arc::default()).await;
    let image = image(format!("{}/acme/shop:v1", server.address));
    let answer = ask(&outside(&server), &nowhere(), &allowing(&["ghcr.io"]), &image).await;
    assert!(
        answer.worth == Worth::Never && answer.message.contains("spec.policy.registries"),
        "{}",
        answer.message
    );
    let nobody_trusts = Outside::new(&[], None).unwrap();
    let answer = ask(&nobody_trusts, &nowhere(), &allowing(&["127.0.0.1"]), &image).await;
    assert!(
        answer.worth == Worth::Never && answer.message.contains("--outbound-hosts"),
        "{}",
        answer.message
    );
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn threat_t31_a_token_service_inside_is_not_asked() {
    let inside = Server::start(|_| http(200, "", r#"{"token": "x"}"#)).await;
    let realm = format!("www-authenticate: Bearer realm=\"http://{}/\"\r\n", inside.address);
    let server = Server::start(move |_| http(401, &realm, "")).await;
    let image = image(format!("{}/acme/shop:v1", server.address));
    let answer = ask(&outside(&server), &nowhere(), &allowing(&["127.0.0.1"]), &image).await;
    assert_eq!(answer.worth, Worth::Never, "{}", answer.message);
    assert!(inside.requests().is_empty());
}

#[tokio::test]
async fn f28_a_registry_with_a_fault_is_asked_again() {
    for (status, worth) in [(500, Worth::Bad), (429, Worth::NotYet), (403, Worth::NotYet), (307, Worth::Never)] {
        let server = Server::start(move |_| http(status, "location: http://169.254.169.254/\r\n", "")).await;
        let image = image(format!("{}/acme/shop:v1", server.address));
        let answer = ask(&outside(&server), &nowhere(), &allowing(&["127.0.0.1"]), &image).await;
        assert_eq!(answer.worth, worth, "{status}: {}", answer.message);
    }
}
