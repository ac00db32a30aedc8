//! Who may write what people say and ask: the admission policy of the chart on a real API server, without any server of ours.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::Environment;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use testbed::wait;

use crate::world::{LONG, Options, World, objects};

/// Somebody whom the API server knows by this name, in these groups.
pub(super) async fn person(world: &World, name: &str, groups: &[&str]) -> Client {
    let mut config = testbed::configuration(world.plane.kubeconfig()).await;
    config.auth_info.impersonate = Some(name.to_owned());
    let groups = groups.iter().chain(&["system:authenticated"]).map(|group| (*group).to_owned());
    config.auth_info.impersonate_groups = Some(groups.collect());
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

/// Lets `editors` change Environments, and `approvers` of them also approve.
pub(super) async fn grant(world: &World, editors: &[&str], approvers: &[&str]) {
    let namespace = world.namespace.name();
    let rbac = "rbac.authorization.k8s.io";
    let edit =
        json!([{ "apiGroups": ["graftling.dev"], "resources": ["environments"], "verbs": ["get", "list", "watch", "patch", "update"] }]);
    let approve = json!([{ "apiGroups": ["graftling.dev"], "resources": ["environments/approval"], "verbs": ["update"] }]);
    for (role, rules, people) in [("edit", edit, editors), ("approve", approve, approvers)] {
        let subjects: Vec<Value> = people
            .iter()
            .map(|name| json!({ "kind": "User", "name": name, "apiGroup": rbac }))
            .collect();
        let version = format!("{rbac}/v1");
        objects::apply(&world.client, &version, "Role", Some(namespace), role, json!({ "rules": rules })).await;
        let binding = json!({ "roleRef": { "kind": "Role", "name": role, "apiGroup": rbac }, "subjects": subjects });
        objects::apply(&world.client, &version, "RoleBinding", Some(namespace), role, binding).await;
    }
}

pub(super) fn word(by: &str, verdict: &str, groups: &[&str]) -> Value {
    json!({
        "run": 1, "stage": "release", "attempt": 1, "by": by, "verdict": verdict, "groups": groups, "at": "2026-01-01T00:00:00Z",
    })
}

/// Waits until a word in the name of somebody else is refused: a policy is in force a moment after it is stored.
pub(super) async fn is_in_force(world: &World, environment: &str) {
    let patch = Patch::Merge(json!({ "spec": { "approvals": [word("nobody", "Approved", &[])] } }));
    let tried = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    wait::until("the policy to be in force", LONG, || async {
        match world.environments().patch(environment, &tried, &patch).await {
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(()),
            other => Err(format!("{:?}", other.map(drop))),
        }
    })
    .await;
}

struct Place {
    world: World,
    name: String,
}

impl Place {
    async fn new(name: &str) -> Self {
        let world = World::without_server(name, Options::default()).await;
        grant(&world, &["alice", "bob", "carol"], &["alice", "carol"]).await;
        let spec = json!({
            "projectRef": { "name": "shop" }, "branch": "feature/a", "repositoryId": "1", "revision": "ab".repeat(20),
        });
        let environment: Environment = world.apply("Environment", "shop-a-aaaaaaaaaa", json!({ "spec": spec })).await;
        let place = Self {
            name: environment.name_any(),
            world,
        };
        is_in_force(&place.world, &place.name).await;
        place
    }

    /// Merges fields into the spec; what the API server answered otherwise.
    async fn write(&self, client: &Client, spec: Value) -> Result<(), (u16, String)> {
        let api: Api<Environment> = Api::namespaced(client.clone(), self.world.namespace.name());
        let patch = Patch::Merge(json!({ "spec": spec }));
        match api.patch(&self.name, &PatchParams::default(), &patch).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) => Err((status.code, status.message.clone())),
            Err(error) => panic!("{error}"),
        }
    }

    async fn refused(&self, client: &Client, spec: Value, because: &str) {
        let (code, message) = self.write(client, spec.clone()).await.expect_err(&format!("{spec} was accepted"));
        assert!(code == 403 && message.contains(because), "{spec}: {code} {message}");
    }

    async fn person(&self, name: &str, groups: &[&str]) -> Client {
        let client = person(&self.world, name, groups).await;
        // Rights take a moment.
        wait::until(&format!("the rights of {name}"), LONG, || async {
            let written = self.write(&client, json!({ "suspend": false })).await;
            written.map_err(|(code, message)| format!("{code} {message}"))
        })
        .await;
        client
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_bears_the_name_the_groups_and_the_right_of_whoever_writes_it() {
    let place = Place::new("approve").await;
    let alice = place.person("alice", &["leads"]).await;
    let bob = place.person("bob", &["leads"]).await;
    let carol = place.person("carol", &[]).await;
    let approvals = |words: &[&Value]| json!({ "approvals": words });
    let hers = word("alice", "Approved", &["leads"]);

    place
        .refused(&bob, approvals(&[&word("bob", "Approved", &[])]), "you may not approve here")
        .await;
    place.refused(&bob, approvals(&[&hers]), "by must be your own user name").await;
    place
        .refused(&alice, approvals(&[&word("bob", "Approved", &[])]), "by must be your own user name")
        .await;
    place
        .refused(
            &alice,
            approvals(&[&word("alice", "Approved", &["admins"])]),
            "groups must be groups that you belong to",
        )
        .await;
    // Not even who may do everything speaks for others.
    place
        .refused(&place.world.client, approvals(&[&hers]), "by must be your own user name")
        .await;
    place.write(&alice, approvals(&[&hers])).await.unwrap();

    place.refused(&carol, approvals(&[]), "can be neither changed nor removed").await;
    place
        .refused(&carol, approvals(&[&word("alice", "Rejected", &["leads"])]), "spec.approvals")
        .await;
    place
        .write(&carol, approvals(&[&hers, &word("carol", "Rejected", &[])]))
        .await
        .unwrap();
    // Whoever has no part in it may change everything else.
    place.write(&bob, json!({ "suspend": true })).await.unwrap();
    place.write(&alice, approvals(&[&word("carol", "Rejected", &[])])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_bears_the_name_of_whoever_writes_it_and_what_its_action_takes() {
    let place = Place::new("request").await;
    let alice = place.person("alice", &[]).await;
    let bob = place.person("bob", &[]).await;
    let request = |by: &str, rest: Value| {
        let mut request = json!({ "id": "1", "by": by, "at": "2026-01-01T00:00:00Z" });
        crate::world::merge(&mut request, rest);
        json!({ "request": request })
    };
    let retry = || json!({ "action": "Retry" });
    place
        .refused(&bob, request("alice", retry()), "by must be your own user name")
        .await;
    place.write(&alice, request("alice", retry())).await.unwrap();
    place.write(&bob, json!({ "suspend": true })).await.unwrap();
    place
        .refused(&bob, json!({ "request": { "id": "2" } }), "by must be your own user name")
        .await;
    place.write(&bob, json!({ "request": null })).await.unwrap();
    for (wrong, because) in [
        (json!({ "action": "Skip" }), "Skip and Rerun need stage"),
        (json!({ "action": "Sync" }), "Sync needs objects"),
        (json!({ "action": "Sync", "objects": ["web"] }), "objects"),
        (json!({ "action": "Retry", "run": 3 }), "run and revision are for Rollback"),
        (
            json!({ "action": "Rollback", "run": 3, "revision": "abcdef0" }),
            "exclude each other",
        ),
        (
            json!({ "action": "Rollback", "stage": "release" }),
            "stage is for Retry, Skip and Rerun",
        ),
        (json!({ "action": "Explode" }), "Unsupported value"),
    ] {
        let (code, message) = place.write(&alice, request("alice", wrong.clone())).await.unwrap_err();
        assert!(code == 422 && message.contains(because), "{wrong}: {code} {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_knows_whether_somebody_proves_who_wrote_an_approval() {
    let place = Place::new("proof").await;
    let world = &place.world;
    let server = Client::try_from(world.server_configuration().await).unwrap();
    let name = format!("{}-approvals", world.release);
    let policy = name.parse().unwrap();
    let unproven = || graftling::cluster::approvals::unproven(server.clone(), &policy);
    let first = wait::until("the rights of the server", LONG, || async {
        unproven().await.map_err(|error| error.chain())
    })
    .await;
    assert_eq!(first, None);
    // It writes what was said elsewhere, in a pull request.
    place
        .write(
            &server,
            json!({ "approvals": [word("mia (pull request comment)", "Approved", &[])] }),
        )
        .await
        .unwrap();
    for (kind, words) in [
        ("ValidatingAdmissionPolicyBinding", "has no binding"),
        ("ValidatingAdmissionPolicy", "is missing"),
    ] {
        let api = objects::api(&world.client, "admissionregistration.k8s.io/v1", kind, None).await;
        api.delete(&name, &Default::default()).await.unwrap();
        let problem = unproven().await.unwrap().expect("nothing proves it any more");
        assert!(problem.contains(words) && problem.contains("graftling's chart"), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_wrote_stays_and_is_theirs_when_the_branch_is_pushed() {
    let branch = "feature/a";
    let scene = super::scene::Scene::start("kept", super::scene::CONFIG).await;
    let environment = scene.up(branch).await;
    grant(&scene.world, &["alice"], &["alice"]).await;
    let alice: Api<Environment> = Api::namespaced(person(&scene.world, "alice", &[]).await, scene.world.namespace.name());
    let request = json!({ "id": "1", "action": "Retry", "by": "alice", "at": "2026-01-01T00:00:00Z" });
    let spec = json!({ "spec": { "approvals": [word("alice", "Approved", &[])], "request": request } });
    wait::until("the rights of alice", LONG, || async {
        alice
            .patch(&environment.name_any(), &PatchParams::default(), &Patch::Merge(&spec))
            .await
            .map(drop)
    })
    .await;
    let revision = scene.push(branch);
    let pushed = scene
        .world
        .wait_for(branch, graftling::api::environment::Phase::Ready, &revision)
        .await;
    assert_eq!(pushed.spec.approvals.len(), 1);
    assert_eq!(pushed.spec.request.map(|request| request.by), Some("alice".to_owned()));
    let ours = pushed
        .metadata
        .managed_fields
        .unwrap()
        .into_iter()
        .filter(|entry| entry.manager.as_deref() == Some("graftling") && entry.subresource.is_none());
    for entry in ours {
        let fields = entry.fields_v1.unwrap().0;
        assert!(
            fields["f:spec"].get("f:approvals").is_none() && fields["f:spec"].get("f:request").is_none(),
            "{fields}"
        );
    }
}
