//! When something is told: what is due, what is under way, and which ways are shut.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::Failure;
use crate::githost::Class;

/// An environment by its namespace and name: those of one name follow one another.
pub(super) type Place = (String, String);

/// What may wait is not told again so soon after the last time.
const PACE: Duration = Duration::from_secs(10);
/// Nothing is.
const GAP: Duration = Duration::from_secs(1);
/// The first wait after a failure; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait for what passes by itself, and the first for what only a person can change.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// The longest wait for a person.
const PATIENT_WAIT: Duration = Duration::from_secs(3600);
/// What a rate limit without a time is worth: GitHub's own advice.
const LIMITED_WAIT: Duration = Duration::from_secs(60);

/// What there is to tell, and when.
#[derive(Default)]
pub(super) struct Agenda {
    items: HashMap<Place, Item>,
    ways: HashMap<String, Way>,
}

#[derive(Default)]
struct Item {
    /// `None` while there is nothing to tell.
    due: Option<Instant>,
    /// Not before this, whatever happens.
    not_before: Option<Instant>,
    is_running: bool,
    /// Whether something happened while it was.
    is_rung: bool,
    receipts: BTreeSet<String>,
    failures: u32,
    told: Option<Instant>,
}

#[derive(Default)]
struct Way {
    shut_until: Option<Instant>,
    failures: u32,
}

impl Agenda {
    /// Something has changed at a place: its environment, or there is a receipt of one.
    pub(super) fn ring(&mut self, place: Place, receipt: Option<String>, now: Instant) {
        let item = self.items.entry(place).or_default();
        item.receipts.extend(receipt);
        if item.is_running {
            item.is_rung = true;
        } else {
            item.due = item.not_before.filter(|time| *time > now).or(Some(now));
        }
    }

    /// A place that is due, and the receipt that comes first there.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(Place, Option<String>)> {
        let due = |item: &Item| item.due.filter(|due| !item.is_running && *due <= now);
        let ready = self.items.iter().filter_map(|(place, item)| Some((due(item)?, place)));
        let (_, place) = ready.min()?;
        let place = place.clone();
        let receipt = self.items.get(&place)?.receipts.first().cloned();
        Some((place, receipt))
    }

    /// When the next place is due; with no room for it, only an end matters.
    pub(super) fn next(&self, has_room: bool) -> Option<Instant> {
        let waiting = self.items.values().filter(|item| has_room && !item.is_running);
        waiting.filter_map(|item| item.due).min()
    }

    /// There is nothing to tell until something changes. A place where nothing has been told for a while is as good as a new one, and not kept.
    pub(super) fn rest(&mut self, place: &Place, now: Instant) {
        let Some(item) = self.items.get_mut(place) else { return };
        item.due = None;
        if item.is_as_new(now) {
            self.forget(place);
        }
    }

    /// There is nothing at the place any more.
    pub(super) fn forget(&mut self, place: &Place) {
        self.items.remove(place);
        // After a round over thousands there would be room for them all day.
        if self.items.len() < self.items.capacity() / 8 {
            self.items.shrink_to(2 * self.items.len());
        }
    }

    /// Whether something was told a moment ago; then it is due again in a while.
    pub(super) fn is_too_soon(&mut self, place: &Place, now: Instant) -> bool {
        let Some(item) = self.items.get_mut(place) else { return false };
        let ready = item.told.map(|told| told + PACE).filter(|ready| *ready > now);
        if ready.is_some() {
            item.due = ready;
        }
        ready.is_some()
    }

    /// Whether the way is shut; then the place is due when it opens.
    pub(super) fn wait_for_way(&mut self, place: &Place, way: &str, now: Instant) -> bool {
        let shut = self.ways.get(way).and_then(|way| way.shut_until).filter(|until| *until > now);
        if let (Some(until), Some(item)) = (shut, self.items.get_mut(place)) {
            item.due = Some(until);
        }
        shut.is_some()
    }

    /// Something is being told.
    pub(super) fn start(&mut self, place: &Place, now: Instant) {
        if let Some(item) = self.items.get_mut(place) {
            (item.is_running, item.is_rung) = (true, false);
            item.not_before = Some(now + GAP);
        }
    }

    /// What came of it. The environment is looked at again in any case: it may have changed meanwhile.
    pub(super) fn settle(&mut self, place: &Place, way: &str, receipt: Option<&str>, failure: Option<&Failure>, now: Instant) {
        let road = self.ways.entry(way.to_owned()).or_default();
        let Some(item) = self.items.get_mut(place) else { return };
        item.is_running = false;
        let wait = match failure {
            None => {
                item.failures = 0;
                // A way that is shut stays so: this went out before.
                road.failures = 0;
                if let Some(receipt) = receipt {
                    item.receipts.remove(receipt);
                }
                item.told = Some(now);
                GAP
            }
            Some(failure) => {
                item.failures += 1;
                if failure.of_way {
                    road.failures += 1;
                    road.shut_until = Some(now + wait(failure.class, road.failures));
                }
                wait(failure.class, item.failures)
            }
        };
        item.not_before = Some(now + wait);
        item.due = item.not_before;
    }
}

impl Item {
    fn is_as_new(&self, now: Instant) -> bool {
        let may_go = self.not_before.is_none_or(|time| time <= now);
        let told_lately = self.told.is_some_and(|told| now < told + PACE);
        may_go && !told_lately && !self.is_running && self.receipts.is_empty() && self.failures == 0
    }
}

fn wait(class: Class, failures: u32) -> Duration {
    let doublings = 2_u32.saturating_pow(failures.saturating_sub(1));
    let doubled = FIRST_WAIT.saturating_mul(doublings);
    match class {
        Class::Transient => doubled.min(LONGEST_WAIT),
        Class::RateLimited(time) => time.unwrap_or(LIMITED_WAIT).max(doubled.min(LONGEST_WAIT)),
        Class::NeedsAttention => LONGEST_WAIT.saturating_mul(doublings).min(PATIENT_WAIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Place {
        ("n".to_owned(), name.to_owned())
    }

    fn failure(class: Class, of_way: bool) -> Failure {
        Failure {
            class,
            of_way,
            problem: "no".to_owned(),
        }
    }

    #[test]
    fn f14_a_change_while_something_is_told_is_looked_at_afterwards_and_never_at_the_same_time() {
        let (mut agenda, now) = (Agenda::default(), Instant::now());
        agenda.ring(place("a"), None, now);
        assert_eq!(agenda.take_due(now), Some((place("a"), None)));
        agenda.start(&place("a"), now);
        agenda.ring(place("a"), None, now);
        assert_eq!(agenda.take_due(now + LONGEST_WAIT), None, "one at a time");
        agenda.settle(&place("a"), "host", None, None, now);
        assert_eq!(agenda.take_due(now), None);
        assert_eq!(agenda.take_due(now + GAP), Some((place("a"), None)));
    }

    #[test]
    fn a_receipt_comes_before_the_environment_that_has_the_name_now_and_stays_until_it_was_told() {
        let (mut agenda, now) = (Agenda::default(), Instant::now());
        agenda.ring(place("a"), None, now);
        agenda.ring(place("a"), Some("r".to_owned()), now);
        let receipt = Some((place("a"), Some("r".to_owned())));
        assert_eq!(agenda.take_due(now), receipt);
        agenda.start(&place("a"), now);
        agenda.settle(&place("a"), "host", Some("r"), Some(&failure(Class::Transient, false)), now);
        assert_eq!(agenda.take_due(now + FIRST_WAIT), receipt);
        agenda.settle(&place("a"), "host", Some("r"), None, now);
        assert_eq!(agenda.take_due(now + GAP), Some((place("a"), None)));
    }

    #[test]
    fn a_change_does_not_cut_a_wait_short_and_one_environment_does_not_starve_the_others_of_its_way() {
        let (mut agenda, now) = (Agenda::default(), Instant::now());
        for name in ["a", "b"] {
            agenda.ring(place(name), None, now);
        }
        agenda.start(&place("a"), now);
        for _ in 0..3 {
            agenda.settle(&place("a"), "host", None, Some(&failure(Class::Transient, true)), now);
        }
        agenda.ring(place("a"), None, now);
        assert!(agenda.wait_for_way(&place("b"), "host", now), "nobody is reached there");
        assert!(!agenda.wait_for_way(&place("b"), "other", now));
        let open = now + Duration::from_secs(4);
        assert_eq!(agenda.next(true), Some(open));
        assert!(!agenda.wait_for_way(&place("b"), "host", open));
        agenda.settle(&place("b"), "host", None, None, now);
        assert!(agenda.wait_for_way(&place("b"), "host", now), "what was under way opens nothing");
    }

    #[test]
    fn what_may_wait_is_told_ten_seconds_after_the_last_time() {
        let (mut agenda, now) = (Agenda::default(), Instant::now());
        agenda.ring(place("a"), None, now);
        assert!(!agenda.is_too_soon(&place("a"), now), "nothing was told yet");
        agenda.settle(&place("a"), "host", None, None, now);
        assert!(agenda.is_too_soon(&place("a"), now + GAP));
        assert_eq!(agenda.next(true), Some(now + PACE));
        assert!(!agenda.is_too_soon(&place("a"), now + PACE));
    }

    #[test]
    fn a_place_at_rest_is_kept_only_for_as_long_as_it_may_not_be_told_of_at_once() {
        let (mut agenda, now) = (Agenda::default(), Instant::now());
        for number in 0..100 {
            agenda.ring(place(&number.to_string()), None, now);
        }
        agenda.start(&place("0"), now);
        agenda.settle(&place("0"), "host", None, None, now);
        agenda.start(&place("1"), now);
        agenda.settle(&place("1"), "host", None, Some(&failure(Class::Transient, false)), now);
        for number in 0..100 {
            agenda.rest(&place(&number.to_string()), now + GAP);
        }
        assert!(agenda.is_too_soon(&place("0"), now + GAP));
        assert_eq!(agenda.items.len(), 2, "it was told of, or could not be");
        assert!(agenda.items.capacity() < 100);
        agenda.rest(&place("0"), now + PACE);
        assert_eq!(agenda.items.keys().collect::<Vec<_>>(), [&place("1")]);
    }

    #[test]
    fn f64_a_wait_grows_to_five_minutes_and_a_rate_limit_is_waited_for() {
        let seconds = |class, failures| wait(class, failures).as_secs();
        assert_eq!(
            [1, 2, 3, 9, 40].map(|failures| seconds(Class::Transient, failures)),
            [1, 2, 4, 256, 300]
        );
        assert_eq!(seconds(Class::RateLimited(Some(Duration::from_secs(3600))), 1), 3600);
        assert_eq!(seconds(Class::RateLimited(None), 1), 60);
        assert_eq!([1, 2, 9].map(|failures| seconds(Class::NeedsAttention, failures)), [300, 600, 3600]);
    }
}
