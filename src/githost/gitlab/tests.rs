//! What needs no GitLab: addresses, tokens, and what parts of answers are worth. The rest stands in `tests/it/githost/gitlab`.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use serde_json::{Value, json};

use super::*;

#[test]
fn the_interface_is_below_the_url_unless_it_is_named() {
    let base = |url: &str, api_url: Option<&str>| {
        let mut settings = Settings::new(url);
        settings.api_url = api_url.map(str::to_owned);
        Gitlab::connect(&settings).map(|gitlab| gitlab.api.base().to_string())
    };
    assert_eq!(base("https://gitlab.com", None).unwrap(), "https://gitlab.com/api/v4");
    assert_eq!(
        base("https://example.com/gitlab/", None).unwrap(),
        "https://example.com/gitlab/api/v4"
    );
    assert_eq!(
        base("https://a.example", Some("https://b.example/x")).unwrap(),
        "https://b.example/x"
    );
    assert!(base("ssh://git@example.com", None).is_err());
}

#[test]
fn the_path_of_a_project_is_one_segment_and_cannot_leave_its_place() {
    let gitlab = Gitlab::connect(&Settings::new("https://gitlab.com")).unwrap();
    let name: RepositoryName = "acme/web-ui/shop.js".parse().unwrap();
    let url = gitlab.below(&name, &["repository", "branches", "feature/50%#?"]).unwrap();
    assert_eq!(
        url.as_str(),
        "https://gitlab.com/api/v4/projects/acme%2Fweb-ui%2Fshop.js/repository/branches/feature%2F50%25%23%3F"
    );
    for name in [
        "shop",
        "acme//shop",
        "./shop",
        "acme/.",
        "acme/a?b",
        "acme/a%2fb",
        "/shop",
        "acme/",
        "acme/ä",
    ] {
        let error = path(&name.parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("GROUP/PROJECT"), "{name}: {error}");
    }
}

#[test]
fn threat_t06_a_token_that_no_header_can_carry_is_refused_and_never_shown() {
    let mut settings = Settings::new("https://gitlab.com");
    settings.token = Some("glpat-s3cret\nX-Injected: 1".to_owned().into());
    let error = Gitlab::connect(&settings).unwrap_err();
    assert!(matches!(error, Error::Misconfigured { .. }), "{error}");
    settings.token = Some("glpat-s3cret\n".to_owned().into());
    let gitlab = Gitlab::connect(&settings).unwrap();
    assert!(!format!("{error:?} {error} {settings:?} {gitlab:?}").contains("s3cret"));
}

fn paths(comparison: Value) -> Option<Vec<String>> {
    let comparison: wire::Comparison = serde_json::from_value(comparison).unwrap();
    comparison.into_paths().map(|paths| paths.into_iter().collect())
}

fn diff(old: &str, new: &str) -> Value {
    json!({"old_path": old, "new_path": new, "a_mode": "100644", "b_mode": "100644", "diff": "@@ -1 +1 @@\n-a\n+b\n",
           "new_file": false, "renamed_file": old != new, "deleted_file": false})
}

#[test]
fn a_comparison_has_both_names_of_a_renamed_file() {
    let told = paths(json!({"diffs": [diff("a", "a"), diff("b/old", "b/new")], "compare_timeout": false}));
    assert_eq!(told.unwrap(), ["a", "b/new", "b/old"]);
    assert_eq!(paths(json!({"diffs": []})).unwrap(), Vec::<String>::new());
}

#[test]
fn a_comparison_that_may_be_cut_tells_nothing() {
    let bent = |change: fn(&mut Value)| {
        let mut one = diff("a", "a");
        change(&mut one);
        paths(json!({"diffs": [diff("b", "b"), one]}))
    };
    assert_eq!(paths(json!({"diffs": [diff("a", "a")], "compare_timeout": true})), None);
    assert_eq!(bent(|one| one["collapsed"] = json!(true)), None);
    assert_eq!(bent(|one| one["too_large"] = json!(true)), None);
    assert_eq!(bent(|one| one["diff"] = json!("")), None, "an older GitLab left the text out");
    let many: Vec<_> = (0..1000).map(|number| diff(&format!("{number}"), &format!("{number}"))).collect();
    assert_eq!(paths(json!({ "diffs": many })), None);
    let told = bent(|one| {
        one["diff"] = json!("");
        one["collapsed"] = json!(false);
    });
    assert!(told.is_some(), "an empty file of a GitLab that tells what it leaves out");
    assert!(bent(|one| one["b_mode"] = json!("100755")).is_some());
}

#[test]
fn a_merge_request_tells_its_head_labels_and_draft_and_a_fork_its_commit() {
    let read = |change: fn(&mut Value)| {
        let mut one = json!({
            "id": 99, "iid": 12, "title": "Login", "source_branch": "feature/login", "target_branch": "main", "source_project_id": 15,
            "target_project_id": 15, "author": {"id": 4, "username": "mia"}, "labels": ["z", "a"], "draft": true, "sha": "a".repeat(40),
        });
        change(&mut one);
        let one: wire::MergeRequest = serde_json::from_value(one).unwrap();
        one.into_domain(&"15".parse().unwrap())
    };
    let own = read(|_| {}).unwrap();
    assert_eq!(
        (own.number, own.head.as_str(), own.base.as_str(), own.draft),
        (12, "feature/login", "main", true)
    );
    assert_eq!(
        (own.author.as_str(), own.labels, own.fork),
        ("mia", vec!["a".to_owned(), "z".to_owned()], None)
    );
    for source in [json!(77), Value::Null] {
        let mut fork = json!({
            "iid": 12, "title": "Login", "source_branch": "main", "target_branch": "main", "sha": "a".repeat(40), "author": null,
        });
        fork["source_project_id"] = source;
        let fork: wire::MergeRequest = serde_json::from_value(fork).unwrap();
        let told = fork.into_domain(&"15".parse().unwrap()).unwrap().fork.unwrap();
        assert_eq!((told.revision.as_str().len(), told.repository), (40, None));
    }
    assert!(read(|one| one["work_in_progress"] = json!(true)).unwrap().draft);
    assert!(read(|one| one["source_branch"] = json!("-x")).is_none());
    let without_commit = read(|one| {
        one["source_project_id"] = json!(77);
        one["sha"] = Value::Null;
    });
    assert!(without_commit.is_none());
}
