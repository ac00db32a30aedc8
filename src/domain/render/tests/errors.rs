//! Errors as a compiler gives them: all at once, each with its place.

use super::*;
use crate::domain::bundle::{MAX_PROBLEMS, Severity};

/// Every problem of one template as `line:column+length message (hint)`.
fn problems_of(template: &str, values: Value) -> Vec<String> {
    problems(&[("templates/a.yaml", template)], values)
}

fn problems(parts: &[(&str, &str)], values: Value) -> Vec<String> {
    let problems = match try_files(parts, &context("main", values)) {
        Ok(_) => Vec::new(),
        Err(problems) => problems,
    };
    problems
        .iter()
        .map(|problem| {
            let text = format!("{problem:#}");
            let length = problem.length.map(|length| format!("+{length}")).unwrap_or_default();
            text.trim_start_matches("templates/a.yaml:")
                .replacen(": ", &format!("{length} "), 1)
        })
        .collect()
}

#[test]
fn feature_p3_a_document_is_where_its_first_line_is_whatever_empty_lines_come_first() {
    for (template, line) in [
        ("a: 1\n", 1),
        ("\na: 1\n", 2),
        ("\n \n\n  a: 1\n", 4),
        ("\n\n{{#if true}}\n\na: 1\n{{/if}}\n", 5),
        ("{{! c }}\n\na: 1\n", 3),
        ("# c\n\na: 1\n", 3),
    ] {
        let rendered = try_files(&[("templates/a.yaml", template)], &context("main", json!({}))).unwrap();
        assert_eq!(rendered.documents[0].line, line, "{template:?}");
    }
}

#[test]
fn feature_p3_every_undefined_name_of_a_template_is_reported_at_once_and_underlined() {
    let template = "\
a: {{values.one}} {{quote (lower values.two)}}
{{#if values.three}}{{values.hidden}}{{else}}{{values.hidden}}{{/if}}
{{#unless (not values.four)}}{{/unless}}
{{#each values.five}}{{this.hidden}}{{/each}}
{{#with values.six}}{{hidden}}{{/with}}
{{#if values.no}}{{else if values.seven}}{{/if}}
{{> part values.eight}}{{> part name=values.nine}}
{{#each values.list as |entry index|}}{{entry.nam}}{{index}}{{/each}}
{{@root.values.ten}} {{@index}} {{@key}}
{{#each values.list}}{{../eleven}}{{@indx}}{{/each}}
c: {{lower values.map}} {{fail}}
";
    let parts = [
        ("templates/a.yaml", template.replace(" {{fail}}", "")),
        ("templates/_part.hbs", "{{name}}".to_owned()),
    ];
    let parts: Vec<(&str, &str)> = parts.iter().map(|(file, text)| (*file, text.as_str())).collect();
    let values = json!({ "no": false, "list": [{ "name": 1 }, { "name": 2 }], "map": {} });
    assert_eq!(
        problems(&parts, values),
        [
            "1:6+10 \"values.one\" is not defined",
            "1:34+10 \"values.two\" is not defined",
            "2:7+12 \"values.three\" is not defined",
            "3:16+11 \"values.four\" is not defined",
            "4:9+11 \"values.five\" is not defined",
            "5:9+10 \"values.six\" is not defined",
            "6:28+12 \"values.seven\" is not defined",
            "7:10+12 \"values.eight\" is not defined",
            "7:38+11 \"values.nine\" is not defined",
            "8:41+9 \"entry.nam\" is not defined (did you mean \"name\"?)",
            "9:3+16 \"@root.values.ten\" is not defined",
            "9:24+6 \"@index\" is not defined",
            "9:35+4 \"@key\" is not defined",
            "10:24+9 \"../eleven\" is not defined",
            "10:37+5 \"@indx\" is not defined",
            "11:6+5 lower: argument 1 should be text, but it got a mapping",
        ]
    );
}

#[test]
fn feature_p3_a_problem_shows_the_line_of_the_template_and_is_an_error() {
    let parts = [
        ("templates/a.yaml", "x: 1\r\n{{> part}}\n"),
        ("templates/_part.hbs", "ä: 1\nb: {{nope}} # here\n"),
    ];
    let problems = try_files(&parts, &context("main", json!({}))).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(format!("{:#}", problems[0]), "templates/_part.hbs:2:6: \"nope\" is not defined");
    assert_eq!(problems[0].excerpt.as_deref(), Some("b: {{nope}} # here"));
    assert_eq!((problems[0].length, problems[0].severity), (Some(4), Severity::Error));
}

#[test]
fn feature_p3_a_name_that_leaves_more_blocks_than_there_are_is_undefined() {
    let values = json!({ "list": [1], "map": { "a": 1 } });
    for (template, wanted) in [
        (
            "{{../branch}}",
            "1:3+9 \"../branch\" is not defined: it leaves 1 block(s), but 0 (#each, #with) are around it",
        ),
        (
            "{{#each values.list}}{{quote ../../branch}}{{/each}}",
            "1:30+12 \"../../branch\" is not defined: it leaves 2 block(s), but 1 (#each, #with) are around it",
        ),
        (
            "{{#if values.list}}{{#each values.list}}{{else}}{{../branch}}{{/each}}{{/if}}",
            "1:51+9 \"../branch\" is not defined: it leaves 1 block(s), but 0 (#each, #with) are around it",
        ),
    ] {
        assert_eq!(problems_of(template, values.clone()), [wanted], "{template}");
    }
    let inside = "{{#each values.list}}a: {{../branch}}\n{{#with ../values.map}}b: {{../../branch}}{{/with}}{{/each}}";
    assert_eq!(rendered(inside, values), json!({ "a": "main", "b": "main" }));
}

#[test]
fn one_cause_makes_one_problem() {
    let values = json!({ "list": [1, 2, 3] });
    for template in [
        "a: {{nindent 2 (toYaml (default (lower nope) 1))}}\nb: [",
        "{{#each values.list}}{{nope}}{{/each}}",
        "{{#if (and nope (not nope))}}{{/if}}",
        "{{#each nope}}{{#each this}}{{/each}}{{/each}}",
    ] {
        assert_eq!(problems_of(template, values.clone()).len(), 1, "{template}");
    }
}

#[test]
fn feature_p3_a_yaml_error_leads_back_to_the_character_of_the_template() {
    for (template, wanted) in [
        ("a: 1\n{{#if branch}}\n  b: c: d\n{{/if}}", "3:4"),
        ("a: {{branch}}: b", "1:14"),
        ("{{#if branch}}a: {{branch}} {{branch}}: x{{/if}}", "1:39"),
        ("a: 1\nä: {{branch}}\n\tb: 1\n", "2:4"),
    ] {
        let problems = problems_of(template, json!({}));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with(&format!("{wanted} the rendered text is not valid YAML: ")),
            "{template}: {problems:?}"
        );
    }
}

#[test]
fn very_many_problems_are_counted() {
    let template: String = (0..80).map(|number| format!("{{{{nope{number}}}}}\n")).collect();
    let problems = problems_of(&template, json!({}));
    assert_eq!(problems.len(), MAX_PROBLEMS + 1);
    assert_eq!(problems[MAX_PROBLEMS], "bundle and 30 more problem(s)");
    let endless: String = (0..2_000).map(|number| format!("{{{{nope{number}}}}}\n")).collect();
    assert_eq!(problems_of(&endless, json!({})).len(), MAX_PROBLEMS + 1);
}
