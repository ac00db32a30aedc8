//! The rules that are in force, and what they decide.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::fault::Fault;
use super::request::Request;
use super::rule::{Event, Rule};

/// How often a rule has acted.
#[derive(Debug, Clone, Default)]
pub struct Injections(Arc<AtomicU64>);

impl Injections {
    /// The number so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    pub(super) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct Armed {
    rule: Rule,
    fault: Fault,
    seen: u64,
    acted: Arc<AtomicU64>,
}

/// What is to happen to one request.
#[derive(Debug, Default)]
pub(super) struct Decision {
    pub(super) delay: Duration,
    pub(super) fault: Option<Fault>,
}

/// The rules in force, in the order in which they were added.
#[derive(Debug, Default, Clone)]
pub(super) struct Script(Arc<Mutex<Vec<Armed>>>);

impl Script {
    fn with<T>(&self, work: impl FnOnce(&mut Vec<Armed>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn add(&self, rule: Rule, fault: Fault) -> Injections {
        let acted = Arc::<AtomicU64>::default();
        let armed = Armed {
            rule,
            fault,
            seen: 0,
            acted: acted.clone(),
        };
        self.with(|rules| rules.push(armed));
        Injections(acted)
    }

    pub(super) fn clear(&self) {
        self.with(Vec::clear);
    }

    /// Every rule counts what it means; the first that acts decides, and delays add up.
    pub(super) fn decide(&self, request: &Request) -> Decision {
        self.with(|rules| {
            let mut decision = Decision::default();
            for armed in rules.iter_mut() {
                let meant = !matches!(armed.fault, Fault::SwallowEvent) && armed.rule.selector.matches(request);
                let open = decision.fault.is_none() || matches!(armed.fault, Fault::Delay(_));
                if !(meant && armed.counts_and_acts(open)) {
                    continue;
                }
                match &armed.fault {
                    Fault::Delay(delay) => decision.delay += *delay,
                    fault => decision.fault = Some(fault.clone()),
                }
            }
            decision
        })
    }

    /// Whether any rule is about events of watches.
    pub(super) fn swallows(&self) -> bool {
        self.with(|rules| rules.iter().any(|armed| matches!(armed.fault, Fault::SwallowEvent)))
    }

    /// Whether an event of a watch is not to be passed on.
    pub(super) fn swallow(&self, watch: &Request, event: &Event) -> bool {
        self.with(|rules| {
            let mut swallowed = false;
            for armed in rules.iter_mut() {
                let meant = matches!(armed.fault, Fault::SwallowEvent) && armed.rule.selector.matches_event(watch, event);
                swallowed |= meant && armed.counts_and_acts(!swallowed);
            }
            swallowed
        })
    }
}

impl Armed {
    /// Counts a match. Whether it is acted on: not if another rule has acted already.
    fn counts_and_acts(&mut self, open: bool) -> bool {
        self.seen += 1;
        let acts = open && self.rule.decides(self.seen, self.acted.load(Ordering::SeqCst));
        self.acted.fetch_add(u64::from(acts), Ordering::SeqCst);
        acts
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::Selector;
    use super::*;

    #[test]
    fn the_first_rule_that_acts_decides_every_rule_counts_and_delays_add_up() {
        let script = Script::default();
        let second = Duration::from_secs(1);
        script.add(Rule::on(Selector::any()), Fault::Delay(second));
        let first = script.add(Rule::on(Selector::any()).nth(1), Fault::answer(409));
        let second_rule = script.add(Rule::on(Selector::any()).nth(2), Fault::answer(500));
        script.add(Rule::on(Selector::any()).nth(2), Fault::Delay(second));
        let request = Request::default();
        let decisions = [(); 3].map(|()| script.decide(&request));
        let status = |decision: &Decision| match decision.fault {
            Some(Fault::Answer { status, .. }) => Some(status),
            _ => None,
        };
        assert_eq!(decisions.each_ref().map(status), [Some(409), Some(500), None]);
        assert_eq!(decisions.each_ref().map(|decision| decision.delay.as_secs()), [1, 2, 1]);
        assert_eq!((first.count(), second_rule.count()), (1, 1));
        script.clear();
        assert!(script.decide(&request).fault.is_none());
    }
}
