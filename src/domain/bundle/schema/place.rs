//! Where something stands in a JSON text that is known to be valid.

/// Line and column of the value at a JSON pointer, counted from 1; of the nearest value around it if it is not there.
pub(super) fn of_pointer(text: &str, pointer: &str) -> Option<(usize, usize)> {
    let mut scan = Scan { text, position: 0 };
    for part in pointer.split('/').skip(1) {
        let start = scan.position;
        if !scan.enter(&part.replace("~1", "/").replace("~0", "~")) {
            scan.position = start;
            break;
        }
    }
    scan.space();
    Some(line_and_column(text, scan.position))
}

/// Line and column of the value of the first reference that `message` speaks of.
pub(super) fn of_reference(text: &str, message: &str) -> Option<(usize, usize)> {
    let references = ["\"$ref\"", "\"$dynamicRef\"", "\"$recursiveRef\""];
    let mut found: Vec<usize> = references
        .iter()
        .flat_map(|name| text.match_indices(name).map(|(start, name)| start + name.len()))
        .collect();
    found.sort_unstable();
    found.into_iter().find_map(|end| {
        let mut scan = Scan { text, position: end };
        scan.space();
        scan.take(b':')?;
        scan.space();
        let position = scan.position;
        let target = scan.string()?;
        let target = target.trim_start_matches('#');
        (!target.is_empty() && message.contains(target)).then(|| line_and_column(text, position))
    })
}

fn line_and_column(text: &str, position: usize) -> (usize, usize) {
    let before = text.get(..position).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    (line, before[start..].chars().count() + 1)
}

/// A walk over the bytes; everything it looks for is ASCII.
struct Scan<'a> {
    text: &'a str,
    position: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.position += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.position += 1)
    }

    /// The text at the position, as it means.
    fn string(&mut self) -> Option<String> {
        let start = self.position;
        self.take(b'"')?;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.position += 2,
                _ => self.position += 1,
            }
        }
        self.position += 1;
        serde_json::from_str(self.text.get(start..self.position)?).ok()
    }

    /// Goes to the entry of the mapping or list at the position; false if there is none such.
    fn enter(&mut self, name: &str) -> bool {
        self.try_enter(name).unwrap_or(false)
    }

    fn try_enter(&mut self, name: &str) -> Option<bool> {
        self.space();
        let is_mapping = match self.peek()? {
            b'{' => true,
            b'[' => false,
            _ => return Some(false),
        };
        self.position += 1;
        for index in 0.. {
            self.space();
            if matches!(self.peek()?, b'}' | b']') {
                return Some(false);
            }
            let found = if is_mapping {
                let key = self.string()?;
                self.space();
                self.take(b':')?;
                key == name
            } else {
                name.parse() == Ok(index)
            };
            if found {
                return Some(true);
            }
            self.skip()?;
            self.space();
            if self.take(b',').is_none() {
                return Some(false);
            }
        }
        None
    }

    /// Goes behind the value at the position, without recursion.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        self.space();
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.position += 1;
                }
                b'}' | b']' => {
                    if depth == 0 {
                        return Some(());
                    }
                    depth -= 1;
                    self.position += 1;
                }
                b',' if depth == 0 => return Some(()),
                _ => self.position += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{\n  \"a\": [1, {\"x/y\": \"ä}\", \"z\": true}],\n  \"b\\u0063\": {\"$ref\": \"http://example.com/x\"}\n}";

    #[test]
    fn a_pointer_leads_to_line_and_column() {
        for (pointer, place) in [
            ("", (1, 1)),
            ("/a", (2, 8)),
            ("/a/1", (2, 12)),
            ("/a/1/x~1y", (2, 20)),
            ("/a/1/z", (2, 31)),
            ("/bc", (3, 14)),
            ("/a/7", (2, 8)),
            ("/nowhere", (1, 1)),
        ] {
            assert_eq!(of_pointer(TEXT, pointer), Some(place), "{pointer}");
        }
    }

    #[test]
    fn a_reference_is_found_by_its_target() {
        assert_eq!(of_reference(TEXT, "cannot fetch http://example.com/x"), Some((3, 23)));
        assert_eq!(of_reference(TEXT, "something else"), None);
    }
}
