//! Which values a branch gets: the Project's own, those of its rules, and what the branch may say for itself.

use std::fmt;
use std::str::FromStr;

use globset::GlobMatcher;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{GlobError, Project};
use crate::domain::git::BranchName;
use crate::domain::render::{Layer, Origin, ValuePath};

/// Values for the branches that match one of the globs.
#[derive(Clone)]
pub struct Rule {
    globs: Vec<GlobMatcher>,
    values: Map<String, Value>,
}

/// The keys that a branch may set by its file `.graftling.yaml`: none, unless the Project names some.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedKeys(Vec<KeyPattern>);

/// A key that a branch may set, with everything below it. `*` stands for any one name: `config.*` is every entry of `config`, but not
/// `config` as a whole. A dot of a name itself is written `\.`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPattern(Vec<String>);

/// Why a text is no [`KeyPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a key such as web.replicas or config.*")]
pub struct KeyPatternError {
    text: String,
}

impl Project {
    /// The layers of values of a branch over the bundle's defaults, weakest first: the Project's, those of every rule that matches in
    /// the order of the rules, the branch's own file, and the Environment's.
    pub fn layers(&self, branch: &BranchName, branch_file: Option<Layer>, environment: &Map<String, Value>) -> Vec<Layer> {
        let mut layers = vec![Layer::new(Origin::Project, self.values.clone())];
        layers.extend(self.rules.iter().filter_map(|rule| rule.layer(branch)));
        layers.extend(branch_file);
        layers.push(Layer::new(Origin::Environment, environment.clone()));
        layers
    }
}

impl Rule {
    /// A rule for the branches that match one of `globs`.
    ///
    /// # Errors
    /// The first glob that cannot be read, as one of `field`.
    pub fn new(field: &str, globs: &[String], values: Map<String, Value>) -> Result<Self, GlobError> {
        let matcher = |glob: &String| super::glob(field, glob).map(|glob| glob.compile_matcher());
        Ok(Self {
            globs: globs.iter().map(matcher).collect::<Result<_, _>>()?,
            values,
        })
    }

    /// The values, if the branch matches; named by the first glob that does.
    fn layer(&self, branch: &BranchName) -> Option<Layer> {
        let glob = self.globs.iter().find(|glob| glob.is_match(branch.as_str()))?;
        Some(Layer::new(Origin::Rule(glob.glob().glob().to_owned()), self.values.clone()))
    }
}

/// Values may hold secrets, so only the globs are shown.
impl fmt::Debug for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.globs.iter().map(|glob| glob.glob().glob()))
            .finish()
    }
}

impl AllowedKeys {
    /// Exactly these.
    pub fn new(keys: Vec<KeyPattern>) -> Self {
        Self(keys)
    }

    /// Whether no key at all is allowed: then the file is not even read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a branch may set the value at this path.
    pub fn allow(&self, path: &ValuePath) -> bool {
        self.0.iter().any(|pattern| pattern.covers(path.names()))
    }
}

impl fmt::Display for AllowedKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        formatter.write_str(&texts.join(", "))
    }
}

impl KeyPattern {
    fn covers(&self, names: &[String]) -> bool {
        self.0.len() <= names.len() && self.0.iter().zip(names).all(|(part, name)| part == "*" || part == name)
    }
}

impl FromStr for KeyPattern {
    type Err = KeyPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = ValuePath::split(text);
        let is_readable = |name: &String| !name.is_empty() && (name == "*" || !name.contains('*'));
        if path.names().iter().all(is_readable) {
            Ok(Self(path.names().to_vec()))
        } else {
            Err(KeyPatternError { text: text.to_owned() })
        }
    }
}

impl fmt::Display for KeyPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        ValuePath::new(&self.0).fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    fn allowed(patterns: &[&str]) -> AllowedKeys {
        AllowedKeys::new(patterns.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn a_key_allows_itself_and_what_is_below_and_a_star_one_name() {
        let keys = allowed(&["web.replicas", "config.*", "*.image", r"a\.b"]);
        let allow = |names: &[&str]| keys.allow(&ValuePath::new(names.iter().copied()));
        for path in [
            &["web", "replicas"][..],
            &["config", "A"],
            &["config", "A", "x"],
            &["worker", "image"],
            &["a.b"],
        ] {
            assert!(allow(path), "{path:?}");
        }
        for path in [&["web"][..], &["web", "port"], &["config"], &["image"], &["a", "b"], &[]] {
            assert!(!allow(path), "{path:?}");
        }
        assert!(AllowedKeys::default().is_empty() && !AllowedKeys::default().allow(&ValuePath::new(["a"])));
    }

    #[test]
    fn a_key_with_an_empty_part_or_half_a_star_is_refused() {
        for text in ["", "a.", ".a", "a..b", "a*", "a.b*c"] {
            let error = text.parse::<KeyPattern>().unwrap_err();
            assert_eq!(error.to_string(), format!("{text:?} is not a key such as web.replicas or config.*"));
        }
    }
}
