//! The texts of `pipeline.yaml` that are templates.

use super::*;
use crate::domain::bundle::pipeline::Action;

const PARTIAL: (&str, &str) = ("templates/_url.hbs", "https://{{environment.host}}/{{values.path}}");
const TEMPLATE: (&str, &str) = ("templates/a.yaml", "a: 1\n");

fn values() -> Value {
    json!({ "count": 3, "ratio": 1.5, "is": true, "text": "3", "path": "a b", "list": ["x", "y"], "empty": "", "hostile": "x\"\n- y: {z: 1}" })
}

/// What the first stage, a job, is told.
fn settings(pipeline: &str) -> Result<Value, Vec<String>> {
    let rendered = try_files(&[PARTIAL, TEMPLATE, ("pipeline.yaml", pipeline)], &context("feature/#a", values()));
    match rendered {
        Ok(rendered) => match rendered.pipeline.unwrap().stages.swap_remove(0).action {
            Action::Job(settings) => Ok(settings),
            other => panic!("{other:?}"),
        },
        Err(problems) => Err(problems.iter().map(|problem| format!("{problem:#}")).collect()),
    }
}

fn leaf(text: &str) -> Value {
    let pipeline = format!("stages:\n  - name: a\n    job:\n      image: x\n      args: [{}]\n", json!(text));
    settings(&pipeline).unwrap()["args"][0].clone()
}

#[test]
fn a_text_gives_text_and_a_single_tag_what_it_gives_in_a_template() {
    for (text, wanted) in [
        ("{{values.count}}", json!(3)),
        (" {{ values.ratio }}\n", json!(1.5)),
        ("{{add values.count 4}}", json!(7)),
        ("{{values.is}}", json!(true)),
        ("{{values.text}}", json!("3")),
        ("{{quote values.count}}", json!("3")),
        ("{{quote values.hostile}}", json!(values()["hostile"])),
        ("{{values.hostile}}", json!(values()["hostile"])),
        ("{{values.empty}}", json!("")),
        ("--count={{values.count}}", json!("--count=3")),
        ("{{values.count}}{{values.count}}", json!("33")),
        ("{{#if values.is}}{{values.count}}{{/if}}", json!("3")),
        ("{{branch}}", json!("feature/#a")),
        (
            "{{include \"url\" this}}",
            json!("https://shop-login-abcdefghij.preview.example.com/a b"),
        ),
        ("{{toJson values.list}}", json!("[\"x\",\"y\"]")),
        ("no braces: [a, b]", json!("no braces: [a, b]")),
        ("\\{{x}}", json!("{{x}}")),
    ] {
        assert_eq!(leaf(text), wanted, "{text}");
    }
}

#[test]
fn every_problem_of_every_text_is_told_with_its_place_and_field() {
    let pipeline = "\
stages:
  - name: a
    job:
      image: \"https://{{environment.hots}}/{{values.path}}\"
      env: {NOPE: '{{values.nope}}'}
      args:
      - |
        first
        second {{values.list}}
  - name: b
    needs: a
    approve: {message: '{{nohelper 1}}'}
";
    let broken = settings(pipeline).unwrap_err();
    assert_eq!(broken, ["pipeline.yaml:12:27: approve.message: there is no helper \"nohelper\""]);
    let pipeline = pipeline.replace("nohelper 1", "values.path");
    assert_eq!(
        settings(&pipeline).unwrap_err(),
        [
            "pipeline.yaml:4:25: job.image: \"environment.hots\" is not defined (did you mean \"host\"?)",
            "pipeline.yaml:5:22: job.env.NOPE: \"values.nope\" is not defined",
            "pipeline.yaml:9:18: job.args[0]: \"values.list\" is a list: write {{toYaml …}}, or {{#each …}}",
        ]
    );
}

#[test]
fn what_a_text_becomes_is_read_as_what_it_is() {
    let told = |once: &str| {
        settings(&format!(
            "stages: [{{name: a, job: {{image: '{{{{values.path}}}}', once: '{once}'}}}}]"
        ))
    };
    assert_eq!(
        told("{{values.count}}").unwrap_err(),
        [
            "pipeline.yaml:1:33: job.image: \"a b\" is no name of an image",
            "pipeline.yaml:1:58: job.once: should be true or false",
        ]
    );
}

#[test]
fn a_condition_on_a_value_is_settled_where_the_values_are() {
    let pipeline = "\
stages:
  - {name: a, approve: , when: {value: is}}
  - {name: b, approve: , when: {value: empty}}
  - {name: c, approve: , when: {value: nope.nope}}
";
    let rendered = try_files(&[TEMPLATE, ("pipeline.yaml", pipeline)], &context("main", values())).unwrap();
    let left: Vec<Option<String>> = rendered
        .pipeline
        .unwrap()
        .stages
        .into_iter()
        .map(|stage| stage.when.value)
        .collect();
    assert_eq!(left, [None, Some("empty".to_owned()), Some("nope.nope".to_owned())]);
}

#[test]
fn problems_of_templates_and_of_the_pipeline_are_told_together() {
    let parts = [
        ("templates/a.yaml", "a: {{nope}}\n"),
        ("pipeline.yaml", "stages:\n  - {name: a, job: {image: '{{nope}}'}}\n"),
    ];
    let problems = try_files(&parts, &context("main", json!({}))).unwrap_err();
    let files: Vec<&str> = problems.iter().map(|problem| problem.file.as_str()).collect();
    assert_eq!(files, ["templates/a.yaml", "pipeline.yaml"]);
    assert!(problems[1].excerpt.as_deref().unwrap().contains("job"));
}

#[test]
fn names_globs_and_needs_are_never_rendered() {
    let parts = [
        TEMPLATE,
        (
            "pipeline.yaml",
            "stages:\n  - {name: a, apply: a.yaml, when: {branches: ['{a,b}']}}\n",
        ),
    ];
    let rendered = try_files(&parts, &context("main", json!({}))).unwrap();
    assert_eq!(rendered.pipeline.unwrap().stages[0].when.branches, ["{a,b}"]);
}

/// The same with every leaf null.
fn outline(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(outline).collect(),
        Value::Object(entries) => entries.iter().map(|(key, entry)| (key.clone(), outline(entry))).collect(),
        _ => Value::Null,
    }
}

proptest! {
    #[test]
    fn threat_t28_no_value_changes_the_structure_of_what_a_stage_is_told(
        hostile in prop_oneof![".*", "[\\[\\]{}:,&*!|>%@`\"'#\\- \n\t0-9a-z]{0,40}"],
        form in prop::sample::select(vec!["{{values.x}}", "a{{values.x}}", "{{toJson values.x}}", "{{quote values.x}}", "{{toYaml values.x}}"]),
    ) {
        let pipeline = json!({ "stages": [{ "name": "a", "job": { "image": "x", "args": [form], "env": { "Y": form } } }] });
        let parts = [TEMPLATE, ("pipeline.yaml", &pipeline.to_string())];
        let context = context("main", json!({ "x": hostile }));
        match try_files(&parts, &context) {
            Ok(rendered) => {
                let settings = rendered.pipeline.unwrap().stages[0].action.settings().cloned().unwrap();
                prop_assert_eq!(outline(&settings), json!({ "image": null, "args": [null], "env": { "Y": null } }));
                if form != "{{toJson values.x}}" && form != "{{toYaml values.x}}" {
                    let prefix = if form.starts_with('a') { "a" } else { "" };
                    prop_assert_eq!(&settings["args"][0], &json!(format!("{prefix}{hostile}")));
                }
            }
            // A control character can be written by `quote` alone.
            Err(problems) => prop_assert!(problems.iter().all(|problem| problem.message.contains("control character")), "{problems:?}"),
        }
    }
}
