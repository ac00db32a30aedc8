//! What hostile bundles leave behind in the process that had them rendered: nothing that grows.
//!
//! The test is that process. It runs itself once more, alone, because the memory of a process that runs other tests beside says nothing.
#![allow(clippy::unwrap_used, reason = "a figure that cannot be read is the test's failure")]

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use graftling::domain::bundle::BundleFiles;
use graftling::render::{Error, Limit, RenderLimits, Renderer, RendererSettings};
use serde_json::json;

use super::context;

/// Says to the second run that it is the one.
const ALONE: &str = "GRAFTLING_TEST_ALONE";
/// How often each hostile bundle comes.
const ROUNDS: usize = 5;
/// What the process may keep of all rounds together, in bytes: what the allocator holds for the next answer, and what is loaded once.
/// One answer is 7 MiB, so if each were kept, five would be too many.
const KEPT: u64 = 24 * 1024 * 1024;

#[test]
fn threat_t28_the_memory_of_the_server_returns_after_hostile_bundles() {
    if std::env::var_os(ALONE).is_some() {
        return tokio::runtime::Runtime::new().unwrap().block_on(hostile_bundles_again_and_again());
    }
    let name = "render::memory::threat_t28_the_memory_of_the_server_returns_after_hostile_bundles";
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        // With an arena for each thread, what is kept depends on which thread reads an answer.
        .env("MALLOC_ARENA_MAX", "1")
        // Without a fixed threshold the allocator learns to take large blocks from its heap, where one small neighbour keeps them.
        .env("MALLOC_MMAP_THRESHOLD_", "131072")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn hostile_bundles_again_and_again() {
    let roomy = renderer(RenderLimits {
        cpu: Duration::from_secs(60),
        wall: Duration::from_secs(120),
        ..RenderLimits::default()
    });
    let narrow = renderer(RenderLimits {
        memory: 4 << 20,
        wall: Duration::from_secs(120),
        ..RenderLimits::default()
    });
    let (start, count) = (after_an_ordinary_bundle(&roomy, &narrow).await, workers().len());
    let bound = start + KEPT;
    for round in 1..=ROUNDS {
        large_answer(&roomy).await;
        killed_at_its_memory(&narrow).await;
        let now = after_an_ordinary_bundle(&roomy, &narrow).await;
        eprintln!("round {round}: {} KiB, at the start {} KiB", now >> 10, start >> 10);
        let returned = async {
            while memory() > bound || workers().len() > count {
                tokio::task::yield_now().await;
            }
        };
        let is_in_time = tokio::time::timeout(Duration::from_secs(30), returned).await.is_ok();
        assert!(
            is_in_time,
            "round {round}: {start} bytes became {}, workers: {:?}",
            memory(),
            workers()
        );
    }
    drop((roomy, narrow));
    let ended = async {
        while !workers().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended).await.unwrap();
}

/// The memory once both have rendered what harms nobody, which starts their workers.
async fn after_an_ordinary_bundle(roomy: &Renderer, narrow: &Renderer) -> u64 {
    for renderer in [roomy, narrow] {
        renderer
            .render(&template("a: {{branch}}\n"), context("main", json!({})))
            .await
            .unwrap();
    }
    memory()
}

fn renderer(limits: RenderLimits) -> Renderer {
    Renderer::new(RendererSettings {
        program: env!("CARGO_BIN_EXE_graftling").into(),
        workers: 1,
        limits,
        ..RendererSettings::default()
    })
}

/// Just below the limit of 8 MiB of strings.
async fn large_answer(renderer: &Renderer) {
    let parts: Vec<String> = (0..7).map(|number| format!("a{number}: {{{{values.text}}}}\n")).collect();
    let values = json!({ "text": "x".repeat(1 << 20) });
    let rendered = renderer
        .render(&template(&parts.concat()), context("main", values))
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(rendered.documents[0].value["a6"].as_str().map(str::len), Some(1 << 20));
}

async fn killed_at_its_memory(renderer: &Renderer) {
    let values = json!({ "text": "x".repeat(8 << 20) });
    let error = renderer
        .render(&template("a: {{values.text}}"), context("main", values))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Exceed { limit: Limit::Memory, .. }), "{error}");
}

fn template(text: &str) -> Arc<BundleFiles> {
    let files = [("bundle.yaml", "name: test\nversion: 1.0.0\n"), ("templates/a.yaml", text)];
    let files = files.map(|(file, text)| (file.to_owned(), text.as_bytes().to_vec()));
    Arc::new(BundleFiles::new(files.into()).unwrap())
}

/// The memory of this process in bytes that no file backs: what it could fail to give back.
fn memory() -> u64 {
    let statistics = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: Vec<u64> = statistics.split_whitespace().map(|pages| pages.parse().unwrap()).collect();
    (pages[1] - pages[2]) * 4096
}

/// The children of this process.
fn workers() -> Vec<u32> {
    let own = std::process::id().to_string();
    let is_ours = |id: &u32| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        parent.is_some_and(|parent| parent.trim() == own)
    };
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    numbers
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(is_ours)
        .collect()
}
