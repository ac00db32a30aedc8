//! What must never be taken for an answer.

use std::time::Duration;

use graftling::githost::gitlab::{Gitlab, Settings};
use graftling::githost::{Class, Error, GitHost};
use testbed::gitlab::{FakeGitlab, Fault, Note, Route};

use super::super::{Case, ID, branch};
use super::{case_with_branches, connect, merge_request};

/// What all three questions are answered with while everything fails.
async fn failures(case: &Case) -> [Error; 3] {
    [
        case.host.repository(&case.name).await.expect_err("the host fails"),
        case.host.listing(&case.name).await.expect_err("the host fails"),
        case.host.lookup(&case.name, &branch("gone")).await.expect_err("the host fails"),
    ]
}

#[tokio::test]
async fn f64_no_failure_of_the_whole_host_is_an_answer() {
    let (case, gitlab, _) = case_with_branches().await;
    for (fault, expected) in [
        (Fault::ServerError, Class::Transient),
        (Fault::Html, Class::Transient),
        (Fault::LoginRedirect, Class::Transient),
        (Fault::EmptyBody, Class::Transient),
        (Fault::HtmlNotFound, Class::Transient),
        (Fault::Unauthorized, Class::NeedsAttention),
        (Fault::Forbidden, Class::NeedsAttention),
        (Fault::NotFound, Class::NeedsAttention),
        (Fault::TooManyRequests(17), Class::RateLimited(Some(Duration::from_secs(17)))),
        (
            Fault::TooManyRequests(1_000_000),
            Class::RateLimited(Some(Duration::from_secs(3600))),
        ),
    ] {
        gitlab.set_fault(fault);
        for error in failures(&case).await {
            assert_eq!(error.class(), expected, "{fault:?}: {error:?}");
        }
    }
    gitlab.set_fault(Fault::LimitUsedUp(600));
    for error in failures(&case).await {
        let Class::RateLimited(Some(time)) = error.class() else {
            panic!("{error:?}")
        };
        assert!((590..=600).contains(&time.as_secs()), "{time:?}");
    }
    gitlab.clear_faults();
    let listing = case.host.listing(&case.name).await.expect("the host is well again");
    assert_eq!(listing.branches.len(), 3);
}

#[tokio::test]
async fn f64_a_failure_in_the_middle_is_never_a_shorter_listing() {
    let (case, gitlab, _) = case_with_branches().await;
    gitlab.set_max_page_size(1);
    gitlab.set_merge_requests(ID, (1..=3).map(|number| merge_request(number, "x", Some(ID))).collect());
    for (route, fault) in [
        (Route::Branches, Fault::ServerError),
        (Route::Branches, Fault::Html),
        (Route::Branches, Fault::LoginRedirect),
        (Route::Branches, Fault::EmptyList),
        (Route::Branches, Fault::EmptyBody),
        (Route::Branches, Fault::CutPage(1)),
        (Route::Branches, Fault::Unauthorized),
        (Route::Branches, Fault::NotFound),
        (Route::Branches, Fault::HtmlNotFound),
        (Route::Branches, Fault::TooManyRequests(1)),
        (Route::MergeRequests, Fault::ServerError),
        (Route::MergeRequests, Fault::CutPage(2)),
        (Route::MergeRequests, Fault::CutPage(3)),
        (Route::MergeRequests, Fault::NotFound),
        (Route::MergeRequests, Fault::Html),
    ] {
        gitlab.clear_faults();
        gitlab.set_fault_on(route, fault);
        let error = case.host.listing(&case.name).await.err();
        assert!(error.is_some(), "{route:?} {fault:?}");
    }
    gitlab.clear_faults();
    let listing = case.host.listing(&case.name).await.expect("the host is well again");
    assert_eq!((listing.branches.len(), listing.pull_requests.len()), (3, 3));
}

#[tokio::test]
async fn f64_only_gitlabs_own_404_and_a_project_that_is_there_make_a_branch_absent() {
    let (case, gitlab, _) = case_with_branches().await;
    for (fault, expected) in [
        (Fault::HtmlNotFound, Class::Transient),
        (Fault::Html, Class::Transient),
        (Fault::EmptyBody, Class::Transient),
        (Fault::ServerError, Class::Transient),
        (Fault::Forbidden, Class::NeedsAttention),
        // The same words as for one branch, for all of them: the repository's storage is lost.
        (Fault::NotFound, Class::Transient),
    ] {
        gitlab.set_fault_on(Route::Branch, fault);
        let error = case.host.lookup(&case.name, &branch("gone")).await.expect_err("no answer");
        assert_eq!(error.class(), expected, "{fault:?}: {error:?}");
    }
    gitlab.clear_faults();
    let absent = case.host.lookup(&case.name, &branch("gone")).await.expect("the host is well");
    assert_eq!(absent.head, None);
    let asked = gitlab.requests();
    let expected = [Route::Project, Route::Branch, Route::Project, Route::Branch];
    assert_eq!(asked[asked.len() - 4..], expected);
}

#[tokio::test]
async fn f64_an_answer_that_is_none_says_nothing_of_a_comment_a_right_or_a_status() {
    let (case, gitlab, commit) = case_with_branches().await;
    gitlab.set_merge_requests(ID, vec![merge_request(12, "x", Some(ID))]);
    gitlab.put_note(ID, Note::new(7, 12, (4, "mia"), "/preview approve"));
    gitlab.add_member(ID, 4, "mia", "active", 30);
    gitlab.put_status(ID, &commit, "build", "success");
    let at = commit.parse().expect("a commit");
    for fault in [
        Fault::ServerError,
        Fault::Html,
        Fault::HtmlNotFound,
        Fault::EmptyBody,
        Fault::LoginRedirect,
    ] {
        for route in [Route::Notes, Route::Member, Route::Statuses, Route::Compare] {
            gitlab.set_fault_on(route, fault);
        }
        let errors = [
            case.host.comment(&case.name, 12, 7).await.err(),
            case.host.permission(&case.name, "mia").await.err(),
            case.host.commit_status(&case.name, &at, "build").await.err(),
            case.host.changed_paths(&case.name, &branch("main"), &at).await.err(),
        ];
        for error in errors {
            let error = error.expect("no answer");
            assert_eq!(error.class(), Class::Transient, "{fault:?}: {error}");
        }
    }
    gitlab.clear_faults();
    gitlab.set_fault_on(Route::Users, Fault::Forbidden);
    let refused = case.host.permission(&case.name, "mia").await.expect_err("no answer");
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
}

#[tokio::test]
async fn threat_t06_the_token_is_sent_to_its_own_host_only() {
    let (case, gitlab, _) = case_with_branches().await;
    gitlab.require_token("glpat-right");
    let error = case.host.listing(&case.name).await.expect_err("there is no token");
    assert!(matches!(error, Error::Refused { status: 401, .. }), "{error:?}");
    let mut settings = Settings::new(gitlab.url());
    settings.token = Some("glpat-right".to_owned().into());
    let host = Gitlab::connect(&settings).expect("the settings are valid");
    assert_eq!(host.listing(&case.name).await.expect("the token is right").branches.len(), 3);
    let elsewhere = FakeGitlab::start().await.expect("a loopback port is free");
    gitlab.set_fault(Fault::ForeignRedirect(elsewhere.address()));
    let error = host.listing(&case.name).await.expect_err("it leads elsewhere");
    assert!(matches!(error, Error::Unusable { .. }), "{error:?}");
    let report = host.report().expect("GitLab shows what is told");
    let error = report.write_comment(&case.name, 12, "hello").await.expect_err("it leads elsewhere");
    assert!(!format!("{error:?} {error}").contains("glpat"), "{error:?}");
    assert_eq!(elsewhere.requests(), [], "nobody else was asked anything");
}

#[tokio::test]
async fn f64_a_host_that_is_slow_or_down_is_unreachable() {
    let (case, gitlab, _) = case_with_branches().await;
    gitlab.set_fault(Fault::Hang);
    let mut settings = Settings::new(gitlab.url());
    settings.request_timeout = Duration::from_millis(200);
    let host = Gitlab::connect(&settings).expect("the settings are valid");
    let error = host.listing(&case.name).await.expect_err("nothing comes");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let host = connect(&gitlab);
    drop(gitlab);
    let error = host.listing(&case.name).await.expect_err("nobody listens");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}
