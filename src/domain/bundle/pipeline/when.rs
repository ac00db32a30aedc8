//! Whether a stage runs at all.

use serde_json::{Map, Value};

use super::globs::matcher;
use super::{Condition, Pipeline, Stage};

/// What conditions are about.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Whether no other revision was ever applied to the environment.
    pub is_first_deploy: bool,
    /// The branch.
    pub branch: &'a str,
    /// The files that have changed since the revision before, by their path in the repository. `None`: not known, and then each may have.
    pub changed: Option<&'a [String]>,
}

/// Why a condition of a rendered pipeline does not hold; `None` if it does. Globs are read as those of a Project's branches: `*` stays
/// within one segment of a path, `**` crosses them.
pub fn unmet(condition: &Condition, facts: &Facts<'_>) -> Option<String> {
    match condition.first_deploy {
        Some(true) if !facts.is_first_deploy => return Some("runs in the first deployment only".to_owned()),
        Some(false) if facts.is_first_deploy => return Some("does not run in the first deployment".to_owned()),
        _ => {}
    }
    let globs = &condition.branches;
    if !globs.is_empty() && !globs.iter().any(|glob| is_match(glob, facts.branch)) {
        return Some(format!("does not run for this branch, but for {}", globs.join(", ")));
    }
    let globs = &condition.changes;
    if let Some(changed) = facts.changed.filter(|_| !globs.is_empty())
        && !changed.iter().any(|file| globs.iter().any(|glob| is_match(glob, file)))
    {
        return Some(format!("no file has changed that matches {}", globs.join(", ")));
    }
    // Whether the value is set was found when the pipeline was rendered: then only one that is not is still there.
    condition.value.as_ref().map(|value| format!("the value {value} is not set"))
}

fn is_match(glob: &str, text: &str) -> bool {
    matcher(glob).is_ok_and(|glob| glob.is_match(text))
}

impl Pipeline {
    /// Takes the values out of conditions that ask for one that is set, so that whoever has the pipeline needs no values. What is left of
    /// them does not hold.
    pub(in crate::domain) fn settle_values(&mut self, values: &Map<String, Value>) {
        for Stage { when, .. } in self.stages.iter_mut().chain(&mut self.teardown) {
            when.value.take_if(|path| is_set(values, path));
        }
    }
}

/// Whether a value is there and neither null, false, zero nor empty.
fn is_set(values: &Map<String, Value>, path: &str) -> bool {
    let mut parts = path.split('.');
    let first = parts.next().and_then(|part| values.get(part));
    let value = parts.fold(first, |value, part| value?.get(part));
    match value {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Bool(true)) => true,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(entries)) => !entries.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a condition that cannot be read is the test's failure")]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn reason(condition: Value, facts: &Facts<'_>) -> String {
        unmet(&serde_json::from_value(condition).unwrap(), facts).unwrap_or_default()
    }

    const FIRST: Facts<'_> = Facts {
        is_first_deploy: true,
        branch: "feature/a/b",
        changed: None,
    };

    #[test]
    fn all_that_is_said_must_hold() {
        let changed = ["db/migrations/1.sql".to_owned(), "README.md".to_owned()];
        let later = Facts {
            is_first_deploy: false,
            changed: Some(&changed),
            ..FIRST
        };
        for (condition, facts, wanted) in [
            (json!({}), FIRST, ""),
            (json!({ "firstDeploy": true }), FIRST, ""),
            (json!({ "firstDeploy": true }), later, "runs in the first deployment only"),
            (json!({ "firstDeploy": false }), FIRST, "does not run in the first deployment"),
            (json!({ "branches": ["main", "feature/**"] }), FIRST, ""),
            (
                json!({ "branches": ["main", "feature/*"] }),
                FIRST,
                "does not run for this branch, but for main, feature/*",
            ),
            (json!({ "changes": ["db/**"] }), later, ""),
            (
                json!({ "changes": ["db/*", "*.txt"] }),
                later,
                "no file has changed that matches db/*, *.txt",
            ),
            (json!({ "changes": ["nothing"] }), FIRST, ""),
            (json!({ "value": "a.b" }), FIRST, "the value a.b is not set"),
            (
                json!({ "firstDeploy": false, "branches": ["x"], "value": "y" }),
                later,
                "does not run for this branch, but for x",
            ),
        ] {
            assert_eq!(reason(condition.clone(), &facts), wanted, "{condition}");
        }
        assert_eq!(
            reason(
                json!({ "changes": ["a"] }),
                &Facts {
                    changed: Some(&[]),
                    ..FIRST
                }
            ),
            "no file has changed that matches a"
        );
    }

    #[test]
    fn a_value_is_set_unless_it_is_nothing() {
        let values =
            json!({ "a": { "yes": "x", "one": 1, "list": [0], "no": false, "zero": 0, "none": null, "empty": "", "map": {} }, "t": true });
        let values = values.as_object().unwrap();
        for path in ["a", "a.yes", "a.one", "a.list", "t"] {
            assert!(is_set(values, path), "{path}");
        }
        for path in ["a.no", "a.zero", "a.none", "a.empty", "a.map", "a.nope", "b", "t.x", "", "a."] {
            assert!(!is_set(values, path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_is_said_more_never_lets_more_run(first in any::<bool>(), is_first in any::<bool>(), branch in "[a-c/]{1,5}", glob in "[a-c*/]{1,5}") {
            let facts = Facts { is_first_deploy: is_first, branch: &branch, changed: None };
            let one = json!({ "firstDeploy": first });
            let both = json!({ "firstDeploy": first, "branches": [glob] });
            prop_assert!(reason(one, &facts).is_empty() || !reason(both, &facts).is_empty());
        }
    }
}
