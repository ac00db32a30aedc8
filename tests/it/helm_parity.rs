//! The helpers beside Helm's own: the same expression in both languages gives the same YAML, but for the differences listed here.
#![allow(clippy::unwrap_used, reason = "a chart or bundle that cannot be rendered is the test's failure")]

use std::collections::BTreeMap;

use graftling::domain::bundle::Bundle;
use graftling::domain::render::{Address, Layer, Origin, RenderContext, Scheme, render};
use serde_json::{Value, json};

/// Ours, Helm's. Both stand after `key:`.
const SAME: &[(&str, &str)] = &[
    ("{{quote values.name}}", "{{ quote .Values.name }}"),
    ("{{quote values.port}}", "{{ quote .Values.port }}"),
    ("{{squote values.name}}", "{{ squote .Values.name }}"),
    ("{{toYaml values.resources}}", "{{ toYaml .Values.resources | nindent 2 }}"),
    ("{{nindent 2 (toYaml values.list)}}", "{{ toYaml .Values.list | nindent 2 }}"),
    (
        "|\n  x{{nindent 2 (join \"\\n\" values.list)}}",
        "|\n  x{{ .Values.list | join \"\\n\" | nindent 2 }}",
    ),
    ("{{toJson values.resources}}", "{{ toJson .Values.resources }}"),
    ("{{quote (toJson values.resources)}}", "{{ toJson .Values.resources | quote }}"),
    (
        "{{toJson (fromJson \"{\\\"a\\\": [1, true]}\")}}",
        "{{ fromJson \"{\\\"a\\\": [1, true]}\" | toJson }}",
    ),
    ("{{toJson (fromYaml values.yaml)}}", "{{ fromYaml .Values.yaml | toJson }}"),
    ("{{default \"d\" values.zero}}", "{{ default \"d\" .Values.zero }}"),
    ("{{default \"d\" values.no}}", "{{ default \"d\" .Values.no }}"),
    ("{{default \"d\" values.missing}}", "{{ default \"d\" .Values.missing }}"),
    ("{{default \"d\" values.port}}", "{{ default \"d\" .Values.port }}"),
    (
        "{{coalesce values.missing values.zero values.name}}",
        "{{ coalesce .Values.missing .Values.zero .Values.name }}",
    ),
    ("{{empty values.missing}}", "{{ empty .Values.missing }}"),
    ("{{required \"m\" values.no}}", "{{ required \"m\" .Values.no }}"),
    ("{{ternary \"a\" \"b\" values.yes}}", "{{ ternary \"a\" \"b\" .Values.yes }}"),
    ("{{and values.yes values.name}}", "{{ and .Values.yes .Values.name }}"),
    ("{{or values.zero values.name}}", "{{ or .Values.zero .Values.name }}"),
    ("{{not values.no}}", "{{ not .Values.no }}"),
    (
        "{{eq values.name \"x\" \"Login Page\"}}",
        "{{ eq .Values.name \"x\" \"Login Page\" }}",
    ),
    (
        "{{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge 1 2}}",
        "{{ ne 1 2 }} {{ lt 1 2 }} {{ le 2 2 }} {{ gt 1 2 }} {{ ge 1 2 }}",
    ),
    ("{{lt \"a\" \"b\"}}", "{{ lt \"a\" \"b\" }}"),
    ("{{trunc 3 values.name}}", "{{ trunc 3 .Values.name }}"),
    ("{{trunc -4 values.name}}", "{{ trunc -4 .Values.name }}"),
    (
        "{{trimSuffix \"-\" (trunc 8 values.branch)}}",
        "{{ .Values.branch | trunc 8 | trimSuffix \"-\" }}",
    ),
    (
        "{{trimPrefix \"feature-\" values.branch}}",
        "{{ trimPrefix \"feature-\" .Values.branch }}",
    ),
    ("{{trim \"  a \"}}", "{{ trim \"  a \" }}"),
    ("{{replace \"-\" \".\" values.branch}}", "{{ replace \"-\" \".\" .Values.branch }}"),
    (
        "{{lower values.name}} {{upper values.name}}",
        "{{ lower .Values.name }} {{ upper .Values.name }}",
    ),
    ("{{title values.branch}}", "{{ title .Values.branch }}"),
    (
        "{{kebabcase \"HTTPServer v2Beta http2xx Bld4Floor3rd a--b\"}}",
        "{{ kebabcase \"HTTPServer v2Beta http2xx Bld4Floor3rd a--b\" }}",
    ),
    ("{{snakecase \"FirstName x86\"}}", "{{ snakecase \"FirstName x86\" }}"),
    (
        "{{camelcase \"http_server ALL_CAPS someName\"}}",
        "{{ camelcase \"http_server ALL_CAPS someName\" }}",
    ),
    ("{{nospace values.name}}", "{{ nospace .Values.name }}"),
    ("{{repeat 3 \"ab\"}}", "{{ repeat 3 \"ab\" }}"),
    ("{{contains \"gin\" values.name}}", "{{ contains \"gin\" .Values.name }}"),
    (
        "{{hasPrefix \"Log\" values.name}} {{hasSuffix \"x\" values.name}}",
        "{{ hasPrefix \"Log\" .Values.name }} {{ hasSuffix \"x\" .Values.name }}",
    ),
    (
        "{{regexMatch \"^[a-z-]+$\" values.branch}}",
        "{{ regexMatch \"^[a-z-]+$\" .Values.branch }}",
    ),
    (
        "{{printf \"%s-%05d-%q\" values.name 42 \"x\"}}",
        "{{ printf \"%s-%05d-%q\" .Values.name 42 \"x\" }}",
    ),
    (
        "{{b64enc values.name}} {{b64dec \"w6Q=\"}}",
        "{{ b64enc .Values.name }} {{ b64dec \"w6Q=\" }}",
    ),
    ("{{sha256sum values.name}}", "{{ sha256sum .Values.name }}"),
    (
        "{{add 1 2 3}} {{sub 5 7}} {{mul 2 3}} {{div 7 2}} {{mod 7 2}}",
        "{{ add 1 2 3 }} {{ sub 5 7 }} {{ mul 2 3 }} {{ div 7 2 }} {{ mod 7 2 }}",
    ),
    ("{{max 1 5 3}} {{min 4 2}}", "{{ max 1 5 3 }} {{ min 4 2 }}"),
    ("{{add values.port 1}}", "{{ add .Values.port 1 }}"),
    (
        "{{int \"12\"}} {{int64 3.9}} {{float64 \"1.5\"}}",
        "{{ int \"12\" }} {{ int64 3.9 }} {{ float64 \"1.5\" }}",
    ),
    (
        "{{len values.list}} {{len values.name}}",
        "{{ len .Values.list }} {{ len .Values.name }}",
    ),
    ("{{toJson (list 1 \"a\" true)}}", "{{ list 1 \"a\" true | toJson }}"),
    (
        "{{first values.list}} {{last values.list}}",
        "{{ first .Values.list }} {{ last .Values.list }}",
    ),
    ("{{toJson (rest values.list)}}", "{{ rest .Values.list | toJson }}"),
    ("{{toJson (append values.list \"z\")}}", "{{ append .Values.list \"z\" | toJson }}"),
    (
        "{{toJson (concat values.list (list 1))}}",
        "{{ concat .Values.list (list 1) | toJson }}",
    ),
    ("{{toJson (uniq (list 1 \"1\" 1))}}", "{{ uniq (list 1 \"1\" 1) | toJson }}"),
    (
        "{{toJson (without values.list \"b\")}}",
        "{{ without .Values.list \"b\" | toJson }}",
    ),
    (
        "{{toJson (sortAlpha (list \"b\" \"a\" \"C\"))}}",
        "{{ sortAlpha (list \"b\" \"a\" \"C\") | toJson }}",
    ),
    ("{{has \"a\" values.list}}", "{{ has \"a\" .Values.list }}"),
    ("{{join \"-\" values.list}}", "{{ join \"-\" .Values.list }}"),
    ("{{toJson (splitList \",\" \"a,,b\")}}", "{{ splitList \",\" \"a,,b\" | toJson }}"),
    ("{{toJson (until 3)}}", "{{ until 3 | toJson }}"),
    (
        "[{{#range (until 3)}}{{this}},{{/range}}]",
        "[{{ range until 3 }}{{ . }},{{ end }}]",
    ),
    (
        "{{#range values.list}}\n  - {{this}}{{/range}}",
        "{{ range .Values.list }}\n  - {{ . }}{{ end }}",
    ),
    (
        "{{toJson (dict \"a\" 1 \"b\" (list 2))}}",
        "{{ dict \"a\" 1 \"b\" (list 2) | toJson }}",
    ),
    (
        "{{quote (get values.resources \"nothing\")}}",
        "{{ get .Values.resources \"nothing\" | quote }}",
    ),
    (
        "{{quote (get values.resources.limits \"cpu\")}}",
        "{{ get .Values.resources.limits \"cpu\" | quote }}",
    ),
    (
        "{{hasKey values \"port\"}} {{hasKey values \"x\"}}",
        "{{ hasKey .Values \"port\" }} {{ hasKey .Values \"x\" }}",
    ),
    (
        "{{quote (dig \"limits\" \"cpu\" \"d\" values.resources)}}",
        "{{ dig \"limits\" \"cpu\" \"d\" .Values.resources | quote }}",
    ),
    (
        "{{dig \"limits\" \"x\" \"d\" values.resources}}",
        "{{ dig \"limits\" \"x\" \"d\" .Values.resources }}",
    ),
    (
        "{{toJson (keys values.resources.limits)}}",
        "{{ keys .Values.resources.limits | sortAlpha | toJson }}",
    ),
    ("{{toJson (values (dict \"a\" 1))}}", "{{ values (dict \"a\" 1) | toJson }}"),
    (
        "{{toJson (pick values.resources.limits \"cpu\")}}",
        "{{ pick .Values.resources.limits \"cpu\" | toJson }}",
    ),
    (
        "{{toJson (omit values.resources.limits \"cpu\")}}",
        "{{ omit .Values.resources.limits \"cpu\" | toJson }}",
    ),
    (
        "{{toJson (merge (dict \"a\" false \"b\" \"x\" \"n\" (dict \"x\" 1)) (dict \"a\" true \"b\" \"y\" \"n\" (dict \"x\" 2 \"z\" 3)))}}",
        "{{ merge (dict \"a\" false \"b\" \"x\" \"n\" (dict \"x\" 1)) (dict \"a\" true \"b\" \"y\" \"n\" (dict \"x\" 2 \"z\" 3)) | toJson }}",
    ),
    (
        "{{semverCompare \">=1.2, <2\" \"v1.4.0\"}}",
        "{{ semverCompare \">=1.2, <2\" \"v1.4.0\" }}",
    ),
    (
        "{{semverCompare \"^1.2\" \"1.3.0-rc1\"}}",
        "{{ semverCompare \"^1.2\" \"1.3.0-rc1\" }}",
    ),
    (
        "{{#with (semver \"1.2.3-rc1\")}}{{Major}}x{{Prerelease}}{{/with}}",
        "{{ with semver \"1.2.3-rc1\" }}{{ .Major }}x{{ .Prerelease }}{{ end }}",
    ),
    ("{{nindent 2 (include \"labels\" this)}}", "{{ include \"labels\" . | nindent 2 }}"),
    (
        "{{trimSuffix \"-\" (trunc 6 (include \"name\" this))}}",
        "{{ include \"name\" . | trunc 6 | trimSuffix \"-\" }}",
    ),
    ("{{tpl values.ours this}}", "{{ tpl .Values.helms . }}"),
    (
        "{{#if (empty values.list)}}a{{else}}b{{/if}}",
        "{{ if empty .Values.list }}a{{ else }}b{{ end }}",
    ),
];

/// Ours, Helm's, what ours gives, what Helm's gives, why.
fn different() -> Vec<(&'static str, &'static str, Value, Value, &'static str)> {
    vec![
        (
            "{{values.version}}",
            "{{ .Values.version }}",
            json!("1.10"),
            json!(1.1),
            "a string stays a string without quote",
        ),
        (
            "\"{{values.big}}\"",
            "\"{{ .Values.big }}\"",
            json!("10000000"),
            json!("1e+07"),
            "whole numbers are written whole",
        ),
        (
            "{{eq \"1\" 1}}",
            "{{ eq \"1\" \"2\" }}",
            json!(false),
            json!(false),
            "Helm fails on two types, so it gets another question",
        ),
        (
            "{{int (default 0 \"\")}}",
            "{{ int \"x\" }}",
            json!(0),
            json!(0),
            "Helm takes text that is no number for 0, ours refuses it",
        ),
        (
            "{{trunc 2 \"äb\"}}",
            "{{ trunc 3 \"äb\" }}",
            json!("äb"),
            json!("äb"),
            "Helm counts bytes",
        ),
        (
            "{{printf \"%v\" (list 1 2)}}",
            "{{ printf \"%v\" (list 1 2) | quote }}",
            json!("[1,2]"),
            json!("[1 2]"),
            "lists are written as JSON",
        ),
        (
            "{{toJson (semver \"1.2.3\")}}",
            "{{ semver \"1.2.3\" | toJson }}",
            json!({ "Major": 1, "Minor": 2, "Patch": 3, "Prerelease": "", "Metadata": "", "Original": "1.2.3" }),
            json!("1.2.3"),
            "Helm's has methods",
        ),
        (
            "{{tpl \"a: b\" this}}",
            "{{ tpl \"a: b\" . | quote }}",
            json!("a: b"),
            json!("a: b"),
            "Helm's result is read as YAML without quote",
        ),
        (
            "{{lower (toJson \"<\")}}",
            "{{ toJson \"<\" | squote }}",
            json!("\"<\""),
            json!("\"\\u003c\""),
            "Helm escapes for HTML",
        ),
    ]
}

fn values() -> Value {
    json!({
        "name": "Login Page", "branch": "feature-login-page", "port": 8080, "big": 10_000_000, "zero": 0, "no": false, "yes": true,
        "version": "1.10", "ours": "a-{{values.port}}", "helms": "a-{{ .Values.port }}", "list": ["b", "a"], "yaml": "a: [1, x]\nb: true\n",
        "resources": { "limits": { "cpu": "1", "memory": "1Gi" }, "text": "a: b #c" },
    })
}

/// `key: expression` for each, in order.
fn templates<'a>(expressions: impl Iterator<Item = &'a str>) -> Vec<String> {
    expressions
        .enumerate()
        .map(|(index, expression)| format!("k{index}: {expression}\n"))
        .collect()
}

/// What our templates give, all keys in one mapping.
fn ours(templates: &[String]) -> Value {
    let files = [
        ("bundle.yaml", "name: parity\nversion: \"1\"\n"),
        ("templates/_labels.hbs", "app: {{values.name}}\nbranch: {{quote values.branch}}\n"),
        ("templates/_name.hbs", "{{values.branch}}-x\n"),
    ];
    let mut files: BTreeMap<String, Vec<u8>> = files
        .iter()
        .map(|(file, text)| ((*file).to_owned(), text.as_bytes().to_vec()))
        .collect();
    for (index, template) in templates.iter().enumerate() {
        files.insert(format!("templates/{index:03}.yaml"), template.as_bytes().to_vec());
    }
    let bundle = Bundle::parse(&files).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let context = RenderContext {
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
        values: vec![Layer::new(Origin::Project, values().as_object().unwrap().clone())],
    };
    let rendered = render(&bundle, &context).unwrap_or_else(|errors| panic!("{errors}"));
    let documents = rendered.documents.into_iter();
    let entries = documents.flat_map(|document| document.value.as_object().cloned().unwrap_or_default());
    Value::Object(entries.collect())
}

/// What real helm gives. It is read by ours, so that both are read alike.
fn helms(templates: &[String]) -> Value {
    let chart = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| std::fs::write(chart.path().join(file), text).unwrap();
    std::fs::create_dir(chart.path().join("templates")).unwrap();
    write("Chart.yaml", "apiVersion: v2\nname: parity\nversion: 1.0.0\n");
    write("values.yaml", &values().to_string());
    write(
        "templates/_partials.tpl",
        "{{- define \"labels\" -}}\napp: {{ .Values.name }}\nbranch: {{ quote .Values.branch }}\n{{- end -}}\n{{- define \"name\" -}}{{ .Values.branch }}-x{{- end -}}\n",
    );
    write("templates/a.yaml", &templates.concat());
    let text = testbed::helm::helm(["template", "release", &chart.path().to_string_lossy()]).unwrap_or_else(|error| panic!("{error}"));
    let escaped = text.replace("{{", "\\{{");
    ours(&[escaped])
}

#[test]
fn helpers_give_what_real_helm_gives() {
    let found = ours(&templates(SAME.iter().map(|(ours, _)| *ours)));
    let wanted = helms(&templates(SAME.iter().map(|(_, helms)| *helms)));
    let mut differing = Vec::new();
    for (index, (expression, helms)) in SAME.iter().enumerate() {
        let key = format!("k{index}");
        if found[&key] != wanted[&key] {
            differing.push(format!("{expression} gives {}, helm's {helms} gives {}", found[&key], wanted[&key]));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn helpers_differ_from_helm_only_where_it_is_meant() {
    let cases = different();
    let found = ours(&templates(cases.iter().map(|case| case.0)));
    let other = helms(&templates(cases.iter().map(|case| case.1)));
    let mut wrong = Vec::new();
    for (index, (expression, _, ours, helms, reason)) in cases.iter().enumerate() {
        let key = format!("k{index}");
        if (&found[&key], &other[&key]) != (ours, helms) {
            wrong.push(format!("{expression} ({reason}): {} and {}", found[&key], other[&key]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
