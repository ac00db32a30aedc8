//! On which line each key of a YAML text stands.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser};

use crate::domain::render::path::ValuePath;

/// Paths are followed to this depth only, which is more than a person reads.
const MAX_DEPTH: usize = 16;

/// The lines of keys, counted from 1, of the mappings that a text is made of. What comes through an alias or a merge key has none of
/// its own.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<ValuePath, usize>);

/// What is open while reading.
enum Open {
    /// A mapping, with whether its next scalar is a key.
    Mapping { expects_key: bool },
    /// A list. Nothing in it is looked for.
    List,
}

impl Lines {
    /// Reads a text that is known to be YAML; at an error, what was found until then remains.
    pub(super) fn read(text: &str) -> Self {
        let mut walk = Walk::default();
        for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
            walk.event(&event, span.start.line());
        }
        Self(walk.lines)
    }

    /// The line of a key, else of the nearest one around it.
    pub(super) fn of(&self, path: &ValuePath) -> Option<usize> {
        let names = path.names();
        (1..=names.len())
            .rev()
            .find_map(|length| self.0.get(&ValuePath::new(&names[..length])).copied())
    }
}

#[derive(Default)]
struct Walk {
    lines: BTreeMap<ValuePath, usize>,
    open: Vec<Open>,
    names: Vec<String>,
}

impl Walk {
    fn event(&mut self, event: &Event<'_>, line: usize) {
        match event {
            Event::MappingStart(..) => self.open.push(Open::Mapping { expects_key: true }),
            Event::SequenceStart(..) => self.open.push(Open::List),
            Event::MappingEnd | Event::SequenceEnd => {
                self.open.pop();
                self.value_ends();
            }
            Event::Scalar(text, ..) => self.scalar(text, line),
            Event::Alias(_) => self.scalar("", line),
            _ => {}
        }
    }

    fn scalar(&mut self, text: &str, line: usize) {
        let Some(Open::Mapping { expects_key }) = self.open.last_mut() else {
            return;
        };
        if !*expects_key {
            return self.value_ends();
        }
        *expects_key = false;
        self.names.push(text.to_owned());
        let is_inside_a_list = self.open.iter().any(|open| matches!(open, Open::List));
        if !is_inside_a_list && self.open.len() <= MAX_DEPTH {
            self.lines.entry(ValuePath::new(&self.names)).or_insert(line);
        }
    }

    /// The value of a key has ended. (A mapping as a key, which Kubernetes refuses, ends as if it were one.)
    fn value_ends(&mut self) {
        if let Some(Open::Mapping { expects_key }) = self.open.last_mut() {
            *expects_key = true;
            self.names.pop();
        }
    }
}
