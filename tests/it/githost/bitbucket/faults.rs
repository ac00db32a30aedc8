//! What must never be taken for an answer.

use std::time::Duration;

use graftling::githost::{Class, Error};
use testbed::bitbucket::{Comment, FakeBitbucket, Fault, Route};

use super::super::{Case, ID, branch};
use super::{CLOUD, both, host, pull_request, settings};

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
    for (case, bitbucket, _) in both().await {
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
            bitbucket.set_fault(fault);
            for error in failures(&case).await {
                assert_eq!(error.class(), expected, "{}: {fault:?}: {error:?}", case.label);
            }
        }
        bitbucket.clear_faults();
        let listing = case.host.listing(&case.name).await.expect("the host is well again");
        assert_eq!(listing.branches.len(), 3);
    }
}

#[tokio::test]
async fn f64_a_failure_in_the_middle_is_never_a_shorter_listing() {
    for (case, bitbucket, _) in both().await {
        bitbucket.set_max_page_size(1);
        bitbucket.set_pull_requests(ID, (1..=3).map(|number| pull_request(number, "x", Some(ID))).collect());
        for (route, fault) in [
            (Route::Branches, Fault::ServerError),
            (Route::Branches, Fault::Html),
            (Route::Branches, Fault::LoginRedirect),
            (Route::Branches, Fault::EmptyList),
            (Route::Branches, Fault::EmptyBody),
            (Route::Branches, Fault::CutPage(2)),
            (Route::Branches, Fault::NotFound),
            (Route::Branches, Fault::HtmlNotFound),
            (Route::PullRequests, Fault::ServerError),
            (Route::PullRequests, Fault::CutPage(1)),
            (Route::PullRequests, Fault::CutPage(3)),
            (Route::PullRequests, Fault::NotFound),
            (Route::PullRequests, Fault::Html),
        ] {
            bitbucket.clear_faults();
            bitbucket.set_fault_on(route, fault);
            let error = case.host.listing(&case.name).await.err();
            assert!(error.is_some(), "{}: {route:?} {fault:?}", case.label);
        }
    }
}

#[tokio::test]
async fn f64_only_bitbuckets_own_404_and_a_repository_that_is_there_make_a_branch_absent() {
    for (case, bitbucket, _) in both().await {
        for (fault, expected) in [
            (Fault::HtmlNotFound, Class::Transient),
            (Fault::Html, Class::Transient),
            (Fault::EmptyBody, Class::Transient),
            (Fault::ServerError, Class::Transient),
            (Fault::Forbidden, Class::NeedsAttention),
            // The same words as for one branch, for all of them: the repository's storage is lost.
            (Fault::NotFound, Class::Transient),
        ] {
            bitbucket.set_fault_on(Route::Branch, fault);
            let error = case.host.lookup(&case.name, &branch("gone")).await.expect_err("no answer");
            assert_eq!(error.class(), expected, "{}: {fault:?}: {error:?}", case.label);
        }
        bitbucket.clear_faults();
        let absent = case.host.lookup(&case.name, &branch("gone")).await.expect("the host is well");
        assert_eq!(absent.head, None, "{}", case.label);
        if case.label != CLOUD {
            bitbucket.set_fault_on(Route::Branches, Fault::EmptyList);
            let error = case.host.lookup(&case.name, &branch("x")).await.expect_err("its commits are there");
            assert!(matches!(error, Error::Unusable { .. }), "{error:?}");
        }
    }
}

#[tokio::test]
async fn f64_an_answer_that_is_none_says_nothing_of_a_comment_a_right_or_a_status() {
    for (case, bitbucket, commit) in both().await {
        bitbucket.set_pull_requests(ID, vec![pull_request(12, "x", Some(ID))]);
        bitbucket.put_comment(ID, Comment::new(7, 12, (4, "mia"), "/preview approve"));
        bitbucket.set_right(ID, 4, "mia", "write");
        bitbucket.put_status(ID, &commit, "build", "SUCCESSFUL");
        let at = commit.parse().expect("a commit");
        for fault in [
            Fault::ServerError,
            Fault::Html,
            Fault::HtmlNotFound,
            Fault::EmptyBody,
            Fault::LoginRedirect,
        ] {
            for route in [Route::Comments, Route::Rights, Route::Statuses, Route::Changes] {
                bitbucket.set_fault_on(route, fault);
            }
            let errors = [
                case.host.comment(&case.name, 12, 7).await.err(),
                case.host.permission(&case.name, "mia").await.err(),
                case.host.commit_status(&case.name, &at, "build").await.err(),
                case.host.changed_paths(&case.name, &branch("main"), &at).await.err(),
            ];
            for error in errors {
                let error = error.expect("no answer");
                assert_eq!(error.class(), Class::Transient, "{}: {fault:?}: {error}", case.label);
            }
        }
        bitbucket.set_fault_on(Route::Rights, Fault::Forbidden);
        let refused = case.host.permission(&case.name, "mia").await.expect_err("no answer");
        assert!(matches!(refused, Error::Refused { .. }), "{refused}");
    }
}

#[tokio::test]
async fn threat_t06_the_token_is_sent_to_its_own_host_only() {
    for (case, bitbucket, _) in both().await {
        bitbucket.require_authorization("right");
        let error = case.host.listing(&case.name).await.expect_err("there is no token");
        assert!(matches!(error, Error::Refused { status: 401, .. }), "{error:?}");
        let mut settings = settings(case.label, &bitbucket);
        settings.token = Some("right".to_owned().into());
        let host = host(&settings);
        assert_eq!(host.listing(&case.name).await.expect("the token is right").branches.len(), 3);
        let elsewhere = FakeBitbucket::start().await.expect("a loopback port is free");
        bitbucket.set_fault(Fault::ForeignRedirect(elsewhere.address()));
        let error = host.listing(&case.name).await.expect_err("it leads elsewhere");
        assert!(matches!(error, Error::Unusable { .. }), "{error:?}");
        let report = host.report().expect("Bitbucket shows what is told");
        let error = report.write_comment(&case.name, 12, "hello").await.expect_err("it leads elsewhere");
        assert!(!format!("{error:?} {error}").contains("right"), "{error:?}");
        bitbucket.clear_faults();
        if case.label == CLOUD {
            bitbucket.set_max_page_size(1);
            bitbucket.set_fault_on(Route::Branches, Fault::ForeignNext(elsewhere.address()));
            let error = host.listing(&case.name).await.expect_err("it leads elsewhere");
            assert!(error.to_string().contains("at another address"), "{error}");
        }
        assert_eq!(elsewhere.requests(), [], "nobody else was asked anything");
    }
}

#[tokio::test]
async fn f64_a_host_that_is_slow_or_down_is_unreachable() {
    for (case, bitbucket, _) in both().await {
        bitbucket.set_fault(Fault::Hang);
        let mut settings = settings(case.label, &bitbucket);
        settings.request_timeout = Duration::from_millis(200);
        let error = host(&settings).listing(&case.name).await.expect_err("nothing comes");
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        drop(bitbucket);
        let error = case.host.listing(&case.name).await.expect_err("nobody listens");
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    }
}
