//! What is written at Bitbucket: once, or the same again.

use graftling::domain::report::{CommitReport, CommitState, DeploymentReport, DeploymentState};
use graftling::githost::Error;
use graftling::githost::report::Report;
use testbed::bitbucket::{Comment, Fault, Route};

use super::super::{Case, ID, branch};
use super::{CLOUD, both, host, pull_request, settings};

const MARKER: &str = "<!-- graftling:shop/x -->";

fn report_of(case: &Case) -> &dyn Report {
    case.host.report().expect("Bitbucket shows what is told")
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

#[tokio::test]
async fn a_build_status_said_twice_is_there_once_and_follows_what_is_said() {
    for (case, bitbucket, commit) in both().await {
        for (state, expected) in [
            (CommitState::Pending, "INPROGRESS"),
            (CommitState::Success, "SUCCESSFUL"),
            (CommitState::Pending, "INPROGRESS"),
            (CommitState::Failure, "FAILED"),
        ] {
            for _ in 0..2 {
                let said = status(&commit, state);
                report_of(&case).commit(&case.name, &said).await.expect("it is written");
            }
            let all = bitbucket.statuses(ID);
            let [only] = &all[..] else { panic!("{}: {all:?}", case.label) };
            assert_eq!((only.state.as_str(), only.name.as_str()), (expected, "preview/shop"));
            assert_eq!(only.url, "https://x.preview.example.com");
        }
    }
}

#[tokio::test]
async fn a_status_with_a_long_context_and_without_an_address_is_taken_and_found_again() {
    for (case, bitbucket, commit) in both().await {
        let mut said = status(&commit, CommitState::Success);
        said.context = format!("preview/{}", "long".repeat(20));
        said.target = None;
        report_of(&case).commit(&case.name, &said).await.expect("it is written");
        let told = bitbucket.statuses(ID).pop().expect("it is there");
        let page = if case.label == CLOUD {
            "/acme/shop"
        } else {
            "/projects/WEB/repos/shop"
        };
        assert_eq!(told.url, format!("{}{page}", bitbucket.url()));
        let found = case.host.commit_status(&case.name, &said.revision, &said.context).await;
        assert_eq!(found.expect("an answer").expect("ours").state, "success", "{}", case.label);
    }
}

#[tokio::test]
async fn a_status_of_a_commit_that_is_gone_is_no_error_and_one_of_a_repository_that_is_gone_is() {
    for (case, bitbucket, _) in both().await {
        let gone = status(&"ab".repeat(20), CommitState::Success);
        report_of(&case).commit(&case.name, &gone).await.expect("nobody looks at it");
        bitbucket.set_fault_on(Route::Statuses, Fault::HtmlNotFound);
        let error = report_of(&case).commit(&case.name, &gone).await.expect_err("a proxy's page");
        assert!(matches!(error, Error::Unusable { .. }), "{error:?}");
        bitbucket.clear_faults();
        bitbucket.remove_repository(ID);
        let error = report_of(&case).commit(&case.name, &gone).await.expect_err("it is gone");
        assert!(matches!(error, Error::RepositoryNotFound { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn our_comment_is_the_oldest_of_our_own_with_the_marker_on_whichever_page() {
    for (case, bitbucket, _) in both().await {
        let report = report_of(&case);
        bitbucket.set_max_page_size(2);
        bitbucket.set_pull_requests(ID, vec![pull_request(12, "x", Some(ID)), pull_request(13, "y", Some(ID))]);
        let body = format!("{MARKER}\nready\n");
        let hidden = "[//]: # (graftling:shop/x)\nready\n";
        bitbucket.put_comment(ID, Comment::new(1, 12, (4, "mia"), hidden));
        bitbucket.put_comment(ID, Comment::new(2, 13, (testbed::bitbucket::ACCOUNT, "graftling"), hidden));
        bitbucket.put_comment(
            ID,
            Comment::new(3, 12, (testbed::bitbucket::ACCOUNT, "graftling"), "something else"),
        );
        assert_eq!(report.own_comment(&case.name, 12, MARKER).await.expect("an answer"), None);

        let id = report.write_comment(&case.name, 12, &body).await.expect("it is written");
        report.write_comment(&case.name, 12, &body).await.expect("it is written");
        let sent = bitbucket
            .comments(ID)
            .into_iter()
            .find(|one| one.id == id)
            .expect("it is there")
            .body;
        assert_eq!(sent, hidden, "{}: nobody sees the marker", case.label);
        let found = report.own_comment(&case.name, 12, MARKER).await.expect("an answer").expect("ours");
        assert_eq!((found.id, found.body), (id, body), "{}: the oldest, as it was written", case.label);
        for text in ["removed", "removed again"] {
            let edited = report.edit_comment(&case.name, 12, id, &format!("{MARKER}\n{text}")).await;
            assert!(edited.expect("an answer"));
            let found = report.own_comment(&case.name, 12, MARKER).await.expect("an answer").expect("ours");
            assert_eq!(found.body, format!("{MARKER}\n{text}"));
        }
        let asked = bitbucket.requests().iter().filter(|route| **route == Route::Account).count();
        assert_eq!(asked, usize::from(case.label == CLOUD), "whose token it is is asked once");
    }
}

#[tokio::test]
async fn a_token_that_may_not_say_whose_it_is_finds_the_comments_of_programs() {
    let (case, bitbucket, _) = both().await.remove(0);
    bitbucket.hide_account();
    bitbucket.set_pull_requests(ID, vec![pull_request(12, "x", Some(ID))]);
    let host = host(&settings(case.label, &bitbucket));
    let report = host.report().expect("Bitbucket shows what is told");
    bitbucket.put_comment(ID, Comment::new(1, 12, (4, "mia"), "[//]: # (graftling:shop/x)"));
    assert_eq!(report.own_comment(&case.name, 12, MARKER).await.expect("an answer"), None);
    let id = report.write_comment(&case.name, 12, MARKER).await.expect("it is written");
    let found = report.own_comment(&case.name, 12, MARKER).await.expect("an answer").expect("ours");
    assert_eq!(found.id, id);
}

#[tokio::test]
async fn a_comment_or_a_pull_request_that_is_gone_is_told_from_a_failure() {
    for (case, bitbucket, _) in both().await {
        let report = report_of(&case);
        bitbucket.set_pull_requests(ID, vec![pull_request(12, "x", Some(ID))]);
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
            bitbucket.set_fault_on(Route::Comments, fault);
            assert!(report.own_comment(&case.name, 12, MARKER).await.is_err(), "{fault:?}");
            assert!(report.write_comment(&case.name, 12, "x").await.is_err(), "{fault:?}");
            assert!(report.edit_comment(&case.name, 12, 99, "x").await.is_err(), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn there_are_no_deployments_and_nothing_is_asked() {
    for (case, bitbucket, commit) in both().await {
        let said = DeploymentReport {
            environment: "shop-x".to_owned(),
            revision: commit.parse().expect("a commit"),
            branch: branch("x"),
            state: DeploymentState::Success,
            description: "it is there".to_owned(),
            url: None,
        };
        let known = report_of(&case).deployment(&case.name, &said, Some(3)).await;
        assert_eq!(known.expect("it is no error"), None);
        assert_eq!(bitbucket.requests(), []);
    }
}
