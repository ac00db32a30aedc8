//! Reading pipelines: what is read, and every problem at once.
#![allow(clippy::unwrap_used, reason = "a pipeline that cannot be read is the test's failure")]

mod stages;

use serde_json::json;

use super::*;

const TEMPLATES: [&str; 3] = ["templates/database.yaml", "templates/identity.yaml", "templates/web.yaml"];

fn problems(text: &str) -> Vec<String> {
    let (_, problems) = read(text, &TEMPLATES);
    problems.iter().map(|problem| format!("{problem:#}")).collect()
}

fn accepted(text: &str) -> Pipeline {
    assert_eq!(problems(text), [""; 0]);
    read(text, &TEMPLATES).0.unwrap().pipeline().clone()
}

#[test]
fn a_whole_pipeline_is_read() {
    let pipeline = accepted(
        "\
stages:
  - name: data
    apply: [identity.yaml, 'data*.yaml']
    timeout: 5m
  - name: migrate
    needs: [data]
    job: { image: shop, args: [migrate], once: true }
    retries: 2
    when: { firstDeploy: false, branches: ['feature/**'], changes: [migrations/**], value: migration.enabled }
  - name: web
    needs: [migrate]
    apply: web.yaml
    onFailure: rollback
  - name: sign-off
    needs: [web]
    approve:
teardown:
  - name: export
    job: { image: shop, args: [export] }
    onFailure: continue
",
    );
    let [data, migrate, web, sign_off] = &pipeline.stages[..] else {
        panic!("{pipeline:?}")
    };
    let Action::Apply(globs) = &data.action else { panic!("{data:?}") };
    assert_eq!(globs[1].files, ["templates/database.yaml"]);
    assert_eq!((data.line, data.timeout), (2, Some(Duration::from_secs(300))));
    assert_eq!(
        migrate.action,
        Action::Job(json!({ "image": "shop", "args": ["migrate"], "once": true }))
    );
    assert_eq!((migrate.retries, migrate.on_failure), (2, OnFailure::Stop));
    assert_eq!(migrate.when.first_deploy, Some(false));
    assert_eq!(
        (migrate.when.branches[0].as_str(), migrate.when.value.as_deref()),
        ("feature/**", Some("migration.enabled"))
    );
    assert_eq!((web.needs[0].as_str(), web.on_failure), ("migrate", OnFailure::Rollback));
    assert_eq!(sign_off.action.kind(), "approve");
    assert_eq!(pipeline.teardown[0].on_failure, OnFailure::Continue);
    assert_eq!(pipeline.unapplied(TEMPLATES), [""; 0]);
}

#[test]
fn every_problem_is_reported_at_once_with_its_place() {
    assert_eq!(
        problems(
            "\
stages:
  - name: Data
    apply: [databse.yaml]
    needs: [wbe]
  - name: web
    apply: web.yaml
    timeout: 5
    retries: many
    onFailure: block
    tiemout: 5m
  - name: web
    check: /healthz
    when: { branch: main }
  - job: {}
    apply: web.yaml
  - name: idle
    needs: { web: true }
    timeout: 25h
teardown:
  - name: again
    apply: web.yaml
    onFailure: rollback
"
        ),
        [
            "pipeline.yaml:2: stage \"Data\" needs \"wbe\", which is no stage of this section (did you mean \"web\"?)",
            "pipeline.yaml:2:11: name: \"Data\" must consist of lower-case letters, digits and '-'",
            "pipeline.yaml:3:12: apply: \"databse.yaml\" matches no template (did you mean \"database.yaml\"?)",
            "pipeline.yaml:7:14: timeout: should be a whole number with s, m or h behind it, at most 24h: 90s, 10m",
            "pipeline.yaml:8:14: retries: should be a number from 0 to 10",
            "pipeline.yaml:9:16: onFailure: should be one of stop, continue, rollback",
            "pipeline.yaml:10:14: there is no field \"tiemout\" in a stage (did you mean \"timeout\"?)",
            "pipeline.yaml:11: there is another stage \"web\" in line 5: rename one",
            "pipeline.yaml:12:12: check: should be a mapping of settings",
            "pipeline.yaml:13:11: when: unknown field `branch`, expected one of `firstDeploy`, `branches`, `changes`, `value`",
            "pipeline.yaml:14:5: the stage does more than one thing: split it, so that each has one of \
             apply, job, steps, check, approve, webhook, resource, wait",
            "pipeline.yaml:14:5: the stage has no name",
            "pipeline.yaml:16:5: the stage does not say what it does: write one of \
             apply, job, steps, check, approve, webhook, resource, wait",
            "pipeline.yaml:17:12: needs: should be a list of texts",
            "pipeline.yaml:18:14: timeout: should be a whole number with s, m or h behind it, at most 24h: 90s, 10m",
            "pipeline.yaml:21:12: apply: nothing is applied to what is about to go",
            "pipeline.yaml:22:16: onFailure: should be one of block, continue",
        ]
    );
}

#[test]
fn stages_that_need_one_another_in_a_circle_are_named() {
    let stage = |name: &str, needs: &str| format!("  - {{name: {name}, needs: [{needs}], approve: {{}}}}\n");
    let text = [
        "stages:\n".to_owned(),
        stage("a", "b"),
        stage("b", "c, d"),
        stage("c", "a"),
        stage("d", "d"),
    ]
    .concat();
    assert_eq!(
        problems(&text),
        [
            "pipeline.yaml:2: stages need one another in a circle: a → b → c → a",
            "pipeline.yaml:5: stages need one another in a circle: d → d",
        ]
    );
}

#[test]
fn a_diamond_is_no_circle() {
    let text = "stages:\n  - {name: a, approve: }\n  - {name: b, needs: a, approve: }\n  - {name: c, needs: a, approve: }\n  - {name: d, needs: [b, c], approve: }\n";
    assert_eq!(accepted(text).stages.len(), 4);
}

#[test]
fn templates_that_no_stage_applies_are_known() {
    let pipeline = accepted("stages: [{name: a, apply: 'web.*'}]");
    assert_eq!(
        pipeline.unapplied(TEMPLATES),
        ["templates/database.yaml", "templates/identity.yaml"]
    );
    let pipeline = accepted("teardown: [{name: a, job: {image: x}}]");
    assert_eq!(pipeline.unapplied(TEMPLATES), [""; 0]);
}

#[test]
fn a_pipeline_of_too_many_stages_is_refused() {
    let text = format!("stages:\n{}", "  - {name: a, approve: {}}\n".repeat(65));
    assert_eq!(problems(&text), ["pipeline.yaml: has more than 64 stages"]);
}
