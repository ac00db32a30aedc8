//! What a token may do, and the webhook that is installed.

use graftling::domain::setup::{Allowed, Endpoint, Task};
use graftling::githost::setup::{Installed, Setup, WantedWebhook};
use testbed::gitlab::{ACCOUNT, Fault, Hook, Route};

use super::super::{Case, ID};
use super::case_with_branches;

const SIGNING_TOKEN: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const HERE: &str = "https://graftling.example/hooks/previews/gitlab";

fn setup_of(case: &Case) -> &dyn Setup {
    case.host.setup().expect("GitLab has an interface for it")
}

fn wanted(secret: &str) -> WantedWebhook {
    WantedWebhook {
        endpoint: Endpoint {
            path: "/hooks/previews/gitlab".to_owned(),
            url: Some(HERE.to_owned()),
        },
        url: HERE.to_owned(),
        secret: secret.to_owned().into(),
    }
}

#[tokio::test]
async fn what_a_token_may_do_follows_from_its_role_and_its_scopes_and_nothing_is_tried() {
    let (case, gitlab, _) = case_with_branches().await;
    for (scopes, level, expected) in [
        (&["api"][..], 40, [true, true, true, true]),
        (&["api"], 30, [true, true, true, false]),
        (&["api"], 20, [false, true, false, false]),
        (&["read_api", "write_repository"], 50, [false, false, false, false]),
        (&["api"], 0, [false, false, false, false]),
    ] {
        gitlab.set_scopes(scopes);
        gitlab.add_member(ID, ACCOUNT, "graftling", "active", level);
        let told = setup_of(&case).capabilities(&case.name).await.expect("the host is well");
        let is_allowed = |task| told.iter().any(|one| one.task == task && one.allowed == Allowed::Yes);
        let tasks = [Task::SetStatuses, Task::Comment, Task::TellDeployments, Task::ManageWebhooks];
        assert_eq!(tasks.map(is_allowed), expected, "{scopes:?} {level}");
        assert!(is_allowed(Task::ReadRepository) && is_allowed(Task::ReadPullRequests));
    }
    assert_eq!(gitlab.writes(), Vec::<String>::new());
    gitlab.set_fault_on(Route::Token, Fault::Html);
    let told = setup_of(&case).capabilities(&case.name).await.expect("the rest is well");
    let unknown = told.iter().filter(|one| matches!(one.allowed, Allowed::Unknown(_))).count();
    assert_eq!(unknown, 4, "{told:?}");
}

#[tokio::test]
async fn a_webhook_is_installed_once_with_a_signing_token_where_gitlab_has_them() {
    for signs in [true, false] {
        let (case, gitlab, _) = case_with_branches().await;
        if signs {
            gitlab.know_signing_tokens(ID);
        }
        for expected in [Installed::Created, Installed::Updated] {
            let installed = setup_of(&case).install_webhook(&case.name, &wanted(SIGNING_TOKEN)).await;
            assert_eq!(installed.expect("it is made"), expected);
            let [hook] = &gitlab.hooks(ID)[..] else { panic!("not one") };
            assert_eq!(hook.url, HERE);
            assert_eq!((hook.signing_token == SIGNING_TOKEN, hook.token == SIGNING_TOKEN), (signs, !signs));
            assert_eq!(hook.events.len(), 3, "{hook:?}");
        }
    }
    let (case, gitlab, _) = case_with_branches().await;
    gitlab.know_signing_tokens(ID);
    let installed = setup_of(&case).install_webhook(&case.name, &wanted("any other secret")).await;
    assert_eq!(installed.expect("it is made"), Installed::Created);
    assert_eq!(gitlab.hooks(ID)[0].token, "any other secret");
}

#[tokio::test]
async fn a_webhook_that_gitlab_took_out_of_service_or_that_lacks_events_is_told() {
    let (case, gitlab, _) = case_with_branches().await;
    gitlab.put_hook(
        ID,
        Hook {
            id: 5,
            url: HERE.to_owned(),
            token: String::new(),
            signing_token: String::new(),
            alert_status: "temporarily_disabled".to_owned(),
            events: vec!["push_events".to_owned()],
        },
    );
    let hooks = setup_of(&case).webhooks(&case.name).await.expect("the host is well");
    let [hook] = &hooks[..] else { panic!("{hooks:?}") };
    assert!(!hook.active && hook.last.as_ref().is_some_and(|last| !last.taken));
    assert_eq!(hook.lacks, ["merge_requests_events", "note_events"]);
    gitlab.set_fault_on(Route::Hooks, Fault::Forbidden);
    assert!(setup_of(&case).webhooks(&case.name).await.is_err());
    assert!(setup_of(&case).install_webhook(&case.name, &wanted("x")).await.is_err());
}
