//! What is written at GitLab: once, or the same again.

use graftling::domain::report::{CommitReport, CommitState, DeploymentReport, DeploymentState};
use graftling::githost::Error;
use graftling::githost::report::Report;
use testbed::gitlab::{Fault, Note, Route};

use super::super::{Case, ID, branch};
use super::{case_with_branches, merge_request};

const MARKER: &str = "<!-- graftling:shop/x -->";

fn report_of(case: &Case) -> &dyn Report {
    case.host.report().expect("GitLab shows what is told")
}

fn status(commit: &str, state: CommitState) -> CommitReport {
    CommitReport {
        revision: commit.parse().expect("a commit"),
        branch: branch("x"),
        context: "preview/shop".to_owned(),
        state,
        description: "it is on its way".to_owned(),
        target: Some("https://x.preview.example.com".to_owned()),
    }
}

fn deployment(commit: &str, state: DeploymentState) -> DeploymentReport {
    DeploymentReport {
        environment: "shop-x".to_owned(),
        revision: commit.parse().expect("a commit"),
        branch: branch("x"),
        state,
        description: "it is on its way".to_owned(),
        url: Some("https://x.preview.example.com".to_owned()),
    }
}

#[tokio::test]
async fn a_commit_status_said_twice_is_there_once_and_follows_what_is_said() {
    let (case, gitlab, commit) = case_with_branches().await;
    let report = report_of(&case);
    for (state, expected) in [
        (CommitState::Pending, "pending"),
        (CommitState::Success, "success"),
        (CommitState::Pending, "pending"),
        (CommitState::Failure, "failed"),
    ] {
        let before = gitlab.statuses(ID).len();
        for _ in 0..2 {
            report.commit(&case.name, &status(&commit, state)).await.expect("it is written");
        }
        let all = gitlab.statuses(ID);
        let newest = all.last().expect("a status");
        assert_eq!((all.len() - before, newest.state.as_str()), (1, expected));
        assert_eq!((newest.name.as_str(), newest.branch.as_str()), ("preview/shop", "x"));
        assert_eq!(newest.target, "https://x.preview.example.com");
    }
}

#[tokio::test]
async fn a_status_of_a_commit_that_is_gone_is_no_error_and_one_of_a_project_that_is_gone_is() {
    let (case, gitlab, _) = case_with_branches().await;
    let gone = status(&"ab".repeat(20), CommitState::Success);
    report_of(&case).commit(&case.name, &gone).await.expect("nobody looks at it");
    gitlab.set_fault_on(Route::Statuses, Fault::HtmlNotFound);
    let error = report_of(&case).commit(&case.name, &gone).await.expect_err("a proxy's page");
    assert!(matches!(error, Error::Unusable { .. }), "{error:?}");
    gitlab.clear_faults();
    gitlab.remove_project(ID);
    let error = report_of(&case).commit(&case.name, &gone).await.expect_err("it is gone");
    assert!(matches!(error, Error::RepositoryNotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn our_comment_is_the_oldest_of_our_own_with_the_marker_on_whichever_page() {
    let (case, gitlab, _) = case_with_branches().await;
    let report = report_of(&case);
    gitlab.set_max_page_size(2);
    gitlab.set_merge_requests(ID, vec![merge_request(12, "x", Some(ID)), merge_request(13, "y", Some(ID))]);
    let body = format!("{MARKER}\n/preview is ready\n");
    gitlab.put_note(ID, Note::new(1, 12, (4, "mia"), &body));
    gitlab.put_note(ID, Note::new(2, 13, (testbed::gitlab::ACCOUNT, "graftling"), &body));
    gitlab.put_note(ID, Note::new(3, 12, (testbed::gitlab::ACCOUNT, "graftling"), "something else"));
    assert_eq!(report.own_comment(&case.name, 12, MARKER).await.expect("an answer"), None);

    let id = report.write_comment(&case.name, 12, &body).await.expect("it is written");
    report.write_comment(&case.name, 12, &body).await.expect("it is written");
    let sent = &gitlab.notes(ID).into_iter().find(|note| note.id == id).expect("it is there").body;
    assert!(!sent.contains("\n/preview"), "GitLab would take it for a command: {sent:?}");
    let found = report.own_comment(&case.name, 12, MARKER).await.expect("an answer").expect("ours");
    assert_eq!((found.id, found.body), (id, body), "the oldest, as it was written");

    let edited = report.edit_comment(&case.name, 12, id, &format!("{MARKER}\nremoved")).await;
    assert!(edited.expect("an answer"));
    let found = report.own_comment(&case.name, 12, MARKER).await.expect("an answer").expect("ours");
    assert_eq!(found.body, format!("{MARKER}\nremoved"));
    let asked = gitlab.requests().iter().filter(|route| **route == Route::Account).count();
    assert_eq!(asked, 1, "whose token it is is asked once");
}

#[tokio::test]
async fn a_comment_or_a_merge_request_that_is_gone_is_told_from_a_failure() {
    let (case, gitlab, _) = case_with_branches().await;
    let report = report_of(&case);
    gitlab.set_merge_requests(ID, vec![merge_request(12, "x", Some(ID))]);
    assert!(!report.edit_comment(&case.name, 12, 99, "x").await.expect("an answer"));
    assert_eq!(report.own_comment(&case.name, 99, MARKER).await.expect("an answer"), None);
    assert!(!report.edit_comment(&case.name, 99, 1, "x").await.expect("an answer"));
    for fault in [
        Fault::HtmlNotFound,
        Fault::Html,
        Fault::ServerError,
        Fault::LoginRedirect,
        Fault::EmptyBody,
    ] {
        gitlab.set_fault_on(Route::Notes, fault);
        assert!(report.own_comment(&case.name, 12, MARKER).await.is_err(), "{fault:?}");
        assert!(report.write_comment(&case.name, 12, "x").await.is_err(), "{fault:?}");
        assert!(report.edit_comment(&case.name, 12, 99, "x").await.is_err(), "{fault:?}");
    }
    gitlab.clear_faults();
    gitlab.rename_project(ID, "umbrella/store");
    let error = report.write_comment(&case.name, 12, "x").await.expect_err("it moved");
    assert!(matches!(error, Error::Unusable { .. }), "{error:?}");
    assert_eq!(gitlab.notes(ID), []);
}

#[tokio::test]
async fn an_environment_goes_from_queued_to_stopped_and_deleted_each_said_twice() {
    let (case, gitlab, commit) = case_with_branches().await;
    let report = report_of(&case);
    gitlab.put_environment(ID, "shop-x-2");
    let mut known = None;
    for (state, deployments) in [
        (DeploymentState::Queued, vec![]),
        (DeploymentState::InProgress, vec!["running"]),
        (DeploymentState::Failure, vec!["failed"]),
        (DeploymentState::Success, vec!["success"]),
        (DeploymentState::InProgress, vec!["success", "running"]),
        (DeploymentState::Success, vec!["success", "success"]),
    ] {
        let said = deployment(&commit, state);
        known = report.deployment(&case.name, &said, known).await.expect("it is written");
        // Once more with what is known, and once by somebody who knows nothing.
        for known in [known, None] {
            report.deployment(&case.name, &said, known).await.expect("it is written");
        }
        let told: Vec<_> = gitlab.deployments(ID).into_iter().map(|one| one.status).collect();
        assert_eq!(told, deployments, "{state:?}");
        let environments = gitlab.environments(ID);
        let ours: Vec<_> = environments.iter().filter(|one| one.name == "shop-x").collect();
        let [ours] = ours[..] else { panic!("{environments:?}") };
        assert_eq!(
            (ours.tier.as_str(), ours.external_url.as_str()),
            ("development", "https://x.preview.example.com")
        );
    }
    assert_eq!(known, gitlab.deployments(ID).last().map(|one| one.id));
    for _ in 0..2 {
        let said = deployment(&commit, DeploymentState::Inactive);
        let known = report.deployment(&case.name, &said, known).await.expect("it is written");
        assert_eq!(known, None);
    }
    let left: Vec<_> = gitlab.environments(ID).into_iter().map(|one| (one.name, one.state)).collect();
    assert_eq!(
        left,
        [("shop-x-2".to_owned(), "available".to_owned())],
        "only the one of exactly this name"
    );
}

#[tokio::test]
async fn a_new_address_replaces_the_old_and_what_is_gone_is_no_error() {
    let (case, gitlab, commit) = case_with_branches().await;
    let report = report_of(&case);
    let mut said = deployment(&commit, DeploymentState::Success);
    let first = report.deployment(&case.name, &said, None).await.expect("it is written");
    said.url = Some("https://y.preview.example.com".to_owned());
    assert_eq!(report.deployment(&case.name, &said, first).await.expect("it is written"), first);
    assert_eq!(gitlab.environments(ID)[0].external_url, "https://y.preview.example.com");
    let writes = gitlab.writes().len();
    report
        .deployment(&case.name, &said, first)
        .await
        .expect("there is nothing to write");
    assert_eq!(gitlab.writes().len(), writes);

    let gone = deployment(&"ab".repeat(20), DeploymentState::Failure);
    assert_eq!(report.deployment(&case.name, &gone, None).await.expect("nobody looks"), None);
    said.branch = branch("gone");
    said.revision = case.scratch.commit("two").parse().expect("a commit");
    assert_eq!(report.deployment(&case.name, &said, None).await.expect("nobody looks"), None);
    gitlab.set_fault_on(Route::Deployments, Fault::ServerError);
    assert!(report.deployment(&case.name, &said, None).await.is_err());
    gitlab.clear_faults();
    gitlab.remove_project(ID);
    let error = report.deployment(&case.name, &said, None).await.expect_err("it is gone");
    assert!(matches!(error, Error::RepositoryNotFound { .. }), "{error:?}");
}
