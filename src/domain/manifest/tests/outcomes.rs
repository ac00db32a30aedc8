//! From the text of a template to what is applied: every odd document has a defined outcome.

use std::collections::BTreeMap;

use super::*;
use crate::domain::bundle::Bundle;
use crate::domain::render::{Address, RenderContext, Scheme, render};

/// The names of the admitted objects, or what is wrong.
fn outcome(template: &str) -> Result<Vec<String>, Vec<String>> {
    let files = BTreeMap::from([
        ("bundle.yaml".to_owned(), b"name: test\nversion: 1.0.0\n".to_vec()),
        ("templates/a.yaml".to_owned(), template.as_bytes().to_vec()),
    ]);
    let bundle = Bundle::parse(&files).unwrap();
    let context = RenderContext {
        branch: "main".parse().unwrap(),
        revision: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        pull_request: None,
        repository_id: "7".parse().unwrap(),
        repository_name: "team/shop".parse().unwrap(),
        project: "team/shop".parse().unwrap(),
        environment: NAME.parse().unwrap(),
        address: Address {
            scheme: Scheme::Https,
            domain: "preview.example.com".parse().unwrap(),
            port: None,
        },
        is_first_deploy: true,
        values: Vec::new(),
    };
    let rendered = render(&bundle, &context).map_err(|errors| errors.0.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let bodies = rendered.documents.into_iter().map(|document| document.value).collect();
    admit_all(bodies).map(|manifests| manifests.iter().map(|manifest| manifest.key.name.to_string()).collect())
}

#[test]
fn f82_every_odd_document_is_admitted_left_out_or_refused_by_name() {
    const HEAD: &str = "apiVersion: v1\nkind: ConfigMap\n";
    let named = |name: &str| format!("{HEAD}metadata: {{name: {name}}}\n");
    for (what, template, wanted) in [
        ("an object", named("a"), Ok(vec!["a"])),
        ("empty documents", format!("---\n---\n# x\n---\nnull\n---\n{}", named("a")), Ok(vec!["a"])),
        ("nothing at all", "# nothing\n".into(), Ok(vec![])),
        ("a storm of separators", format!("{}{}", "---\n".repeat(300), named("a")), Ok(vec!["a"])),
        (
            "a List",
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n".into(),
            Ok(vec!["a", "b"]),
        ),
        ("an empty List", "apiVersion: v1\nkind: List\nitems: []\n".into(), Ok(vec![])),
        ("a key twice", format!("{HEAD}kind: ConfigMap\n"), Err("duplicate mapping key: kind")),
        ("a tab", format!("{HEAD}metadata:\n\tname: a\n"), Err("tabs disallowed within this context")),
        ("an object twice", format!("{}---\n{}", named("a"), named("a")), Err("metadata.name: templates/a.yaml:1 has an object of the same kind and name: rename one")),
        ("no name", format!("{HEAD}metadata: {{}}\n"), Err("metadata.name: ")),
        ("a generated name", format!("{HEAD}metadata: {{generateName: a-}}\n"), Err("metadata.generateName: ")),
        ("no kind", "apiVersion: v1\nmetadata: {name: a}\n".into(), Err("kind: ")),
        ("no version", "kind: ConfigMap\nmetadata: {name: a}\n".into(), Err("apiVersion: ")),
        ("a list alone", "- a\n".into(), Err("templates/a.yaml:1: ")),
        ("a text alone", "a\n".into(), Err("templates/a.yaml:1: ")),
        ("a name that is a number", named("012"), Err("metadata.name: is read as a number or a boolean: put it in quotes")),
        ("a name that is a boolean", named("yes"), Err("metadata.name: is read as a number or a boolean: put it in quotes")),
        ("a name of a branch", named("{{branch}}"), Ok(vec!["main"])),
    ] {
        match (outcome(&template), wanted) {
            (Ok(names), Ok(wanted)) => assert_eq!(names, wanted, "{what}"),
            (Err(problems), Err(wanted)) => assert!(problems.iter().any(|problem| problem.contains(wanted)), "{what}: {problems:?}"),
            (outcome, _) => panic!("{what}: {outcome:?}"),
        }
    }
}
