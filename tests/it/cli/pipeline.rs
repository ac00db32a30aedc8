//! `graftling pipeline lint` and `graph` over bundles on disk.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{Run, run};

fn bundle(pipeline: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("templates")).unwrap();
    for (file, text) in [
        ("bundle.yaml", "name: shop\nversion: 1.0.0\n"),
        ("values.yaml", "image: registry.example/shop\nunused: 1\n"),
        ("templates/data.yaml", "a: 1\n"),
        ("templates/web.yaml", "a: 1\n"),
        ("pipeline.yaml", pipeline),
    ] {
        fs::write(folder.path().join(file), text).unwrap();
    }
    folder
}

fn pipeline(command: &str, path: &Path, arguments: &[&str]) -> Run {
    run(&[&["pipeline", command, path.to_str().unwrap()], arguments].concat())
}

const GOOD: &str = "\
stages:
  - {name: data, apply: data.yaml}
  - {name: migrate, needs: data, job: {image: '{{values.image}}', outputs: [SCHEMA]}}
  - {name: web, needs: migrate, apply: web.yaml, timeout: 5m}
teardown:
  - {name: export, job: {image: '{{values.image}}'}, onFailure: continue}
";

#[test]
fn a_pipeline_in_order_has_no_problems_and_is_drawn() {
    let folder = bundle(GOOD);
    for path in [folder.path().to_owned(), folder.path().join("pipeline.yaml")] {
        let lint = pipeline("lint", &path, &[]);
        assert_eq!(
            (lint.code, lint.output.as_str(), lint.errors.as_str()),
            (Some(0), "no problems\n", "")
        );
    }
    let text = pipeline("graph", folder.path(), &[]);
    assert_eq!((text.code, text.errors.as_str()), (Some(0), ""));
    insta::assert_snapshot!(text.output, @r"
    stages
       1  data     apply  data.yaml
       2  migrate  job    after data; outputs SCHEMA; at most 15m
       3  web      apply  after migrate; web.yaml; at most 5m

    teardown
       1  export  job  at most 15m; goes on after a failure
    ");
    let mermaid = pipeline("graph", folder.path(), &["--format", "mermaid"]);
    assert_eq!(mermaid.code, Some(0));
    assert!(
        mermaid.output.starts_with("flowchart TD\n    subgraph stages\n"),
        "{}",
        mermaid.output
    );
    assert!(mermaid.output.contains("stages0 --> stages1\n"), "{}", mermaid.output);
}

#[test]
fn every_problem_of_a_pipeline_is_told_and_nothing_of_the_rest_of_the_bundle() {
    let folder = bundle(
        "\
stages:
  - {name: data, apply: data.yaml, onFailure: rollback}
  - name: migrate
    needs: daat
    job:
      image: '{{values.imgae}}'
      env: {GRAFTLING_X: 1}
",
    );
    let lint = pipeline("lint", folder.path(), &[]);
    assert_eq!(lint.code, Some(1), "{}", lint.output);
    assert!(lint.errors.contains("the pipeline is not in order: 2 error(s)"), "{}", lint.errors);
    for told in ["pipeline.yaml:3", "pipeline.yaml:7:26", "needs \"daat\"", "job.env.GRAFTLING_X"] {
        assert!(lint.output.contains(told), "{told}: {}", lint.output);
    }
    assert!(!lint.output.contains("unused"), "{}", lint.output);

    let named = GOOD.replace("{{values.image}}', outputs", "{{values.imgae}}', outputs");
    fs::write(
        folder.path().join("pipeline.yaml"),
        named.replace("apply: web.yaml", "apply: data.yaml"),
    )
    .unwrap();
    let lint = pipeline("lint", folder.path(), &["-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&lint.output).unwrap();
    let problems: Vec<String> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            format!(
                "{}:{} {}",
                problem["file"].as_str().unwrap(),
                problem["line"],
                problem["message"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        problems,
        [
            "pipeline.yaml:3 job.image: \"values.imgae\" is not defined",
            "pipeline.yaml:4 stage \"web\" names templates/data.yaml, whose objects come with \"data\" already",
            "templates/web.yaml:null no stage of pipeline.yaml applies this template, so it comes with the first one, \"data\"",
        ]
    );
}

#[test]
fn a_bundle_without_a_pipeline_is_told_so() {
    let folder = bundle("");
    fs::remove_file(folder.path().join("pipeline.yaml")).unwrap();
    for command in ["lint", "graph"] {
        let run = pipeline(command, folder.path(), &[]);
        assert_eq!(run.code, Some(1));
        assert!(
            run.errors.contains("has no pipeline.yaml: everything is applied at once"),
            "{}",
            run.errors
        );
    }
}

#[test]
fn the_pipeline_of_a_new_bundle_and_the_one_in_the_guide_are_in_order() {
    let folder = TempDir::new().unwrap();
    run(&["bundle", "new", "shop", "--in", folder.path().to_str().unwrap()]);
    let lint = pipeline("lint", &folder.path().join("shop"), &[]);
    assert_eq!((lint.code, lint.output.as_str()), (Some(0), "no problems\n"));

    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/PIPELINE.md")).unwrap();
    let (_, rest) = guide.split_once("## An example\n\n```yaml\n").unwrap();
    let folder = bundle(rest.split_once("```").unwrap().0);
    fs::write(folder.path().join("templates/identity.yaml"), "a: 1\n").unwrap();
    fs::write(folder.path().join("values.yaml"), "image: x\napproval: false\n").unwrap();
    fs::rename(
        folder.path().join("templates/data.yaml"),
        folder.path().join("templates/database.yaml"),
    )
    .unwrap();
    let lint = pipeline("lint", folder.path(), &[]);
    assert_eq!((lint.code, lint.output.as_str()), (Some(0), "no problems\n"), "{}", lint.errors);
}
