//! YAML as Kubernetes reads it, row by row.

use super::*;

fn read(text: &str) -> Result<Vec<Value>, String> {
    let all = try_files(&[("templates/a.yaml", text)], &context("main", json!({})));
    all.map(|all| all.documents.into_iter().map(|document| document.value).collect())
        .map_err(|problems| format!("{:#}", problems[0]))
}

#[test]
fn f82_scalars_are_those_that_kubernetes_reads() {
    for (text, wanted) in [
        ("yes", json!(true)),
        ("Yes", json!(true)),
        ("no", json!(false)),
        ("on", json!(true)),
        ("OFF", json!(false)),
        ("y", json!(true)),
        ("N", json!(false)),
        ("true", json!(true)),
        ("False", json!(false)),
        ("0755", json!(493)),
        ("-017", json!(-15)),
        ("08", json!(8)),
        ("0o755", json!(493)),
        ("0x1F", json!(31)),
        ("0b11", json!(3)),
        ("1_000", json!(1000)),
        ("+1", json!(1)),
        ("1e3", json!(1000)),
        ("3.0", json!(3)),
        ("1.10", json!(1.1)),
        ("12345e7", json!(123_450_000_000_i64)),
        ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
        ("22:22", json!("22:22")),
        ("12:30:45", json!("12:30:45")),
        ("2024-01-01", json!("2024-01-01")),
        ("1.2.3", json!("1.2.3")),
        ("0755a", json!("0755a")),
        ("null", json!(null)),
        ("~", json!(null)),
        ("", json!(null)),
        ("\"yes\"", json!("yes")),
        ("'0755'", json!("0755")),
        ("!!str 1", json!("1")),
    ] {
        assert_eq!(read(&format!("a: {text}\n")), Ok(vec![json!({ "a": wanted })]), "{text}");
    }
}

#[test]
fn f82_every_shape_of_a_stream_has_a_defined_outcome() {
    let one = Ok(vec![json!({ "a": 1 })]);
    for (name, text, wanted) in [
        ("a byte order mark", "\u{feff}a: 1\n", one.clone()),
        ("line ends of Windows", "a: 1\r\n---\r\n# nothing\r\n", one.clone()),
        (
            "empty documents",
            "---\n---\n# nothing\n---\nnull\n---\n~\n---\na: 1\n...\n---\n",
            one.clone(),
        ),
        ("a directive", "%YAML 1.1\n---\na: 1\n", one.clone()),
        ("no text", "", Ok(vec![])),
        ("comments alone", "# nothing\n", Ok(vec![])),
        (
            "an anchor and its alias",
            "x: &x {a: 1}\ny: *x\n",
            Ok(vec![json!({ "x": { "a": 1 }, "y": { "a": 1 } })]),
        ),
        (
            "a merge key",
            "x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\n",
            Ok(vec![json!({ "x": { "a": 1, "b": 2 }, "y": { "a": 1, "b": 3 } })]),
        ),
        ("a tab after the indentation", "a:\t1\n", one),
    ] {
        assert_eq!(read(text), wanted, "{name}");
    }
}

#[test]
fn f82_what_cannot_be_read_is_refused_with_its_place() {
    for (name, text, wanted) in [
        ("infinity", "a: 1\nb: .inf\n", ":2:4: "),
        ("no number", "a: .nan\n", ":1:4: "),
        ("a key twice", "a: 1\nb: 2\na: 3\n", ":3:1: "),
        ("a key twice below", "a:\n  b: 1\n  b: 1\n", ":3:3: "),
        ("a tab as indentation", "a:\n\tb: 1\n", ":2:2: "),
        ("an unknown alias", "a: *nope\n", ":1:4: "),
        ("an open list", "a: [1,\nb: 2\n", ":"),
        ("a bad second document", "a: 1\n---\na: b: c\n", ":3:"),
    ] {
        let refused = read(text).expect_err(name);
        assert!(refused.starts_with(&format!("templates/a.yaml{wanted}")), "{name}: {refused}");
        assert!(refused.contains("the rendered text is not valid YAML: "), "{name}: {refused}");
    }
}
