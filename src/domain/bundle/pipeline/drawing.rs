//! A pipeline as a picture: as text in levels, and as a Mermaid flowchart.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Action, Condition, OnFailure, Pipeline, Stage};
use crate::domain::stage::outputs;

impl Pipeline {
    /// The stages as text: each in the level at which it can begin at the earliest, with what it does and when.
    pub fn to_text(&self) -> String {
        let mut text = section_text("stages", &self.stages);
        if !self.teardown.is_empty() {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&section_text("teardown", &self.teardown));
        }
        if text.is_empty() {
            text.push_str("no stages: everything is applied at once\n");
        }
        text
    }

    /// The stages as a Mermaid flowchart, with those of a removal as a graph of their own.
    pub fn to_mermaid(&self) -> String {
        let mut text = "flowchart TD\n".to_owned();
        for (word, stages) in [("stages", &self.stages), ("teardown", &self.teardown)] {
            if stages.is_empty() {
                continue;
            }
            text.push_str(&format!("    subgraph {word}\n"));
            let ids: BTreeMap<&str, String> = stages
                .iter()
                .enumerate()
                .map(|(index, stage)| (stage.name.as_str(), format!("{word}{index}")))
                .collect();
            for stage in stages {
                text.push_str(&format!("        {}[\"{}\"]\n", ids[stage.name.as_str()], node(stage)));
            }
            for stage in stages {
                for need in stage.needs.iter().filter_map(|need| ids.get(need.as_str())) {
                    text.push_str(&format!("        {need} --> {}\n", ids[stage.name.as_str()]));
                }
            }
            text.push_str("    end\n");
        }
        text
    }
}

fn section_text(word: &str, stages: &[Stage]) -> String {
    if stages.is_empty() {
        return String::new();
    }
    let levels = levels(stages);
    let mut sorted: Vec<&Stage> = stages.iter().collect();
    sorted.sort_by_key(|stage| levels.get(stage.name.as_str()).copied().unwrap_or_default());
    let names = sorted.iter().map(|stage| stage.name.len()).max().unwrap_or_default();
    let kinds = sorted.iter().map(|stage| stage.action.kind().len()).max().unwrap_or_default();
    let mut text = format!("{word}\n");
    for stage in sorted {
        let level = levels.get(stage.name.as_str()).copied().unwrap_or_default() + 1;
        let line = format!(
            "  {level:>2}  {:<names$}  {:<kinds$}  {}",
            stage.name,
            stage.action.kind(),
            details(stage).join("; ")
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How many stages have to end one after the other before each can begin. The graph has no circles.
fn levels(stages: &[Stage]) -> BTreeMap<&str, usize> {
    let mut levels: BTreeMap<&str, usize> = BTreeMap::new();
    // Each round settles at least the stages of one level.
    for _ in stages {
        for stage in stages {
            let above = stage.needs.iter().filter_map(|need| levels.get(need.as_str())).max();
            let level = above.map_or(0, |above| above + 1);
            levels.insert(&stage.name, level);
        }
    }
    levels
}

/// Everything that is worth saying of a stage besides its name and kind.
fn details(stage: &Stage) -> Vec<String> {
    let mut details = Vec::new();
    if !stage.needs.is_empty() {
        details.push(format!("after {}", stage.needs.join(", ")));
    }
    if let Action::Apply(globs) = &stage.action {
        let patterns: Vec<&str> = globs.iter().map(|glob| glob.pattern.as_str()).collect();
        details.push(patterns.join(" "));
    }
    if let Some(settings) = stage.action.settings() {
        if settings.get("once") == Some(&serde_json::Value::Bool(true)) {
            details.push("once".to_owned());
        }
        let outputs = outputs::declared(settings);
        if !outputs.is_empty() {
            details.push(format!("outputs {}", outputs.join(", ")));
        }
    }
    details.extend(condition(&stage.when));
    if let Some(timeout) = stage.timeout {
        details.push(format!("at most {}", spoken(timeout)));
    }
    if stage.retries > 0 {
        details.push(format!("{} more tries", stage.retries));
    }
    details.extend(match stage.on_failure {
        OnFailure::Stop | OnFailure::Block => None,
        OnFailure::Continue => Some("goes on after a failure".to_owned()),
        OnFailure::Rollback => Some("rolls back after a failure".to_owned()),
    });
    details
}

fn condition(when: &Condition) -> Option<String> {
    let mut parts = Vec::new();
    match when.first_deploy {
        Some(true) => parts.push("in the first deployment".to_owned()),
        Some(false) => parts.push("in later deployments".to_owned()),
        None => {}
    }
    if !when.branches.is_empty() {
        parts.push(format!("for branches {}", when.branches.join(" ")));
    }
    if !when.changes.is_empty() {
        parts.push(format!("if files changed: {}", when.changes.join(" ")));
    }
    if let Some(value) = &when.value {
        parts.push(format!("if {value} is set"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn spoken(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        seconds if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

fn node(stage: &Stage) -> String {
    let mut lines = vec![escape(&stage.name), escape(stage.action.kind())];
    let is_drawn = |detail: &&String| !detail.starts_with("after ");
    lines.extend(details(stage).iter().filter(is_drawn).map(|detail| escape(detail)));
    lines.join("<br/>")
}

/// Text that Mermaid shows as it is: whatever it could read as something else is written as the number of its character.
fn escape(text: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || " -_.,/".contains(character);
    let escaped = text.chars().map(|character| match character {
        plain_one if plain(plain_one) => plain_one.to_string(),
        other => format!("#{};", u32::from(other)),
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_read_by_mermaid() {
        assert_eq!(escape("a-b"), "a-b");
        assert_eq!(escape("\"]; <b>\n**"), "#34;#93;#59; #60;b#62;#10;#42;#42;");
    }
}
