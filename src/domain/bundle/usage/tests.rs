//! What is used and declared, told from the text.
#![allow(clippy::unwrap_used, reason = "a bundle that cannot be read is the test's failure")]

use super::*;
use crate::domain::bundle::Bundle;

const HEAD: (&str, &str) = ("bundle.yaml", "name: web\nversion: \"1\"\n");

fn told(files: &[(&str, &str)]) -> Vec<String> {
    let files = files
        .iter()
        .map(|(file, text)| ((*file).to_owned(), text.as_bytes().to_vec()))
        .collect();
    let bundle = Bundle::parse(&files).unwrap();
    let files = BundleFiles::new(files).unwrap();
    warnings(&files, &bundle.summary()).iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_declared_and_not_used_and_the_reverse_is_told() {
    assert_eq!(
        told(&[
            (
                "bundle.yaml",
                "name: web\nversion: \"1\"\ninputs: [{name: image.tag}, {name: owner}]\n"
            ),
            (
                "values.yaml",
                "# x\nport: 80\nweb:\n  # y\n  a: 1\n  b:\n    c: 1\nlist: []\nflow: { x: 1, y: 2 }\n"
            ),
            ("pipeline.yaml", "stages: [{name: a, apply: a.yaml}]"),
            (
                "templates/a.yaml",
                "a: {{values.web.a}}\n{{> used}}\nb: {{values.host}}{{values.host}}\nc: {{values.image.tag}}\n"
            ),
            ("templates/b.yaml", "{{#each values.list}}x: {{@root.values.flow.x}}{{/each}}\n"),
            ("templates/_used.hbs", "u: 1\n"),
            ("templates/_use.hbs", "u: 1\n"),
        ]),
        [
            "templates/_use.hbs: nothing includes the partial \"use\": remove it, or write {{> use}}",
            "templates/a.yaml:3: values.yaml has no \"host\": rendering fails where a Project does not give it",
            "bundle.yaml: inputs: no template uses \"owner\"",
            "values.yaml: no template uses \"flow.y\"",
            "values.yaml:2: no template uses \"port\"",
            "values.yaml:6: no template uses \"web.b\"",
            "templates/b.yaml: no stage of pipeline.yaml applies this template, so it comes with the first one, \"a\"",
        ]
    );
}

#[test]
fn what_cannot_be_known_is_not_told() {
    for template in [
        "a: {{toYaml values}}",
        "a: {{lookup values \"port\"}}",
        "{{#with values}}a: {{port}}{{/with}}",
        "a: {{values.port.[0].[x-y]}}",
        "{{#if values.port}}a: {{default 1 values.unknown}}{{/if}}",
    ] {
        assert_eq!(
            told(&[HEAD, ("values.yaml", "port: 80\n"), ("templates/a.yaml", template)]),
            [""; 0],
            "{template}"
        );
    }
}

#[test]
fn a_required_input_without_a_default_is_missing() {
    let head = "name: web\nversion: \"1\"\ninputs: [{name: a.b, required: true}, {name: c, required: true}, {name: d}]\n";
    let files = [
        ("bundle.yaml", head),
        ("values.yaml", "a: {b: 1}\nc: \"\"\n"),
        ("templates/a.yaml", "a: 1"),
    ];
    let files = files
        .iter()
        .map(|(file, text)| ((*file).to_owned(), text.as_bytes().to_vec()))
        .collect();
    let summary = Bundle::parse(&files).unwrap().summary();
    assert_eq!(
        missing_inputs(&summary).iter().map(|input| input.name.as_str()).collect::<Vec<_>>(),
        ["c"]
    );
}

#[test]
fn a_value_that_is_a_template_uses_others() {
    let values = ("values.yaml", "greeting: \"hello {{values.name}}\"\nname: x\n");
    let with = |template| told(&[HEAD, values, ("templates/a.yaml", template)]);
    assert_eq!(with("a: {{tpl values.greeting this}}"), Vec::<String>::new());
    assert_eq!(with("a: {{quote values.greeting}}"), ["values.yaml:2: no template uses \"name\""]);
}

#[test]
fn what_a_pipeline_may_not_mean_is_warned_of() {
    assert_eq!(
        told(&[
            HEAD,
            ("values.yaml", "image: x\nmigrate: false\n"),
            ("templates/a.yaml", "a: 1\n"),
            (
                "pipeline.yaml",
                "\
stages:
  - {name: a, apply: a.yaml}
  - {name: b, apply: '*.yaml', needs: a}
  - {name: c, job: {image: '{{values.image}}'}, onFailure: rollback, when: {value: migrate}}
  - {name: d, job: {image: '{{values.nope}}'}, when: {value: other.thing}}
"
            ),
        ]),
        [
            "pipeline.yaml:5: values.yaml has no \"nope\": rendering fails where a Project does not give it",
            "pipeline.yaml:4: onFailure: rollback of \"c\" puts nothing back, because neither it nor a stage that it needs applies any object: it ends the run as stop does",
            "pipeline.yaml:5: stage \"d\" never runs where a Project does not set \"other.thing\", which values.yaml does not have",
            "pipeline.yaml:3: stage \"b\" names templates/a.yaml, whose objects come with \"a\" already",
        ]
    );
}
