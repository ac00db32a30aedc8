//! A leader that was stopped, and wakes up when another may lead.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use testbed::wait;

use super::replicas::{leads, replica};
use super::scene::{CONFIG, write_bundle};
use crate::world::{LONG, Options, World, without_main};

/// What the role of the election allows.
async fn rights(world: &World) -> Vec<PolicyRule> {
    let roles: Api<Role> = Api::namespaced(world.client.clone(), world.namespace.name());
    let role = roles.get(&format!("{}-leader-election", world.release)).await.unwrap();
    role.rules.unwrap()
}

/// Has the role of the election allow this and nothing else.
async fn allow(world: &World, rules: &[PolicyRule]) {
    let roles: Api<Role> = Api::namespaced(world.client.clone(), world.namespace.name());
    let patch = Patch::Merge(json!({ "rules": rules }));
    let name = format!("{}-leader-election", world.release);
    roles.patch(&name, &PatchParams::default(), &patch).await.unwrap();
}

/// Whether the server may use the Lease, by what the API server has heard of the role.
async fn may_renew(world: &World) -> bool {
    let attributes = json!({
        "group": "coordination.k8s.io", "resource": "leases", "verb": "patch", "namespace": world.namespace.name(), "name": world.release,
    });
    let spec = json!({ "user": world.server_user(), "resourceAttributes": attributes });
    let review: SubjectAccessReview = serde_json::from_value(json!({ "spec": spec })).unwrap();
    let api: Api<SubjectAccessReview> = Api::all(world.client.clone());
    api.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}

/// Whether another might take the Lease.
async fn has_run_out(world: &World) -> bool {
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), world.namespace.name());
    let lease = leases.get(&world.release).await.unwrap().spec.unwrap();
    let seconds = lease.lease_duration_seconds.unwrap();
    let age = Timestamp::now().duration_since(lease.renew_time.unwrap().0);
    age > SignedDuration::from_secs(i64::from(seconds))
}

#[tokio::test(flavor = "multi_thread")]
async fn f07_f09_a_leader_that_was_stopped_and_cannot_renew_its_lease_ends_before_it_writes_anything() {
    let bundles = tempfile::tempdir().unwrap();
    write_bundle(bundles.path().join("app"), CONFIG);
    let options = Options {
        bundles: bundles.path().to_owned(),
        chart_values: vec!["leaderElection.enabled=true".to_owned()],
        ..Options::default()
    };
    let (world, repository) = (
        World::without_server("stale-leader", options).await,
        testbed::Repository::create().unwrap(),
    );
    let first = replica(&world, "first").await;
    leads(&first).await;
    let project = without_main(json!({ "bundle": { "name": "app" } }));
    world.project("shop", &repository, project).await;
    let older = repository.commit("feature/a", &[("a", "1")]).unwrap();
    world.wait_ready("feature/a", &older).await;

    // While it is stopped, its Lease runs out, and it will not be able to renew it.
    first.running.pause();
    let rules = rights(&world).await;
    allow(&world, &[]).await;
    wait::until("the Lease out of reach", LONG, || async { !may_renew(&world).await }).await;
    wait::until("the end of the Lease", LONG, || has_run_out(&world)).await;

    // There is something to do when it wakes up.
    let newer = repository.commit("feature/a", &[("a", "2")]).unwrap();
    let woken = world.plane.audit().position();
    first.running.resume();
    let status = first.running.wait(LONG).await.unwrap();
    assert!(!status.success(), "{status}");
    assert_eq!(world.writes_since(woken), []);

    // As soon as there is one that may have the Lease, it goes on.
    allow(&world, &rules).await;
    wait::until("the Lease in reach", LONG, || may_renew(&world)).await;
    let _second = replica(&world, "second").await;
    world.wait_ready("feature/a", &newer).await;
}
