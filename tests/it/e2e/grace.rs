//! Undo: the environment of a deleted branch is kept for a while, and comes back as it was.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use graftling::api::Environment;
use graftling::api::environment::{Grace, GraceState, Phase};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Value, json};
use testbed::github::{FakeGithub, Fault, Route};
use testbed::{Repository, wait};

use super::command::env;
use super::scene::{CONFIG, Scene, WEB, write_bundle};
use crate::world::{LONG, Options, World, ready_reason, repository_name, without_main};

/// Longer than any test looks at a rest.
const LONG_REST: &str = "1h";

fn grace(time: &str) -> Value {
    json!({ "lifecycle": { "graceAfterDelete": time } })
}

/// A web server and a database whose claim would go as soon as the StatefulSet shrinks.
fn stateful(class: &str) -> String {
    format!(
        r#"{WEB}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db}}
spec:
  serviceName: db
  replicas: 1
  selector: {{matchLabels: {{app: db}}}}
  persistentVolumeClaimRetentionPolicy: {{whenScaled: Delete, whenDeleted: Delete}}
  template:
    metadata: {{labels: {{app: db}}}}
    spec: {{containers: [{{name: db, image: "registry.example/db:1", volumeMounts: [{{name: data, mountPath: /data}}]}}]}}
  volumeClaimTemplates:
    - metadata: {{name: data}}
      spec: {{storageClassName: {class}, accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: nightly}}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {{spec: {{template: {{spec: {{restartPolicy: Never, containers: [{{name: job, image: "registry.example/job:1"}}]}}}}}}}}
"#
    )
}

/// There is no provisioner: a class, and a volume for the database to be bound to.
async fn volume(world: &World, class: &str) {
    let body = json!({ "provisioner": "kubernetes.io/no-provisioner" });
    world.create("storage.k8s.io/v1", "StorageClass", None, class, body).await;
    let body = json!({ "spec": {
        "capacity": { "storage": "1Gi" },
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": class,
        "hostPath": { "path": "/nowhere" },
        "persistentVolumeReclaimPolicy": "Delete",
    }});
    world.create("v1", "PersistentVolume", None, class, body).await;
}

/// Everything that must be the same object after a rest, by its UID.
async fn identities(scene: &Scene, branch: &str) -> BTreeMap<&'static str, String> {
    let environment = scene.world.environment(branch).await.unwrap();
    let name = environment.name_any();
    let of = async |version, kind, object: &str| scene.uid(version, kind, &name, object).await;
    BTreeMap::from([
        ("Environment", environment.uid().unwrap()),
        ("URL", environment.status.unwrap().url.unwrap()),
        ("Namespace", scene.world.namespace_uid(&name).await.unwrap()),
        ("Deployment", of("apps/v1", "Deployment", "web").await),
        ("Secret", of("v1", "Secret", "keys").await),
        ("ConfigMap", of("v1", "ConfigMap", "settings").await),
        ("ServiceAccount", of("v1", "ServiceAccount", "web").await),
    ])
}

async fn replicas(scene: &Scene, namespace: &str, kind: &str, name: &str) -> Value {
    scene.read("apps/v1", kind, namespace, name).await.unwrap()["spec"]["replicas"].clone()
}

/// Deletes a branch and waits until its environment rests.
async fn to_rest(scene: &Scene, branch: &str) -> Environment {
    scene.repository.delete_branches(&[branch]).unwrap();
    scene
        .told(
            branch,
            Phase::Resting,
            &["branch deleted; kept until", &format!("graftling env restore {branch}")],
        )
        .await;
    scene.world.environment(branch).await.unwrap()
}

fn mark(environment: &Environment) -> Grace {
    environment.spec.grace.clone().unwrap()
}

/// Waits for a moment, not for a condition: what is tested is what happens then.
async fn moment(time: Timestamp, offset: i64) {
    let left = time.duration_since(Timestamp::now()) + jiff::SignedDuration::from_millis(offset);
    tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x12_off_by_default_and_bounded_where_it_is_on() {
    let scene = Scene::start("no-grace", CONFIG).await;
    let environment = scene.up("feature/a").await;
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    assert!(scene.world.events("Resting").await.is_empty());
    assert!(scene.world.receipt(&environment).await.contains("left: []"));

    for (text, is_valid) in [
        ("31d", false),
        ("721h", false),
        ("0h", false),
        ("1w", false),
        ("30d", true),
        ("90s", true),
    ] {
        let patch = kube::api::Patch::Merge(json!({ "spec": grace(text) }));
        let answer = scene.world.projects().patch("shop", &Default::default(), &patch).await;
        assert_eq!(answer.is_ok(), is_valid, "{text}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x12_a_deleted_branch_s_environment_rests_with_its_data_and_a_push_brings_the_same_one_back() {
    let mut scene = Scene::with("rest", CONFIG, grace(LONG_REST), &[]).await;
    let class = scene.world.namespace.name().to_owned();
    volume(&scene.world, &class).await;
    scene.template(&stateful(&class));
    let name = scene.up("feature/a").await.name_any();
    let before = identities(&scene, "feature/a").await;
    let claim = scene.uid("v1", "PersistentVolumeClaim", &name, "data-db-0").await;

    let resting = to_rest(&scene, "feature/a").await;
    for (kind, object) in [("Deployment", "web"), ("StatefulSet", "db")] {
        assert_eq!(replicas(&scene, &name, kind, object).await, 0, "{kind}");
    }
    assert_eq!(
        scene.read("batch/v1", "CronJob", &name, "nightly").await.unwrap()["spec"]["suspend"],
        true
    );
    assert!(scene.read("v1", "Pod", &name, "db-0").await.is_none());
    assert_eq!(identities(&scene, "feature/a").await, before);
    assert_eq!(scene.uid("v1", "PersistentVolumeClaim", &name, "data-db-0").await, claim);
    let status = resting.status.clone().unwrap();
    let conditions: Vec<_> = status.conditions.iter().map(|of| (of.type_.as_str(), of.status.as_str())).collect();
    assert_eq!(conditions, [("Ready", "False"), ("Progressing", "False"), ("Stalled", "False")]);
    assert_eq!(ready_reason(&status.conditions), "Resting");
    let granted = mark(&resting).until.0.duration_since(mark(&resting).since.0);
    assert_eq!(granted, jiff::SignedDuration::from_hours(1));
    let told = scene.world.events("Resting").await;
    assert!(told.len() == 1 && told[0].contains("scaled to zero and kept until"), "{told:?}");
    let listed = env(&scene, &["list"]).await.output;
    assert!(listed.contains("Resting (") && listed.contains(" left)"), "{listed}");
    let described = env(&scene, &["describe", "feature/a"]).await.output;
    assert!(
        described.contains("Kept until:") && described.contains("then it is torn down"),
        "{described}"
    );

    // Who starts something meanwhile is overruled.
    scene
        .edit("apps/v1", "Deployment", &name, "web", json!({ "spec": { "replicas": 2 } }))
        .await;
    wait::until("the Deployment at rest again", LONG, || async {
        replicas(&scene, &name, "Deployment", "web").await == 0
    })
    .await;
    // A webhook that is delivered again, and a server that starts anew.
    let repository = repository_name(&scene.repository);
    let zeros = "0".repeat(40);
    let hint = scene
        .world
        .hint("git", &repository, "refs/heads/feature/a", &resting.spec.revision, &zeros)
        .await;
    assert_eq!(hint.status, 202);
    scene.world.server.take().unwrap().running.kill_hard().await.unwrap();
    scene.world.start_server().await;
    // A new branch shows that the new server has looked at the repository.
    scene.push("marker");
    scene.world.wait_until("marker", "made", |_| true).await;
    assert_eq!(mark(&scene.world.environment("feature/a").await.unwrap()), mark(&resting));

    let back = scene.up("feature/a").await;
    assert_eq!(identities(&scene, "feature/a").await, before);
    assert_eq!(scene.uid("v1", "PersistentVolumeClaim", &name, "data-db-0").await, claim);
    assert_eq!((back.spec.grace, back.status.unwrap().resting), (None, false));
    for (kind, object) in [("Deployment", "web"), ("StatefulSet", "db")] {
        assert_eq!(replicas(&scene, &name, kind, object).await, 1, "{kind}");
        let annotations = &scene.read("apps/v1", kind, &name, object).await.unwrap()["metadata"]["annotations"];
        assert!(annotations.get("graftling.dev/resting").is_none(), "{annotations}");
    }
    let set = scene.read("apps/v1", "StatefulSet", &name, "db").await.unwrap();
    assert_eq!(set["spec"]["persistentVolumeClaimRetentionPolicy"]["whenScaled"], "Delete");
    assert_eq!(
        scene.read("batch/v1", "CronJob", &name, "nightly").await.unwrap()["spec"]["suspend"],
        false
    );
    scene.world.wait_for_event("Restored").await;
    assert_eq!(scene.world.events("Resting").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x12_env_restore_brings_it_back_without_a_push_for_as_long_again() {
    let scene = Scene::with("restore", WEB, grace("15s"), &[]).await;
    let name = scene.up("feature/a").await.name_any();
    let awake = env(&scene, &["restore", "feature/a"]).await;
    assert_eq!(awake.code, 4, "{}", awake.errors);
    assert!(awake.errors.contains("does not rest: it is Ready"), "{}", awake.errors);
    assert_eq!(env(&scene, &["restore", "feature/b"]).await.code, 3);
    let before = identities(&scene, "feature/a").await;
    let resting = to_rest(&scene, "feature/a").await;

    let restored = env(&scene, &["restore", "feature/a"]).await;
    assert_eq!((restored.code, restored.errors.as_str()), (0, ""));
    assert!(
        restored.output.contains("is still gone, so it rests again after"),
        "{}",
        restored.output
    );
    let again = env(&scene, &["restore", "feature/a"]).await;
    assert_eq!(again.code, 0, "{}", again.errors);
    assert!(again.output.contains("was restored already"), "{}", again.output);
    scene.told("feature/a", Phase::Ready, &["branch deleted; restored until"]).await;
    assert_eq!(replicas(&scene, &name, "Deployment", "web").await, 1);
    assert_eq!(identities(&scene, "feature/a").await, before);
    let restored = mark(&scene.world.environment("feature/a").await.unwrap());
    assert_eq!(restored.state, GraceState::Restored);
    assert!(restored.until.0 > mark(&resting).since.0);

    // It rests once more, and then it goes.
    let second = scene
        .world
        .wait_until("feature/a", "at rest again", |environment| {
            environment
                .spec
                .grace
                .as_ref()
                .is_some_and(|mark| mark.state == GraceState::Resting)
        })
        .await;
    assert!(mark(&second).since.0 >= restored.until.0);
    assert_eq!(second.uid(), resting.uid());
    scene.world.wait_gone("feature/a").await;
    let receipt = scene.world.receipt(&resting).await;
    assert!(receipt.contains("left: []"), "{receipt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x12_what_is_deleted_by_hand_at_rest_goes_at_once_and_restore_says_that_it_is_too_late() {
    let scene = Scene::with("too-late", CONFIG, grace(LONG_REST), &[]).await;
    let name = scene.up("feature/a").await.name_any();
    to_rest(&scene, "feature/a").await;
    // Something that keeps the teardown from ending.
    let foreign = json!({ "data": { "a": "b" } });
    scene.world.create("v1", "ConfigMap", Some(&name), "of-somebody", foreign).await;
    let deleted = env(&scene, &["delete", "feature/a", "--yes"]).await;
    assert_eq!(deleted.code, 0, "{}", deleted.errors);
    scene.told("feature/a", Phase::Blocked, &["of-somebody"]).await;
    let late = env(&scene, &["restore", "feature/a"]).await;
    assert_eq!(late.code, 4, "{}", late.errors);
    assert!(
        late.errors.contains("too late:") && late.errors.contains("is being torn down since"),
        "{}",
        late.errors
    );
    scene.remove("v1", "ConfigMap", &name, "of-somebody").await;
    scene.nudge(&scene.world.environment("feature/a").await.unwrap()).await;
    scene.world.wait_gone("feature/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x12_after_its_time_it_is_torn_down_to_a_receipt_and_never_before() {
    let scene = Scene::with("expiry", WEB, grace("6s"), &[]).await;
    let environment = scene.up("feature/a").await;
    let resting = to_rest(&scene, "feature/a").await;
    let ending = scene
        .world
        .wait_until("feature/a", "being torn down", |environment| {
            environment.metadata.deletion_timestamp.is_some()
        })
        .await;
    let deleted = ending.metadata.deletion_timestamp.unwrap().0;
    assert!(deleted >= mark(&resting).until.0, "{deleted} is before {:?}", mark(&resting).until);
    scene.world.wait_gone("feature/a").await;
    assert!(!scene.world.namespace_exists(&environment.name_any()).await);
    let receipt = scene.world.receipt(&environment).await;
    assert!(receipt.contains("left: []"), "{receipt}");
    scene.world.wait_for_event("Retired").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f50_feature_x12_a_push_at_the_moment_of_expiry_wins_or_comes_too_late_and_never_half() {
    let scene = Scene::with("instant", WEB, grace("5s"), &[]).await;
    // No more than the brake lets go at once.
    let offsets = [-300, 300, 1000];
    let races = offsets.map(|offset| {
        let scene = &scene;
        async move {
            let branch = format!("race/{}", offset + 1000);
            let name = scene.up(&branch).await.name_any();
            let before = identities(scene, &branch).await;
            scene.repository.delete_branches(&[&branch]).unwrap();
            let marked = scene
                .world
                .wait_until(&branch, "marked", |environment| environment.spec.grace.is_some())
                .await;
            moment(mark(&marked).until.0, offset).await;
            let revision = scene.repository.commit(&branch, &[("again", "1")]).unwrap();
            let there = scene.world.wait_for(&branch, Phase::Ready, &revision).await;
            wait::until(format!("{branch} alive"), LONG, || async {
                let now = scene.world.environment(&branch).await?;
                let is_ready = now.status?.phase == Some(Phase::Ready) && now.metadata.deletion_timestamp.is_none();
                (is_ready && now.spec.revision == revision && now.spec.grace.is_none()).then_some(())
            })
            .await;
            assert_eq!(there.name_any(), name);
            let after = identities(scene, &branch).await;
            let same = |what: &str| before[what] == after[what];
            let kept: Vec<_> = before.keys().filter(|what| **what != "URL" && same(what)).collect();
            assert!(same("URL"));
            assert!(
                kept.is_empty() || kept.len() == before.len() - 1,
                "half: {kept:?} of {before:#?} and {after:#?}"
            );
        }
    });
    join_all(races).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x12_feature_x6_neither_a_broken_bundle_nor_a_missing_one_keeps_it_from_resting_and_coming_back() {
    let scene = Scene::with("broken", WEB, grace(LONG_REST), &[]).await;
    let name = scene.up("feature/a").await.name_any();
    let before = identities(&scene, "feature/a").await;
    scene.template("{{#if");
    let resting = to_rest(&scene, "feature/a").await;
    assert_eq!(replicas(&scene, &name, "Deployment", "web").await, 0);

    // By request, as it was.
    assert_eq!(env(&scene, &["restore", "feature/a"]).await.code, 0);
    scene
        .told("feature/a", Phase::Ready, &["restored until", "as it was:", "templates/all.yaml"])
        .await;
    assert_eq!(replicas(&scene, &name, "Deployment", "web").await, 1);
    scene.world.wait_for_event("Restored").await;

    // By a push, whose bundle is still broken: what ran runs again, and the failure is told.
    let by_hand =
        json!({ "grace": { "state": "Resting", "since": mark(&resting).since, "until": mark(&resting).until, "reason": "again" } });
    scene.world.patch_environment(&name, by_hand).await;
    scene.told("feature/a", Phase::Resting, &["kept until"]).await;
    std::fs::remove_dir_all(scene.bundle_folder()).unwrap();
    scene.push("feature/a");
    scene.told("feature/a", Phase::Failed, &["bundle \"app\""]).await;
    wait::until("the Deployment back", LONG, || async {
        replicas(&scene, &name, "Deployment", "web").await == 1
    })
    .await;
    assert_eq!(identities(&scene, "feature/a").await, before);

    // Mended, it is as any other.
    write_bundle(scene.bundle_folder(), WEB);
    scene.up("feature/a").await;
    let environment = scene.world.environment("feature/a").await.unwrap();
    assert_eq!((environment.spec.grace, environment.status.unwrap().resting), (None, false));
    assert_eq!(identities(&scene, "feature/a").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn f64_feature_x12_an_outage_of_the_git_host_at_the_deadline_ends_nothing() {
    let world = World::with("grace-outage", Options::default()).await;
    let (fake, repository) = (FakeGithub::start().await.unwrap(), Repository::create().unwrap());
    fake.add_repository("acme", "shop", 7, &repository.path(), "main");
    world.github_host("hub", &fake).await;
    world.project_at("hub", "shop", "acme/shop", without_main(grace("5s"))).await;
    let revision = repository.commit("feature/a", &[("a", "1")]).unwrap();
    let before = world.wait_ready("feature/a", &revision).await;
    repository.delete_branches(&["feature/a"]).unwrap();
    let resting = world
        .wait_until("feature/a", "marked", |environment| environment.spec.grace.is_some())
        .await;

    fake.set_fault(Fault::EmptyList);
    moment(mark(&resting).until.0, 0).await;
    let begun = fake.requests().len();
    wait::until("two looks after the deadline", LONG, || async {
        let later = fake.requests().split_off(begun);
        later.iter().filter(|route| **route == Route::Repository).count() >= 2
    })
    .await;
    let kept = world.environment("feature/a").await.unwrap();
    assert_eq!((kept.uid(), kept.metadata.deletion_timestamp.clone()), (before.uid(), None));
    assert_eq!(mark(&kept), mark(&resting));

    fake.clear_faults();
    world.wait_gone("feature/a").await;
    assert!(world.receipt(&before).await.contains("left: []"));
}
