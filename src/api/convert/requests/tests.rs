#![allow(clippy::unwrap_used, reason = "a failed conversion is the test's failure")]

use serde_json::{Value, json};

use super::*;
use crate::api::Environment;
use crate::api::convert::environment as convert;
use crate::domain::roster::Wanted;

fn spec(extra: Value) -> EnvironmentSpec {
    let mut spec = json!({
        "projectRef": { "name": "shop" },
        "branch": "feature/a",
        "repositoryId": "1",
        "revision": "ab".repeat(20),
    });
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn request(extra: Value) -> EnvironmentSpec {
    let mut request = json!({ "id": "1", "by": "alice", "at": "2026-01-01T00:00:00Z" });
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    spec(json!({ "request": request }))
}

fn action_of(spec: &EnvironmentSpec) -> Result<Action, String> {
    let read = open_request(spec, None).unwrap();
    read.map(|request| request.action).map_err(|error| error.to_string())
}

#[test]
fn each_request_is_read_with_what_it_takes() {
    let skip = request(json!({ "action": "Skip", "stage": "smoke" }));
    assert_eq!(action_of(&skip), Ok(Action::Skip { stage: "smoke".into() }));
    let retry = request(json!({ "action": "Retry" }));
    assert_eq!(action_of(&retry), Ok(Action::Retry { from: None }));
    let back = |extra: Value| {
        let mut all = json!({ "action": "Rollback" });
        all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        action_of(&request(all))
    };
    assert_eq!(back(json!({})), Ok(Action::Rollback { to: Goal::Previous }));
    assert_eq!(
        back(json!({ "run": 3 })),
        Ok(Action::Rollback {
            to: Goal::Run(RunNumber(3))
        })
    );
    let sync = action_of(&request(json!({ "action": "Sync", "objects": ["Deployment/web"] })));
    let only = vec!["Deployment/web".parse().unwrap()];
    assert_eq!(sync, Ok(Action::Sync { only }));
}

#[test]
fn a_request_that_came_around_the_schema_is_refused_with_its_field() {
    let problem = action_of(&request(json!({ "action": "Skip" }))).unwrap_err();
    assert!(problem.contains("stage is missing"), "{problem}");
    let problem = action_of(&request(json!({ "action": "Sync", "objects": ["web"] }))).unwrap_err();
    assert!(problem.contains("KIND/NAME"), "{problem}");
}

#[test]
fn a_request_is_open_until_its_id_is_answered() {
    let spec = request(json!({ "action": "Retry" }));
    let answered = |id: &str| EnvironmentStatus {
        request_handled: Some(handled::<Unreadable>(
            id,
            &Ok("done".into()),
            &Time("2026-01-01T00:00:00Z".parse().unwrap()),
        )),
        ..EnvironmentStatus::default()
    };
    assert!(open_request(&spec, Some(&answered("0"))).is_some());
    assert!(open_request(&spec, Some(&answered("1"))).is_none());
}

#[test]
fn what_the_git_host_decides_neither_holds_nor_takes_away_what_people_write() {
    let people = spec(json!({
        "suspend": true,
        "request": { "id": "1", "action": "Retry", "by": "alice", "at": "2026-01-01T00:00:00Z" },
        "approvals": [
            { "run": 1, "stage": "release", "attempt": 1, "by": "bob", "verdict": "Approved", "at": "2026-01-01T00:00:00Z" },
        ],
    }));
    let mut environment = Environment::new("shop-a-aaaaaaaaaa", people);
    environment.metadata.uid = Some("1".into());
    environment.metadata.namespace = Some("team".into());
    let existing = convert::existing(&environment).unwrap();
    let project = convert::identity(&environment).unwrap().project;
    let wanted = Wanted {
        name: existing.name,
        branch: existing.branch,
        repository: existing.repository,
        revision: existing.revision.parse().unwrap(),
        pull_request: None,
        grace: None,
    };
    let written = serde_json::to_value(convert::spec(&wanted, &project)).unwrap();
    let fields: Vec<&String> = written.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["branch", "projectRef", "repositoryId", "revision"]);
}
