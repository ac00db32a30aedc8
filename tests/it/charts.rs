//! Helm charts as bundles: each sample chart through our own path and through real helm alone, compared object by object.
#![allow(clippy::unwrap_used, reason = "a chart that cannot be read is the test's failure")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use graftling::domain::render::{Address, Layer, Origin, RenderContext, Scheme};
use graftling::render::{Error, HelmSettings, Renderer, RendererSettings, load_directory};
use serde_json::{Value, json};
use tempfile::TempDir;

const NAME: &str = "shop-login-abcdefghij";

/// Each is about a family of what templates can do.
const CHARTS: [&str; 12] = [
    "branches",
    "dictionaries",
    "hashes",
    "loops",
    "named-templates",
    "preview",
    "subcharts",
    "text",
    "tpl",
    "whitespace",
    "yaml-values",
    "checks",
];

#[tokio::test]
async fn feature_p5_a_chart_gives_the_objects_that_helm_alone_gives() {
    for name in CHARTS {
        let chart = charts().join(name);
        let rendered = render(&chart, json!({ "extra": 1 })).await;
        let documents = rendered.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!documents.is_empty(), "{name}");
        assert_eq!(documents, by_helm(&chart), "{name}");
    }
}

#[tokio::test]
async fn feature_p5_the_chart_that_helm_create_writes_gives_the_same_objects() {
    let folder = TempDir::new().unwrap();
    let chart = folder.path().join("starter");
    testbed::helm::helm([Path::new("create"), &chart]).unwrap();
    let documents = render(&chart, json!({ "extra": 1 })).await.unwrap();
    assert_eq!(documents.len(), 3);
    let tests_left_out: Vec<Value> = by_helm(&chart).into_iter().filter(|object| object["kind"] != "Pod").collect();
    assert_eq!(documents, tests_left_out);
}

#[tokio::test]
async fn feature_p5_a_bundle_lays_values_over_its_chart_and_a_null_takes_a_default_away() {
    let bundle = Bundle::new(&[
        ("bundle.yaml", "name: shop\nversion: \"1\"\nchart: {path: chart}\n"),
        ("values.yaml", "size: from-bundle\ncache: {size: 2Gi}\n"),
        ("manifests/a.yaml", "kind: Plain\ntext: \"{{ braces }}\"\n"),
        ("chart/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
        ("chart/values.yaml", "size: from-chart\ngone: true\nkept: yes\nteam: none\n"),
        ("chart/charts/cache/Chart.yaml", "apiVersion: v2\nname: cache\nversion: 1.0.0\n"),
        ("chart/charts/cache/values.yaml", "size: 1Gi\ngone: true\n"),
        ("chart/charts/cache/templates/a.yaml", "sub: {{ .Values | toJson }}\n"),
        (
            "chart/templates/a.yaml",
            "values: {{ omit .Values \"global\" \"graftling\" \"cache\" | toJson }}\nhost: {{ .Values.graftling.environment.host }}\nrelease: {{ .Release.Name }}/{{ .Release.Namespace }}\n",
        ),
    ]);
    let values = json!({ "gone": null, "team": "blue", "cache": { "gone": null } });
    let mut documents = render(bundle.path(), values).await.unwrap();
    assert_eq!(documents.remove(0), json!({ "kind": "Plain", "text": "{{ braces }}" }));
    let (sub, main): (Vec<Value>, Vec<Value>) = documents.into_iter().partition(|document| document.get("sub").is_some());
    assert_eq!(sub[0]["sub"]["size"], "2Gi");
    assert_eq!(sub[0]["sub"].get("gone"), None);
    assert_eq!(sub[0]["sub"]["global"]["graftling"]["branch"], "feature/login");
    assert_eq!(
        main,
        [json!({
            "values": { "size": "from-bundle", "kept": true, "team": "blue" },
            "host": format!("{NAME}.preview.example.com"),
            "release": format!("{NAME}/{NAME}"),
        })]
    );
}

#[tokio::test]
async fn feature_p5_a_chart_that_would_change_by_itself_is_refused_with_its_place() {
    let chart = Bundle::new(&[
        ("Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
        ("templates/a.yaml", "a: {{ .Values.now }}\nb: {{ now | date \"2006\" }}\n"),
        ("templates/_p.tpl", "{{ define \"p\" }}{{ randAlphaNum 8 }}{{ end }}"),
        ("charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 1.0.0\n"),
        ("charts/sub/templates/a.yaml", "c: {{ lookup \"v1\" \"Secret\" \"\" \"\" }}\n"),
    ]);
    let told = refusal(chart.path()).await;
    for expected in [
        "templates/a.yaml:2:7: now depends on the clock",
        "templates/_p.tpl:1:20: randAlphaNum gives something else each time",
        "charts/sub/templates/a.yaml:1:7: lookup reads the cluster",
    ] {
        assert!(told.contains(expected), "{told}");
    }
    assert!(!told.contains("\ntemplates/a.yaml:1"), "a field of that name is no call: {told}");
}

#[tokio::test]
async fn threat_t13_a_packed_subchart_is_looked_into_as_well() {
    let chart = Bundle::new(&[
        ("Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
        ("templates/a.yaml", "a: 1\n"),
    ]);
    let sub = Bundle::new(&[
        ("sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 1.0.0\n"),
        ("sub/templates/a.yaml", "id: {{ uuidv4 }}\n"),
    ]);
    let packed = chart.path().join("charts");
    testbed::helm::helm([Path::new("package"), &sub.path().join("sub"), Path::new("--destination"), &packed]).unwrap();
    let told = refusal(chart.path()).await;
    assert!(
        told.contains("charts/sub-1.0.0.tgz/sub/templates/a.yaml:1:8: uuidv4 gives something else"),
        "{told}"
    );
}

#[tokio::test]
async fn feature_p5_a_dependency_that_is_not_there_is_never_downloaded() {
    let chart = Bundle::new(&[
        (
            "Chart.yaml",
            "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies:\n  - name: redis\n    version: 1.0.0\n    repository: https://charts.example.com\n",
        ),
        ("templates/a.yaml", "a: 1\n"),
    ]);
    let told = refusal(chart.path()).await;
    assert!(
        told.contains("Chart.yaml:5: the dependency \"redis\" (https://charts.example.com) is not in charts/, and nothing is downloaded"),
        "{told}"
    );
}

#[tokio::test]
async fn feature_p5_what_helm_refuses_is_told_with_file_and_line() {
    let chart = |template: &str| {
        Bundle::new(&[
            ("Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
            ("templates/a.yaml", template),
        ])
    };
    for (template, place, message) in [
        (
            "a: 1\nb: {{ required \"give me b\" .Values.b }}\n",
            "templates/a.yaml:2:",
            "give me b",
        ),
        ("a: 1\nb: {{ .Values.b.c }}\n", "templates/a.yaml:2:", "nil pointer"),
        (
            "a: 1\nb: {{ nothing }}\n",
            "templates/a.yaml:2: ",
            "function \"nothing\" not defined",
        ),
        ("a: [\n", "templates/a.yaml (as helm renders it): ", "YAML parse error"),
    ] {
        let told = refusal(chart(template).path()).await;
        assert!(told.contains(place) && told.contains(message), "{told}");
    }
}

#[tokio::test]
async fn a_loop_without_end_in_a_chart_is_ended() {
    let chart = Bundle::new(&[
        ("Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
        (
            "templates/a.yaml",
            "{{ range until 2000000000 }}{{ range until 2000000000 }}{{ end }}{{ end }}",
        ),
    ]);
    let told = refusal(chart.path()).await;
    assert!(told.contains("helm"), "{told}");
}

#[tokio::test]
async fn feature_p5_without_helm_a_chart_is_refused_in_words() {
    let files = Arc::new(load_directory(&charts().join("loops")).unwrap());
    let settings = HelmSettings {
        program: Some("/nonexistent/helm".into()),
        ..HelmSettings::default()
    };
    let error = renderer(settings).render(&files, context(json!({}))).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "this bundle is a Helm chart, and there is no helm binary at /nonexistent/helm: mend --helm (GRAFTLING_HELM)"
    );
}

#[tokio::test]
async fn an_unchanged_chart_does_not_run_helm_again() {
    let folder = TempDir::new().unwrap();
    let counter = folder.path().join("helm");
    let count = folder.path().join("count");
    let helm = testbed::binaries::helm().unwrap();
    // Not a fork but an exec: the sandbox lets helm start nothing.
    let script = format!("#!/bin/sh\necho run >> {}\nexec {} \"$@\"\n", count.display(), helm.display());
    std::fs::write(&counter, script).unwrap();
    std::fs::set_permissions(&counter, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let renderer = renderer(HelmSettings {
        program: Some(counter),
        ..HelmSettings::default()
    });
    let files = Arc::new(load_directory(&charts().join("loops")).unwrap());
    let runs = || std::fs::read_to_string(&count).unwrap().lines().count();
    let first = renderer.render(&files, context(json!({}))).await.unwrap();
    let second = renderer.render(&files, context(json!({}))).await.unwrap();
    assert_eq!((first, runs()), (second, 1));
    renderer.render(&files, context(json!({ "count": 4 }))).await.unwrap();
    assert_eq!(runs(), 2);
}

fn charts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/charts")
}

fn renderer(helm: HelmSettings) -> Renderer {
    Renderer::new(RendererSettings {
        program: env!("CARGO_BIN_EXE_graftling").into(),
        helm,
        ..RendererSettings::default()
    })
}

async fn render(folder: &Path, values: Value) -> Result<Vec<Value>, Error> {
    let files = Arc::new(load_directory(folder)?);
    let helm = HelmSettings {
        program: Some(testbed::binaries::helm().unwrap()),
        ..HelmSettings::default()
    };
    let rendered = renderer(helm).render(&files, context(values)).await?;
    Ok(rendered.documents.into_iter().map(|document| document.value).collect())
}

async fn refusal(folder: &Path) -> String {
    let error = render(folder, json!({})).await.unwrap_err();
    let causes = std::iter::successors(std::error::Error::source(&error), |error| error.source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}

/// What helm prints for the same release with the same values, without anything of ours in between.
fn by_helm(chart: &Path) -> Vec<Value> {
    let folder = TempDir::new().unwrap();
    let values = folder.path().join("values.json");
    let facts = json!({
        "branch": "feature/login",
        "revision": "0123456789abcdef0123456789abcdef01234567",
        "environment": { "host": format!("{NAME}.preview.example.com") },
    });
    std::fs::write(&values, json!({ "extra": 1, "graftling": facts }).to_string()).unwrap();
    let arguments = ["template", NAME, "--namespace", NAME, "--kube-version", "1.33.0", "--values"];
    let arguments = arguments.iter().map(Path::new).chain([values.as_path(), chart]);
    let output = testbed::helm::helm(arguments).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&output).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

fn context(values: Value) -> RenderContext {
    RenderContext {
        branch: "feature/login".parse().unwrap(),
        revision: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        pull_request: None,
        repository_id: "7".parse().unwrap(),
        repository_name: "team/shop".parse().unwrap(),
        project: "team/shop".parse().unwrap(),
        environment: NAME.parse().unwrap(),
        address: Address {
            scheme: Scheme::Https,
            domain: "preview.example.com".parse().unwrap(),
            port: None,
        },
        is_first_deploy: true,
        values: vec![Layer::new(Origin::Project, values.as_object().unwrap().clone())],
    }
}

/// A folder with files, removed at the end.
struct Bundle(TempDir);

impl Bundle {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}
