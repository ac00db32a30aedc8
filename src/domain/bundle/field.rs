//! Finding a field of an object in the template that wrote it.
//!
//! An object that is refused is known by the line of its template; this finds the field below it, as far as the text of the
//! template shows it. What a loop, a partial or a helper wrote is not in the text: then the nearest field around it is meant.

use granit_parser::{Event, Parser, Span};

use super::Problem;
use super::lint::without_tags;

/// The most events that are looked at, so that no template takes long.
const MAX_EVENTS: usize = 100_000;

/// Moves `problem`, which is at the first line of an object, to the field of that object; `text` is that of the problem's file, and
/// `path` is written like `spec.ports[0].port` or `data["a.b"]`.
pub fn at_field(problem: Problem, path: &str, text: &str) -> Problem {
    let found = problem.line.and_then(|line| find(&without_tags(text), line, &parts(path)));
    let problem = match found {
        Some(found) => Problem {
            line: Some(found.line),
            column: Some(found.column),
            ..problem
        }
        .with_length(found.length),
        None => problem,
    };
    problem.with_excerpt_of(text)
}

/// A step from a mapping or a list to something in it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Key(String),
    Index(usize),
}

fn parts(path: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("[\"") {
            let Some((key, behind)) = after.split_once("\"]") else { break };
            parts.push(Part::Key(key.to_owned()));
            rest = behind;
        } else if let Some(after) = rest.strip_prefix('[') {
            let Some((index, behind)) = after.split_once(']') else { break };
            let Ok(index) = index.parse() else { break };
            parts.push(Part::Index(index));
            rest = behind;
        } else {
            let name = rest.trim_start_matches('.');
            let end = name.find(['.', '[']).unwrap_or(name.len());
            parts.push(Part::Key(name[..end].to_owned()));
            rest = &name[end..];
        }
    }
    parts
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    line: usize,
    column: usize,
    length: usize,
    /// How many parts of the path lead here.
    depth: usize,
}

/// A list or a mapping that has begun, as far as the path leads through it.
struct Open {
    is_mapping: bool,
    /// The entries so far.
    count: usize,
    /// The key whose value comes next.
    key: Option<String>,
    /// How many parts of the path lead here; `None` when it is beside the path.
    depth: Option<usize>,
}

struct Search<'a> {
    parts: &'a [Part],
    line: usize,
    open: Vec<Open>,
    is_in_object: bool,
    best: Option<Found>,
}

fn find(text: &str, line: usize, parts: &[Part]) -> Option<Found> {
    let mut search = Search {
        parts,
        line,
        open: Vec::new(),
        is_in_object: false,
        best: None,
    };
    let mut parser = Parser::new_from_str(text);
    for _ in 0..MAX_EVENTS {
        match parser.next() {
            None => break,
            Some(Ok((event, span))) => search.event(&event, &span),
            Some(Err(_)) => {
                search.open.clear();
                search.is_in_object = false;
                if !parser.proceed_next_document().unwrap_or(false) {
                    break;
                }
            }
        }
    }
    search.best
}

impl Search<'_> {
    fn event(&mut self, event: &Event<'_>, span: &Span) {
        match event {
            Event::Scalar(text, ..) => {
                if let Some(open) = self.open.last_mut().filter(|open| open.is_mapping && open.key.is_none()) {
                    open.key = Some(text.to_string());
                    self.note_key(span, text.chars().count());
                } else {
                    self.begin_value(span, Some(text.chars().count()));
                    self.end_value();
                }
            }
            Event::Alias(_) => {
                self.begin_value(span, None);
                self.end_value();
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                let depth = self.begin_value(span, None);
                self.open.push(Open {
                    is_mapping: matches!(event, Event::MappingStart(..)),
                    count: 0,
                    key: None,
                    depth,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                self.end_value();
            }
            Event::DocumentStart(..) => {
                self.open.clear();
                self.is_in_object = false;
            }
            _ => {}
        }
    }

    /// How many parts of the path the value that begins has behind it.
    fn depth(&self) -> Option<usize> {
        let Some(open) = self.open.last() else {
            return self.is_in_object.then_some(0);
        };
        let depth = open.depth?;
        let leads = match self.parts.get(depth)? {
            Part::Key(key) => open.is_mapping && open.key.as_ref() == Some(key),
            Part::Index(index) => !open.is_mapping && open.count == *index,
        };
        leads.then_some(depth + 1)
    }

    fn begin_value(&mut self, span: &Span, length: Option<usize>) -> Option<usize> {
        if self.open.is_empty() {
            self.is_in_object = span.start.line() == self.line;
        }
        let depth = self.depth();
        // Of a list or a mapping, the key is shown.
        if let (Some(depth), Some(length)) = (depth, length) {
            self.note(span, length.max(1), depth);
        }
        depth
    }

    fn note_key(&mut self, span: &Span, length: usize) {
        if let Some(depth) = self.depth() {
            self.note(span, length, depth);
        }
    }

    fn note(&mut self, span: &Span, length: usize, depth: usize) {
        let is_better = self.best.is_none_or(|best| best.depth <= depth);
        // An empty value has no place of its own.
        if is_better && depth > 0 && !span.is_empty() {
            self.best = Some(Found {
                line: span.start.line(),
                column: span.start.col() + 1,
                length,
                depth,
            });
        }
    }

    fn end_value(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.count += 1;
            open.key = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "\
a: 1
---
{{!-- web --}}
kind: Deployment
metadata:
  name: {{branch}}
spec:
  replicas: \"3\"
  {{#if x}}
  list:
  - a: 1
  - a: {b: [x, {{y}}]}
    \"c.d\":
  {{/if}}
  many:{{nindent 4 (toYaml z)}}
---
kind: Other
spec: {replicas: 4}
";

    fn place(line: usize, path: &str) -> String {
        let problem = at_field(Problem::at_line("f", line, "m"), path, TEMPLATE);
        let length = problem.length.unwrap_or_default();
        format!("{problem:#} {length} {}", problem.excerpt.as_deref().unwrap_or_default())
    }

    #[test]
    fn a_field_is_found_below_its_object() {
        for (line, path, wanted) in [
            (4, "metadata.name", "f:6:9: m 10   name: {{branch}}"),
            (4, "spec.replicas", "f:8:13: m 1   replicas: \"3\""),
            (17, "spec.replicas", "f:18:18: m 1 spec: {replicas: 4}"),
            (4, "spec.list[1].a.b[1]", "f:12:16: m 5   - a: {b: [x, {{y}}]}"),
            (4, "spec.list[1][\"c.d\"]", "f:13:5: m 3     \"c.d\":"),
            (4, "spec.list[7].a", "f:10:3: m 4   list:"),
            (4, "spec.many.x[0]", "f:15:3: m 4   many:{{nindent 4 (toYaml z)}}"),
            (4, "nope", "f:4: m 0 kind: Deployment"),
            (5, "metadata.name", "f:5: m 0 metadata:"),
            (4, "[", "f:4: m 0 kind: Deployment"),
        ] {
            assert_eq!(place(line, path), wanted, "{path}");
        }
    }
}
