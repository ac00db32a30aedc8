//! Reading bundles: every problem at once, each with its place.

use std::collections::BTreeMap;

use super::*;

fn parse(files: &[(&str, &str)]) -> Result<Bundle, Vec<String>> {
    let files: BTreeMap<String, Vec<u8>> = files
        .iter()
        .map(|(file, text)| ((*file).to_owned(), text.as_bytes().to_vec()))
        .collect();
    Bundle::parse(&files).map_err(|problems| problems.iter().map(|problem| format!("{problem:#}")).collect())
}

fn problems(files: &[(&str, &str)]) -> Vec<String> {
    parse(files).map_or_else(|problems| problems, |bundle| vec![format!("accepted: {bundle:?}")])
}

/// The problems of one template beside a bundle that is in order.
fn template_problems(template: &str) -> Vec<String> {
    problems(&[HEAD, ("templates/_p.hbs", "x: 1\n"), ("templates/a.yaml", template)])
}

const HEAD: (&str, &str) = ("bundle.yaml", "name: web\nversion: 1.2.3\ndescription: A web application\n");

#[test]
fn a_whole_bundle_is_read() {
    let bundle = parse(&[
        HEAD,
        ("values.yaml", "# defaults\nport: 8080.0\n"),
        ("values.schema.json", "{\"type\": \"object\"}"),
        ("pipeline.yaml", "stages: []\n"),
        ("templates/a.yaml", "a: {{values.port}}"),
        ("templates/b.yml", "{{> p}}"),
        ("templates/_p.hbs", "b: 1"),
        ("templates/README.md", "{{#if"),
        ("README.md", "# web"),
    ])
    .unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(
        (bundle.name(), bundle.version(), bundle.description()),
        ("web", "1.2.3", "A web application")
    );
    assert_eq!(bundle.values()["port"], 8080);
    assert_eq!(
        (bundle.schema(), bundle.pipeline().map(|pipeline| pipeline.stages.len())),
        (Some("{\"type\": \"object\"}"), Some(0))
    );
    assert_eq!(bundle.digest().len(), 64);
}

#[test]
fn every_problem_of_every_file_is_reported_at_once() {
    assert_eq!(
        problems(&[
            ("bundle.yaml", "name: Web\nversion: \"\"\n"),
            ("values.yaml", "a: 1\nb: [\n"),
            ("values.schema.json", "{\n  \"a\": }"),
            ("pipeline.yaml", "a: 1\na: 2"),
            ("templates/a.yaml", "a: 1\nb: {{#if}}x{{/if}}\nc: {{quoet branch}}"),
            ("templates/b.yaml", "a: {{"),
        ]),
        [
            "bundle.yaml: name: \"Web\" must consist of lower-case letters, digits and '-'",
            "bundle.yaml: version: must be 1 to 64 characters long",
            "values.yaml:2:4: unclosed bracket '['",
            "values.schema.json:2:8: expected value",
            "pipeline.yaml:1:1: unknown field `a`, expected one of stages, teardown",
            "templates/a.yaml:2:7: wrong number of arguments: {{#if VALUE}}…{{else}}…{{/if}}",
            "templates/a.yaml:3:6: there is no helper \"quoet\" (did you mean \"quote\"?)",
            "templates/b.yaml:1:4: this tag has no end: \"}}\" is missing",
        ]
    );
}

#[test]
fn a_bundle_without_its_head_or_without_templates_is_none() {
    assert_eq!(
        problems(&[("templates/_p.hbs", "x")]),
        [
            "bundle.yaml: is missing: a bundle needs it, with name and version",
            "templates: has no template: a bundle needs at least one templates/*.yaml or manifests/*.yaml, or a chart",
        ]
    );
    let unknown = problems(&[("bundle.yaml", "name: a\nversion: \"1\"\nicon: x\n"), ("templates/a.yaml", "")]);
    assert!(unknown[0].starts_with("bundle.yaml:3:1: there is no field"), "{unknown:?}");
}

#[test]
fn files_that_would_silently_do_nothing_are_refused() {
    assert_eq!(
        problems(&[
            HEAD,
            ("templates/a.yaml", ""),
            ("templates/b.yaml.hbs", ""),
            ("templates/_c.yaml", ""),
            ("templates/db/d.yaml", ""),
        ]),
        [
            "templates/_c.yaml: is neither a template (NAME.yaml, NAME.yml) nor a partial (_NAME.hbs)",
            "templates/b.yaml.hbs: is neither a template (NAME.yaml, NAME.yml) nor a partial (_NAME.hbs)",
            "templates/db/d.yaml: is in a folder below templates: move it up",
        ]
    );
    assert_eq!(
        problems(&[HEAD, ("templates/a.yaml", ""), ("values.yaml", "- a")]),
        ["values.yaml:1: must be a mapping of names to values"]
    );
    assert_eq!(
        problems(&[HEAD, ("templates/a.yaml", ""), ("values.yaml", "a: 1\n---\nb: 1")]),
        ["values.yaml:3: has a second document: write one"]
    );
}

#[test]
fn the_limits_on_files_hold() {
    let big = " ".repeat(MAX_FILE + 1);
    assert_eq!(
        problems(&[HEAD, ("templates/a.yaml", &big)]),
        ["templates/a.yaml: has 1048577 bytes: at most 1048576 are allowed"]
    );
    let names: Vec<String> = (0..MAX_FILES).map(|number| format!("templates/{number}.yaml")).collect();
    let mut many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    many.push(HEAD);
    assert_eq!(problems(&many), ["bundle: has 201 files: at most 200 are allowed"]);
    let full = " ".repeat(MAX_FILE);
    let heavy: Vec<(&str, &str)> = names[..9].iter().map(|name| (name.as_str(), full.as_str())).collect();
    assert_eq!(problems(&heavy), ["bundle: has 9437184 bytes: at most 8388608 are allowed"]);
    let mut binary: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    binary.insert("templates/a.yaml".into(), b"a: 1\nb: \xff".to_vec());
    assert_eq!(
        Bundle::parse(&binary).map_err(|problems| problems[0].to_string()).err().as_deref(),
        Some("templates/a.yaml:2: is not UTF-8 text")
    );
}

#[test]
fn the_digest_follows_every_name_and_every_content_and_nothing_else() {
    let digest = |files: &[(&str, &str)]| parse(files).map(|bundle| bundle.digest().to_owned());
    let first = digest(&[HEAD, ("templates/a.yaml", "x"), ("templates/b.yaml", "")]);
    assert!(first.is_ok());
    assert_eq!(
        first,
        digest(&[("templates/b.yaml", ""), HEAD, ("README.md", "new"), ("templates/a.yaml", "x")])
    );
    assert_ne!(first, digest(&[HEAD, ("templates/a.yaml", ""), ("templates/b.yaml", "x")]));
    assert_ne!(first, digest(&[HEAD, ("templates/a.yaml", "x"), ("templates/c.yaml", "")]));
}

#[test]
fn what_is_not_part_of_the_language_is_refused_with_the_way_to_write_it() {
    for (template, wanted) in [
        ("{{nope x}}", "1:3: there is no helper \"nope\" (did you mean \"ne\"?)"),
        ("{{log branch}}", "1:3: there is no helper \"log\""),
        (
            "{{quote branch x=1}}",
            "1:16: the helper \"quote\" takes no named argument \"x\": {{quote VALUE…}}",
        ),
        ("a: {{quote (lower)}}", "1:13: wrong number of arguments: {{lower TEXT}}"),
        ("{{trunc branch}}", "1:3: wrong number of arguments: {{trunc LENGTH TEXT}}"),
        ("{{trunc branch 5}}", "1:3: the value comes last, as in Helm: {{trunc LENGTH TEXT}}"),
        (
            "{{default values.x \"y\"}}",
            "1:3: the value comes last, as in Helm: {{default FALLBACK VALUE}}",
        ),
        (
            "{{branch | trunc 5 | quote}}",
            "1:1: pipes are not part of the language: write {{quote (trunc 5 branch)}}",
        ),
        (
            "{{include \"q\" this}}",
            "1:12: there is no partial \"q\", which would be templates/_q.hbs (did you mean \"p\"?)",
        ),
        (
            "{{include branch this}}",
            "1:1: the name of a partial must not be computed: {{include \"NAME\" this}}",
        ),
        ("{{#branch}}{{/branch}}", "1:4: there is no block \"#branch\""),
        (
            "{{#eahc values}}{{/eahc}}",
            "1:4: there is no block \"#eahc\" (did you mean \"each\"?)",
        ),
        ("{{#eq a b}}{{/eq}}", "1:4: write {{#if (eq …)}} instead of {{#eq …}}"),
        (
            "{{> q}}",
            "1:5: there is no partial \"q\", which would be templates/_q.hbs (did you mean \"p\"?)",
        ),
        (
            "{{> templates/a.yaml}}",
            "1:5: there is no partial \"templates/a.yaml\", which would be templates/_templates/a.yaml.hbs",
        ),
        ("{{> (lookup values \"x\")}}", "1:1: the name of a partial must not be computed"),
        (
            "{{#> p}}{{/p}}",
            "1:1: blocks of partials ({{#> …}}) are not supported: use {{> name key=value}}",
        ),
        (
            "\n{{#*inline \"q\"}}{{/inline}}",
            "2:1: inline partials and decorators ({{* …}}) are not supported: write the partial to templates/_NAME.hbs",
        ),
        (
            "{{{{raw}}}}{{{{/raw}}}}",
            "1:1: raw blocks ({{{{…}}}}) are not supported: write \\{{ where braces are wanted",
        ),
        ("{{#if a}}", "1:10: invalid handlebars syntax"),
        ("{{#if a}}{{/unless}}", "1:10: helper \"if\" was opened, but \"unless\" is closing"),
    ] {
        let found = template_problems(template);
        assert!(found[0].starts_with(&format!("templates/a.yaml:{wanted}")), "{template}: {found:?}");
    }
}

#[test]
fn f81_partials_in_a_circle_are_refused_by_name() {
    let circle = problems(&[
        HEAD,
        ("templates/a.yaml", "{{> x}}"),
        ("templates/_x.hbs", "\n{{#if branch}}{{> y}}{{/if}}"),
        ("templates/_y.hbs", "{{> z}}"),
        ("templates/_z.hbs", "{{> x}}"),
    ]);
    assert_eq!(
        circle,
        ["templates/_z.hbs:1:1: partials include one another in a circle: x → y → z → x"]
    );
    let through = problems(&[
        HEAD,
        ("templates/a.yaml", ""),
        ("templates/_x.hbs", "{{quote (include \"y\" this)}}"),
        ("templates/_y.hbs", "{{> x}}"),
    ]);
    assert_eq!(
        through,
        ["templates/_y.hbs:1:1: partials include one another in a circle: x → y → x"]
    );
    let itself = problems(&[HEAD, ("templates/a.yaml", ""), ("templates/_x.hbs", "{{> x}}")]);
    assert_eq!(itself, ["templates/_x.hbs:1:1: partials include one another in a circle: x → x"]);
    let inline = template_problems("{{#*inline \"p\"}}{{> p}}{{/inline}}{{> p}}");
    assert!(inline[0].contains("inline partials"), "{inline:?}");
}

#[test]
fn f81_loops_inside_loops_are_limited_through_partials_too() {
    let each = |levels: usize, body: &str| format!("{}{body}{}", "{{#each values}}".repeat(levels), "{{/each}}".repeat(levels));
    assert_eq!(template_problems(&each(3, "a")).len(), 1, "three levels are accepted");
    assert!(template_problems(&each(3, "a"))[0].starts_with("accepted"));
    assert_eq!(
        template_problems(&each(4, "a")),
        ["templates/a.yaml:1:49: more than 3 #each inside one another"]
    );
    let through = problems(&[
        HEAD,
        ("templates/a.yaml", &each(2, "{{> x}}")),
        ("templates/_x.hbs", &each(1, "{{> y}}")),
        ("templates/_y.hbs", &each(1, "")),
    ]);
    assert_eq!(
        through,
        ["templates/a.yaml:1:33: more than 3 #each inside one another, counted through the partial \"x\""]
    );
}

#[test]
fn f81_nesting_adds_up_through_partials() {
    let ifs = |levels: usize, body: &str| format!("{}{body}{}", "{{#if a}}".repeat(levels), "{{/if}}".repeat(levels));
    let through = problems(&[HEAD, ("templates/a.yaml", &ifs(40, "{{> x}}")), ("templates/_x.hbs", &ifs(40, ""))]);
    assert!(
        through[0].contains("blocks are nested deeper than 64, counted through the partial \"x\""),
        "{through:?}"
    );
    let parentheses = format!("{{{{quote {}(include \"x\" this){}}}}}", "(lower ".repeat(40), ")".repeat(40));
    let around = problems(&[HEAD, ("templates/a.yaml", &parentheses), ("templates/_x.hbs", &ifs(40, ""))]);
    assert!(around[0].contains("counted through the partial \"x\""), "{around:?}");
    let tpl = template_problems(&ifs(60, "{{tpl branch this}}"));
    assert!(tpl[0].contains("counting the room that tpl needs"), "{tpl:?}");
    let long: Vec<(String, String)> = (0..70)
        .map(|level| (format!("templates/_p{level}.hbs"), format!("{{{{> p{}}}}}", level + 1)))
        .collect();
    let mut files: Vec<(&str, &str)> = long.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
    files.extend([HEAD, ("templates/_p70.hbs", ""), ("templates/a.yaml", "{{> p0}}")]);
    assert!(problems(&files)[0].contains("nested deeper than 64"));
}

#[test]
fn feature_p5_plain_yaml_is_taken_as_it_is_written() {
    let bundle = parse(&[
        HEAD,
        (
            "manifests/b.yaml",
            "# nothing\n---\nkind: B\n---\nkind: C\nreplicas: 2.0\ntext: \"{{#if}} {{ \"\n",
        ),
        ("manifests/a.yml", "kind: A\n"),
        ("manifests/README.md", "{{#if"),
    ])
    .unwrap_or_else(|problems| panic!("{problems:?}"));
    let found: Vec<_> = bundle
        .manifests()
        .iter()
        .map(|document| (document.file.as_str(), document.line, document.value.to_string()))
        .collect();
    assert_eq!(
        found,
        [
            ("manifests/a.yml", 1, r#"{"kind":"A"}"#.to_owned()),
            ("manifests/b.yaml", 3, r#"{"kind":"B"}"#.to_owned()),
            (
                "manifests/b.yaml",
                5,
                r##"{"kind":"C","replicas":2,"text":"{{#if}} {{ "}"##.to_owned()
            ),
        ]
    );
    let other = parse(&[HEAD, ("manifests/a.yml", "kind: B\n")]).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_ne!(bundle.digest(), other.digest());
}

#[test]
fn feature_p5_problems_of_plain_yaml_and_of_charts_have_their_place() {
    assert_eq!(
        problems(&[
            HEAD,
            ("manifests/a.yaml", "a: 1\na: 2\n"),
            ("manifests/b/c.yaml", ""),
            ("manifests/d.json", "{}")
        ]),
        [
            "manifests/a.yaml:2:1: duplicate mapping key: a",
            "manifests/b/c.yaml: is in a folder below manifests: move it up",
            "manifests/d.json: is no manifest (NAME.yaml, NAME.yml)",
        ]
    );
    const CHART: &str = "name: web\nversion: \"1\"\nchart: {path: chart}\n";
    assert_eq!(
        problems(&[("bundle.yaml", CHART), ("chart/templates/a.yaml", "a: {{ now }}")]),
        ["chart/Chart.yaml: is missing: a chart needs it"]
    );
    assert_eq!(
        problems(&[HEAD, ("chart/Chart.yaml", "name: web\n")]),
        ["bundle.yaml: does not name the Helm chart in chart/: add `chart: {path: chart}`"]
    );
    for path in ["../x", "templates", "chart/../x", "chart//x", "/chart"] {
        let head = CHART.replace("path: chart", &format!("path: \"{path}\""));
        let found = problems(&[("bundle.yaml", &head), ("chart/Chart.yaml", "name: web\n")]);
        assert_eq!(
            found.last().cloned(),
            Some(format!(
                "bundle.yaml: chart.path: {path:?} is neither chart nor a folder below chart/"
            ))
        );
    }
    assert_eq!(
        problems(&[
            ("Chart.yaml", "name: web\n"),
            ("templates/a.yaml", "a: 1\nb: {{ .Files.Get \"x.conf\" }}")
        ]),
        ["templates/a.yaml:2: \"x.conf\" is no file of the chart: it has to lie below files/"]
    );
}

#[test]
fn every_problem_of_bundle_yaml_is_reported_at_once() {
    let head = "name: Shop\nversion: 1.0\ncolour: red\ndescription: [x]\ninputs:\n  - name: a\n    requird: true\n  - required: 3\n";
    assert_eq!(
        problems(&[("bundle.yaml", head), ("templates/a.yaml", "x: 1\n")]),
        [
            "bundle.yaml:3:1: there is no field \"colour\" in bundle.yaml: there are name, version, description, inputs, chart, health",
            "bundle.yaml:4:14: description: invalid type: sequence, expected a string",
            "bundle.yaml:1:7: name: \"Shop\" must consist of lower-case letters, digits and '-'",
            "bundle.yaml:7:5: there is no field \"requird\" in an input (did you mean \"required\"?)",
            "bundle.yaml:8:5: name: is missing: an input needs it",
            "bundle.yaml:8:15: required: invalid type: integer `3`, expected a boolean",
        ]
    );
    assert_eq!(
        problems(&[("bundle.yaml", "version: 1\n"), ("templates/a.yaml", "x: 1\n")]),
        ["bundle.yaml:1:1: name: is missing: bundle.yaml needs it"]
    );
}

#[test]
fn feature_s6_rules_for_health_are_read_and_every_problem_of_them_has_its_line() {
    let head = "name: shop\nversion: 1.0\nhealth:\n";
    let rules = "  - group: db.example.com\n    kind: Database\n    ready: {path: status.phase, equals: Running}\n";
    let wrong = "  - kind: Database\n    ready:\n      path: status.phase\n      equal: Running\n  - kind: Queue\n  - kind: Secret\n    \
                 ready: {path: a, exists: true}\n";
    let template = ("templates/a.yaml", "x: 1\n");
    let good = format!("{head}{rules}");
    assert_eq!(
        parse(&[("bundle.yaml", &good), template]).map(|bundle| bundle.health().len()),
        Ok(1)
    );
    assert_eq!(
        problems(&[("bundle.yaml", &format!("{head}{rules}{wrong}")), template]),
        [
            "bundle.yaml:9:7: health: ready.equal: there is no such comparison: there are equals, notEquals, in, notIn, exists, atLeast, \
             equalsPath",
            "bundle.yaml:11:5: health: ready: is missing: a rule needs ready or failed",
            "bundle.yaml:12:11: health: kind: what a Secret holds is not looked at: remove the rule",
        ]
    );
    assert_eq!(problems(&[("bundle.yaml", &format!("{head}  a: 1\n")), template]).len(), 1);
}

#[test]
fn what_a_helm_chart_would_say_is_refused_with_the_words_to_write() {
    assert_eq!(
        template_problems("a: {{ .Values.x }}\nb: {{- branch -}}\n{{ if branch }}\n"),
        [
            "templates/a.yaml:1:4: names begin without a dot: write values.x instead of .Values.x",
            "templates/a.yaml:2:4: white space is cut off by ~ and not by -: write {{~ … ~}}",
            "templates/a.yaml:3:1: a block is written {{#if …}}…{{/if}}",
        ]
    );
}
