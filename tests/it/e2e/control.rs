//! Runs under the hands of people: approved, rejected, retried, skipped, rolled back, in their own names, over restarts of the server.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

mod comments;
mod restarts;
mod runs;
mod tampered;
mod watching;

use std::fs;

use graftling::api::Environment;
use graftling::api::environment::{EnvironmentStatus, Phase};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use testbed::wait;

use super::approvals::{grant, is_in_force, person, word};
use super::command::{Run, env};
use super::scene::{CONFIG, Scene};
use crate::world::{LONG, objects};

const BRANCH: &str = "feature/a";

const LATE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: late}\ndata: {revision: {{quote revision}}}\n";

/// Two stages, one after the other, that wait for nobody.
const PLAIN: &str = "stages: [{name: config, apply: all.yaml}, {name: late, needs: [config], apply: late.yaml}]";

/// Configuration, somebody's word, and what comes only after it.
fn asking(settings: &str) -> String {
    format!(
        "\
stages:
  - name: config
    apply: all.yaml
  - name: release
    needs: [config]
    approve: {settings}
  - name: late
    needs: [release]
    apply: late.yaml
"
    )
}

fn write(scene: &Scene, pipeline: &str) {
    let folder = scene.bundle_folder();
    fs::write(folder.join("templates/late.yaml"), LATE).unwrap();
    fs::write(folder.join("pipeline.yaml"), pipeline).unwrap();
}

async fn scene(name: &str, pipeline: &str) -> Scene {
    let scene = Scene::start(name, CONFIG).await;
    write(&scene, pipeline);
    grant(&scene.world, &["alice", "bob", "carol"], &["alice", "carol"]).await;
    scene
}

/// Waits until the environment of the branch asks for a word on stage `release`, and gives it as it is then.
async fn asked(scene: &Scene, attempt: u32) -> Environment {
    wait::until("the question", LONG, || async {
        let environment = scene.world.environment(BRANCH).await.ok_or("no Environment".to_owned())?;
        let status = environment.status.clone().unwrap_or_default();
        let is_asked =
            |pending: &graftling::api::environment::requests::PendingApproval| pending.stage == "release" && pending.attempt == attempt;
        match status.pending_approvals.iter().any(is_asked) {
            true => Ok(environment),
            false => Err(format!("{:?} {:?} {:?}", status.phase, status.message, status.pending_approvals)),
        }
    })
    .await
}

async fn late(scene: &Scene, environment: &Environment) -> Option<Value> {
    scene.read("v1", "ConfigMap", &environment.name_any(), "late").await
}

/// Runs `graftling env` as somebody, once they have their rights.
async fn env_as(scene: &Scene, name: &str, groups: &[&str], arguments: &[&str]) -> Run {
    let client = person(&scene.world, name, groups).await;
    let api: Api<Environment> = Api::namespaced(client, scene.world.namespace.name());
    wait::until(format!("the rights of {name}"), LONG, || async {
        api.list(&Default::default()).await.map(drop)
    })
    .await;
    let text = fs::read_to_string(scene.world.plane.kubeconfig()).unwrap();
    let mut kubeconfig: Value = serde_saphyr::from_str(&text).unwrap();
    kubeconfig["users"][0]["user"]["as"] = json!(name);
    let groups: Vec<&str> = groups.iter().copied().chain(["system:authenticated"]).collect();
    kubeconfig["users"][0]["user"]["as-groups"] = json!(groups);
    let path = scene.world.folder.path().join(format!("{name}.kubeconfig"));
    fs::write(&path, kubeconfig.to_string()).unwrap();
    env(scene, &[arguments, &["--kubeconfig", &path.display().to_string()]].concat()).await
}

fn stage<'a>(status: &'a EnvironmentStatus, name: &str) -> &'a str {
    let found = status.stages.iter().find(|stage| stage.name == name);
    found.map_or("", |stage| stage.state.as_str())
}

fn message_of(status: &EnvironmentStatus, name: &str) -> String {
    let found = status.stages.iter().find(|stage| stage.name == name);
    found.and_then(|stage| stage.message.clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_waits_for_somebody_with_the_right_and_goes_on_with_their_word() {
    let mut scene = scene("asks", &asking("{message: Go live?}")).await;
    let revision = scene.push(BRANCH);
    let environment = asked(&scene, 1).await;
    let status = environment.status.clone().unwrap();
    assert_eq!(status.phase, Some(Phase::Deploying), "{:?}", status.message);
    let message = message_of(&status, "release");
    assert!(
        message.starts_with("waits for approval by somebody with the right to: graftling env approve"),
        "{message}"
    );
    assert!(message.ends_with("Go live?"), "{message}");
    assert!(scene.read("v1", "ConfigMap", &environment.name_any(), "settings").await.is_some());
    assert_eq!(late(&scene, &environment).await, None, "nothing of a later stage");

    is_in_force(&scene.world, &environment.name_any()).await;
    let refused = env_as(&scene, "bob", &[], &["approve", BRANCH]).await;
    assert_eq!(refused.code, 5, "{}", refused.output);
    assert!(refused.errors.contains("you may not approve here"), "{}", refused.errors);
    let skipped = env_as(&scene, "bob", &[], &["skip", BRANCH, "release"]).await;
    assert_eq!(skipped.code, 4, "{}", skipped.output);
    assert!(
        skipped.errors.contains("waits for a person's word and cannot be skipped"),
        "{}",
        skipped.errors
    );

    // What is asked outlives the server, and what was said meanwhile is heard.
    scene.world.server = None;
    let said = env_as(&scene, "alice", &[], &["approve", BRANCH, "--comment", "fine", "--no-wait"]).await;
    assert_eq!(said.code, 0, "{}", said.errors);
    scene.world.start_server().await;
    let status = scene.world.wait_for(BRANCH, Phase::Ready, &revision).await.status.unwrap();
    assert_eq!(message_of(&status, "release"), "approved by alice: fine");
    assert_eq!(status.pending_approvals, []);
    assert!(late(&scene, &environment).await.is_some());
    let nothing = env_as(&scene, "alice", &[], &["approve", BRANCH]).await;
    assert_eq!(nothing.code, 4, "{}", nothing.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn threat_t12_a_word_on_one_commit_is_none_on_the_next() {
    let scene = scene("swap", &asking("{}")).await;
    scene.push(BRANCH);
    let environment = asked(&scene, 1).await;
    let run = environment.status.unwrap().run.unwrap().number;
    let newest = scene.push(BRANCH);
    let environment = wait::until("the question about the newer commit", LONG, || async {
        let environment = scene.world.environment(BRANCH).await?;
        let status = environment.status.clone()?;
        let is_newer = status.pending_approvals.first().is_some_and(|pending| pending.run > run);
        is_newer.then_some(environment)
    })
    .await;
    // The word was meant for the run before, and comes too late.
    let alice: Api<Environment> = Api::namespaced(person(&scene.world, "alice", &[]).await, scene.world.namespace.name());
    let mut late_word = word("alice", "Approved", &[]);
    late_word["run"] = json!(run);
    let patch = Patch::Merge(json!({ "spec": { "approvals": [late_word] } }));
    wait::until("the rights of alice", LONG, || async {
        alice
            .patch(&environment.name_any(), &PatchParams::default(), &patch)
            .await
            .map(drop)
    })
    .await;
    scene.hint(BRANCH).await;
    scene.nudge(&environment).await;
    let approved = env_as(&scene, "carol", &[], &["approve", BRANCH]).await;
    assert_eq!(approved.code, 0, "{}", approved.errors);
    assert!(
        approved.output.contains("approved by carol"),
        "it had not gone on by itself: {}",
        approved.output
    );
    let environment = scene.world.wait_for(BRANCH, Phase::Ready, &newest).await;
    assert!(
        environment.spec.approvals.iter().all(|word| word.by == "carol"),
        "the old word is tidied away"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_ends_the_run_and_another_try_asks_again() {
    let scene = scene("rejects", &asking("{}")).await;
    let revision = scene.push(BRANCH);
    let environment = asked(&scene, 1).await;
    let rejected = env_as(&scene, "carol", &[], &["reject", BRANCH, "release", "--comment", "not on a Friday"]).await;
    assert_eq!(rejected.code, 0, "{}", rejected.errors);
    let status = scene.told(BRANCH, Phase::Failed, &["rejected by carol: not on a Friday"]).await;
    assert_eq!((stage(&status, "release"), stage(&status, "late")), ("Failed", "Skipped"));
    assert_eq!(late(&scene, &environment).await, None);

    let around = env(&scene, &["rerun", BRANCH, "--stage", "late"]).await;
    assert_eq!(around.code, 4, "no way around a person's word: {}", around.output);
    let retried = env(&scene, &["retry", BRANCH]).await;
    assert_eq!(retried.code, 0, "{}", retried.errors);
    asked(&scene, 2).await;
    assert_eq!(env_as(&scene, "alice", &[], &["approve", BRANCH]).await.code, 0);
    scene.world.wait_for(BRANCH, Phase::Ready, &revision).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_reminds_and_expires() {
    let scene = scene("expires", &asking("{remindAfter: 2s, expiresAfter: 6s}")).await;
    scene.push(BRANCH);
    let environment = asked(&scene, 1).await;
    let api = objects::api(&scene.world.client, "events.k8s.io/v1", "Event", Some(scene.world.namespace.name())).await;
    wait::until("a reminder", LONG, || async {
        let events = api.list(&Default::default()).await.unwrap().items;
        let reminds = |event: &kube::api::DynamicObject| {
            event.data["reason"] == "ApprovalReminder" && event.data["regarding"]["name"] == environment.name_any().as_str()
        };
        events.iter().any(reminds).then_some(())
    })
    .await;
    let status = scene
        .told(BRANCH, Phase::Failed, &["nobody approved in time", "graftling env retry"])
        .await;
    assert_eq!(stage(&status, "late"), "Skipped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_of_a_group_leaves_others_out_although_they_have_the_right() {
    let scene = scene("group", &asking("{groups: [leads]}")).await;
    let revision = scene.push(BRANCH);
    let environment = asked(&scene, 1).await;
    let refused = env_as(&scene, "alice", &["staff"], &["approve", BRANCH]).await;
    assert_eq!(refused.code, 4, "{}", refused.output);
    assert!(refused.errors.contains("is reserved to the groups leads"), "{}", refused.errors);
    // Around the command line, the word is written and does not count.
    let alice: Api<Environment> = Api::namespaced(person(&scene.world, "alice", &["staff"]).await, scene.world.namespace.name());
    let patch = Patch::Merge(json!({ "spec": { "approvals": [word("alice", "Approved", &["staff"])] } }));
    alice.patch(&environment.name_any(), &PatchParams::default(), &patch).await.unwrap();
    wait::until("the word is told not to count", LONG, || async {
        let status = scene.world.environment(BRANCH).await?.status?;
        message_of(&status, "release")
            .contains("what alice said does not count")
            .then_some(())
    })
    .await;
    assert_eq!(late(&scene, &environment).await, None);
    let approved = env_as(&scene, "carol", &["staff", "leads"], &["approve", BRANCH]).await;
    assert_eq!(approved.code, 0, "{}", approved.errors);
    scene.world.wait_for(BRANCH, Phase::Ready, &revision).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_approval_counts_where_no_policy_proves_who_wrote_it() {
    let scene = scene("unproven", &asking("{}")).await;
    let policy = format!("{}-approvals", scene.world.release);
    let bindings = objects::api(
        &scene.world.client,
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicyBinding",
        None,
    )
    .await;
    bindings.delete(&policy, &DeleteParams::default()).await.unwrap();
    scene.push(BRANCH);
    let environment = asked(&scene, 1).await;
    // In the name of somebody else, by somebody without the right: nothing is in the way of that any more, once the policy is not in force.
    let bob: Api<Environment> = Api::namespaced(person(&scene.world, "bob", &[]).await, scene.world.namespace.name());
    let patch = Patch::Merge(json!({ "spec": { "approvals": [word("alice", "Approved", &[])] } }));
    wait::until("the policy to be out of force", LONG, || async {
        bob.patch(&environment.name_any(), &PatchParams::default(), &patch).await.map(drop)
    })
    .await;
    wait::until("the word is told not to count", LONG, || async {
        let status = scene.world.environment(BRANCH).await?.status?;
        let message = message_of(&status, "release");
        let is_told = message.contains("what alice said does not count") && message.contains("has no binding");
        is_told.then_some(())
    })
    .await;
    assert_eq!(late(&scene, &environment).await, None);
}
