#![allow(clippy::unwrap_used, reason = "an object that cannot be read is the test's failure")]

use serde_json::json;

use super::*;
use crate::api::Environment;
use crate::domain::record::{ContainerLog, Journal};

fn environment() -> Environment {
    serde_json::from_value(json!({
        "apiVersion": "graftling.dev/v1alpha1", "kind": "Environment",
        "metadata": { "name": "shop-a-aaaaaaaaaa", "namespace": "team" },
        "spec": { "projectRef": { "name": "shop" }, "branch": "a", "repositoryId": "1", "revision": "a".repeat(40) },
        "status": {
            "run": {
                "number": 12, "revision": "a".repeat(40), "digest": "d", "because": "the branch moved", "started": "2026-01-01T00:10:00Z",
                "ended": "2026-01-01T00:11:05Z", "state": "Failed", "changed": 7, "objects": ["v1 ConfigMap settings", "apps/v1 Deployment web"],
            },
            "stages": [
                { "name": "migrate", "state": "Succeeded", "tries": 1, "since": "2026-01-01T00:10:00Z", "ended": "2026-01-01T00:10:12Z" },
                { "name": "web", "state": "Failed", "tries": 2, "since": "2026-01-01T00:10:12Z", "ended": "2026-01-01T00:11:05Z", "message": "Job web-12-2 failed\u{1b}[31m" },
            ],
            "history": [
                { "run": 12, "revision": "a".repeat(40), "at": "2026-01-01T00:11:05Z", "result": "Failed", "changed": 7, "stages": "migrate 12s, web failed after 53s" },
                { "run": 11, "revision": "b".repeat(40), "started": "2026-01-01T00:00:00Z", "at": "2026-01-01T00:00:30Z", "result": "Ready", "changed": 3, "stages": "deploy 30s", "because": "the environment is new" },
                { "revision": "c".repeat(40), "at": "2025-12-31T23:00:00Z", "result": "Failed", "changed": 0 },
            ],
        },
    }))
    .unwrap()
}

fn now() -> Timestamp {
    "2026-01-01T01:00:00Z".parse().unwrap()
}

#[test]
fn feature_s1_runs_are_listed_with_their_results_and_times() {
    assert_eq!(
        list::table_of(&told(&environment()), now()),
        "RUN   REVISION   RESULT   AGE    TOOK   CHANGED   STAGES\n\
         12    aaaaaaaa   Failed   50m    65s    7         migrate 12s, web failed after 53s\n\
         11    bbbbbbbb   Ready    60m    30s    3         deploy 30s\n\
         -     cccccccc   Failed   120m   -      0\n"
    );
}

#[test]
fn feature_s2_a_run_is_shown_with_its_stages_what_it_changed_and_what_its_jobs_wrote() {
    let journal = Journal {
        logs: vec![ContainerLog {
            stage: "web".into(),
            attempt: 2,
            pod: "web-12-2-x".into(),
            container: "web".into(),
            exit_code: Some(3),
            lines: vec!["starting".into(), "no such table".into()],
            cut: true,
            unread: None,
        }],
        dropped: 1,
        ..Journal::default()
    };
    let run = find("e", told(&environment()), None).unwrap();
    let text = show::text(&run, &Kept::Journal(journal.clone()), now());
    assert_eq!(
        text,
        "Run:       12\n\
         Revision:  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n\
         Result:    Failed\n\
         Because:   the branch moved\n\
         Started:   2026-01-01T00:10:00Z (50m ago)\n\
         Ended:     2026-01-01T00:11:05Z (48m ago)\n\
         Took:      65s\n\
         Changed:   7: v1 ConfigMap settings, apps/v1 Deployment web, …\n\
         \n\
         STAGE     STATE       TRIES   TOOK   MESSAGE\n\
         migrate   Succeeded   1       12s\n\
         web       Failed      2       53s    Job web-12-2 failed\u{fffd}[31m\n\
         \n\
         Log of stage web, try 2, container web in Pod web-12-2-x; it exited with 3; earlier lines are not kept:\n\
         \x20 starting\n\
         \x20 no such table\n\
         \n\
         1 earlier logs had to make room for these.\n"
    );
    let whole = json!(show::Whole::new(run, Kept::Journal(journal)));
    assert_eq!(
        (&whole["run"], &whole["logs"][0]["lines"][1]),
        (&json!(12), &json!("no such table"))
    );
}

#[test]
fn who_may_not_read_a_record_is_told_which_right_is_missing_and_sees_the_rest() {
    let run = find("e", told(&environment()), Some("11")).unwrap();
    let text = show::text(&run, &Kept::Nothing("you may not read its record".into()), now());
    assert!(
        text.contains("Stages:    deploy 30s\n") && text.ends_with("\nLogs: you may not read its record\n"),
        "{text}"
    );
}

#[test]
fn a_run_is_found_by_its_number_or_its_commit_and_what_is_not_there_is_answered_with_what_is() {
    assert_eq!(find("e", told(&environment()), Some("bbbbbbbb")).unwrap().run, Some(11));
    assert_eq!(
        find("e", told(&environment()), Some("7")).unwrap_err().to_string(),
        "environment e has no run \"7\"; the last 2 are known: 12, 11"
    );
    assert_eq!(
        find("e", Vec::new(), None).unwrap_err().to_string(),
        "environment e has had no run yet"
    );
}
