//! How long rendering takes: the trip to a warm worker, the pure function in this process, and helm for the same objects.
#![allow(missing_docs, reason = "criterion's macros make items without documentation")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run has no figure")]

mod subjects;

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use graftling::domain::bundle::Bundle;
use graftling::domain::manifest::{Admission, AllowedKinds, admit};
use graftling::domain::render::{self, Layer, Origin, RenderContext, layer_values, to_yaml, value_problems};
use graftling::render::{Renderer, RendererSettings, load_directory};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use subjects::{PARTS, context, parts, reference};

/// So often a distribution is sampled.
const SAMPLES: usize = 300;

/// The reference bundle with so many parts that it gives 498 objects.
fn large() -> RenderContext {
    context(parts(PARTS))
}

fn renderer() -> Renderer {
    Renderer::new(RendererSettings {
        program: env!("CARGO_BIN_EXE_graftling").into(),
        workers: 1,
        uses: u32::MAX,
        ..RendererSettings::default()
    })
}

fn warm_worker(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let (renderer, files) = (renderer(), Arc::new(reference()));
    let render = |context: &RenderContext| runtime.block_on(renderer.render(&files, context.clone())).unwrap();
    let small = context(json!({}));
    assert_eq!(render(&small).documents.len(), 14);
    distribution("14 objects by a warm worker", SAMPLES, || drop(render(&small)));
    print_memory();
    criterion.bench_function("warm worker, 14 objects", |bencher| bencher.iter(|| black_box(render(&small))));
    let large = large();
    assert_eq!(render(&large).documents.len(), 498);
    distribution("498 objects by a warm worker", 30, || drop(render(&large)));
    criterion.bench_function("warm worker, 498 objects", |bencher| bencher.iter(|| black_box(render(&large))));
    print_memory();
}

fn pure(criterion: &mut Criterion) {
    let files = reference();
    let bundle = Bundle::parse(files.files()).unwrap();
    let (small, large) = (context(json!({})), large());
    criterion.bench_function("parse", |bencher| bencher.iter(|| Bundle::parse(black_box(files.files())).unwrap()));
    criterion.bench_function("pure, 14 objects", |bencher| {
        bencher.iter(|| render::render(&bundle, black_box(&small)).unwrap())
    });
    criterion.bench_function("pure, 498 objects", |bencher| {
        bencher.iter(|| render::render(&bundle, black_box(&large)).unwrap())
    });
}

/// What stands before and behind the templates: values laid over one another and checked, objects admitted.
fn around(criterion: &mut Criterion) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/web");
    let web = Bundle::parse(load_directory(&path).unwrap().files()).unwrap();
    let over = |values: Value, origin| Layer::new(origin, values.as_object().unwrap().clone());
    let layers = [
        over(
            json!({ "image": { "repository": "ghcr.io/example/shop" }, "replicas": 2 }),
            Origin::Project,
        ),
        over(json!({ "database": { "enabled": true } }), Origin::BranchFile),
        over(json!({ "replicas": 3 }), Origin::Environment),
    ];
    let problems = || value_problems(&web, &layer_values(web.values(), black_box(&layers)));
    assert!(problems().is_empty());
    criterion.bench_function("values of the web bundle: three layers and the schema", |bencher| {
        bencher.iter(problems)
    });

    let context = large();
    let documents = render::render(&Bundle::parse(reference().files()).unwrap(), &context)
        .unwrap()
        .documents;
    let admission = Admission {
        namespace: &context.environment.namespace(),
        environment: &context.environment,
        project: &context.project,
        domain: &context.address.domain,
        kinds: &AllowedKinds::default(),
    };
    criterion.bench_function("admission of 498 objects", |bencher| {
        bencher.iter(|| admit(black_box(documents.clone()), &admission).unwrap())
    });
}

fn cold_worker(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let (files, small) = (Arc::new(reference()), context(json!({})));
    criterion.bench_function("start of a worker, parse and 14 objects", |bencher| {
        bencher.iter(|| runtime.block_on(renderer().render(&files, small.clone())).unwrap())
    });
}

/// The rendered documents as a chart without a single template action: less work for helm than a chart would be.
fn helm(_: &mut Criterion) {
    let chart = tempfile::tempdir().unwrap();
    fs::write(chart.path().join("Chart.yaml"), "apiVersion: v2\nname: e14\nversion: 1.0.0\n").unwrap();
    fs::create_dir(chart.path().join("templates")).unwrap();
    let bundle = Bundle::parse(reference().files()).unwrap();
    for (number, document) in render::render(&bundle, &context(json!({}))).unwrap().documents.iter().enumerate() {
        fs::write(chart.path().join(format!("templates/{number}.yaml")), to_yaml(&document.value)).unwrap();
    }
    let path = chart.path().to_str().unwrap();
    let output = testbed::helm::helm(["template", "e14", path]).unwrap();
    assert_eq!(output.lines().filter(|line| line.starts_with("kind: ")).count(), 14);
    distribution("the same 14 objects by helm template", 30, || {
        drop(testbed::helm::helm(["template", "e14", path]).unwrap());
    });
}

/// Prints what half and what nearly all calls take. Criterion's mean hides both.
fn distribution(name: &str, samples: usize, mut call: impl FnMut()) {
    let mut times: Vec<Duration> = (0..samples)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("{name}: p50 {:.2?}, p95 {:.2?}", times[samples / 2], times[samples * 95 / 100]);
}

/// Prints the resident memory of the workers.
fn print_memory() {
    let own = std::process::id().to_string();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if field("PPid:") == Some(own.as_str()) {
            println!(
                "worker: resident {}, of which its own {}, at most {}",
                field("VmRSS:").unwrap_or("?"),
                field("RssAnon:").unwrap_or("?"),
                field("VmHWM:").unwrap_or("?")
            );
        }
    }
}

criterion_group!(benches, warm_worker, pure, around, cold_worker, helm);
criterion_main!(benches);
