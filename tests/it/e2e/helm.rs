//! Environments whose bundle is a Helm chart, and servers without helm.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::fs;
use std::path::Path;

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::{Repository, wait};

use crate::world::{LONG, Options, World, objects, root};

/// One Project over a folder of bundles, one of which is a chart.
struct Charts {
    world: World,
    repository: Repository,
    bundles: TempDir,
}

impl Charts {
    async fn start(name: &str, bundle: &str) -> Self {
        let bundles = tempfile::tempdir().unwrap();
        copy(&root().join("tests/charts/preview"), &bundles.path().join("chart"));
        let options = Options {
            bundles: bundles.path().to_owned(),
            ..Options::default()
        };
        let mut world = World::without_server(name, options).await;
        let helm = format!("--helm={}", testbed::binaries::helm().unwrap().display());
        world.server = Some(world.another_server("server", &[&helm]).await);
        let repository = Repository::create().unwrap();
        let spec = json!({ "bundle": { "name": bundle }, "branches": { "exclude": ["main"] } });
        world.project("shop", &repository, spec).await;
        Self {
            world,
            repository,
            bundles,
        }
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.bundles.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    async fn told(&self, words: &[&str]) {
        wait::until(format!("an environment that tells {words:?}"), LONG, || async {
            let environment = self.world.environment("feature/a").await.ok_or("no Environment".to_owned())?;
            let status = environment.status.unwrap_or_default();
            let message = status.message.unwrap_or_default();
            let told = status.phase == Some(Phase::Failed) && words.iter().all(|word| message.contains(word));
            if told {
                Ok(())
            } else {
                Err(format!("{:?}: {message}", status.phase))
            }
        })
        .await;
    }

    async fn read(&self, version: &str, kind: &str, namespace: &str) -> Option<Value> {
        let api = objects::api(&self.world.client, version, kind, Some(namespace)).await;
        api.get_opt("web").await.unwrap().map(|object| json!(object))
    }
}

/// Copies a folder with everything below it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_p5_a_chart_comes_up_follows_a_push_and_survives_a_server_without_helm() {
    let mut scene = Charts::start("helm-up", "chart").await;
    let first = scene.repository.commit("feature/a", &[]).unwrap();
    let environment = scene.world.wait_for("feature/a", Phase::Ready, &first).await;
    let name = environment.name_any();
    let image = |object: &Value| object["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let deployment = scene.read("apps/v1", "Deployment", &name).await.unwrap();
    assert_eq!(image(&deployment), format!("registry.example/shop:{first}"));
    let ingress = scene.read("networking.k8s.io/v1", "Ingress", &name).await.unwrap();
    assert_eq!(ingress["spec"]["rules"][0]["host"], format!("{name}.preview.example.com"));

    let second = scene.repository.commit("feature/a", &[("a", "b")]).unwrap();
    scene.world.wait_for("feature/a", Phase::Ready, &second).await;
    let deployment = scene.read("apps/v1", "Deployment", &name).await.unwrap();
    assert_eq!(image(&deployment), format!("registry.example/shop:{second}"));

    drop(scene.world.server.take());
    let without = scene.world.another_server("without", &["--helm=/nonexistent/helm"]).await;
    scene.world.server = Some(without);
    scene.repository.commit("feature/a", &[("a", "c")]).unwrap();
    scene
        .told(&["Project shop", "is a Helm chart", "no helm binary at /nonexistent/helm"])
        .await;
    let kept = scene.read("apps/v1", "Deployment", &name).await.unwrap();
    assert_eq!(kept["metadata"]["uid"], deployment["metadata"]["uid"]);
    assert_eq!(image(&kept), image(&deployment));
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_p5_a_chart_that_needs_the_network_or_the_cluster_is_refused_in_the_status() {
    let scene = Charts::start("helm-refused", "chart").await;
    let dependency = "dependencies:\n  - name: redis\n    version: 1.0.0\n    repository: https://charts.example.com\n";
    let head = fs::read_to_string(scene.bundles.path().join("chart/Chart.yaml")).unwrap();
    scene.write("chart/Chart.yaml", &format!("{head}{dependency}"));
    scene.repository.commit("feature/a", &[]).unwrap();
    scene
        .told(&[
            "Chart.yaml:7",
            "\"redis\" (https://charts.example.com) is not in charts/",
            "nothing is downloaded",
        ])
        .await;
    scene.write("chart/Chart.yaml", &head);
    // A push wakes the environment at once; without it the bundle is looked at again after half a minute.
    scene.write(
        "chart/templates/b.yaml",
        "a: {{ lookup \"v1\" \"Secret\" \"kube-system\" \"x\" }}\n",
    );
    scene.repository.commit("feature/a", &[("a", "b")]).unwrap();
    scene.told(&["templates/b.yaml:1", "lookup reads the cluster"]).await;
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: all}\nrules: []\n";
    scene.write("chart/templates/b.yaml", role);
    scene.repository.commit("feature/a", &[("a", "c")]).unwrap();
    scene.told(&["templates/b.yaml (as helm renders it):3", "ClusterRole"]).await;
}
