//! Text of others on a terminal: a pull request's title must not move the cursor.

/// `text` with every character replaced that a terminal obeys instead of showing it: control characters (line ends included) and
/// those that turn the direction of writing.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|character| if is_obeyed(character) { '\u{fffd}' } else { character })
        .collect()
}

/// Like [`printable`], for a text of several lines: line ends and tabs stay.
pub fn printable_lines(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' | '\t' => character,
            character if is_obeyed(character) => '\u{fffd}',
            character => character,
        })
        .collect()
}

fn is_obeyed(character: char) -> bool {
    let turns_direction = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || turns_direction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_sequence_does_not_reach_the_terminal() {
        assert_eq!(
            printable("a\u{1b}[2Jb\u{9b}1m\nc\u{202e}"),
            "a\u{fffd}[2Jb\u{fffd}1m\u{fffd}c\u{fffd}"
        );
    }

    #[test]
    fn letters_of_every_language_stay() {
        assert_eq!(printable("émile/🎉 ß"), "émile/🎉 ß");
    }

    #[test]
    fn a_text_of_several_lines_keeps_them() {
        assert_eq!(printable_lines("a: 1\n\tb\u{1b}"), "a: 1\n\tb\u{fffd}");
    }
}
