//! What time it is for sure, and whether a deadline has passed.
//!
//! What a deadline ends may not come back, so no single clock decides it. Deadlines are written as the API server's time, and [`Clock`]
//! believes that clock only as far as it has moved like the process's own uptime, which never jumps. An error of either clock makes
//! things late and never early.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Three clocks, read at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The API server's.
    pub server: Timestamp,
    /// This machine's. It counts only for the very first reading, when nothing is known yet of how the server's clock moves.
    pub machine: Timestamp,
    /// Time since the process started.
    pub uptime: Duration,
}

/// The API server's clock, as far as it can be trusted.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// The last time that was believed, and the uptime at which it was.
    trusted: Option<Point>,
    /// The first of an unbroken row of readings that agree with each other and not with `trusted`.
    doubted: Option<Point>,
    read_at: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    time: Timestamp,
    uptime: Duration,
}

/// So far may a clock be from where it should be: the answer takes a moment, its `Date` has whole seconds, and NTP corrects in small steps.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(30);

/// A clock that has jumped is believed once it has run steadily for so long: the jump was a correction then.
const STEADY: Duration = Duration::from_secs(60 * 60);

/// How long a reading needs no other: meanwhile the uptime tells the time.
const FRESH: Duration = Duration::from_secs(10);

/// After so long without a reading no time is sure.
const FORGOTTEN: Duration = Duration::from_secs(60);

// === impl Clock ===

impl Clock {
    /// Takes in a reading.
    ///
    /// # Guarantees
    /// - A clock that jumps ahead is not believed before it has run steadily for an hour.
    /// - At the first reading the earlier of the server's and the machine's time counts, so a process that starts while one of them is
    ///   ahead is not fooled either.
    pub fn read(&mut self, reading: Reading) {
        self.read_at = Some(reading.uptime);
        let server = Point {
            time: reading.server,
            uptime: reading.uptime,
        };
        let Some(trusted) = self.trusted else {
            self.trusted = Some(Point {
                time: reading.server.min(reading.machine),
                uptime: reading.uptime,
            });
            return;
        };
        if trusted.agrees_with(server) {
            self.trusted = Some(server);
            self.doubted = None;
            return;
        }
        let doubted = self.doubted.filter(|doubted| doubted.agrees_with(server)).unwrap_or(server);
        let is_steady = reading.uptime.saturating_sub(doubted.uptime) >= STEADY;
        self.trusted = Some(if is_steady { server } else { trusted });
        self.doubted = (!is_steady).then_some(doubted);
    }

    /// Whether a new reading is due at `uptime`.
    pub fn is_stale(&self, uptime: Duration) -> bool {
        self.is_older_than(FRESH, uptime)
    }

    fn is_older_than(&self, age: Duration, uptime: Duration) -> bool {
        self.read_at.is_none_or(|read_at| uptime.saturating_sub(read_at) >= age)
    }

    /// The time at `uptime`: at most the true one. `None` while nothing was read, or for too long; nothing is over then.
    pub fn now(&self, uptime: Duration) -> Option<Timestamp> {
        if self.is_older_than(FORGOTTEN, uptime) {
            return None;
        }
        let believed = self.trusted?.at(uptime);
        let doubted = self.doubted.map_or(believed, |doubted| doubted.at(uptime));
        Some(believed.min(doubted))
    }
}

impl Point {
    /// What this clock shows at `uptime` if it runs as the uptime does.
    fn at(self, uptime: Duration) -> Timestamp {
        add(self.time, uptime.saturating_sub(self.uptime))
    }

    fn agrees_with(self, later: Self) -> bool {
        self.at(later.uptime).duration_since(later.time).abs() <= TOLERANCE
    }
}

/// `span` after `time`; the last moment that can be written, if that is later still.
pub fn add(time: Timestamp, span: Duration) -> Timestamp {
    time.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// The first whole second at or after `time`: what custom resources store.
pub fn whole_second_after(time: Timestamp) -> Timestamp {
    let seconds = time.as_second() + i64::from(time.subsec_nanosecond() > 0);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

/// How long something lasts, as people write it: `90s`, `30m`, `24h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

/// Why a text is no [`Span`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no length of time: give a whole number and a unit (s, m, h or d), such as 24h or 7d, from 1s to 30d")]
pub struct SpanError {
    text: String,
}

impl Span {
    /// The longest.
    pub const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// What the schema of a custom resource can say of the text.
    pub const PATTERN: &'static str = "^[1-9][0-9]{0,6}(s|m|h|d)$";

    /// What it can say of the length, as CEL over a text of at most eight characters.
    pub const RULE: &'static str = "int(self.find('^[0-9]+')) * (self.endsWith('d') ? 86400 : self.endsWith('h') ? 3600 : \
                                    self.endsWith('m') ? 60 : 1) <= 2592000";

    /// Its length.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let refuse = || SpanError { text: text.to_owned() };
        let unit = text.chars().last().ok_or_else(refuse)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            _ => return Err(refuse()),
        };
        let digits = &text[..text.len() - 1];
        let is_plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
        let count: u64 = digits.parse().map_err(|_| refuse())?;
        let span = Duration::from_secs(count.checked_mul(seconds).ok_or_else(refuse)?);
        (is_plain && span <= Self::LONGEST).then_some(Self(span)).ok_or_else(refuse)
    }
}

/// In the largest unit that gives a whole number.
impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [('d', 24 * 60 * 60), ('h', 60 * 60), ('m', 60)];
        let (unit, size) = units
            .into_iter()
            .find(|(_, size)| seconds.is_multiple_of(*size))
            .unwrap_or(('s', 1));
        write!(formatter, "{}{unit}", seconds / size)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a clock that tells nothing is the test's failure")]

    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 24 * 60 * 60;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn reading(server: i64, machine: i64, uptime: u64) -> Reading {
        Reading {
            server: at(server),
            machine: at(machine),
            uptime: Duration::from_secs(uptime),
        }
    }

    fn now(clock: &Clock, uptime: u64) -> Timestamp {
        clock.now(Duration::from_secs(uptime)).unwrap()
    }

    #[test]
    fn nothing_is_known_before_the_first_reading_nor_long_after_the_last() {
        let mut clock = Clock::default();
        assert_eq!(clock.now(Duration::ZERO), None);
        clock.read(reading(0, 0, 5));
        assert_eq!(now(&clock, 14), at(9), "between readings, the uptime tells");
        let is_stale = |uptime| clock.is_stale(Duration::from_secs(uptime));
        assert_eq!((is_stale(14), is_stale(15)), (false, true));
        assert_eq!(now(&clock, 64), at(59));
        assert_eq!(clock.now(Duration::from_secs(65)), None);
    }

    #[test]
    fn f84_a_jump_of_this_machine_s_clock_changes_nothing() {
        let mut clock = Clock::default();
        clock.read(reading(0, 0, 0));
        for jump in [DAY, -DAY] {
            clock.read(reading(60, 60 + jump, 60));
            assert_eq!(now(&clock, 60), at(60));
        }
    }

    #[test]
    fn f84_a_server_s_clock_that_jumps_ahead_ends_nothing_and_back_only_delays() {
        let mut clock = Clock::default();
        clock.read(reading(0, 0, 0));
        clock.read(reading(60 + DAY, 60, 60));
        assert_eq!(now(&clock, 60), at(60));
        clock.read(reading(120, 120, 120));
        assert_eq!(now(&clock, 120), at(120), "it came back");
        clock.read(reading(180 - DAY, 180, 180));
        assert_eq!(now(&clock, 180), at(180 - DAY));
    }

    #[test]
    fn f84_a_process_that_starts_while_a_clock_is_wrong_takes_the_earlier() {
        for (server, machine) in [(DAY, 0), (0, DAY)] {
            let mut clock = Clock::default();
            clock.read(reading(server, machine, 0));
            assert_eq!(now(&clock, 1), at(1));
        }
    }

    #[test]
    fn f84_a_corrected_clock_is_believed_after_an_hour() {
        let mut clock = Clock::default();
        clock.read(reading(0, 0, 0));
        for minute in 1..=60_u32 {
            let seconds = i64::from(minute) * 60;
            clock.read(reading(DAY + seconds, seconds, u64::from(minute) * 60));
            assert_eq!(now(&clock, u64::from(minute) * 60), at(seconds), "minute {minute}");
        }
        clock.read(reading(DAY + 3660, 3660, 3660));
        assert_eq!(now(&clock, 3660), at(DAY + 3660));
    }

    #[test]
    fn spans_are_whole_numbers_with_a_unit_of_at_most_thirty_days() {
        let seconds = |text: &str| text.parse::<Span>().map(|span| span.duration().as_secs()).ok();
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("30m"), Some(1800));
        assert_eq!(seconds("24h"), Some(86_400));
        assert_eq!(seconds("30d"), Some(2_592_000));
        for text in [
            "",
            "h",
            "0h",
            "01h",
            "-1h",
            "+1h",
            "1.5h",
            "1 h",
            "24",
            "24H",
            "1w",
            "31d",
            "721h",
            "1é",
            "99999999999999999999d",
        ] {
            assert_eq!(seconds(text), None, "{text:?}");
        }
        let shown = |text: &str| text.parse::<Span>().unwrap().to_string();
        assert_eq!([shown("48h"), shown("90m"), shown("61s")], ["2d", "90m", "61s"]);
    }

    proptest! {
        /// Whatever the clocks do within an hour, the time that is told never runs ahead of the true one.
        #[test]
        fn f84_no_reading_within_an_hour_makes_it_later_than_it_is(jumps in prop::collection::vec((-3 * DAY..3 * DAY, any::<bool>()), 1..50)) {
            let mut clock = Clock::default();
            clock.read(reading(0, 0, 0));
            for (minute, (jump, does_jump)) in (1..).zip(jumps) {
                let seconds = minute * 60;
                let server = if does_jump { seconds + jump } else { seconds };
                clock.read(reading(server, seconds, seconds.unsigned_abs()));
                prop_assert!(now(&clock, seconds.unsigned_abs()) <= at(seconds + TOLERANCE.as_secs() * minute));
            }
        }
    }
}
