//! Volumes that outlive their claims, with a provisioner that the test plays itself.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::Duration;

use graftling::api::environment::Phase;
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;
use testbed::wait;

use super::receipt;
use crate::e2e::scene::Scene;
use crate::world::LONG;

const CLAIMS: &str = r#"
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: kept}
spec: {accessModes: [ReadWriteOnce], storageClassName: "", resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: scratch}
spec: {accessModes: [ReadWriteOnce], storageClassName: "", resources: {requests: {storage: 1Gi}}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn f45_a_retained_volume_is_told_and_one_of_policy_delete_waited_for() {
    let scene = Scene::start("volumes", CLAIMS).await;
    let home = scene.world.namespace.name().to_owned();
    let volumes: Api<PersistentVolume> = Api::all(scene.world.client.clone());
    let revision = scene.push("feature/a");
    let environment = wait::until("the environment", LONG, || scene.world.environment("feature/a")).await;
    let namespace = graftling_name(&environment);
    for (claim, policy) in [("kept", "Retain"), ("scratch", "Delete")] {
        let body = json!({
            "metadata": { "annotations": { "pv.kubernetes.io/provisioned-by": "test.example.com" } },
            "spec": {
                "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"], "storageClassName": "",
                "persistentVolumeReclaimPolicy": policy,
                "claimRef": { "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": claim },
                "csi": { "driver": "test.example.com", "volumeHandle": claim },
            },
        });
        scene
            .world
            .create("v1", "PersistentVolume", None, &format!("{home}-{claim}"), body)
            .await;
    }
    scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
    let (kept, scratch) = (format!("{home}-kept"), format!("{home}-scratch"));
    scene.delete(&environment).await;
    // The provisioner acts only once somebody can be seen to wait for it.
    scene
        .told("feature/a", Phase::Deleting, &["PersistentVolume", &scratch, "provisioner"])
        .await;
    assert!(!scene.world.namespace_exists(&namespace).await);
    let released = volumes.get(&scratch).await.unwrap();
    assert_eq!(released.status.unwrap().phase.as_deref(), Some("Released"));
    volumes.delete(&scratch, &DeleteParams::default()).await.unwrap();
    scene.world.wait_gone("feature/a").await;

    let receipt = receipt(&scene, &environment).await;
    assert_eq!(receipt.created, receipt.removed, "the claims themselves are gone");
    let result = |volume: &str| receipt.volumes.iter().find(|result| result.persistent_volume == volume).unwrap();
    assert_eq!(result(&scratch).result, "removed");
    assert_eq!(result(&kept).claim, format!("{namespace}/kept"));
    assert_eq!(receipt.left.len(), 1, "{:?}", receipt.left);
    let left = &receipt.left[0];
    assert_eq!(left.object, format!("v1 PersistentVolume {kept}"));
    let words = ["Retain", "kubectl delete persistentvolume", "spec.claimRef"];
    assert!(words.iter().all(|word| left.reason.contains(word)), "{}", left.reason);
    volumes.delete(&kept, &DeleteParams::default()).await.unwrap();
    assert!(receipt.scan.milliseconds < u64::try_from(Duration::from_secs(60).as_millis()).unwrap());
}

fn graftling_name(environment: &graftling::api::Environment) -> String {
    kube::ResourceExt::name_any(environment)
}
