//! GitHub's own ways: pull requests, renames, tokens; and its failures, none of which is ever a listing.

use std::error::Error as _;
use std::time::Duration;

use graftling::domain::git::RepositoryName;
use graftling::githost::github::{Github, Settings};
use graftling::githost::{Class, Error, GitHost};
use testbed::github::{Budget, FakeGithub, Fault, OpenPullRequest, Route};

use super::{Case, ID, branch, connect};

async fn case_with_branches() -> (Case, FakeGithub) {
    let mut case = Case::github().await;
    case.scratch
        .set(&case.scratch.commit("one"), &["refs/heads/main", "refs/heads/x", "refs/heads/y"]);
    let github = case.github.take().expect("the case is GitHub's");
    (case, github)
}

fn pull(number: u64, head: &str, repository: Option<u64>) -> OpenPullRequest {
    OpenPullRequest {
        number,
        head: head.to_owned(),
        head_repository: repository,
        head_owner: if repository == Some(ID) { "acme" } else { "stranger" }.to_owned(),
        labels: vec!["preview".to_owned(), "area/web".to_owned()],
    }
}

#[tokio::test]
async fn open_pull_requests_are_listed_with_their_origin_and_found_by_their_branch() {
    let (case, github) = case_with_branches().await;
    let pulls = vec![
        pull(9, "x", Some(ID)),
        pull(4, "x", Some(ID)),
        pull(3, "x", Some(7)),
        pull(5, "gone", None),
    ];
    github.set_pull_requests(ID, pulls);
    let listing = case.host.listing(&case.name).await.expect("the host is well");
    let seen: Vec<_> = listing
        .pull_requests
        .iter()
        .map(|pull| (pull.number, pull.fork.is_some()))
        .collect();
    assert_eq!(seen, [(9, false), (4, false), (3, true), (5, true)]);
    assert_eq!(listing.pull_requests[0].labels, ["area/web", "preview"]);
    assert_eq!(listing.pull_requests[0].author, "mona");
    let lookup = case.host.lookup(&case.name, &branch("x")).await.expect("the host is well");
    assert_eq!(lookup.pull_request.map(|pull| pull.number), Some(4));
    let lookup = case.host.lookup(&case.name, &branch("y")).await.expect("the host is well");
    assert_eq!(lookup.pull_request, None);
}

#[tokio::test]
async fn many_pull_requests_are_read_to_the_last_page() {
    let (case, github) = case_with_branches().await;
    github.set_max_page_size(30);
    github.set_pull_requests(ID, (1..=100).map(|number| pull(number, "x", Some(ID))).collect());
    let listing = case.host.listing(&case.name).await.expect("the host is well");
    assert_eq!(listing.pull_requests.len(), 100);
}

#[tokio::test]
async fn a_page_that_is_full_and_has_no_link_is_not_taken_for_the_last() {
    let (case, github) = case_with_branches().await;
    github.set_pull_requests(ID, (1..=100).map(|number| pull(number, "x", Some(ID))).collect());
    let listing = case.host.listing(&case.name).await.expect("the host is well");
    assert_eq!(listing.pull_requests.len(), 100);
    let pages = github.requests();
    assert_eq!(pages.iter().filter(|route| **route == Route::Pulls).count(), 2);
}

#[tokio::test]
async fn feature_h3_a_look_at_what_has_not_changed_costs_three_conditional_requests_however_many_branches_there_are() {
    for count in [10, 1000] {
        let (case, github) = case_with_branches().await;
        let names: Vec<_> = (0..count).map(|number| format!("refs/heads/b{number}")).collect();
        case.scratch
            .set(&case.scratch.commit("more"), &names.iter().map(String::as_str).collect::<Vec<_>>());
        let first = case.host.listing(&case.name).await.expect("the host is well");
        assert_eq!((first.branches.len(), github.unchanged()), (count + 3, 0));
        let asked = github.requests().len();
        let again = case.host.listing(&case.name).await.expect("the host is well");
        assert_eq!((again, github.unchanged(), github.requests().len() - asked), (first, 3, 3));
        case.scratch.delete("refs/heads/b1");
        let shorter = case.host.listing(&case.name).await.expect("the host is well");
        assert_eq!(
            (shorter.branches.len(), github.unchanged()),
            (count + 2, 5),
            "only the branches are read anew"
        );
    }
}

#[tokio::test]
async fn feature_h3_a_tenth_of_the_budget_is_kept_from_sweeps_and_not_from_look_ups() {
    let (case, github) = case_with_branches().await;
    github.set_budget(Budget {
        limit: 5000,
        remaining: 499,
        ends_in: 600,
    });
    case.host.listing(&case.name).await.expect("nothing is known of the budget yet");
    let asked = github.requests().len();
    let error = case.host.listing(&case.name).await.expect_err("what is left is kept");
    assert!(
        matches!(error.class(), Class::RateLimited(Some(wait)) if (590..=600).contains(&wait.as_secs())),
        "{error:?}"
    );
    assert_eq!(github.requests().len(), asked, "nothing was asked");
    github.set_budget(Budget {
        limit: 5000,
        remaining: 4999,
        ends_in: 3600,
    });
    case.host.lookup(&case.name, &branch("x")).await.expect("a look-up may ask");
    case.host.listing(&case.name).await.expect("there is enough again");
}

#[tokio::test]
async fn f64_a_repository_with_more_pages_than_the_limit_is_refused_and_not_cut() {
    let (case, github) = case_with_branches().await;
    github.set_max_page_size(1);
    github.set_pull_requests(ID, (1..=201).map(|number| pull(number, "x", Some(ID))).collect());
    let error = case.host.listing(&case.name).await.expect_err("there are 201 pages");
    assert!(error.to_string().contains("more than 200 pages"), "{error}");
    github.set_pull_requests(ID, (1..=200).map(|number| pull(number, "x", Some(ID))).collect());
    assert_eq!(
        case.host.listing(&case.name).await.expect("200 pages are read").pull_requests.len(),
        200
    );
}

#[tokio::test]
async fn f65_a_renamed_repository_keeps_its_id_and_answers_under_both_names() {
    let (case, github) = case_with_branches().await;
    let before = case.host.repository(&case.name).await.expect("the host is well");
    github.rename_repository(ID, "umbrella", "store");
    let listing = case.host.listing(&case.name).await.expect("the former name redirects");
    assert_eq!(listing.repository.id, before.id);
    assert_eq!(
        listing.repository.name,
        "umbrella/store".parse::<RepositoryName>().expect("the name is valid")
    );
    assert_eq!(listing.branches.len(), 3);
    let absent = case.host.lookup(&case.name, &branch("z")).await.expect("the former name redirects");
    assert_eq!(absent.head, None);
}

#[tokio::test]
async fn f65_a_repository_that_became_private_is_an_error() {
    let (case, github) = case_with_branches().await;
    github.set_fault(Fault::NotFound);
    for error in failures(&case).await {
        assert!(matches!(error, Error::RepositoryNotFound { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn the_token_is_sent_and_a_wrong_one_is_refused() {
    let (case, github) = case_with_branches().await;
    github.require_token("ghp_right");
    let error = case.host.listing(&case.name).await.expect_err("there is no token");
    assert!(matches!(error, Error::Refused { status: 401, .. }), "{error:?}");
    let mut settings = Settings::new(github.url());
    settings.token = Some("ghp_right\n".to_owned().into());
    let host = Github::connect(&settings).expect("the settings are valid");
    assert_eq!(host.listing(&case.name).await.expect("the token is right").branches.len(), 3);
    github.rename_repository(ID, "umbrella", "store");
    assert_eq!(host.listing(&case.name).await.expect("it follows redirects").branches.len(), 3);
}

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
    let (case, github) = case_with_branches().await;
    for (fault, expected) in [
        (Fault::ServerError, Class::Transient),
        (Fault::Html, Class::Transient),
        (Fault::LoginRedirect, Class::Transient),
        (Fault::EmptyBody, Class::Transient),
        (Fault::Unauthorized, Class::NeedsAttention),
        (Fault::Forbidden, Class::NeedsAttention),
        (Fault::NotFound, Class::NeedsAttention),
        (Fault::TooManyRequests(17), Class::RateLimited(Some(Duration::from_secs(17)))),
        (
            Fault::TooManyRequests(1_000_000),
            Class::RateLimited(Some(Duration::from_secs(3600))),
        ),
        (Fault::SecondaryLimit, Class::RateLimited(None)),
    ] {
        github.set_fault(fault);
        for error in failures(&case).await {
            assert_eq!(error.class(), expected, "{fault:?}: {error:?}");
        }
    }
    github.clear_faults();
    assert_eq!(
        case.host.listing(&case.name).await.expect("the host is well again").branches.len(),
        3
    );
}

#[tokio::test]
async fn f64_a_failure_in_the_middle_is_never_a_shorter_listing() {
    let (case, github) = case_with_branches().await;
    github.set_max_page_size(1);
    for fault in [
        Fault::ServerError,
        Fault::Html,
        Fault::LoginRedirect,
        Fault::EmptyList,
        Fault::EmptyBody,
        Fault::CutPage(2),
        Fault::CutPage(3),
        Fault::Unauthorized,
        Fault::NotFound,
        Fault::HtmlNotFound,
        Fault::TooManyRequests(1),
    ] {
        github.set_fault_on(Route::Heads, fault);
        let error = case.host.listing(&case.name).await.expect_err("a page is missing");
        assert!(!error.to_string().is_empty(), "{fault:?}");
    }
    github.clear_faults();
    github.set_fault_on(Route::Pulls, Fault::ServerError);
    let error = case.host.listing(&case.name).await.expect_err("the pull requests are missing");
    assert!(matches!(error, Error::ServerError { status: 500, .. }), "{error:?}");
    github.clear_faults();
    assert_eq!(
        case.host.listing(&case.name).await.expect("the host is well again").branches.len(),
        3
    );
}

#[tokio::test]
async fn f64_a_link_to_another_host_is_not_followed() {
    let (case, github) = case_with_branches().await;
    github.set_max_page_size(1);
    github.set_fault_on(Route::Heads, Fault::ForeignLink);
    let error = case.host.listing(&case.name).await.expect_err("the next page is elsewhere");
    assert!(error.to_string().contains("leads to another host"), "{error}");
}

#[tokio::test]
async fn f64_only_githubs_own_404_and_a_repository_that_is_there_make_a_branch_absent() {
    let (case, github) = case_with_branches().await;
    for (fault, expected) in [
        (Fault::HtmlNotFound, Class::Transient),
        (Fault::Html, Class::Transient),
        (Fault::EmptyBody, Class::Transient),
        (Fault::ServerError, Class::Transient),
        (Fault::Forbidden, Class::NeedsAttention),
    ] {
        github.set_fault_on(Route::Reference, fault);
        for name in ["x", "gone"] {
            let error = case
                .host
                .lookup(&case.name, &branch(name))
                .await
                .expect_err("the ref has no usable answer");
            assert_eq!(error.class(), expected, "{fault:?}: {error:?}");
        }
    }
    github.clear_faults();
    let absent = case.host.lookup(&case.name, &branch("gone")).await.expect("the host is well");
    assert_eq!(absent.head, None);
    let asked = github.requests();
    assert_eq!(asked[asked.len() - 3..], [Route::Repository, Route::Reference, Route::Repository]);
}

#[tokio::test]
async fn f64_the_hourly_limit_says_when_to_come_back() {
    let (case, github) = case_with_branches().await;
    github.set_fault(Fault::LimitUsedUp(600));
    let error = case.host.listing(&case.name).await.expect_err("the limit is used up");
    let Class::RateLimited(Some(time)) = error.class() else {
        panic!("{error:?}")
    };
    assert!((590..=600).contains(&time.as_secs()), "{time:?}");
}

#[tokio::test]
async fn f64_a_host_that_never_answers_is_given_up_in_time() {
    let (case, github) = case_with_branches().await;
    github.set_fault(Fault::Hang);
    let mut settings = Settings::new(github.url());
    settings.request_timeout = Duration::from_millis(200);
    let host = Github::connect(&settings).expect("the settings are valid");
    let error = host.listing(&case.name).await.expect_err("nothing comes");
    assert!(matches!(error, Error::Unreachable { .. }) && error.source().is_some(), "{error:?}");
}

#[tokio::test]
async fn f64_a_host_that_is_down_is_unreachable() {
    let (case, github) = case_with_branches().await;
    let host = connect(&github);
    drop(github);
    let error = host.listing(&case.name).await.expect_err("nobody listens");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}
