//! Which layer may use which, and which names may stand where.

use super::Violation;
use super::source::Source;

/// What each layer may use of the others, besides itself. A path allows everything below it.
const LAYERS: [(&str, &[&str]); 14] = [
    ("domain", &[]),
    ("api", &["domain"]),
    ("metrics", &["domain"]),
    ("config", &["domain"]),
    ("githost", &["domain"]),
    ("render", &["domain"]),
    ("cluster", &["api", "domain"]),
    ("controller", &["cluster", "githost", "render", "api", "domain", "metrics"]),
    (
        "server",
        &[
            "githost::signature",
            "githost::payload",
            "githost::endpoint",
            "controller::inbox",
            "domain",
            "metrics",
        ],
    ),
    (
        "app",
        &[
            "controller",
            "server",
            "cluster",
            "render",
            "githost",
            "api",
            "domain",
            "config",
            "metrics",
        ],
    ),
    // The hook commands write a delivery as the plain provider reads it.
    ("cli", &["app", "config", "api", "domain", "render", "githost"]),
    ("telemetry", &[]),
    ("main", &["cli", "telemetry"]),
    ("lib", &[]),
];

/// Names, as paths, that only these places may hold.
struct Name {
    /// The path, or a word of the language.
    name: &'static str,
    /// Where it may stand: beginnings of file paths.
    only: &'static [&'static str],
    /// Why.
    reason: &'static str,
}

const NAMES: [Name; 7] = [
    Name {
        name: "octocrab",
        only: &["githost/github"],
        reason: "only githost/github names octocrab: everything else works with any host",
    },
    Name {
        name: "warp",
        only: &["server"],
        reason: "only server names warp: everything else works without a listener",
    },
    Name {
        name: "kube::Client",
        only: &["cluster", "controller", "app"],
        reason: "only cluster, controller and app hold a kube client",
    },
    Name {
        name: "kube::Api",
        only: &["cluster", "controller", "app"],
        reason: "only cluster, controller and app hold a kube client",
    },
    Name {
        name: "kube::api::Api",
        only: &["cluster", "controller", "app"],
        reason: "only cluster, controller and app hold a kube client",
    },
    Name {
        name: "kube::client",
        only: &["cluster", "controller", "app"],
        reason: "only cluster, controller and app hold a kube client",
    },
    Name {
        name: "anyhow",
        only: &["main", "cli"],
        reason: "only main and cli use anyhow: what is handled needs a type",
    },
];

/// What would make a decision depend on more than its arguments. A name is found wherever it stands in a path.
const IMPURE: [&str; 21] = [
    "async",
    "await",
    "futures",
    "tokio",
    "tracing",
    "octocrab",
    "warp",
    "reqwest",
    "kube",
    "k8s_openapi",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
    "rand",
    "getrandom",
];

/// Everything in `source` that does not belong there.
pub fn check(source: &Source) -> Vec<Violation> {
    let violation = |line, reason| Violation {
        path: source.path.clone(),
        line,
        reason,
    };
    let layer = source.layer();
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        let reason = format!("{layer} is no layer: add it to the table with what it may use");
        return source
            .named()
            .first()
            .map(|named| violation(named.line, reason))
            .into_iter()
            .collect();
    };
    let mut found = Vec::new();
    for named in source.named() {
        let path = named.segments.join("::");
        if let Some(used) = path.strip_prefix("crate::")
            && !may_use(layer, allowed, used)
        {
            let used = name_of(allowed, used);
            found.push(violation(
                named.line,
                format!("{layer} must not use {used}: dependencies point inwards"),
            ));
        }
        for rule in NAMES.iter().filter(|rule| is_below(&path, rule.name)) {
            if !rule.only.iter().any(|place| source.path.starts_with(place)) {
                found.push(violation(named.line, rule.reason.to_owned()));
            }
        }
        let impure = IMPURE
            .iter()
            .filter(|name| layer == "domain" && format!("::{path}::").contains(&format!("::{name}::")));
        for name in impure {
            let reason = format!("domain must not name {name}: a decision depends on its arguments alone");
            found.push(violation(named.line, reason));
        }
    }
    found
}

fn may_use(layer: &str, allowed: &[&str], used: &str) -> bool {
    is_below(used, layer) || allowed.iter().any(|path| is_below(used, path)) || is_macro_or_root(used)
}

/// Whether `path` is `above`, or something in it.
fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// A name of the crate's root itself, such as an exported macro.
fn is_macro_or_root(used: &str) -> bool {
    let first = used.split("::").next().unwrap_or_default();
    !LAYERS.iter().any(|(layer, _)| *layer == first)
}

/// As much of a path as the table speaks of: two parts where only parts of the layer are allowed.
fn name_of(allowed: &[&str], used: &str) -> String {
    let first = used.split("::").next().unwrap_or_default();
    let parts = if allowed.iter().any(|path| path.starts_with(&format!("{first}::"))) {
        2
    } else {
        1
    };
    used.split("::").take(parts).collect::<Vec<_>>().join("::")
}
