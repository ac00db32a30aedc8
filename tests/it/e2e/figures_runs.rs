//! What runs cost, counted by the audit log of the API server and by the memory of the server. Figures, not bounds: `--ignored --nocapture`.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::fs;
use std::time::Duration;

use graftling::api::environment::Phase;
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;
use testbed::{AuditEvent, wait};

use super::figures::resident_kib;
use super::scene::Scene;

/// So long may a hundred environments take on a loaded machine.
const LONGER: Duration = Duration::from_secs(600);

const STAGES: usize = 5;

/// Five stages of one ConfigMap each, one after the other.
async fn five_stages(name: &str) -> Scene {
    let scene = Scene::start(name, "").await;
    let folder = scene.bundle_folder();
    fs::remove_file(folder.join("templates/all.yaml")).unwrap();
    let mut pipeline = "stages:\n".to_owned();
    for number in 1..=STAGES {
        let template = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: s{number}}}\ndata: {{revision: {{{{quote revision}}}}}}\n");
        fs::write(folder.join(format!("templates/s{number}.yaml")), template).unwrap();
        let needs = if number > 1 { format!("    needs: [s{}]\n", number - 1) } else { String::new() };
        pipeline.push_str(&format!("  - name: s{number}\n    apply: s{number}.yaml\n{needs}"));
    }
    fs::write(folder.join("pipeline.yaml"), pipeline).unwrap();
    scene
}

/// When the objects of the stages were asked for, of one environment.
fn begun(events: &[AuditEvent], namespace: &str) -> Vec<Timestamp> {
    let of = |number: usize| {
        let is_it = |event: &&AuditEvent| {
            event.namespace == namespace && event.resource == "configmaps" && event.name == format!("s{number}") && event.is_write()
        };
        events.iter().find(is_it).map(|event| event.request_received)
    };
    (1..=STAGES).filter_map(of).collect()
}

fn percentile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index of a short list")]
    let index = (last as f64 * part).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "figures"]
async fn figures_of_runs_with_five_stages() {
    let scene = five_stages("five-stages").await;
    for count in [1, 100] {
        let branches: Vec<String> = (0..count).map(|number| format!("run{count}/{number}")).collect();
        let pushes: Vec<_> = branches.iter().map(|branch| (branch.as_str(), &[][..])).collect();
        let position = scene.position();
        let revisions = scene.repository.push_many(&pushes).unwrap();
        let mut names = Vec::new();
        for (branch, revision) in branches.iter().zip(&revisions) {
            let ready = wait::until(format!("{branch} ready"), LONGER, || async {
                let environment = scene.world.environment(branch).await?;
                let status = environment.status.as_ref()?;
                let applied = status.revision.as_ref()?.applied.as_ref()?;
                (status.phase == Some(Phase::Ready) && applied == revision).then_some(environment)
            });
            names.push(ready.await.name_any());
        }
        let user = scene.world.server_user();
        let mut events = scene.world.plane.audit().since(position);
        events.retain(|event| event.user == user && event.resource != "leases");
        let mut gaps: Vec<f64> = Vec::new();
        for name in &names {
            let begun = begun(&events, name);
            assert_eq!(begun.len(), STAGES);
            gaps.extend(begun.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs_f64() * 1000.0));
        }
        gaps.sort_by(f64::total_cmp);
        let of_run = |event: &&AuditEvent| names.iter().any(|name| event.namespace == *name || event.name == *name);
        let requests = events.iter().filter(of_run).count() / names.len();
        let statuses = events.iter().filter(of_run).filter(|event| event.resource == "environments" && event.subresource == "status" && event.is_write());
        println!(
            "{count} runs of {STAGES} stages: from the first request of a stage to that of the next p50 {:.1} ms, p99 {:.1} ms; {requests} requests and {} status writes each",
            percentile(&gaps, 0.5),
            percentile(&gaps, 0.99),
            statuses.count() / names.len(),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "figures"]
async fn figures_of_environments_that_wait_for_approval() {
    let count: usize = std::env::var("GRAFTLING_FIGURES_ENVIRONMENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    for (name, pipeline) in [
        ("idle", "stages:\n  - name: web\n    apply: all.yaml\n"),
        ("waiting", "stages:\n  - name: web\n    apply: all.yaml\n  - name: ask\n    needs: [web]\n    approve:\n"),
    ] {
        let scene = Scene::with(name, super::scene::CONFIG, json!({"lifecycle": {"maxEnvironments": 2000}}), &[]).await;
        fs::write(scene.bundle_folder().join("pipeline.yaml"), pipeline).unwrap();
        let branches: Vec<String> = (0..count).map(|number| format!("feature/{number}")).collect();
        let pushes: Vec<_> = branches.iter().map(|branch| (branch.as_str(), &[][..])).collect();
        let before = resident_kib(&scene.world);
        scene.repository.push_many(&pushes).unwrap();
        wait::until(format!("{count} environments"), LONGER, || async {
            let environments = scene.world.environments().list(&kube::api::ListParams::default()).await.unwrap().items;
            let is_there = |environment: &&graftling::api::Environment| {
                let status = environment.status.as_ref();
                let message = status.and_then(|status| status.message.clone()).unwrap_or_default();
                match name {
                    "idle" => status.is_some_and(|status| status.phase == Some(Phase::Ready)),
                    _ => message.contains("waits for approval"),
                }
            };
            let there = environments.iter().filter(is_there).count();
            if there == count { Ok(()) } else { Err(format!("{there} of {count}")) }
        })
        .await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let position = scene.position();
        tokio::time::sleep(Duration::from_secs(20)).await;
        let user = scene.world.server_user();
        let mut events = scene.world.plane.audit().since(position);
        events.retain(|event| event.user == user && event.resource != "leases");
        let after = resident_kib(&scene.world);
        println!(
            "{count} environments, {name}: {} KiB before, {} KiB after, {} requests in 20 s",
            before,
            after,
            events.len()
        );
    }
}
