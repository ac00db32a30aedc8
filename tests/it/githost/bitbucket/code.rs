//! Branches, pull requests, comparisons, comments and rights.

use graftling::domain::comment::Permission;
use testbed::bitbucket::{Comment, Fault, Route};

use super::super::{ID, branch};
use super::{CLOUD, both, host, pull_request, settings};

#[tokio::test]
async fn open_pull_requests_are_listed_with_their_origin_and_found_by_their_branch() {
    for (case, bitbucket, _) in both().await {
        let is_cloud = case.label == CLOUD;
        bitbucket.set_pull_requests(
            ID,
            vec![
                pull_request(9, "x", Some(ID)),
                pull_request(4, "x", Some(ID)),
                pull_request(3, "x", Some(7)),
            ],
        );
        let listing = case.host.listing(&case.name).await.expect("the host is well");
        let seen: Vec<_> = listing.pull_requests.iter().map(|pull| (pull.number, pull.fork.clone())).collect();
        assert_eq!((seen[0].clone(), seen[1].clone()), ((9, None), (4, None)), "{}", case.label);
        let fork = seen[2].1.as_ref().expect("it is from a fork");
        assert_eq!(fork.revision.to_string(), "ab".repeat(20), "{}: the whole commit", case.label);
        let (name, author) = match is_cloud {
            true => ("mia/shop", "10000000-0000-4000-8000-000000000004"),
            false => ("~MIA/shop", "mona"),
        };
        assert_eq!(fork.repository.as_deref(), Some(name));
        let pull = &listing.pull_requests[0];
        assert_eq!(
            (pull.author.as_str(), pull.base.as_str(), pull.head.as_str()),
            (author, "main", "x")
        );
        let lookup = case.host.lookup(&case.name, &branch("x")).await.expect("the host is well");
        assert_eq!(lookup.pull_request.map(|pull| pull.number), Some(4), "{}", case.label);
        let lookup = case.host.lookup(&case.name, &branch("y")).await.expect("the host is well");
        assert_eq!(lookup.pull_request, None, "{}", case.label);
    }
}

#[tokio::test]
async fn f64_every_page_is_read_and_one_that_was_passed_over_is_noticed() {
    for (case, bitbucket, _) in both().await {
        bitbucket.set_max_page_size(2);
        let all = || (1..=7).map(|number| pull_request(number, "x", Some(ID))).collect::<Vec<_>>();
        let count = || bitbucket.requests().iter().filter(|one| **one == Route::PullRequests).count();
        for expected in [if case.label == CLOUD { 4 } else { 8 }, 8] {
            bitbucket.clear_faults();
            bitbucket.set_pull_requests(ID, all());
            let before = count();
            let listing = case.host.listing(&case.name).await.expect("the host is well");
            assert_eq!((listing.branches.len(), listing.pull_requests.len()), (3, 7), "{}", case.label);
            assert_eq!(count() - before, expected, "{}: what is not counted is read twice", case.label);
            bitbucket.set_fault_on(Route::PullRequests, Fault::MergedAfterPage(2));
            let error = case.host.listing(&case.name).await.expect_err("one was passed over");
            assert!(
                error.to_string().contains("changed while its pages were read"),
                "{}: {error}",
                case.label
            );
            bitbucket.stop_counting();
        }
    }
}

#[tokio::test]
async fn changed_paths_are_those_since_the_merge_base_with_both_names() {
    for (case, bitbucket, _) in both().await {
        let text = "a long enough text\nto be found again\n";
        let base = case.scratch.tree(&[("keep", "100644", "k"), ("old/name", "100644", text)]);
        let head = case.scratch.tree(&[("keep", "100644", "k2"), ("new/name", "100644", text)]);
        let tree = |commit: &str| case.scratch.git(&["rev-parse", &format!("{commit}^{{tree}}")], "");
        let head = case.scratch.git(&["commit-tree", &tree(&head), "-p", &base, "-m", "head"], "");
        let main = case.scratch.tree(&[("keep", "100644", "k"), ("only/on/main", "100644", "m")]);
        let main = case.scratch.git(&["commit-tree", &tree(&main), "-p", &base, "-m", "main"], "");
        case.scratch.set(&main, &["refs/heads/main"]);
        case.scratch.set(&base, &["refs/tags/main"]);
        let ask = |base: &'static str, head: String| {
            let (host, name) = (case.host.clone(), case.name.clone());
            async move {
                let head = head.parse().expect("a commit");
                let told = host.changed_paths(&name, &branch(base), &head).await.expect("the host is well");
                told.map(|paths| paths.into_iter().collect::<Vec<_>>())
            }
        };
        let expected = ["keep", "new/name", "old/name"].map(str::to_owned).to_vec();
        for size in [100, 1] {
            bitbucket.set_max_page_size(size);
            assert_eq!(ask("main", head.clone()).await.as_ref(), Some(&expected), "{}", case.label);
        }
        assert_eq!(ask("gone", head.clone()).await, None);
        assert_eq!(ask("main", "ab".repeat(20)).await, None);
    }
}

#[tokio::test]
async fn a_comment_is_read_as_it_is_now_and_only_a_persons_counts() {
    for (case, bitbucket, _) in both().await {
        bitbucket.set_pull_requests(ID, vec![pull_request(12, "x", Some(ID)), pull_request(13, "y", Some(ID))]);
        let read = |change: fn(&mut Comment)| {
            let mut comment = Comment::new(7, 12, (4, "mia"), "/preview approve");
            change(&mut comment);
            bitbucket.put_comment(ID, comment);
            let (host, name) = (case.host.clone(), case.name.clone());
            async move { host.comment(&name, 12, 7).await.expect("an answer") }
        };
        let comment = read(|_| {}).await.expect("a comment");
        let author = if case.label == CLOUD {
            "10000000-0000-4000-8000-000000000004"
        } else {
            "mia"
        };
        assert_eq!((comment.id, comment.pull_request, comment.author.as_deref()), (7, 12, Some(author)));
        assert!(
            !comment.edited && !comment.automated && comment.body == "/preview approve",
            "{}: {comment:?}",
            case.label
        );
        assert!(read(|comment| comment.version = 1).await.expect("one").edited, "{}", case.label);
        let automated = read(|comment| comment.is_person = false).await.expect("one");
        assert!(automated.automated && automated.author.is_none(), "{}", case.label);
        assert_eq!(read(|comment| comment.deleted = true).await, None, "{}", case.label);
        for (number, id) in [(12, 8), (13, 7), (99, 7)] {
            let told = case.host.comment(&case.name, number, id).await.expect("an answer");
            assert_eq!(told, None, "{}: {number} {id}", case.label);
        }
    }
}

#[tokio::test]
async fn only_who_may_write_is_told_so_and_a_part_of_a_name_is_nobody() {
    for (case, bitbucket, _) in both().await {
        for (user, name, right, expected) in [
            (4, "mia", "write", Permission::Write),
            (5, "ada", "admin", Permission::Write),
            (6, "bob", "read", Permission::Read),
        ] {
            bitbucket.set_right(ID, user, name, right);
            let login = match case.label == CLOUD {
                true => format!("10000000-0000-4000-8000-{user:012}"),
                false => name.to_owned(),
            };
            let told = case.host.permission(&case.name, &login).await.expect("an answer");
            assert_eq!(told, expected, "{}: {name}", case.label);
        }
        bitbucket.set_right(ID, 9, "gone-eve", "write");
        for nobody in ["m", "nobody", "", "gone-eve", "the same for all", "x\" OR user.uuid!=\""] {
            let told = case.host.permission(&case.name, nobody).await.expect("an answer");
            assert_eq!(told, Permission::None, "{}: {nobody}", case.label);
        }
    }
}

#[tokio::test]
async fn feature_t14_a_build_status_counts_by_its_key() {
    for (case, bitbucket, commit) in both().await {
        let ask = || async {
            let at = commit.parse().expect("a commit");
            let told = case.host.commit_status(&case.name, &at, "build").await.expect("the host is well");
            told.map(|status| status.state)
        };
        assert_eq!(ask().await, None, "{}", case.label);
        bitbucket.set_max_page_size(1);
        for (state, expected) in [
            ("INPROGRESS", "pending"),
            ("SOMETHING_NEW", "pending"),
            ("FAILED", "failure"),
            (if case.label == CLOUD { "STOPPED" } else { "CANCELLED" }, "error"),
            ("SUCCESSFUL", "success"),
        ] {
            bitbucket.put_status(ID, &commit, "build", state);
            bitbucket.put_status(ID, &commit, "lint", "FAILED");
            assert_eq!(ask().await.as_deref(), Some(expected), "{}: {state}", case.label);
        }
        let unknown = "ab".repeat(20).parse().expect("a commit");
        let told = case.host.commit_status(&case.name, &unknown, "build").await;
        assert_eq!(told.expect("Bitbucket may not have the commit yet"), None, "{}", case.label);
        let error = case
            .host
            .check_runs(&case.name, &unknown, "build")
            .await
            .expect_err("there are none");
        assert!(error.to_string().contains("wait for a commit status"), "{error}");
        bitbucket.remove_repository(ID);
        assert!(case.host.commit_status(&case.name, &unknown, "build").await.is_err());
    }
}

#[tokio::test]
async fn an_api_token_of_the_cloud_is_sent_with_the_name_of_its_account() {
    for (case, bitbucket, _) in both().await {
        let mut settings = settings(case.label, &bitbucket);
        settings.username = Some("mia@example.com".to_owned());
        settings.token = Some("right\n".to_owned().into());
        bitbucket.require_authorization(match case.label == CLOUD {
            true => "Basic bWlhQGV4YW1wbGUuY29tOnJpZ2h0",
            false => "right",
        });
        let listing = host(&settings).listing(&case.name).await.expect("the token is right");
        assert_eq!(listing.branches.len(), 3, "{}", case.label);
    }
}
