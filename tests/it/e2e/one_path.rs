//! Every way to the end of an environment is the same way: the same plan, the same order, the same receipt.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::process::{Command, Output};

use graftling::api::Environment;
use graftling::api::environment::Phase;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::github::{FakeGithub, OpenPullRequest};
use testbed::{Position, Repository, wait};

use super::scene::{Scene, WEB, short, write_bundle};
use crate::world::{LONG, Options, World};

/// One repository at a stand-in for GitHub, one bundle, and a Project for each kind of ending.
struct Ways {
    world: World,
    fake: FakeGithub,
    repository: Repository,
    _bundles: TempDir,
}

/// What can be compared of a removal: what the server deleted in which order, and the receipt without what must differ.
#[derive(Debug, PartialEq)]
struct Ending {
    deletions: Vec<String>,
    receipt: Value,
}

impl Ways {
    async fn start(name: &str) -> Self {
        let bundles = tempfile::tempdir().unwrap();
        // One object in each tier, so that there is one order.
        write_bundle(bundles.path().join("app"), WEB);
        let options = Options {
            bundles: bundles.path().to_owned(),
            ..Options::default()
        };
        let world = World::with(name, options).await;
        let (fake, repository) = (FakeGithub::start().await.unwrap(), Repository::create().unwrap());
        fake.add_repository("acme", "shop", 7, &repository.path(), "main");
        world.github_host("hub", &fake).await;
        for (project, branches) in [
            ("rules", json!(["branch", "pull"])),
            ("short", json!(["expired"])),
            ("hand", json!(["cli", "object"])),
        ] {
            let spec = json!({
                "bundle": { "name": "app" },
                "branches": { "include": branches },
                "pullRequests": { "onClose": "Teardown" },
            });
            world.project_at("hub", project, "acme/shop", spec).await;
        }
        Self {
            world,
            fake,
            repository,
            _bundles: bundles,
        }
    }

    fn open(&self, head: &str) {
        let pull = OpenPullRequest {
            number: 12,
            head: head.to_owned(),
            head_repository: Some(7),
            head_owner: "acme".to_owned(),
            labels: Vec::new(),
        };
        self.fake.set_pull_requests(7, vec![pull]);
    }

    async fn up(&self, branch: &str) -> Environment {
        let revision = self.repository.commit(branch, &[("a", branch)]).unwrap();
        self.world.wait_for(branch, Phase::Ready, &revision).await
    }

    /// Waits for the end and reads what came of it; `because` is what the receipt must tell.
    async fn ending(&self, environment: &Environment, position: Position, because: &str) -> Ending {
        wait::until(format!("the end of {}", environment.spec.branch), LONG, || async {
            let found = self.world.environments().get_opt(&environment.name_any()).await.unwrap();
            found.is_none_or(|found| found.uid() != environment.uid())
        })
        .await;
        let receipt = self.world.receipt(environment).await;
        let mut receipt: Value = serde_saphyr::from_str(&receipt.replace(&environment.name_any(), "NAME")).unwrap();
        let told = receipt["because"].as_str().unwrap().to_owned();
        assert!(told.contains(because), "{because:?} in {told:?}");
        let fields = receipt.as_object_mut().unwrap();
        for differs in ["uid", "project", "branch", "revision", "because", "requestedAt", "completedAt"] {
            assert!(fields.remove(differs).is_some(), "{differs}");
        }
        // What the last look cost.
        fields["scan"].as_object_mut().unwrap().retain(|field, _| field.starts_with("not"));
        without_uids_and_times(&mut receipt);
        let user = self.world.server_user();
        let name = environment.name_any();
        let mut events = self.world.plane.audit().since(position);
        events.retain(|event| event.user == user && event.verb == "delete" && event.resource != "environments");
        events.retain(|event| event.namespace == name || event.name == name);
        // It goes beside the other Secrets, in any order.
        events.retain(|event| event.name != "graftling-run-1");
        events.sort_by_key(|event| event.request_received);
        Ending {
            deletions: events.iter().map(|event| short(event).replace(&name, "NAME")).collect(),
            receipt,
        }
    }
}

/// Every object and every incarnation has its own.
fn without_uids_and_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("uid");
            fields.values_mut().for_each(without_uids_and_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_uids_and_times),
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => *value = json!("TIME"),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x11_every_way_to_an_end_deletes_the_same_in_the_same_order_and_gives_the_same_receipt() {
    let ways = Ways::start("one-path").await;
    let world = &ways.world;
    ways.open("pull");
    let mut environments = Vec::new();
    for branch in ["branch", "pull", "expired", "cli", "object"] {
        environments.push(ways.up(branch).await);
    }
    let [branch, pull, expired, cli, object] = &environments[..] else {
        unreachable!("five were made")
    };
    // Their branches are there still: only what is deleted by hand would come back at once.
    world.patch_project("hand", json!({ "suspend": true })).await;
    let position = world.plane.audit().position();

    ways.repository.delete_branches(&["branch"]).unwrap();
    ways.fake.set_pull_requests(7, Vec::new());
    world.patch_project("short", json!({ "lifecycle": { "ttl": "1s" } })).await;
    let asked = env(world, &["delete", "cli", "--yes"]).await;
    assert_eq!(asked.status.code(), Some(0), "{asked:?}");
    world
        .environments()
        .delete(&object.name_any(), &DeleteParams::default())
        .await
        .unwrap();
    // Asking once more, in either way, is no error and changes nothing.
    let again = env(world, &["delete", &cli.name_any(), "--yes"]).await;
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    world
        .environments()
        .delete(&object.name_any(), &DeleteParams::default())
        .await
        .unwrap();

    let first = ways.ending(branch, position, "branch branch is gone: the host said so twice").await;
    assert_eq!(first.deletions.len(), 5, "{first:?}");
    assert_eq!(first.deletions.last().unwrap(), "delete namespaces NAME");
    assert_eq!(first.receipt["left"], json!([]));
    for (environment, because) in [
        (pull, "pull request 12 of branch pull is open no more: the host said so twice"),
        (expired, "nothing happened to branch expired for"),
        (cli, "admin asked for it with graftling env delete"),
        (object, "the Environment object was deleted"),
    ] {
        assert_eq!(
            ways.ending(environment, position, because).await,
            first,
            "{}",
            environment.spec.branch
        );
    }
    told_everywhere(world).await;
}

/// The reason is in Events and in the metric too.
async fn told_everywhere(world: &World) {
    for because in ["branch branch is gone", "pull request 12", "nothing happened to branch expired"] {
        let tells = |events: Vec<String>| events.iter().any(|note| note.contains(because));
        assert!(tells(world.events("Retired").await), "{because}");
        wait::until(format!("an Event Removed that tells: {because}"), LONG, || async {
            tells(world.events("Removed").await)
        })
        .await;
    }
    let causes = ["branch_gone", "pull_request_closed", "expired", "requested", "deleted"];
    wait::until("five removals counted by their cause", LONG, || async {
        let body = world.metrics().await;
        let counted = |cause: &str| body.contains(&format!("graftling_environments_retired_total{{cause=\"{cause}\"}} 1\n"));
        causes.iter().all(|cause| counted(cause))
    })
    .await;
}

/// `graftling env` in the world's namespace, as the admin.
async fn env(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graftling"));
    command.arg("env").args(arguments).args(["-n", world.namespace.name()]);
    command
        .env_clear()
        .env("HOME", world.folder.path())
        .env("KUBECONFIG", world.plane.kubeconfig());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x11_a_namespace_that_a_person_removed_before_or_meanwhile_ends_every_way_without_an_error() {
    let scene = Scene::start("removed", WEB).await;
    let mut environments = Vec::new();
    for branch in ["before/branch", "meanwhile/branch", "before/cli", "meanwhile/object"] {
        environments.push(scene.up(branch).await);
    }
    for environment in environments
        .iter()
        .filter(|environment| environment.spec.branch.starts_with("before/"))
    {
        scene.suspend_project().await;
        let name = environment.name_any();
        scene.remove("v1", "Namespace", "", &name).await;
        wait::until("end of the namespace", LONG, || async {
            !scene.world.namespace_exists(&name).await
        })
        .await;
    }
    let object = environments[3].name_any();
    scene.world.environments().delete(&object, &DeleteParams::default()).await.unwrap();
    let asked = env(&scene.world, &["delete", "before/cli", "--yes", "--wait"]).await;
    assert_eq!(asked.status.code(), Some(0), "{asked:?}");
    scene
        .change_project(json!({ "suspend": false, "branches": { "exclude": ["main", "before/cli", "meanwhile/object"] } }))
        .await;
    scene.repository.delete_branches(&["before/branch", "meanwhile/branch"]).unwrap();
    for environment in environments
        .iter()
        .filter(|environment| environment.spec.branch.starts_with("meanwhile/"))
    {
        let params = DeleteParams::default();
        let namespaces: Api<Namespace> = Api::all(scene.world.client.clone());
        // It may be gone already.
        let _ = namespaces.delete(&environment.name_any(), &params).await;
    }
    for environment in &environments {
        scene.world.wait_gone(&environment.spec.branch).await;
        let receipt: Value = serde_saphyr::from_str(&scene.world.receipt(environment).await).unwrap();
        assert_eq!(
            (&receipt["left"], &receipt["created"]),
            (&json!([]), &receipt["removed"]),
            "{receipt:#}"
        );
    }
    // Once more, when nothing is there any more.
    let gone = env(&scene.world, &["delete", &object, "--yes"]).await;
    assert_eq!(gone.status.code(), Some(3), "{gone:?}");
}
