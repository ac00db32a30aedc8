//! The functions that a Go template calls, found in its text without running it.

/// Functions whose result is not a matter of their arguments alone, and why. `helm template` would give something else each time,
/// so an environment would change without a push.
const UNSTEADY: [(&str, &str); 27] = [
    ("now", CLOCK),
    ("ago", CLOCK),
    ("date", CLOCK),
    ("date_in_zone", CLOCK),
    ("dateInZone", CLOCK),
    ("htmlDate", CLOCK),
    ("htmlDateInZone", CLOCK),
    ("randAlpha", CHANCE),
    ("randAlphaNum", CHANCE),
    ("randAscii", CHANCE),
    ("randBytes", CHANCE),
    ("randInt", CHANCE),
    ("randNumeric", CHANCE),
    ("shuffle", CHANCE),
    ("uuidv4", CHANCE),
    ("bcrypt", CHANCE),
    ("htpasswd", CHANCE),
    ("encryptAES", CHANCE),
    ("genCA", CHANCE),
    ("genCAWithKey", CHANCE),
    ("genPrivateKey", CHANCE),
    ("genSelfSignedCert", CHANCE),
    ("genSelfSignedCertWithKey", CHANCE),
    ("genSignedCert", CHANCE),
    ("genSignedCertWithKey", CHANCE),
    ("lookup", "reads the cluster, which a bundle never does"),
    ("getHostByName", "asks the network, which a bundle never does"),
];

const CLOCK: &str = "depends on the clock";
const CHANCE: &str = "gives something else each time";

/// A function that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::domain) struct Call<'a> {
    /// Its name.
    pub(in crate::domain) function: &'a str,
    /// Line and column, counted from 1.
    pub(in crate::domain) place: (usize, usize),
}

impl Call<'_> {
    /// Why the function may not be called, if it may not.
    pub(in crate::domain) fn refusal(&self) -> Option<String> {
        let (name, reason) = UNSTEADY.iter().find(|(name, _)| *name == self.function)?;
        Some(format!(
            "{name} {reason}: the environment would change by itself. Pass the value in by the Project's values or a Secret"
        ))
    }
}

/// Every word of the template's actions that is neither a field, nor a variable, nor part of a text or a comment. Keywords of the
/// language are among them.
pub(in crate::domain) fn calls(text: &str) -> Vec<Call<'_>> {
    let mut found = Vec::new();
    let mut position = 0;
    while let Some(offset) = text[position..].find("{{") {
        position = action(text, position + offset + 2, &mut found);
    }
    found
}

/// Reads one action and returns where it ends.
fn action<'a>(text: &'a str, begin: usize, found: &mut Vec<Call<'a>>) -> usize {
    let inner = text[begin..].trim_start_matches('-').trim_start();
    if inner.starts_with("/*") {
        return inner.find("*/").map_or(text.len(), |end| text.len() - inner.len() + end + 2);
    }
    let bytes = text.as_bytes();
    let mut position = begin;
    while position < bytes.len() {
        match bytes[position] {
            b'}' if bytes.get(position + 1) == Some(&b'}') => return position + 2,
            quote @ (b'"' | b'`' | b'\'') => position = text_end(bytes, position + 1, quote),
            byte if is_word(byte) => {
                let end = position + bytes[position..].iter().take_while(|byte| is_word(**byte)).count();
                let is_part = position > 0 && matches!(bytes[position - 1], b'.' | b'$');
                if !is_part && !byte.is_ascii_digit() {
                    let place = place(text, position);
                    found.push(Call {
                        function: &text[position..end],
                        place,
                    });
                }
                position = end;
            }
            _ => position += 1,
        }
    }
    position
}

/// Where a text ends that is closed by `quote`. Only raw texts go over a line's end.
fn text_end(bytes: &[u8], begin: usize, quote: u8) -> usize {
    let mut position = begin;
    while position < bytes.len() {
        match bytes[position] {
            b'\\' if quote != b'`' => position += 1,
            b'\n' if quote != b'`' => return position,
            byte if byte == quote => return position + 1,
            _ => {}
        }
        position += 1;
    }
    bytes.len()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn place(text: &str, position: usize) -> (usize, usize) {
    let before = &text[..position];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<&str> {
        calls(text).iter().map(|call| call.function).collect()
    }

    #[test]
    fn words_of_texts_fields_variables_and_comments_are_no_calls() {
        assert_eq!(
            names("now {{- include \"now\" .now | quote }} {{/* now }} */}}{{ $now.ago }}"),
            ["include", "quote"]
        );
        assert_eq!(
            names("{{ `now }} ` }}{{ 'n' }}{{ (.a).now }}{{ .Values.date }}"),
            Vec::<&str>::new()
        );
        assert_eq!(names("{{ if (eq (now | date \"2006\") `x`) }}"), ["if", "eq", "now", "date"]);
        assert_eq!(names("{{ \"a\\\"now\" | upper }} {{ 1e3 }} {{"), ["upper"]);
    }

    #[test]
    fn feature_p5_a_call_has_its_place_and_a_reason() {
        let call = calls("a: 1\nb: ä{{ now }}\n")[0];
        assert_eq!((call.function, call.place), ("now", (2, 8)));
        assert!(call.refusal().unwrap_or_default().starts_with("now depends on the clock"));
        assert_eq!(calls("{{ upper }}")[0].refusal(), None);
    }
}
