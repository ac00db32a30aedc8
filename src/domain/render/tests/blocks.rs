//! What blocks do with values that are empty, and that `@root` is a value like any other.

use super::*;

fn outcome(template: &str) -> String {
    let defaults = ("values.yaml", "none:\n");
    let values = json!({ "list": [], "map": {}, "text": "", "number": 3, "full": { "a": "b" } });
    let partial = ("templates/_name.hbs", "{{environment.name}}\n");
    match try_files(&[defaults, partial, ("templates/a.yaml", template)], &context("main", values)) {
        Ok(rendered) => rendered.documents.into_iter().map(|document| document.value.to_string()).collect(),
        Err(problems) => problems[0].message.clone(),
    }
}

#[test]
fn with_leaves_out_what_is_empty_and_refuses_what_is_undefined() {
    for empty in ["none", "list", "map", "text"] {
        let template = format!("a: 1\n{{{{#with values.{empty}}}}}\nb: {{{{toYaml this}}}}\n{{{{/with}}}}");
        assert_eq!(outcome(&template), r#"{"a":1}"#);
        let template = format!("{{{{#with values.{empty}}}}}a: 1{{{{else}}}}a: 2{{{{/with}}}}");
        assert_eq!(outcome(&template), r#"{"a":2}"#);
    }
    assert_eq!(outcome("{{#with values.full}}x: {{a}}{{/with}}"), r#"{"x":"b"}"#);
    assert_eq!(outcome("{{#with values.fool}}x: {{a}}{{/with}}"), "\"values.fool\" is not defined");
    assert_eq!(
        outcome("{{#with values.fool}}x: {{a}}{{else}}x: 1{{/with}}"),
        "\"values.fool\" is not defined"
    );
}

#[test]
fn a_loop_takes_null_for_no_entries_and_refuses_what_has_none() {
    for empty in ["none", "list", "map"] {
        for name in ["each", "range"] {
            let template = format!("a: 1\n{{{{#{name} values.{empty}}}}}\nb: 2\n{{{{/{name}}}}}");
            assert_eq!(outcome(&template), r#"{"a":1}"#);
        }
    }
    assert_eq!(outcome("{{#range values.none}}a: 1{{else}}a: 2{{/range}}"), r#"{"a":2}"#);
    assert_eq!(
        outcome("{{#range values.number}}a: 1{{/range}}"),
        "\"values.number\" is a number, not a list or a mapping: to count write {{#range (until …)}}"
    );
    assert_eq!(outcome("{{#range values.nome}}a: 1{{/range}}"), "\"values.nome\" is not defined");
}

#[test]
fn root_is_everything_wherever_it_stands() {
    for (template, wanted) in [
        (
            "{{#with values.full}}x: {{include \"name\" @root}}{{/with}}",
            "shop-login-abcdefghij",
        ),
        ("{{#with values.full}}x: {{> name @root}}{{/with}}", "shop-login-abcdefghij"),
        (
            "{{#each values.full}}x: {{lower (get (merge (dict \"a\" 1) @root) \"branch\")}}{{/each}}",
            "main",
        ),
        ("{{#with values.full}}{{#if @root}}x: {{a}}{{/if}}{{/with}}", "b"),
        ("{{#with values.full}}{{#with @root}}x: {{branch}}{{/with}}{{/with}}", "main"),
    ] {
        assert_eq!(outcome(template), format!(r#"{{"x":"{wanted}"}}"#), "{template}");
    }
    assert!(outcome("x: {{@root}}").starts_with("\"@root\" is a mapping"));
}

#[test]
fn an_outermost_name_inside_a_loop_gets_the_way_out() {
    for template in [
        "{{#each values.full as |value key|}}x: {{environment.name}}{{/each}}",
        "{{#with values.full}}x: {{quote environment.name}}{{/with}}",
    ] {
        assert_eq!(
            first_hint(template),
            "\"environment.name\" is not defined (did you mean \"@root.environment.name\"?)"
        );
    }
}

fn first_hint(template: &str) -> String {
    let context = context("main", json!({ "full": { "a": "b" } }));
    let problems = try_files(&[("templates/a.yaml", template)], &context).unwrap_err();
    format!("{} ({})", problems[0].message, problems[0].hint.as_deref().unwrap_or_default())
}
