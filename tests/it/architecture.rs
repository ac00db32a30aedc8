//! The shape of `src/`: who may depend on whom, what may stand where, how long files and functions may be.
//!
//! One package has no layers that Cargo could enforce, so this test does: it reads the sources and fails with file, line and reason.

mod layers;
mod modules;
mod size;
mod source;

use std::fmt;
use std::fs;
use std::path::Path;

use source::Source;

/// Something that is not allowed where it stands.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    line: usize,
    reason: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "src/{}:{}: {}", self.path, self.line, self.reason)
    }
}

fn violations(sources: &[Source]) -> Vec<Violation> {
    let mut found: Vec<_> = sources
        .iter()
        .flat_map(|source| {
            let mut of_file = layers::check(source);
            of_file.extend(size::check(source));
            of_file
        })
        .collect();
    found.extend(modules::check(sources));
    found.sort();
    found
}

fn read(directory: &Path, root: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).expect("src/ can be read") {
        let path = entry.expect("src/ can be read").path();
        if path.is_dir() {
            read(&path, root, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root).expect("it was found below the root");
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            sources.push(Source::new(&relative.to_string_lossy().replace('\\', "/"), &text));
        }
    }
}

fn all_sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    read(&root, &root, &mut sources);
    sources
}

#[test]
fn every_file_keeps_to_its_layer_and_its_size() {
    let sources = all_sources();
    assert!(sources.len() > 50, "only {} files were read", sources.len());
    let found: Vec<_> = violations(&sources).iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

/// One small file each, with the beginning of what must be said about it.
const VIOLATIONS: [(&str, &str, &str); 33] = [
    ("domain/x.rs", "use crate::api::keys;", "domain must not use api"),
    (
        "domain/x.rs",
        "use {crate::githost::Error, std::fmt};",
        "domain must not use githost",
    ),
    (
        "domain/x.rs",
        "fn f() { super::super::cluster::go() }",
        "domain must not use cluster",
    ),
    ("domain/x.rs", "use tokio::time;", "domain must not name tokio"),
    ("domain/x.rs", "use tracing::info;", "domain must not name tracing"),
    ("domain/x.rs", "fn f(it: kube::Error) {}", "domain must not name kube"),
    ("domain/x.rs", "use k8s_openapi::api;", "domain must not name k8s_openapi"),
    ("domain/x.rs", "pub async fn f() {}", "domain must not name async"),
    (
        "domain/x.rs",
        "use std::{collections::BTreeMap, fs};",
        "domain must not name std::fs",
    ),
    ("domain/x.rs", "fn f() { std::env::var(\"X\"); }", "domain must not name std::env"),
    ("domain/x.rs", "use std::time::{Duration, Instant};", "domain must not name Instant"),
    ("domain/x.rs", "fn f() { SystemTime::now(); }", "domain must not name SystemTime"),
    (
        "domain/x.rs",
        "fn f() { jiff::Timestamp::now(); }",
        "domain must not name Timestamp::now",
    ),
    ("domain/x.rs", "use rand::Rng;", "domain must not name rand"),
    ("domain/x.rs", "use warp::Filter;", "domain must not name warp"),
    ("api/x.rs", "use crate::cluster::Error;", "api must not use cluster"),
    ("metrics.rs", "use crate::api::Project;", "metrics must not use api"),
    ("config.rs", "use crate::controller::Settings;", "config must not use controller"),
    ("render/x.rs", "use crate::cluster::Error;", "render must not use cluster"),
    ("githost/plain.rs", "use octocrab::Octocrab;", "only githost/github names octocrab"),
    ("githost/x.rs", "use crate::controller::inbox;", "githost must not use controller"),
    ("cluster/x.rs", "use crate::controller::Inbox;", "cluster must not use controller"),
    ("controller/x.rs", "use crate::app::Access;", "controller must not use app"),
    ("controller/x.rs", "use warp::Filter;", "only server names warp"),
    (
        "server/x.rs",
        "use crate::controller::{inbox::Inbox, stores};",
        "server must not use controller::stores",
    ),
    (
        "server/x.rs",
        "use crate::githost::{github, signature};",
        "server must not use githost::github",
    ),
    (
        "server/x.rs",
        "use kube::{Resource, Api};",
        "only cluster, controller and app hold a kube client",
    ),
    ("cli/x.rs", "use crate::cluster::Connection;", "cli must not use cluster"),
    ("app/x.rs", "use crate::cli::Cli;", "app must not use cli"),
    ("app/x.rs", "fn f() -> anyhow::Result<()> {}", "only main and cli use anyhow"),
    ("main.rs", "use graftling::cluster;", "main must not use cluster"),
    ("telemetry.rs", "use crate::domain::git;", "telemetry must not use domain"),
    ("novel/x.rs", "use crate::domain::git;", "novel is no layer"),
];

#[test]
fn each_kind_of_violation_is_found_where_it_stands() {
    for (path, line, expected) in VIOLATIONS {
        let source = Source::new(path, &format!("//! A file.\n\n{line}\n"));
        let found = layers::check(&source);
        assert!(
            found
                .iter()
                .any(|violation| violation.line == 3 && violation.reason.starts_with(expected)),
            "{path}: {line}: {found:?}"
        );
    }
}

#[test]
fn what_is_allowed_passes() {
    for (path, text) in [
        (
            "domain/x.rs",
            "// use tokio::x;\n/* use kube::Api; */\nuse crate::domain::git;\nuse super::name::Namespace;\nuse std::time::Duration;",
        ),
        (
            "domain/x.rs",
            "const TEXT: &str = \"crate::api and async tokio::spawn\"; const RAW: &str = r#\"use \"kube::Api\"\"#;",
        ),
        (
            "domain/x.rs",
            "fn instantly(asynchronous: u8, c: char) -> bool { c == '\"' && asynchronous > 0 }",
        ),
        (
            "domain/x.rs",
            "fn f<'a>(text: &'a str) -> &'a str { text }\n\n#[cfg(test)]\nmod tests {\n    use tokio::time;\n    use crate::api::keys;\n}\n",
        ),
        ("domain/x/tests.rs", "use crate::api::keys;"),
        ("githost/github/api.rs", "use octocrab::Octocrab;\nuse super::super::Error;"),
        (
            "server/x.rs",
            "use warp::Filter;\nuse crate::controller::inbox::Inbox;\nuse crate::githost::{payload, signature::verify};",
        ),
        ("cluster/x.rs", "use kube::{Api, Client};\nuse crate::{api::keys, domain::plan};"),
        ("cli/x.rs", "use anyhow::Context;\nuse crate::app::access;\nuse kube::ResourceExt;"),
        ("main.rs", "use graftling::{cli, telemetry};"),
    ] {
        assert_eq!(layers::check(&Source::new(path, text)), [], "{path}: {text}");
    }
}

#[test]
fn long_files_and_functions_are_found_and_tests_may_be_long() {
    let lines = |count: usize| "    let it = 1;\n".repeat(count);
    let check = |text: &str| size::check(&Source::new("domain/x.rs", text));
    let function = |count| format!("fn long(it: impl Fn() -> u8) -> u8\nwhere\n    u8: Copy,\n{{\n{}}}\n", lines(count));
    assert_eq!(check(&function(55)), []);
    let found = check(&format!("\n{}", function(56)));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].line, 2);
    assert_eq!(found[0].reason, "long has 61 lines, at most 60 are allowed: name its parts");

    let constants = |count: usize| "const X: u8 = 1;\n".repeat(count);
    let with_tests = |count| format!("{}\n#[cfg(test)]\nmod tests {{\n{}}}\n", constants(count), constants(300));
    assert_eq!(check(&with_tests(399)), []);
    let found = check(&with_tests(400));
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].reason,
        "401 lines besides tests, at most 400 are allowed: split the file by what it owns"
    );
    assert_eq!(size::check(&Source::new("domain/x/tests.rs", &constants(1000))), []);
}

#[test]
fn files_that_nothing_compiles_are_found() {
    let sources = |files: &[(&str, &str)]| files.iter().map(|(path, text)| Source::new(path, text)).collect::<Vec<_>>();
    let whole = [
        ("lib.rs", "pub mod domain;"),
        ("main.rs", "fn main() {}"),
        ("domain.rs", "pub mod name;\n#[cfg(test)]\nmod tests;\n// mod ghost;"),
        ("domain/name.rs", ""),
        ("domain/tests.rs", ""),
    ];
    assert_eq!(modules::check(&sources(&whole)), []);
    for extra in ["domain/ghost.rs", "domain/name/tests.rs", "other.rs"] {
        let mut files = whole.to_vec();
        files.push((extra, ""));
        let found = modules::check(&sources(&files));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].path.as_str(), found[0].line), (extra, 1));
        assert!(found[0].reason.starts_with("nothing declares this module"));
    }
    let mut files = whole.to_vec();
    files.push(("domain/mod.rs", ""));
    assert!(
        modules::check(&sources(&files))
            .iter()
            .any(|found| found.reason.starts_with("modules are foo.rs"))
    );
}
