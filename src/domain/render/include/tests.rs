//! Rendering inside of rendering: structure, limits, and the places of errors.
#![allow(clippy::unwrap_used, reason = "a bundle that cannot be read is the test's failure")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::domain::bundle::Bundle;
use crate::domain::render::{Address, Layer, Origin, RenderContext, Scheme, render};

fn context(values: &Value) -> RenderContext {
    RenderContext {
        branch: "main".parse().unwrap(),
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

/// The first document of `template`, beside partials given by name.
fn try_render(partials: &[(&str, &str)], template: &str, values: &Value) -> Result<Value, String> {
    let mut files: BTreeMap<String, Vec<u8>> = partials
        .iter()
        .map(|(name, text)| (format!("templates/_{name}.hbs"), text.as_bytes().to_vec()))
        .collect();
    files.insert("bundle.yaml".into(), b"name: test\nversion: 1.0.0\n".to_vec());
    files.insert("templates/a.yaml".into(), template.as_bytes().to_vec());
    let bundle = Bundle::parse(&files).map_err(|problems| problems[0].to_string())?;
    let rendered = render(&bundle, &context(values)).map_err(|errors| errors.0[0].to_string())?;
    Ok(rendered.documents.into_iter().next().map_or(Value::Null, |document| document.value))
}

const LABELS: (&str, &str) = (
    "labels",
    "app: {{name}}\n\nbranch: {{quote text}}\nhost: {{host \"api\"}}\ntoo: {{@root.branch}}\n",
);

#[test]
fn an_included_partial_can_be_indented_and_worked_on() {
    let host = "api-shop-login-abcdefghij.preview.example.com";
    let values = json!({ "name": "a: b\nc", "text": "012" });
    let labels = json!({ "app": "a: b\nc", "branch": "012", "host": host, "too": "main" });
    let partials = [
        LABELS,
        ("name", "{{values.name}}-x\n"),
        ("flag", "{{#if values.name}}true{{/if}}\n"),
        ("off", "{{#unless branch}}true{{/unless}}\n"),
    ];
    for (template, wanted) in [
        (
            "a:\n  b:{{nindent 4 (include \"labels\" values)}}\n  c: 1",
            json!({ "a": { "b": labels, "c": 1 } }),
        ),
        (
            "{{include \"labels\" (dict \"name\" \"n\" \"text\" \"t\")}}",
            json!({ "app": "n", "branch": "t", "host": host, "too": "main" }),
        ),
        ("a: {{trunc 4 (include \"name\" this)}}", json!({ "a": "a: b" })),
        (
            "a: {{include \"name\" this}}\nb: {{quote (include \"name\" this)}}",
            json!({ "a": "a: b\nc-x", "b": "a: b\nc-x" }),
        ),
        (
            "a: |{{nindent 2 (include \"name\" this)}}\n  {{quote (include \"name\" this)}}\n",
            json!({ "a": "a: b\nc-x\n\"a: b\\nc-x\"\n" }),
        ),
        (
            "a: {{#if (include \"flag\" this)}}1{{/if}}{{#if (include \"off\" this)}}2{{/if}}",
            json!({ "a": 1 }),
        ),
        ("a: {{eq (include \"flag\" this) \"true\"}}", json!({ "a": true })),
        (
            "a: {{toYaml (fromYaml (include \"labels\" values))}}",
            json!({ "a": { "app": "a: b\nc", "branch": 10, "host": host, "too": "main" } }),
        ),
    ] {
        let found = try_render(&partials, template, &values);
        if template.contains("fromYaml") {
            // Text has no marks: what a value says counts there, as it does in Helm.
            assert!(found.is_err() || found.unwrap()["a"]["host"] == host);
        } else {
            assert_eq!(found, Ok(wanted), "{template}");
        }
    }
}

#[test]
fn feature_p3_errors_inside_an_included_partial_have_its_place() {
    let partials = [("p", "a: 1\nb: {{values.nope}}\n"), ("y", "x: 1\n\n  y: 2\n")];
    for (template, wanted) in [
        ("{{include \"p\" this}}", "templates/_p.hbs:2: \"values.nope\" is not defined"),
        (
            "a: 1\nb:{{nindent 2 (include \"y\" this)}}",
            "templates/_y.hbs:3: the rendered text is not valid YAML",
        ),
        (
            "a: {{include \"p\" values.nope}}",
            "templates/a.yaml:1: \"values.nope\" is not defined",
        ),
    ] {
        let message = try_render(&partials, template, &json!({})).unwrap_err();
        assert!(message.starts_with(wanted), "{message}");
    }
}

#[test]
fn values_are_rendered_as_text_by_tpl() {
    let partials = [("name", "{{values.n}}-x\n")];
    let values = json!({ "n": "a: b", "t": "v={{values.n}}\nx: {{upper branch}}", "i": "{{include \"name\" this}}", "l": "{{#range values.list}}{{this}},{{/range}}", "list": [1, 2] });
    for (template, wanted) in [
        ("a: {{tpl values.t this}}", json!({ "a": "v=a: b\nx: MAIN" })),
        ("a: {{tpl values.i this}}", json!({ "a": "a: b-x" })),
        ("a: {{tpl values.l this}}", json!({ "a": "1,2," })),
        ("a: {{tpl \"{{n}}\" values}}", json!({ "a": "a: b" })),
        ("{{toYaml (fromYaml (tpl \"k: {{branch}}\" this))}}", json!({ "k": "main" })),
    ] {
        // Double braces must not stand in a string of a tag, so those go by another way.
        let template = template
            .replace("\"{{n}}\"", "(printf \"%s%s\" (repeat 2 values.brace) values.n2)")
            .replace("\"k: {{branch}}\"", "values.k");
        let mut values = values.clone();
        values["brace"] = json!("{");
        values["n2"] = json!("n}}");
        values["k"] = json!("k: {{branch}}");
        assert_eq!(try_render(&partials, &template, &values), Ok(wanted), "{template}");
    }
}

#[test]
fn f81_what_tpl_is_given_is_as_guarded_as_a_template() {
    let partials = [("t", "{{tpl values.t this}}"), ("deep", &"{{#if branch}}".repeat(12)), ("ok", "x")];
    let deep = format!("{}{}", "{{#if branch}}".repeat(12), "{{/if}}".repeat(12));
    let partials = partials.map(|(name, text)| (name, if name == "deep" { deep.as_str() } else { text }));
    let nested = format!("{}{}", "{{#if branch}}".repeat(20), "{{/if}}".repeat(20));
    let bomb = format!("{}{}", "{{#if branch}}".repeat(5_000), "{{/if}}".repeat(5_000));
    let beyond = format!("{}{{{{include \"deep\" this}}}}{}", "{{#if branch}}".repeat(6), "{{/if}}".repeat(6));
    for (text, wanted) in [
        ("x\n{{nope}}", "tpl: line 2 of the text: \"nope\" is not defined"),
        ("{{#if x}}", "tpl: line 1 of the text: invalid handlebars syntax"),
        ("{{tpl values.t this}}", "tpl: text: a text for tpl must not call tpl"),
        (
            "{{include \"t\" this}}",
            "tpl: line 1 of the text: the partial \"t\" calls tpl, so a text for tpl cannot include it",
        ),
        (
            "{{> t}}",
            "tpl: line 1 of the text: the partial \"t\" calls tpl, so a text for tpl cannot include it",
        ),
        ("{{> nope}}", "tpl: line 1 of the text: there is no partial \"nope\""),
        (
            &nested,
            "tpl: text: blocks and partials in a text for tpl must not be nested deeper than 16",
        ),
        (
            &beyond,
            "tpl: text: blocks and partials in a text for tpl must not be nested deeper than 16",
        ),
        (&bomb, "tpl: line 1 of the text: blocks are nested deeper than 64"),
        (
            "{{#each values.l}}{{#each @root.values.l}}{{/each}}{{/each}}",
            "tpl: text: blocks and partials",
        ),
        ("a\u{fdd0}b", "tpl: line 1 of the text: contains a control character"),
        (
            "{{x | quote}}",
            "tpl: line 1 of the text: pipes are not part of the language: write {{quote x}}",
        ),
    ] {
        let message = try_render(&partials, "a: 1\nb: {{tpl values.t this}}", &json!({ "t": text, "l": [1] })).unwrap_err();
        let message = message.strip_prefix("templates/a.yaml:2: ").unwrap_or(&message);
        assert!(message.starts_with(wanted), "{text:.80}: {message}");
    }
}

#[test]
fn f81_includes_whose_text_is_thrown_away_end_at_a_limit() {
    let names: Vec<(String, String)> = (0..40)
        .map(|level| {
            let next = format!("{{{{#if (include \"p{}\" this)}}}}{{{{/if}}}}", level + 1);
            (format!("p{level}"), format!("x{next}{next}"))
        })
        .collect();
    let mut partials: Vec<(&str, &str)> = names.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    partials.push(("p40", "x"));
    let message = try_render(&partials, "{{#if (include \"p0\" this)}}a: 1{{/if}}", &json!({})).unwrap_err();
    assert!(message.contains("the helpers work on more than 256 MiB"), "{message}");
    let loops = format!(
        "{}{{{{#if (lower @root.values.text)}}}}{{{{/if}}}}{}",
        "{{#each @root.values.list}}".repeat(2),
        "{{/each}}".repeat(2)
    );
    let values = json!({ "text": "X".repeat(100_000), "list": vec![1; 400] });
    let message = try_render(&[], &loops, &values).unwrap_err();
    assert!(message.contains("the helpers work on more than 256 MiB"), "{message}");
    let lines = "{{#each values.list}}\n{{#each @root.values.list}}\n- x\n{{/each}}\n{{/each}}\n";
    let wide = "{{indent 1000 (indent 1000 (include \"lines\" this))}}";
    let message = try_render(&[("lines", lines)], wide, &json!({ "list": vec![1; 100] })).unwrap_err();
    assert!(message.contains("is longer than 1048576 bytes once it is indented"), "{message}");
    let long = "{{#each values.list}}{{@root.values.text}}{{/each}}";
    let message = try_render(&[("long", long)], "a: {{include \"long\" this}}", &values).unwrap_err();
    assert!(
        message.contains("what include or tpl gives is longer than 1048576 bytes"),
        "{message}"
    );
}

#[test]
fn f81_the_deepest_allowed_includes_render_on_an_ordinary_thread() {
    let names: Vec<(String, String)> = (0..63)
        .map(|level| (format!("p{level}"), format!("{{{{include \"p{}\" this}}}}", level + 1)))
        .collect();
    let mut partials: Vec<(&str, &str)> = names.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    partials.push(("p63", "{{branch}}"));
    assert_eq!(
        try_render(&partials, "a: {{include \"p0\" this}}", &json!({})),
        Ok(json!({ "a": "main" }))
    );
    let blocks = |levels: usize, body: &str| format!("{}{body}{}", "{{#if branch}}".repeat(levels), "{{/if}}".repeat(levels));
    let values = json!({ "t": blocks(16, "{{branch}}") });
    assert_eq!(
        try_render(&[], &blocks(47, "a: {{tpl values.t this}}"), &values),
        Ok(json!({ "a": "main" }))
    );
}

#[test]
fn feature_p3_some_helpers_take_what_is_not_defined() {
    for (expression, wanted) in [
        ("{{default \"x\" values.no.where}}", json!("x")),
        ("{{hasKey values.no \"x\"}}", json!(false)),
        ("{{quote (get values.no \"x\")}}", json!("")),
        ("{{dig \"a\" \"b\" \"x\" values.no}}", json!("x")),
        ("{{coalesce values.no nope \"x\"}}", json!("x")),
        ("{{empty values.no}}", json!(true)),
        ("{{image \"a\" values.no}}", json!("a")),
        ("{{#range (until 2)}}x{{this}}{{@index}}{{/range}}", json!("x00x11")),
    ] {
        let found = try_render(&[], &format!("a: {expression}"), &json!({}));
        assert_eq!(found, Ok(json!({ "a": wanted })), "{expression}");
    }
    for (expression, wanted) in [
        ("{{required \"set values.no\" values.no}}", "templates/a.yaml:1: set values.no"),
        ("{{default values.no values.y}}", "templates/a.yaml:1: \"values.no\" is not defined"),
        ("{{get values values.no}}", "templates/a.yaml:1: \"values.no\" is not defined"),
        ("{{fail \"not here\"}}", "templates/a.yaml:1: not here"),
        ("{{#range values.no}}{{/range}}", "templates/a.yaml:1: \"values.no\" is not defined"),
    ] {
        assert_eq!(
            try_render(&[], expression, &json!({ "y": 1 })),
            Err(wanted.to_owned()),
            "{expression}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// What a value says never changes the structure, however it goes through `include`, `nindent`, `tpl`, `toJson` and quotes.
    #[test]
    fn threat_t27_no_value_changes_the_structure_through_include_and_tpl(text in prop_oneof!["\\PC{0,20}", "[ \n\t:#\\-\\[\\],&*!|>'\"%@`\\\\a0~]{0,12}"]) {
        let partials = [("p", "a: {{s}}\nb: '{{s}}'\nc: |\n  {{s}}\nd:\n{{#each list}}\n- {{this}}\n{{/each}}\n")];
        let template = "x:{{nindent 2 (include \"p\" values)}}\ny: {{tpl values.t this}}\nz: {{include \"s\" values}}\nj: {{toJson values.list}}\nq: {{squote values.s}}\nw: {{default \"-\" (include \"s\" values)}}\n";
        let values = json!({ "s": text, "list": [text, text], "t": "<{{values.s}}>" });
        let found = try_render(&[partials[0], ("s", "{{s}}")], template, &values);
        let wanted = json!({
            "x": { "a": text, "b": text, "c": format!("{text}\n"), "d": [text, text] }, "y": format!("<{text}>"), "z": text,
            "j": [text, text], "q": text, "w": if text.is_empty() { "-" } else { &text },
        });
        prop_assert_eq!(found, Ok(wanted));
    }

    /// Any text as a template inside a template is an answer or an error.
    #[test]
    fn f81_any_text_for_tpl_is_an_answer_or_an_error(text in "(\\{\\{|\\}\\}|[#/>~^&!]|else|if|each|range|with|values|this|include|tpl|\"p\"|x|quote|\\(|\\)|\"|'|\\||\\.| |\n|as ){0,30}") {
        let _ = try_render(&[("p", "x")], "a: {{tpl values.t this}}", &json!({ "t": text, "x": [1] }));
    }
}
