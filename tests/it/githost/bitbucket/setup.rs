//! What a token may do, and the webhook that is installed.

use graftling::domain::setup::{Allowed, Capability, Endpoint, Task};
use graftling::githost::Error;
use graftling::githost::setup::{Installed, Setup, WantedWebhook};
use testbed::bitbucket::{Fault, Hook, Route};

use super::super::{Case, ID};
use super::{CLOUD, both};

const HERE: &str = "https://graftling.example/hooks/previews/bitbucket";

fn setup_of(case: &Case) -> &dyn Setup {
    case.host.setup().expect("Bitbucket has an interface for it")
}

fn wanted() -> WantedWebhook {
    WantedWebhook {
        endpoint: Endpoint {
            path: "/hooks/previews/bitbucket".to_owned(),
            url: Some(HERE.to_owned()),
        },
        url: HERE.to_owned(),
        secret: "between us".to_owned().into(),
    }
}

fn hook(id: u64, url: &str) -> Hook {
    Hook {
        id,
        url: url.to_owned(),
        secret: "theirs".to_owned(),
        active: false,
        events: vec!["repo:push".to_owned()],
    }
}

async fn capabilities(case: &Case) -> Vec<Capability> {
    setup_of(case).capabilities(&case.name).await.expect("the host is well")
}

fn allowed(told: &[Capability], task: Task) -> &Allowed {
    &told.iter().find(|one| one.task == task).expect("it is told").allowed
}

#[tokio::test]
async fn a_webhook_installed_twice_is_there_once_and_one_of_somebody_else_is_left_alone() {
    for (case, bitbucket, _) in both().await {
        let foreign = hook(1, "https://ci.example.com/hooks");
        bitbucket.put_hook(ID, foreign.clone());
        for expected in [Installed::Created, Installed::Updated] {
            let installed = setup_of(&case).install_webhook(&case.name, &wanted()).await;
            assert_eq!(installed.expect("it is made"), expected, "{}", case.label);
            let [theirs, ours] = &bitbucket.hooks(ID)[..] else {
                panic!("{}: not two", case.label)
            };
            assert_eq!(*theirs, foreign);
            assert_eq!((ours.url.as_str(), ours.secret.as_str(), ours.active), (HERE, "between us", true));
            let shown = setup_of(&case).webhooks(&case.name).await.expect("the host is well");
            let own = wanted().endpoint.own(&shown).expect("it is there").clone();
            assert!(own.active && own.json && own.every_branch && own.lacks.is_empty(), "{own:?}");
        }
    }
}

#[tokio::test]
async fn a_webhook_to_an_older_address_of_the_server_is_made_right_on_whichever_page_it_is() {
    for (case, bitbucket, _) in both().await {
        bitbucket.set_max_page_size(1);
        bitbucket.put_hook(ID, hook(1, "https://ci.example.com/hooks"));
        bitbucket.put_hook(ID, hook(2, "https://older.example/hooks/previews/bitbucket"));
        let shown = setup_of(&case).webhooks(&case.name).await.expect("the host is well");
        let own = wanted().endpoint.own(&shown).expect("it is there").clone();
        let events = if case.label == CLOUD { 5 } else { 8 };
        assert_eq!((own.active, own.lacks.len()), (false, events), "{own:?}");
        let installed = setup_of(&case).install_webhook(&case.name, &wanted()).await;
        assert_eq!(installed.expect("it is made"), Installed::Updated);
        let urls: Vec<_> = bitbucket.hooks(ID).into_iter().map(|hook| (hook.id, hook.url)).collect();
        assert_eq!(urls, [(1, "https://ci.example.com/hooks".to_owned()), (2, HERE.to_owned())]);
    }
}

#[tokio::test]
async fn what_a_token_of_the_cloud_may_do_follows_from_its_scopes() {
    let (case, bitbucket, _) = both().await.remove(0);
    let tasks = [Task::SetStatuses, Task::Comment, Task::ManageWebhooks];
    let unknown = |told: &Allowed| matches!(told, Allowed::Unknown(_));
    let told = capabilities(&case).await;
    assert!(
        tasks.iter().all(|task| unknown(allowed(&told, *task))),
        "no scopes are told: {told:?}"
    );
    for (scopes, expected) in [
        ("repository, pullrequest, webhook", [Allowed::Yes, Allowed::Yes, Allowed::Yes]),
        ("repository:admin, pullrequest:write", [Allowed::Yes, Allowed::Yes, Allowed::No]),
        ("repository", [Allowed::Yes, Allowed::No, Allowed::No]),
        (
            "write:repository:bitbucket, write:webhook:bitbucket",
            [Allowed::Yes, Allowed::No, Allowed::Yes],
        ),
        ("account", [Allowed::No, Allowed::No, Allowed::No]),
    ] {
        bitbucket.set_scopes(scopes);
        let told = capabilities(&case).await;
        assert_eq!(tasks.map(|task| allowed(&told, task).clone()), expected, "{scopes}");
        assert_eq!(*allowed(&told, Task::ReadPullRequests), Allowed::Yes);
        assert_eq!(*allowed(&told, Task::TellDeployments), Allowed::NotOffered);
    }
    bitbucket.set_scopes("read:repository:bitbucket");
    let told = capabilities(&case).await;
    assert!(unknown(allowed(&told, Task::SetStatuses)), "{told:?}");
}

#[tokio::test]
async fn whom_a_data_center_does_not_know_may_write_nothing() {
    let (case, bitbucket, _) = both().await.remove(1);
    for expected in [Allowed::Yes, Allowed::No] {
        let told = capabilities(&case).await;
        assert_eq!(*allowed(&told, Task::ReadRepository), Allowed::Yes);
        assert_eq!(*allowed(&told, Task::SetStatuses), expected);
        assert_eq!(*allowed(&told, Task::Comment), expected);
        bitbucket.forget_account();
    }
}

#[tokio::test]
async fn a_token_without_the_right_is_named_and_installs_nothing() {
    for (case, bitbucket, _) in both().await {
        bitbucket.set_scopes("repository, pullrequest, webhook");
        bitbucket.set_fault_on(Route::Hooks, Fault::Forbidden);
        let told = capabilities(&case).await;
        assert_eq!(*allowed(&told, Task::ManageWebhooks), Allowed::No, "{}", case.label);
        assert_eq!(*allowed(&told, Task::SetStatuses), Allowed::Yes, "{}", case.label);
        let error = setup_of(&case).install_webhook(&case.name, &wanted()).await.expect_err("refused");
        assert!(matches!(error, Error::Refused { status: 403, .. }), "{error:?}");
        bitbucket.set_fault_on(Route::Hooks, Fault::Html);
        let told = capabilities(&case).await;
        assert!(
            matches!(allowed(&told, Task::ManageWebhooks), Allowed::Unknown(_)),
            "a login page: {told:?}"
        );
        assert!(setup_of(&case).install_webhook(&case.name, &wanted()).await.is_err());
        assert_eq!(bitbucket.hooks(ID), []);
        bitbucket.clear_faults();
        bitbucket.set_fault_on(Route::Repository, Fault::Unauthorized);
        let told = capabilities(&case).await;
        assert_eq!(told, [Capability::new(Task::ReadRepository, Allowed::No)]);
        bitbucket.set_fault_on(Route::Repository, Fault::ServerError);
        assert!(setup_of(&case).capabilities(&case.name).await.is_err());
    }
}
