//! What is kept although it would be deleted, and the mark of what an earlier environment left.

/// Annotation: the object that bears it with the value `true` is never deleted, neither by a teardown nor because its bundle drops it.
pub const RETAIN_ANNOTATION: &str = "graftling.dev/retain";

/// Annotation on what a teardown left because of [`RETAIN_ANNOTATION`]: the UID of the Environment that it was made for.
pub const RETAINED_FROM_ANNOTATION: &str = "graftling.dev/retained-from";

/// What an object's annotations say about its keeping.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retention {
    /// Somebody asked that it be kept. Who does not matter: whoever may annotate an object decides about it.
    pub asked: bool,
    /// The UID of the Environment whose teardown left it.
    pub from: Option<String>,
}

impl Retention {
    /// Reads annotations by their keys.
    pub fn of<'a>(annotation: impl Fn(&str) -> Option<&'a str>) -> Self {
        Self {
            asked: annotation(RETAIN_ANNOTATION) == Some("true"),
            from: annotation(RETAINED_FROM_ANNOTATION).map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feature_x3_only_the_word_true_keeps_an_object() {
        for (value, asked) in [
            (Some("true"), true),
            (Some("True"), false),
            (Some("false"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(
                Retention::of(|key| value.filter(|_| key == RETAIN_ANNOTATION)).asked,
                asked,
                "{value:?}"
            );
        }
    }
}
