//! What a comment asks of an environment as a whole: `/preview up | down | restart | extend 2d | pin | unpin | status | why`.
//!
//! A decision over what is known of the environment: a step to carry out, and one answer in plain words.

use jiff::Timestamp;

use crate::domain::deadline::{Span, add, whole_second_after};
use crate::domain::roster::{EndedBecause, Grace};
use crate::domain::status::Phase;

/// What is asked of an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It is to run (again).
    Up,
    /// It is to go, until somebody pushes or says `up`.
    Down,
    /// Its pipeline is to run once more.
    Restart,
    /// It is to live longer.
    Extend(Span),
    /// No rule of the Project is to end it while its branch is there.
    Pin,
    /// The rules count again.
    Unpin,
    /// Where does it stand?
    Status,
    /// Why is it not ready?
    Why,
}

/// What is known of an environment, or of the branch that has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The branch.
    pub branch: String,
    /// Its environment, if there is one.
    pub environment: Option<Standing>,
    /// Why it has none although it is there, if a rule or a person ended it.
    pub ended: Option<EndedBecause>,
}

/// Where an environment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its phase.
    pub phase: Phase,
    /// One sentence about it.
    pub message: String,
    /// Where it is.
    pub url: Option<String>,
    /// The commit that it shows.
    pub applied: Option<String>,
    /// When it expires.
    pub expires: Option<Timestamp>,
    /// When something last happened to it.
    pub active: Option<Timestamp>,
    /// Whether the rules of the Project leave it alone.
    pub pinned: bool,
    /// The mark of a rest or a sleep.
    pub grace: Option<Grace>,
    /// The first stage of its run.
    pub first_stage: Option<String>,
    /// What to do next, where something is wrong.
    pub next: Option<String>,
    /// Whether it is being torn down.
    pub deleting: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The branch is to be looked at as one that nothing was remembered of.
    Forget,
    /// The mark of its rest becomes this one.
    Wake(Grace),
    /// It is torn down, and the branch remembered.
    Remove,
    /// Its run is asked for another try, of everything from this stage on or of what failed.
    Retry {
        /// The stage.
        from: Option<String>,
    },
    /// It counts as used until then.
    Extend(Timestamp),
    /// Whether the rules of the Project leave it alone.
    Pin(bool),
}

/// What an order comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What to do; none if there is nothing to do.
    pub step: Option<Step>,
    /// What to answer: sentences of plain text.
    pub answer: String,
}

/// Nobody extends further ahead than this.
const FURTHEST: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 60 * 60);

/// Reads the words after `/preview`.
pub(super) fn read<'a>(verb: &str, mut words: impl Iterator<Item = &'a str>) -> Option<Order> {
    let order = match verb {
        "up" => Order::Up,
        "down" => Order::Down,
        "restart" => Order::Restart,
        "extend" => Order::Extend(words.next()?.parse().ok()?),
        "pin" => Order::Pin,
        "unpin" => Order::Unpin,
        "status" => Order::Status,
        "why" => Order::Why,
        _ => return None,
    };
    words.next().is_none().then_some(order)
}

/// What an order of somebody who may give it comes to at `now`.
pub fn decide(order: Order, subject: &Subject, now: Timestamp) -> Decision {
    let Some(standing) = &subject.environment else {
        return without(order, subject);
    };
    if standing.deleting {
        return nothing(match order {
            Order::Down => "the environment is being removed already".to_owned(),
            Order::Status | Order::Why => told(standing),
            _ => "the environment is being removed: ask again once it is gone".to_owned(),
        });
    }
    match order {
        Order::Up => up(standing, now),
        Order::Down => Decision {
            step: Some(Step::Remove),
            answer: format!(
                "the environment of branch {} is being removed; push, or write `/preview up`, to bring it back",
                subject.branch
            ),
        },
        Order::Restart => restart(standing),
        Order::Extend(span) => extend(standing, span, now),
        Order::Pin => Decision {
            step: (!standing.pinned).then_some(Step::Pin(true)),
            answer: "the environment is pinned: it stays as long as its branch is there, until somebody writes `/preview unpin`".to_owned(),
        },
        Order::Unpin => Decision {
            step: standing.pinned.then_some(Step::Pin(false)),
            answer: "the environment is pinned no more".to_owned(),
        },
        Order::Status => nothing(told(standing)),
        Order::Why => nothing(why(standing)),
    }
}

fn without(order: Order, subject: &Subject) -> Decision {
    let branch = &subject.branch;
    let because = match subject.ended {
        Some(EndedBecause::Expired) => ": it has expired; push, or write `/preview up`, to bring it back",
        Some(EndedBecause::PullRequestClosed) => ": its pull request was closed; reopen it, push, or write `/preview up`",
        Some(EndedBecause::Requested) => ": somebody removed it; push, or write `/preview up`, to bring it back",
        None => "",
    };
    match (order, subject.ended) {
        (Order::Up, Some(_)) => Decision {
            step: Some(Step::Forget),
            answer: format!("branch {branch} is looked at once more, and gets an environment if the Project gives it one"),
        },
        (Order::Up, None) => Decision {
            step: Some(Step::Forget),
            answer: format!("branch {branch} has no environment, and nobody ended one: whether it gets one is for the Project to say"),
        },
        _ => nothing(format!("branch {branch} has no environment{because}")),
    }
}

fn up(standing: &Standing, now: Timestamp) -> Decision {
    match standing.grace.as_ref().filter(|grace| grace.state.is_down()) {
        Some(grace) => {
            let woken = grace.restored(now);
            Decision {
                answer: format!(
                    "the environment comes back, and runs until {} unless something is pushed before",
                    woken.until
                ),
                step: Some(Step::Wake(woken)),
            }
        }
        None => nothing(told(standing)),
    }
}

fn restart(standing: &Standing) -> Decision {
    if standing.grace.as_ref().is_some_and(|grace| grace.state.is_down()) {
        return nothing("the environment rests: write `/preview up` first".to_owned());
    }
    let from = match standing.phase {
        Phase::Failed => None,
        _ => standing.first_stage.clone(),
    };
    match (standing.phase, &from) {
        (Phase::Ready, None) | (Phase::Pending | Phase::Deploying, _) => {
            nothing("the environment is being deployed: there is nothing to start again yet".to_owned())
        }
        _ => Decision {
            step: Some(Step::Retry { from }),
            answer: "the pipeline runs once more".to_owned(),
        },
    }
}

fn extend(standing: &Standing, span: Span, now: Timestamp) -> Decision {
    let (Some(expires), Some(active)) = (standing.expires, standing.active) else {
        return nothing("the environment does not expire, so there is nothing to extend".to_owned());
    };
    let latest = add(now, FURTHEST);
    let until = whole_second_after(add(active, span.duration()).min(latest));
    // What is stored is the activity; the end follows it by the Project's `ttl`.
    let ttl = expires.duration_since(active);
    let ends = until.checked_add(ttl).unwrap_or(until);
    Decision {
        step: Some(Step::Extend(until)),
        answer: format!("the environment is kept until {ends} at least"),
    }
}

fn told(standing: &Standing) -> String {
    let mut text = format!("{}: {}", phase(standing.phase), standing.message);
    if let Some(applied) = &standing.applied {
        text.push_str(&format!("; it shows {}", applied.chars().take(12).collect::<String>()));
    }
    if let Some(url) = standing.url.as_ref().filter(|_| !standing.deleting) {
        text.push_str(&format!(" at {url}"));
    }
    if standing.pinned {
        text.push_str("; it is pinned");
    }
    text
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "pending",
        Phase::Deploying => "deploying",
        Phase::Ready => "ready",
        Phase::Failed => "failed",
        Phase::Resting => "resting",
        Phase::Deleting => "being removed",
        Phase::Blocked => "being removed, and waiting for somebody",
    }
}

fn why(standing: &Standing) -> String {
    match (standing.phase, &standing.next) {
        (Phase::Ready, _) => "the environment is ready".to_owned(),
        (_, Some(next)) => format!("{}; next: {next}", standing.message),
        (_, None) => standing.message.clone(),
    }
}

fn nothing(answer: String) -> Decision {
    Decision { step: None, answer }
}

#[cfg(test)]
mod tests;
