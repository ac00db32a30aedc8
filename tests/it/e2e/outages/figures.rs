//! How soon two hundred environments are as they should be again after a minute without an API server. Figures:
//! `cargo test --test it figures_of_an_outage -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use graftling::api::Environment;
use graftling::api::environment::Phase;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;
use testbed::Repository;
use testbed::wait;

use super::{NONE, kinds, told};
use crate::e2e::scene::write_bundle;
use crate::world::{Options, World, repository_name, without_main};

const ENVIRONMENTS: usize = 200;
/// Half of them are moved, half are new.
const PUSHED: usize = 20;
const DELETED: usize = 5;
const MINUTE: Duration = Duration::from_secs(60);
/// So long may two hundred environments take on a loaded machine.
const LONGER: Duration = Duration::from_secs(900);

/// Without a pod: after such an outage the control plane itself takes the node for lost, and its pods for unready, until the node has
/// reported again. That is not what is measured.
const OBJECTS: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {revision: {{quote revision}}}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {key: not-in-any-log}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
"#;

/// What the outage leaves to do.
struct Work {
    pushed: Vec<(String, String)>,
    deleted: Vec<String>,
}

/// How far everything has come.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
struct Progress {
    wanted: usize,
    applied: usize,
    ready: usize,
    ending: usize,
    gone: usize,
    others_ready: usize,
}

impl Work {
    async fn progress(&self, world: &World) -> Progress {
        let all = world.environments().list(&ListParams::default()).await.unwrap().items;
        let of = |branch: &str| all.iter().find(|environment| environment.spec.branch == branch);
        let mut progress = Progress::default();
        for (branch, revision) in &self.pushed {
            let Some(environment) = of(branch).filter(|environment| environment.spec.revision == *revision) else {
                continue;
            };
            let applied = is_applied(environment, revision);
            progress.wanted += 1;
            progress.applied += usize::from(applied);
            progress.ready += usize::from(applied && is_ready(environment));
        }
        for branch in &self.deleted {
            let found = of(branch);
            progress.gone += usize::from(found.is_none());
            progress.ending += usize::from(found.is_none_or(|environment| environment.metadata.deletion_timestamp.is_some()));
        }
        let is_ours = |environment: &Environment| {
            let branch = &environment.spec.branch;
            self.deleted.contains(branch) || self.pushed.iter().any(|(pushed, _)| pushed == branch)
        };
        let others = all.iter().filter(|environment| !is_ours(environment));
        progress.others_ready = others.filter(|environment| is_ready(environment)).count();
        progress
    }
}

fn is_ready(environment: &Environment) -> bool {
    environment.status.as_ref().is_some_and(|status| status.phase == Some(Phase::Ready))
}

fn is_applied(environment: &Environment, revision: &str) -> bool {
    let status = environment.status.as_ref();
    let applied = status.and_then(|status| status.revision.as_ref()?.applied.clone());
    applied.as_deref() == Some(revision)
}

async fn all_ready(world: &World, count: usize) {
    wait::until(format!("{count} environments"), LONGER, || async {
        let all = world.environments().list(&ListParams::default()).await.unwrap().items;
        let ready = all.iter().filter(|environment| is_ready(environment)).count();
        if ready >= count { Ok(()) } else { Err(format!("{ready}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "figures; run it alone"]
async fn figures_of_an_outage() {
    let bundles = tempfile::tempdir().unwrap();
    write_bundle(bundles.path().join("mini"), OBJECTS);
    let options = Options {
        bundles: bundles.path().to_owned(),
        sweep_interval: "60s",
        absence_confirmation: "30s",
        proxied: true,
        ..Options::default()
    };
    let mut world = World::apart("minute", options).await;
    world.start_server().await;
    let repository = Repository::create().unwrap();
    let name = repository_name(&repository);
    let branches: Vec<String> = (0..ENVIRONMENTS).map(|number| format!("feature/{number}")).collect();
    let pushes: Vec<(&str, &[(&str, &str)])> = branches.iter().map(|branch| (branch.as_str(), &[("a", "1")] as &[_])).collect();
    let revisions = repository.push_many(&pushes).unwrap();
    let begun = Instant::now();
    world.project("shop", &repository, without_main(json!({}))).await;
    all_ready(&world, ENVIRONMENTS).await;
    println!("{ENVIRONMENTS} environments are ready after {:.0} s", begun.elapsed().as_secs_f64());
    tokio::time::sleep(Duration::from_secs(10)).await;

    let bystander = world.plane.namespace("bystander").await;
    world.plane.stop_api_server();
    let (away, before) = (Instant::now(), world.proxy().count());
    tokio::time::sleep(MINUTE / 6).await;
    let mut work = Work {
        pushed: Vec::new(),
        deleted: branches[ENVIRONMENTS - DELETED..].to_vec(),
    };
    for number in 0..PUSHED {
        let (branch, old) = match number % 2 {
            0 => (branches[number].clone(), revisions[number].as_str()),
            _ => (format!("new/{number}"), NONE),
        };
        let revision = repository.commit(&branch, &[("a", "2")]).unwrap();
        told(&world, &name, &branch, old, &revision).await;
        work.pushed.push((branch, revision));
    }
    let gone: Vec<&str> = work.deleted.iter().map(String::as_str).collect();
    repository.delete_branches(&gone).unwrap();
    for (branch, revision) in work.deleted.iter().zip(&revisions[ENVIRONMENTS - DELETED..]) {
        told(&world, &name, branch, revision, NONE).await;
    }
    tokio::time::sleep(MINUTE.saturating_sub(away.elapsed())).await;
    let during = world.proxy().exchanges_since(before);
    println!(
        "away for {:.0} s: {} requests, {:.1} a second: {:?}",
        away.elapsed().as_secs_f64(),
        during.len(),
        during.len() as f64 / away.elapsed().as_secs_f64(),
        kinds(&during)
    );
    back(&world, &work, bystander.name()).await;
}

/// How long after the return a namespace without anything in it is gone that is deleted at once: controllers of Kubernetes come back in
/// their own time, and no environment goes without them.
async fn bare_deletion(world: &World, name: &str, back: Instant) -> Duration {
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    wait::until("the deletion of a bare namespace", LONGER, || async {
        namespaces
            .delete(name, &DeleteParams::default())
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    })
    .await;
    wait::until("the end of a bare namespace", LONGER, || async {
        match namespaces.get_opt(name).await {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    back.elapsed()
}

/// The API server comes back, and everything is measured that follows.
async fn back(world: &World, work: &Work, bystander: &str) {
    world.proxy().reset_peak();
    let before = world.proxy().count();
    world.plane.start_api_server().await.unwrap();
    let back = Instant::now();
    let (all, bare) = tokio::join!(converged(world, work, back), bare_deletion(world, bystander, back));
    println!(
        "a bare namespace that was deleted at the return was gone after {:.1} s",
        bare.as_secs_f64()
    );
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = world.proxy().exchanges_since(before);
    let writes: Vec<_> = after.iter().filter(|exchange| exchange.request.is_write()).cloned().collect();
    println!("everything converged {:.1} s after the return", all.as_secs_f64());
    println!("peak: {} requests in flight", world.proxy().peak_in_flight());
    println!(
        "after the return: {} requests, {} writes: {:?}",
        after.len(),
        writes.len(),
        kinds(&writes)
    );
    assert!(world.proxy().peak_in_flight() <= 50, "the goal");
    assert!(all < Duration::from_secs(60) + bare, "six times the goal");
    assert!(world.server().running.exited().is_none());
    let alive = world.alive().await;
    assert_eq!(alive.len(), ENVIRONMENTS - DELETED + PUSHED / 2);
}

/// Waits until all of it is done, tells how far it is whenever that changes, and answers with how long it took.
async fn converged(world: &World, work: &Work, back: Instant) -> Duration {
    let mut seen = Progress::default();
    loop {
        let progress = work.progress(world).await;
        if progress != seen {
            println!("{:5.1} s: {progress:?}", back.elapsed().as_secs_f64());
            seen = progress;
        }
        if seen.ready == PUSHED && seen.gone == DELETED {
            break;
        }
        assert!(back.elapsed() < LONGER, "{seen:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    back.elapsed()
}
