//! Hints over the wire: what a Git host tells makes things faster, and what anybody else tells changes nothing.
//!
//! The sweep is an hour away in these worlds: whatever happens within seconds was caused by a hint.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::process::Command;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use graftling::api::environment::Phase;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};
use testbed::github::{FakeGithub, OpenPullRequest, Route};
use testbed::webhook::github::{GithubRepository, PullRequest};
use testbed::webhook::{Sender, delivery_id, post, signature};
use testbed::{AuditEvent, Repository, wait};

use crate::world::{LONG, Options, WEBHOOK_SECRET, World, objects, ready_reason, repository_name, without_main};

/// A push must be an Environment after so long (feature T1).
const PROMPTLY: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn feature_t1_feature_t3_the_installed_hook_brings_a_push_and_a_deletion_at_once() {
    let (world, repository) = World::shop("hook", Options::without_sweeps(), json!({})).await;
    world.first_look().await;
    let secret = world.folder.path().join("secret");
    std::fs::write(&secret, format!("{WEBHOOK_SECRET}\n")).unwrap();
    let installed = Command::new(env!("CARGO_BIN_EXE_graftling"))
        .args(["hook", "install"])
        .arg(repository.path())
        .args(["--url", &world.endpoint(world.server(), "git"), "--secret-file"])
        .arg(&secret)
        .status();
    assert!(installed.unwrap().success());

    let pushed = repository
        .push_many(&[("feature/a", &[("a", "1")]), ("feature/b", &[("b", "1")])])
        .unwrap();
    let told = Instant::now();
    wait::until("two Environments", LONG, || async { world.alive().await.len() == 2 }).await;
    assert!(told.elapsed() < PROMPTLY, "{:?}", told.elapsed());
    let before = world.wait_ready("feature/a", &pushed[0]).await;
    let moved = repository.commit("feature/a", &[("a", "2")]).unwrap();
    world.wait_ready("feature/a", &moved).await;
    repository.force_push("feature/a", &pushed[0]).unwrap();
    assert_eq!(world.wait_ready("feature/a", &pushed[0]).await.metadata.uid, before.metadata.uid);

    repository.delete_branches(&["feature/a"]).unwrap();
    world.wait_gone("feature/a").await;
    assert_eq!(world.alive().await.into_keys().collect::<Vec<_>>(), ["shop/feature/b"]);
}

/// A world with a stand-in for GitHub that delivers signed events.
struct Hub {
    world: World,
    fake: FakeGithub,
    repository: Repository,
    events: GithubRepository,
    sender: Sender,
}

impl Hub {
    async fn start(name: &str) -> Self {
        let world = World::with(name, Options::without_sweeps()).await;
        let (fake, repository) = (FakeGithub::start().await.unwrap(), Repository::create().unwrap());
        fake.add_repository("acme", "shop", 7, &repository.path(), "main");
        world.github_host("hub", &fake).await;
        world.project_at("hub", "shop", "acme/shop", without_main(json!({}))).await;
        world.first_look().await;
        let sender = Sender::github(world.endpoint(world.server(), "hub"), WEBHOOK_SECRET).unwrap();
        Self {
            sender,
            world,
            fake,
            repository,
            events: GithubRepository::new(7, "acme", "shop"),
        }
    }

    async fn deliver(&self, event: &str, payload: &Value) {
        let answer = self.sender.send(event, payload).await.unwrap();
        assert_eq!(answer.status, 202, "{event}: {}", answer.body);
    }

    /// How many look-ups of a single branch there were.
    fn lookups(&self) -> usize {
        self.fake.requests().iter().filter(|route| **route == Route::Reference).count()
    }

    /// Pushes a further branch and waits for its environment: everything that was delivered before has been dealt with by then.
    async fn settle(&self, branch: &str) {
        let revision = self.repository.commit(branch, &[("marker", "1")]).unwrap();
        self.deliver("push", &self.events.push_create(branch, &revision)).await;
        self.world.wait_ready(branch, &revision).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_t1_feature_t2_feature_t3_signed_deliveries_of_github_are_acted_on_at_once() {
    let hub = Hub::start("github").await;
    let (world, events) = (&hub.world, &hub.events);
    let first = hub.repository.commit("feature/a", &[("a", "1")]).unwrap();
    hub.deliver("push", &events.push_create("feature/a", &first)).await;
    hub.deliver("create", &events.create_branch("feature/a")).await;
    let environment = world.wait_ready("feature/a", &first).await;

    // A pull request belongs to its branch's environment and makes no other.
    let pull = OpenPullRequest {
        number: 12,
        head: "feature/a".to_owned(),
        head_repository: Some(7),
        head_owner: "acme".to_owned(),
        labels: vec!["preview".to_owned()],
    };
    hub.fake.set_pull_requests(7, vec![pull]);
    let second = hub.repository.commit("feature/a", &[("a", "2")]).unwrap();
    let open = PullRequest::new(12, "feature/a", &second);
    hub.deliver("pull_request", &events.pull_request("opened", &open)).await;
    let with_pull = world.wait_ready("feature/a", &second).await;
    let stored = with_pull.spec.pull_request.unwrap();
    assert_eq!((stored.number, stored.author.as_str(), stored.base.as_str()), (12, "mona", "main"));
    assert_eq!(stored.labels, ["preview"]);
    assert_eq!(with_pull.metadata.uid, environment.metadata.uid);

    hub.fake.set_pull_requests(7, Vec::new());
    hub.deliver("pull_request", &events.pull_request("closed", &open)).await;
    world
        .wait_until("feature/a", "without a pull request", |environment| {
            environment.spec.pull_request.is_none()
        })
        .await;

    // F67: the branch goes later than the pull request. A tag of its name says nothing.
    hub.deliver("delete", &events.delete_tag("feature/a")).await;
    hub.repository.delete_branches(&["feature/a"]).unwrap();
    let before = hub.lookups();
    hub.deliver("delete", &events.delete_branch("feature/a")).await;
    world
        .wait_until("feature/a", "being torn down", |environment| {
            environment.metadata.deletion_timestamp.is_some()
        })
        .await;
    assert_eq!(hub.lookups() - before, 1, "one read confirms a deletion that was announced");
    // The second event of the same deletion finds the teardown under way.
    hub.deliver("push", &events.push_delete("feature/a", &second)).await;
    world.wait_gone("feature/a").await;
    assert_eq!(world.environments().list(&Default::default()).await.unwrap().items.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f61_threat_t05_repeated_and_replayed_deliveries_write_nothing() {
    let hub = Hub::start("replay").await;
    let (world, events) = (&hub.world, &hub.events);
    let first = hub.repository.commit("feature/a", &[("a", "1")]).unwrap();
    let push = events.push_create("feature/a", &first).to_string().into_bytes();
    let delivery = delivery_id();
    hub.sender.send_as("push", &delivery, &push).await.unwrap();
    let before = world.wait_ready("feature/a", &first).await;

    let position = world.plane.audit().position();
    for _ in 0..20 {
        assert_eq!(hub.sender.send_as("push", &delivery, &push).await.unwrap().status, 202);
    }
    // An old deletion and an old push, caught and sent again while the branch lives.
    hub.deliver("delete", &events.delete_branch("feature/a")).await;
    hub.deliver("push", &events.push_delete("feature/a", &first)).await;
    let forged = "1234567890123456789012345678901234567890";
    hub.deliver("push", &events.push_update("feature/a", &first, forged)).await;
    hub.deliver("delete", &events.delete_branch("never-there")).await;
    hub.deliver("push", &events.push_create("never-there", forged)).await;
    let stranger = GithubRepository::new(8, "somebody", "else");
    hub.deliver("delete", &stranger.delete_branch("feature/a")).await;
    hub.settle("marker").await;

    let marker = world.environment("marker").await.unwrap().metadata.name.unwrap();
    let others: Vec<AuditEvent> = world
        .writes_since(position)
        .into_iter()
        .filter(|event| !concerns(event, &marker))
        .collect();
    assert!(others.is_empty(), "{others:#?}");
    let after = world.environment("feature/a").await.unwrap();
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
}

/// Whether a write is one that the marker's environment explains: its objects, its Events, the count in the Project's status.
fn concerns(event: &AuditEvent, environment: &str) -> bool {
    let ours = event.name == environment || event.namespace == environment || event.name.starts_with(&format!("{environment}."));
    ours || event.resource == "events" || (event.resource == "projects" && event.subresource == "status")
}

#[tokio::test(flavor = "multi_thread")]
async fn threat_t01_threat_t07_threat_t08_deliveries_that_prove_nothing_change_nothing() {
    let hub = Hub::start("forged").await;
    let (world, events) = (&hub.world, &hub.events);
    let first = hub.repository.commit("feature/a", &[("a", "1")]).unwrap();
    hub.deliver("push", &events.push_create("feature/a", &first)).await;
    world.wait_ready("feature/a", &first).await;
    world.wait_for_event("Ready").await;
    // The branch is really gone: whoever is believed now removes the environment.
    hub.repository.delete_branches(&["feature/a"]).unwrap();
    let position = world.plane.audit().position();
    let before = hub.lookups();

    let url = world.endpoint(world.server(), "hub");
    let body = events.delete_branch("feature/a").to_string().into_bytes();
    let secret = WEBHOOK_SECRET.as_bytes();
    let right = signature(secret, &body);
    let wrong = signature(b"another secret", &body);
    let of_altered = signature(secret, &[&body[..], b" "].concat());
    let huge = vec![b' '; 6 * 1024 * 1024];
    let of_huge = signature(secret, &huge);
    let malformed = br#"{"ref":["feature/a"],"ref_type":{"branch":1},"repository":[]}"#.to_vec();
    let of_malformed = signature(secret, &malformed);
    let cut = body[..body.len() / 2].to_vec();
    let of_cut = signature(secret, &cut);
    let cases: [(&str, Option<&str>, &[u8], u16); 8] = [
        ("x-hub-signature-256", None, &body, 401),
        ("x-hub-signature-256", Some(""), &body, 401),
        ("x-hub-signature-256", Some(&wrong), &body, 401),
        ("x-hub-signature-256", Some(&of_altered), &body, 401),
        ("x-graftling-signature-256", Some(&right), &body, 401),
        ("x-hub-signature-256", Some(&of_huge), &huge, 413),
        ("x-hub-signature-256", Some(&of_malformed), &malformed, 400),
        ("x-hub-signature-256", Some(&of_cut), &cut, 400),
    ];
    for (header, value, body, expected) in cases {
        let mut headers = vec![("content-type", "application/json"), ("x-github-event", "delete")];
        headers.extend(value.map(|value| (header, value)));
        let answer = post(&url, &headers, body).await.unwrap();
        assert_eq!(answer.status.as_u16(), expected, "{header} {value:?}: {}", answer.body);
    }
    assert_eq!(hub.lookups(), before, "nothing unproven may cost the Git host a request");
    assert_eq!(world.writes_since(position), []);

    hub.deliver("delete", &events.delete_branch("feature/a")).await;
    world.wait_gone("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn threat_t02_without_a_secret_there_is_no_endpoint_and_a_rotated_secret_replaces_the_old_one() {
    let (world, repository) = World::shop("secret", Options::default(), json!({})).await;
    let name = repository_name(&repository);
    let parent = repository.path().parent().unwrap().display().to_string();
    let spec = json!({ "provider": "git", "url": format!("file://{parent}") });
    let _: graftling::api::GitHost = world.apply("GitHost", "open", json!({ "spec": spec })).await;
    let status = world
        .wait_for_host("open", "with a status", |status| status.message.is_some())
        .await;
    assert_eq!(status.webhook_path, None);
    assert!(
        status.message.clone().unwrap().contains("spec.webhook.secret is not set"),
        "{status:?}"
    );
    assert_eq!(ready_reason(&status.conditions), "Connected");
    let none = "0".repeat(40);
    let hint = async |host: &str| {
        world
            .hint(host, &name, "refs/heads/x", &none, &"1".repeat(40))
            .await
            .status
            .as_u16()
    };
    assert_eq!(hint("open").await, 404);
    assert_eq!(hint("never-there").await, 404);

    let with_path = |status: &graftling::api::GitHostStatus| status.webhook_path.is_some();
    let status = world.wait_for_host("git", "with an endpoint", with_path).await;
    let path = format!("/hooks/{}/git", world.namespace.name());
    assert_eq!(status.webhook_path.unwrap(), path);
    assert_eq!(hint("git").await, 202);

    let position = world.plane.audit().position();
    world.secret("webhook", "secret", "rotated").await;
    wait::until("the end of the old secret", LONG, || async {
        let status = hint("git").await;
        let reads = world.plane.audit().since(position);
        let of_server = |event: &&testbed::AuditEvent| event.user == world.server_user() && event.resource != "leases";
        let reads: Vec<_> = reads
            .iter()
            .filter(of_server)
            .map(|event| {
                format!(
                    "{} {} {} {} {}",
                    event.request_received, event.verb, event.resource, event.name, event.code
                )
            })
            .collect();
        if status == 401 {
            Ok(())
        } else {
            Err(format!("{status} after {} reads {reads:#?}", reads.len()))
        }
    })
    .await;
    let body = json!({ "version": 1, "repository": name, "updates": [] }).to_string().into_bytes();
    let signed = signature(b"rotated", &body);
    let headers = [("x-graftling-event", "push"), ("x-graftling-signature-256", signed.as_str())];
    let answer = post(&world.endpoint(world.server(), "git"), &headers, body).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);

    // A secret of nothing would let anybody in.
    world.secret("webhook", "secret", "").await;
    wait::until("the end of the endpoint", LONG, || async { hint("git").await == 404 }).await;
    let status = world
        .wait_for_host("git", "without an endpoint", |status| status.webhook_path.is_none())
        .await;
    assert!(
        status.message.clone().unwrap().contains("Secret webhook has nothing under the key"),
        "{status:?}"
    );
}

/// So many Projects of others make it felt if each hint costs something for each of them.
const OTHERS: usize = 400;

#[tokio::test(flavor = "multi_thread")]
async fn hints_without_end_beside_many_projects_of_others_hold_up_no_sweep() {
    let (world, repository) = World::shop("flood", Options::default(), json!({})).await;
    world.first_look().await;
    let others = format!("others-{}", world.namespace.name());
    world.create("v1", "Namespace", None, &others, json!({})).await;
    // Patterns are what takes time to read.
    let globs: Vec<_> = (0..20).map(|number| format!("team-{number}/**/x*")).collect();
    let spec = json!({
        "gitHostRef": { "name": "git" }, "repository": "other.git", "domain": "preview.example.com",
        "deployer": { "serviceAccountName": "deployer" }, "bundle": { "name": "mini" }, "branches": { "include": globs },
    });
    let make = |number: usize| {
        let (world, others, body) = (&world, &others, json!({ "spec": spec }));
        async move {
            world
                .create("graftling.dev/v1alpha1", "Project", Some(others), &format!("other-{number}"), body)
                .await
        }
    };
    stream::iter((0..OTHERS).map(make)).buffer_unordered(16).collect::<Vec<_>>().await;

    let name = repository_name(&repository);
    let flood = async {
        loop {
            world
                .hint("git", &name, "refs/heads/nobody", &"0".repeat(40), &"1".repeat(40))
                .await;
        }
    };
    let found = async {
        let revision = repository.commit("feature/a", &[]).unwrap();
        world.wait_for("feature/a", Phase::Ready, &revision).await
    };
    tokio::select! {
        () = flood => unreachable!("it has no end"),
        _ = found => {}
    }
    let namespaces = objects::api(&world.client, "v1", "Namespace", None).await;
    namespaces.delete(&others, &DeleteParams::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_in_quick_succession_make_no_more_environments_than_a_project_allows() {
    let (world, repository) = World::shop("rush", Options::without_sweeps(), json!({ "lifecycle": { "maxEnvironments": 2 } })).await;
    world.first_look().await;
    let branches = ["a", "b", "c", "d", "e", "f"];
    let commits: Vec<(&str, &[(&str, &str)])> = branches.iter().map(|branch| (*branch, &[("a", "1")] as &[_])).collect();
    let revisions = repository.push_many(&commits).unwrap();
    let name = repository_name(&repository);
    let none = "0".repeat(40);
    for (branch, revision) in branches.iter().zip(&revisions) {
        let reference = format!("refs/heads/{branch}");
        assert_eq!(world.hint("git", &name, &reference, &none, revision).await.status, 202);
    }
    let ready = |status: &graftling::api::environment::EnvironmentStatus| status.phase == Some(Phase::Ready);
    wait::until("two ready environments", LONG, || async {
        let all = world.environments().list(&ListParams::default()).await.unwrap().items;
        all.iter()
            .filter(|environment| environment.status.as_ref().is_some_and(ready))
            .count()
            >= 2
    })
    .await;
    assert_eq!(world.alive().await.len(), 2);
}
