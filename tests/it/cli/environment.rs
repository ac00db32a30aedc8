//! `graftling env` against a cluster that answers as each test decides.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use warp::http::Method;

use super::cluster::{Answer, Cluster, Request, closed_address, environment, kubeconfig, listing, refusal};
use super::{Run, command, finish, run};

/// Runs `graftling env …` against `cluster`.
fn env(cluster: &Cluster, arguments: &[&str]) -> Run {
    finish(command(&["env"]).args(arguments).env("KUBECONFIG", cluster.kubeconfig()))
}

fn two_projects() -> Cluster {
    let environments = [
        environment("shop", "feature/a", "shop-feature-a-aaaaaaaaaa"),
        environment("web", "feature/a", "web-feature-a-bbbbbbbbbb"),
        environment("shop", "main", "shop-main-cccccccccc"),
    ];
    Cluster::answering(move |request| match request.method {
        Method::GET => listing(request, &environments),
        _ => (200, environments[0].to_string()),
    })
}

fn refusing(answer: Answer) -> Cluster {
    Cluster::answering(move |_: &Request| answer.clone())
}

#[test]
fn without_any_cluster_it_ends_with_code_5_and_says_where_it_looked() {
    let run = run(&["env", "list"]);
    assert_eq!((run.code, run.output.as_str()), (Some(5), ""));
    assert!(run.errors.contains("KUBECONFIG"), "{}", run.errors);
}

#[test]
fn an_unreachable_cluster_ends_with_code_5() {
    let run = finish(command(&["env", "list"]).env("KUBECONFIG", kubeconfig(closed_address())));
    assert_eq!((run.code, run.output.as_str()), (Some(5), ""));
    assert!(
        run.errors
            .starts_with("error: could not list environments: the cluster did not answer\ncaused by: "),
        "{}",
        run.errors
    );
    assert_eq!(run.errors.matches("Connection refused").count(), 1, "{}", run.errors);
}

#[test]
fn a_silent_cluster_ends_with_code_5_after_the_request_timeout() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let path = kubeconfig(listener.local_addr().unwrap());
    let begin = std::time::Instant::now();
    let run = finish(command(&["env", "list", "--request-timeout", "200ms"]).env("KUBECONFIG", path));
    assert_eq!(run.code, Some(5), "{}", run.errors);
    assert!(run.errors.contains("did not answer within 0.2 seconds"), "{}", run.errors);
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn an_overloaded_cluster_does_not_hold_us_beyond_the_request_timeout() {
    let cluster = refusing(refusal(503, "ServiceUnavailable", "overloaded"));
    let run = env(&cluster, &["list", "--request-timeout", "500ms"]);
    assert_eq!(run.code, Some(5), "{}", run.errors);
}

#[test]
fn a_forbidden_list_ends_with_code_5_and_says_what_the_cluster_says() {
    let cluster = refusing(refusal(403, "Forbidden", "mia cannot list environments"));
    let run = env(&cluster, &["list"]);
    assert_eq!(run.code, Some(5));
    assert_eq!(
        run.errors,
        "error: could not list environments: not permitted: mia cannot list environments\n"
    );
}

#[test]
fn a_cluster_without_the_custom_resources_is_told_apart_from_an_empty_one() {
    let cluster = refusing((404, "404 page not found".to_owned()));
    let run = env(&cluster, &["list"]);
    assert_eq!(run.code, Some(1));
    assert!(run.errors.contains("graftling crds"), "{}", run.errors);
}

#[test]
fn an_unknown_context_ends_with_code_5_and_names_it() {
    let run = env(&two_projects(), &["list", "--context", "elsewhere"]);
    assert_eq!(run.code, Some(5));
    assert!(run.errors.contains("elsewhere"), "{}", run.errors);
}

#[test]
fn a_kubeconfig_that_cannot_be_read_is_not_quoted() {
    let path = super::folder("kubeconfigs").join("broken.yaml");
    std::fs::write(&path, "users:\n- name: x\n  user: {token: token-of-a-person\nfoo").unwrap();
    let run = finish(command(&["env", "list"]).env("KUBECONFIG", path));
    assert_eq!(run.code, Some(5));
    assert!(!run.errors.contains("token-of-a-person"), "{}", run.errors);
    assert!(run.errors.contains("line"), "{}", run.errors);
}

#[test]
fn the_token_of_the_kubeconfig_is_in_no_log_line() {
    let cluster = two_projects();
    let arguments = ["--log-level", "trace", "--log-format", "json", "env", "list"];
    let run = finish(command(&arguments).env("KUBECONFIG", cluster.kubeconfig()));
    assert_eq!(run.code, Some(0));
    assert!(run.errors.contains("\"level\":\"DEBUG\""), "{}", run.errors);
    assert!(!run.errors.contains("token-of-a-person"), "{}", run.errors);
}

#[test]
fn environments_are_listed_in_columns() {
    let run = env(&two_projects(), &["list", "--project", "web"]);
    assert_eq!((run.code, run.errors.as_str()), (Some(0), ""));
    let lines: Vec<Vec<&str>> = run.output.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["BRANCH", "PHASE", "REVISION", "URL", "AGE"]);
    assert_eq!(
        lines[1][..4],
        ["feature/a", "Ready", "abababababab", "https://web-feature-a-bbbbbbbbbb.example.com"]
    );
    assert_eq!(lines.len(), 2);
}

#[test]
fn an_empty_list_says_where_it_looked_and_is_no_error() {
    let cluster = Cluster::answering(|request| listing(request, &[]));
    let run = env(&cluster, &["list"]);
    assert_eq!((run.code, run.output.as_str()), (Some(0), ""));
    assert_eq!(run.errors, "No environments found in namespace team.\n");
    let run = env(&cluster, &["list", "-A"]);
    assert_eq!(run.errors, "No environments found.\n");
    let run = env(&cluster, &["list", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&run.output).unwrap();
    assert_eq!(list["items"], serde_json::json!([]));
}

#[test]
fn the_namespace_comes_from_the_flag_else_from_the_context() {
    let cluster = two_projects();
    env(&cluster, &["list"]);
    env(&cluster, &["list", "-n", "other"]);
    env(&cluster, &["list", "-A"]);
    let asked: Vec<String> = cluster
        .requests()
        .iter()
        .map(|request| request.target.split('?').next().unwrap().to_owned())
        .collect();
    let group = "/apis/graftling.dev/v1alpha1";
    assert_eq!(
        asked,
        [
            format!("{group}/namespaces/team/environments"),
            format!("{group}/namespaces/other/environments"),
            format!("{group}/environments"),
        ]
    );
}

#[test]
fn a_long_list_is_read_page_by_page() {
    let cluster = Cluster::answering(|request| {
        let (name, next) = match request.target.contains("continue=") {
            true => ("shop-b-bbbbbbbbbb", ""),
            false => ("shop-a-aaaaaaaaaa", "next"),
        };
        let list = serde_json::json!({
            "metadata": { "resourceVersion": "1", "continue": next }, "items": [environment("shop", "x", name)],
        });
        (200, list.to_string())
    });
    let run = env(&cluster, &["list", "-o", "name"]);
    assert_eq!(
        run.output,
        "environment.graftling.dev/shop-a-aaaaaaaaaa\nenvironment.graftling.dev/shop-b-bbbbbbbbbb\n"
    );
}

#[test]
fn a_list_that_expires_between_two_pages_is_read_again_whole() {
    let cluster = Cluster::answering(|request| match request.target.as_str() {
        target if target.contains("continue=") => refusal(410, "Expired", "the continue token is too old"),
        target if target.contains("limit=") => {
            let list = serde_json::json!({
                "metadata": { "resourceVersion": "1", "continue": "next" }, "items": [environment("shop", "x", "shop-a-aaaaaaaaaa")],
            });
            (200, list.to_string())
        }
        _ => listing(request, &[environment("shop", "x", "shop-b-bbbbbbbbbb")]),
    });
    let run = env(&cluster, &["list", "-o", "name"]);
    assert_eq!(run.output, "environment.graftling.dev/shop-b-bbbbbbbbbb\n", "{}", run.errors);
}

#[test]
fn feature_c2_a_branch_is_accepted_wherever_an_environment_is_meant() {
    let cluster = two_projects();
    let expected = "environment.graftling.dev/shop-main-cccccccccc\n";
    assert_eq!(env(&cluster, &["get", "main", "-o", "name"]).output, expected);
    assert_eq!(env(&cluster, &["get", "shop-main-cccccccccc", "-o", "name"]).output, expected);
    assert!(
        env(&cluster, &["describe", "main"])
            .output
            .starts_with("Name:          shop-main-cccccccccc\n")
    );
    let deleted = env(&cluster, &["delete", "main", "--yes"]);
    assert_eq!(
        deleted.output,
        "environment.graftling.dev/shop-main-cccccccccc deletion requested\n"
    );
}

#[test]
fn a_branch_without_an_environment_ends_with_code_3_and_near_names() {
    let run = env(&two_projects(), &["get", "mian"]);
    assert_eq!((run.code, run.output.as_str()), (Some(3), ""));
    assert_eq!(
        run.errors,
        "error: there is no environment \"mian\" in namespace team; similar branches: main\n"
    );
}

#[test]
fn an_ambiguous_branch_ends_with_code_4_and_lists_what_it_may_mean() {
    let cluster = two_projects();
    let run = env(&cluster, &["delete", "feature/a", "--yes"]);
    assert_eq!((run.code, run.output.as_str()), (Some(4), ""));
    assert!(
        run.errors.contains("shop-feature-a-aaaaaaaaaa (project shop") && run.errors.contains("--project"),
        "{}",
        run.errors
    );
    assert!(cluster.requests().iter().all(|request| request.method == Method::GET));
    let run = env(&cluster, &["get", "feature/a", "--project", "web", "-o", "name"]);
    assert_eq!(run.output, "environment.graftling.dev/web-feature-a-bbbbbbbbbb\n");
}

#[test]
fn nothing_is_deleted_without_a_confirmation() {
    let cluster = two_projects();
    let run = env(&cluster, &["delete", "main"]);
    assert_eq!((run.code, run.output.as_str()), (Some(4), ""));
    assert!(run.errors.contains("--yes"), "{}", run.errors);
    assert!(cluster.requests().iter().all(|request| request.method == Method::GET));
}

#[test]
fn a_deletion_names_the_uid_that_was_looked_at() {
    let cluster = two_projects();
    env(&cluster, &["delete", "main", "--yes"]);
    let requests = cluster.requests();
    let deletion = requests.iter().find(|request| request.method == Method::DELETE).unwrap();
    let body: serde_json::Value = serde_json::from_str(&deletion.body).unwrap();
    assert_eq!(body["preconditions"]["uid"], "uid-of-shop-main-cccccccccc");
}

#[test]
fn an_environment_that_was_replaced_meanwhile_is_not_deleted_and_ends_with_code_4() {
    let cluster = Cluster::answering(|request| match request.method {
        Method::GET => listing(request, &[environment("shop", "main", "shop-main-cccccccccc")]),
        _ => refusal(409, "Conflict", "the UID in the precondition does not match"),
    });
    let run = env(&cluster, &["delete", "main", "--yes"]);
    assert_eq!((run.code, run.output.as_str()), (Some(4), ""));
    assert!(run.errors.contains("precondition"), "{}", run.errors);
}

#[test]
fn an_environment_that_went_meanwhile_counts_as_deleted() {
    let cluster = Cluster::answering(|request| match request.method {
        Method::GET => listing(request, &[environment("shop", "main", "shop-main-cccccccccc")]),
        _ => refusal(404, "NotFound", "environments \"shop-main-cccccccccc\" not found"),
    });
    let run = env(&cluster, &["delete", "main", "--yes"]);
    assert_eq!(run.code, Some(0), "{}", run.errors);
    assert_eq!(run.output, "environment.graftling.dev/shop-main-cccccccccc was already gone\n");
}

/// A cluster in which a deletion takes effect at once, with the receipt that `receipt` answers.
fn obeying(receipt: Answer) -> Cluster {
    let gone = AtomicBool::new(false);
    Cluster::answering(move |request| match (request.method.as_str(), request.target.as_str()) {
        ("DELETE", _) => {
            gone.store(true, Ordering::SeqCst);
            (200, environment("shop", "main", "shop-main-cccccccccc").to_string())
        }
        (_, target) if target.contains("/configmaps/shop-main-cccccccccc-uid-of-s-receipt") => receipt.clone(),
        _ if gone.load(Ordering::SeqCst) => listing(request, &[]),
        _ => listing(request, &[environment("shop", "main", "shop-main-cccccccccc")]),
    })
}

#[test]
fn who_waits_for_a_deletion_gets_the_receipt_alone_on_standard_output() {
    let data = serde_json::json!({ "metadata": { "name": "x" }, "data": { "receipt.yaml": "created: 3\nremoved: 3\n" } });
    let run = env(&obeying((200, data.to_string())), &["delete", "main", "--yes", "--wait"]);
    assert_eq!((run.code, run.output.as_str()), (Some(0), "created: 3\nremoved: 3\n"));
    assert_eq!(
        run.errors,
        "environment.graftling.dev/shop-main-cccccccccc deletion requested\nenvironment.graftling.dev/shop-main-cccccccccc is gone\n"
    );
}

#[test]
fn a_receipt_of_several_parts_names_each() {
    let data = serde_json::json!({ "metadata": { "name": "x" }, "data": { "a.yaml": "a: 1", "b.txt": "\u{1b}[31mred\n" } });
    let run = env(&obeying((200, data.to_string())), &["delete", "main", "--yes", "--wait"]);
    assert_eq!(run.output, "# a.yaml\na: 1\n# b.txt\n\u{fffd}[31mred\n");
}

#[test]
fn a_teardown_without_a_receipt_is_told() {
    let cluster = obeying(refusal(404, "NotFound", "configmaps \"x\" not found"));
    let run = env(&cluster, &["delete", "main", "--yes", "--wait"]);
    assert_eq!((run.code, run.output.as_str()), (Some(0), ""));
    assert!(
        run.errors
            .ends_with("warning: there is no receipt for environment.graftling.dev/shop-main-cccccccccc\n"),
        "{}",
        run.errors
    );
}

#[test]
fn a_teardown_that_lasts_longer_than_we_wait_ends_with_code_1_and_its_state() {
    let cluster = Cluster::answering(|request| match request.target.as_str() {
        _ if request.method == Method::DELETE => (200, environment("shop", "main", "shop-main-cccccccccc").to_string()),
        target if target.contains("watch=true") => refusal(500, "InternalError", "out of order"),
        _ => listing(request, &[environment("shop", "main", "shop-main-cccccccccc")]),
    });
    let run = env(&cluster, &["delete", "main", "--yes", "--wait", "--timeout", "500ms"]);
    assert_eq!((run.code, run.output.as_str()), (Some(1), ""));
    assert!(
        run.errors
            .contains("warning: could not follow the environment: the cluster answered 500: out of order; trying again\n"),
        "{}",
        run.errors
    );
    assert!(
        run.errors
            .contains("is not gone after 0.5 seconds: it is Ready; the teardown goes on"),
        "{}",
        run.errors
    );
}
