//! What helm says of a chart, as problems of the bundle's files.

use regex::Regex;

use crate::domain::bundle::Problem;
use crate::domain::render::Release;

/// How much is told of what helm says, in characters.
const MAX_MESSAGE: usize = 2_000;

/// The problems in what helm wrote to standard error. There is always at least one.
pub(super) fn problems(said: &str, release: &Release) -> Vec<Problem> {
    if let Some(reason) = said.lines().find(|line| line.starts_with("fatal error: ")) {
        let message = format!("helm has broken down ({reason}): do the templates have large loops or texts?");
        return vec![Problem::in_file(&release.settings.file("templates"), message)];
    }
    let kept: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !is_noise(line))
        .collect();
    let text = kept.join(" ");
    let text: String = text.strip_prefix("Error: ").unwrap_or(&text).chars().take(MAX_MESSAGE).collect();
    let text = text.as_str();
    if let Some((_, found)) = text.split_once("the specifications of the schema(s) in the following chart(s):") {
        let file = release.settings.file("values.schema.json");
        return vec![Problem::in_file(&file, format!("helm refuses the values: {}", found.trim()))];
    }
    // An error in a partial is told with every place that includes it, the innermost last.
    let chart = regex::escape(&release.chart);
    let place = Regex::new(&format!(r"(?:^|[\s(])({chart}/[^\s:()]+):(\d+)(?::(\d+))?[):]*")).ok();
    if let Some(found) = place.and_then(|place| place.captures_iter(text).last()) {
        let file = release.file(&found[1]);
        let message = text[found.get(0).map_or(0, |whole| whole.end())..].trim();
        let message = if message.is_empty() { text } else { message };
        let number = |index| {
            found
                .get(index)
                .and_then(|digits: regex::Match<'_>| digits.as_str().parse::<usize>().ok())
        };
        // helm counts columns from zero.
        return vec![match (number(2), number(3)) {
            (Some(line), Some(column)) => Problem::at(&file, (line, column + 1), message),
            (Some(line), None) => Problem::at_line(&file, line, message),
            _ => Problem::in_file(&file, message),
        }];
    }
    let file = Regex::new(&format!(r"(?:^|\s)({chart}/[^\s:()]+)")).ok();
    let file = file.and_then(|file| Some(release.file(file.captures(text)?.get(1)?.as_str())));
    let message = if text.is_empty() {
        "helm has failed and says nothing"
    } else {
        text
    };
    vec![match file {
        Some(file) => Problem::in_file(&format!("{file} (as helm renders it)"), message),
        None => Problem::in_file(&release.settings.file("Chart.yaml"), message),
    }]
}

/// Advice to whoever runs helm by hand, and lines of helm's log.
fn is_noise(line: &str) -> bool {
    line.starts_with("Use --debug") || line.starts_with("level=") || line.starts_with("WARNING:")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(said: &str) -> String {
        let release = json!({
            "name": "a", "namespace": "a", "chart": "web", "settings": {}, "values": {}, "is_unordered": false,
        });
        let release: Release = serde_json::from_value(release).unwrap_or_else(|error| panic!("{error}"));
        format!("{:#}", problems(said, &release)[0])
    }

    #[test]
    fn feature_p5_what_helm_says_is_told_with_file_and_line() {
        for (said, expected) in [
            (
                "Error: web/templates/a.yaml:2:6\n  executing \"web/templates/a.yaml\" at <include \"x\" .>:\n    error calling include:\nweb/templates/_h.tpl:2:10\n  executing \"x\" at <.Values.a.b>:\n    nil pointer evaluating interface {}.b\n\nUse --debug flag to render out invalid YAML\n",
                "chart/templates/_h.tpl:2:11: executing \"x\" at <.Values.a.b>: nil pointer evaluating interface {}.b",
            ),
            (
                "Error: execution error at (web/templates/a.yaml:2:6): need it",
                "chart/templates/a.yaml:2:7: need it",
            ),
            (
                "Error: parse error at (web/templates/a.yaml:2): function \"foo\" not defined",
                "chart/templates/a.yaml:2: function \"foo\" not defined",
            ),
            (
                "Error: YAML parse error on web/templates/a.yaml: error converting YAML to JSON: yaml: line 2: did not find expected node content",
                "chart/templates/a.yaml (as helm renders it): YAML parse error on web/templates/a.yaml: error converting YAML to JSON: yaml: line 2: did not find expected node content",
            ),
            (
                "Error: values don't meet the specifications of the schema(s) in the following chart(s):\nweb:\n- at '/q': got string, want number\n",
                "chart/values.schema.json: helm refuses the values: web: - at '/q': got string, want number",
            ),
            (
                "Error: library charts are not installable",
                "chart/Chart.yaml: library charts are not installable",
            ),
            (
                "runtime: out of memory\nfatal error: runtime: out of memory\n\ngoroutine 1:\n",
                "chart/templates: helm has broken down (fatal error: runtime: out of memory): do the templates have large loops or texts?",
            ),
            ("", "chart/Chart.yaml: helm has failed and says nothing"),
        ] {
            assert_eq!(told(said), expected);
        }
    }
}
