//! What a container of a stage is told: image, command, variables, what it may use and what it hands on.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fields::{Fields, as_text};
use super::{is_template, outputs};
use crate::domain::name::check_subdomain;

/// The most variables of a container beside the facts.
const MAX_VARIABLES: usize = 200;

/// What begins the name of every variable that graftling sets.
pub(super) const OWN_VARIABLES: &str = "GRAFTLING_";

/// A container.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// The image.
    pub image: String,
    /// What is run instead of the image's entry point.
    pub command: Vec<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Where it runs, instead of the image's folder.
    pub working_dir: Option<String>,
    /// Variables beside the facts about the environment.
    pub env: BTreeMap<String, Variable>,
    /// Secrets and ConfigMaps of the environment whose entries become variables.
    pub env_from: Vec<EnvFrom>,
    /// Requests and limits, as Kubernetes writes them.
    pub resources: Option<Value>,
    /// Which small results it hands on: it writes lines `NAME=value` to the file that `GRAFTLING_OUTPUTS` names.
    pub outputs: Vec<String>,
}

/// The value of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// Text, in which Kubernetes puts the value of an earlier variable in the place of `$(NAME)`.
    Text(String),
    /// An entry of a Secret of the environment.
    Secret {
        /// The Secret.
        name: String,
        /// The entry.
        key: String,
    },
    /// An entry of a ConfigMap of the environment.
    ConfigMap {
        /// The ConfigMap.
        name: String,
        /// The entry.
        key: String,
    },
}

/// An object whose entries become variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvFrom {
    /// A Secret, by its name.
    Secret(String),
    /// A ConfigMap, by its name.
    ConfigMap(String),
}

/// Reads the fields that say what a container is.
pub(super) fn read(fields: &mut Fields<'_>) -> Container {
    let container = Container {
        image: image(fields),
        command: fields.texts("command"),
        args: fields.texts("args"),
        working_dir: fields.text("workingDir"),
        env: variables(fields),
        env_from: env_from(fields),
        resources: resources(fields),
        outputs: fields.texts("outputs"),
    };
    if let Some(folder) = &container.working_dir
        && !is_template(folder)
        && !folder.starts_with('/')
    {
        fields.refuse("workingDir", "should be an absolute path: /app");
    }
    for (index, name) in container.outputs.iter().enumerate() {
        if let Err(rule) = outputs::check_name(name) {
            fields.refuse(&format!("outputs[{index}]"), rule);
        } else if container.outputs[..index].contains(name) {
            fields.refuse(&format!("outputs[{index}]"), format!("{name:?} is there twice: remove one"));
        }
    }
    container
}

fn image(fields: &mut Fields<'_>) -> String {
    let image = fields.required("image", "write the image that is run");
    let is_plain = !image.starts_with('-') && !image.chars().any(|character| character.is_whitespace() || character.is_control());
    if !is_template(&image) && !is_plain {
        fields.refuse("image", format!("{image:?} is no name of an image"));
    }
    image
}

fn variables(fields: &mut Fields<'_>) -> BTreeMap<String, Variable> {
    let mut variables = BTreeMap::new();
    let entries = fields.mapping("env");
    if entries.len() > MAX_VARIABLES {
        fields.refuse("env", format!("has more than {MAX_VARIABLES} variables: use envFrom"));
    }
    for (name, path, value) in entries {
        let mut inner = Fields::new(&path, &Value::Null);
        if let Err(rule) = check_variable(name) {
            inner.absorb(vec![format!("{path}: {rule}")]);
        }
        let variable = match (as_text(value), value) {
            (Some(text), _) => Some(Variable::Text(text)),
            (None, Value::Object(_)) => reference(&path, value, &mut inner),
            (None, _) => {
                inner.absorb(vec![format!("{path}: should be text, or {{secret: NAME, key: KEY}}")]);
                None
            }
        };
        fields.absorb(inner.finish());
        variables.extend(variable.map(|variable| (name.to_owned(), variable)));
    }
    variables
}

fn check_variable(name: &str) -> Result<(), String> {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) || !is_word {
        return Err("the name of a variable has letters, digits and _, and begins with no digit".to_owned());
    }
    if name.starts_with(OWN_VARIABLES) {
        return Err(format!(
            "names that begin with {OWN_VARIABLES} are set by graftling: choose another"
        ));
    }
    Ok(())
}

/// `{secret: NAME, key: KEY}` or the same with `configMap`.
fn reference(path: &str, value: &Value, problems: &mut Fields<'_>) -> Option<Variable> {
    let mut fields = Fields::new(path, value);
    let source = source(&mut fields);
    let key = fields.required("key", "write which entry is meant");
    problems.absorb(fields.finish());
    Some(match source? {
        EnvFrom::Secret(name) => Variable::Secret { name, key },
        EnvFrom::ConfigMap(name) => Variable::ConfigMap { name, key },
    })
}

/// The one object of the two that is named.
fn source(fields: &mut Fields<'_>) -> Option<EnvFrom> {
    let (secret, config_map) = (fields.text("secret"), fields.text("configMap"));
    let (field, name, source) = match (secret, config_map) {
        (Some(name), None) => ("secret", name.clone(), EnvFrom::Secret(name)),
        (None, Some(name)) => ("configMap", name.clone(), EnvFrom::ConfigMap(name)),
        (Some(_), Some(_)) => {
            fields.refuse("configMap", "stands beside secret: write one of the two");
            return None;
        }
        (None, None) => {
            fields.refuse("secret", "is missing: write secret or configMap, with the name of one");
            return None;
        }
    };
    check_object(fields, field, &name);
    Some(source)
}

/// What graftling keeps in an environment is nobody's to read: records of runs hold everything that was ever rendered.
fn check_object(fields: &mut Fields<'_>, field: &'static str, name: &str) {
    if is_template(name) {
        return;
    }
    if let Err(rule) = check_subdomain(name) {
        fields.refuse(field, format!("{name:?} {rule}"));
    } else if name.starts_with("graftling-") {
        fields.refuse(
            field,
            "names that begin with \"graftling-\" are kept for the system: use an object of the bundle",
        );
    }
}

fn env_from(fields: &mut Fields<'_>) -> Vec<EnvFrom> {
    let mut sources = Vec::new();
    for (path, value) in fields.list("envFrom") {
        let mut entry = Fields::new(&path, value);
        sources.extend(source(&mut entry));
        fields.absorb(entry.finish());
    }
    sources
}

/// `{requests: {cpu: 100m}, limits: {memory: 64Mi}}`, with every quantity as text.
fn resources(fields: &mut Fields<'_>) -> Option<Value> {
    let path = fields.path("resources");
    let value = fields.get("resources")?;
    let mut inner = Fields::new(&path, value);
    let mut read = Map::new();
    for side in ["requests", "limits"] {
        let mut amounts = Map::new();
        for (name, path, value) in inner.mapping(side) {
            match as_text(value).filter(|text| is_template(text) || is_quantity(text)) {
                Some(text) => {
                    amounts.insert(name.to_owned(), Value::String(text));
                }
                None => inner.absorb(vec![format!("{path}: should be a quantity: 100m, 0.5, 64Mi")]),
            }
        }
        if !amounts.is_empty() {
            read.insert(side.to_owned(), Value::Object(amounts));
        }
    }
    fields.absorb(inner.finish());
    Some(Value::Object(read))
}

/// Whether a text is a quantity as Kubernetes writes them.
pub(super) fn is_quantity(text: &str) -> bool {
    let number = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let suffix = &text[number.len()..];
    let exponent = number.split_once(['e', 'E']);
    let (mantissa, power) = exponent.unwrap_or((number, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let known = ["", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    is_number(whole) && is_number(fraction) && is_number(power) && known.contains(&suffix) && (exponent.is_none() || suffix.is_empty())
}
