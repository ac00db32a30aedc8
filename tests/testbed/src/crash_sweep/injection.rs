//! What goes wrong in a cell, and where.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::names::Names;
use crate::fault_proxy::{Fault, Request, Rule, Selector};

/// A request of a run: the n-th of those that say the same.
///
/// Requests are concurrent, so a plain number would mean another one each time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    verb: String,
    group: String,
    resource: String,
    subresource: String,
    /// The namespace, under the name that every run has for it.
    namespace: String,
    /// The name, under the name that every run has for it.
    name: String,
    nth: u64,
}

/// An event of a watch: the n-th of those that say the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventPlace {
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub(super) event: String,
    pub(super) resource: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) nth: u64,
}

/// Where in a write the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Before it is sent.
    Before,
    /// After the API server has committed it, without having seen the answer.
    After,
}

/// Whether it dies again while it recovers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Again {
    /// It does not.
    Never,
    /// At the first write of the recovery.
    First,
    /// At the same write as before, if the recovery sends it.
    Same,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "fault")]
pub enum Injection {
    /// Nothing: the run must be as the one that it is compared with.
    Nothing {
        /// Tells repetitions apart.
        repetition: u32,
    },
    /// The process is killed by SIGKILL and started again.
    Crash {
        /// At this write.
        write: Place,
        /// Before or after it.
        when: When,
        /// And again.
        again: Again,
    },
    /// The process is killed after one write, and what follows it gets one answer from before the scenario began.
    Stale {
        /// The write after which the first process dies.
        write: Place,
        /// The get or list that is answered from the past.
        read: Place,
    },
    /// One event of a watch never arrives.
    Unobserved {
        /// Which one.
        event: EventPlace,
    },
    /// Of all requests, watches too, one in ten fails, and of the others one in fifty is carried out and its answer lost.
    Flaky {
        /// Chooses which.
        seed: u64,
    },
}

// === impl Place ===

impl Place {
    /// The requests in their order, each with its number among those that say the same.
    pub(super) fn all<'a>(requests: impl Iterator<Item = &'a Request>, names: &Names) -> Vec<Place> {
        let mut counts: BTreeMap<Place, u64> = BTreeMap::new();
        let mut places = Vec::new();
        for request in requests {
            let mut place = Self::of(request, names);
            let count = counts.entry(place.clone()).or_default();
            *count += 1;
            place.nth = *count;
            places.push(place);
        }
        places
    }

    fn of(request: &Request, names: &Names) -> Place {
        Place {
            verb: request.verb.clone(),
            group: request.group.clone(),
            resource: request.resource.clone(),
            subresource: request.subresource.clone(),
            namespace: names.text(&request.namespace),
            name: names.text(&request.name),
            nth: 0,
        }
    }

    /// The rule for this request in a run with these names. A name that is not known yet is not asked for: nothing else bears that
    /// resource then.
    pub(super) fn rule(&self, names: &Names) -> Rule {
        let mut selector = Selector::any().verb(&self.verb).group(&self.group).resource(&self.resource);
        selector = selector.subresource(&self.subresource);
        if let Some(namespace) = names.original(&self.namespace) {
            selector = selector.namespace(&namespace);
        }
        if let Some(name) = names.original(&self.name) {
            selector = selector.name(&name);
        }
        Rule::on(selector).nth(self.nth)
    }

    /// Its number among those that say the same.
    pub(super) fn number(&self) -> u64 {
        self.nth
    }
}

impl EventPlace {
    /// Its number among those that say the same.
    pub(super) fn number(&self) -> u64 {
        self.nth
    }

    pub(super) fn rule(&self, names: &Names) -> Rule {
        let mut selector = Selector::any().verb("watch").resource(&self.resource).event(&self.event);
        if let Some(namespace) = names.original(&self.namespace) {
            selector = selector.namespace(&namespace);
        }
        if let Some(name) = names.original(&self.name) {
            selector = selector.name(&name);
        }
        Rule::on(selector).nth(self.nth)
    }
}

impl Injection {
    /// Its class, for counting.
    pub fn class(&self) -> &'static str {
        match self {
            Injection::Nothing { .. } => "no fault",
            Injection::Crash {
                when: When::Before,
                again: Again::Never,
                ..
            } => "killed before the write",
            Injection::Crash {
                when: When::After,
                again: Again::Never,
                ..
            } => "killed after the write",
            Injection::Crash { again: Again::First, .. } => "killed, and again at the first write of the recovery",
            Injection::Crash { again: Again::Same, .. } => "killed, and again at the same write of the recovery",
            Injection::Stale { .. } => "an answer from the past",
            Injection::Unobserved { .. } => "an event that never arrives",
            Injection::Flaky { .. } => "one request in ten fails",
        }
    }

    /// The classes in the order of the report.
    pub const CLASSES: [&'static str; 8] = [
        "no fault",
        "killed before the write",
        "killed after the write",
        "killed, and again at the first write of the recovery",
        "killed, and again at the same write of the recovery",
        "an answer from the past",
        "an event that never arrives",
        "one request in ten fails",
    ];
}

/// How requests fail, each with its share in percent: ten do, and of two more the answer is lost.
pub(super) fn flaky(seed: u64) -> Vec<(Rule, Fault)> {
    let late = Duration::from_secs(2);
    let faults = [
        (2, Fault::answer(500)),
        (2, Fault::answer(503)),
        (1, Fault::answer(504)),
        (1, Fault::too_many(Some(1))),
        (1, Fault::too_many(None)),
        (1, Fault::DropBefore),
        (1, Fault::ResetBefore),
        (1, Fault::CutBody { after: 40 }),
        (1, Fault::Delay(late)),
        (1, Fault::DropAfter),
        (1, Fault::AnswerAfter { status: 504 }),
    ];
    let rule = |number: u64, percent| Rule::on(Selector::any()).chance(seed + 1000 * number, percent);
    let numbered = (1..).zip(faults);
    numbered.map(|(number, (percent, fault))| (rule(number, percent), fault)).collect()
}

// === for people ===

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place {
            verb,
            resource,
            subresource,
            ..
        } = self;
        let slash = if subresource.is_empty() { "" } else { "/" };
        write!(formatter, "{verb} {resource}{slash}{subresource}")?;
        for part in [&self.namespace, &self.name] {
            if !part.is_empty() {
                write!(formatter, " {part}")?;
            }
        }
        write!(formatter, " #{}", self.nth)
    }
}

impl fmt::Display for EventPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EventPlace {
            event,
            resource,
            namespace,
            name,
            nth,
        } = self;
        write!(formatter, "{event} {resource} {namespace} {name} #{nth}")
    }
}

impl fmt::Display for Injection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Injection::Nothing { repetition } => write!(formatter, "no fault, run {repetition}"),
            Injection::Crash { write, when, again } => {
                let when = if *when == When::Before { "before" } else { "after" };
                let again = match again {
                    Again::Never => "",
                    Again::First => ", again at the first write",
                    Again::Same => ", again at the same write",
                };
                write!(formatter, "killed {when} {write}{again}")
            }
            Injection::Stale { read, .. } => write!(formatter, "from the past: {read}"),
            Injection::Unobserved { event } => write!(formatter, "never arrives: {event}"),
            Injection::Flaky { seed } => write!(formatter, "one request in ten fails, seed {seed}"),
        }
    }
}
