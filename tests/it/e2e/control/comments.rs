//! Approval by a comment on the pull request, over a stand-in for GitHub.

use graftling::api::Environment;
use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::json;
use tempfile::TempDir;
use testbed::github::{FakeGithub, IssueComment, OpenPullRequest, Route};
use testbed::webhook::Sender;
use testbed::webhook::github::GithubRepository;
use testbed::{Repository, wait};

use super::super::scene::{CONFIG, write_bundle};
use super::{BRANCH, LATE, asking, message_of};
use crate::world::{LONG, Options, WEBHOOK_SECRET, World, objects};

const ID: u64 = 7;
const PULL: u64 = 12;

struct Hub {
    world: World,
    fake: FakeGithub,
    repository: Repository,
    _bundles: TempDir,
}

impl Hub {
    async fn start(name: &str, approve: &str) -> Self {
        let bundles = tempfile::tempdir().unwrap();
        let folder = bundles.path().join("app");
        write_bundle(folder.clone(), CONFIG);
        std::fs::write(folder.join("templates/late.yaml"), LATE).unwrap();
        std::fs::write(folder.join("pipeline.yaml"), asking(approve)).unwrap();
        let options = Options {
            bundles: bundles.path().to_owned(),
            ..Options::default()
        };
        let world = World::with(name, options).await;
        let (fake, repository) = (FakeGithub::start().await.unwrap(), Repository::create().unwrap());
        fake.add_repository("acme", "shop", ID, &repository.path(), "main");
        let pull = OpenPullRequest {
            number: PULL,
            head: BRANCH.to_owned(),
            head_repository: Some(ID),
            head_owner: "acme".to_owned(),
            labels: Vec::new(),
        };
        fake.set_pull_requests(ID, vec![pull]);
        for (login, permission) in [("mia", "write"), ("eve", "read")] {
            fake.set_permission(ID, login, permission);
        }
        world.github_host("hub", &fake).await;
        let spec = json!({ "bundle": { "name": "app" }, "branches": { "exclude": ["main"] } });
        world.project_at("hub", "shop", "acme/shop", spec).await;
        Self {
            world,
            fake,
            repository,
            _bundles: bundles,
        }
    }

    async fn asked(&self) -> Environment {
        let is_asked = |environment: &Environment| {
            let status = environment.status.as_ref();
            status.is_some_and(|status| !status.pending_approvals.is_empty()) && environment.spec.pull_request.is_some()
        };
        self.world.wait_until(BRANCH, "to ask", is_asked).await
    }

    /// Puts a comment on the pull request, and delivers the event about it.
    async fn comment(&self, comment: &IssueComment) {
        self.fake.put_comment(ID, comment.clone());
        self.deliver(comment).await;
    }

    async fn deliver(&self, comment: &IssueComment) {
        let body =
            GithubRepository::new(ID, "acme", "shop").issue_comment("created", PULL, comment.id, &comment.author, "/preview approve");
        let sender = Sender::github(self.world.endpoint(self.world.server(), "hub"), WEBHOOK_SECRET).unwrap();
        let answer = sender.send("issue_comment", &body).await.unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
    }

    /// Waits for an Event about the environment that tells all of `words`.
    async fn told(&self, environment: &Environment, reason: &str, words: &str) {
        let api = objects::api(&self.world.client, "events.k8s.io/v1", "Event", Some(self.world.namespace.name())).await;
        wait::until(format!("an Event {reason} that tells {words:?}"), LONG, || async {
            let events = api.list(&Default::default()).await.unwrap().items;
            let notes: Vec<String> = events
                .iter()
                .filter(|event| event.data["reason"] == reason && event.data["regarding"]["name"] == environment.name_any().as_str())
                .filter_map(|event| event.data["note"].as_str().map(str::to_owned))
                .collect();
            match notes.iter().any(|note| note.contains(words)) {
                true => Ok(()),
                false => Err(format!("{notes:?}")),
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_approves_for_who_may_write_and_for_nobody_else() {
    let hub = Hub::start("comments", "{}").await;
    let revision = hub.repository.commit(BRANCH, &[]).unwrap();
    let environment = hub.asked().await;

    hub.comment(&IssueComment::new(1, PULL, "eve", "/preview approve")).await;
    hub.told(&environment, "CommentNotPermitted", "eve may not write to the repository")
        .await;
    let edited = IssueComment {
        updated: "2099-01-01T00:00:00Z".to_owned(),
        ..IssueComment::new(2, PULL, "mia", "/preview approve")
    };
    hub.comment(&edited).await;
    hub.told(
        &environment,
        "CommentEdited",
        "comment 2 of pull request 12 has no effect: the comment was edited",
    )
    .await;
    let robot = IssueComment {
        bot: true,
        ..IssueComment::new(3, PULL, "mia", "/preview approve")
    };
    hub.comment(&robot).await;
    hub.told(&environment, "CommentAutomated", "only people approve").await;
    let older = IssueComment {
        created: "2020-01-01T00:00:00Z".to_owned(),
        updated: "2020-01-01T00:00:00Z".to_owned(),
        ..IssueComment::new(4, PULL, "mia", "/preview approve")
    };
    hub.comment(&older).await;
    hub.told(&environment, "CommentTooOld", "older than the question").await;
    // What the delivery says does not count: the comment itself asks for something else, and is on another pull request.
    hub.comment(&IssueComment::new(5, PULL, "mia", "looks good")).await;
    hub.comment(&IssueComment::new(6, 99, "mia", "/preview approve")).await;
    let status = hub.world.environment(BRANCH).await.unwrap();
    assert_eq!(status.spec.approvals, []);

    let approve = IssueComment::new(8, PULL, "mia", "/preview approve release");
    hub.comment(&approve).await;
    let environment = hub.world.wait_for(BRANCH, Phase::Ready, &revision).await;
    hub.told(&environment, "CommentApproves", "comment 8 of pull request 12 approves")
        .await;
    let status = environment.status.clone().unwrap();
    assert_eq!(
        message_of(&status, "release"),
        "approved by mia (pull request comment): comment 8 of pull request 12"
    );
    // A repeated delivery changes nothing.
    let before = (environment.metadata.generation, environment.spec.approvals.clone());
    hub.deliver(&approve).await;
    hub.told(
        &environment,
        "CommentUnasked",
        "comment 8 of pull request 12 has no effect: no stage waits",
    )
    .await;
    let after = hub.world.environment(BRANCH).await.unwrap();
    assert_eq!((after.metadata.generation, after.spec.approvals), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_rejects_and_proves_no_group() {
    let hub = Hub::start("comment-group", "{groups: [leads]}").await;
    hub.repository.commit(BRANCH, &[]).unwrap();
    let environment = hub.asked().await;
    hub.comment(&IssueComment::new(1, PULL, "mia", "/preview reject")).await;
    hub.told(
        &environment,
        "CommentOutsideOfGroup",
        "stage release is reserved to the groups leads",
    )
    .await;
    let looked: Vec<Route> = hub.fake.requests().into_iter().filter(|route| *route == Route::Comment).collect();
    assert_eq!(looked.len(), 1, "a comment is read once");
}
