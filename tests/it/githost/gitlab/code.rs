//! Branches, merge requests, comparisons, comments and rights.

use graftling::domain::comment::Permission;
use graftling::domain::git::{BranchName, RepositoryName};
use graftling::githost::GitHost;
use graftling::githost::gitlab::{Gitlab, Settings};
use testbed::gitlab::{Fault, Note, Route};

use super::super::{ID, branch};
use super::{case_with_branches, merge_request};

#[tokio::test]
async fn f63_four_branches_pushed_or_deleted_without_any_hook_are_what_the_next_listing_says() {
    let (case, gitlab, commit) = case_with_branches().await;
    let refs = ["refs/heads/a", "refs/heads/b", "refs/heads/c", "refs/heads/d"];
    case.scratch.set(&commit, &refs);
    let names = |listing: &graftling::domain::git::Listing| listing.branches.keys().map(BranchName::to_string).collect::<Vec<_>>();
    let listing = case.host.listing(&case.name).await.expect("the host is well");
    assert_eq!(names(&listing), ["a", "b", "c", "d", "main", "x", "y"]);
    for name in refs {
        case.scratch.delete(name);
    }
    let listing = case.host.listing(&case.name).await.expect("the host is well");
    assert_eq!(names(&listing), ["main", "x", "y"]);
    let asked = [Route::Project, Route::Branches, Route::MergeRequests];
    assert_eq!(gitlab.requests(), [asked, asked].concat(), "a listing costs three requests");
}

#[tokio::test]
async fn open_merge_requests_are_listed_with_their_origin_and_found_by_their_branch() {
    let (case, gitlab, _) = case_with_branches().await;
    gitlab.set_merge_requests(
        ID,
        vec![
            merge_request(9, "x", Some(ID)),
            merge_request(4, "x", Some(ID)),
            merge_request(3, "x", Some(7)),
            merge_request(5, "gone", None),
        ],
    );
    let listing = case.host.listing(&case.name).await.expect("the host is well");
    let seen: Vec<_> = listing
        .pull_requests
        .iter()
        .map(|pull| (pull.number, pull.fork.as_ref().map(|fork| fork.revision.to_string())))
        .collect();
    let fork = Some("ab".repeat(20));
    assert_eq!(seen, [(9, None), (4, None), (3, fork.clone()), (5, fork)]);
    assert_eq!(listing.pull_requests[0].labels, ["area/web", "preview"]);
    assert_eq!(listing.pull_requests[0].author, "mona");
    let lookup = case.host.lookup(&case.name, &branch("x")).await.expect("the host is well");
    assert_eq!(lookup.pull_request.map(|pull| pull.number), Some(4));
    let lookup = case.host.lookup(&case.name, &branch("y")).await.expect("the host is well");
    assert_eq!(lookup.pull_request, None);
}

#[tokio::test]
async fn f64_every_page_is_read_and_one_that_came_or_went_meanwhile_is_noticed() {
    let (case, gitlab, _) = case_with_branches().await;
    gitlab.set_max_page_size(2);
    let all = || (1..=7).map(|number| merge_request(number, "x", Some(ID))).collect();
    gitlab.set_merge_requests(ID, all());
    let listing = case.host.listing(&case.name).await.expect("the host is well");
    assert_eq!((listing.branches.len(), listing.pull_requests.len()), (3, 7));
    let count = |route| gitlab.requests().iter().filter(|one| **one == route).count();
    assert_eq!((count(Route::Branches), count(Route::MergeRequests)), (2, 4));

    gitlab.set_fault_on(Route::MergeRequests, Fault::MergedAfterPage(2));
    let error = case.host.listing(&case.name).await.expect_err("one was passed over");
    assert!(error.to_string().contains("changed while its pages were read"), "{error}");
    gitlab.clear_faults();

    // Beyond ten thousand GitLab does not count: then a second look has to be the same.
    gitlab.stop_counting();
    gitlab.set_merge_requests(ID, all());
    let before = count(Route::MergeRequests);
    let listing = case.host.listing(&case.name).await.expect("the host is well");
    assert_eq!((listing.pull_requests.len(), count(Route::MergeRequests) - before), (7, 8));
    gitlab.set_fault_on(Route::MergeRequests, Fault::MergedAfterPage(2));
    let error = case.host.listing(&case.name).await.expect_err("one was passed over");
    assert!(error.to_string().contains("changed while its pages were read"), "{error}");
}

#[tokio::test]
async fn f64_a_full_page_that_does_not_say_whether_another_follows_is_not_the_last() {
    let (case, gitlab, commit) = case_with_branches().await;
    let names: Vec<_> = (0..97).map(|number| format!("refs/heads/b{number}")).collect();
    case.scratch.set(&commit, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let listing = case.host.listing(&case.name).await.expect("the host is well");
    assert_eq!(listing.branches.len(), 100);
    gitlab.set_fault_on(Route::Branches, Fault::NoPageHeaders);
    let error = case.host.listing(&case.name).await.expect_err("there may be more");
    assert!(error.to_string().contains("does not say whether another follows"), "{error}");
}

#[tokio::test]
async fn f65_a_renamed_project_keeps_its_id_and_answers_under_both_paths() {
    let (case, gitlab, _) = case_with_branches().await;
    gitlab.require_token("glpat-right");
    let mut settings = Settings::new(gitlab.url());
    settings.token = Some("glpat-right\n".to_owned().into());
    let host = Gitlab::connect(&settings).expect("the settings are valid");
    let before = host.repository(&case.name).await.expect("the host is well");
    gitlab.rename_project(ID, "umbrella/store");
    let listing = host.listing(&case.name).await.expect("the former path redirects");
    assert_eq!(listing.repository.id, before.id);
    let renamed: RepositoryName = "umbrella/store".parse().expect("the name is valid");
    assert_eq!((listing.repository.name, listing.branches.len()), (renamed, 3));
    let absent = host.lookup(&case.name, &branch("z")).await.expect("the former path redirects");
    assert_eq!(absent.head, None);
}

#[tokio::test]
async fn changed_paths_are_those_since_the_merge_base_or_none_where_some_may_be_missing() {
    let (case, gitlab, _) = case_with_branches().await;
    let base = case.scratch.tree(&[
        ("keep", "100644", "k"),
        ("old/name", "100644", "a long enough text\nto be found again\n"),
    ]);
    let head = case.scratch.tree(&[
        ("keep", "100644", "k2"),
        ("new/name", "100644", "a long enough text\nto be found again\n"),
    ]);
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
    assert_eq!(ask("main", head.clone()).await, Some(expected));
    assert_eq!(ask("gone", head.clone()).await, None);
    assert_eq!(ask("main", "ab".repeat(20)).await, None);
    gitlab.set_diff_limit(ID, 1);
    assert_eq!(ask("main", head).await, None, "GitLab left something out");
}

#[tokio::test]
async fn a_comment_is_read_as_it_is_now_and_only_a_persons_counts() {
    let (case, gitlab, _) = case_with_branches().await;
    gitlab.set_merge_requests(ID, vec![merge_request(12, "x", Some(ID)), merge_request(13, "y", Some(ID))]);
    let note = || Note::new(7, 12, (4, "mia"), "/preview approve");
    let read = |change: fn(&mut Note)| {
        let mut note = note();
        change(&mut note);
        gitlab.put_note(ID, note);
        let (host, name) = (case.host.clone(), case.name.clone());
        async move { host.comment(&name, 12, 7).await.expect("an answer") }
    };
    let comment = read(|_| {}).await.expect("a comment");
    assert_eq!((comment.id, comment.pull_request, comment.author.as_deref()), (7, 12, Some("mia")));
    assert!(!comment.edited && !comment.automated && comment.body == "/preview approve");
    assert!(
        read(|note| note.updated = "2099-01-01T00:00:00.000Z".to_owned())
            .await
            .expect("one")
            .edited
    );
    assert!(
        read(|note| note.author = (9, "project_7_bot_1f".to_owned()))
            .await
            .expect("one")
            .automated
    );
    let ghost = read(|note| note.author = (2, "ghost".to_owned())).await.expect("one");
    assert!(ghost.automated && ghost.author.is_none());
    assert_eq!(read(|note| note.system = true).await, None);
    for (number, id) in [(12, 8), (13, 7), (99, 7)] {
        let told = case.host.comment(&case.name, number, id).await.expect("an answer");
        assert_eq!(told, None, "{number} {id}");
    }
}

#[tokio::test]
async fn only_who_may_push_and_is_active_may_write() {
    let (case, gitlab, _) = case_with_branches().await;
    for (user, name, state, level, expected) in [
        (4, "mia", "active", 30, Permission::Write),
        (5, "ada", "active", 50, Permission::Write),
        (6, "bob", "active", 20, Permission::Read),
        (7, "guest", "active", 10, Permission::None),
        (8, "blocked", "blocked", 40, Permission::None),
        (9, "left", "deactivated", 30, Permission::None),
    ] {
        gitlab.add_member(ID, user, name, state, level);
        assert_eq!(case.host.permission(&case.name, name).await.expect("an answer"), expected, "{name}");
    }
    gitlab.add_member(ID + 1, 10, "elsewhere", "active", 50);
    for nobody in ["elsewhere", "nobody", "mi"] {
        let told = case.host.permission(&case.name, nobody).await.expect("an answer");
        assert_eq!(told, Permission::None, "{nobody}");
    }
}

#[tokio::test]
async fn feature_t14_the_newest_status_or_job_of_a_name_counts() {
    let (case, gitlab, commit) = case_with_branches().await;
    let ask = |name: &'static str| {
        let (host, project, at) = (case.host.clone(), case.name.clone(), commit.parse().expect("a commit"));
        async move {
            let told = host.commit_status(&project, &at, name).await.expect("the host is well");
            told.map(|status| status.state)
        }
    };
    assert_eq!(ask("build").await, None);
    for (state, expected) in [
        ("created", "pending"),
        ("running", "pending"),
        ("manual", "pending"),
        ("something new", "pending"),
        ("failed", "failure"),
        ("canceled", "error"),
        ("skipped", "error"),
        ("success", "success"),
    ] {
        gitlab.put_status(ID, &commit, "build", state);
        gitlab.put_status(ID, &commit, "lint", "failed");
        assert_eq!(ask("build").await.as_deref(), Some(expected), "{state}");
    }
    let unknown = "ab".repeat(20).parse().expect("a commit");
    let told = case.host.commit_status(&case.name, &unknown, "build").await;
    assert_eq!(told.expect("GitLab may not have the commit yet"), None);
    let error = case
        .host
        .check_runs(&case.name, &unknown, "build")
        .await
        .expect_err("there are none");
    assert!(error.to_string().contains("wait for a commit status"), "{error}");
    gitlab.remove_project(ID);
    assert!(case.host.commit_status(&case.name, &unknown, "build").await.is_err());
}
