//! Helm's pipes, which Handlebars does not have: finds one in a tag and says how to write it here.

/// How to write a tag that has a pipe in it, `None` for one without. `content` is what stands between the braces.
pub(super) fn rewritten(content: &str) -> Option<String> {
    let parts = split(content);
    let (first, rest) = parts.split_first().filter(|(_, rest)| !rest.is_empty())?;
    let (block, first) = block(first.trim());
    let mut written = first.replace(".Values.", "values.");
    for part in rest {
        let argument = if written.contains(' ') { format!("({written})") } else { written };
        written = format!("{} {argument}", part.trim().replace(".Values.", "values."));
    }
    Some(match block {
        "" => format!("{{{{{written}}}}}"),
        block => format!("{{{{{block} ({written})}}}}"),
    })
}

/// `#if x` as `#if` and `x`.
fn block(text: &str) -> (&str, &str) {
    let length = if text.starts_with("else ") { "else ".len() } else { 0 };
    let is_block = length > 0 || text.starts_with('#');
    match text[length..].split_once(' ').filter(|_| is_block) {
        Some((name, rest)) => (&text[..length + name.len()], rest.trim()),
        None => ("", text),
    }
}

/// The parts between pipes, without regard to those in strings and brackets and to the names after `as`.
fn split(content: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut begin = 0;
    let mut open = None;
    let mut is_escaped = false;
    for (index, character) in content.char_indices() {
        match open {
            Some(end) => {
                if character == end && !is_escaped {
                    open = None;
                }
                is_escaped = character == '\\' && !is_escaped;
            }
            None => match character {
                '"' | '\'' => open = Some(character),
                '[' => open = Some(']'),
                '|' if content[..index].trim_end().ends_with(" as") => break,
                '|' => {
                    parts.push(&content[begin..index]);
                    begin = index + 1;
                }
                _ => {}
            },
        }
    }
    parts.push(&content[begin..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_rewritten_as_calls_inside_calls() {
        for (content, wanted) in [
            ("x | quote", "{{quote x}}"),
            (
                ".Values.name | trunc 63 | trimSuffix \"-\"",
                "{{trimSuffix \"-\" (trunc 63 values.name)}}",
            ),
            ("toYaml values.x | nindent 4", "{{nindent 4 (toYaml values.x)}}"),
            ("#if values.x | empty", "{{#if (empty values.x)}}"),
            ("else if a | not", "{{else if (not a)}}"),
        ] {
            assert_eq!(rewritten(content).as_deref(), Some(wanted), "{content}");
        }
    }

    #[test]
    fn what_is_no_pipe_is_left_alone() {
        for content in [
            "x",
            "#each values.list as |item index|",
            "replace \"|\" \"\" x",
            "values.[a|b]",
            "'a\\'|'",
        ] {
            assert_eq!(rewritten(content), None, "{content}");
        }
    }
}
