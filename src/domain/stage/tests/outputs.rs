//! Outputs: read from what a container said, and put where later stages want them.

use proptest::prelude::*;

use super::*;
use crate::domain::manifest::{Manifest, ObjectKey, Source};
use crate::domain::stage::outputs::{Form, Outputs, Reference, declared, manifests, parse, references, substitute, variable};

fn known(stage: &str, name: &str, value: &str) -> Outputs {
    [(stage.to_owned(), [(name.to_owned(), value.to_owned())].into())].into()
}

fn parsed(message: &str, declared: &[String]) -> Result<std::collections::BTreeMap<String, String>, String> {
    parse(&[message.to_owned()], declared)
}

#[test]
fn declared_outputs_are_read_and_all_else_is_ignored() {
    let declared = ["VERSION".to_owned(), "IMAGE".to_owned()];
    let outputs = parsed("noise\nVERSION=1\r\nOTHER=x\nIMAGE=a=b\nVERSION=2\n", &declared).unwrap();
    assert_eq!(
        outputs,
        [("IMAGE".to_owned(), "a=b".to_owned()), ("VERSION".to_owned(), "2".to_owned())].into()
    );
    let each = ["VERSION=1".to_owned(), format!("IMAGE=a\n{}", "x".repeat(4_000))];
    assert_eq!(
        parse(&each, &declared).unwrap().len(),
        2,
        "what one step says is no part of what another does"
    );
    assert_eq!(parsed("anything", &[]).unwrap(), [].into());
    for (message, wanted) in [
        (
            "IMAGE=a",
            "it did not write its output VERSION: write a line VERSION=VALUE to the file that $GRAFTLING_OUTPUTS names",
        ),
        (
            "IMAGE=a\nVERSION=\u{1b}",
            "its output VERSION contains a control character: hand on printable text",
        ),
        (
            &format!("IMAGE=a\nVERSION={}", "x".repeat(513)),
            "its output VERSION has more than 512 bytes: hand on less, for example the name of a file",
        ),
        (
            &"x".repeat(4096),
            "its outputs have 4096 bytes or more, of which Kubernetes keeps no more: write less to $GRAFTLING_OUTPUTS",
        ),
    ] {
        assert_eq!(parsed(message, &declared).unwrap_err(), wanted);
    }
}

#[test]
fn places_of_outputs_are_found_in_texts() {
    let found = |text| {
        references(text)
            .iter()
            .map(|found| format!("{}/{}", found.stage, found.name))
            .collect::<Vec<_>>()
    };
    assert_eq!(found("a $(outputs.build.IMAGE):$(outputs.b-c.D) $(HOME)"), ["build/IMAGE", "b-c/D"]);
    assert_eq!(found("$$(outputs.build.IMAGE) $$$(outputs.a.B)"), ["a/B"]);
    assert_eq!(found("$(outputs.build) $(outputs.a.b.c"), ["/build", "/a.b.c"]);
    assert_eq!(references("$(outputs.a.B)"), [Reference { stage: "a", name: "B" }]);
}

#[test]
fn outputs_stand_in_for_their_places_and_missing_ones_are_told() {
    let outputs = known("build", "IMAGE", "shop:1$(X)");
    let mut value = json!({ "a": ["<$(outputs.build.IMAGE)>"], "b": "$$(outputs.build.IMAGE)", "c": 1 });
    let mut expanded = value.clone();
    substitute(&mut value, &outputs, Form::Plain).unwrap();
    assert_eq!(value, json!({ "a": ["<shop:1$(X)>"], "b": "$$(outputs.build.IMAGE)", "c": 1 }));
    substitute(&mut expanded, &outputs, Form::Expanded).unwrap();
    assert_eq!(expanded["a"][0], "<shop:1$$(X)>");
    let mut value = json!(["$(outputs.build.TAG)", "$(outputs.test.IMAGE)"]);
    assert_eq!(
        substitute(&mut value, &outputs, Form::Plain).unwrap_err(),
        [
            "there is no output TAG of the stage build in this run",
            "there is no output IMAGE of the stage test in this run"
        ]
    );
}

#[test]
fn a_stage_is_started_with_the_outputs_of_earlier_ones() {
    let action = Action::Job(json!({ "image": "$(outputs.build.IMAGE)", "args": ["$(outputs.build.IMAGE)"] }));
    let Settings::Job(job) = with_outputs(&action, &known("build", "IMAGE", "shop")).unwrap() else {
        panic!()
    };
    assert_eq!(
        (job.container.image.as_str(), &job.container.args[..]),
        ("shop", &["shop".to_owned()][..])
    );
    assert_eq!(
        with_outputs(&action, &known("build", "IMAGE", "a b")).unwrap_err(),
        ["image: \"a b\" is no name of an image"]
    );
}

#[test]
fn what_is_declared_is_known_before_anything_is_read() {
    assert_eq!(declared(&json!({ "outputs": ["A", 1] })), ["A"]);
    assert_eq!(declared(&json!([{ "outputs": "A" }, {}, { "outputs": ["B"] }])), ["A", "B"]);
    assert_eq!(declared(&json!({ "run": [{ "outputs": ["B"] }] })), ["B"]);
    assert_eq!(declared(&Value::Null), [""; 0]);
    assert_eq!(variable("build-it", "Image_1"), "GRAFTLING_OUTPUT_BUILD_IT_IMAGE_1");
}

fn manifest(group: &str, kind: &str, body: Value) -> Manifest {
    let key = ObjectKey {
        group: group.to_owned(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: Some("n".to_owned()),
        name: "x".to_owned(),
    };
    let source = Source {
        file: "templates/a.yaml".to_owned(),
        line: 1,
    };
    Manifest::new(key, body, source)
}

#[test]
fn threat_t15_outputs_go_only_where_any_text_is_admitted() {
    const PLACE: &str = "$(outputs.a.B)";
    let pod = json!({
        "containers": [{ "image": PLACE, "args": [PLACE], "env": [{ "name": PLACE, "value": PLACE }] }],
        "serviceAccountName": PLACE,
    });
    let cases = [
        (
            "",
            "ConfigMap",
            json!({ "data": { "k": PLACE }, "metadata": { "labels": { "l": PLACE } } }),
            "data.k",
        ),
        ("", "Secret", json!({ "stringData": { "k": PLACE }, "type": PLACE }), "stringData.k"),
        ("", "Service", json!({ "spec": { "type": PLACE } }), ""),
        (
            "networking.k8s.io",
            "Ingress",
            json!({ "spec": { "rules": [{ "host": PLACE }] } }),
            "",
        ),
        (
            "example.com",
            "Database",
            json!({ "spec": { "a": [PLACE] }, "other": PLACE }),
            "spec.a.0",
        ),
        (
            "apps",
            "Deployment",
            json!({ "spec": { "template": { "spec": pod } } }),
            "spec.template.spec.containers.0.args.0 spec.template.spec.containers.0.env.0.value spec.template.spec.containers.0.image",
        ),
    ];
    for (group, kind, body, open) in cases {
        let manifest = manifest(group, kind, body);
        let found: Vec<String> = manifests::uses(&manifest)
            .into_iter()
            .filter(|(.., is_open)| *is_open)
            .map(|(field, ..)| field)
            .collect();
        assert_eq!(found.join(" "), open, "{kind}");
        let filled = manifests::substitute(&manifest, &known("a", "B", "NodePort")).unwrap();
        let text = filled.body.to_string();
        let wanted = open.split_whitespace().count();
        assert_eq!(text.matches("NodePort").count(), wanted, "{text}");
        assert_eq!(filled.digest == manifest.digest, wanted == 0);
    }
}

fn outline(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(outline).collect(),
        Value::Object(entries) => entries.iter().map(|(key, entry)| (key.clone(), outline(entry))).collect(),
        Value::String(_) => json!("text"),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn no_output_changes_the_structure_of_what_it_goes_into(value in ".*", before in "[^$]*", after in "[^$]*") {
        let text = format!("{before}$(outputs.a.B){after}");
        let original = json!({ "x": [text, 1, { "y": null }], "z": "$(outputs.a.B)" });
        let mut filled = original.clone();
        substitute(&mut filled, &known("a", "B", &value), Form::Plain).unwrap();
        prop_assert_eq!(outline(&filled), outline(&original));
        prop_assert_eq!(&filled["x"][0], &json!(format!("{before}{value}{after}")));
        prop_assert_eq!(&filled["z"], &json!(value));
    }

    #[test]
    fn whatever_a_container_says_is_outputs_or_an_error(message in ".*") {
        if let Ok(outputs) = parsed(&message, &["A".to_owned()]) {
            prop_assert!(outputs.keys().eq(["A"]));
        }
    }

    #[test]
    fn any_text_has_its_places_found(text in "[$()a-c.ABoutps]*") {
        let _ = references(&text);
    }
}
