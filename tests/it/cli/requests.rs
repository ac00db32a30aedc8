//! `graftling env retry`, `approve` and their like against a cluster that answers as each test decides: what is written, and exit codes.

use serde_json::{Value, json};
use warp::http::Method;

use super::cluster::{Answer, Cluster, Request, environment, listing, refusal};
use super::{Run, command, finish, run};

const BRANCH: &str = "feature/a";

fn env(cluster: &Cluster, arguments: &[&str]) -> Run {
    finish(command(&["env"]).args(arguments).env("KUBECONFIG", cluster.kubeconfig()))
}

/// A cluster with one environment that takes mia for herself, and answers a write as told.
fn cluster(change: Value, write: Option<Answer>) -> Cluster {
    let mut one = environment("shop", BRANCH, "shop-a");
    one["metadata"]["resourceVersion"] = json!("41");
    merge(&mut one, change);
    Cluster::answering(move |request| match request.method {
        Method::GET if request.target.contains("/environments/shop-a") => (200, one.to_string()),
        Method::GET => listing(request, std::slice::from_ref(&one)),
        Method::POST => {
            let user = json!({ "username": "mia", "groups": ["leads", "system:authenticated"] });
            (
                201,
                json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "status": { "userInfo": user } })
                    .to_string(),
            )
        }
        _ => write.clone().unwrap_or((200, one.to_string())),
    })
}

fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}

fn written(cluster: &Cluster) -> Value {
    let requests = cluster.requests();
    let write: Vec<&Request> = requests.iter().filter(|request| request.method == Method::PATCH).collect();
    assert_eq!(write.len(), 1, "{requests:?}");
    serde_json::from_str(&write[0].body).unwrap()
}

fn waits(groups: &[&str]) -> Value {
    let pending = json!([{ "run": 3, "stage": "release", "attempt": 2, "since": "2026-01-01T00:00:00Z", "groups": groups }]);
    json!({ "status": { "pendingApprovals": pending } })
}

#[test]
fn each_verb_writes_one_whole_request_in_the_callers_name_over_what_was_read() {
    let verbs: [(&[&str], Value); 6] = [
        (&["retry", BRANCH], json!({ "action": "Retry" })),
        (
            &["retry", BRANCH, "--from", "smoke"],
            json!({ "action": "Retry", "stage": "smoke" }),
        ),
        (&["skip", BRANCH, "smoke"], json!({ "action": "Skip", "stage": "smoke" })),
        (&["rerun", BRANCH, "--stage", "seed"], json!({ "action": "Rerun", "stage": "seed" })),
        (&["rollback", BRANCH, "--to", "12"], json!({ "action": "Rollback", "run": 12 })),
        (
            &["sync", BRANCH, "--only", "Deployment/web", "--only", "ConfigMap/a"],
            json!({ "action": "Sync", "objects": ["Deployment/web", "ConfigMap/a"] }),
        ),
    ];
    for (arguments, expected) in verbs {
        let cluster = cluster(json!({}), None);
        let run = env(&cluster, &[arguments, &["--no-wait"]].concat());
        assert_eq!(run.code, Some(0), "{arguments:?}: {}", run.errors);
        assert!(
            run.output.starts_with("environment.graftling.dev/shop-a: asked to "),
            "{}",
            run.output
        );
        let written = written(&cluster);
        assert_eq!(
            written["metadata"],
            json!({ "uid": "uid-of-shop-a", "resourceVersion": "41" }),
            "{arguments:?}"
        );
        let request = written["spec"]["request"].as_object().unwrap();
        // What an earlier request had and this one has not is taken away.
        for field in ["action", "stage", "run", "revision", "objects"] {
            assert_eq!(request[field], expected[field], "{arguments:?}: {field}");
        }
        assert_eq!(request["by"], "mia");
        assert!(request["id"].as_str().unwrap().ends_with("-41"), "{arguments:?}");
    }
}

#[test]
fn a_request_of_somebody_else_that_is_not_answered_yet_is_left_alone() {
    let request = json!({ "id": "1", "action": "Rollback", "by": "bob", "at": "2026-01-01T00:00:00Z" });
    let open = json!({ "spec": { "request": request } });
    let busy = cluster(open.clone(), None);
    let run = env(&busy, &["retry", BRANCH]);
    assert_eq!(run.code, Some(4));
    assert_eq!(
        run.errors,
        "error: environment.graftling.dev/shop-a: bob asked to roll back, and the server has not answered yet; wait for it, or see \
         whether the server runs\n"
    );
    let mut answered = open;
    answered["status"] = json!({ "requestHandled": { "id": "1", "accepted": true, "message": "done", "at": "2026-01-01T00:00:00Z" } });
    let free = cluster(answered, None);
    assert_eq!(env(&free, &["retry", BRANCH, "--no-wait"]).code, Some(0));
}

#[test]
fn an_approval_bears_the_groups_that_matter_and_takes_away_words_on_earlier_runs() {
    let word = |run: u64, by: &str| json!({ "run": run, "stage": "release", "attempt": 1, "by": by, "verdict": "Rejected", "at": "2026-01-01T00:00:00Z" });
    let mut change = waits(&["leads", "release"]);
    change["spec"] = json!({ "approvals": [word(2, "bob"), word(3, "bob")] });
    let cluster = cluster(change, None);
    let run = env(&cluster, &["approve", BRANCH, "--comment", "looks good", "--no-wait"]);
    assert_eq!(
        (run.code, run.output.as_str()),
        (Some(0), "environment.graftling.dev/shop-a: stage release approved\n"),
        "{}",
        run.errors
    );
    let approvals = written(&cluster)["spec"]["approvals"].clone();
    assert_eq!(approvals.as_array().unwrap().len(), 2);
    assert_eq!(approvals[0], word(3, "bob"));
    let mut own = approvals[1].clone();
    own.as_object_mut().unwrap().remove("at");
    assert_eq!(
        own,
        json!({
            "run": 3, "stage": "release", "attempt": 2, "by": "mia", "verdict": "Approved", "groups": ["leads"], "comment": "looks good",
        })
    );
}

#[test]
fn nothing_is_written_where_no_stage_waits_another_is_named_or_it_is_reserved_to_others() {
    for (change, arguments, code, words) in [
        (json!({}), &["approve", BRANCH][..], 4, "no stage waits for approval"),
        (waits(&[]), &["reject", BRANCH, "relaese"][..], 3, "(did you mean \"release\"?)"),
        (
            waits(&["release"]),
            &["approve", BRANCH][..],
            4,
            "is reserved to the groups release",
        ),
    ] {
        let cluster = cluster(change, None);
        let run = env(&cluster, arguments);
        assert_eq!(run.code, Some(code), "{}", run.errors);
        assert!(run.errors.contains(words), "{}", run.errors);
        assert!(cluster.requests().iter().all(|request| request.method != Method::PATCH));
    }
}

#[test]
fn a_person_without_the_right_ends_with_code_5_and_the_policys_words() {
    let words = "environments.graftling.dev \"shop-a\" is forbidden: spec.approvals: you may not approve here";
    let cluster = cluster(waits(&[]), Some(refusal(403, "Forbidden", words)));
    let run = env(&cluster, &["approve", BRANCH]);
    assert_eq!(run.code, Some(5));
    assert_eq!(run.errors, format!("error: could not write the approval: not permitted: {words}\n"));
}

#[test]
fn pausing_writes_one_field_and_resuming_takes_it_away() {
    let running = cluster(json!({}), None);
    let run = env(&running, &["pause", BRANCH, "--no-wait"]);
    assert_eq!(
        (run.code, run.output.as_str()),
        (Some(0), "environment.graftling.dev/shop-a paused\n"),
        "{}",
        run.errors
    );
    assert_eq!(written(&running)["spec"], json!({ "suspend": true }));
    let paused = cluster(json!({ "spec": { "suspend": true } }), None);
    let run = env(&paused, &["resume", BRANCH, "--no-wait"]);
    assert_eq!(
        (run.code, run.output.as_str()),
        (Some(0), "environment.graftling.dev/shop-a resumed\n"),
        "{}",
        run.errors
    );
    assert_eq!(written(&paused)["spec"], json!({ "suspend": null }));
    let run = env(&paused, &["pause", BRANCH]);
    assert_eq!(run.output, "environment.graftling.dev/shop-a is paused already\n");
}

#[test]
fn what_cannot_be_meant_is_a_wrong_command_line() {
    for arguments in [
        &["env", "skip", BRANCH][..],
        &["env", "rerun", BRANCH],
        &["env", "sync", BRANCH],
        &["env", "sync", BRANCH, "--only", "web"],
        &["env", "rollback", BRANCH, "--to", "main"],
        &["env", "retry", BRANCH, "--no-wait", "--timeout", "5s"],
    ] {
        assert_eq!(run(arguments).code, Some(2), "{arguments:?}");
    }
}
