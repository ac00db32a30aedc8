//! From the text of a file with cases to cases.

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{Case, Expectation, MAX_CASES, Problem};
use crate::domain::bundle::entry::{Entry, Fields};
use crate::domain::bundle::{yaml, yaml_problem};
use crate::domain::manifest::GroupKind;
use crate::domain::render::mark;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cases: Vec<Spanned<Case>>,
}

/// Reads the cases of a file, named by its path inside the bundle.
///
/// # Errors
///
/// Every field that is none or cannot be read; if all can be read, everything that makes no sense.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, Vec<Problem>> {
    let read: File = yaml::read_one(text).map_err(|error| match of_fields(file, text) {
        found if found.is_empty() => yaml_problem(file, error),
        found => found,
    })?;
    let mut problems = Vec::new();
    if read.cases.is_empty() || read.cases.len() > MAX_CASES {
        problems.push(Problem::in_file(
            file,
            format!("has {} cases: write 1 to {MAX_CASES}", read.cases.len()),
        ));
    }
    let mut cases: Vec<Case> = Vec::new();
    for Spanned {
        value: mut case,
        referenced,
        ..
    } in read.cases
    {
        let line = usize::try_from(referenced.line()).unwrap_or(1);
        let mut refuse = |message: String| problems.push(Problem::at_line(file, line, format!("case {:?}: {message}", case.name)));
        if case.name.trim().is_empty() {
            refuse("has no name".into());
        }
        if cases.iter().any(|other| other.name == case.name) {
            refuse("has the name of another case: rename one".into());
        }
        for kind in &case.allow_kinds {
            if let Err(error) = kind.parse::<GroupKind>() {
                refuse(format!("allowKinds: {error}"));
            }
        }
        expectation(&case.expect).into_iter().for_each(&mut refuse);
        normalise(&mut case);
        cases.push(case);
    }
    if problems.is_empty() { Ok(cases) } else { Err(problems) }
}

/// What is wrong with the fields of each case; nothing where there is no list of mappings.
fn of_fields(file: &str, text: &str) -> Vec<Problem> {
    #[derive(Deserialize)]
    struct Entries {
        cases: Vec<Entry>,
    }
    let fields = Fields {
        file,
        text,
        what: "a case",
        names: &Case::FIELDS,
        required: &["name", "expect"],
    };
    let mut least = serde_json::Map::new();
    least.insert("name".to_owned(), "x".into());
    least.insert("expect".to_owned(), serde_json::json!({}));
    let read = yaml::read_one::<Entries>(text);
    read.map_or_else(
        |_| Vec::new(),
        |Entries { cases }| cases.iter().flat_map(|case| fields.problems::<Case>(case, &least)).collect(),
    )
}

/// Integral numbers become integers, as they do in values and in objects.
fn normalise(case: &mut Case) {
    let maps = std::iter::once(&mut case.values).chain(case.expect.objects.iter_mut().map(|object| &mut object.contains));
    for map in maps {
        let value = serde_json::Value::Object(std::mem::take(map));
        if let Ok(serde_json::Value::Object(resolved)) = mark::resolve(value, &mut usize::MAX.clone()) {
            *map = resolved;
        }
    }
}

fn expectation(expect: &Expectation) -> Vec<String> {
    let mut wrong = Vec::new();
    let gives_objects = expect.golden.is_some() || expect.count.is_some() || !expect.objects.is_empty();
    match &expect.error {
        Some(_) if gives_objects => wrong.push("expect: an error gives no objects: write error alone".to_owned()),
        Some(text) if text.trim().is_empty() => wrong.push("expect.error: write a part of the error".to_owned()),
        None if !gives_objects => wrong.push("expect: write golden, objects, count or error, or nothing is tested".to_owned()),
        _ => {}
    }
    if let Some(golden) = expect.golden.as_ref().filter(|golden| !is_inside(golden)) {
        wrong.push(format!(
            "expect.golden: {golden:?} should be a file in a folder below tests/, such as golden/default.yaml"
        ));
    }
    for object in expect.objects.iter().filter(|object| object.absent) {
        if !object.contains.is_empty() || !object.without.is_empty() {
            wrong.push(format!(
                "expect.objects: {} {} cannot be absent and contain something",
                object.kind, object.name
            ));
        }
    }
    wrong
}

/// Whether a path stays below `tests/`, in a folder: what lies in `tests/` itself is a file with cases.
fn is_inside(path: &str) -> bool {
    let is_plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0']);
    path.contains('/') && path.ends_with(".yaml") && path.split('/').all(is_plain)
}
