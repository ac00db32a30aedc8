//! What Helm's templates have and Handlebars does not, pipes apart: finds it in a tag and says how to write it here.

use super::pipe;

/// What is wrong with a tag that is written as Helm's are. `content` is what stands between the braces.
pub(super) fn advice(content: &str) -> Option<String> {
    let inner = without_trims(content);
    if let Some(rewritten) = pipe::rewritten(inner) {
        return Some(format!("pipes are not part of the language: write {rewritten}"));
    }
    if inner.starts_with("/*") {
        return Some("a comment is written {{!-- … --}}".to_owned());
    }
    let words = words(inner);
    let first = words.first().copied().unwrap_or_default();
    let is_alone = inner == first;
    match first {
        "if" | "range" | "with" if !is_alone => return Some(format!("a block is written {{{{#{first} …}}}}…{{{{/{first}}}}}")),
        "define" | "template" | "block" if !is_alone => {
            let message = "a partial is a file: write it to templates/_NAME.hbs, and {{> NAME}} or {{include \"NAME\" this}} to include it";
            return Some(message.to_owned());
        }
        _ => {}
    }
    if let Some(advice) = words.iter().find_map(|word| of_word(word)) {
        return Some(advice);
    }
    (inner.len() < content.len()).then(|| "white space is cut off by ~ and not by -: write {{~ … ~}}".to_owned())
}

/// `- x -` as `x`.
fn without_trims(content: &str) -> &str {
    let content = content.strip_prefix("- ").unwrap_or(content);
    content.strip_suffix(" -").unwrap_or(content).trim()
}

fn of_word(word: &str) -> Option<String> {
    match word {
        "." => return Some("what is around is `this`, and everything is `@root`: there is no single dot".to_owned()),
        "$" => return Some("everything is `@root`: there is no $".to_owned()),
        ":=" => return Some("there are no variables: write {{#with VALUE as |name|}}…{{/with}}".to_owned()),
        _ => {}
    }
    let (start, path) = match word.strip_prefix("$.") {
        Some(path) => ("@root.", path),
        None => ("", word.strip_prefix('.')?),
    };
    if !path.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        return None;
    }
    let written = match path {
        "Release.Name" => "environment.name".to_owned(),
        "Release.Namespace" => "environment.namespace".to_owned(),
        _ => match path.strip_prefix("Values") {
            Some(rest) => format!("values{rest}"),
            None => path.to_owned(),
        },
    };
    Some(format!("names begin without a dot: write {start}{written} instead of {word}"))
}

/// The words of a tag without its strings and brackets.
fn words(content: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut begin = 0;
    let mut open = None;
    let mut is_escaped = false;
    for (index, character) in content.char_indices() {
        if let Some(end) = open {
            if character == end && !is_escaped {
                open = None;
                // What is in brackets is a part of a name.
                begin = if end == ']' { begin } else { index + 1 };
            }
            is_escaped = character == '\\' && !is_escaped;
            continue;
        }
        match character {
            '"' | '\'' => open = Some(character),
            '[' => {
                open = Some(']');
                continue;
            }
            '(' | ')' => {}
            _ if character.is_whitespace() => {}
            _ => continue,
        }
        words.push(&content[begin..index]);
        begin = index + character.len_utf8();
    }
    if open.is_none() {
        words.push(&content[begin..]);
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helm_writes_is_rewritten() {
        for (content, wanted) in [
            (".Values.image.tag", "write values.image.tag instead of .Values.image.tag"),
            ("$.Values.x", "write @root.values.x instead of $.Values.x"),
            ("quote (lower .name)", "write name instead of .name"),
            (".Release.Name", "write environment.name instead of .Release.Name"),
            ("else if .Values.x", "write values.x instead of .Values.x"),
            ("include \"labels\" .", "`this`"),
            ("include \"labels\" $", "`@root`"),
            ("$x := 1", "there are no variables"),
            ("- values.x -", "{{~ … ~}}"),
            ("- .Values.x | quote -", "write {{quote values.x}}"),
            ("if values.x", "{{#if …}}…{{/if}}"),
            ("- range .Values.x", "{{#range …}}…{{/range}}"),
            ("define \"x\"", "templates/_NAME.hbs"),
            ("/* a comment */", "{{!-- … --}}"),
        ] {
            let advice = advice(content).unwrap_or_default();
            assert!(advice.contains(wanted), "{content}: {advice}");
        }
    }

    #[test]
    fn what_handlebars_writes_is_left_alone() {
        for content in [
            "x",
            "../x.y",
            "./x",
            "quote \". $ :=\" x",
            "values.[a .b]",
            "#if (eq values.x .5)",
            "#each values.list as |item index|",
            "> labels this component=\"web\"",
            "if",
            "template",
            "sub -1 x",
            "default \"-\" values.a-b",
        ] {
            assert_eq!(advice(content), None, "{content}");
        }
    }
}
