//! `graftling render` over a bundle on disk.

use std::fs;

use tempfile::TempDir;

use super::{Run, run};

/// A bundle with one ConfigMap whose text shows what a template can see, and one Service.
fn bundle(template: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("templates")).unwrap();
    file("bundle.yaml", "name: example\nversion: 1.0.0\n");
    file("values.yaml", "replicas: 1\nweb:\n  port: 80\n");
    file("README.md", "not a part of the bundle");
    file("templates/settings.yaml", template);
    folder
}

const SETTINGS: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  branch: {{quote branch}}
  host: {{quote environment.host}}
  port: \"{{values.web.port}}\"
";

fn render(folder: &TempDir, arguments: &[&str]) -> Run {
    let place = folder.path().to_str().unwrap();
    run(&[&["render", "--bundle", place], arguments].concat())
}

#[test]
fn a_bundle_is_rendered_with_the_documented_defaults() {
    let rendered = render(&bundle(SETTINGS), &["--branch", "feature/a"]);
    assert_eq!((rendered.code, rendered.errors.as_str()), (Some(0), ""));
    insta::assert_snapshot!("render", rendered.output);
}

#[test]
fn an_archive_of_a_bundle_gives_what_its_folder_gives() {
    let folder = bundle(SETTINGS);
    let archive = folder.path().with_extension("tgz");
    let place = archive.to_str().unwrap();
    let name = folder.path().file_name().unwrap();
    let mut tar = std::process::Command::new("tar");
    let packed = tar
        .arg("czf")
        .arg(&archive)
        .arg("-C")
        .arg(folder.path().parent().unwrap())
        .arg(name)
        .status();
    assert!(packed.unwrap().success());
    let of_archive = run(&["render", "--bundle", place, "--branch", "feature/a"]);
    fs::write(&archive, "no archive").unwrap();
    let broken = run(&["render", "--bundle", place, "--branch", "feature/a"]);
    fs::remove_file(&archive).unwrap();
    assert_eq!((of_archive.code, of_archive.errors.as_str()), (Some(0), ""));
    assert_eq!(of_archive.output, render(&folder, &["--branch", "feature/a"]).output);
    assert!(
        broken.code != Some(0) && broken.errors.contains("no complete .tar.gz archive"),
        "{}",
        broken.errors
    );
}

#[test]
fn the_shipped_bundle_is_rendered() {
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/templates/web");
    let arguments = ["render", "--bundle", place, "--branch", "feature/a", "--set"];
    let rendered = run(&[&arguments[..], &["image.repository=ghcr.io/example/shop"]].concat());
    assert_eq!((rendered.code, rendered.errors.as_str()), (Some(0), ""));
    let objects: Vec<serde_json::Value> = serde_saphyr::from_multiple(&rendered.output).unwrap();
    assert!(objects.iter().any(|object| object["kind"] == "Deployment"), "{}", rendered.output);
}

#[test]
fn feature_p4_the_same_input_gives_the_same_bytes() {
    let folder = bundle(SETTINGS);
    let arguments = ["--branch", "feature/a", "--set", "web.port=8080", "--project", "shop"];
    let first = render(&folder, &arguments);
    assert_eq!(first.code, Some(0), "{}", first.errors);
    for _ in 0..3 {
        assert_eq!(render(&folder, &arguments).output, first.output);
    }
}

#[test]
fn the_environment_s_name_is_that_of_its_identity() {
    use graftling::domain::name::{EnvironmentName, Identity};
    let arguments = [
        "--branch=feature/a",
        "--project=shop",
        "--namespace=team",
        "--repository=42",
        "--host-url=https://github.com",
        "--domain=dev.example.org",
        "--scheme=http",
    ];
    let expected = EnvironmentName::compute(Identity {
        host_url: "https://github.com",
        repository: &"42".parse().unwrap(),
        branch: &"feature/a".parse().unwrap(),
        project: &"team/shop".parse().unwrap(),
    });
    let rendered = render(&bundle(SETTINGS), &arguments);
    assert!(rendered.output.contains(&format!("namespace: {expected}\n")), "{rendered:?}");
    assert!(rendered.output.contains(&format!("{expected}.dev.example.org")), "{rendered:?}");
}

#[test]
fn later_values_win_and_files_come_before_single_values() {
    let folder = bundle(SETTINGS);
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (first, second) = (file("1.yaml", "web: {port: 1}"), file("2.yaml", "web: {port: 2}"));
    let port = |arguments: &[&str]| {
        let rendered = render(&folder, &[&["--branch=main"], arguments].concat());
        let line = rendered
            .output
            .lines()
            .find_map(|line| line.strip_prefix("  port: "))
            .map(str::to_owned);
        line.unwrap_or_else(|| panic!("{rendered:?}"))
    };
    assert_eq!(port(&["--values", &first, "--values", &second]), "\"2\"");
    assert_eq!(port(&["--values", &second, "--values", &first]), "\"1\"");
    assert_eq!(port(&["--set", "web.port=3", "--values", &first]), "\"3\"");
}

#[test]
fn a_mistake_in_a_template_is_told_with_file_and_line() {
    let run = render(
        &bundle("apiVersion: v1\nkind: ConfigMap\ndata: {{values.unheard_of}}\n"),
        &["--branch=main"],
    );
    assert_eq!((run.code, run.output.as_str()), (Some(1), ""));
    let shown = "error: \"values.unheard_of\" is not defined\n --> templates/settings.yaml:3:9\n  |\n3 | data: {{values.unheard_of}}\n  |         ^^^^^^^^^^^^^^^^^\n\n";
    assert!(run.errors.starts_with(shown), "{}", run.errors);
    let run = render(&bundle("{{#if}}\n"), &["--branch=main"]);
    assert_eq!(run.code, Some(1));
    assert!(run.errors.contains("--> templates/settings.yaml:"), "{}", run.errors);
}

#[test]
fn what_may_not_be_applied_is_refused_with_the_object_and_the_rule() {
    let template = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n";
    let run = render(&bundle(template), &["--branch=main"]);
    assert_eq!((run.code, run.output.as_str()), (Some(1), ""));
    assert!(
        run.errors.contains("error: example.com/v1 Widget w: kind: ") && run.errors.contains("--> templates/settings.yaml:2:7\n"),
        "{}",
        run.errors
    );
    let run = render(&bundle(template), &["--branch=main", "--allow-kind=example.com/Widget"]);
    assert_eq!(run.code, Some(0), "{}", run.errors);
}

#[test]
fn for_programs_there_is_json_of_the_objects_or_of_the_problems() {
    let run = render(&bundle(SETTINGS), &["--branch=main", "-o", "json"]);
    let objects: serde_json::Value = serde_json::from_str(&run.output).unwrap();
    assert_eq!((run.code, &objects[0]["kind"]), (Some(0), &serde_json::json!("ConfigMap")));
    let run = render(&bundle("a: {{one}}\nb: {{two}}\n"), &["--branch=main", "--output=json"]);
    let problems: serde_json::Value = serde_json::from_str(&run.output).unwrap();
    assert_eq!((run.code, problems.as_array().map(Vec::len)), (Some(1), Some(2)));
    let wanted = serde_json::json!({
        "file": "templates/settings.yaml", "line": 2, "column": 6, "length": 3, "severity": "error",
        "message": "\"two\" is not defined", "excerpt": "b: {{two}}",
    });
    assert_eq!(problems[1], wanted);
}

#[test]
fn a_folder_that_is_no_bundle_is_told() {
    let folder = TempDir::new().unwrap();
    let run = render(&folder, &["--branch=main"]);
    assert_eq!(run.code, Some(1));
    assert!(run.errors.contains("bundle.yaml"), "{}", run.errors);
    let missing = folder.path().join("missing");
    let run = super::run(&["render", "--branch=main", "--bundle", missing.to_str().unwrap()]);
    assert_eq!(run.code, Some(1));
    assert!(run.errors.contains("missing"), "{}", run.errors);
}

#[test]
fn a_branch_that_git_would_refuse_ends_with_code_2() {
    let run = render(&bundle(SETTINGS), &["--branch", "a..b"]);
    assert_eq!(run.code, Some(2));
    assert!(run.errors.contains("--branch"), "{}", run.errors);
}

/// A bundle that shares a class, and the Project that lets it.
fn of_project() -> (TempDir, String) {
    let class = "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: urgent}\nvalue: 1\n";
    let folder = bundle(&format!("{SETTINGS}  text: {{{{quote values.text}}}}\n---\n{class}"));
    let project = "\
apiVersion: graftling.dev/v1alpha1
kind: Project
metadata: {name: shop, namespace: previews}
spec:
  gitHostRef: {name: git}
  repository: team/shop
  bundle: {name: example}
  domain: shop.example.org
  scheme: http
  values: {web: {port: 81}, text: any}
  rules: [{branches: [\"release/*\"], values: {text: release}}]
  policy: {clusterScoped: Share}
";
    let path = folder.path().join("project.yaml");
    fs::write(&path, project).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn feature_i5_a_project_s_manifest_says_what_is_rendered_and_what_is_allowed_and_options_win() {
    let (folder, project) = of_project();
    let refused = render(&folder, &["--branch", "release/1", "--set", "text=x"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.errors.contains("policy.clusterScoped"), "{}", refused.errors);

    let rendered = render(&folder, &["--branch", "release/1", "--project-file", &project]);
    assert_eq!((rendered.code, rendered.errors.as_str()), (Some(0), ""));
    for word in [
        ".shop.example.org",
        "port: \"81\"",
        "text: release",
        "graftling.dev/shared: \"true\"",
        "graftling.dev/project: shop",
    ] {
        assert!(rendered.output.contains(word), "{word}: {}", rendered.output);
    }
    let other = render(
        &folder,
        &[
            "--branch",
            "feature/a",
            "--project-file",
            &project,
            "--domain",
            "b.example.com",
            "--set",
            "web.port=9",
        ],
    );
    for word in [".b.example.com", "port: \"9\"", "text: any"] {
        assert!(other.output.contains(word), "{word}: {}", other.output);
    }
    let missing = render(&folder, &["--branch", "a", "--project-file", "missing.yaml"]);
    assert!(
        missing.code == Some(1) && missing.errors.contains("missing.yaml"),
        "{}",
        missing.errors
    );
}

#[test]
fn feature_i5_lint_judges_by_the_policy_of_a_project_s_manifest() {
    let (folder, project) = of_project();
    let place = folder.path().to_str().unwrap();
    let alone = run(&["bundle", "lint", place]);
    assert!(alone.code == Some(1) && alone.output.contains("values.text"), "{}", alone.output);
    let strict = folder.path().join("strict.yaml");
    fs::write(&strict, fs::read_to_string(&project).unwrap().replace("Share", "Deny")).unwrap();
    let refused = run(&["bundle", "lint", place, "--project-file", strict.to_str().unwrap()]);
    assert!(
        refused.code == Some(1) && refused.output.contains("policy.clusterScoped"),
        "{}",
        refused.output
    );
    let allowed = run(&["bundle", "lint", place, "--project-file", &project]);
    assert_eq!((allowed.code, allowed.errors.as_str()), (Some(0), ""), "{}", allowed.output);
}
