//! The release that helm is asked to render, and the documents in what it answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::context::RenderContext;
use super::{Document, MAX_OUTPUT, RenderErrors, mark, no_view};
use crate::domain::bundle::chart::actions;
use crate::domain::bundle::{Chart, ChartSettings, Hooks, Problem, yaml};

/// Everything that `helm template` is a function of, besides the chart's files and helm itself.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// The release's name: that of the environment.
    pub name: String,
    /// The release's namespace: that of the environment.
    pub namespace: String,
    /// The chart's name, which stands in front of every path that helm prints.
    pub chart: String,
    /// Where the chart is in the bundle, and what happens to hooks and definitions.
    pub settings: ChartSettings,
    /// What is laid over the chart's own values. A null takes a value away, as helm reads it.
    pub values: Map<String, Value>,
    /// Whether helm has to give the same twice before it is believed.
    pub is_unordered: bool,
}

/// The hook annotation.
const HOOK: &str = "/metadata/annotations/helm.sh~1hook";

impl Release {
    /// The release of an environment.
    pub(super) fn new(chart: &Chart, context: &RenderContext) -> Result<Self, RenderErrors> {
        let layers = context.values.iter().map(|layer| &layer.values);
        let mut values = layers.fold(chart.overrides.clone(), lay_over);
        if chart.renders_values {
            let problems: Vec<_> = values.values().filter_map(unsteady).collect();
            if !problems.is_empty() {
                return Err(RenderErrors(problems));
            }
        }
        let facts = context.facts().map_err(|error| no_view(&error))?;
        if !chart.closed_to.contains("graftling") {
            values.insert("graftling".to_owned(), facts.clone());
        }
        if !chart.closed_to.contains("global") {
            let global = values.entry("global").or_insert_with(|| Value::Object(Map::new()));
            if let Some(global) = global.as_object_mut() {
                global.insert("graftling".to_owned(), facts);
            }
        }
        Ok(Self {
            name: context.environment.as_str().to_owned(),
            namespace: context.environment.namespace().as_str().to_owned(),
            chart: chart.name.clone(),
            settings: chart.settings.clone(),
            values,
            is_unordered: chart.is_unordered,
        })
    }

    /// The documents that helm has printed, without hooks that are not to be applied.
    ///
    /// Their file is the template, and their line that of what `helm template --show-only` prints for it: the line of the template
    /// is not known to anybody.
    ///
    /// # Errors
    /// Every document that is not YAML, and every hook that the bundle does not say what to do with.
    pub fn documents(&self, output: &str) -> Result<Vec<Document>, RenderErrors> {
        if output.len() > MAX_OUTPUT {
            let message = format!("the chart gives more than {} MiB of text", MAX_OUTPUT >> 20);
            return Err(RenderErrors(vec![Problem::in_file(&self.settings.file("templates"), message)]));
        }
        let mut documents = Vec::new();
        let mut problems = Vec::new();
        for part in parts(output) {
            let file = format!("{} (as helm renders it)", self.file(part.source));
            match yaml::read_all(part.text) {
                Ok(found) => documents.extend(found.into_iter().map(|document| Document {
                    file: file.clone(),
                    line: part.line + document.line - 1,
                    value: mark::with_integers(document.value),
                })),
                Err(error) => {
                    let line = part.line + error.place.map_or(1, |(line, _)| line) - 1;
                    problems.push(Problem::at_line(&file, line, error.message));
                }
            }
        }
        documents.retain(|document| match self.verdict(document) {
            Ok(is_kept) => is_kept,
            Err(problem) => {
                problems.push(problem);
                false
            }
        });
        if problems.is_empty() {
            Ok(documents)
        } else {
            Err(RenderErrors(problems))
        }
    }

    /// The file of the bundle for a path as helm prints it.
    pub fn file(&self, source: &str) -> String {
        let inside = source.strip_prefix(&self.chart).and_then(|rest| rest.strip_prefix('/'));
        self.settings.file(inside.unwrap_or(source))
    }

    fn verdict(&self, document: &Document) -> Result<bool, Problem> {
        let hook = document.value.pointer(HOOK).and_then(Value::as_str);
        let Some(hook) = hook.filter(|hook| !hook.trim().is_empty()) else {
            return Ok(true);
        };
        let mut events = hook.split(',').map(str::trim);
        if events.clone().all(|event| event.starts_with("test")) {
            return Ok(false);
        }
        match self.settings.hooks {
            Hooks::Omit => Ok(false),
            Hooks::Apply => Ok(events.any(|event| matches!(event, "pre-install" | "pre-upgrade" | "post-install" | "post-upgrade"))),
            Hooks::Refuse => Err(Problem::at_line(
                &document.file,
                document.line,
                format!(
                    "is a Helm hook ({hook}), and nobody runs it as one: say in bundle.yaml `chart: {{hooks: apply}}` to have hooks of installing and upgrading as ordinary objects, or `hooks: omit` to leave all of them out"
                ),
            )),
        }
    }
}

/// Values may hold secrets, so only what is rendered is shown.
impl std::fmt::Debug for Release {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Release({} of {})", self.name, self.chart)
    }
}

/// A part of helm's output: what one document of one template gave.
struct Part<'a> {
    source: &'a str,
    /// The line of its first line, counted over everything that its template gave.
    line: usize,
    text: &'a str,
}

fn parts(output: &str) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let mut lines: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    let mut rest = output;
    while !rest.is_empty() {
        let body = rest.strip_prefix("---\n").unwrap_or(rest);
        let end = body.find("\n---\n").map_or(body.len(), |end| end + 1);
        let text = &rest[..rest.len() - body.len() + end];
        rest = &rest[text.len()..];
        let source = body
            .strip_prefix("# Source: ")
            .and_then(|rest| rest.lines().next())
            .unwrap_or_default();
        let before = lines.entry(source).or_insert(0);
        parts.push(Part {
            source,
            line: *before + 1,
            text,
        });
        *before += text.lines().count();
    }
    parts
}

/// Lays `over` on `base` and keeps every null, because the default that it takes away is in the chart.
fn lay_over(mut base: Map<String, Value>, over: &Map<String, Value>) -> Map<String, Value> {
    for (key, value) in over {
        let merged = match (base.remove(key), value) {
            (Some(Value::Object(below)), Value::Object(patch)) => Value::Object(lay_over(below, patch)),
            (_, other) => other.clone(),
        };
        base.insert(key.clone(), merged);
    }
    base
}

/// What a chart that renders its values may not find in them.
fn unsteady(value: &Value) -> Option<Problem> {
    match value {
        Value::String(text) => {
            let refusal = actions::calls(text).iter().find_map(actions::Call::refusal)?;
            Some(Problem::in_file(
                "values.yaml",
                format!("the chart renders the values, and in one of them {refusal}"),
            ))
        }
        Value::Array(items) => items.iter().find_map(unsteady),
        Value::Object(entries) => entries.values().find_map(unsteady),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a refusal is the test's failure")]

    use serde_json::json;

    use super::*;

    fn release(hooks: Hooks) -> Release {
        Release {
            name: "a".into(),
            namespace: "a".into(),
            chart: "web".into(),
            settings: ChartSettings {
                hooks,
                ..ChartSettings::default()
            },
            values: Map::new(),
            is_unordered: false,
        }
    }

    const OUTPUT: &str = "\
---
# Source: web/templates/a.yaml
a: 1
---
# Source: web/charts/b/templates/a.yaml
b: |
  text
---
# Source: web/templates/a.yaml

c: 3.0
";

    #[test]
    fn feature_p5_a_document_is_named_by_its_template_and_its_line_in_helms_output() {
        let documents = release(Hooks::Refuse).documents(OUTPUT).unwrap();
        let found: Vec<_> = documents
            .iter()
            .map(|document| (document.file.as_str(), document.line, &document.value))
            .collect();
        assert_eq!(
            found,
            [
                ("chart/templates/a.yaml (as helm renders it)", 3, &json!({ "a": 1 })),
                ("chart/charts/b/templates/a.yaml (as helm renders it)", 3, &json!({ "b": "text\n" })),
                ("chart/templates/a.yaml (as helm renders it)", 7, &json!({ "c": 3 })),
            ]
        );
    }

    #[test]
    fn feature_p5_hooks_are_refused_applied_or_left_out_and_tests_are_always_left_out() {
        let hook = |hook: &str| {
            format!("---\n# Source: web/templates/j.yaml\nkind: Job\nmetadata: {{annotations: {{helm.sh/hook: \"{hook}\"}}}}\n")
        };
        let count = |hooks, output: &str| release(hooks).documents(output).map(|documents| documents.len());
        for (event, applied) in [
            ("pre-install, pre-upgrade", 1),
            ("post-delete", 0),
            ("test", 0),
            ("test-success", 0),
        ] {
            assert_eq!(count(Hooks::Apply, &hook(event)), Ok(applied), "{event}");
            assert_eq!(count(Hooks::Omit, &hook(event)), Ok(0), "{event}");
        }
        assert_eq!(count(Hooks::Refuse, &hook("test")), Ok(0));
        let error = count(Hooks::Refuse, &hook("pre-upgrade")).unwrap_err().to_string();
        assert!(
            error.starts_with("chart/templates/j.yaml (as helm renders it):3: is a Helm hook (pre-upgrade)"),
            "{error}"
        );
    }

    #[test]
    fn a_null_reaches_the_chart_and_its_subcharts() {
        let map = |value: Value| value.as_object().unwrap().clone();
        let laid = lay_over(
            map(json!({ "a": { "b": 1 }, "c": 1 })),
            &map(json!({ "a": { "d": null }, "c": null })),
        );
        assert_eq!(Value::Object(laid), json!({ "a": { "b": 1, "d": null }, "c": null }));
    }
}
