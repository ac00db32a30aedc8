//! When writes may go out, and what is learnt from answers about the Lease.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde_json::{Value, json};

use super::*;

const RENEWED: &str = "2026-01-01T12:00:00.000000Z";

fn sent() -> Timestamp {
    RENEWED.parse().unwrap()
}

/// `wall` and `monotonic` seconds after the renewal was sent, with `start` as that moment.
fn after(start: Instant, wall: i64, monotonic: u64) -> Moment {
    Moment {
        wall: sent() + SignedDuration::from_secs(wall),
        monotonic: start + Duration::from_secs(monotonic),
    }
}

fn held_by(holder: Option<&str>) -> LeaseSpec {
    LeaseSpec {
        holder_identity: holder.map(str::to_owned),
        renew_time: Some(MicroTime(sent())),
        lease_duration_seconds: Some(15),
        ..LeaseSpec::default()
    }
}

/// A Lease of ours, whose answer came a second after it was sent.
fn ours(start: Instant) -> Lead {
    Lead::told_by(&held_by(Some("us")), "us", after(start, 1, 1))
}

#[test]
fn f07_f09_a_lease_is_good_until_shortly_before_its_end_reckoned_from_when_its_renewal_was_sent() {
    let start = Instant::now();
    assert_eq!(ours(start).allows(after(start, 11, 11)), Ok(()));
    let age = Duration::from_secs(12);
    assert_eq!(ours(start).allows(after(start, 12, 12)), Err(Refused::RanOut { age }));
}

#[test]
fn f07_the_clock_by_which_more_time_has_passed_counts() {
    let start = Instant::now();
    // The machine was suspended: only the clock on the wall has gone on.
    assert!(ours(start).allows(after(start, 60, 2)).is_err());
    // The clock on the wall was set back.
    assert!(ours(start).allows(after(start, -3600, 12)).is_err());
    assert_eq!(ours(start).allows(after(start, -3600, 11)), Ok(()));
}

#[test]
fn f84_to_read_the_lease_again_after_the_clock_was_set_back_renews_nothing() {
    let start = Instant::now();
    let mut lead = ours(start);
    lead.learn(Lead::told_by(&held_by(Some("us")), "us", after(start, -86_400, 11)));
    assert!(lead.allows(after(start, -86_400, 12)).is_err());
    lead.learn(Lead::told_by(&held_by(Some("another")), "us", after(start, -86_400, 12)));
    assert_eq!(lead, Lead::Others);
}

#[test]
fn an_answer_that_was_long_on_its_way_renews_nothing() {
    let start = Instant::now();
    let late = Lead::told_by(&held_by(Some("us")), "us", after(start, 60, 60));
    assert!(late.allows(after(start, 60, 60)).is_err());
}

#[test]
fn a_lease_that_another_or_nobody_holds_lets_nothing_through() {
    let start = Instant::now();
    for holder in [Some("another"), None] {
        let lead = Lead::told_by(&held_by(holder), "us", after(start, 1, 1));
        assert_eq!(lead.allows(after(start, 1, 1)), Err(Refused::Follows), "{holder:?}");
    }
    let unrenewed = LeaseSpec {
        renew_time: None,
        ..held_by(Some("us"))
    };
    assert_eq!(Lead::told_by(&unrenewed, "us", after(start, 1, 1)), Lead::Others);
}

fn request(method: Method, upgrade: bool) -> Request<()> {
    let builder = Request::builder().method(method);
    let builder = if upgrade {
        builder.header(header::UPGRADE, "websocket")
    } else {
        builder
    };
    builder.body(()).unwrap()
}

#[test]
fn only_what_may_change_something_is_held_back() {
    let fence = WriteFence::default();
    for closed in [false, true] {
        for method in [Method::GET, Method::HEAD] {
            assert!(fence.admit(request(method, false)).is_ok());
        }
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert_eq!(fence.admit(request(method.clone(), false)).is_err(), closed, "{method}");
        }
        assert_eq!(fence.admit(request(Method::GET, true)).is_err(), closed, "a command in a container");
        fence.close();
    }
}

async fn answered(fence: &WriteFence, status: u16, body: &Value) {
    let answer = Response::builder().status(status).body(Body::from(body.to_string().into_bytes()));
    let passed = fence.clone().read(answer.unwrap(), "us".into()).await.unwrap();
    assert_eq!(passed.status(), status);
    let bytes = passed.into_body().collect_bytes().await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), *body);
}

fn lease(holder: &str) -> Value {
    let spec = json!({ "holderIdentity": holder, "renewTime": Timestamp::now().to_string(), "leaseDurationSeconds": 15 });
    json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "graftling" }, "spec": spec })
}

#[tokio::test]
async fn answers_about_the_lease_open_and_close_the_fence_and_arrive_whole() {
    let fence = WriteFence::default();
    fence.close();
    let is_open = || fence.admit(request(Method::PATCH, false)).is_ok();
    answered(&fence, 200, &lease("another")).await;
    assert!(!is_open());
    answered(&fence, 200, &lease("us")).await;
    assert!(is_open());
    let refused = json!({ "apiVersion": "v1", "kind": "Status", "code": 500 });
    answered(&fence, 500, &refused).await;
    assert!(is_open(), "what is known stays true until it runs out");
    answered(&fence, 200, &lease("another")).await;
    assert!(!is_open());
}
