//! What comes from outside as bytes: whatever they are, there is an answer or an error, and what is promised of answers holds.
//!
//! Each body takes bytes alone, so that a coverage-guided fuzzer can drive it as well. Here it gets bounded random input: bytes, and
//! words of the format in random order, which come much further than bytes do.
#![allow(clippy::unwrap_used, reason = "a broken promise is the test's failure")]

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use graftling::domain::bundle::archive::{self, Limits, Selection};
use graftling::domain::bundle::{Bundle, MAX_BUNDLE, Problem};
use graftling::domain::policy::AllowedKeys;
use graftling::domain::render::{Layer, Origin, layer_values, merge_values, read_branch_file};
use proptest::prelude::*;
use serde_json::{Map, Value};

fn bundle(file: &str, bytes: &[u8]) -> Result<Bundle, Vec<Problem>> {
    let mut files = BTreeMap::from([
        ("bundle.yaml".to_owned(), b"name: fuzz\nversion: '1'\n".to_vec()),
        ("manifests/a.yaml".to_owned(), b"kind: ConfigMap\n".to_vec()),
    ]);
    files.insert(file.to_owned(), bytes.to_vec());
    Bundle::parse(&files)
}

/// Every problem names a file of the bundle and, where it names a line, one that the file has.
fn check_places(file: &str, bytes: &[u8], problems: &[Problem]) {
    assert!(!problems.is_empty());
    let lines = String::from_utf8_lossy(bytes).matches('\n').count() + 1;
    for problem in problems.iter().filter(|problem| problem.file == file) {
        assert!(problem.line.is_none_or(|line| (1..=lines + 1).contains(&line)), "{problem:#}");
        assert!(!problem.message.is_empty() && !problem.message.contains('\n'), "{problem:#}");
    }
}

// === the bodies ===

fn template_guard(bytes: &[u8]) {
    let file = "templates/a.yaml";
    if let Err(problems) = bundle(file, bytes) {
        check_places(file, bytes, &problems);
    }
}

fn yaml_reader(bytes: &[u8]) {
    for file in ["manifests/b.yaml", "values.yaml"] {
        match bundle(file, bytes) {
            Ok(bundle) => assert_eq!(bundle.digest().len(), 64),
            Err(problems) => check_places(file, bytes, &problems),
        }
    }
}

fn archive_reader(bytes: &[u8]) {
    let selection = Selection {
        in_folder: false,
        below: &".".parse().unwrap(),
    };
    let Ok(contents) = archive::read(bytes, selection, &Limits::BUNDLE) else {
        return;
    };
    let size: usize = contents.files.values().map(Vec::len).sum();
    assert!(size <= MAX_BUNDLE, "{size}");
    for path in contents.files.keys() {
        let leads_out = path.starts_with('/') || path.split('/').any(|part| part.is_empty() || part == "." || part == "..");
        assert!(!leads_out, "{path:?}");
    }
}

/// The bytes are two layers, one after the other, and a branch's file.
fn values_merge(bytes: &[u8]) {
    let _ = read_branch_file(bytes, &AllowedKeys::new(vec!["a.*".parse().unwrap()]));
    let mut documents = bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Map<String, Value>>(line).ok());
    let (first, second) = (documents.next().unwrap_or_default(), documents.next().unwrap_or_default());
    let merged = merge_values(first.clone(), &second);
    let layered = layer_values(&first, &[Layer::new(Origin::Project, second.clone())]);
    assert_eq!(layered.values(), &merged, "with and without origins, the values are the same");
    assert_eq!(
        merge_values(merged.clone(), &second),
        merged,
        "laying the same over again changes nothing"
    );
    for (path, origin) in layered.leaves() {
        assert!(matches!(origin, Origin::Bundle | Origin::Project), "{path}");
        assert!(layered.get(path).is_some(), "{path}");
    }
}

// === bounded random input ===

fn words(words: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![8 => prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec()), 1 => prop::collection::vec(any::<u8>(), 0..4)];
    prop::collection::vec(word, 0..most).prop_map(|parts| parts.concat())
}

const TEMPLATE: &[&str] = &[
    "{{",
    "}}",
    "{{{",
    "}}}",
    "{{#if a}}",
    "{{#each a}}",
    "{{#range a}}",
    "{{#with a}}",
    "{{/if}}",
    "{{/each}}",
    "{{/with}}",
    "{{else}}",
    "{{else if b}}",
    "{{> x}}",
    "{{#> x}}",
    "{{*inline \"x\"}}",
    "{{!-- ",
    " --}}",
    "{{~",
    "~}}",
    "\\{{",
    "\\\\{{",
    "(",
    ")",
    "[",
    "]",
    "\"",
    "'",
    "|",
    "as |x|",
    "../",
    "@root.",
    "@index",
    "this",
    "values.a",
    "quote ",
    "include \"x\" .",
    "tpl values.a .",
    " ",
    "\n",
    ": ",
    "- ",
    "a=1",
    "true",
    "0",
];

const YAML: &[&str] = &[
    "a",
    "b",
    ": ",
    ":",
    "- ",
    "-",
    "\n",
    "  ",
    "    ",
    "\t",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&x ",
    "*x",
    "<<: ",
    "!!str ",
    "!include ",
    "|",
    ">",
    "|-",
    "\"",
    "'",
    "#",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "? ",
    "yes",
    "0755",
    "1e3",
    "1_000",
    ".inf",
    "~",
    "null",
    "\u{feff}",
    "\r\n",
    "\u{2028}",
    "\\n",
    "@",
    "`",
];

const JSON: &[&str] = &[
    "{\"a\":1}",
    "{\"a\":null}",
    "{\"a\":{\"b\":1}}",
    "{\"a\":{\"b\":null}}",
    "{\"a\":{\"b\":{\"c\":[1]}}}",
    "{\"a\":[]}",
    "{}",
    "{\"\":{\"\":0}}",
    "{\"a.b\":1}",
    "{\"a\":{}}",
    "\n",
    "{\"b\":{\"c\":\"x\"}}",
    "{\"b\":null}",
];

fn packed(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let raw = &mut header.as_old_mut().name;
        let length = name.len().min(raw.len());
        raw[..length].copy_from_slice(&name.as_bytes()[..length]);
        header.set_cksum();
        tar.append(&header, content.as_slice()).unwrap();
    }
    zipped(&tar.into_inner().unwrap())
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn f81_fuzz_template_guard_answers_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400), text in words(TEMPLATE, 60)) {
        template_guard(&bytes);
        template_guard(&text);
    }

    #[test]
    fn f82_fuzz_yaml_reader_answers_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400), text in words(YAML, 60)) {
        yaml_reader(&bytes);
        yaml_reader(&text);
    }

    #[test]
    fn threat_t30_fuzz_archive_reader_answers_any_bytes(
        bytes in prop::collection::vec(any::<u8>(), 0..2_000),
        names in prop::collection::vec("(\\.\\./|/|\\./|a/|b|bundle\\.yaml|\u{1}|ä){1,6}", 0..6),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        archive_reader(&bytes);
        archive_reader(&zipped(&bytes));
        let entries: Vec<_> = names.into_iter().map(|name| (name, bytes.clone())).collect();
        let mut archive = packed(&entries);
        archive_reader(&archive);
        for (index, byte) in flips {
            let place = index.index(archive.len());
            archive[place] = byte;
        }
        archive_reader(&archive);
    }

    #[test]
    fn feature_p1_fuzz_values_merge_keeps_its_promises(bytes in prop::collection::vec(any::<u8>(), 0..400), text in words(JSON, 8)) {
        values_merge(&bytes);
        values_merge(&text);
    }
}
