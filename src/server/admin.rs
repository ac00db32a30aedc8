//! The listener for the cluster itself: `/healthz`, `/readyz` and `/metrics`. It belongs on a port that no Ingress leads to.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::json;
use warp::reply::Response;
use warp::{Filter as _, Reply as _};

use super::readiness::Readiness;
use super::{Routes, reply};
use crate::metrics::Metrics;

/// The routes of the admin listener, for GET and HEAD; anything else is 404.
///
/// - `/healthz`: 200 as long as the process can answer; it asks nothing else, so that no outage elsewhere restarts the process.
/// - `/readyz`: 200 when every check of `readiness` passes, else 503 with the names of those that do not.
/// - `/metrics`: everything in `metrics`, as OpenMetrics text.
pub fn routes(readiness: Readiness, metrics: Metrics) -> Routes {
    let health = warp::path!("healthz").map(health);
    let ready = warp::path!("readyz").map(move || ready(&readiness));
    let exposition = warp::path!("metrics").map(move || exposition(&metrics));
    let reading = warp::get().or(warp::head()).unify();
    let known = reading.and(health.or(ready).unify().or(exposition).unify());
    known.or(warp::any().map(not_found)).unify().boxed()
}

fn health() -> Response {
    reply::json(StatusCode::OK, &json!({ "healthy": true }))
}

fn ready(readiness: &Readiness) -> Response {
    let missing = readiness.missing();
    let status = if missing.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    reply::json(status, &json!({ "ready": missing.is_empty(), "missing": missing }))
}

fn exposition(metrics: &Metrics) -> Response {
    warp::reply::with_header(metrics.exposition(), CONTENT_TYPE, Metrics::CONTENT_TYPE).into_response()
}

fn not_found() -> Response {
    reply::error(StatusCode::NOT_FOUND, "not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(routes: &Routes, path: &str) -> (u16, String, String) {
        let response = warp::test::request().path(path).reply(routes).await;
        let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.unwrap_or_default().to_owned();
        (
            response.status().as_u16(),
            kind,
            String::from_utf8_lossy(response.body()).into_owned(),
        )
    }

    #[tokio::test]
    async fn health_does_not_depend_on_readiness() {
        let readiness = Readiness::new();
        let _never = readiness.require("caches");
        let routes = routes(readiness, Metrics::new());
        assert_eq!(get(&routes, "/healthz").await.0, 200);
    }

    #[tokio::test]
    async fn readiness_lists_what_is_missing_until_nothing_is() {
        let readiness = Readiness::new();
        let caches = readiness.require("caches");
        let endpoints = readiness.require("webhook endpoints");
        let routes = routes(readiness, Metrics::new());
        let answer = get(&routes, "/readyz").await;
        assert_eq!(
            (answer.0, answer.2.as_str()),
            (503, r#"{"missing":["caches","webhook endpoints"],"ready":false}"#)
        );
        caches.set(true);
        assert_eq!(
            get(&routes, "/readyz").await.2,
            r#"{"missing":["webhook endpoints"],"ready":false}"#
        );
        endpoints.set(true);
        let answer = get(&routes, "/readyz").await;
        assert_eq!((answer.0, answer.2.as_str()), (200, r#"{"missing":[],"ready":true}"#));
        caches.set(false);
        assert_eq!(get(&routes, "/readyz").await.0, 503);
    }

    #[tokio::test]
    async fn feature_o1_metrics_are_open_metrics_text() {
        let metrics = Metrics::new();
        metrics.retired(crate::metrics::RemovalCause::BranchGone);
        let (status, kind, body) = get(&routes(Readiness::new(), metrics), "/metrics").await;
        assert_eq!(
            (status, kind.as_str()),
            (200, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        );
        assert!(body.contains("graftling_environments_retired_total{cause=\"branch_gone\"} 1\n"));
        assert!(body.ends_with("# EOF\n"));
    }

    #[tokio::test]
    async fn anything_else_is_not_found() {
        let routes = routes(Readiness::new(), Metrics::new());
        for path in ["/", "/hooks/team/forge", "/metrics/x", "/healthz/", "/debug"] {
            let found = get(&routes, path).await.0;
            let expected = if path == "/healthz/" { 200 } else { 404 };
            assert_eq!(found, expected, "{path}");
        }
    }
}
