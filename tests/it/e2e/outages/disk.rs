//! No place to write to. The server keeps no journal and checks nothing out: all it ever writes is the folder that helm reads a chart from.

use std::fs;

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::json;
use testbed::Repository;

use crate::e2e::helm::copy;
use crate::world::{Options, World, objects, root};

#[tokio::test(flavor = "multi_thread")]
async fn f73_without_a_disk_to_write_to_charts_say_so_and_keep_what_runs_and_everything_else_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (bundles, temporary) = (folder.path().join("bundles"), folder.path().join("tmp"));
    copy(&root().join("tests/charts/preview"), &bundles.join("chart"));
    copy(&root().join("tests/bundles/mini"), &bundles.join("mini"));
    fs::create_dir(&temporary).unwrap();
    let options = Options {
        bundles,
        arguments: vec![format!("--helm={}", testbed::binaries::helm().unwrap().display())],
        environment: vec![("TMPDIR".to_owned(), temporary.display().to_string())],
        ..Options::default()
    };
    let world = World::with("disk", options).await;
    let repository = Repository::create().unwrap();
    let exclude = json!({ "exclude": ["main", "plain"] });
    world
        .project("shop", &repository, json!({ "bundle": { "name": "chart" }, "branches": exclude }))
        .await;
    let pushed = repository.push_many(&[("chart", &[("a", "1")]), ("goes", &[("a", "1")])]).unwrap();
    let chart = world.wait_ready("chart", &pushed[0]).await;
    let goes = world.wait_ready("goes", &pushed[1]).await;

    // Nothing can be made there any more, whoever tries.
    fs::remove_dir_all(&temporary).unwrap();
    fs::write(&temporary, "in the way").unwrap();
    let moved = repository.commit("chart", &[("a", "2")]).unwrap();
    let told = world
        .wait_until("chart", "that says what it lacks", |environment| {
            let status = environment.status.as_ref();
            let message = status.and_then(|status| status.message.as_deref()).unwrap_or_default();
            message.contains("cannot write the chart for helm") && message.contains("what runs keeps running")
        })
        .await;
    let status = told.status.unwrap();
    assert_eq!(status.phase, Some(Phase::Failed));
    let reason = |kind: &str| {
        status
            .conditions
            .iter()
            .find(|condition| condition.type_ == kind)
            .map(|found| found.reason.clone())
    };
    assert_eq!(
        reason("Ready").as_deref(),
        Some("BundleUnavailable"),
        "it is not the bundle's mistake"
    );
    let api = objects::api(&world.client, "apps/v1", "Deployment", Some(&chart.name_any())).await;
    assert!(
        api.get_opt("web")
            .await
            .unwrap()
            .is_some_and(|object| object.metadata.deletion_timestamp.is_none())
    );

    // What needs no disk goes on: other bundles, and every end.
    let plain = repository.commit("plain", &[("a", "1")]).unwrap();
    world
        .project_at(
            "git",
            "plain",
            &crate::world::repository_name(&repository),
            json!({ "bundle": { "name": "mini" }, "branches": { "include": ["plain"] } }),
        )
        .await;
    world.wait_ready("plain", &plain).await;
    repository.delete_branches(&["goes"]).unwrap();
    world.wait_gone("goes").await;
    assert!(!world.namespace_exists(&goes.name_any()).await);

    fs::remove_file(&temporary).unwrap();
    fs::create_dir(&temporary).unwrap();
    assert_eq!(world.wait_ready("chart", &moved).await.uid(), chart.uid(), "it heals by itself");
}
