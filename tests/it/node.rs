//! On a real node: pods run, are probed, write logs, and take their time to end. Skipped, and said so, where none can run.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

mod checks;
mod jobs;
mod steps;
mod teardown;
mod web;
mod why;

use graftling::api::environment::Phase;
use graftling::api::environment::run::StageStatus;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};
use testbed::node::image;

use crate::e2e::scene::Scene;
use crate::world::LONG;

/// Something that is applied and ready at once, so that only the other stages take their time.
const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {greeting: hello}\n";

/// A scene whose bundle has a pipeline.
async fn scene(name: &str, template: &str, pipeline: &str, project: Value) -> Option<Scene> {
    let scene = Scene::on_node(name, template, project).await?;
    std::fs::write(scene.bundle_folder().join("pipeline.yaml"), pipeline).unwrap();
    Some(scene)
}

/// Text of a pipeline with our image in the place of `IMAGE`.
fn with_image(pipeline: &str) -> String {
    pipeline.replace("IMAGE", image::BUSYBOX)
}

/// A stage of a branch's latest run.
async fn stage(scene: &Scene, branch: &str, name: &str) -> StageStatus {
    let environment = scene.world.environment(branch).await.unwrap();
    let stages = environment.status.unwrap().stages;
    let known = format!("{stages:?}");
    let found = stages.into_iter().find(|stage| stage.name == name);
    found.unwrap_or_else(|| panic!("no stage {name} among {known}"))
}

/// The names of a namespace's Jobs and pods.
async fn jobs_and_pods(scene: &Scene, namespace: &str) -> (Vec<String>, Vec<String>) {
    let jobs: kube::Api<k8s_openapi::api::batch::v1::Job> = kube::Api::namespaced(scene.world.client.clone(), namespace);
    let jobs = jobs.list(&ListParams::default()).await.unwrap();
    let pods = scene.world.pods(namespace).list(&ListParams::default()).await.unwrap();
    (
        jobs.iter().map(ResourceExt::name_any).collect(),
        pods.iter().map(ResourceExt::name_any).collect(),
    )
}

/// What `graftling runs show` tells of a run.
async fn told_of_run(scene: &Scene, branch: &str, run: &str) -> Value {
    let told = crate::e2e::command::graftling(scene, &["runs", "show", branch, run, "-o", "json"]).await;
    assert_eq!((told.code, told.errors.as_str()), (0, ""));
    serde_json::from_str(&told.output).unwrap()
}
