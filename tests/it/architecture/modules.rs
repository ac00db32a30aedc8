//! Every file is part of the crate: a test file that nothing compiles proves nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use super::source::Source;

/// Files that no module declaration leads to, and files in the form that we do not use.
pub fn check(sources: &[Source]) -> Vec<Violation> {
    let by_path: BTreeMap<&str, &Source> = sources.iter().map(|source| (source.path.as_str(), source)).collect();
    let mut reached = BTreeSet::new();
    let mut open = vec!["lib.rs".to_owned(), "main.rs".to_owned()];
    while let Some(path) = open.pop() {
        if let Some(source) = by_path.get(path.as_str()).filter(|_| reached.insert(path.clone())) {
            open.extend(declared(source));
        }
    }
    let violation = |path: &str, reason: &str| Violation {
        path: path.to_owned(),
        line: 1,
        reason: reason.to_owned(),
    };
    let orphans = by_path
        .keys()
        .filter(|path| !reached.contains(**path))
        .map(|path| violation(path, "nothing declares this module: it is never compiled"));
    let old_form = by_path
        .keys()
        .filter(|path| path.ends_with("mod.rs"))
        .map(|path| violation(path, "modules are foo.rs beside foo/, never mod.rs"));
    orphans.chain(old_form).collect()
}

/// The files of the modules that a file declares.
fn declared(source: &Source) -> Vec<String> {
    let directory = match source.path.as_str() {
        "lib.rs" | "main.rs" => String::new(),
        path => format!("{}/", path.trim_end_matches(".rs")),
    };
    let names = source.lines.iter().filter_map(|line| {
        let declaration = line.trim().strip_suffix(';')?;
        let name = declaration.split_whitespace().last()?;
        let is_module = declaration.split_whitespace().any(|word| word == "mod");
        is_module.then(|| format!("{directory}{name}.rs"))
    });
    names.collect()
}
