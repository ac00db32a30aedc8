//! The API server's clock, as its answers tell it: deletions are dated by that one, and ours may be wrong.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http::{HeaderMap, Response, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// The time of the last answer. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ServerClock(Arc<Mutex<Option<(Timestamp, Instant)>>>);

impl ServerClock {
    /// Reads the header `Date` of an answer.
    pub fn read<B>(&self, answer: Response<B>) -> Response<B> {
        if let Some(time) = date(answer.headers()) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((time, Instant::now()));
        }
        answer
    }

    /// The time by the server's clock, to a second or two; `None` before the first answer.
    pub fn now(&self) -> Option<Timestamp> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.and_then(|(time, read)| time.checked_add(read.elapsed()).ok())
    }
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    // HTTP writes dates as mail does, always in GMT.
    DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    #[test]
    fn the_clock_is_that_of_the_last_answer_and_goes_on() {
        let clock = ServerClock::default();
        assert_eq!(clock.now(), None);
        let answer = |date: &str| Response::builder().header("date", date).body(()).unwrap();
        clock.read(answer("Tue, 15 Nov 1994 08:12:31 GMT"));
        let told: Timestamp = "1994-11-15T08:12:31Z".parse().unwrap();
        assert!(clock.now().unwrap() >= told);
        assert!(clock.now().unwrap() < told + jiff::SignedDuration::from_secs(60));
        clock.read(answer("no date"));
        assert!(clock.now().unwrap() >= told);
    }
}
