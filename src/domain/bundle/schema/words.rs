//! What is wrong with a value, in the words of whoever wrote it.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::Location;
use serde_json::Value;

use crate::domain::render::ValuePath;
use crate::domain::render::suggest::did_you_mean;

/// How many alternatives of `anyOf` and `oneOf` are explained.
const MAX_ALTERNATIVES: usize = 4;

/// Something that the schema does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The value, or the one that is missing.
    pub(crate) path: ValuePath,
    /// What is wrong. Never a value that looks secret.
    pub(crate) message: String,
}

/// An error may speak of several values: each gets its own.
pub(super) fn violations(schema: &Value, error: &ValidationError<'_>) -> Vec<Violation> {
    let path = ValuePath::new(error.instance_path().segments().map(|segment| segment.to_string()));
    let one = |message: String| {
        vec![Violation {
            path: path.clone(),
            message,
        }]
    };
    let inside = |name: &str| {
        let mut names = path.names().to_vec();
        names.push(name.to_owned());
        ValuePath::new(names)
    };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected
            .iter()
            .map(|name| Violation {
                path: inside(name),
                message: format!("is unknown to the bundle's schema{}", nearest(schema, error.schema_path(), name)),
            })
            .collect(),
        ValidationErrorKind::Required { property } => vec![Violation {
            path: inside(property.as_str().unwrap_or_default()),
            message: "is missing: the bundle's schema requires it".to_owned(),
        }],
        ValidationErrorKind::FalseSchema => one("is not allowed by the bundle's schema".to_owned()),
        ValidationErrorKind::PropertyNames { error: cause } => one(format!(
            "has a name that is not allowed: {}",
            cause.masked_with(cause.instance().to_string())
        )),
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            one(alternatives(schema, &path, context))
        }
        _ => one(error.masked_with(path.show(error.instance())).to_string()),
    }
}

/// What is wrong with a schema, where the value is no secret.
pub(super) fn of_schema(error: &ValidationError<'_>) -> String {
    let shown = ValuePath::default().show(error.instance());
    let is_type = error
        .instance_path()
        .segments()
        .last()
        .is_some_and(|name| name.to_string() == "type");
    let message = match is_type {
        true => format!("{shown} is none of array, boolean, integer, null, number, object, string, or a list of them"),
        false => error.masked_with(shown).to_string(),
    };
    match error.instance_path().segments().last() {
        Some(name) => format!("{name}: {message}"),
        None => message,
    }
}

/// The first thing that is wrong by each alternative.
fn alternatives(schema: &Value, around: &ValuePath, context: &[Vec<ValidationError<'static>>]) -> String {
    let reasons: Vec<String> = context
        .iter()
        .filter_map(|errors| errors.iter().flat_map(|error| violations(schema, error)).next())
        .take(MAX_ALTERNATIVES)
        .map(|violation| match violation.path == *around {
            true => violation.message,
            false => format!("{} {}", violation.path, violation.message),
        })
        .collect();
    format!("fits none of the alternatives: {}", reasons.join("; or "))
}

/// The name nearest to an unknown one among those that the schema knows there.
fn nearest(schema: &Value, keyword: &Location, name: &str) -> String {
    let around = keyword.as_str().rsplit_once('/').map_or("", |(around, _)| around);
    let known = schema.pointer(around).and_then(|part| part.get("properties")?.as_object());
    match known {
        Some(known) => did_you_mean(name, known.keys().map(String::as_str)),
        None => String::new(),
    }
}
