//! Values with their origins, in the forms that `--output` offers.

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::output::{OutputError, json, yaml};
use crate::cli::table::table;
use crate::domain::render::{Layered, ValuePath};

/// What stands for a value that looks secret.
const HIDDEN: &str = "***";

/// The forms of output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Columns for people
    #[default]
    Table,
    /// A list as JSON
    Json,
    /// A list as YAML
    Yaml,
}

/// Values to show.
pub struct Shown<'a> {
    /// The values.
    pub layered: &'a Layered,
    /// Whether those that look secret are shown, too.
    pub show_secrets: bool,
}

/// One value, or one that a null took away.
#[derive(Serialize)]
struct Entry {
    key: String,
    value: Value,
    from: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
}

impl Shown<'_> {
    /// The values in a form.
    pub fn text(&self, form: Form) -> Result<String, OutputError> {
        let entries = self.entries();
        match form {
            Form::Table => Ok(columns(&entries)),
            Form::Json => json(&entries),
            Form::Yaml => yaml(&entries),
        }
    }

    /// Sorted by key.
    fn entries(&self) -> Vec<Entry> {
        let present = self.layered.leaves().map(|(path, origin)| {
            let value = self.layered.get(path).cloned().unwrap_or_default();
            let value = if self.show_secrets { value } else { masked(path, value) };
            (path, value, origin, false)
        });
        let deleted = self.layered.deleted().map(|(path, origin)| (path, Value::Null, origin, true));
        let mut all: Vec<_> = present.chain(deleted).collect();
        all.sort_by_key(|(path, ..)| *path);
        let entry = |(path, value, origin, deleted): (&ValuePath, _, &_, _)| Entry {
            key: path.to_string(),
            value,
            from: format!("{origin}"),
            deleted,
        };
        all.into_iter().map(entry).collect()
    }
}

fn columns(entries: &[Entry]) -> String {
    let row = |entry: &Entry| match entry.deleted {
        true => vec![entry.key.clone(), "<none>".to_owned(), format!("taken away by {}", entry.from)],
        false if entry.value == HIDDEN => vec![entry.key.clone(), HIDDEN.to_owned(), entry.from.clone()],
        false => vec![entry.key.clone(), entry.value.to_string(), entry.from.clone()],
    };
    table(&["KEY", "VALUE", "FROM"], entries.iter().map(row))
}

/// With every text and number hidden that looks secret, inside of lists as well.
fn masked(path: &ValuePath, value: Value) -> Value {
    let below = |name: String, value: Value| masked(&ValuePath::new(path.names().iter().chain([&name])), value);
    match value {
        Value::Array(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| below(index.to_string(), item))
            .collect(),
        Value::Object(entries) => entries
            .into_iter()
            .map(|(name, entry)| (name.clone(), below(name, entry)))
            .collect(),
        Value::Null => Value::Null,
        _ if path.looks_secret() => json!(HIDDEN),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "the test's own literals are mappings")]

    use super::*;
    use crate::domain::render::{Layer, Origin, layer_values};

    fn shown(form: Form, show_secrets: bool) -> String {
        let map = |value: Value| value.as_object().unwrap().clone();
        let defaults = map(json!({
            "web": { "replicas": 1, "version": "2" },
            "database": { "password": "hush" },
            "users": [{ "name": "a", "token": "hush" }],
            "probe": "/",
        }));
        let layers = [
            Layer::new(Origin::Rule("release/*".into()), map(json!({ "web": { "replicas": 3 } }))),
            Layer::new(Origin::Environment, map(json!({ "probe": null }))),
        ];
        let layered = layer_values(&defaults, &layers);
        Shown {
            layered: &layered,
            show_secrets,
        }
        .text(form)
        .unwrap()
    }

    #[test]
    fn each_key_is_shown_with_where_it_came_from_and_no_secret() {
        insta::assert_snapshot!(shown(Form::Table, false), @r#"
        KEY                 VALUE                          FROM
        database.password   ***                            the bundle's values.yaml
        probe               <none>                         taken away by the Environment's spec.values
        users               [{"name":"a","token":"***"}]   the bundle's values.yaml
        web.replicas        3                              the Project's rule for release/*
        web.version         "2"                            the bundle's values.yaml
        "#);
    }

    #[test]
    fn secrets_are_shown_to_whom_asks_for_them_and_both_forms_hold_the_same() {
        let from_json: Value = serde_json::from_str(&shown(Form::Json, true)).unwrap();
        let from_yaml: Value = serde_saphyr::from_str(&shown(Form::Yaml, true)).unwrap();
        assert_eq!(from_json, from_yaml);
        assert_eq!(
            from_json[0],
            json!({ "key": "database.password", "value": "hush", "from": "the bundle's values.yaml" })
        );
        assert_eq!(from_json[1]["deleted"], true);
        assert!(!shown(Form::Json, false).contains("hush") && !shown(Form::Yaml, false).contains("hush"));
    }
}
