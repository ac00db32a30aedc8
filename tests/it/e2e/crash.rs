//! Whatever dies in the middle, whatever the moment: what comes after it finishes the work, and nothing is left behind.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use testbed::wait;

use crate::world::{LONG, Options, World};

/// How far a deployment has come, by what can be seen of it.
const DEPLOYING: [&str; 4] = ["Environment", "Namespace", "RoleBinding", "Deployment"];

/// How far a teardown has come.
const ENDING: [&str; 3] = ["Environment", "Deployment", "Namespace"];

async fn exists<K>(client: &Client, namespace: &str, name: &str) -> bool
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
{
    Api::<K>::namespaced(client.clone(), namespace)
        .get_opt(name)
        .await
        .unwrap()
        .is_some()
}

/// Whether the environment of `branch` has come so far that an object of this kind is there.
pub async fn deployed(world: &World, branch: &str, kind: &str) -> bool {
    let Some(environment) = world.environment(branch).await else {
        return false;
    };
    let name = environment.name_any();
    match kind {
        "Namespace" => world.namespace_exists(&name).await,
        "RoleBinding" => exists::<RoleBinding>(&world.client, &name, "graftling-deployer").await,
        "Deployment" => exists::<Deployment>(&world.client, &name, "web").await,
        _ => true,
    }
}

/// Whether the teardown of an environment has come so far that an object of this kind is going or gone.
pub async fn ended(world: &World, branch: &str, name: &str, kind: &str) -> bool {
    match kind {
        "Deployment" => !exists::<Deployment>(&world.client, name, "web").await,
        "Namespace" => {
            let namespaces: Api<Namespace> = Api::all(world.client.clone());
            let namespace = namespaces.get_opt(name).await.unwrap();
            namespace.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some())
        }
        _ => {
            let environment = world.environment(branch).await;
            environment.is_none_or(|environment| environment.metadata.deletion_timestamp.is_some())
        }
    }
}

/// Ends the server as a crash would.
async fn crash(world: &mut World) {
    let server = world.server.take().unwrap();
    server.running.kill_hard().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_the_middle_of_a_deployment_is_succeeded_by_one_that_finishes_it() {
    let (mut world, repository) = World::shop("crash-up", Options::default(), json!({})).await;
    for kind in DEPLOYING {
        let branch = kind.to_lowercase();
        let revision = repository.commit(&branch, &[("a", "1")]).unwrap();
        wait::until(format!("{kind} of {branch}"), LONG, || deployed(&world, &branch, kind)).await;
        crash(&mut world).await;
        world.start_server().await;
        let environment = world.wait_ready(&branch, &revision).await;
        let status = environment.status.unwrap();
        let complete = status.inventory.entries().iter().all(|entry| entry.uid.is_some());
        assert!(complete && status.inventory.entries().len() > 5, "{kind}: {:#?}", status.inventory);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_the_middle_of_a_teardown_is_succeeded_by_one_that_proves_the_end() {
    let (mut world, repository) = World::shop("crash-down", Options::default(), json!({})).await;
    let pushed = repository
        .push_many(&[("a", &[("a", "1")]), ("b", &[("a", "1")]), ("c", &[("a", "1")])])
        .unwrap();
    let mut environments = Vec::new();
    for (branch, revision) in ["a", "b", "c"].into_iter().zip(&pushed) {
        environments.push(world.wait_ready(branch, revision).await);
    }
    repository.delete_branches(&["a", "b", "c"]).unwrap();
    let first = environments[0].name_any();
    for kind in ENDING {
        wait::until(format!("the end of the {kind}"), LONG, || ended(&world, "a", &first, kind)).await;
        crash(&mut world).await;
        world.start_server().await;
    }
    for environment in &environments {
        let name = environment.name_any();
        world.wait_gone(&environment.spec.branch).await;
        assert!(!world.namespace_exists(&name).await);
        assert!(!exists::<ServiceAccount>(&world.client, &name, "web").await);
        let receipt = world.receipt(environment).await;
        assert!(receipt.contains("left: []"), "{receipt}");
    }
}

/// After an outage, everything that waited for its end is done within this time (fault F14), on a machine with other work to do.
const CATCH_UP: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn f14_an_outage_of_the_api_server_removes_nothing_and_everything_goes_on_after_it() {
    let mut world = World::apart("outage", Options::default()).await;
    world.start_server().await;
    let repository = testbed::Repository::create().unwrap();
    world.project("shop", &repository, crate::world::without_main(json!({}))).await;
    let pushed = repository.push_many(&[("stays", &[("a", "1")]), ("goes", &[("a", "1")])]).unwrap();
    let stays = world.wait_ready("stays", &pushed[0]).await;
    world.wait_ready("goes", &pushed[1]).await;

    let half = repository.commit("half", &[("a", "1")]).unwrap();
    wait::until("the namespace of half", LONG, || deployed(&world, "half", "Namespace")).await;
    world.plane.stop_api_server();
    let lines = world.server().running.lines().len();
    let moved = repository.commit("stays", &[("a", "2")]).unwrap();
    let new = repository.commit("new", &[("a", "1")]).unwrap();
    repository.delete_branches(&["goes"]).unwrap();
    // So many failures that several rounds of repetition have begun.
    wait::until("some failures", LONG, || async {
        let log = world.server().running.lines();
        log[lines..].iter().filter(|line| line.contains("WARN")).count() >= 12
    })
    .await;
    assert!(world.server().running.exited().is_none());
    world.plane.start_api_server().await.unwrap();

    let back = Instant::now();
    assert_eq!(world.wait_ready("stays", &moved).await.uid(), stays.uid());
    world.wait_ready("half", &half).await;
    world.wait_ready("new", &new).await;
    assert!(back.elapsed() < CATCH_UP, "{:?}", back.elapsed());
    world.wait_gone("goes").await;
    assert!(world.server().running.exited().is_none(), "the server must have lived through it");
}
