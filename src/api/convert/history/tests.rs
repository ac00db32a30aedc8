#![allow(clippy::unwrap_used, reason = "a time that cannot be read is the test's failure")]

use serde_json::json;

use super::*;
use crate::domain::inventory::{Entry, Stage};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).unwrap()
}

fn entry(run: u64, result: &str) -> HistoryEntry {
    serde_json::from_value(json!({ "run": run, "revision": "a".repeat(40), "at": at(0).to_string(), "result": result, "changed": 1 }))
        .unwrap()
}

fn stage(name: &str, state: StageState, seconds: i64) -> StageRun {
    StageRun {
        state,
        since: Some(at(0)),
        ended: Some(at(seconds)),
        ..StageRun::new(name)
    }
}

#[test]
fn feature_s1_the_last_good_run_stays_in_the_history_however_many_have_failed_since() {
    let mut history: Vec<_> = (0..30)
        .map(|run| entry(30 - run, if run == 20 { "Ready" } else { "Failed" }))
        .collect();
    bound(&mut history);
    let runs: Vec<_> = history.iter().map(|run| run.run.unwrap()).collect();
    assert_eq!(runs, [30, 29, 28, 27, 26, 25, 24, 23, 22, 10]);
    assert_eq!(history.last().unwrap().result, "Ready");
    let mut again = history.clone();
    again.insert(0, entry(31, "Failed"));
    bound(&mut again);
    assert_eq!((again.len(), again.last().unwrap().run), (LENGTH, Some(10)));
}

#[test]
fn the_stages_of_a_past_run_are_told_in_few_words_whatever_their_number() {
    let few = [
        stage("migrate", StageState::Succeeded, 12),
        stage("deploy", StageState::Failed, 61),
        stage("smoke", StageState::Skipped, 0),
        stage("never", StageState::Waiting, 0),
    ];
    assert_eq!(stages(&few), "migrate 12s, deploy failed after 1m1s, smoke skipped");
    let many: Vec<_> = (0..64)
        .map(|number| stage(&format!("{number:->63}"), StageState::Succeeded, 7_300))
        .collect();
    let text = stages(&many);
    assert!(text.len() <= STAGES + 5 && text.ends_with(" 2h1m, …"), "{text}");
}

#[test]
fn an_entry_of_the_first_version_is_read_and_written_as_it_was() {
    let old = json!({ "revision": "a".repeat(40), "at": "2026-01-01T00:00:10Z", "result": "Ready", "changed": 2 });
    let read: HistoryEntry = serde_json::from_value(old.clone()).unwrap();
    assert_eq!(json!(read), old);
}

#[test]
fn what_a_run_changed_is_what_the_api_server_confirmed() {
    let key = |kind: &str, name: &str| ObjectKey {
        group: String::new(),
        version: "v1".into(),
        kind: kind.into(),
        namespace: Some("n".into()),
        name: name.into(),
    };
    let entry = |uid: Option<&str>, digest: &str| Entry {
        uid: uid.map(str::to_owned),
        digest: Some(digest.to_owned()),
        ..Entry::ahead(Stage::Deploy)
    };
    let before = Inventory::from_entries([
        (key("ConfigMap", "same"), entry(Some("1"), "d")),
        (key("ConfigMap", "changed"), entry(Some("2"), "d")),
        (key("ConfigMap", "removed"), entry(Some("3"), "d")),
        (key("Secret", "graftling-run-1"), entry(Some("4"), "d")),
    ]);
    let after = Inventory::from_entries([
        (key("ConfigMap", "same"), entry(Some("1"), "d")),
        (key("ConfigMap", "changed"), entry(Some("2"), "e")),
        (key("ConfigMap", "new"), entry(Some("5"), "d")),
        (key("ConfigMap", "ahead"), entry(None, "d")),
        (key("Secret", "graftling-run-2"), entry(Some("6"), "d")),
    ]);
    let names: Vec<_> = changed(&before, &after).into_iter().map(|key| key.name.clone()).collect();
    assert_eq!(names, ["changed", "new", "removed"]);
}
