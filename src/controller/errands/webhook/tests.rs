#![allow(clippy::unwrap_used, reason = "a failed step is the test's failure")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::super::tests::around;
use super::super::tests::server::{Reply, Server, http};
use super::*;
use crate::controller::settings::ArchiveHost;
use crate::domain::errand::Worth;
use crate::domain::policy::Outbound;
use crate::domain::stage::webhook::read;

/// The example of the specification of Standard Webhooks.
#[test]
fn a_delivery_is_signed_as_the_standard_says() {
    let secret: SecretString = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned().into();
    let now = Timestamp::from_second(1_614_265_330).unwrap();
    let headers = signed("msg_p5jXN8AQM9LWM0D4loKWxJek", now, r#"{"test": 2432232314}"#, Some(&secret)).unwrap();
    assert_eq!(headers["webhook-signature"], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert_eq!(headers["webhook-timestamp"], "1614265330");
    let unsigned = signed("key", now, "", None).unwrap();
    assert!(!unsigned.contains_key("webhook-signature") && unsigned["idempotency-key"] == "key");
}

#[test]
fn a_secret_that_says_it_is_base64_must_be() {
    let secret: SecretString = "whsec_%%%".to_owned().into();
    let Err(NoAnswer::Refused(problem)) = signing_key(&secret) else {
        panic!("refused")
    };
    assert!(!problem.contains('%'), "{problem}");
}

#[test]
fn threat_t31_a_status_url_stays_at_the_origin_that_was_called() {
    let call: Url = "https://ci.example.com/hooks/1".parse().unwrap();
    for (named, is_allowed) in [
        ("/jobs/2", true),
        ("https://ci.example.com:443/jobs/2?x", true),
        ("http://ci.example.com/jobs/2", false),
        ("https://ci.example.com:8443/", false),
        ("https://evil.example/", false),
        ("//169.254.169.254/", false),
        ("file:///etc/passwd", false),
    ] {
        assert_eq!(same_origin(&call, named).is_ok(), is_allowed, "{named}");
    }
}

fn allowing(hosts: &[&str]) -> Around {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    Around {
        outbound: Outbound::new(&hosts, None).unwrap(),
        facts: json!({"environment": "shop-a"}),
        ..Around::clone(&around("shop-a"))
    }
}

fn outside(server: &Server) -> Outside {
    let host = ArchiveHost {
        host: "127.0.0.1".to_owned(),
        port: server.address.port(),
    };
    Outside::new(&[host], None).unwrap()
}

/// Secrets of a cluster that is not there.
fn nowhere() -> Secrets {
    let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
    Secrets::new(kube::Client::try_from(config).unwrap())
}

async fn call_with(server: &Server, settings: Value) -> Answer {
    let mut settings = settings;
    settings["url"] = json!(format!("http://{}/hook?token=s3cret", server.address));
    let webhook = read(&settings).unwrap();
    call(&outside(server), &nowhere(), &allowing(&["127.0.0.1"]), &webhook, "graftling_1").await
}

/// What a request has in a header.
fn header_of<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let lines = request.lines().take_while(|line| !line.is_empty());
    lines
        .filter_map(|line| line.split_once(": "))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

#[tokio::test]
async fn feature_s1_a_call_tells_the_facts_under_its_key() {
    let server = Server::start(|_| http(202, "", "")).await;
    let settings = json!({"headers": {"X-Team": "shop", "Idempotency-Key": "mine"}});
    assert_eq!(call_with(&server, settings).await.worth, Worth::Good);
    let requests = server.requests();
    assert!(requests[0].starts_with("POST /hook?token=s3cret HTTP/1.1"), "{}", requests[0]);
    assert!(requests[0].ends_with("\r\n\r\n{\"environment\":\"shop-a\"}"), "{}", requests[0]);
    assert_eq!(
        header_of(&requests[0], "idempotency-key"),
        Some("graftling_1"),
        "not what the stage says of it"
    );
    assert_eq!(header_of(&requests[0], "webhook-id"), Some("graftling_1"));
    assert_eq!(header_of(&requests[0], "x-team"), Some("shop"));
    assert_eq!(header_of(&requests[0], "content-type"), Some("application/json"));
    assert_eq!(header_of(&requests[0], "webhook-signature"), None);
}

/// Checked by a digest that is computed step by step, not by the function that signed.
#[test]
fn a_signature_is_the_one_of_id_time_and_body() {
    use aws_lc_rs::digest::{SHA256, digest};
    let secret: SecretString = "a secret that is shorter than a block".to_owned().into();
    let webhook = read(&json!({"url": "https://ci.example/", "body": {"a": "\u{e9}"}})).unwrap();
    let url: Url = "https://ci.example/".parse().unwrap();
    let request = request(&url, &around("shop-a"), &webhook, "graftling_1", Some(&secret)).unwrap();
    let text = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
    let body = request.body().unwrap().as_bytes().unwrap();
    let signed = [format!("{}.{}.", text("webhook-id"), text("webhook-timestamp")).as_bytes(), body].concat();
    let mut block = secret.expose_secret().as_bytes().to_vec();
    block.resize(64, 0);
    let pad = |byte: u8| block.iter().map(|key| key ^ byte).collect::<Vec<u8>>();
    let inner = digest(&SHA256, &[pad(0x36), signed].concat());
    let outer = digest(&SHA256, &[pad(0x5c), inner.as_ref().to_vec()].concat());
    assert_eq!(text("webhook-signature"), format!("v1,{}", STANDARD.encode(outer.as_ref())));
}

#[tokio::test]
async fn f26_what_may_pass_is_delivered_again_and_what_was_refused_is_not() {
    for (status, worth) in [
        (500, Worth::Bad),
        (503, Worth::Bad),
        (429, Worth::Bad),
        (408, Worth::Bad),
        (302, Worth::Failed),
        (400, Worth::Failed),
        (401, Worth::Failed),
        (404, Worth::Failed),
    ] {
        let server = Server::start(move |_| http(status, "location: /x\r\n", "because\u{1b} of it")).await;
        let answer = call_with(&server, json!({})).await;
        assert_eq!(answer.worth, worth, "{status}: {}", answer.message);
        assert!(
            answer.message.contains(&status.to_string()) && !answer.message.contains("s3cret"),
            "{}",
            answer.message
        );
        assert_eq!(server.requests().len(), 1, "{status}");
    }
    let server = Server::start(|_| Reply::Hang).await;
    let answer = call_with(&server, json!({"within": "50ms"})).await;
    assert_eq!(answer.worth, Worth::Bad);
    assert!(!answer.message.contains("s3cret"), "{}", answer.message);
}

#[tokio::test]
async fn feature_s1_a_call_can_wait_for_the_end_at_the_other_side() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = Server::start(move |request| match request.split(' ').nth(1) {
        Some("/jobs/7") => {
            let state = ["running", "running", "done"][count.fetch_add(1, Ordering::SeqCst)];
            http(200, "", &format!("{{\"job\": {{\"state\": \"{state}\"}}}}"))
        }
        _ => http(202, "", r#"{"job": {"state": "queued", "url": "/jobs/7"}}"#),
    })
    .await;
    let wait_for = json!({"path": "job.state", "equals": "done", "failed": "error", "statusUrl": "job.url"});
    let answer = call_with(&server, json!({"waitFor": wait_for})).await;
    assert_eq!((answer.worth, answer.next.as_deref()), (Worth::NotYet, Some("/jobs/7")));
    let settings = json!({"url": format!("http://{}/hook", server.address), "waitFor": wait_for});
    let webhook = read(&settings).unwrap();
    let mut worths = Vec::new();
    for _ in 0..3 {
        let answer = poll(&outside(&server), &allowing(&["127.0.0.1"]), &webhook, answer.next.as_deref()).await;
        worths.push(answer.worth);
    }
    assert_eq!(worths, [Worth::NotYet, Worth::NotYet, Worth::Good]);
}

#[tokio::test]
async fn threat_t31_only_hosts_that_the_project_allows_are_called() {
    let server = Server::start(|_| http(200, "", "")).await;
    let webhook = read(&json!({"url": format!("http://{}/", server.address)})).unwrap();
    let answer = call(
        &outside(&server),
        &nowhere(),
        &allowing(&["ci.example.com"]),
        &webhook,
        "graftling_1",
    )
    .await;
    assert_eq!(answer.worth, Worth::Never);
    assert!(answer.message.contains("spec.policy.webhooks"), "{}", answer.message);
    let nobody_trusts = Outside::new(&[], None).unwrap();
    let answer = call(&nobody_trusts, &nowhere(), &allowing(&["127.0.0.1"]), &webhook, "graftling_1").await;
    assert_eq!(answer.worth, Worth::Never);
    assert!(answer.message.contains("--outbound-hosts"), "{}", answer.message);
    assert!(server.requests().is_empty());
}
