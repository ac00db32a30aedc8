//! What is answered to which delivery.

use graftling::domain::event::Happening;
use graftling::domain::git::Provider;
use graftling::githost::signature::sign;

use super::client::{Connection, Request, push_body};
use super::{SECRET, Settings, Webhook, open};
use crate::log;

#[tokio::test]
async fn feature_t8_a_signed_push_is_accepted_and_its_hint_waits_in_the_inbox() {
    let webhook = Webhook::start(Settings::default()).await;
    let request = Request::push("feature/basket").with("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    let response = request.send(webhook.address).await;
    assert_eq!(
        (response.status, response.body.as_str()),
        (202, r#"{"branches":1,"result":"accepted"}"#)
    );
    assert_eq!(response.header("content-type"), Some("application/json"));
    let pending = webhook.inbox.take().await;
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].host.to_string(), "team/forge");
    assert_eq!(pending[0].repository.name.as_str(), "shop/web");
    assert_eq!(pending[0].repository.id.as_ref().unwrap().as_str(), "7");
    assert_eq!(pending[0].branch.as_str(), "feature/basket");
    assert_eq!(pending[0].happening, Happening::BranchPushed);
    assert_eq!(pending[0].delivery.as_str(), "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    assert_eq!(webhook.counted("github", "accepted"), 1);
}

#[tokio::test]
async fn a_signed_deletion_is_remembered_as_announced() {
    let webhook = Webhook::start(Settings::default()).await;
    let body = r#"{"ref":"topic","ref_type":"branch","repository":{"id":7,"full_name":"shop/web"}}"#;
    assert_eq!(Request::delivery("delete", body).send(webhook.address).await.status, 202);
    assert!(webhook.inbox.take().await[0].deletion_announced);
}

#[tokio::test]
async fn many_deliveries_travel_on_one_connection() {
    let webhook = Webhook::start(Settings::default()).await;
    let mut connection = Connection::open(webhook.address).await;
    for number in 0..20 {
        assert_eq!(connection.exchange(&Request::push(&format!("branch-{number}"))).await.status, 202);
    }
    assert_eq!(webhook.inbox.depth(), 20);
}

#[tokio::test]
async fn f72_a_delivery_is_answered_although_nobody_takes_hints() {
    // Nothing but the listener runs: no API server, no Git host, no consumer of the inbox.
    let webhook = Webhook::start(Settings::default()).await;
    assert_eq!(Request::push("main").send(webhook.address).await.status, 202);
    assert_eq!(webhook.inbox.depth(), 1);
}

#[tokio::test]
async fn threat_t01_whatever_is_not_rightly_signed_is_401_and_leaves_no_trace() {
    let webhook = Webhook::start(Settings::default()).await;
    let body = push_body("main");
    let unsigned = || Request::post(body.clone()).with("x-github-event", "push");
    let right = sign(&SECRET.to_owned().into(), body.as_bytes());
    let digits = right.strip_prefix("sha256=").unwrap();
    let header = "x-hub-signature-256";
    let cases = [
        ("unsigned", unsigned()),
        ("another secret", unsigned().signed("guess")),
        ("an empty secret", unsigned().signed("")),
        ("an empty header", unsigned().with(header, "")),
        ("the scheme alone", unsigned().with(header, "sha256=")),
        ("a truncated signature", unsigned().with(header, &right[..right.len() - 2])),
        ("an extended signature", unsigned().with(header, &format!("{right}00"))),
        ("no scheme", unsigned().with(header, digits)),
        ("another scheme", unsigned().with(header, &format!("sha512={digits}"))),
        (
            "no hexadecimal digits",
            unsigned().with(header, &format!("sha256={}", "z".repeat(64))),
        ),
        ("two signatures", unsigned().with(header, &right).with(header, &right)),
        (
            "SHA-1 only",
            unsigned().with("x-hub-signature", "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6"),
        ),
        ("the right one in the SHA-1 header", unsigned().with("x-hub-signature", &right)),
        (
            "the right one in another provider's header",
            unsigned().with("x-graftling-signature-256", &right),
        ),
        ("the right one in Gitea's header", unsigned().with("x-gitea-signature", digits)),
        ("an unsigned empty body", Request::post("").with("x-github-event", "push")),
        ("an unsigned ping", Request::post("{}").with("x-github-event", "ping")),
        ("an unsigned body that is not JSON", unsigned().tampered("{")),
    ];
    let refused = u64::try_from(cases.len()).unwrap();
    for (name, request) in cases {
        let response = request.send(webhook.address).await;
        assert_eq!(response.status, 401, "{name}");
        assert_eq!(response.body, r#"{"error":"the signature is missing or wrong"}"#, "{name}");
    }
    assert_eq!(webhook.inbox.depth(), 0);
    assert_eq!(webhook.counted("github", "bad_signature"), refused);
}

#[tokio::test]
async fn threat_t01_a_signature_for_another_endpoint_is_401() {
    let webhook = Webhook::start(Settings::default()).await;
    open(&webhook.endpoints, "other", Provider::Github, "another-secret");
    let response = Request::push("main").to("/hooks/team/other").send(webhook.address).await;
    assert_eq!(response.status, 401);
}

#[tokio::test]
async fn threat_t02_an_endpoint_with_an_empty_secret_accepts_nothing() {
    let webhook = Webhook::start(Settings::default()).await;
    open(&webhook.endpoints, "open", Provider::Github, "");
    let request = Request::post(push_body("main"))
        .with("x-github-event", "push")
        .to("/hooks/team/open");
    assert_eq!(request.clone().signed("").send(webhook.address).await.status, 401);
    assert_eq!(request.send(webhook.address).await.status, 401);
    assert_eq!(webhook.inbox.depth(), 0);
}

#[tokio::test]
async fn threat_t03_one_changed_byte_or_bit_of_layout_is_401() {
    let webhook = Webhook::start(Settings::default()).await;
    let mut connection = Connection::open(webhook.address).await;
    let request = Request::push("main");
    for position in 0..request.body().len() {
        let mut body = request.body().to_vec();
        body[position] ^= 1;
        let response = connection.exchange(&request.clone().tampered(body)).await;
        assert_eq!(response.status, 401, "byte {position}");
    }
    let value: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
    let reserialised = serde_json::to_vec_pretty(&value).unwrap();
    assert_eq!(connection.exchange(&request.clone().tampered(reserialised)).await.status, 401);
    let shortened = &request.body()[..request.body().len() - 1];
    assert_eq!(connection.exchange(&request.clone().tampered(shortened)).await.status, 401);
    assert_eq!(webhook.inbox.depth(), 0);
    assert_eq!(connection.exchange(&request).await.status, 202);
}

#[tokio::test]
async fn f61_threat_t05_a_delivery_replayed_a_hundred_times_is_one_look_up() {
    let webhook = Webhook::start(Settings::default()).await;
    let request = Request::push("main").with("x-github-delivery", "one");
    let mut connection = Connection::open(webhook.address).await;
    for _ in 0..100 {
        assert_eq!(connection.exchange(&request).await.status, 202);
    }
    assert_eq!(webhook.inbox.take().await.len(), 1);
    assert_eq!(super::value(&webhook.metrics, r#"inbox_hints_total{result="queued"}"#), 1);
    assert_eq!(super::value(&webhook.metrics, r#"inbox_hints_total{result="coalesced"}"#), 99);
}

#[tokio::test]
async fn a_path_without_an_endpoint_is_404_with_the_same_words_everywhere() {
    let webhook = Webhook::start(Settings::default()).await;
    let paths = [
        "/hooks/team/unknown",
        "/hooks/Team/forge",
        "/hooks/team/for%67e",
        "/hooks/team",
        "/hooks/team/forge/more",
        "/hooks/../team/forge",
        "/",
        "/metrics",
    ];
    for path in paths {
        let response = Request::push("main").to(path).send(webhook.address).await;
        assert_eq!(
            (response.status, response.body.as_str()),
            (404, r#"{"error":"not found"}"#),
            "{path}"
        );
    }
    assert_eq!(webhook.counted("none", "unknown_endpoint"), u64::try_from(paths.len()).unwrap());
    assert_eq!(webhook.inbox.depth(), 0);
}

#[tokio::test]
async fn an_endpoint_that_was_removed_is_404() {
    let webhook = Webhook::start(Settings::default()).await;
    webhook.endpoints.remove(&super::key("forge"));
    assert_eq!(Request::push("main").send(webhook.address).await.status, 404);
}

#[tokio::test]
async fn other_methods_are_405_and_learn_the_right_one() {
    let webhook = Webhook::start(Settings::default()).await;
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"] {
        let response = Request::push("main").method(method).send(webhook.address).await;
        assert_eq!((response.status, response.header("allow")), (405, Some("POST")), "{method}");
    }
    assert_eq!(webhook.inbox.depth(), 0);
}

#[tokio::test]
async fn f70_an_encoded_body_is_415_and_is_never_unpacked() {
    let webhook = Webhook::start(Settings::default()).await;
    for encoding in ["gzip", "br", "identity, gzip", "GZIP"] {
        let response = Request::push("main").with("content-encoding", encoding).send(webhook.address).await;
        assert_eq!(response.status, 415, "{encoding}");
    }
    assert_eq!(webhook.inbox.depth(), 0);
    let plain = Request::push("main").with("content-encoding", "identity");
    assert_eq!(plain.send(webhook.address).await.status, 202);
}

#[tokio::test]
async fn a_form_is_415_and_the_answer_says_what_to_choose() {
    let webhook = Webhook::start(Settings::default()).await;
    let mut request = Request::get(super::HOOK).method("POST");
    request = request.with("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let response = request.signed(SECRET).send(webhook.address).await;
    assert_eq!(response.status, 415);
    assert_eq!(response.body, r#"{"error":"set the webhook's content type to application/json"}"#);
}

#[tokio::test]
async fn f71_a_signed_body_of_the_wrong_shape_is_400_in_fixed_words() {
    let webhook = Webhook::start(Settings::default()).await;
    let nested = "[".repeat(100_000);
    let bodies: [&[u8]; 8] = [
        b"",
        b"{",
        b"null",
        b"[]",
        br#"{"ref":7,"repository":{"id":7,"full_name":"shop/web"}}"#,
        br#"{"ref":"refs/heads/main","repository":[{"full_name":"shop/web"}]}"#,
        b"\xff\xfe\x00",
        nested.as_bytes(),
    ];
    for body in bodies {
        let response = Request::delivery("push", body).send(webhook.address).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]);
        assert_eq!(response.status, 400, "{shown}");
        assert_eq!(response.body, r#"{"error":"the body does not fit its event"}"#, "{shown}");
    }
    assert_eq!(webhook.counted("github", "unparsable"), 8);
    assert_eq!(webhook.inbox.depth(), 0);
}

#[tokio::test]
async fn what_does_not_concern_branches_is_202_ignored() {
    let webhook = Webhook::start(Settings::default()).await;
    let repository = r#""repository":{"id":7,"full_name":"shop/web"}"#;
    let cases = [
        ("star", format!(r#"{{"action":"created",{repository}}}"#)),
        ("an_event_of_tomorrow", "{}".to_owned()),
        ("delete", format!(r#"{{"ref":"v1","ref_type":"tag",{repository}}}"#)),
        ("push", push_body("main").replace("refs/heads/main", "refs/tags/v1")),
    ];
    for (event, body) in cases {
        let response = Request::delivery(event, body).send(webhook.address).await;
        assert_eq!(
            (response.status, response.body.as_str()),
            (202, r#"{"result":"ignored"}"#),
            "{event}"
        );
    }
    assert_eq!(webhook.counted("github", "ignored"), 4);
    assert_eq!(webhook.inbox.depth(), 0);
}

#[tokio::test]
async fn a_ping_is_answered_with_pong() {
    let webhook = Webhook::start(Settings::default()).await;
    let response = Request::delivery("ping", r#"{"zen":"Keep it logically awesome."}"#)
        .send(webhook.address)
        .await;
    assert_eq!((response.status, response.body.as_str()), (200, r#"{"result":"pong"}"#));
    assert_eq!(webhook.counted("github", "pong"), 1);
}

#[tokio::test]
async fn threat_t10_a_full_inbox_is_503_with_retry_after_until_it_is_emptied() {
    let webhook = Webhook::start(Settings {
        inbox: 1,
        ..Settings::default()
    })
    .await;
    assert_eq!(Request::push("a").send(webhook.address).await.status, 202);
    let refused = Request::push("b").send(webhook.address).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("10")));
    assert_eq!(refused.body, r#"{"error":"full, try again later"}"#);
    assert_eq!(
        Request::push("a").send(webhook.address).await.status,
        202,
        "known branches need no place"
    );
    assert_eq!(webhook.inbox.take().await.len(), 1);
    assert_eq!(Request::push("b").send(webhook.address).await.status, 202);
    assert_eq!(webhook.counted("github", "inbox_full"), 1);
}

#[tokio::test]
async fn a_closed_inbox_is_503() {
    let webhook = Webhook::start(Settings::default()).await;
    webhook.inbox.close();
    assert_eq!(Request::push("main").send(webhook.address).await.status, 503);
}

#[tokio::test]
async fn threat_t33_the_log_has_one_line_for_each_delivery_without_a_word_of_the_sender() {
    log::catch();
    let webhook = Webhook::start(Settings::default()).await;
    let marked = |request: Request| request.with("x-marker", "marker-in-header").with("x-github-delivery", "id\u{e9} 1");
    let good = Request::delivery("push", push_body("marker-in-body"));
    assert_eq!(marked(good.clone()).send(webhook.address).await.status, 202);
    assert_eq!(marked(good.tampered("marker-in-body")).send(webhook.address).await.status, 401);
    let bad = Request::delivery("push", push_body("main").replace("shop/web", "marker-in-body with/spaces"));
    assert_eq!(marked(bad).send(webhook.address).await.status, 400);

    let text = log::caught();
    let lines: Vec<_> = text.lines().filter(|line| line.contains("webhook delivery")).collect();
    assert_eq!(lines.len(), 3, "{text}");
    for (line, result) in lines.iter().zip(["accepted", "bad_signature", "unparsable"]) {
        assert!(line.contains(&format!(r#""webhook.result":"{result}""#)), "{line}");
        assert!(line.contains(r#""webhook.githost":"team/forge""#), "{line}");
        assert!(line.contains(r#""webhook.delivery_id":"id--1""#), "{line}");
    }
    for secret in [SECRET, "marker-in-header", "marker-in-body", "sha256=", "\u{e9}"] {
        assert!(!text.contains(secret), "{secret:?} is in the log:\n{text}");
    }
}
