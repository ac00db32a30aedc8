//! What is kept of logs, and what is not.

use proptest::prelude::*;

use super::*;

fn log() -> ContainerLog {
    ContainerLog {
        stage: "migrate".into(),
        attempt: 1,
        pod: "migrate-3-1-x".into(),
        container: "migrate".into(),
        ..ContainerLog::default()
    }
}

#[test]
fn feature_s2_values_of_the_environments_own_secrets_are_never_kept_in_a_log() {
    let pem = "-----BEGIN KEY-----\nMIIEvgIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n";
    let secret = object(
        "Secret",
        "login",
        json!({ "stringData": { "password": PASSWORD, "user": "db" }, "data": { "key": BASE64.encode(pem) } }),
    );
    let mask = contents(&[("deploy", vec![document("a", secret)])]).mask();
    let text = format!(
        "user db logs in as {PASSWORD}!\nencoded {}\nkqhkiG9w0BAQEF trailing\nall fine\n",
        BASE64.encode(PASSWORD)
    );
    let kept = log().with_text(&text, &mask);
    assert_eq!(
        kept.lines,
        ["user db logs in as [hidden]!", "encoded [hidden]", "[hidden] trailing", "all fine"]
    );
    assert!(!format!("{mask:?}").contains(PASSWORD));
}

#[test]
fn feature_s2_what_has_the_form_of_a_secret_is_hidden_although_nobody_told_of_it() {
    let mask = Mask::default();
    for (text, wanted) in [
        ("PGPASSWORD=hunter22 psql", "PGPASSWORD=[hidden] psql"),
        ("{\"api_key\": \"abc\", \"b\": 1}", "{\"api_key\": \"[hidden]\", \"b\": 1}"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [hidden]"),
        ("postgres://app:s3cret@db/app?x", "postgres://app:[hidden]@db/app?x"),
        ("using ghp_abcdefghijklmnopqrstuvwx", "using [hidden]"),
        ("AKIAIOSFODNN7EXAMPLE is it", "[hidden] is it"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_", "[hidden]"),
        ("the tokens are counted: 12 of 13", "the tokens are counted: 12 of 13"),
        ("GET http://web:8080/path", "GET http://web:8080/path"),
    ] {
        assert_eq!(mask.apply(text), wanted);
    }
}

#[test]
fn feature_s2_the_last_200_lines_are_kept_and_it_is_said_that_there_were_more() {
    let text: String = (0..500).map(|number| format!("line {number}\n")).collect();
    let kept = log().with_text(&text, &Mask::default());
    assert_eq!((kept.lines.len(), kept.cut), (200, true));
    assert_eq!(kept.lines.last().unwrap(), "line 499");
    let few = log().with_text("one\ntwo", &Mask::default());
    assert_eq!((few.lines, few.cut), (vec!["one".to_owned(), "two".to_owned()], false));
    let wide = log().with_text(&format!("{}é{}", "a".repeat(10), "b".repeat(MAX_LOG - 1)), &Mask::default());
    assert_eq!((wide.lines.len(), wide.lines[0].len(), wide.cut), (1, MAX_LOG - 1, false));
    let colours = log().with_text("\u{1b}[31mred\u{7}\tend", &Mask::default());
    assert_eq!(colours.lines, ["[31mred\tend"], "nothing that a terminal obeys");
}

#[test]
fn a_journal_stays_within_its_room_and_says_what_it_dropped() {
    let mut state = 7_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{state:016x}")
    };
    let mut journal = Journal::default();
    for attempt in 1..=11 {
        let text: String = (0..200).map(|_| (0..20).map(|_| noise()).collect::<String>() + "\n").collect();
        journal.add([ContainerLog { attempt, ..log() }.with_text(&text, &Mask::default())]);
        assert!(journal.pack().len() <= secrets::MAX_JOURNAL);
    }
    assert!(
        journal.dropped > 0 && journal.logs.last().unwrap().attempt == 11,
        "{}",
        journal.dropped
    );
    assert_eq!(journal.logs.len() + journal.dropped, 11);
    assert_eq!(Journal::read(&journal.pack(), 1 << 23).unwrap(), journal);
}

#[test]
fn a_log_that_is_read_again_takes_the_place_of_the_first() {
    let mut journal = Journal::default();
    journal.add([log().with_text("half", &Mask::default())]);
    journal.add([log().with_text("half\nwhole", &Mask::default())]);
    assert_eq!(journal.logs.len(), 1);
    assert_eq!(journal.logs[0].lines, ["half", "whole"]);
}

proptest! {
    #[test]
    fn no_text_of_a_container_gets_longer_than_it_may(text in "\\PC{0,300}", count in 0..400_usize) {
        let kept = log().with_text(&format!("{text}\n").repeat(count), &Mask::default());
        prop_assert!(kept.lines.len() <= MAX_LINES);
        prop_assert!(kept.lines.iter().map(|line| line.len() + 1).sum::<usize>() <= MAX_LOG + 1);
    }
}
