//! What a branch may say for itself.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn allowed(patterns: &[&str]) -> AllowedKeys {
    AllowedKeys::new(patterns.iter().map(|text| text.parse().unwrap()).collect())
}

fn read(text: &str, patterns: &[&str]) -> Result<Value, Vec<String>> {
    match read_branch_file(text.as_bytes(), &allowed(patterns)) {
        Ok(layer) => {
            assert_eq!(layer.origin, Origin::BranchFile);
            Ok(Value::Object(layer.values))
        }
        Err(problems) => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

#[test]
fn feature_p1_a_branch_sets_the_keys_that_its_project_allows() {
    let text = "# for this branch\nvalues:\n  web: {replicas: 2}\n  config:\n    A: \"1\"\n    B: null\n";
    let values = json!({ "web": { "replicas": 2 }, "config": { "A": "1", "B": null } });
    assert_eq!(read(text, &["web.replicas", "config.*"]), Ok(values));
    for empty in ["", "# nothing\n", "values:\n", "values: {}\n", "{}"] {
        assert_eq!(read(empty, &["web"]), Ok(json!({})), "{empty:?}");
    }
}

#[test]
fn threat_t13_a_key_that_is_not_allowed_is_refused_with_line_and_what_is() {
    let text = "values:\n  web:\n    replicas: 2\n    runAsUser: 0\n  config: {}\n  database:\n    - x\n";
    assert_eq!(
        read(text, &["web.replicas", "config.*"]),
        Err(vec![
            ".graftling.yaml:5: values.config: a branch of this Project may not set it; it may set web.replicas, config.*".to_owned(),
            ".graftling.yaml:6: values.database: a branch of this Project may not set it; it may set web.replicas, config.*".to_owned(),
            ".graftling.yaml:4: values.web.runAsUser: a branch of this Project may not set it; it may set web.replicas, config.*"
                .to_owned(),
        ])
    );
    // Deleting is setting, and so is replacing what is around.
    for text in [
        "values: {web: null}",
        "values: {web: 1}",
        "values: {web: {port: null}}",
        "values: {web: {}}",
    ] {
        assert!(read(text, &["web.replicas"]).is_err(), "{text}");
    }
    // By an alias and by a merge key as well.
    for text in ["x: &x {port: 1}\nvalues: {web: *x}", "values: {a: &x {port: 1}, web: {<<: *x}}"] {
        let problems = read(text, &["web.replicas", "a"]).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains("values.web.")), "{problems:?}");
    }
}

#[test]
fn threat_t13_the_file_holds_values_and_nothing_that_grants() {
    let text = "policy:\n  kinds: [\"rbac.authorization.k8s.io/ClusterRole\"]\nvalue: {}\nvalues: []\nspec: {}\n";
    let problems = read(text, &["*"]).unwrap_err();
    assert_eq!(problems.len(), 4, "{problems:?}");
    let all = problems.join("\n");
    for part in [
        ".graftling.yaml:1: \"policy\" is unknown: the file holds \"values\" and nothing else",
        ".graftling.yaml:3: \"value\" is unknown: the file holds \"values\" and nothing else (did you mean \"values\"?)",
        ".graftling.yaml:4: values: must be a mapping",
        ".graftling.yaml:5: \"spec\" is unknown",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
}

#[test]
fn a_file_that_is_not_one_small_mapping_is_refused() {
    for (text, part) in [
        ("- a\n", ".graftling.yaml:1: must be a mapping"),
        ("values: {}\n---\nvalues: {}\n", "second document"),
        ("values:\n  a: 1\n  a: 2\n", ".graftling.yaml:3: duplicate"),
        ("values: [", ".graftling.yaml:1"),
    ] {
        let problems = read(text, &["*"]).unwrap_err();
        assert!(problems[0].contains(part), "{text:?}: {problems:?}");
    }
    let large = vec![b'#'; MAX_BRANCH_FILE + 1];
    assert!(
        read_branch_file(&large, &allowed(&["*"])).unwrap_err()[0]
            .message
            .contains("at most 65536")
    );
    assert!(read_branch_file(b"values: \xff", &allowed(&["*"])).is_err());
    let bomb: String = (0..9)
        .map(|level| format!("a{level}: &a{level} [{}]\n", format!("*a{},", level - 1).repeat(9)))
        .collect();
    assert!(read(&bomb.replace("*a-1,", "x,"), &["*"]).is_err());
}

/// Pieces of YAML, so that chance gets past the first byte.
fn yaml_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("values:".to_owned()),
        Just("\n".to_owned()),
        Just("  ".to_owned()),
        Just("a: ".to_owned()),
        Just("- ".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just("&x ".to_owned()),
        Just("*x".to_owned()),
        Just("<<: ".to_owned()),
        Just("? ".to_owned()),
        Just("|\n".to_owned()),
        Just("\"".to_owned()),
        Just("!!binary ".to_owned()),
        Just("---\n".to_owned()),
        "[ -~]{1,4}",
        "\\PC",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn threat_t13_no_bytes_set_what_is_not_allowed(bytes in prop_oneof![yaml_like(), prop::collection::vec(any::<u8>(), 0..200)]) {
        let allowed = allowed(&["a.b", "config.*"]);
        if let Ok(layer) = read_branch_file(&bytes, &allowed) {
            for (name, value) in &layer.values {
                prop_assert!(matches!(name.as_str(), "a" | "config"), "{}", name);
                prop_assert!(value.as_object().is_some_and(|entries| !entries.is_empty()));
            }
        }
    }
}
