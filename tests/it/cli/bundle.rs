//! `graftling bundle new`, `lint` and `test` over bundles on disk.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Run, run};

const SHIPPED: [&str; 3] = ["web", "static", "game-server"];

fn bundle(command: &str, folder: &Path, arguments: &[&str]) -> Run {
    run(&[&["bundle", command, folder.to_str().unwrap()], arguments].concat())
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("templates").join(name)
}

/// A new bundle in a folder of its own.
fn fresh() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let run = run(&["bundle", "new", "shop", "--in", folder.path().to_str().unwrap()]);
    assert_eq!((run.code, run.errors.as_str()), (Some(0), ""));
    let root = folder.path().join("shop");
    (folder, root)
}

fn write(root: &Path, file: &str, text: &str) {
    fs::write(root.join(file), text).unwrap();
}

fn append(root: &Path, file: &str, text: &str) {
    let kept = fs::read_to_string(root.join(file)).unwrap();
    write(root, file, &(kept + text));
}

#[test]
fn a_new_bundle_has_every_part_and_is_in_order() {
    let (_folder, root) = fresh();
    for file in [
        "bundle.yaml",
        "values.yaml",
        "values.schema.json",
        "pipeline.yaml",
        "README.md",
        "templates/_labels.hbs",
        "templates/web.yaml",
        "tests/default.yaml",
        "tests/golden/default.yaml",
    ] {
        let text = fs::read_to_string(root.join(file)).unwrap();
        assert!(!text.is_empty() && !text.contains("{NAME}"), "{file}");
    }
    let lint = bundle("lint", &root, &[]);
    assert_eq!(
        (lint.code, lint.output.as_str(), lint.errors.as_str()),
        (Some(0), "no problems\n", "")
    );
    let test = bundle("test", &root, &[]);
    assert_eq!((test.code, test.errors.as_str()), (Some(0), ""), "{}", test.output);
    assert!(test.output.ends_with("\ntest result: ok. 3 passed; 0 failed\n"), "{}", test.output);
}

#[test]
fn a_new_bundle_overwrites_nothing() {
    let (folder, root) = fresh();
    write(&root, "values.yaml", "mine: true\n");
    let again = run(&["bundle", "new", "shop", "--in", folder.path().to_str().unwrap()]);
    assert_eq!(again.code, Some(1));
    assert!(again.errors.contains("shop is already there"), "{}", again.errors);
    assert_eq!(fs::read_to_string(root.join("values.yaml")).unwrap(), "mine: true\n");
    let bad = run(&["bundle", "new", "Shop_1"]);
    assert_eq!(bad.code, Some(2), "{}", bad.errors);
}

#[test]
fn feature_p5_lint_finds_every_problem_in_one_pass() {
    let (_folder, root) = fresh();
    append(&root, "values.yaml", "list: [\n");
    append(&root, "pipeline.yaml", "  - name: web\n    apply: wbe.yaml\n");
    append(&root, "templates/web.yaml", "x: {{quoet values.image}}\n");
    append(&root, "templates/ingress.yaml", "{{/if}}\n");
    append(&root, "tests/default.yaml", "  - name: typo\n    brnach: main\n    expect: {}\n");
    let lint = bundle("lint", &root, &[]);
    assert_eq!(lint.code, Some(1));
    for told in [
        "--> values.yaml:",
        "error: there is another stage \"web\"",
        "--> pipeline.yaml:19",
        "\"wbe.yaml\" matches no template (did you mean \"web.yaml\"?)",
        "--> templates/web.yaml:",
        "\"quoet\"",
        "--> templates/ingress.yaml:",
        "--> tests/default.yaml:",
        "brnach",
    ] {
        assert!(lint.output.contains(told), "{told}\n{}", lint.output);
    }
    assert!(lint.errors.starts_with("error: the bundle is not in order: "), "{}", lint.errors);
}

#[test]
fn what_only_seems_odd_is_a_warning_and_no_failure() {
    let (_folder, root) = fresh();
    append(&root, "values.yaml", "# for later\nunused: 1\n");
    write(&root, "templates/_spare.hbs", "a: 1\n");
    write(&root, "values.schema.json", "{}\n");
    write(
        &root,
        "templates/extra.yaml",
        "{{#if values.replicas}}{{else}}a: {{values.unknown}}{{/if}}\n",
    );
    append(
        &root,
        "tests/default.yaml",
        "  - name: new\n    expect: { golden: golden/new.yaml }\n",
    );
    let lint = bundle("lint", &root, &[]);
    assert_eq!((lint.code, lint.errors.as_str()), (Some(0), ""), "{}", lint.output);
    for told in [
        "warning: no template uses \"unused\"",
        "--> values.yaml:20\n",
        "20 | unused: 1\n",
        "warning: nothing includes the partial \"spare\"",
        "warning: no stage of pipeline.yaml applies this template",
        "warning: values.yaml has no \"unknown\"",
        "warning: case \"new\": tests/golden/new.yaml is not there",
        "the bundle has 5 warnings\n",
    ] {
        assert!(lint.output.contains(told), "{told}\n{}", lint.output);
    }
    let json: serde_json::Value = serde_json::from_str(&bundle("lint", &root, &["-o", "json"]).output).unwrap();
    assert_eq!((&json["errors"], &json["warnings"]), (&0.into(), &5.into()));
    assert_eq!(json["problems"][0]["severity"], "warning", "{json}");
}

#[test]
fn lint_renders_the_default_values_through_the_admission() {
    let (_folder, root) = fresh();
    append(
        &root,
        "templates/configuration.yaml",
        "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n",
    );
    let lint = bundle("lint", &root, &[]);
    assert_eq!(lint.code, Some(1), "{}", lint.output);
    assert!(lint.output.contains("error: v1 Namespace other: kind:"), "{}", lint.output);
}

#[test]
fn feature_p5_lint_renders_what_can_be_read_beside_what_cannot() {
    let (_folder, root) = fresh();
    write(&root, "templates/broken.yaml", "a: {{quote (lowr branch)}}\n");
    append(&root, "templates/configuration.yaml", "---\na: {{values.prot}}\n");
    let lint = bundle("lint", &root, &[]);
    assert_eq!(lint.code, Some(1), "{}", lint.output);
    for told in [
        "there is no helper \"lowr\"",
        "\"values.prot\" is not defined",
        "the bundle has 2 errors",
    ] {
        assert!(lint.output.contains(told), "{told}\n{}", lint.output);
    }
}

#[test]
fn lint_holds_the_default_values_against_the_schema() {
    let (_folder, root) = fresh();
    let values = fs::read_to_string(root.join("values.yaml")).unwrap();
    write(&root, "values.yaml", &values.replace("replicas: 1", "replicas: many"));
    let lint = bundle("lint", &root, &[]);
    assert_eq!(lint.code, Some(1), "{}", lint.output);
    assert!(lint.output.contains("\"many\" is not of type \"integer\""), "{}", lint.output);
}

#[test]
fn a_test_that_fails_shows_what_differs_and_update_accepts_it() {
    let (_folder, root) = fresh();
    let values = fs::read_to_string(root.join("values.yaml")).unwrap();
    write(&root, "values.yaml", &values.replace("port: 8080", "port: 9090"));
    let test = bundle("test", &root, &[]);
    assert_eq!(
        (test.code, test.errors.as_str()),
        (Some(1), "error: 1 test(s) failed\n"),
        "{}",
        test.output
    );
    for told in [
        "test tests/default.yaml: default values ... FAILED\n",
        "--- tests/golden/default.yaml\n+++ rendered\n",
        "-            - containerPort: 8080\n+            - containerPort: 9090\n",
        "\ntest result: FAILED. 2 passed; 1 failed\n",
    ] {
        assert!(test.output.contains(told), "{told}\n{}", test.output);
    }
    let update = bundle("test", &root, &["--update"]);
    assert_eq!(update.code, Some(0), "{}", update.output);
    assert!(update.output.contains("default values ... updated\n"), "{}", update.output);
    assert_eq!(bundle("test", &root, &[]).code, Some(0));
}

#[test]
fn each_way_in_which_a_case_can_fail_is_told() {
    let (_folder, root) = fresh();
    write(
        &root,
        "tests/default.yaml",
        "\
cases:
  - { name: one, expect: { count: 1 } }
  - { name: two, expect: { objects: [{ kind: Service, name: web, contains: { spec: { ports: [{ port: 81 }] } } }] } }
  - { name: three, expect: { error: anything } }
  - { name: four, values: { image: \"\" }, expect: { count: 5 } }
",
    );
    let test = bundle("test", &root, &["--update"]);
    assert_eq!(test.code, Some(1));
    for told in [
        "expected 1 objects, got 5: ",
        "Service web: spec.ports[0].port: expected 81, got 80",
        "expected an error with \"anything\", got 5 objects",
        "image",
        "test result: FAILED. 0 passed; 4 failed\n",
    ] {
        assert!(test.output.contains(told), "{told}\n{}", test.output);
    }
    fs::remove_dir_all(root.join("tests")).unwrap();
    let none = bundle("test", &root, &[]);
    assert_eq!((none.code, none.output.as_str()), (Some(1), ""));
    assert!(none.errors.contains("has no tests"), "{}", none.errors);
}

#[test]
fn the_tests_of_a_bundle_are_not_part_of_it() {
    let (_folder, root) = fresh();
    let digest = || graftling::render::load_directory(&root).unwrap().digest().to_owned();
    let before = digest();
    write(&root, "tests/more.yaml", "cases: [{name: a, expect: {count: 5}}]\n");
    write(&root, "README.md", "# other\n");
    assert_eq!(digest(), before);
    append(&root, "templates/web.yaml", "# changed\n");
    assert_ne!(digest(), before);
}

#[test]
fn feature_p5_the_shipped_bundles_are_in_order_and_pass_their_own_tests() {
    for name in SHIPPED {
        let lint = bundle("lint", &shipped(name), &[]);
        assert_eq!(
            (lint.code, lint.output.as_str()),
            (Some(0), "no problems\n"),
            "{name}: {}",
            lint.errors
        );
        let test = bundle("test", &shipped(name), &[]);
        assert_eq!((test.code, test.errors.as_str()), (Some(0), ""), "{name}: {}", test.output);
    }
}
