//! Answers that refuse: conflicts, throttling, rights that went.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::Duration;

use graftling::api::environment::Phase;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use testbed::fault_proxy::{Exchange, Fault, FaultProxy, Gate, Rule, Selector};
use testbed::wait;

use crate::e2e::scene::{CONFIG, Scene};
use crate::world::{LONG, Options, repository_name};

const BRANCHES: [&str; 2] = ["feature/a", "feature/b"];
const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// Writes of the Environment objects of a scene, with or without a subresource.
fn environments(scene: &Scene, subresource: &str) -> Selector {
    let writes = Selector::writes().group("graftling.dev").resource("environments");
    writes.namespace(scene.world.namespace.name()).subresource(subresource)
}

/// What passed of a selector since a number, by what was injected or answered.
fn passed(proxy: &FaultProxy, since: usize, what: impl Fn(&Exchange) -> bool) -> Vec<Exchange> {
    let mut exchanges = proxy.exchanges_since(since);
    exchanges.retain(|exchange| what(exchange));
    exchanges
}

#[tokio::test(flavor = "multi_thread")]
async fn f12_a_conflict_on_a_status_or_a_finalizer_is_read_anew_and_loses_nothing_of_others() {
    let scene = Scene::through_proxy("conflict", CONFIG, Options::default()).await;
    let proxy = scene.world.proxy();
    let status = Gate::new();
    proxy.add(Rule::on(environments(&scene, "status")).nth(2), Fault::HoldBefore(status.clone()));
    let revision = scene.push("feature/a");
    status.reached().await;
    let annotation = |value: &str| Patch::Merge(json!({ "metadata": { "annotations": { "example.com/by-hand": value } } }));
    let name = scene.world.environment("feature/a").await.unwrap().name_any();
    let api = scene.world.environments();
    api.patch(&name, &PatchParams::default(), &annotation("1")).await.unwrap();
    status.release();
    let environment = scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
    assert_eq!(environment.annotations()["example.com/by-hand"], "1");
    let conflicts = |exchange: &Exchange| exchange.upstream == Some(409) && exchange.request.resource == "environments";
    assert!(!passed(proxy, 0, conflicts).is_empty(), "the server was given a conflict");

    // Somebody else has a finalizer on it too, and changes the object just when ours is about to be taken off.
    proxy.clear();
    let mut both = environment.finalizers().to_vec();
    both.push("example.com/keep".to_owned());
    let finalizers = |list: &[String]| Patch::Merge(json!({ "metadata": { "finalizers": list } }));
    api.patch(&name, &PatchParams::default(), &finalizers(&both)).await.unwrap();
    let (last, since) = (Gate::new(), proxy.count());
    proxy.add(Rule::on(environments(&scene, "").verb("patch")), Fault::HoldBefore(last.clone()));
    scene.delete(&environment).await;
    last.reached().await;
    api.patch(&name, &PatchParams::default(), &annotation("2")).await.unwrap();
    last.release();
    wait::until("only the finalizer of somebody else", LONG, || async {
        let left = api.get(&name).await.unwrap().metadata.finalizers.unwrap_or_default();
        if left == ["example.com/keep"] {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
    assert!(!passed(proxy, since, conflicts).is_empty(), "the server was given a conflict");
    api.patch(&name, &PatchParams::default(), &finalizers(&[])).await.unwrap();
    scene.world.wait_gone("feature/a").await;
    assert!(!scene.world.namespace_exists(&name).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn f12_conflicts_that_come_again_and_again_cost_passes_and_nothing_else() {
    let scene = Scene::through_proxy("conflicts", CONFIG, Options::default()).await;
    let proxy = scene.world.proxy();
    let statuses = proxy.add(Rule::on(environments(&scene, "status")).times(6), Fault::answer(409));
    let environment = scene.up("feature/a").await;
    assert_eq!(statuses.count(), 6);
    let finalizers = proxy.add(Rule::on(environments(&scene, "").verb("patch")).times(3), Fault::answer(409));
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    assert_eq!(finalizers.count(), 3);
    assert!(!scene.world.namespace_exists(&environment.name_any()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn f13_a_time_to_wait_is_kept_by_the_environment_that_was_told_it_and_by_no_other() {
    let scene = Scene::through_proxy("throttled", CONFIG, Options::default()).await;
    let proxy = scene.world.proxy();
    let wait = Duration::from_secs(15);
    let named = Selector::writes().resource("configmaps").name("settings");
    let throttled = proxy.add(Rule::on(named).nth(1), Fault::too_many(Some(wait.as_secs())));
    let revisions = BRANCHES.map(|branch| scene.push(branch));
    let mut writes = Vec::new();
    for (branch, revision) in BRANCHES.iter().zip(&revisions) {
        let environment = scene.world.wait_for(branch, Phase::Ready, revision).await;
        writes.push(passed(proxy, 0, |exchange| named_in(exchange, &environment.metadata.name)));
    }
    assert_eq!(throttled.count(), 1);
    // Which of the two was first is not known.
    writes.sort_by_key(Vec::len);
    let (other, put_off) = (&writes[0], &writes[1]);
    let gap = put_off[1].started - put_off[0].started;
    assert!(gap >= wait, "tried again after {gap:?}");
    assert!(gap < wait + Duration::from_secs(30), "tried again only after {gap:?}");
    assert_eq!(other.len(), 1);
    assert!(other[0].started < put_off[1].started, "the other did not wait");
}

/// Whether this is about the ConfigMap of an environment's bundle.
fn named_in(exchange: &Exchange, namespace: &Option<String>) -> bool {
    let request = &exchange.request;
    let ours = request.resource == "configmaps" && request.name == "settings" && request.is_write();
    ours && Some(&request.namespace) == namespace.as_ref()
}

#[tokio::test(flavor = "multi_thread")]
async fn f13_without_a_time_to_wait_it_is_tried_again_within_seconds_and_not_at_once() {
    let scene = Scene::through_proxy("throttled-open", CONFIG, Options::default()).await;
    let proxy = scene.world.proxy();
    let times = 3;
    let named = Selector::writes().resource("configmaps").name("settings");
    proxy.add(Rule::on(named).times(times), Fault::too_many(None));
    let environment = scene.up("feature/a").await;
    let writes = passed(proxy, 0, |exchange| named_in(exchange, &environment.metadata.name));
    assert_eq!(writes.len() as u64, times + 1);
    // A change that somebody makes may call for a pass before the pause is over, so single pauses say nothing.
    let whole = writes[writes.len() - 1].started - writes[0].started;
    assert!(whole >= Duration::from_secs(1), "{times} refusals within {whole:?}");
    assert!(whole < Duration::from_secs(60), "{whole:?}");
}

/// Leaves of what a role may do to a resource the looking, and gives the rules that it had.
async fn look_only(scene: &Scene, role: &str, resource: &str) -> Value {
    let before = scene.read(RBAC, "ClusterRole", "", role).await.unwrap()["rules"].clone();
    let mut rules = before.as_array().unwrap().clone();
    for rule in &mut rules {
        if rule["apiGroups"] == json!([""])
            && let Some(resources) = rule["resources"].as_array_mut()
        {
            resources.retain(|other| other != resource);
        }
    }
    rules.retain(|rule| rule["resources"] != json!([]));
    rules.push(json!({ "apiGroups": [""], "resources": [resource], "verbs": ["get", "list", "watch"] }));
    scene.edit(RBAC, "ClusterRole", "", role, json!({ "rules": rules })).await;
    before
}

#[tokio::test(flavor = "multi_thread")]
async fn f31_rights_that_are_taken_away_are_named_by_verb_and_resource_and_nothing_is_hammered() {
    let scene = Scene::through_proxy("revoked", CONFIG, Options::default()).await;
    let proxy = scene.world.proxy();
    let environment = scene.up("feature/a").await;
    let role = format!("{}-deployer", scene.world.release);
    let before = look_only(&scene, &role, "configmaps").await;
    scene.template(&CONFIG.replace("hello", "changed"));
    let revision = scene.push("feature/a");
    let words = ["ConfigMap settings", "cannot patch resource \"configmaps\""];
    let status = scene.told("feature/a", Phase::Failed, &words).await;
    assert!(
        status
            .conditions
            .iter()
            .any(|condition| condition.message.contains("cannot patch resource \"configmaps\"")),
        "{:?}",
        status.conditions
    );
    let since = proxy.count();
    let long = Duration::from_secs(6);
    // The time in which nothing is hammered is what is measured.
    tokio::time::sleep(long).await;
    let tries = passed(proxy, since, |exchange| named_in(exchange, &environment.metadata.name));
    assert!(tries.len() <= 8, "{} tries in {long:?}", tries.len());
    assert!(scene.world.server().running.exited().is_none());

    // The server's own rights: a new environment cannot even have its namespace.
    let own = scene.world.release.clone();
    let before_own = look_only(&scene, &own, "namespaces").await;
    let other = scene.push("feature/b");
    scene
        .told("feature/b", Phase::Failed, &["Namespace", "cannot patch resource \"namespaces\""])
        .await;

    for (name, rules) in [(&role, before), (&own, before_own)] {
        scene.edit(RBAC, "ClusterRole", "", name, json!({ "rules": rules })).await;
    }
    scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
    scene.world.wait_for("feature/b", Phase::Ready, &other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f12_an_end_that_changes_keep_overtaking_is_decided_anew_and_awaits_no_sweep() {
    let scene = Scene::through_proxy("overtake", CONFIG, Options::without_sweeps()).await;
    scene.world.first_look().await;
    let revision = scene.push("feature/a");
    scene.hint("feature/a").await;
    scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
    let deletions = environments(&scene, "").verb("delete");
    let conflicts = scene.world.proxy().add(Rule::on(deletions).times(3), Fault::answer(409));
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    let name = repository_name(&scene.repository);
    let nothing = "0".repeat(revision.len());
    let answer = scene.world.hint("git", &name, "refs/heads/feature/a", &revision, &nothing).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    scene.world.wait_gone("feature/a").await;
    assert_eq!(conflicts.count(), 3, "each attempt of the first decision met a change");
}
