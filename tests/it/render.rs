//! The bundle that is shipped, from its directory to admitted manifests; and the reading of directories.
#![allow(clippy::unwrap_used, reason = "a bundle that cannot be read is the test's failure")]

mod memory;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use graftling::domain::git::PullRequest;
use graftling::domain::manifest::{Admission, AllowedKinds, Manifest, admit, to_yaml};
use graftling::domain::render::{Address, Layer, Origin, RenderContext, Scheme};
use graftling::render::{Error, Renderer, RendererSettings, load_directory};
use serde_json::{Value, json};

fn web() -> Arc<graftling::domain::bundle::BundleFiles> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/web");
    Arc::new(load_directory(&path).unwrap_or_else(|error| panic!("{error}")))
}

/// Workers of the binary under test.
fn renderer() -> Renderer {
    Renderer::new(RendererSettings {
        program: env!("CARGO_BIN_EXE_graftling").into(),
        ..RendererSettings::default()
    })
}

fn context(branch: &str, values: Value) -> RenderContext {
    RenderContext {
        branch: branch.parse().unwrap(),
        revision: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        pull_request: None,
        repository_id: "7".parse().unwrap(),
        repository_name: "team/shop".parse().unwrap(),
        project: "team/shop".parse().unwrap(),
        environment: "shop-login-abcdefghij".parse().unwrap(),
        address: Address {
            scheme: Scheme::Https,
            domain: "preview.example.com".parse().unwrap(),
            port: None,
        },
        is_first_deploy: true,
        values: vec![Layer::new(Origin::Project, values.as_object().unwrap().clone())],
    }
}

/// Every part of the bundle switched on.
fn everything() -> Value {
    json!({
        "image": { "repository": "ghcr.io/example/shop", "tagFromRevision": true },
        "args": [],
        "replicas": 2,
        "config": { "FEATURE_X": true, "GREETING": "say \"hello\": yes\n" },
        "appSecrets": { "API_KEY": "not-a-real-key" },
        "ingress": { "className": "nginx", "tlsSecret": "wildcard", "annotations": { "example.com/timeout": "30" } },
        "database": { "enabled": true, "storageClass": "fast" },
        "migration": { "enabled": true, "args": ["migrate", "--yes"] },
        "cache": { "enabled": true },
        "worker": { "enabled": true, "args": ["work"], "probeCommand": ["pgrep", "worker"] },
        "cron": { "enabled": true, "args": ["tidy"] },
    })
}

async fn manifests(context: RenderContext) -> Vec<Manifest> {
    let admission = Admission {
        namespace: &context.environment.namespace(),
        environment: &context.environment.clone(),
        project: &context.project.clone(),
        domain: &context.address.domain.clone(),
        kinds: &AllowedKinds::default(),
    };
    let rendered = renderer().render(&web(), context).await.unwrap_or_else(|error| panic!("{error}"));
    admit(rendered.documents, &admission)
        .unwrap_or_else(|refusals| panic!("{}", refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

fn golden(name: &str, manifests: &[Manifest]) {
    insta::with_settings!({ snapshot_path => "../golden", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, to_yaml(manifests));
    });
}

#[tokio::test]
async fn feature_p4_the_web_bundle_gives_the_same_manifests_as_ever() {
    golden("web-default", &manifests(context("main", json!({}))).await);
    let mut full = context("feature/ä#1", everything());
    full.pull_request = Some(PullRequest {
        number: 12,
        head: "feature/ä#1".parse().unwrap(),
        fork: None,
        base: "main".into(),
        author: "ann".into(),
        title: "Say: hello".into(),
        labels: vec![],
        draft: false,
    });
    golden("web-everything", &manifests(full).await);
}

#[tokio::test]
async fn feature_p4_rendering_twice_gives_the_same_bytes() {
    let first = to_yaml(&manifests(context("main", everything())).await);
    let second = to_yaml(&manifests(context("main", everything())).await);
    assert_eq!(first, second);
}

#[tokio::test]
async fn threat_t27_odd_branches_give_the_same_objects_with_the_branch_as_text() {
    let ordinary = manifests(context("main", everything())).await;
    for branch in [
        "true",
        "012",
        "feature/ä#1",
        "a\"b",
        "1e3",
        "null",
        "a'b",
        "{{x}}",
        "-",
        "🎉",
        "x,y]",
        "|",
        "&a",
        "!b",
    ] {
        let Ok(_) = branch.parse::<graftling::domain::git::BranchName>() else {
            continue;
        };
        let odd = manifests(context(branch, everything())).await;
        let keys = |manifests: &[Manifest]| manifests.iter().map(|manifest| manifest.key.clone()).collect::<Vec<_>>();
        assert_eq!(keys(&odd), keys(&ordinary), "{branch}");
        let map = odd.iter().find(|manifest| manifest.key.kind == "ConfigMap").unwrap();
        assert_eq!(map.body["data"]["BRANCH"], branch);
        let differing: Vec<&str> = odd
            .iter()
            .zip(&ordinary)
            .filter(|(odd, ordinary)| odd.digest != ordinary.digest)
            .map(|(odd, _)| odd.key.kind.as_str())
            .collect();
        assert_eq!(differing, ["ConfigMap"], "{branch}");
    }
}

#[tokio::test]
async fn a_push_changes_the_deployment_and_nothing_else() {
    let before = manifests(context("main", json!({}))).await;
    let mut pushed = context("main", json!({}));
    pushed.revision = "fedcba9876543210fedcba9876543210fedcba98".parse().unwrap();
    let after = manifests(pushed).await;
    let changed: Vec<String> = before
        .iter()
        .filter(|manifest| !after.contains(manifest))
        .map(|manifest| manifest.key.to_string())
        .collect();
    assert_eq!(changed, ["apps/v1 Deployment web"]);
    assert_eq!(before.len(), after.len());
}

#[tokio::test]
async fn feature_u1_the_url_and_the_host_are_those_of_the_identity() {
    let mut context = context("main", json!({}));
    context.address.scheme = Scheme::Http;
    context.address.port = Some(8080);
    let all = manifests(context).await;
    let body = |kind: &str| &all.iter().find(|manifest| manifest.key.kind == kind).unwrap().body;
    assert_eq!(
        body("Ingress")["spec"]["rules"][0]["host"],
        "shop-login-abcdefghij.preview.example.com"
    );
    assert_eq!(
        body("ConfigMap")["data"]["URL"],
        "http://shop-login-abcdefghij.preview.example.com:8080"
    );
}

#[tokio::test]
async fn feature_p3_a_bad_template_fails_with_its_place_and_gives_nothing() {
    let bundle = TestDirectory::new("p3");
    bundle.write("bundle.yaml", "name: a\nversion: \"1\"\n");
    bundle.write("values.yaml", "image: {tag: x}\n");
    bundle.write("templates/deployment.yaml", "a: 1\n\n\nb: {{values.imgae}}\n");
    bundle.write("templates/service.yaml", "a:\n\tb: 1\n");
    let loaded = Arc::new(load_directory(&bundle.path).unwrap());
    let error = renderer().render(&loaded, context("main", json!({}))).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the bundle cannot be rendered:\n\
         templates/deployment.yaml:4: \"values.imgae\" is not defined (did you mean \"image\"?)\n\
         templates/service.yaml:2: the rendered text is not valid YAML: tabs disallowed within this context (block indentation)"
    );
}

#[test]
fn a_directory_gives_its_regular_files_and_nothing_else() {
    let bundle = TestDirectory::new("regular");
    bundle.write("bundle.yaml", "name: a\nversion: \"1\"\n");
    bundle.write("templates/a.yaml", "a: 1\n");
    bundle.write("templates/.a.yaml.swp", "{{");
    bundle.write("README.md", "{{");
    bundle.write("charts/x.yaml", "{{");
    let files = load_directory(&bundle.path).unwrap();
    assert_eq!(files.files().keys().collect::<Vec<_>>(), ["bundle.yaml", "templates/a.yaml"]);

    let secret = bundle.path.join("outside");
    std::fs::write(&secret, "a: 1\n").unwrap();
    std::os::unix::fs::symlink(&secret, bundle.path.join("templates/b.yaml")).unwrap();
    assert!(matches!(load_directory(&bundle.path), Err(Error::CheckFile { path }) if path.ends_with("templates/b.yaml")));
    std::fs::remove_file(bundle.path.join("templates/b.yaml")).unwrap();

    bundle.write("templates/c.yaml", &" ".repeat(1024 * 1024 + 1));
    assert!(matches!(load_directory(&bundle.path), Err(Error::LimitBundle { path, .. }) if path.ends_with("templates/c.yaml")));
    std::fs::remove_file(bundle.path.join("templates/c.yaml")).unwrap();

    bundle.write("templates/d/e.yaml", "");
    assert!(matches!(load_directory(&bundle.path), Err(Error::CheckFile { path }) if path.ends_with("templates/d")));
    assert!(matches!(
        load_directory(&bundle.path.join("nowhere")),
        Err(Error::ListDirectory { .. })
    ));
    bundle.write("empty/x", "");
    assert_eq!(load_directory(&bundle.path.join("empty")).unwrap().size(), 0);
}

/// A linked `templates` would lead out of the bundle.
#[test]
fn a_templates_folder_that_is_a_link_is_refused() {
    let bundle = TestDirectory::new("linked");
    bundle.write("bundle.yaml", "name: a\nversion: \"1\"\n");
    bundle.write("elsewhere/a.yaml", "a: 1\n");
    std::os::unix::fs::symlink(bundle.path.join("elsewhere"), bundle.path.join("templates")).unwrap();
    assert!(matches!(load_directory(&bundle.path), Err(Error::CheckFile { .. })));
}

/// A directory of its own for one test, removed at the end.
struct TestDirectory {
    path: PathBuf,
}

impl TestDirectory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("graftling-render-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

impl Drop for TestDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[tokio::test]
async fn feature_p1_the_shipped_schema_is_enforced_and_names_path_and_origin() {
    let values = json!({
        "replicas": "two",
        "image": { "repository": "ghcr.io/example/shop", "tga": "1" },
        "port": 80,
        "ingress": { "annotations": { "a": 1 } },
        "database": { "password": 1234 },
        "unheardOf": true,
    });
    let error = renderer().render(&web(), context("main", values)).await.unwrap_err();
    let Error::RenderBundle(errors) = &error else { panic!("{error}") };
    let from = "(from the Project's spec.values)";
    let mut told: Vec<_> = errors.0.iter().map(ToString::to_string).collect();
    told.sort();
    assert_eq!(
        told,
        [
            format!("values.database.password: *** is not of type \"string\" {from}"),
            format!("values.image.tga: is unknown to the bundle's schema (did you mean \"tag\"?) {from}"),
            format!("values.ingress.annotations.a: 1 is not of type \"string\" {from}"),
            format!("values.port: 80 is less than the minimum of 1024 {from}"),
            format!("values.replicas: \"two\" is not of type \"integer\" {from}"),
            format!("values.unheardOf: is unknown to the bundle's schema {from}"),
        ]
    );
}
