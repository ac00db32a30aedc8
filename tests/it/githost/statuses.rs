//! What others say of a commit, and what a checkout of it holds.

use graftling::domain::git::{Commit, Revision};
use graftling::githost::{Class, Error, Leaf};
use testbed::github::Fault;

use super::{Case, ID, branch};

fn revision(text: &str) -> Revision {
    text.parse().expect("the commit has an id")
}

#[tokio::test]
async fn feature_t14_the_newest_status_of_a_context_counts_on_whichever_page_it_is() {
    let case = Case::github().await;
    let commit = case.scratch.commit("one");
    case.scratch.set(&commit, &["refs/heads/main"]);
    let github = case.github.as_ref().expect("the case is GitHub's");
    let asked = || async { case.host.commit_status(&case.name, &revision(&commit), "ci/build").await };
    assert_eq!(asked().await.expect("the host is well"), None);
    github.set_status(ID, &commit, "ci/build", "pending");
    github.set_status(ID, &commit, "ci/build", "success");
    for number in 0..120 {
        github.set_status(ID, &commit, &format!("other/{number}"), "failure");
    }
    for size in [100, 30] {
        github.set_max_page_size(size);
        let found = asked().await.expect("the host is well").expect("it was set");
        assert_eq!(
            (found.state.as_str(), found.description.as_deref()),
            ("success", Some("ci/build says so"))
        );
    }
    let unknown = revision(&"ab".repeat(20));
    let found = case.host.commit_status(&case.name, &unknown, "ci/build").await;
    assert_eq!(found.expect("GitHub may not know the commit yet"), None);
}

#[tokio::test]
async fn feature_t14_check_runs_are_found_by_their_name() {
    let case = Case::github().await;
    let commit = case.scratch.commit("one");
    case.scratch.set(&commit, &["refs/heads/main"]);
    let github = case.github.as_ref().expect("the case is GitHub's");
    let asked = || async {
        let runs = case.host.check_runs(&case.name, &revision(&commit), "build & test").await;
        runs.expect("the host is well")
            .into_iter()
            .map(|run| run.conclusion)
            .collect::<Vec<_>>()
    };
    assert_eq!(asked().await, []);
    github.set_check_run(ID, &commit, "lint", Some("failure"));
    github.set_check_run(ID, &commit, "build & test", None);
    assert_eq!(asked().await, [None]);
    github.set_check_run(ID, &commit, "build & test", Some("success"));
    assert_eq!(asked().await, [Some("success".to_owned())]);
}

#[tokio::test]
async fn f64_no_failure_of_the_host_is_a_status() {
    let case = Case::github().await;
    let commit = case.scratch.commit("one");
    case.scratch.set(&commit, &["refs/heads/main"]);
    let github = case.github.as_ref().expect("the case is GitHub's");
    github.set_status(ID, &commit, "ci", "success");
    for (fault, class) in [
        (Fault::ServerError, Class::Transient),
        (Fault::Html, Class::Transient),
        (Fault::EmptyBody, Class::Transient),
        (Fault::CutPage(1), Class::Transient),
        (Fault::Unauthorized, Class::NeedsAttention),
        (Fault::Forbidden, Class::NeedsAttention),
        (Fault::NotFound, Class::NeedsAttention),
        (Fault::HtmlNotFound, Class::Transient),
    ] {
        github.set_fault(fault);
        let error = case
            .host
            .commit_status(&case.name, &revision(&commit), "ci")
            .await
            .expect_err("a fault is no answer");
        assert_eq!(error.class(), class, "{fault:?}: {error}");
        let error = case
            .host
            .check_runs(&case.name, &revision(&commit), "ci")
            .await
            .expect_err("a fault is no answer");
        assert_eq!(error.class(), class, "{fault:?}: {error}");
    }
}

#[tokio::test]
async fn a_plain_remote_says_clearly_that_it_has_no_statuses() {
    let case = Case::directory();
    let commit = case.scratch.commit("one");
    let error = case
        .host
        .commit_status(&case.name, &revision(&commit), "ci")
        .await
        .expect_err("there are none");
    assert_eq!(error.class(), Class::NeedsAttention);
    assert!(error.to_string().contains("has no commit statuses"), "{error}");
}

#[tokio::test]
async fn a_checkout_is_the_same_from_every_host() {
    for case in Case::all().await {
        let commit = case.scratch.tree(&[
            ("README.md", "100644", "hello"),
            ("bin/run", "100755", "#!/bin/sh"),
            ("bin/again", "120000", "run"),
        ]);
        case.scratch.set(&commit, &["refs/heads/main"]);
        let at = Commit {
            branch: branch("main"),
            revision: revision(&commit),
        };
        let tree = case
            .host
            .checkout(&case.name, &at)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", case.label));
        let file = |text: &str, is_executable| Leaf::File {
            bytes: text.as_bytes().to_vec(),
            is_executable,
        };
        let expected = [
            ("README.md".to_owned(), file("hello", false)),
            ("bin/again".to_owned(), Leaf::Link { target: "run".to_owned() }),
            ("bin/run".to_owned(), file("#!/bin/sh", true)),
        ];
        assert_eq!(tree.into_iter().collect::<Vec<_>>(), expected, "{}", case.label);
    }
}

#[tokio::test]
async fn a_checkout_of_a_commit_that_its_branch_has_left_is_given_as_long_as_the_host_has_it() {
    for case in Case::all().await {
        let older = case.scratch.tree(&[("only/older", "100644", "x")]);
        let newer = case.scratch.tree(&[("only/newer", "100644", "x")]);
        case.scratch.set(&newer, &["refs/heads/main"]);
        let at = |commit: &str| Commit {
            branch: branch("main"),
            revision: revision(commit),
        };
        for (commit, file) in [(&older, "only/older"), (&newer, "only/newer")] {
            let tree = case.host.checkout(&case.name, &at(commit)).await;
            let tree = tree.unwrap_or_else(|error| panic!("{}: {error}", case.label));
            assert_eq!(tree.keys().collect::<Vec<_>>(), [file], "{}", case.label);
        }
        let error = case
            .host
            .checkout(&case.name, &at(&"ab".repeat(20)))
            .await
            .expect_err("nobody has it");
        assert!(matches!(error, Error::BranchMoved { .. }), "{}: {error:?}", case.label);
    }
}

#[tokio::test]
async fn f74_a_checkout_with_a_link_out_of_the_repository_is_refused_by_name() {
    for case in Case::all().await {
        let commit = case.scratch.tree(&[("a/evil", "120000", "../../etc/passwd")]);
        case.scratch.set(&commit, &["refs/heads/main"]);
        let at = Commit {
            branch: branch("main"),
            revision: revision(&commit),
        };
        let error = case.host.checkout(&case.name, &at).await.expect_err("it leads out");
        assert!(
            error.to_string().contains("a/evil is a symbolic link that leads out"),
            "{}: {error}",
            case.label
        );
    }
}
