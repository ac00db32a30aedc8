//! What stages are told, in terms of the file, and what they say of one another.

use super::*;
use crate::domain::manifest::{Manifest, ObjectKey, Source};

#[test]
fn every_wrong_setting_is_told_with_file_line_and_field() {
    assert_eq!(
        problems(
            "\
# a comment first
stages:
  - name: a
    job:
      image: x
      env:
        GRAFTLING_X: 1
      outputs: [A]
  - name: b
    steps:
      - image: x
      - imgae: x
  - name: c
    steps: {run: [{image: x}], workspace: big}
  - name: graftling-d
    approve: {expiresAfter: soon}
  - {name: g, check: {every: 5s}}
teardown:
  - name: e
    resource: {templates: web.yaml, ready: {condition: Ready}}
  - name: f
    steps: {checkout: true, run: [{image: x}]}
"
        ),
        [
            "pipeline.yaml:7:22: job.env.GRAFTLING_X: names that begin with GRAFTLING_ are set by graftling: choose another",
            "pipeline.yaml:10:5: steps[1].image: is missing: write the image that is run",
            "pipeline.yaml:12:16: steps[1].imgae: there is no such field (did you mean \"image\"?)",
            "pipeline.yaml:14:43: steps.workspace: should be a quantity: 500Mi, 2Gi",
            "pipeline.yaml:15:11: name: names that begin with \"graftling-\" are kept for the system: choose another",
            "pipeline.yaml:16:29: approve.expiresAfter: should be a whole number with s, m, h or d behind it, at most 90d: 30m, 2h",
            "pipeline.yaml:17:15: check: write one of http, tcp, exec, condition",
            "pipeline.yaml:20:15: resource: nothing is created of what is about to go",
            "pipeline.yaml:22:12: steps.checkout: the branch may be gone by then, so there are no files of it",
        ]
    );
}

#[test]
fn a_stage_is_not_named_as_what_comes_before_every_pipeline() {
    let text = "\
stages:
  - {name: namespace, approve: }
  - {name: namespaces, approve: }
teardown:
  - {name: guardrails, approve: }
";
    let told = problems(text);
    assert_eq!(
        told.iter().filter(|problem| problem.contains("choose another")).collect::<Vec<_>>(),
        [
            "pipeline.yaml:2:12: name: \"namespace\" is what the system does before the pipeline: choose another",
            "pipeline.yaml:5:12: name: \"guardrails\" is what the system does before the pipeline: choose another",
        ]
    );
}

#[test]
fn outputs_are_only_taken_from_stages_that_come_before_and_declare_them() {
    let text = "\
stages:
  - {name: build, job: {image: x, outputs: [IMAGE]}}
  - {name: middle, needs: build, approve: }
  - name: later
    needs: middle
    job: {image: '$(outputs.build.IMAGE)', args: ['$$(outputs.nope.X)']}
  - name: wrong
    needs: middle
    job: {image: x, args: ['$(outputs.build.TAG)', '$(outputs.later.X)', '$(outputs.biuld.IMAGE)', '$(outputs.build)']}
teardown:
  - {name: end, job: {image: '$(outputs.build.IMAGE)'}}
";
    assert_eq!(
        problems(text),
        [
            "pipeline.yaml:9:28: job.args[0]: $(outputs.build.TAG): the stage \"build\" does not declare it: add TAG to its outputs",
            "pipeline.yaml:9:52: job.args[1]: $(outputs.later.X): the stage \"later\" does not come before \"wrong\": add it to its needs",
            "pipeline.yaml:9:74: job.args[2]: $(outputs.biuld.IMAGE): there is no stage \"biuld\" here",
            "pipeline.yaml:9:100: job.args[3]: \"$(outputs.build…\" is no output: write $(outputs.STAGE.NAME), or $$(outputs.…) for the text itself",
            "pipeline.yaml:11:30: job.image: $(outputs.build.IMAGE): there is no stage \"build\" here",
        ]
    );
}

#[test]
fn no_pipeline_hands_on_more_than_a_status_holds() {
    let names: Vec<String> = (0..33).map(|number| format!("N{number}")).collect();
    let text = format!("stages: [{{name: a, job: {{image: x, outputs: [{}]}}}}]", names.join(", "));
    assert_eq!(
        problems(&text),
        ["pipeline.yaml: the stages have 33 outputs, at most 32 are allowed: hand on fewer"]
    );
}

fn manifest(file: &str, value: &str) -> Manifest {
    let key = ObjectKey {
        group: String::new(),
        version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        namespace: Some("n".to_owned()),
        name: "x".to_owned(),
    };
    let source = Source {
        file: file.to_owned(),
        line: 3,
    };
    let body = json!({ "data": { "k": value }, "metadata": { "annotations": { "a": value } } });
    Manifest::new(key, body, source)
}

#[test]
fn outputs_in_manifests_are_those_of_stages_before_the_one_that_applies_them() {
    let pipeline = accepted(
        "\
stages:
  - {name: early, apply: database.yaml}
  - {name: build, needs: early, job: {image: x, outputs: IMAGE}}
  - {name: web, needs: build, apply: web.yaml}
",
    );
    let refusals = |file: &str| -> Vec<String> {
        let manifests = [manifest(file, "$(outputs.build.IMAGE)")];
        pipeline.check_outputs(&manifests).iter().map(ToString::to_string).collect()
    };
    let misplaced = "v1 ConfigMap x: metadata.annotations.a: outputs of stages may only stand in image, command, args and env of containers, \
                     data of ConfigMaps, stringData of Secrets and spec of custom resources: move it, or render the value";
    assert_eq!(refusals("templates/web.yaml"), [format!("templates/web.yaml:3: {misplaced}")]);
    assert_eq!(
        refusals("templates/database.yaml")[0],
        "templates/database.yaml:3: v1 ConfigMap x: data.k: $(outputs.build.IMAGE): the stage \"build\" does not come before \"early\": \
         add it to its needs"
    );
    assert!(refusals("templates/other.yaml")[0].contains("no stage of pipeline.yaml applies this template"));
    assert_eq!(pipeline.check_outputs(&[manifest("templates/web.yaml", "plain")]), []);
}

#[test]
fn plain_manifests_and_charts_are_named_with_their_folder() {
    const FILES: [&str; 4] = [
        "chart/templates/a.yaml",
        "chart/charts/b/templates/c.yaml",
        "manifests/d.yaml",
        "templates/d.yaml",
    ];
    let text = "stages:\n  - {name: a, apply: [manifests/*.yaml, 'chart/charts/**']}\n  - {name: b, apply: ['*.yaml', 'chart/**']}\n";
    let (file, problems) = read(text, &FILES);
    assert_eq!(problems, []);
    let pipeline = file.unwrap().pipeline().clone();
    let stage = |file: &str| pipeline.stage_of(file).map(|stage| stage.name.as_str());
    assert_eq!(stage("manifests/d.yaml"), Some("a"));
    assert_eq!(stage("templates/d.yaml"), Some("b"));
    assert_eq!(stage("chart/templates/a.yaml (as helm renders it)"), Some("b"));
    assert_eq!(
        stage("chart/charts/packed/templates/x.yaml (as helm renders it)"),
        Some("a"),
        "a packed chart is in no listing"
    );
    assert_eq!(stage("pipeline.yaml"), None);
}

#[test]
fn a_stage_that_is_told_nothing_of_time_has_what_is_usual() {
    let pipeline = accepted(
        "stages: [{name: a, job: {image: x}}, {name: b, approve: }, {name: c, apply: web.yaml}, {name: d, timeout: 1h, job: {image: x}}]",
    );
    let seconds: Vec<Option<u64>> = pipeline
        .stages
        .iter()
        .map(|stage| stage.timeout.map(|time| time.as_secs()))
        .collect();
    assert_eq!(seconds, [Some(900), None, None, Some(3_600)]);
}

const WHOLE: &str = "\
stages:
  - name: data
    apply: [identity.yaml, 'data*.yaml']
  - name: migrate
    needs: data
    job: {image: shop, once: true, outputs: [VERSION]}
    when: {firstDeploy: false, branches: ['feature/**'], changes: ['a\"]<b>.sql'], value: migration.enabled}
    retries: 2
  - name: check
    needs: data
    approve:
    onFailure: continue
  - name: web
    needs: [migrate, check]
    apply: web.yaml
    timeout: 90s
    onFailure: rollback
teardown:
  - {name: export, job: {image: shop}}
";

#[test]
fn a_pipeline_is_drawn_as_text() {
    insta::assert_snapshot!(accepted(WHOLE).to_text(), @r#"
    stages
       1  data     apply    identity.yaml data*.yaml
       2  migrate  job      after data; once; outputs VERSION; in later deployments, for branches feature/**, if files changed: a"]<b>.sql, if migration.enabled is set; at most 15m; 2 more tries
       2  check    approve  after data; goes on after a failure
       3  web      apply    after migrate, check; web.yaml; at most 90s; rolls back after a failure

    teardown
       1  export  job  at most 15m
    "#);
    assert_eq!(Pipeline::default().to_text(), "no stages: everything is applied at once\n");
}

#[test]
fn a_pipeline_is_drawn_for_mermaid() {
    insta::assert_snapshot!(accepted(WHOLE).to_mermaid(), @r#"
    flowchart TD
        subgraph stages
            stages0["data<br/>apply<br/>identity.yaml data#42;.yaml"]
            stages1["migrate<br/>job<br/>once<br/>outputs VERSION<br/>in later deployments, for branches feature/#42;#42;, if files changed#58; a#34;#93;#60;b#62;.sql, if migration.enabled is set<br/>at most 15m<br/>2 more tries"]
            stages2["check<br/>approve<br/>goes on after a failure"]
            stages3["web<br/>apply<br/>web.yaml<br/>at most 90s<br/>rolls back after a failure"]
            stages0 --> stages1
            stages0 --> stages2
            stages1 --> stages3
            stages2 --> stages3
        end
        subgraph teardown
            teardown0["export<br/>job<br/>at most 15m"]
        end
    "#);
}
