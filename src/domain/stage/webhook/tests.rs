#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use serde_json::json;

use super::*;

#[test]
fn feature_s1_a_call_is_read_with_its_defaults() {
    let webhook = read(&json!({"url": "https://ci.example.com/x"})).unwrap();
    assert_eq!(
        (webhook.method.as_str(), &webhook.body, webhook.within),
        ("POST", &Body::Facts, WITHIN)
    );
    assert!(webhook.success.contain(202) && !webhook.success.contain(302));
    let settings = json!({
        "url": "http://ci.example.com:8080/x?y={{ branch }}", "method": "PUT", "body": {"a": [1]}, "secret": {"name": "s", "key": "k"},
        "success": [200, 202], "within": "30s", "headers": {"Authorization": "Bearer x"},
        "waitFor": {"path": "build.state", "equals": "done", "failed": ["error", "lost"], "statusUrl": "links.self", "every": "1s"},
    });
    let webhook = read(&settings).unwrap();
    assert_eq!(webhook.body, Body::Json(json!({"a": [1]})));
    let wait_for = webhook.wait_for.unwrap();
    assert_eq!(
        (wait_for.equals.len(), wait_for.failed.len(), wait_for.every),
        (1, 2, Duration::from_secs(1))
    );
}

#[test]
fn every_mistake_is_told_with_its_field() {
    let url = "https://a.example";
    for (settings, expected) in [
        (json!({}), "url: is missing"),
        (json!({"url": "ftp://a"}), "url: \"ftp://a\" should be a URL"),
        (json!({"url": "https:///x"}), "url: \"https:///x\" should be a URL"),
        (
            json!({"url": "https://u:p@a.example/"}),
            "url: \"https://u:p@a.example/\" has a user in it",
        ),
        (json!({"url": url, "method": "post"}), "method: \"post\" should be one of POST"),
        (
            json!({"url": url, "headers": {"Host": "x"}}),
            "headers.Host: is said by graftling itself",
        ),
        (json!({"url": url, "secret": {"name": "s"}}), "secret.key: is missing"),
        (json!({"url": url, "waitFor": {"path": "a"}}), "waitFor.equals: is missing"),
        (
            json!({"url": url, "waitFor": {"path": "a", "equals": "x", "failed": "x"}}),
            "waitFor.failed: \"x\" cannot be success and failure",
        ),
        (json!({"url": url, "body": "x".repeat(70_000)}), "body: has more than 64 KiB"),
    ] {
        let found = read(&settings).unwrap_err();
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{settings}: {found:?}");
    }
}

fn wait_for() -> WaitFor {
    let settings = json!({"url": "https://a.example", "waitFor": {"path": "builds.0.state", "equals": "done", "failed": "error"}});
    read(&settings).unwrap().wait_for.unwrap()
}

#[test]
fn what_the_other_side_says_is_found_by_its_path() {
    let told = |state: Value| outcome(&wait_for(), &json!({"builds": [{"state": state}]})).map(|answer| answer.worth);
    assert_eq!(told(json!("done")), Ok(Worth::Good));
    assert_eq!(told(json!("error")), Ok(Worth::Failed));
    assert_eq!(told(json!("running")), Ok(Worth::NotYet));
    assert!(told(json!({"a": 1})).is_err());
    assert!(outcome(&wait_for(), &json!({"builds": []})).is_err());
}

#[test]
fn f26_a_call_is_delivered_a_few_times_then_waits_and_then_is_asked_after() {
    let lost = Answer::bad("HTTP 503");
    let mut streak = 0;
    for delivery in 1..=MAX_DELIVERIES {
        let (next, end) = judge(streak, &lost);
        assert_eq!((next, end.is_some()), (-delivery, delivery == MAX_DELIVERIES));
        streak = next;
    }
    let (streak, end) = judge(-3, &Answer::not_yet("taken"));
    assert!(is_taken(streak) && end.is_none());
    let mut streak = streak;
    for question in 1..=MAX_LOST {
        let (next, end) = judge(streak, &lost);
        assert!(is_taken(next));
        assert_eq!(end.is_some(), question == MAX_LOST, "{question}");
        streak = next;
    }
    assert_eq!(judge(streak, &Answer::not_yet("running")).0, 1, "an answer begins the count anew");
    assert!(matches!(judge(-2, &Answer::good("HTTP 200")).1, Some(Progress::Done { .. })));
    assert!(matches!(
        judge(1, &Answer::failed("error")).1,
        Some(Progress::Failed { retry: true, .. })
    ));
}

#[test]
fn deliveries_are_further_apart_each_time() {
    let webhook = read(&json!({"url": "https://a.example"})).unwrap();
    let pauses: Vec<u64> = [-1, -2, -3, -4].map(|streak| pause(&webhook, streak).as_secs()).into();
    assert_eq!(pauses, [2, 4, 8, 16]);
}
