//! From the text of `pipeline.yaml` to stages. Each field is read by itself, so that one mistake does not hide another.

use std::collections::BTreeMap;
use std::time::Duration;

use globset::GlobMatcher;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use super::file::{MAX_LEAVES, PipelineFile, Section};
use super::{Action, Condition, OnFailure, Pipeline, Stage, TemplateGlob, globs, graph};
use crate::domain::bundle::{Problem, yaml};
use crate::domain::inventory;
use crate::domain::name::check_label;
use crate::domain::render::{mark, suggest::did_you_mean};

/// The file that this is about.
pub(super) const FILE: &str = "pipeline.yaml";

/// The most stages of a pipeline.
const MAX_STAGES: usize = 64;
/// The most tries after the first.
const MAX_RETRIES: u64 = 10;
/// The longest timeout, in seconds: a day.
const MAX_TIMEOUT: u64 = 86_400;

/// The fields of a stage besides the one that says what it does.
const FIELDS: [&str; 6] = ["name", "needs", "when", "timeout", "retries", "onFailure"];

/// What stands for an action that cannot be read: nothing more is to be said of it.
const NOTHING: Action = Action::Apply(Vec::new());

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    stages: Vec<RawStage>,
    #[serde(default)]
    teardown: Vec<RawStage>,
}

type RawStage = Spanned<BTreeMap<String, Spanned<Value>>>;

/// Reads a pipeline; `templates` are the template files by their path inside the bundle. Every problem comes with its line, and beside
/// what could be read nevertheless.
pub(in crate::domain::bundle) fn read(text: &str, templates: &[&str]) -> (Option<PipelineFile>, Vec<Problem>) {
    let raw: Spanned<Raw> = match yaml::read_one(text) {
        Ok(raw) => raw,
        Err(error) => return (None, vec![error.in_file(FILE)]),
    };
    let root = place(&raw).0;
    let raw = raw.value;
    let mut reader = Reader {
        templates,
        problems: Vec::new(),
    };
    if raw.stages.len() + raw.teardown.len() > MAX_STAGES {
        reader
            .problems
            .push(Problem::in_file(FILE, format!("has more than {MAX_STAGES} stages")));
        return (None, reader.problems);
    }
    let stages = reader.section(&raw.stages, Section::Stages);
    let teardown = reader.section(&raw.teardown, Section::Teardown);
    reader.unique(stages.iter().chain(&teardown));
    reader.problems.extend(graph::check(&stages));
    reader.problems.extend(graph::check(&teardown));
    let file = PipelineFile::new(Pipeline { stages, teardown }, text, root);
    reader.problems.extend(file.check(file.pipeline()));
    if file.leaves().len() > MAX_LEAVES {
        let message = format!("has more than {MAX_LEAVES} texts with {{{{ }}}}");
        return (None, vec![Problem::in_file(FILE, message)]);
    }
    reader.problems.sort();
    (Some(file), reader.problems)
}

struct Reader<'a> {
    templates: &'a [&'a str],
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn refuse<T>(&mut self, at: &Spanned<T>, message: impl Into<String>) {
        self.problems.push(Problem::at(FILE, place(at), message));
    }

    fn section(&mut self, raw: &[RawStage], section: Section) -> Vec<Stage> {
        raw.iter().map(|stage| self.stage(stage, section)).collect()
    }

    fn unique<'s>(&mut self, stages: impl Iterator<Item = &'s Stage>) {
        let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
        for stage in stages.filter(|stage| !stage.name.is_empty()) {
            if let Some(first) = lines.insert(&stage.name, stage.line) {
                let message = format!("there is another stage {:?} in line {first}: rename one", stage.name);
                self.problems.push(Problem::at_line(FILE, stage.line, message));
            }
        }
    }

    /// A stage as far as it can be read: what is wrong is set aside, and the graph is looked at with the rest.
    fn stage(&mut self, raw: &RawStage, section: Section) -> Stage {
        for (field, value) in &raw.value {
            if !FIELDS.contains(&field.as_str()) && !Action::KINDS.contains(&field.as_str()) {
                let hint = did_you_mean(field, FIELDS.into_iter().chain(Action::KINDS));
                self.refuse(value, format!("there is no field {field:?} in a stage{hint}"));
            }
        }
        let field = |name: &str| raw.value.get(name);
        let action = self.action(raw, section);
        let usual = action.usual_timeout();
        Stage {
            line: place(raw).0,
            name: self.name(raw),
            action,
            needs: field("needs").map(|value| self.texts(value, "needs")).unwrap_or_default(),
            when: field("when").map(|value| self.condition(value)).unwrap_or_default(),
            timeout: field("timeout").and_then(|value| self.duration(value)).or(usual),
            retries: field("retries").map(|value| self.retries(value)).unwrap_or_default(),
            on_failure: self.on_failure(field("onFailure"), section),
        }
    }

    fn name(&mut self, raw: &RawStage) -> String {
        let Some(value) = raw.value.get("name") else {
            self.refuse(raw, "the stage has no name");
            return String::new();
        };
        let Some(name) = value.value.as_str() else {
            self.refuse(value, "name: should be text");
            return String::new();
        };
        if let Err(rule) = check_label(name) {
            self.refuse(value, format!("name: {name:?} {rule}"));
        } else if name.starts_with("graftling-") {
            self.refuse(
                value,
                "name: names that begin with \"graftling-\" are kept for the system: choose another",
            );
        } else if inventory::Stage::is_before_the_bundle(name) {
            self.refuse(
                value,
                format!("name: {name:?} is what the system does before the pipeline: choose another"),
            );
        }
        name.to_owned()
    }

    fn action(&mut self, raw: &RawStage, section: Section) -> Action {
        let found: Vec<(&str, &Spanned<Value>)> = Action::KINDS
            .iter()
            .filter_map(|kind| Some((*kind, raw.value.get(*kind)?)))
            .collect();
        let [(kind, value)] = found[..] else {
            let kinds = Action::KINDS.join(", ");
            let message = match found[..] {
                [] => format!("the stage does not say what it does: write one of {kinds}"),
                _ => format!("the stage does more than one thing: split it, so that each has one of {kinds}"),
            };
            self.refuse(raw, message);
            return NOTHING;
        };
        if kind == "apply" {
            if section == Section::Teardown {
                self.refuse(value, "apply: nothing is applied to what is about to go");
            }
            return Action::Apply(self.globs(value));
        }
        let settings = mark::resolve(value.value.clone(), &mut usize::MAX.clone()).unwrap_or(Value::Null);
        if !(settings.is_object() || settings.is_null() && kind == "approve" || settings.is_array() && kind == "steps") {
            let wanted = if kind == "steps" {
                "a list of steps, or a mapping"
            } else {
                "a mapping"
            };
            self.refuse(value, format!("{kind}: should be {wanted} of settings"));
            return NOTHING;
        }
        self.check_place(value, kind, &settings, section);
        match kind {
            "job" => Action::Job(settings),
            "steps" => Action::Steps(settings),
            "check" => Action::Check(settings),
            "approve" => Action::Approve(settings),
            "webhook" => Action::Webhook(settings),
            "resource" => Action::Resource(settings),
            _ => Action::Wait(settings),
        }
    }

    /// What a kind of stage may not do where it stands, and which files it names.
    fn check_place(&mut self, value: &Spanned<Value>, kind: &str, settings: &Value, section: Section) {
        if section == Section::Teardown {
            match kind {
                "resource" => self.refuse(value, "resource: nothing is created of what is about to go"),
                "steps" if settings.get("checkout") == Some(&Value::Bool(true)) => {
                    self.refuse(value, "steps.checkout: the branch may be gone by then, so there are no files of it");
                }
                _ => {}
            }
        }
        if kind == "resource" {
            let patterns: Vec<String> = globs::patterns(settings).map(str::to_owned).collect();
            for pattern in patterns {
                self.template_glob(value, "resource.templates", pattern);
            }
        }
    }

    fn globs(&mut self, value: &Spanned<Value>) -> Vec<TemplateGlob> {
        let patterns = self.texts(value, "apply");
        let globs = patterns
            .into_iter()
            .filter_map(|pattern| self.template_glob(value, "apply", pattern));
        globs.collect()
    }

    fn template_glob(&mut self, value: &Spanned<Value>, field: &str, pattern: String) -> Option<TemplateGlob> {
        let glob = self.glob(value, field, &pattern)?;
        let files = globs::meant(&glob, self.templates);
        if files.is_empty() {
            let hint = did_you_mean(&pattern, globs::names(self.templates));
            self.refuse(value, format!("{field}: {pattern:?} matches no template{hint}"));
        }
        Some(TemplateGlob { pattern, files })
    }

    fn glob(&mut self, at: &Spanned<Value>, field: &str, pattern: &str) -> Option<GlobMatcher> {
        match globs::matcher(pattern) {
            Ok(glob) => Some(glob),
            Err(error) => {
                self.refuse(at, format!("{field}: {pattern:?} is no glob: {}", error.kind()));
                None
            }
        }
    }

    /// A list of texts, or one text.
    fn texts(&mut self, value: &Spanned<Value>, field: &str) -> Vec<String> {
        let items = match &value.value {
            Value::String(text) => return vec![text.clone()],
            Value::Array(items) if !items.is_empty() => items,
            _ => {
                self.refuse(value, format!("{field}: should be a list of texts"));
                return Vec::new();
            }
        };
        if !items.iter().all(Value::is_string) {
            self.refuse(value, format!("{field}: each entry should be text"));
        }
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    fn condition(&mut self, value: &Spanned<Value>) -> Condition {
        let condition: Condition = match serde_json::from_value(value.value.clone()) {
            Ok(condition) => condition,
            Err(error) => {
                self.refuse(value, format!("when: {error}"));
                return Condition::default();
            }
        };
        for pattern in &condition.branches {
            self.glob(value, "when.branches", pattern);
        }
        for pattern in &condition.changes {
            self.glob(value, "when.changes", pattern);
        }
        condition
    }

    fn duration(&mut self, value: &Spanned<Value>) -> Option<Duration> {
        let duration = value.value.as_str().and_then(seconds);
        if duration.is_none() {
            self.refuse(
                value,
                "timeout: should be a whole number with s, m or h behind it, at most 24h: 90s, 10m",
            );
        }
        duration.map(Duration::from_secs)
    }

    fn retries(&mut self, value: &Spanned<Value>) -> u32 {
        let whole = mark::resolve(value.value.clone(), &mut usize::MAX.clone()).ok();
        let number = whole.and_then(|number| number.as_u64()).filter(|number| *number <= MAX_RETRIES);
        if number.is_none() {
            self.refuse(value, format!("retries: should be a number from 0 to {MAX_RETRIES}"));
        }
        number.and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
    }

    fn on_failure(&mut self, value: Option<&Spanned<Value>>, section: Section) -> OnFailure {
        let (default, words): (_, &[(&str, OnFailure)]) = match section {
            Section::Stages => (
                OnFailure::Stop,
                &[
                    ("stop", OnFailure::Stop),
                    ("continue", OnFailure::Continue),
                    ("rollback", OnFailure::Rollback),
                ],
            ),
            Section::Teardown => (OnFailure::Block, &[("block", OnFailure::Block), ("continue", OnFailure::Continue)]),
        };
        let Some(value) = value else { return default };
        let found = words.iter().find(|(word, _)| value.value.as_str() == Some(word));
        if found.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.refuse(value, format!("onFailure: should be one of {}", words.join(", ")));
        }
        found.map_or(default, |(_, on_failure)| *on_failure)
    }
}

fn place<T>(at: &Spanned<T>) -> (usize, usize) {
    let number = |number: u64| usize::try_from(number).unwrap_or(1).max(1);
    (number(at.referenced.line()), number(at.referenced.column()))
}

/// `90s`, `10m`, `1h` in seconds.
fn seconds(text: &str) -> Option<u64> {
    let (digits, factor) = [("s", 1), ("m", 60), ("h", 3_600)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = digits.parse::<u64>().ok()?.checked_mul(factor)?;
    (1..=MAX_TIMEOUT).contains(&seconds).then_some(seconds)
}
