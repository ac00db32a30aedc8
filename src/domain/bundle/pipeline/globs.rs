//! Which stage applies what: globs over the files of a bundle that objects come from.
//!
//! Templates are named without their folder. What else gives objects is named with it: `manifests/*.yaml`, `chart/**`.

use globset::{GlobBuilder, GlobMatcher};
use serde_json::Value;

use super::{Action, Pipeline, Stage, TemplateGlob};

/// What stands behind the file in the source of an object that helm rendered.
const BY_HELM: &str = " (as helm renders it)";

/// What a glob is compared with, for a file that gives objects.
fn name(file: &str) -> Option<&str> {
    let file = file.strip_suffix(BY_HELM).unwrap_or(file);
    let is_other = file.starts_with("manifests/") || file.starts_with("chart/");
    file.strip_prefix("templates/").or(is_other.then_some(file))
}

/// The matcher of a pattern, in which `*` stays within one folder.
pub(super) fn matcher(pattern: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(GlobBuilder::new(pattern).literal_separator(true).build()?.compile_matcher())
}

/// Whether a file that gives objects is meant by a pattern; one that is no glob means none.
fn is_meant(pattern: &str, file: &str) -> bool {
    name(file).is_some_and(|name| matcher(pattern).is_ok_and(|glob| glob.is_match(name)))
}

/// The files among `files` that a glob means.
pub(super) fn meant(glob: &GlobMatcher, files: &[&str]) -> Vec<String> {
    let is_meant = |file: &&&str| name(file).is_some_and(|name| glob.is_match(name));
    files.iter().filter(is_meant).map(|file| (*file).to_owned()).collect()
}

/// What a pattern may have been meant to be.
pub(super) fn names<'a>(files: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    files.iter().filter_map(|file| name(file))
}

impl TemplateGlob {
    /// Whether it means a file that gives objects, named as in the source of a manifest.
    pub fn matches(&self, file: &str) -> bool {
        self.files.iter().any(|own| own == file) || is_meant(&self.pattern, file)
    }
}

impl Stage {
    /// Whether the objects of a file belong to it.
    pub fn applies(&self, file: &str) -> bool {
        match &self.action {
            Action::Apply(globs) => globs.iter().any(|glob| glob.matches(file)),
            Action::Resource(settings) => patterns(settings).any(|pattern| is_meant(pattern, file)),
            _ => false,
        }
    }
}

/// The globs of a `resource` stage.
pub(super) fn patterns(settings: &Value) -> impl Iterator<Item = &str> {
    let (one, many) = match settings.get("templates") {
        Some(Value::String(one)) => (Some(one.as_str()), None),
        Some(Value::Array(many)) => (None, Some(many)),
        _ => (None, None),
    };
    one.into_iter().chain(many.into_iter().flatten().filter_map(Value::as_str))
}

impl Pipeline {
    /// The stage that the objects of a file belong to, named as in the source of a manifest: the first one that means it.
    pub fn stage_of(&self, file: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.applies(file))
    }

    /// The files among `files` that no stage applies. Empty if there are no stages: then everything is applied.
    pub fn unapplied<'a>(&self, files: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        if self.stages.is_empty() {
            return Vec::new();
        }
        files.into_iter().filter(|file| self.stage_of(file).is_none()).collect()
    }
}
