//! Rendering: the language, its errors, and that no value can change the structure of a document.
#![allow(clippy::unwrap_used, reason = "a bundle that cannot be read is the test's failure")]

mod blocks;
mod errors;
mod leaves;
mod yaml;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::git::PullRequest;

fn files(files: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    let head = ("bundle.yaml", "name: test\nversion: 1.0.0\n");
    files
        .iter()
        .chain([&head])
        .map(|(file, text)| ((*file).to_owned(), text.as_bytes().to_vec()))
        .collect()
}

fn context(branch: &str, values: Value) -> RenderContext {
    RenderContext {
        branch: branch.parse().unwrap(),
        revision: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        pull_request: None,
        repository_id: "7".parse().unwrap(),
        repository_name: "team/shop".parse().unwrap(),
        project: "team/shop".parse().unwrap(),
        environment: "shop-login-abcdefghij".parse().unwrap(),
        address: Address {
            scheme: Scheme::Https,
            domain: "preview.example.com".parse().unwrap(),
            port: None,
        },
        is_first_deploy: true,
        values: vec![Layer::new(Origin::Project, values.as_object().unwrap().clone())],
    }
}

fn try_files(parts: &[(&str, &str)], context: &RenderContext) -> Result<Rendered, Vec<Problem>> {
    let bundle = Bundle::parse(&files(parts))?;
    render(&bundle, context).map_err(|errors| errors.0)
}

fn try_render(template: &str, values: Value) -> Result<Value, String> {
    let rendered = try_files(&[("templates/a.yaml", template)], &context("main", values));
    rendered
        .map(|rendered| rendered.documents.into_iter().next().map_or(Value::Null, |document| document.value))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn rendered(template: &str, values: Value) -> Value {
    try_render(template, values).unwrap_or_else(|error| panic!("{template}: {error}"))
}

fn refusal(template: &str, values: Value) -> String {
    match try_render(template, values) {
        Err(message) => message,
        Ok(value) => panic!("{template} gave {value}"),
    }
}

// === the language ===

#[test]
fn feature_p1_a_template_sees_everything_that_is_known_of_the_environment() {
    let template = "
branch: {{branch}}
slug: {{slug}}
revision: [{{revision}}, {{shortRevision}}]
repository: {{repository.id}} {{repository.name}}
project: {{project.namespace}} {{project.name}} {{project.domain}}
environment: {{environment.name}} {{environment.namespace}} {{environment.host}} {{environment.url}}
pull: {{#if pullRequest}}{{pullRequest.number}}{{else}}none{{/if}}
value: {{values.a}}
";
    let mut context = context("feature/Ä#1", json!({ "a": 1 }));
    context.address.port = Some(8080);
    let all = try_files(&[("templates/a.yaml", template)], &context).unwrap();
    assert_eq!(
        all.documents[0].value,
        json!({
            "branch": "feature/Ä#1",
            "slug": "feature-1",
            "revision": ["0123456789abcdef0123456789abcdef01234567", "0123456789ab"],
            "repository": "7 team/shop",
            "project": "team shop preview.example.com",
            "environment": "shop-login-abcdefghij shop-login-abcdefghij shop-login-abcdefghij.preview.example.com https://shop-login-abcdefghij.preview.example.com:8080",
            "pull": "none",
            "value": 1,
        })
    );
    context.pull_request = Some(PullRequest {
        number: 12,
        head: "x".parse().unwrap(),
        fork: None,
        base: "main".into(),
        author: "ann".into(),
        title: "a: b".into(),
        labels: vec!["x".into(), "true".into()],
        draft: false,
    });
    let template =
        "{{#with pullRequest}}a: [{{number}}, {{title}}, {{author}}, {{base}}]\nb:{{#each labels}}\n- {{this}}{{/each}}{{/with}}";
    let pull = try_files(&[("templates/a.yaml", template)], &context).unwrap();
    assert_eq!(
        pull.documents[0].value,
        json!({ "a": [12, "a: b", "ann", "main"], "b": ["x", "true"] })
    );
}

#[test]
fn feature_p1_values_are_laid_over_the_defaults_in_order() {
    let parts = [
        ("templates/a.yaml", "{{toYaml values}}"),
        ("values.yaml", "a: 1\nb: 1\nc: {x: 1, y: 1}\nd: 1.0\n"),
    ];
    let mut context = context("main", json!({ "b": 2, "c": { "x": 2 } }));
    context.values.push(Layer::new(
        Origin::Environment,
        json!({ "c": { "x": 3, "y": null } }).as_object().unwrap().clone(),
    ));
    let all = try_files(&parts, &context).unwrap();
    assert_eq!(all.documents[0].value, json!({ "a": 1, "b": 2, "c": { "x": 3 }, "d": 1 }));
}

#[test]
fn yaml_and_quotes_are_written_wherever_they_stand() {
    let values = json!({ "r": { "limits": { "cpu": "1", "list": ["a b", true] } }, "port": 80, "s": "a\"b", "e": {} });
    for (template, wanted) in [
        (
            "a: {{toYaml values.r}}",
            json!({ "a": { "limits": { "cpu": "1", "list": ["a b", true] } } }),
        ),
        (
            "a:\n  b:{{nindent 4 (toYaml values.r)}}\n  c: 1",
            json!({ "a": { "b": { "limits": { "cpu": "1", "list": ["a b", true] } }, "c": 1 } }),
        ),
        ("a:\n{{indent 2 (toYaml values.r.limits.list)}}", json!({ "a": ["a b", true] })),
        ("a: {{toYaml values.e}}", json!({ "a": {} })),
        (
            "a: {{quote values.s}}\nb: {{quote values.port}}\nc: {{values.port}}\nd: \"{{values.port}}\"",
            json!({ "a": "a\"b", "b": "80", "c": 80, "d": "80" }),
        ),
        ("a: |\n  {\"s\": {{quote values.s}}}\n", json!({ "a": "{\"s\": \"a\\\"b\"}\n" })),
        (
            "a: |\n  x: 1{{nindent 2 (toYaml values.r)}}\n",
            json!({ "a": "x: 1\nlimits:\n  cpu: \"1\"\n  list:\n    - \"a b\"\n    - true\n" }),
        ),
        (
            "a: {{quote (toYaml values.r.limits)}}",
            json!({ "a": "cpu: \"1\"\nlist:\n  - \"a b\"\n  - true\n" }),
        ),
        (
            "a: {{sha256sum (toYaml values.e)}}",
            json!({ "a": "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356" }),
        ),
        ("a: {{{values.s}}}{{&values.s}}", json!({ "a": "a\"ba\"b" })),
        (
            "a: {{default \"x\" values.nothing}} {{default 1 values.port}}",
            json!({ "a": "x 80" }),
        ),
        (
            "a: {{lower (replace \"/\" \"-\" (default \"A/B\" values.nothing.at.all))}}",
            json!({ "a": "a-b" }),
        ),
        (
            "a: {{host \"api\"}}",
            json!({ "a": "api-shop-login-abcdefghij.preview.example.com" }),
        ),
        (
            "{{#if (and (eq values.port 80) (not values.e))}}a: 1{{else}}a: 2{{/if}}",
            json!({ "a": 1 }),
        ),
        ("{{#unless values.e}}a: 1{{/unless}}", json!({ "a": 1 })),
        (
            "{{#each values.r.limits}}{{@key}}: {{@index}}{{@root.branch}}\n{{/each}}",
            json!({ "cpu": "0main", "list": "1main" }),
        ),
        ("a: '\\{{branch}}'", json!({ "a": "{{branch}}" })),
    ] {
        assert_eq!(rendered(template, values.clone()), wanted, "{template}");
    }
}

#[test]
fn partials_see_the_context_and_their_arguments_and_are_indented() {
    let parts = [
        ("templates/_labels.hbs", "app: {{name}}\nbranch: {{branch}}\n"),
        ("templates/a.yaml", "metadata:\n  labels:\n    {{> labels name=\"web\"}}\n  x: 1\n"),
    ];
    let all = try_files(&parts, &context("012", json!({}))).unwrap();
    assert_eq!(
        all.documents[0].value,
        json!({ "metadata": { "labels": { "app": "web", "branch": "012" }, "x": 1 } })
    );
}

#[test]
fn f82_empty_documents_vanish_and_numbers_are_those_of_kubernetes() {
    let parts = [(
        "templates/a.yaml",
        "---\n---\n# nothing\n---\nnull\n---\na: [0755, 1e3, 3.0, yes, 0x1F, 1_000]\n---\n{{#if values.no}}b: 1{{/if}}\n",
    )];
    let all = try_files(&parts, &context("main", json!({ "no": false }))).unwrap();
    assert_eq!(all.documents.len(), 1);
    assert_eq!((all.documents[0].file.as_str(), all.documents[0].line), ("templates/a.yaml", 7));
    assert_eq!(all.documents[0].value, json!({ "a": [493, 1000, 3, true, 31, 1000] }));
}

#[test]
fn feature_p4_the_same_input_gives_the_same_output() {
    let parts = [
        ("templates/b.yaml", "z: {{toYaml values}}\na: {{branch}}"),
        ("templates/a.yaml", "x: 1\n---\ny: 2"),
    ];
    let values = json!({ "b": { "d": 1, "c": [2] }, "a": "x" });
    let bundle = Bundle::parse(&files(&parts)).unwrap();
    let first = render(&bundle, &context("main", values.clone())).unwrap();
    let second = render(&Bundle::parse(&files(&parts)).unwrap(), &context("main", values)).unwrap();
    assert_eq!(first, second);
    let text: Vec<String> = first.documents.iter().map(|document| to_yaml(&document.value)).collect();
    assert_eq!(
        text,
        ["x: 1\n", "\"y\": 2\n", "a: main\nz:\n  a: x\n  b:\n    c:\n      - 2\n    d: 1\n"]
    );
}

// === errors ===

#[test]
fn feature_p3_an_undefined_name_is_an_error_wherever_it_stands() {
    let values = json!({ "image": { "tag": "1" }, "list": [{ "name": "x" }], "text": "t", "empty": [] });
    for (template, wanted) in [
        (
            "a: 1\nb: {{values.imgae}}",
            "2: \"values.imgae\" is not defined (did you mean \"image\"?)",
        ),
        (
            "a: {{vlaues.image}}",
            "1: \"vlaues.image\" is not defined (did you mean \"values\"?)",
        ),
        (
            "a: {{values.image.tga}}",
            "1: \"values.image.tga\" is not defined (did you mean \"tag\"?)",
        ),
        ("a: {{values.text.x}}", "1: \"values.text.x\" is not defined"),
        (
            "\n{{#if values.imgae}}{{/if}}",
            "2: \"values.imgae\" is not defined (did you mean \"image\"?)",
        ),
        (
            "{{#unless values.imgae}}{{/unless}}",
            "1: \"values.imgae\" is not defined (did you mean \"image\"?)",
        ),
        (
            "{{#if branch}}\n{{else if nope}}{{/if}}{{#if (not nope)}}{{/if}}",
            "2: \"nope\" is not defined",
        ),
        (
            "{{#if values.empty}}{{else if values.imgae}}{{/if}}",
            "1: \"values.imgae\" is not defined (did you mean \"image\"?)",
        ),
        (
            "{{#each values.lists}}{{else}}{{/each}}",
            "1: \"values.lists\" is not defined (did you mean \"list\"?)",
        ),
        (
            "{{#with values.imagee}}{{else}}{{/with}}",
            "1: \"values.imagee\" is not defined (did you mean \"image\"?)",
        ),
        (
            "{{#each values.list}}\n\n{{nam}}{{/each}}",
            "3: \"nam\" is not defined (did you mean \"name\"?)",
        ),
        (
            "{{#each values.list as |item|}}{{item.nam}}{{/each}}",
            "1: \"item.nam\" is not defined (did you mean \"name\"?)",
        ),
        (
            "a: {{quote (lower values.imgae)}}",
            "1: \"values.imgae\" is not defined (did you mean \"image\"?)",
        ),
        (
            "a: {{default values.imgae values.text}}",
            "1: \"values.imgae\" is not defined (did you mean \"image\"?)",
        ),
        (
            "a: {{lookup values \"imgae\"}}",
            "1: lookup: \"imgae\" is not defined (did you mean \"image\"?)",
        ),
        ("a: {{@index}}", "1: \"@index\" is not defined"),
        (
            "a: {{pullRequest.title}}",
            "1: \"pullRequest.title\" is not defined: \"pullRequest\" is null, so ask with {{#if pullRequest}} first",
        ),
        ("a: {{quote}}", "1: \"quote\" is not defined; as a helper it needs an argument"),
    ] {
        assert_eq!(
            refusal(template, values.clone()),
            format!("templates/a.yaml:{wanted}"),
            "{template}"
        );
    }
}

#[test]
fn feature_p3_every_failed_template_is_reported_with_its_place() {
    let parts = [
        ("templates/a.yaml", "a: {{values.one}}"),
        ("templates/b.yaml", "x: 1\n{{> part}}"),
        ("templates/_part.hbs", "y: 1\nz: {{values.two}}\n"),
        ("templates/c.yaml", "fine: true"),
        ("templates/d.yaml", "a: 1\n{{#each values.list}}\n- {{this}}\n{{/each}}\n"),
    ];
    let problems = try_files(&parts, &context("main", json!({ "list": [1] }))).unwrap_err();
    assert_eq!(
        RenderErrors(problems.clone()).to_string().lines().collect::<Vec<_>>(),
        [
            "templates/a.yaml:1: \"values.one\" is not defined",
            "templates/_part.hbs:2: \"values.two\" is not defined",
            "templates/d.yaml:3: the rendered text is not valid YAML: while parsing a block mapping, did not find expected key",
        ]
    );
    assert_eq!((problems[0].column, problems[0].length), (Some(6), Some(10)));
}

#[test]
fn a_value_that_cannot_be_written_is_named_with_the_way_to_write_it() {
    let values = json!({ "map": { "a": 1 }, "list": [1], "null": null, "bell": "a\u{7}" });
    let mut context = context("main", json!({}));
    for (template, wanted) in [
        (
            "{{values.map}}",
            "\"values.map\" is a mapping: write {{toYaml …}}, or name one of its keys",
        ),
        ("{{values.list}}", "\"values.list\" is a list: write {{toYaml …}}, or {{#each …}}"),
        (
            "{{values.bell}}",
            "\"values.bell\" contains the control character '\\u{7}', which only {{quote …}} can write",
        ),
        ("{{lower values.map}}", "lower: argument 1 should be text, but it got a mapping"),
        ("{{#each values.bell}}{{/each}}", "\"values.bell\" is text, not a list or a mapping"),
        ("{{values.list.x}}", "\"x\" is not the number of an entry of a list"),
        (
            "{{pullRequest}}",
            "\"pullRequest\" is null: give it a value, or write {{default … \"…\"}}",
        ),
    ] {
        context.values = vec![Layer::new(Origin::Project, values.as_object().unwrap().clone())];
        let problems = try_files(&[("templates/a.yaml", template)], &context).unwrap_err();
        assert_eq!(problems[0].to_string(), format!("templates/a.yaml:1: {wanted}"));
    }
}

#[test]
fn f82_yaml_that_is_none_is_refused_with_the_line_of_the_template() {
    for (template, wanted) in [
        (
            "a:\n\tb: 1",
            "2: the rendered text is not valid YAML: tabs disallowed within this context (block indentation)",
        ),
        ("a: 1\na: 2", "2: the rendered text is not valid YAML: duplicate mapping key: a"),
        (
            "{{#if branch}}\n\n\n{{/if}}\na: b: c",
            "5: the rendered text is not valid YAML: mapping values are not allowed in this context",
        ),
        (
            "a: .nan",
            "1: the rendered text is not valid YAML: non-finite float `.nan` rejected by the configured policy",
        ),
        (
            "{{branch}}: 1\n{{values.same}}: 2",
            "2: the rendered text is not valid YAML: duplicate mapping key: main",
        ),
        ("{{branch}}: 1\nmain: 2", "1: two keys of one mapping are both \"main\""),
        (
            "a: \"{{quote branch}}\"",
            "1: the rendered text is not valid YAML: invalid trailing content after double-quoted scalar",
        ),
    ] {
        assert_eq!(refusal(template, json!({ "same": "main" })), format!("templates/a.yaml:{wanted}"));
    }
}

#[test]
fn f82_alias_bombs_and_storms_of_documents_are_refused() {
    let bomb: String = (0..9)
        .map(|level| format!("a{level}: &a{level} [{}]\n", format!("*a{},", level - 1).repeat(9)))
        .collect::<String>()
        .replace("*a-1,", "x,");
    assert!(refusal(&bomb, json!({})).contains("not valid YAML"));
    assert!(refusal(&"---\na: 1\n".repeat(5_000), json!({})).contains("not valid YAML"));
    assert!(refusal(&"[".repeat(5_000), json!({})).contains("not valid YAML"));
}

#[test]
fn a_required_input_must_have_a_value() {
    let head = "name: test\nversion: 1.0.0\ninputs:\n- {name: image.repository, description: the image to run, required: true}\n";
    let parts = [("templates/a.yaml", "a: 1"), ("bundle.yaml", head)];
    let all = parts
        .iter()
        .map(|(file, text)| ((*file).to_owned(), text.as_bytes().to_vec()))
        .collect();
    let bundle = Bundle::parse(&all).unwrap();
    for values in [json!({}), json!({ "image": 1 }), json!({ "image": { "repository": "" } })] {
        let errors = render(&bundle, &context("main", values)).unwrap_err();
        let message = "values.yaml: the bundle needs the value \"image.repository\": the image to run";
        assert!(errors.to_string().starts_with(message), "{errors}");
    }
    assert!(render(&bundle, &context("main", json!({ "image": { "repository": "x" } }))).is_ok());
}

// === exhaustion ===

#[test]
fn f81_loops_end_at_the_limit_on_the_output_even_when_they_print_nothing() {
    let list: Vec<u32> = (0..400).collect();
    let values = json!({ "list": list, "text": "x".repeat(100_000) });
    let loops = |body: &str| format!("{}{body}{}", "{{#each @root.values.list}}".repeat(3), "{{/each}}".repeat(3));
    for template in [loops(""), loops("a"), loops("{{@root.values.text}}")] {
        let message = refusal(&template, values.clone());
        assert!(
            message.contains("the templates give more than 8 MiB of text: shorten the lists"),
            "{message}"
        );
    }
}

#[test]
fn f81_partials_that_double_at_every_level_end_at_the_limit() {
    let mut parts: Vec<(String, String)> = (0..60)
        .map(|level| {
            (
                format!("templates/_p{level}.hbs"),
                format!("{{{{> p{}}}}}{{{{> p{}}}}}", level + 1, level + 1),
            )
        })
        .collect();
    parts.push(("templates/_p60.hbs".into(), String::new()));
    parts.push(("templates/a.yaml".into(), "{{> p0}}".into()));
    let parts: Vec<(&str, &str)> = parts.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
    let problems = try_files(&parts, &context("main", json!({}))).unwrap_err();
    let message = &problems[0].message;
    assert!(message.starts_with("the templates give more than 8 MiB of text: "), "{message}");
}

#[test]
fn f81_values_multiplied_by_aliases_end_at_the_limit() {
    let template = format!("a: &a {{{{values.text}}}}\nb: [{}]", "*a,".repeat(90));
    let message = refusal(&template, json!({ "text": "x".repeat(100_000) }));
    assert_eq!(message, "templates/a.yaml:1: the documents hold more than 8 MiB of text");
}

#[test]
fn f81_the_deepest_allowed_template_renders_on_an_ordinary_thread() {
    let deep = format!("{}a: 1{}", "{{#if branch}}".repeat(64), "{{/if}}".repeat(64));
    assert_eq!(rendered(&deep, json!({})), json!({ "a": 1 }));
    let checked = format!("{}a: 1{}", "{{#with this}}".repeat(64), "{{/with}}".repeat(64));
    assert_eq!(rendered(&checked, json!({})), json!({ "a": 1 }));
    let nested = format!("a: {{{{quote {}branch{}}}}}", "(lower ".repeat(64), ")".repeat(64));
    assert_eq!(rendered(&nested, json!({})), json!({ "a": "main" }));
    let mut parts: Vec<(String, String)> = (0..63)
        .map(|level| {
            (
                format!("templates/_p{level}.hbs"),
                format!("{{{{> p{} branch=branch}}}}", level + 1),
            )
        })
        .collect();
    parts.push(("templates/_p63.hbs".into(), "a: {{branch}}".into()));
    parts.push(("templates/a.yaml".into(), "{{> p0}}".into()));
    let parts: Vec<(&str, &str)> = parts.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
    let all = try_files(&parts, &context("main", json!({}))).unwrap();
    assert_eq!(all.documents[0].value, json!({ "a": "main" }));
}

// === threat T27 ===

/// Every position in which a template may put a value, with the same value in each.
const POSITIONS: &str = r#"# {{values.s}}
plain: {{values.s}}
inside: a-{{values.s}}-b
twice: {{values.s}}{{values.s}}
double: "{{values.s}}"
single: '{{values.s}}'
quoted: {{quote values.s}}
list: [{{values.s}}, {{quote values.s}}, x {{values.s}}]
flow: {a: {{values.s}}, b: {{quote values.s}}}
{{values.s}}key: 1
block: |
  a {{values.s}}
  b
folded: >-
  {{values.s}}
json: |
  {"s": {{quote values.s}}}
yaml: {{toYaml values.map}}
nested:{{nindent 2 (toYaml values.map)}}
text: |
{{indent 2 (toYaml values.map)}}
items:
{{#each values.list}}
- {{this}}
- name: {{lower this}}
{{/each}}
last: {{default "x" values.s}}
"#;

fn positions(text: &str) -> Result<Value, String> {
    let values = json!({ "s": text, "list": [text, text], "map": { (format!("k{text}")): [text, { "x": text }] } });
    try_render(POSITIONS, values)
}

/// The document that `POSITIONS` must give, whatever the text.
fn wanted(text: &str) -> Value {
    let map = json!({ (format!("k{text}")): [text, { "x": text }] });
    let quoted = serde_json::from_str::<Value>(&mark::json_string(text)).unwrap();
    let fallback = if text.is_empty() { "x" } else { text };
    let lower = text.to_lowercase();
    json!({
        "plain": text, "inside": format!("a-{text}-b"), "twice": format!("{text}{text}"), "double": text, "single": text, "quoted": quoted,
        "list": [text, text, format!("x {text}")],
        "flow": { "a": text, "b": text },
        (format!("{text}key")): 1,
        "block": format!("a {text}\nb\n"), "folded": text,
        "json": format!("{{\"s\": {}}}\n", mark::json_string(text)),
        "yaml": map, "nested": map, "text": to_yaml(&map),
        "items": [text, { "name": lower }, text, { "name": lower }],
        "last": fallback,
    })
}

#[test]
fn threat_t27_names_that_mean_something_to_yaml_stay_strings() {
    for text in [
        "main",
        "true",
        "012",
        "1e3",
        "null",
        "~",
        "",
        " ",
        "a: b",
        "- a",
        "*a",
        "&a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "# a",
        " #a",
        "a\"b",
        "a'b",
        "\\",
        "{{branch}}",
        "x\n  namespace: kube-system",
        "\n---\nkind: Namespace",
        "\r\n",
        "\t",
        "<<",
        "=",
        "ä🎉",
        "\u{2028}",
        "\u{85}x".trim_start_matches('\u{85}'),
        "+41",
        "\u{fdd0}a\u{fdd3}",
        "]",
        "}",
        ",",
    ] {
        assert_eq!(positions(text), Ok(wanted(text)), "{text:?}");
    }
}

#[test]
fn threat_t27_control_characters_are_refused() {
    for text in ["\u{0}", "a\u{1b}[31m", "\u{7f}", "\u{85}"] {
        assert!(positions(text).unwrap_err().contains("contains the control character"), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Not only the structure is that of a harmless value: every string arrives unchanged.
    #[test]
    fn threat_t27_no_value_changes_the_structure_of_a_document(text in prop_oneof!["\\PC{0,20}", "[ \n\t:#\\-{}\\[\\],&*!|>'\"%@`\\\\a0~]{0,12}"]) {
        prop_assert_eq!(positions(&text), Ok(wanted(&text)));
    }

    #[test]
    fn threat_t27_no_branch_or_title_changes_the_structure_of_a_document(branch in "[^\u{0}-\u{20}]{1,30}", title in "\\PC{0,40}") {
        let Ok(parsed) = branch.parse() else { return Ok(()) };
        let mut context = context("main", json!({}));
        context.branch = parsed;
        context.pull_request = Some(PullRequest {
            number: 1, head: context.branch.clone(), fork: None, base: title.clone(), author: title.clone(), title: title.clone(), labels: vec![title.clone()], draft: false,
        });
        let template = "a: {{branch}}\nb: {{pullRequest.title}}\nc: [{{#each pullRequest.labels}}{{this}}{{/each}}]\nd: 'x {{pullRequest.author}}'
e: |
  {{branch}} {{pullRequest.title}}
f: {x: {{pullRequest.author}}, y{{pullRequest.title}}: {{quote branch}}}
z{{pullRequest.author}}: \"{{branch}}\"
";
        let all = try_files(&[("templates/a.yaml", template)], &context).map_err(|problems| TestCaseError::fail(format!("{problems:?}")))?;
        let wanted = json!({
            "a": branch, "b": &title, "c": [&title], "d": format!("x {title}"), "e": format!("{branch} {title}\n"),
            "f": { "x": &title, (format!("y{title}")): branch }, (format!("z{title}")): branch,
        });
        prop_assert_eq!(&all.documents[0].value, &wanted);
    }

    /// Whatever a template says, reading and rendering it ends, and without a panic.
    #[test]
    fn f81_any_text_as_a_template_is_an_answer_or_an_error(text in "(\\{\\{|\\}\\}|[#/>~^&!]|else|if|each|with|values|this|x|quote|\\(|\\)|\"|'|\\[|\\]|\\||=|\\.|-|:| |\n|\\\\|as ){0,30}") {
        let _ = try_render(&text, json!({ "x": [1, { "y": "z" }], "values": {} }));
    }
}
