//! `/preview approve <commit>` on a pull request from a fork.
//!
//! What is approved is the commit that its author looked at, never "whatever the pull request is by now": a push between the look and the
//! word must not slip in.

use crate::domain::git::Revision;

/// What a word of approval on a pull request from a fork comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approves {
    /// Exactly this commit.
    Commit(Revision),
    /// Nothing, for this reason.
    Nothing(String),
}

/// So many digits tell a commit: as many as Git shows.
const SHORTEST: usize = 7;

/// The beginning of a commit id, if the text is one.
pub fn as_commit(text: &str) -> Option<&str> {
    let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_hex && (SHORTEST..=64).contains(&text.len())).then_some(text)
}

/// Judges an approval of the commit that begins with `prefix`, where the host shows `head`.
pub fn approves(prefix: Option<&str>, head: &Revision) -> Approves {
    let Some(prefix) = prefix else {
        return Approves::Nothing(format!(
            "this pull request comes from a fork: look at its commit and name it, `/preview approve {}`",
            head.short()
        ));
    };
    match head.as_str().starts_with(prefix) {
        true => Approves::Commit(head.clone()),
        false => Approves::Nothing(format!(
            "{prefix} is not the head of this pull request, which is {} by now: look at that one and approve it",
            head.short()
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn threat_t12_only_the_commit_that_was_looked_at_is_approved() {
        let head: Revision = "ab".repeat(20).parse().unwrap();
        assert_eq!(approves(Some("abababa"), &head), Approves::Commit(head.clone()));
        assert_eq!(approves(Some(head.as_str()), &head), Approves::Commit(head.clone()));
        for swapped in ["abababc", &"cd".repeat(20)] {
            assert!(matches!(approves(Some(swapped), &head), Approves::Nothing(why) if why.contains("by now")));
        }
        assert!(matches!(approves(None, &head), Approves::Nothing(why) if why.contains("/preview approve abababababab")));
    }

    #[test]
    fn seven_digits_at_least_are_a_commit_and_a_stage_is_none() {
        for text in ["abcdef", "release", "ABCDEF1", "abcdefg1", "", &"a".repeat(65)] {
            assert_eq!(as_commit(text), None, "{text}");
        }
        assert_eq!(as_commit("abcdef1"), Some("abcdef1"));
    }

    proptest! {
        #[test]
        fn threat_t12_what_is_approved_always_begins_with_what_was_written(prefix in "[0-9a-f]{7,12}", head in "[0-9a-f]{40}") {
            let Ok(head) = head.parse::<Revision>() else { return Ok(()) };
            if let Approves::Commit(approved) = approves(Some(&prefix), &head) {
                prop_assert!(approved.as_str().starts_with(&prefix) && approved == head);
            }
        }
    }
}
