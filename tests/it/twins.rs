//! Each shipped bundle beside the same thing as a Helm chart: whatever the values, both give the same objects.
//!
//! The bundle goes the way of the server. The chart is rendered by real helm, and its text is read and admitted as that of a bundle.
#![allow(clippy::unwrap_used, reason = "a bundle or chart that gives nothing is the test's failure")]

use std::collections::BTreeMap;

use graftling::domain::bundle::Bundle;
use graftling::domain::bundle::case::{Case, OpenPullRequest};
use graftling::domain::manifest::{Admission, AllowedKinds, Manifest, admit};
use graftling::domain::policy::{ClaimPolicy, Permission};
use graftling::domain::render::{RenderContext, render, to_yaml};
use graftling::render::load_directory;
use serde_json::{Map, Value, json};
use similar::TextDiff;

use crate::world::root;

/// A branch, the number of its pull request, and values.
type Example = (&'static str, Option<u64>, Value);

fn case((branch, pull_request, values): &Example) -> Case {
    let mut case = Case::of_defaults();
    case.branch = branch.parse().unwrap();
    case.values = values.as_object().unwrap().clone();
    case.pull_request = pull_request.map(|number| OpenPullRequest {
        number,
        title: "Say: hello".into(),
        author: "ann".into(),
        base: "main".into(),
        labels: Vec::new(),
    });
    case
}

fn objects(files: &BTreeMap<String, Vec<u8>>, context: &RenderContext) -> Vec<Manifest> {
    let bundle = Bundle::parse(files).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let rendered = render(&bundle, context).unwrap_or_else(|errors| panic!("{errors}"));
    let kinds = AllowedKinds::default().claims(ClaimPolicy {
        node_ports: Permission::Allow,
        host_ports: Permission::Allow,
        load_balancers: Permission::Allow,
        static_volumes: Permission::Deny,
    });
    let admission = Admission {
        namespace: &context.environment.namespace(),
        environment: &context.environment,
        project: &context.project,
        domain: &context.address.domain,
        kinds: &kinds,
    };
    admit(rendered.documents, &admission).unwrap_or_else(|refusals| panic!("{refusals:#?}"))
}

/// What real helm gives for the same values, as the only template of a bundle.
fn charted(name: &str, context: &RenderContext, values: &Map<String, Value>) -> Vec<Manifest> {
    let mut values = values.clone();
    values.insert(
        "preview".into(),
        json!({
            "branch": context.branch.as_str(),
            "revision": context.revision.as_str(),
            "shortRevision": context.revision.short(),
            "host": context.address.host(&context.environment),
            "url": context.address.url(&context.environment),
            "project": context.project.name.as_str(),
            "pullRequest": context.pull_request.as_ref().map_or(0, |pull_request| pull_request.number),
        }),
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.json");
    std::fs::write(&file, Value::Object(values).to_string()).unwrap();
    let chart = root().join("tests/charts").join(name);
    let environment = context.environment.as_str();
    let (chart, file) = (chart.to_str().unwrap(), file.to_str().unwrap());
    let text = testbed::helm::helm(["template", environment, chart, "--namespace", environment, "--values", file]).unwrap();
    let files = BTreeMap::from([
        ("bundle.yaml".to_owned(), b"name: chart\nversion: 0.1.0\n".to_vec()),
        // What looks like a tag is text.
        ("templates/all.yaml".to_owned(), text.replace("{{", "\\{{").into_bytes()),
    ]);
    objects(
        &files,
        &RenderContext {
            values: Vec::new(),
            ..context.clone()
        },
    )
}

/// Bodies by key. A checksum says whether something has changed, whatever it is the sum of: that of helm's YAML is another.
fn comparable(manifests: &[Manifest]) -> BTreeMap<String, String> {
    let body = |manifest: &Manifest| {
        let mut body = serde_json::Value::clone(&manifest.body);
        if let Some(sum) = body.pointer_mut("/spec/template/metadata/annotations/checksum~1config") {
            assert_eq!(sum.as_str().unwrap().len(), 64);
            *sum = json!("a checksum");
        }
        to_yaml(&body)
    };
    manifests
        .iter()
        .map(|manifest| (manifest.key.to_string(), body(manifest)))
        .collect()
}

fn check(name: &str, count: usize, examples: &[Example]) {
    let files = load_directory(&root().join("templates").join(name)).unwrap();
    for example in examples {
        let case = case(example);
        let context = case.context();
        let ours = comparable(&objects(files.files(), &context));
        let theirs = comparable(&charted(name, &context, &case.values));
        assert_eq!(
            ours.keys().collect::<Vec<_>>(),
            theirs.keys().collect::<Vec<_>>(),
            "{name}: {example:?}"
        );
        assert!(ours.len() >= count, "{name}: {example:?} gives only {} objects", ours.len());
        for (key, body) in &ours {
            let diff = TextDiff::from_lines(&theirs[key], body);
            let text = diff.unified_diff().header("chart", "bundle").to_string();
            assert!(text.is_empty(), "{name}: {example:?}: {key}\n{text}");
        }
    }
}

#[test]
fn feature_p1_the_web_bundle_gives_what_its_chart_gives() {
    let everything = json!({
        "image": { "repository": "ghcr.io/example/shop", "tagFromRevision": true },
        "args": [],
        "replicas": 2,
        "config": { "FEATURE_X": true, "GREETING": "say \"hello\": yes\n", "LIMIT": 10 },
        "appSecrets": { "API_KEY": "not-a-real-key", "PIN": 1234 },
        "ingress": { "className": "nginx", "tlsSecret": "wildcard", "annotations": { "example.com/timeout": "30" } },
        "database": { "enabled": true, "storageClass": "fast" },
        "migration": { "enabled": true, "args": ["migrate", "--yes"] },
        "cache": { "enabled": true, "maxMemory": "1gb" },
        "worker": { "enabled": true, "args": ["work", "012"], "probeCommand": ["pgrep", "worker"] },
        "cron": { "enabled": true, "args": [], "schedule": "*/15 * * * *", "timeZone": "Europe/Zurich" },
    });
    check(
        "web",
        7,
        &[
            ("main", None, json!({})),
            ("feature/ä#1", Some(12), everything),
            (
                "012",
                None,
                json!({ "ingress": { "enabled": false }, "resources": { "limits": null } }),
            ),
            (
                "yes",
                Some(1),
                json!({ "image": { "repository": "ghcr.io/example/shop@sha256:0123", "tag": "" }, "config": { "LOG_LEVEL": null } }),
            ),
        ],
    );
}

#[test]
fn feature_p1_the_static_bundle_gives_what_its_chart_gives() {
    check(
        "static",
        4,
        &[
            ("main", None, json!({})),
            (
                "feature/ä#1",
                Some(12),
                json!({
                    "image": { "repository": "ghcr.io/example/docs", "tagFromRevision": true },
                    "files": { "index.html": "<h1>Hello</h1>\n", "app.js": "console.log(\"{{hello}}\");\n" },
                    "singlePage": true,
                    "headers": { "X-Frame-Options": "DENY", "X-Robots-Tag": null },
                    "ingress": { "className": "nginx", "tlsSecret": "wildcard" },
                }),
            ),
            (
                "true",
                None,
                json!({ "ingress": { "enabled": false }, "assetLifetime": "max", "port": 9000 }),
            ),
        ],
    );
}

#[test]
fn feature_p1_the_game_server_bundle_gives_what_its_chart_gives() {
    check(
        "game-server",
        6,
        &[
            ("main", None, json!({})),
            (
                "feature/ä#1",
                Some(12),
                json!({
                    "args": [],
                    "replicas": 3,
                    "ports": [
                        { "name": "game", "port": 27015, "protocol": "UDP", "publicPort": 0 },
                        { "name": "query", "port": 27016, "protocol": "TCP", "publicPort": 0 },
                    ],
                    "probe": { "tcpPort": "", "command": ["/healthy", "--quiet"] },
                    "shutdown": { "drainSeconds": 0, "graceSeconds": 120 },
                    "storage": { "size": "5Gi", "storageClass": "fast" },
                    "config": { "MAP": "de_dust2", "TICKRATE": 128, "RATIO": "1e3" },
                    "appSecrets": { "RCON_PASSWORD": "not-a-real-password" },
                }),
            ),
            (
                "1e3",
                None,
                json!({ "storage": { "enabled": false }, "probe": { "tcpPort": "" }, "expose": { "annotations": { "a": "b" } } }),
            ),
            ("a", None, json!({ "ports": public_ports(), "expose": { "mode": "NodePort" } })),
            ("b", None, json!({ "ports": public_ports(), "expose": { "mode": "HostPort" } })),
            ("c", None, json!({ "ports": public_ports(), "expose": { "mode": "LoadBalancer" } })),
        ],
    );
}

fn public_ports() -> Value {
    json!([
        { "name": "game", "port": 27015, "protocol": "UDP", "publicPort": 30015 },
        { "name": "query", "port": 27016, "protocol": "TCP", "publicPort": 0 },
    ])
}

#[test]
fn the_values_of_a_chart_are_those_of_its_bundle() {
    for name in ["web", "static", "game-server"] {
        let text = std::fs::read_to_string(root().join("tests/charts").join(name).join("values.yaml")).unwrap();
        let mut values: Map<String, Value> = serde_saphyr::from_str(&text).unwrap();
        assert!(values.remove("preview").is_some(), "{name}");
        let files = load_directory(&root().join("templates").join(name)).unwrap();
        let bundle = Bundle::parse(files.files()).unwrap();
        assert_eq!(json!(values), json!(bundle.values()), "{name}");
    }
}

#[test]
fn the_charts_pass_the_strict_lint_of_helm() {
    for name in ["web", "static", "game-server"] {
        let chart = root().join("tests/charts").join(name).display().to_string();
        testbed::helm::helm(["lint", "--strict", &chart]).unwrap();
    }
}
