//! The shipped bundles `static` and `game-server` with their default values, under the strictest guardrails.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::Environment;
use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::{Value, json};
use testbed::Repository;

use crate::world::{Options, World, objects, root};

/// A branch whose environment a shipped bundle has brought up.
struct Preview {
    world: World,
    repository: Repository,
    environment: Environment,
}

const BRANCH: &str = "feature/basket";

impl Preview {
    async fn up(bundle: &str, values: Value) -> Self {
        let options = Options {
            bundles: root().join("templates"),
            ..Options::default()
        };
        let world = World::with(bundle, options).await;
        let repository = Repository::create().unwrap();
        let revision = repository.commit(BRANCH, &[("index.html", "1")]).unwrap();
        let settings = json!({
            "bundle": { "name": bundle },
            "values": values,
            "guardrails": { "podSecurity": "restricted" },
            "branches": { "include": ["feature/*"] },
        });
        world.project("shop", &repository, settings).await;
        let environment = world.wait_for(BRANCH, Phase::Ready, &revision).await;
        Self {
            world,
            repository,
            environment,
        }
    }

    async fn read(&self, version: &str, kind: &str, name: &str) -> Value {
        let api = objects::api(&self.world.client, version, kind, Some(&self.environment.name_any())).await;
        json!(api.get(name).await.unwrap())
    }

    /// A second push, and the end of the branch; nothing stays.
    async fn down(self) {
        let revision = self.repository.commit(BRANCH, &[("index.html", "2")]).unwrap();
        self.world.wait_for(BRANCH, Phase::Ready, &revision).await;
        self.repository.delete_branches(&[BRANCH]).unwrap();
        self.world.wait_gone(BRANCH).await;
        assert!(!self.world.namespace_exists(&self.environment.name_any()).await);
        assert!(self.world.receipt(&self.environment).await.contains("left: []"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_static_bundle_comes_up_under_restricted_pod_security_and_goes_without_a_trace() {
    let files = json!({ "index.html": "<h1>Hello</h1>\n" });
    let preview = Preview::up("static", json!({ "files": files, "singlePage": true })).await;
    let site = preview.read("apps/v1", "Deployment", "site").await;
    assert_eq!(site["status"]["availableReplicas"], 1);
    assert_eq!(preview.read("v1", "ConfigMap", "files").await["data"], files);
    let ingress = preview.read("networking.k8s.io/v1", "Ingress", "site").await;
    let url = &preview.environment.status.as_ref().unwrap().urls[0];
    assert_eq!(*url, format!("https://{}", ingress["spec"]["rules"][0]["host"].as_str().unwrap()));
    preview.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_game_server_bundle_comes_up_under_restricted_pod_security_and_goes_without_a_trace() {
    // There is no provisioner, so a volume would never be bound.
    let preview = Preview::up("game-server", json!({ "replicas": 2, "storage": { "enabled": false } })).await;
    let server = preview.read("apps/v1", "StatefulSet", "game").await;
    assert_eq!(server["status"]["availableReplicas"], 2);
    let service = preview.read("v1", "Service", "game").await;
    assert_eq!(service["spec"]["type"], "ClusterIP");
    let protocols: Vec<&Value> = service["spec"]["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| &port["protocol"])
        .collect();
    assert_eq!(protocols, ["UDP", "TCP"]);
    assert_eq!(preview.read("v1", "Service", "game-pods").await["spec"]["clusterIP"], "None");
    assert_eq!(
        preview.read("v1", "Pod", "game-1").await["spec"]["terminationGracePeriodSeconds"],
        60
    );
    preview.down().await;
}
