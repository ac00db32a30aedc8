#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use super::*;

const PATH: &str = "/hooks/team/gitea";

fn name() -> RepositoryName {
    "acme/shop".parse().unwrap()
}

fn endpoint() -> Endpoint {
    Endpoint {
        path: PATH.to_owned(),
        url: Some(format!("https://hooks.example.com{PATH}")),
    }
}

fn webhook(url: &str) -> Webhook {
    Webhook {
        id: "1".to_owned(),
        url: url.to_owned(),
        active: true,
        json: true,
        every_branch: true,
        lacks: Vec::new(),
        last: None,
    }
}

fn found(webhooks: &[Webhook]) -> Finding {
    webhook_findings(&endpoint(), "gitea", &name(), webhooks).remove(0)
}

#[test]
fn a_webhook_that_is_right_is_good_whatever_others_there_are() {
    let others = [
        webhook("https://ci.example.com/hooks/team/gitea2?token=s3cret"),
        webhook("https://hooks.example.com/hooks/team/gitea"),
    ];
    let finding = found(&others);
    assert_eq!(finding.state, State::Good, "{finding:?}");
}

#[test]
fn each_thing_that_is_wrong_with_a_webhook_is_said_with_the_command_that_mends_it() {
    let right = endpoint().url.unwrap();
    let mut wrong = webhook(&right);
    wrong.active = false;
    wrong.json = false;
    wrong.every_branch = false;
    wrong.lacks = vec!["delete".to_owned()];
    let finding = found(&[wrong]);
    assert_eq!(finding.state, State::Missing);
    for word in ["switched off", "application/json", "pattern", "delete"] {
        assert!(finding.says.contains(word), "{word} in {}", finding.says);
    }
    let command = "graftling githost install gitea --repository acme/shop --server-url https://hooks.example.com";
    assert_eq!(finding.next.as_deref(), Some(command));
    let moved = found(&[webhook("http://old.example.com/hooks/team/gitea")]);
    assert!(
        moved.says.contains("http://old.example.com/hooks/team/gitea instead of"),
        "{}",
        moved.says
    );
    assert!(found(&[]).says.contains("there is none"));
    let twice = found(&[webhook("http://old.example.com/hooks/team/gitea"), webhook(&right)]);
    assert_eq!(twice.says, "1 more deliver to the same path: delete them");
}

#[test]
fn a_delivery_that_was_not_taken_is_told() {
    let mut own = webhook(&endpoint().url.unwrap());
    own.last = Some(LastDelivery {
        taken: false,
        says: "HTTP 502".to_owned(),
    });
    let findings = webhook_findings(&endpoint(), "gitea", &name(), &[own]);
    assert_eq!((findings[0].state, findings[1].state), (State::Good, State::Missing));
}

#[test]
fn only_an_answer_of_graftling_proves_that_the_endpoint_verifies() {
    let state = |status, words| ping_finding("https://x.example", status, words).state;
    assert_eq!(state(200, r#"{"result":"pong"}"#), State::Good);
    assert_eq!(state(202, r#"{"result":"ignored"}"#), State::Good);
    assert_eq!(state(400, r#"{"error":"the body does not fit its event"}"#), State::Good);
    assert_eq!(state(200, "<html>Welcome</html>"), State::Missing);
    assert_eq!(state(400, "Bad Request"), State::Missing);
    assert_eq!(state(401, ""), State::Missing);
    assert_eq!(state(404, ""), State::Missing);
    assert_eq!(state(302, ""), State::Missing);
    assert_eq!(state(503, ""), State::Unknown);
}

#[test]
fn only_the_right_to_manage_webhooks_can_be_done_without() {
    for provider in Provider::ALL {
        for task in Task::ALL {
            let finding = Capability::new(task, Allowed::No).finding(provider, &name());
            let wanted = if task == Task::ManageWebhooks {
                State::Optional
            } else {
                State::Missing
            };
            assert_eq!(finding.state, wanted, "{task:?}");
            assert!(finding.next.is_some_and(|next| !next.is_empty()));
        }
    }
    let not_offered = Capability::new(Task::TellDeployments, Allowed::NotOffered);
    assert_eq!(not_offered.finding(Provider::Gitea, &name()).state, State::Good);
}
