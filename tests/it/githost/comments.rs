//! Comments and the rights of their authors, as a host tells them.

use graftling::domain::comment::Permission;
use graftling::githost::{Class, Error};
use testbed::github::{Fault, IssueComment, Route};

use super::{Case, ID};

#[tokio::test]
async fn a_comment_is_read_as_it_is_now_with_its_author_and_its_pull_request() {
    let case = Case::github().await;
    let github = case.github.as_ref().expect("the case is GitHub's");
    github.put_comment(ID, IssueComment::new(7, 12, "mia", "/preview approve"));
    let comment = case.host.comment(&case.name, 12, 7).await.expect("an answer").expect("a comment");
    assert_eq!((comment.id, comment.pull_request, comment.author.as_deref()), (7, 12, Some("mia")));
    assert!(!comment.edited && !comment.automated && comment.body == "/preview approve");

    let edited = IssueComment {
        updated: "2099-01-01T00:00:00Z".to_owned(),
        bot: true,
        ..IssueComment::new(7, 12, "mia", "/preview approve")
    };
    github.put_comment(ID, edited);
    let comment = case.host.comment(&case.name, 12, 7).await.expect("an answer").expect("a comment");
    assert!(comment.edited && comment.automated);
    assert_eq!(case.host.comment(&case.name, 12, 8).await.expect("an answer"), None);
}

#[tokio::test]
async fn only_who_may_write_or_more_is_told_so() {
    let case = Case::github().await;
    let github = case.github.as_ref().expect("the case is GitHub's");
    for (login, told, expected) in [
        ("ada", "admin", Permission::Write),
        ("mia", "write", Permission::Write),
        ("bob", "read", Permission::Read),
        ("eve", "none", Permission::None),
    ] {
        github.set_permission(ID, login, told);
        assert_eq!(
            case.host.permission(&case.name, login).await.expect("an answer"),
            expected,
            "{login}"
        );
    }
    assert_eq!(
        case.host.permission(&case.name, "nobody").await.expect("an answer"),
        Permission::None
    );
}

#[tokio::test]
async fn an_answer_that_is_none_says_nothing_of_a_comment_or_a_right() {
    let case = Case::github().await;
    let github = case.github.as_ref().expect("the case is GitHub's");
    github.set_permission(ID, "mia", "write");
    github.put_comment(ID, IssueComment::new(7, 12, "mia", "/preview approve"));
    for fault in [Fault::ServerError, Fault::Html, Fault::HtmlNotFound, Fault::EmptyBody] {
        github.set_fault_on(Route::Comment, fault);
        github.set_fault_on(Route::Permission, fault);
        let comment = case.host.comment(&case.name, 12, 7).await.expect_err("no answer");
        let permission = case.host.permission(&case.name, "mia").await.expect_err("no answer");
        for error in [comment, permission] {
            assert_eq!(error.class(), Class::Transient, "{fault:?}: {error}");
        }
    }
    github.set_fault_on(Route::Permission, Fault::Forbidden);
    let refused = case.host.permission(&case.name, "mia").await.expect_err("no answer");
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
}

#[tokio::test]
async fn a_plain_remote_has_neither_comments_nor_accounts() {
    let case = Case::directory();
    assert_eq!(case.host.comment(&case.name, 12, 7).await.expect("an answer"), None);
    assert_eq!(case.host.permission(&case.name, "mia").await.expect("an answer"), Permission::None);
}
