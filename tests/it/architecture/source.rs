//! A source file as the rules see it: code without comments and texts, and the paths that it names.

/// One file below `src/`.
pub struct Source {
    /// Its path below `src/`.
    pub path: String,
    /// The code, line by line as in the file; comments and the contents of texts are blank.
    pub lines: Vec<String>,
    /// For each line, whether it belongs to tests.
    pub is_test: Vec<bool>,
}

/// A path that the code names, for example `crate::domain::git`, with the line that it begins in.
#[derive(Debug, PartialEq)]
pub struct Named {
    pub line: usize,
    pub segments: Vec<String>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let lines: Vec<_> = blank(text).lines().map(str::to_owned).collect();
        let whole = path.ends_with("/tests.rs") || path.contains("/tests/");
        let is_test = match whole {
            true => vec![true; lines.len()],
            false => test_lines(&lines),
        };
        Self {
            path: path.to_owned(),
            lines,
            is_test,
        }
    }

    /// The module that the file holds: `domain/plan/deploy.rs` is `domain`, `plan`, `deploy`; a crate's root is empty.
    pub fn module(&self) -> Vec<&str> {
        match self.path.strip_suffix(".rs").unwrap_or(&self.path) {
            "lib" | "main" => Vec::new(),
            path => path.split('/').collect(),
        }
    }

    /// The layer: the first part of the path.
    pub fn layer(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Lines of code besides tests, with their numbers.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.lines.iter().zip(&self.is_test).enumerate();
        lines
            .filter(|(_, (_, test))| !**test)
            .map(|(index, (line, _))| (index + 1, line.as_str()))
    }

    /// Every path that code besides tests names, with `{…}` spelled out, and `crate`, `graftling` and `super` resolved to `crate`.
    pub fn named(&self) -> Vec<Named> {
        let code: Vec<_> = self
            .code()
            .flat_map(|(number, line)| line.chars().chain(['\n']).map(move |character| (number, character)))
            .collect();
        let mut reader = Reader {
            code: &code,
            at: 0,
            named: Vec::new(),
        };
        reader.read();
        reader
            .named
            .into_iter()
            .map(|named| Named {
                segments: self.resolve(named.segments),
                ..named
            })
            .collect()
    }

    fn resolve(&self, segments: Vec<String>) -> Vec<String> {
        let supers = segments.iter().take_while(|segment| *segment == "super").count();
        if supers > 0 {
            let module = self.module();
            let kept = module.len().saturating_sub(supers);
            let above = module[..kept].iter().map(ToString::to_string);
            return std::iter::once("crate".to_owned())
                .chain(above)
                .chain(segments.into_iter().skip(supers))
                .collect();
        }
        let mut segments = segments;
        if segments.first().is_some_and(|first| first == "graftling") {
            segments[0] = "crate".to_owned();
        }
        segments
    }
}

/// Reads `a::b::{c, d::e}` as `a::b::c` and `a::b::d::e`.
struct Reader<'a> {
    code: &'a [(usize, char)],
    at: usize,
    named: Vec<Named>,
}

impl Reader<'_> {
    fn read(&mut self) {
        while self.at < self.code.len() {
            match self.identifier() {
                Some(first) => self.tree(vec![first]),
                None => self.at += 1,
            }
        }
    }

    /// The rest of a path that begins with `segments`.
    fn tree(&mut self, mut segments: Vec<String>) {
        let line = self.code[self.at - 1].0;
        while self.skip("::") {
            if self.skip("{") {
                return self.group(&segments);
            }
            match self.identifier() {
                Some(segment) => segments.push(segment),
                None => break,
            }
        }
        self.named.push(Named { line, segments });
    }

    fn group(&mut self, prefix: &[String]) {
        while self.at < self.code.len() && !self.skip("}") {
            match self.identifier() {
                Some(first) => self.tree(prefix.iter().cloned().chain([first]).collect()),
                None => self.at += 1,
            }
        }
    }

    fn identifier(&mut self) -> Option<String> {
        let begin = self.at;
        while self
            .code
            .get(self.at)
            .is_some_and(|(_, character)| character.is_alphanumeric() || *character == '_')
        {
            self.at += 1;
        }
        (self.at > begin).then(|| self.code[begin..self.at].iter().map(|(_, character)| character).collect())
    }

    fn skip(&mut self, expected: &str) -> bool {
        let end = self.at + expected.len();
        let found = self
            .code
            .get(self.at..end)
            .is_some_and(|code| code.iter().map(|(_, character)| *character).eq(expected.chars()));
        self.at = if found { end } else { self.at };
        found
    }
}

/// The text with comments and the contents of texts and characters replaced by spaces. Lines stay where they are.
fn blank(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end = literal_end(&characters, at);
        let fill = |character: &char| if *character == '\n' { '\n' } else { ' ' };
        match end {
            Some(end) => out.extend(characters[at..end].iter().map(fill)),
            None => out.push(characters[at]),
        }
        at = end.unwrap_or(at + 1);
    }
    out
}

/// Where the comment or text that begins at `at` ends, if one does.
fn literal_end(characters: &[char], at: usize) -> Option<usize> {
    let starts = |begin: &str| characters[at..].iter().copied().take(begin.len()).eq(begin.chars());
    let after = |offset: usize, end: &str| {
        let end: Vec<char> = end.chars().collect();
        let from = (at + offset).min(characters.len());
        let found = characters[from..].windows(end.len()).position(|window| window == end);
        found.map_or(characters.len(), |position| from + position + end.len())
    };
    let in_word = at > 0 && (characters[at - 1].is_alphanumeric() || characters[at - 1] == '_');
    let hashes = characters[at..].iter().skip(1).take_while(|character| **character == '#').count();
    if starts("//") {
        let end = characters[at..].iter().position(|character| *character == '\n');
        Some(end.map_or(characters.len(), |end| at + end))
    } else if starts("/*") {
        Some(after(2, "*/"))
    } else if !in_word && starts("r") && characters.get(at + 1 + hashes) == Some(&'"') {
        Some(after(hashes + 2, &format!("\"{}", "#".repeat(hashes))))
    } else if starts("\"") {
        Some(quoted_end(characters, at, '"'))
    } else if starts("'") && (characters.get(at + 1) == Some(&'\\') || characters.get(at + 2) == Some(&'\'')) {
        Some(quoted_end(characters, at, '\''))
    } else {
        None
    }
}

fn quoted_end(characters: &[char], at: usize, quote: char) -> usize {
    let mut at = at + 1;
    while at < characters.len() && characters[at] != quote {
        at += if characters[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(characters.len())
}

/// Lines from `#[cfg(test)]` to the end of the item under it.
fn test_lines(lines: &[String]) -> Vec<bool> {
    let mut is_test = vec![false; lines.len()];
    let mut at = 0;
    while at < lines.len() {
        if lines[at].trim() == "#[cfg(test)]" {
            let end = item_end(lines, at + 1);
            is_test[at..end].fill(true);
            at = end;
        } else {
            at += 1;
        }
    }
    is_test
}

/// The line after the item that begins at line `at`: after its `;`, or after its closing brace.
pub fn item_end(lines: &[String], at: usize) -> usize {
    let mut depth = 0_i32;
    for (index, line) in lines.iter().enumerate().skip(at) {
        for character in line.chars() {
            depth += match character {
                '{' | '(' | '[' => 1,
                '}' | ')' | ']' => -1,
                _ => 0,
            };
            if depth == 0 && matches!(character, ';' | '}') {
                return index + 1;
            }
        }
    }
    lines.len()
}
