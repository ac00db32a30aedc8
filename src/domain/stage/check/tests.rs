#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn problems(settings: &Value) -> Vec<String> {
    read(settings).unwrap_err()
}

#[test]
fn feature_s1_each_kind_of_check_is_read_with_its_defaults() {
    let check = read(&json!({"http": {"service": "web"}})).unwrap();
    assert_eq!((check.every, check.successes, check.failures), (Duration::from_secs(5), 1, 3));
    let Probe::Http(http) = check.probe else { panic!("an HTTP check") };
    assert_eq!((http.path.as_str(), http.https, http.within), ("/", None, USUAL_ANSWER));
    assert!(http.statuses.contain(204) && !http.statuses.contain(301));
    let settings = json!({
        "http": {
            "host": "shop.preview.example.com", "path": "/health?x=1", "scheme": "https", "status": [200, "3xx"], "contains": "ok",
            "within": "500ms", "headers": {"x-debug": 1},
        },
        "every": "2m", "successes": "2", "failures": 5,
    });
    let check = read(&settings).unwrap();
    assert_eq!((check.every, check.successes, check.failures), (Duration::from_secs(120), 2, 5));
    let Probe::Http(http) = check.probe else { panic!("an HTTP check") };
    assert_eq!(http.https, Some(true));
    assert!(http.statuses.contain(200) && http.statuses.contain(302) && !http.statuses.contain(201));
    assert_eq!(http.statuses.to_string(), "200 or 3xx");
    let check = read(&json!({"exec": {"workload": "Deployment/web", "command": ["sh", "-c", "true"]}})).unwrap();
    assert!(matches!(check.probe, Probe::Exec(exec) if exec.kind == "Deployment" && exec.name == "web"));
    let check = read(&json!({"condition": {"apiVersion": "v1", "kind": "Pod", "name": "a", "type": "Ready", "status": true}})).unwrap();
    assert!(matches!(check.probe, Probe::Condition(condition) if condition.status == "True"));
    let check = read(&json!({"tcp": {"service": "db", "port": "5432"}})).unwrap();
    assert!(matches!(check.probe, Probe::Tcp(tcp) if tcp.port.as_deref() == Some("5432")));
}

#[test]
fn every_mistake_is_told_with_its_field_and_none_hides_another() {
    for (settings, expected) in [
        (json!([]), "should be a mapping of settings"),
        (json!({}), "write one of http, tcp, exec, condition"),
        (
            json!({"http": {"service": "a"}, "tcp": {"service": "b"}}),
            "http and tcp exclude each other: keep one",
        ),
        (json!({"http": {}}), "http: write one of service, host"),
        (
            json!({"http": {"service": "a", "host": "b"}}),
            "http: service and host exclude each other: keep one",
        ),
        (json!({"http": {"service": "A_b"}}), "http.service: \"A_b\""),
        (json!({"http": {"service": "a", "port": 0}}), "http.port: \"0\" is no port"),
        (json!({"http": {"service": "a", "port": 70000}}), "http.port: \"70000\" is no port"),
        (json!({"http": {"host": "a", "port": 80}}), "http.port: belongs to service"),
        (
            json!({"http": {"service": "a", "pth": "/"}}),
            "http.pth: there is no such field (did you mean \"path\"?)",
        ),
        (
            json!({"http": {"service": "a", "path": "x"}}),
            "http.path: \"x\" should begin with /",
        ),
        (
            json!({"http": {"service": "a", "status": "9xx"}}),
            "http.status: should be statuses such as 200 or 2xx",
        ),
        (
            json!({"http": {"service": "a", "status": 99}}),
            "http.status: should be statuses such as 200 or 2xx",
        ),
        (
            json!({"http": {"service": "a", "within": "31s"}}),
            "http.within: should be a whole number with ms, s or m behind it, from 1ms to 30s",
        ),
        (
            json!({"http": {"service": "a", "scheme": "ftp"}}),
            "http.scheme: \"ftp\" should be http or https",
        ),
        (
            json!({"http": {"service": "a", "headers": {"a b": "x"}}}),
            "http.headers: \"a b\" is no name of a header",
        ),
        (
            json!({"http": {"service": "a", "headers": {"a": "x\ny"}}}),
            "http.headers.a: has characters",
        ),
        (
            json!({"http": {"host": "a", "headers": {"Host": "x"}}}),
            "http.headers.Host: is said by graftling itself",
        ),
        (json!({"tcp": {"port": 1}}), "tcp.service: is missing"),
        (
            json!({"exec": {"workload": "Pod/a", "command": "x"}}),
            "exec.workload: \"Pod/a\" should be a Deployment",
        ),
        (
            json!({"exec": {"workload": "Deployment/a"}}),
            "exec.command: should have from 1 to 100 words",
        ),
        (
            json!({"condition": {"kind": "X", "name": "a", "type": "b"}}),
            "condition.apiVersion: is missing",
        ),
        (
            json!({"tcp": {"service": "a"}, "every": "5"}),
            "every: should be a whole number with ms, s or m behind it, from 1s to 10m",
        ),
        (
            json!({"tcp": {"service": "a"}, "failures": 0}),
            "failures: should be a whole number from 1 to 1000",
        ),
    ] {
        let found = problems(&settings);
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{settings}: {found:?}");
    }
    let both = problems(&json!({"http": {"service": "a", "path": "x", "status": "y"}, "every": "z"}));
    assert_eq!(both.len(), 3, "{both:?}");
}

#[test]
fn a_text_that_is_still_to_be_rendered_counts_as_text_of_any_form() {
    let template = "{{ values.x }}";
    let settings = json!({
        "http": {"service": template, "port": template, "path": template, "scheme": template, "status": template, "within": template},
        "every": template, "failures": template,
    });
    assert!(read(&settings).is_ok(), "{:?}", read(&settings));
    assert!(read(&json!({"exec": {"workload": template, "command": [template]}})).is_ok());
}

fn check(successes: u32, failures: u32) -> Check {
    read(&json!({"tcp": {"service": "a"}, "successes": successes, "failures": failures})).unwrap()
}

#[test]
fn f27_a_flaky_answer_begins_the_count_anew() {
    let check = check(2, 2);
    let (good, bad) = (Answer::good("yes"), Answer::bad("no"));
    let mut streak = 0;
    for (answer, expected) in [(&good, 1), (&bad, -1), (&good, 1), (&bad, -1)] {
        let (next, end) = judge(&check, streak, answer);
        assert_eq!((next, end), (expected, None));
        streak = next;
    }
    let (streak, end) = judge(&check, streak, &bad);
    assert_eq!(streak, -2);
    assert!(matches!(end, Some(Progress::Failed { retry: true, message }) if message == "no (2 times in a row)"));
    let end = judge(&check, 0, &Answer::never("not allowed")).1;
    assert!(matches!(end, Some(Progress::Failed { retry: false, .. })));
}

proptest! {
    /// It ends with the first row that is long enough, never before and never later.
    #[test]
    fn a_check_ends_with_the_first_row_that_is_long_enough(answers in prop::collection::vec(any::<bool>(), 0..60), successes in 1_u32..5, failures in 1_u32..5) {
        let check = check(successes, failures);
        let (mut streak, mut row) = (0, 0_i64);
        for is_good in answers {
            row = match is_good {
                true => row.max(0) + 1,
                false => row.min(0) - 1,
            };
            let answer = if is_good { Answer::good("") } else { Answer::bad("") };
            let (next, end) = judge(&check, streak, &answer);
            streak = next;
            prop_assert_eq!(i64::from(streak), row);
            let is_over = row >= i64::from(successes) || row <= -i64::from(failures);
            prop_assert_eq!(end.is_some(), is_over);
            if is_over { break }
        }
    }

    /// Whatever is written is read or refused.
    #[test]
    fn no_settings_make_it_panic(text in "\\PC{0,20}", number in any::<i64>()) {
        for value in [json!(text), json!(number), json!([text]), json!({"a": number}), json!(null)] {
            let _ = read(&value);
            let _ = read(&json!({"http": value, "every": value}));
            let _ = read(&json!({"http": {"service": value, "port": value, "status": value, "headers": value, "within": value}}));
            let _ = read(&json!({"exec": {"workload": value, "command": value}}));
        }
    }
}
