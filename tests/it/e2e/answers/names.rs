//! Names of hosts that do not resolve for a while: those of the API server and of Git hosts.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::Instant;

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::gitlab::FakeGitlab;
use testbed::host_names::{Failure, HostNames};
use testbed::{Repository, wait};

use crate::e2e::scene::{CONFIG, write_bundle};
use crate::githost::http_backend::HttpBackend;
use crate::world::{LONG, Options, World, ready_reason, repository_name, without_main};

/// How a server in a cluster finds the API server.
const API_SERVER: &str = "kubernetes.default.svc";

/// So many look-ups a second there are at most while none succeeds: of a dozen watches and a few environments. A tight loop has thousands.
const LOOKUPS_A_SECOND: f64 = 100.0;

/// A world whose server finds hosts by `names`, and the API server by its usual one.
async fn world(name: &str, names: &HostNames) -> (World, TempDir) {
    let bundles = tempfile::tempdir().unwrap();
    write_bundle(bundles.path().join("mini"), CONFIG);
    let options = Options {
        bundles: bundles.path().to_owned(),
        proxied: true,
        ..Options::default()
    };
    let mut world = World::without_server(name, options).await;
    let kubeconfig = world.folder.path().join("named.kubeconfig");
    world.write_kubeconfig(&kubeconfig).await;
    let named = std::fs::read_to_string(&kubeconfig).unwrap().replace("127.0.0.1", API_SERVER);
    std::fs::write(&kubeconfig, named).unwrap();
    world.server = Some(world.server_by(&kubeconfig, &[], names.environment()).await);
    (world, bundles)
}

#[tokio::test(flavor = "multi_thread")]
async fn f16_while_the_name_of_the_api_server_does_not_resolve_nothing_goes_and_soon_after_all_is_done() {
    let names = HostNames::of_this_machine(&[API_SERVER]).unwrap();
    let (world, _bundles) = world("names-api", &names).await;
    let repository = Repository::create().unwrap();
    world.project("shop", &repository, without_main(json!({}))).await;
    let pushed = repository.push_many(&[("stays", &[]), ("goes", &[])]).unwrap();
    let stays = world.wait_ready("stays", &pushed[0]).await;
    world.wait_ready("goes", &pushed[1]).await;
    let alive = world.alive().await;

    let since = Instant::now();
    names.fail(API_SERVER, Failure::Failing).unwrap();
    world.proxy().reset_connections();
    let moved = repository.commit("stays", &[("a", "2")]).unwrap();
    let new = repository.commit("new", &[]).unwrap();
    repository.delete_branches(&["goes"]).unwrap();
    // What there still is of connections, or is opened by what was resolved just before, is gone with the next reset.
    for failure in [Failure::Failing, Failure::Unknown, Failure::Silent] {
        names.fail(API_SERVER, failure).unwrap();
        world.proxy().reset_connections();
        let before = names.failures(API_SERVER);
        wait::until(format!("look-ups that find it {failure:?}"), LONG, || async {
            names.failures(API_SERVER) >= before + 5
        })
        .await;
    }
    let rate = names.failures(API_SERVER) as f64 / since.elapsed().as_secs_f64();
    println!("{rate:.1} look-ups a second");
    assert!(rate < LOOKUPS_A_SECOND, "{rate:.1} look-ups a second");
    assert_eq!(world.alive().await, alive);

    let back = Instant::now();
    names.resolve(API_SERVER).unwrap();
    assert_eq!(world.wait_ready("stays", &moved).await.uid(), stays.uid());
    world.wait_ready("new", &new).await;
    world.wait_gone("goes").await;
    println!("all goes on {:.1} s after the name is found", back.elapsed().as_secs_f64());
    assert!(world.server().running.exited().is_none());
}

/// A Git host by its name, and a Project over it.
async fn named(world: &World, provider: &str, host: &str, url: &str, repository: &str) {
    let url = url.replace("127.0.0.1", host);
    let spec: Value = json!({ "provider": provider, "url": url });
    let _: graftling::api::GitHost = world.apply("GitHost", provider, json!({ "spec": spec })).await;
    world.project_at(provider, provider, repository, without_main(json!({}))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f16_f64_while_the_name_of_a_git_host_does_not_resolve_nothing_of_it_goes_and_other_hosts_are_kept_up_with() {
    let hosts = ["plain.git.invalid", "gitlab.git.invalid"];
    let names = HostNames::of_this_machine(&[API_SERVER, hosts[0], hosts[1]]).unwrap();
    let (world, _bundles) = world("names-git", &names).await;
    let repository = Repository::create().unwrap();
    repository.push_many(&[("moves", &[]), ("goes", &[])]).unwrap();
    let name = repository_name(&repository);
    let plain = HttpBackend::start(repository.path().parent().unwrap()).await;
    let gitlab = FakeGitlab::start().await.unwrap();
    gitlab.add_project("acme/shop", 7, &repository.path(), "main");
    named(&world, "git", hosts[0], &plain.url(), &name).await;
    named(&world, "gitlab", hosts[1], &gitlab.url(), "acme/shop").await;
    world.git_host("files", &repository).await;
    world.project_at("files", "files", &name, without_main(json!({}))).await;
    let all = wait::until("two environments in every Project", LONG, || async {
        let alive = world.alive().await;
        if alive.len() == 6 { Ok(alive) } else { Err(format!("{alive:?}")) }
    })
    .await;

    for (host, failure) in hosts.iter().zip([Failure::Failing, Failure::Unknown]) {
        names.fail(host, failure).unwrap();
    }
    let moved = repository.commit("moves", &[("a", "2")]).unwrap();
    repository.delete_branches(&["goes"]).unwrap();
    for project in ["git", "gitlab"] {
        let unavailable = |status: &graftling::api::ProjectStatus| ready_reason(&status.conditions) == "SourceUnavailable";
        let status = world.wait_for_project(project, "without its source", unavailable).await;
        println!("{project}: {}", status.message.unwrap_or_default());
    }
    let arrived = |project: &'static str| {
        let (world, moved) = (&world, &moved);
        async move {
            wait::until(format!("the push in {project}"), LONG, || async {
                world.environment_of(project, "moves").await.unwrap().spec.revision == *moved
            })
            .await;
            wait::until(format!("the deletion in {project}"), LONG, || async {
                let environment = world.environment_of(project, "goes").await;
                environment.is_none_or(|environment| environment.metadata.deletion_timestamp.is_some())
            })
            .await;
        }
    };
    arrived("files").await;
    let others = |alive: std::collections::BTreeMap<String, String>| {
        let mut alive = alive;
        alive.retain(|place, _| place.starts_with("git"));
        alive
    };
    assert_eq!(others(world.alive().await), others(all));
    assert!(hosts.iter().all(|host| names.failures(host) >= 2));

    for host in hosts {
        names.resolve(host).unwrap();
    }
    arrived("git").await;
    arrived("gitlab").await;
    for project in ["git", "gitlab"] {
        world.wait_synced(project).await;
        let environment = world.environment_of(project, "moves").await.unwrap();
        wait::until("it to be ready", LONG, || async {
            let now = world.environment_of(project, "moves").await.unwrap().status.unwrap_or_default();
            now.phase == Some(Phase::Ready) && now.revision.and_then(|revision| revision.applied).as_ref() == Some(&moved)
        })
        .await;
        assert!(environment.metadata.deletion_timestamp.is_none(), "{}", environment.name_any());
    }
}
