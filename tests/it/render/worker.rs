//! Bundles that want to take the process with them: their own rendering fails, with words, and nothing else notices.
#![allow(clippy::unwrap_used, reason = "a bundle that cannot be read is the test's failure")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use graftling::domain::bundle::BundleFiles;
use graftling::render::{Error, Limit, RenderLimits, Renderer, RendererSettings, SandboxLevel, load_directory};
use serde_json::{Value, json};

use super::context;

fn settings() -> RendererSettings {
    RendererSettings {
        program: env!("CARGO_BIN_EXE_graftling").into(),
        ..RendererSettings::default()
    }
}

fn renderer_with(limits: RenderLimits) -> Renderer {
    Renderer::new(RendererSettings { limits, ..settings() })
}

/// Time enough to reach the other limits in a slow build on a busy machine.
fn patient() -> Renderer {
    renderer_with(RenderLimits {
        cpu: Duration::from_secs(60),
        wall: Duration::from_secs(120),
        ..RenderLimits::default()
    })
}

/// So many loops inside one another.
fn nested(list: &str, levels: usize, body: &str) -> String {
    let open = format!("{{{{#each {list}}}}}");
    format!("{}{body}{}", open.repeat(levels), "{{/each}}".repeat(levels))
}

fn bundle(parts: &[(&str, &str)]) -> Arc<BundleFiles> {
    let head = ("bundle.yaml", "name: test\nversion: 1.0.0\n");
    let files: BTreeMap<String, Vec<u8>> = parts
        .iter()
        .chain([&head])
        .map(|(file, text)| ((*file).to_owned(), text.as_bytes().to_vec()))
        .collect();
    Arc::new(BundleFiles::new(files).unwrap())
}

fn template(text: &str) -> Arc<BundleFiles> {
    bundle(&[("templates/a.yaml", text)])
}

fn ordinary() -> Arc<BundleFiles> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bundles/e14");
    Arc::new(load_directory(&path).unwrap())
}

/// Loops that no guard refuses and that end, but not soon: each round works on a long text and writes almost nothing.
fn burner() -> (Arc<BundleFiles>, Value) {
    let list = |inside: &str| format!("{{{{#each @root.values.list}}}}{inside}{{{{/each}}}}");
    // It prints nothing and calls no helper, so neither the limit on the output nor the helpers' budget ends it.
    let round = "{{#if @root.values.nothing}}{{/if}}".repeat(500);
    let values = json!({ "list": vec![1; 1000], "nothing": false });
    (template(&list(&list(&list(&round)))), values)
}

async fn message(renderer: &Renderer, files: &Arc<BundleFiles>, values: Value) -> String {
    match renderer.render(files, context("main", values)).await {
        Err(error) => error.to_string(),
        Ok(rendered) => panic!("it gave {} documents", rendered.documents.len()),
    }
}

async fn assert_ordinary(renderer: &Renderer) {
    let rendered = renderer.render(&ordinary(), context("main", json!({}))).await;
    assert_eq!(rendered.unwrap_or_else(|error| panic!("{error}")).documents.len(), 14);
}

// === inputs that kill plain Handlebars ===

#[tokio::test]
async fn f81_partials_in_a_circle_fail_and_the_next_bundle_renders() {
    let renderer = Renderer::new(settings());
    let circle = bundle(&[
        ("templates/_a.hbs", "{{> b}}"),
        ("templates/_b.hbs", "{{> a}}"),
        ("templates/a.yaml", "{{> a}}"),
    ]);
    let said = message(&renderer, &circle, json!({})).await;
    assert!(said.contains("in a circle: a → b → a"), "{said}");
    let inline = template("{{#*inline \"a\"}}{{> b}}{{/inline}}{{#*inline \"b\"}}{{> a}}{{/inline}}{{> a}}");
    let said = message(&renderer, &inline, json!({})).await;
    assert!(said.contains("templates/a.yaml:1"), "{said}");
    assert_ordinary(&renderer).await;
}

#[tokio::test]
async fn f81_five_thousand_nested_blocks_fail_and_the_next_bundle_renders() {
    let renderer = Renderer::new(settings());
    for depth in [65, 5_000, 60_000] {
        let nested = template(&format!("{}{}", "{{#if a}}".repeat(depth), "{{/if}}".repeat(depth)));
        let said = message(&renderer, &nested, json!({})).await;
        assert!(said.contains("templates/a.yaml:1"), "{said}");
    }
    assert_ordinary(&renderer).await;
}

#[tokio::test]
async fn f81_amplifiers_fail_and_the_next_bundle_renders() {
    let renderer = patient();
    let values = json!({ "l": vec!["x"; 100] });
    for (levels, body, expected) in [
        (4, "{{this}}", "inside one another"),
        (5, "{{this}}", "inside one another"),
        (3, "0123456789", "8 MiB"),
        (3, "", "8 MiB"),
    ] {
        let amplifier = nested("@root.values.l", levels, body);
        let values = if body.is_empty() {
            json!({ "l": vec![1; 1000] })
        } else {
            values.clone()
        };
        let said = message(&renderer, &template(&amplifier), values).await;
        assert!(said.contains(expected), "{levels}: {said}");
    }
    assert_ordinary(&renderer).await;
}

/// The inputs as they were measured: 100 MB of text in seconds, and no end within a minute. Here nothing of them is rendered.
#[tokio::test]
async fn f81_the_amplifiers_of_105_and_131_bytes_are_refused_before_anything_is_rendered() {
    let renderer = Renderer::new(settings());
    for (levels, size) in [(4, 105), (5, 131)] {
        let amplifier = nested("@root.l", levels, "x");
        assert_eq!(amplifier.len(), size);
        let error = renderer.check(&template(&amplifier)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the bundle has 1 problem(s):\n\
             templates/a.yaml:1:52: more than 3 #each inside one another"
        );
    }
    assert_ordinary(&renderer).await;
}

#[tokio::test]
async fn f81_three_loops_inside_one_another_end_at_the_output_limit_with_the_place_and_the_way_out() {
    let renderer = patient();
    let amplifier = template(&format!("# A comment.\n{}", nested("@root.values.l", 3, "0123456789")));
    let said = message(&renderer, &amplifier, json!({ "l": vec!["x"; 100] })).await;
    assert_eq!(
        said,
        "the bundle cannot be rendered:\n\
         templates/a.yaml:2: the templates give more than 8 MiB of text: \
         shorten the lists that they loop over, or the values that they print"
    );
    assert_ordinary(&renderer).await;
}

#[tokio::test]
async fn f81_alias_bombs_fail_and_the_next_bundle_renders() {
    let renderer = Renderer::new(settings());
    let mut bomb = "a0: &a0 [x]\n".to_owned();
    for level in 1..12 {
        let aliases = format!("*a{},", level - 1).repeat(9);
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    for files in [template(&bomb), bundle(&[("values.yaml", &bomb), ("templates/a.yaml", "a: 1")])] {
        let said = message(&renderer, &files, json!({})).await;
        assert!(said.contains("templates/a.yaml") || said.contains("values.yaml"), "{said}");
    }
    assert_ordinary(&renderer).await;
}

// === what no guard sees coming ===

#[tokio::test]
async fn threat_t28_a_bundle_that_burns_time_fails_with_words_and_others_do_not_notice() {
    let renderer = renderer_with(RenderLimits {
        cpu: Duration::from_secs(1),
        wall: Duration::from_secs(60),
        ..RenderLimits::default()
    });
    let (files, values) = burner();
    let burning = message(&renderer, &files, values);
    let beside = async {
        for _ in 0..5 {
            assert_ordinary(&renderer).await;
        }
    };
    let (said, ()) = tokio::join!(burning, beside);
    assert_eq!(
        said,
        "reading and rendering the bundle used more than 1 second of processor time: does it have large loops?"
    );
    let all = futures::future::join_all((0..4).map(|_| assert_ordinary(&renderer)));
    all.await;
}

#[tokio::test]
async fn threat_t28_each_limit_is_told_apart() {
    let (burner, values) = burner();
    let plenty = RenderLimits {
        cpu: Duration::from_secs(60),
        wall: Duration::from_secs(60),
        ..RenderLimits::default()
    };
    let long = json!({ "text": "x".repeat(8 << 20) });
    let short = Duration::from_millis(500);
    for (expected, limits, files, values) in [
        (Limit::Wall, RenderLimits { wall: short, ..plenty }, burner, values),
        (
            Limit::Memory,
            RenderLimits { memory: 4 << 20, ..plenty },
            template("a: {{values.text}}"),
            long,
        ),
    ] {
        let error = renderer_with(limits).render(&files, context("main", values)).await.unwrap_err();
        assert!(
            matches!(error, Error::Exceed { limit, .. } if limit == expected),
            "{expected:?}: {error}"
        );
    }
    let renderer = renderer_with(RenderLimits { answer: 1000, ..plenty });
    let error = renderer.render(&ordinary(), context("main", json!({}))).await.unwrap_err();
    assert!(matches!(error, Error::Exceed { limit: Limit::Answer, .. }), "{error}");
}

#[tokio::test]
async fn threat_t28_who_waits_too_long_for_a_worker_is_told() {
    let renderer = Renderer::new(RendererSettings {
        workers: 1,
        patience: Duration::from_millis(10),
        limits: RenderLimits {
            cpu: Duration::from_secs(1),
            wall: Duration::from_secs(60),
            ..RenderLimits::default()
        },
        ..settings()
    });
    let (files, values) = burner();
    let second = renderer.render(&files, context("main", values.clone()));
    let (first, second) = tokio::join!(renderer.render(&files, context("main", values)), second);
    assert!(matches!(first, Err(Error::Exceed { limit: Limit::Cpu, .. })));
    assert!(matches!(second, Err(Error::AwaitWorker { .. })));
    assert_ordinary(&renderer).await;
}

// === workers ===

/// A name of its own for the binary, by which its processes are found among those of other tests.
struct Named {
    _folder: tempfile::TempDir,
    program: PathBuf,
}

impl Named {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("graftling");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_graftling"), &program).unwrap();
        Self { _folder: folder, program }
    }

    fn renderer(&self, settings: RendererSettings) -> Renderer {
        Renderer::new(RendererSettings {
            program: self.program.clone(),
            workers: 1,
            ..settings
        })
    }

    fn processes(&self) -> BTreeSet<i32> {
        let name = self.program.to_str().unwrap();
        let numbers = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        let is_ours = |id: &i32| fs::read_to_string(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.starts_with(name));
        numbers.filter(is_ours).collect()
    }

    fn only_process(&self) -> i32 {
        let all = self.processes();
        assert_eq!(all.len(), 1, "{all:?}");
        all.into_iter().next().unwrap()
    }
}

#[tokio::test]
async fn threat_t29_a_worker_has_no_environment_no_descriptors_and_no_way_out() {
    let named = Named::new();
    let renderer = named.renderer(settings());
    assert_ordinary(&renderer).await;
    let process = PathBuf::from(format!("/proc/{}", named.only_process()));
    assert_eq!(fs::read(process.join("environ")).unwrap(), b"");
    let descriptors: BTreeMap<String, String> = fs::read_dir(process.join("fd"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read_link(entry.path()).unwrap().display().to_string(),
            )
        })
        .collect();
    assert_eq!(descriptors.keys().collect::<Vec<_>>(), ["0", "1", "2"]);
    assert!(descriptors.values().all(|target| target.starts_with("pipe:")), "{descriptors:?}");
    let status = fs::read_to_string(process.join("status")).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!((field("NoNewPrivs:"), field("Threads:")), ("1".into(), "1".into()));
    assert_eq!(field("Seccomp:"), "2");
    assert_eq!(renderer.level(), Some(SandboxLevel::Filtered));
    let limits = fs::read_to_string(process.join("limits")).unwrap();
    let hard = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(
        ["Max core file size", "Max file size", "Max open files", "Max processes"].map(hard),
        ["0", "0", "3", "0"]
    );
    assert!(hard("Max address space").parse::<u64>().unwrap() > 256 << 20);
}

#[tokio::test]
async fn a_worker_is_kept_for_so_many_requests_and_then_replaced() {
    let named = Named::new();
    let renderer = named.renderer(RendererSettings { uses: 2, ..settings() });
    assert_ordinary(&renderer).await;
    let first = named.only_process();
    assert_ordinary(&renderer).await;
    assert_ordinary(&renderer).await;
    assert!(!named.processes().contains(&first));
}

/// A server holds hundreds of megabytes; what it holds is not its workers'.
#[tokio::test]
async fn a_worker_is_kept_however_large_its_parent_is() {
    let named = Named::new();
    let ballast = std::hint::black_box(vec![1_u8; 128 << 20]);
    let renderer = named.renderer(settings());
    assert_ordinary(&renderer).await;
    let first = named.only_process();
    assert_ordinary(&renderer).await;
    assert_eq!(named.only_process(), first);
    drop(ballast);
}

#[tokio::test]
async fn f82_a_worker_that_somebody_ends_fails_nobody() {
    let named = Named::new();
    let renderer = named.renderer(settings());
    for _ in 0..3 {
        assert_ordinary(&renderer).await;
        let process = nix::unistd::Pid::from_raw(named.only_process());
        nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL).unwrap();
    }
    assert_ordinary(&renderer).await;
}

#[tokio::test]
async fn workers_end_with_their_renderer() {
    let named = Named::new();
    let renderer = named.renderer(settings());
    assert_ordinary(&renderer).await;
    let process = named.only_process();
    drop(renderer);
    let gone = async {
        while named.processes().contains(&process) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
}

/// However its parent has ended, the pipe does too.
#[test]
fn a_worker_ends_when_nobody_can_ask_it_any_more() {
    let output = Command::new(env!("CARGO_BIN_EXE_graftling"))
        .args(["render-worker", "268435456", "2"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn a_program_that_is_no_worker_is_told() {
    for program in ["/bin/true", "/nowhere/graftling"] {
        let renderer = Renderer::new(RendererSettings {
            program: program.into(),
            ..settings()
        });
        let error = renderer.check(&ordinary()).await.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot start a rendering process from {program}"));
    }
}

#[tokio::test]
async fn feature_p1_a_bundle_says_what_it_is() {
    let summary = Renderer::new(settings()).check(&ordinary()).await.unwrap();
    assert_eq!((summary.name.as_str(), summary.version.as_str()), ("e14", "1.0.0"));
    assert_eq!(summary.values["port"], 8080);
    assert_eq!(summary.inputs[0].name, "image");
}
