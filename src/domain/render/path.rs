//! Where a value is: the names that lead to it through mappings and lists.

use std::fmt;

use serde_json::Value;

/// Words that let a value be taken for a secret, whichever name of its path holds one. Rather one too many: what is hidden can be asked
/// for, what was shown cannot be taken back.
const SECRET_WORDS: [&str; 7] = ["password", "passwd", "secret", "token", "key", "credential", "private"];

/// The most characters of a value that a message shows.
const SHOWN_LENGTH: usize = 60;

/// The names that lead to a value, written with dots between them. A dot of a name itself is written `\.`, as `--set` takes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValuePath(pub(super) Vec<String>);

impl ValuePath {
    /// The path through these names.
    pub fn new(names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self(names.into_iter().map(|name| name.as_ref().to_owned()).collect())
    }

    /// Splits at each dot that has no backslash before it. A part may be empty: whoever minds has to look.
    pub fn split(text: &str) -> Self {
        let mut parts = vec![String::new()];
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let part = match character {
                '.' => {
                    parts.push(String::new());
                    continue;
                }
                '\\' => characters.next().unwrap_or('\\'),
                other => other,
            };
            if let Some(last) = parts.last_mut() {
                last.push(part);
            }
        }
        Self(parts)
    }

    /// The names, outermost first.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether this path leads to `other` or to something around it.
    pub fn is_prefix_of(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Whether the value is to be treated as a secret, to judge from its names.
    pub fn looks_secret(&self) -> bool {
        self.0.iter().any(|name| {
            let name = name.to_lowercase();
            SECRET_WORDS.iter().any(|word| name.contains(word))
        })
    }

    /// A value for a message that anybody may read: short, and `***` where it looks secret. Of mappings and lists, only what they are.
    pub fn show(&self, value: &Value) -> String {
        match value {
            Value::Object(_) => "the mapping".to_owned(),
            Value::Array(_) => "the list".to_owned(),
            Value::Null => "null".to_owned(),
            _ if self.looks_secret() => "***".to_owned(),
            scalar => shorten(&scalar.to_string()),
        }
    }
}

impl fmt::Display for ValuePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(".")?;
            }
            formatter.write_str(&name.replace('\\', "\\\\").replace('.', "\\."))?;
        }
        Ok(())
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_LENGTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_under_a_name_that_looks_secret_is_not_shown() {
        for names in [
            ["database", "password"],
            ["appSecrets", "X"],
            ["API_KEY", "x"],
            ["web", "authToken"],
        ] {
            assert_eq!(ValuePath::new(names).show(&json!("hush")), "***", "{names:?}");
        }
        assert_eq!(ValuePath::new(["web", "replicas"]).show(&json!("two")), "\"two\"");
        assert_eq!(ValuePath::new(["web"]).show(&json!({ "password": "hush" })), "the mapping");
        assert_eq!(ValuePath::new(["web"]).show(&json!("x".repeat(80))).chars().count(), 61);
    }

    #[test]
    fn a_path_is_written_as_it_is_set() {
        let path = ValuePath::new(["a", "b.c", "d\\"]);
        assert_eq!(path.to_string(), r"a.b\.c.d\\");
        assert_eq!(ValuePath::split(&path.to_string()), path);
    }
}
