//! `graftling values` over a bundle on disk.

use std::fs;

use tempfile::TempDir;

use super::{Run, run};

const PROJECT: &str = "\
apiVersion: graftling.dev/v1alpha1
kind: Project
metadata: {name: shop}
spec:
  gitHostRef: {name: git}
  repository: acme/shop
  bundle: {name: example}
  domain: preview.example.com
  values: {web: {replicas: 2}, apiKey: hush}
  rules:
  - branches: [release/*]
    values: {web: {replicas: 3}, probe: null}
  branchFile: {allow: [config.*]}
";

/// A bundle with a schema, a Project's manifest and a branch's file.
fn bundle() -> TempDir {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("templates")).unwrap();
    file("bundle.yaml", "name: example\nversion: 1.0.0\n");
    file("values.yaml", "web: {replicas: 1, port: 80}\nprobe: /\nconfig: {A: \"1\"}\n");
    file(
        "values.schema.json",
        "{\"properties\": {\"web\": {\"properties\": {\"port\": {\"maximum\": 65535}}}}}",
    );
    file("templates/a.yaml", "a: 1\n");
    file("project.yaml", PROJECT);
    file("branch.yaml", "values:\n  config: {B: \"2\"}\n");
    file("greedy.yaml", "values:\n  web:\n    replicas: 9\n");
    folder
}

fn values(folder: &TempDir, arguments: &[&str]) -> Run {
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let arguments: Vec<_> = arguments
        .iter()
        .map(|argument| {
            if argument.ends_with(".yaml") {
                place(argument)
            } else {
                (*argument).to_owned()
            }
        })
        .collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    run(&[&["values", "--bundle", folder.path().to_str().unwrap()], &arguments[..]].concat())
}

#[test]
fn feature_p1_each_value_is_shown_with_where_it_came_from() {
    let folder = bundle();
    let project = [
        "--project-file",
        "project.yaml",
        "--branch",
        "release/1",
        "--branch-file",
        "branch.yaml",
    ];
    let shown = values(&folder, &[&project[..], &["--set", "web.port=8080"]].concat());
    assert_eq!((shown.code, shown.errors.as_str()), (Some(0), ""));
    insta::assert_snapshot!(shown.output, @r#"
    KEY            VALUE    FROM
    apiKey         ***      the Project's spec.values
    config.A       "1"      the bundle's values.yaml
    config.B       "2"      .graftling.yaml of the branch
    probe          <none>   taken away by the Project's rule for release/*
    web.port       8080     --set
    web.replicas   3        the Project's rule for release/*
    "#);
    let open = values(&folder, &[&project[..], &["--show-secrets", "-o", "json"]].concat());
    assert!(open.output.contains("hush"), "{open:?}");
}

#[test]
fn a_value_that_the_bundle_does_not_accept_is_told_and_ends_with_code_1() {
    let shown = values(&bundle(), &["--set", "web.port=70000", "--set", "config=x"]);
    assert_eq!(shown.code, Some(1));
    assert!(
        shown.output.contains("web.port       70000"),
        "the values are shown all the same: {shown:?}"
    );
    for part in [
        "values.web.port: 70000 is greater than the maximum of 65535 (from --set)",
        "warning: values.config: a value that is no mapping from --set replaces the mapping from the bundle's values.yaml",
    ] {
        assert!(shown.errors.contains(part), "{part}: {}", shown.errors);
    }
}

#[test]
fn threat_t13_a_branch_s_file_that_sets_more_than_it_may_is_refused() {
    let shown = values(
        &bundle(),
        &["--project-file", "project.yaml", "--branch", "a", "--branch-file", "greedy.yaml"],
    );
    assert_eq!((shown.code, shown.output.as_str()), (Some(1), ""));
    let message = ".graftling.yaml:3: values.web.replicas: a branch of this Project may not set it; it may set config.*";
    assert!(shown.errors.contains(message), "{}", shown.errors);
}

#[test]
fn a_bundle_and_a_branch_of_the_cluster_exclude_each_other() {
    for arguments in [
        &["values"][..],
        &["values", "main", "--bundle", "x"],
        &["values", "main", "--set", "a=1"],
    ] {
        assert_eq!(run(arguments).code, Some(2), "{arguments:?}");
    }
}
