//! Probes and metrics over a real socket.

use graftling::metrics::Listener;
use graftling::server::listener::Limits;

use super::client::Request;
use super::{Readiness, Settings, Webhook, admin_routes, listen};

#[tokio::test]
async fn feature_o1_the_admin_listener_shows_what_the_webhook_listener_counted() {
    let webhook = Webhook::start(Settings::default()).await;
    assert_eq!(Request::push("secret-branch").send(webhook.address).await.status, 202);
    assert_eq!(Request::post("{}").send(webhook.address).await.status, 401);

    let routes = admin_routes::routes(Readiness::new(), webhook.metrics.clone());
    let (address, _serving) = listen(routes, Listener::Admin, Limits::default(), &webhook.metrics, &webhook.shutdown).await;
    let response = Request::get("/metrics").send(address).await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((response.status, response.header("content-type")), (200, Some(kind)));
    for line in [
        r#"graftling_webhook_deliveries_total{provider="github",result="accepted"} 1"#,
        r#"graftling_webhook_deliveries_total{provider="github",result="bad_signature"} 1"#,
        "graftling_inbox_depth 1",
        r#"graftling_http_connections{listener="admin"} 1"#,
    ] {
        assert!(
            response.body.lines().any(|found| found == line),
            "{line} is missing in:\n{}",
            response.body
        );
    }
    assert!(!response.body.contains("secret-branch"), "a branch name became a label");
}

#[tokio::test]
async fn threat_t38_the_webhook_listener_shows_no_metrics() {
    let webhook = Webhook::start(Settings::default()).await;
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(Request::get(path).send(webhook.address).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn probes_answer_over_a_socket() {
    let webhook = Webhook::start(Settings::default()).await;
    let readiness = Readiness::new();
    let caches = readiness.require("caches");
    let routes = admin_routes::routes(readiness, webhook.metrics.clone());
    let (address, _serving) = listen(routes, Listener::Admin, Limits::default(), &webhook.metrics, &webhook.shutdown).await;
    assert_eq!(Request::get("/healthz").send(address).await.status, 200);
    assert_eq!(Request::get("/readyz").send(address).await.status, 503);
    caches.set(true);
    assert_eq!(Request::get("/readyz").send(address).await.status, 200);
}
