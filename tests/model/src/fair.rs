//! What must come in the end: from a state on, nothing goes wrong any more, everybody does their work in turn, and then it is looked at
//! what has become of it.

use std::hash::{Hash, Hasher};

use graftling::domain::plan::teardown::Next;
use graftling::domain::status::{Phase, summarise_deployment};

use crate::action::{Action, Fate, Hand};
use crate::config::Config;
use crate::names;
use crate::replica::{self, Told};
use crate::server;
use crate::step;
use crate::world::{Breach, Budget, Place, Replica, Slot, State};

/// So many rounds are more than any way to the end takes.
const ROUNDS: usize = 60;

/// A way to the end.
#[derive(Debug)]
pub struct Way {
    /// Where it ends.
    pub last: State,
    /// The hashes of the states on it.
    pub passed: Vec<u64>,
    /// Whether it came to a state that is known to be on a good way, and was not followed further.
    pub is_known: bool,
    /// Whether nothing changes any more.
    pub is_quiet: bool,
}

/// Follows the way to the end.
pub fn settle(config: &Config, state: State) -> Way {
    follow(config, state, |_| false)
}

/// Follows the way to the end, or to a state that is known.
pub fn follow(config: &Config, state: State, is_known: impl Fn(u64) -> bool) -> Way {
    let mut way = Way {
        last: calm(state),
        passed: Vec::new(),
        is_known: false,
        is_quiet: false,
    };
    for _ in 0..ROUNDS {
        let hash = hash(&way.last);
        if is_known(hash) {
            way.is_known = true;
            return way;
        }
        way.passed.push(hash);
        let before = way.last.clone();
        way.last = round(config, way.last).canonical();
        if way.last == before {
            way.is_quiet = true;
            return way;
        }
    }
    way
}

/// A hash of the state.
#[expect(clippy::disallowed_types, reason = "hashes are compared within one run alone")]
pub fn hash(state: &State) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// The same state with nothing going wrong any more: what is under way never arrives, and who does not lead has ended.
fn calm(mut state: State) -> State {
    state.budget = Budget::default();
    state.late = None;
    state.backup = None;
    state.unrecorded = false;
    state.written = 0;
    let leader = std::mem::take(&mut state.replicas[usize::from(state.leader)]);
    state.leader = 0;
    state.replicas = vec![Replica { term: 1, ..leader }];
    state.git.iter_mut().for_each(|branch| branch.before = None);
    state.canonical()
}

/// Everybody's turn once.
fn round(config: &Config, mut state: State) -> State {
    finish(config, &mut state);
    replica::look(config, &mut state, Told::Truth);
    finish(config, &mut state);
    step::wait(&mut state);
    for branch in 0..config.branches {
        replica::reconcile(config, &mut state, branch);
        finish(config, &mut state);
        while server::tick(&mut state, branch) {}
    }
    state
}

fn finish(config: &Config, state: &mut State) {
    for hand in [Hand::Roster, Hand::Pass] {
        let has_work = |state: &State| match hand {
            Hand::Roster => state.replicas[0].roster.is_some(),
            Hand::Pass => state.replicas[0].pass.is_some(),
        };
        while has_work(state) {
            step::send(config, state, 0, hand, 0, Fate::Answered);
        }
    }
}

/// Why the end of a way is not what it has to be; `None` if it is.
pub fn complaint(config: &Config, way: &Way) -> Option<String> {
    if let Some(breach) = way.last.breach {
        return Some(format!("on the way to the end: {breach:?}"));
    }
    if way.is_known {
        return None;
    }
    if !way.is_quiet {
        return Some(format!("still not quiet after {ROUNDS} rounds"));
    }
    (0..config.branches).find_map(|branch| {
        let problem = problem(config, &way.last, branch)?;
        Some(format!("in the end, branch {}: {problem}", names::BRANCHES[branch]))
    })
}

fn problem(config: &Config, state: &State, branch: usize) -> Option<String> {
    let place = &state.cluster[branch];
    match (state.git[branch].head, place.environment) {
        (None, None) => {
            let left: Vec<_> = Slot::ALL
                .into_iter()
                .filter(|slot| place.get(*slot).is_some_and(|object| object.ours))
                .collect();
            let excused = left.is_empty() || is_disowned(place);
            (!excused).then(|| format!("it is gone, and {left:?} are left behind"))
        }
        (None, Some(environment)) => {
            if !environment.deleting {
                let braked = config.branches > 3;
                return (!braked).then(|| "it is gone, and its Environment stays".to_owned());
            }
            let blocked = is_in_the_way(place) || is_disowned(place);
            let next = replica::teardown_plan(config, branch, &environment, place).next;
            (!blocked).then(|| {
                format!(
                    "its teardown stands still although nothing of anybody else's is in the way: {}",
                    word(&next)
                )
            })
        }
        (Some(_), None) => Some("it is there, and has no Environment".to_owned()),
        (Some(head), Some(environment)) => {
            if environment.revision != head || environment.deleting {
                let blocked = environment.deleting && (is_in_the_way(place) || is_disowned(place));
                return (!blocked).then(|| format!("its Environment shows {} instead of {head}", environment.revision));
            }
            not_ready(config, branch, place, head)
        }
    }
}

fn not_ready(config: &Config, branch: usize, place: &Place, head: u8) -> Option<String> {
    let environment = place.environment.as_ref()?;
    let plan = replica::deployment(config, branch, environment, place);
    let report = summarise_deployment(&plan, &[]);
    if report.phase == Phase::Failed && (is_in_the_way(place) || is_disowned(place)) {
        return None;
    }
    if report.phase != Phase::Ready || !plan.is_quiet() {
        return Some(format!("it is {:?}: {}", report.phase, report.message));
    }
    let wanted = names::wanted(head, &config.slots);
    let wrong = Slot::ALL.into_iter().filter(|slot| *slot != Slot::Theirs).find(|slot| {
        let object = place.get(*slot);
        let is_deployed = !matches!(slot, Slot::Namespace | Slot::Guardrail);
        let fits = object.is_some_and(|object| object.ours && object.ready && (!is_deployed || object.content == head));
        let recorded = environment.inventory[*slot as usize].is_some_and(|entry| object.is_some_and(|object| object.uid == entry.uid));
        // What somebody else made beside us is none of our business.
        let is_absent = object.is_none_or(|object| !object.ours);
        if wanted.contains(slot) { !fits || !recorded } else { !is_absent }
    });
    wrong.map(|slot| format!("{slot:?} is not as it should be: {:?}", place.get(slot)))
}

/// Whether something of somebody else's stands where an environment wants to be or is.
fn is_in_the_way(place: &Place) -> bool {
    place.objects.iter().flatten().any(|object| !object.ours)
}

/// Whether somebody took our label off something of ours: then nobody may say that it is ours still.
fn is_disowned(place: &Place) -> bool {
    place.objects.iter().flatten().any(|object| object.ours && !object.labelled)
}

fn word(next: &Next) -> String {
    let text = format!("{next:?}");
    text.chars().take(300).collect()
}

/// Whether everything that is ours and there is in the stored inventory of its environment.
pub fn is_recorded(state: &State) -> bool {
    state.unrecorded
        || state.cluster.iter().all(|place| {
            let entry = |slot: Slot| place.environment.and_then(|environment| environment.inventory[slot as usize]);
            let mut slots = Slot::ALL.into_iter();
            slots.all(|slot| !place.get(slot).is_some_and(|object| object.ours) || entry(slot).is_some_and(|entry| !entry.gone))
        })
}

/// What each breach means, in plain words.
pub fn meaning(breach: Breach) -> &'static str {
    match breach {
        Breach::Foreign => "S1: nothing that somebody else made is ever written or deleted",
        Breach::Shared => "S2: no environment ever writes into the namespace of another one, or of an earlier one of its branch",
        Breach::Mixed => "S3: no object ever gets the content of another branch",
        Breach::Unproven => "S4: nothing is deleted whose branch was not really gone at some time since it was first seen to be",
        Breach::Account => "S5: no ServiceAccount is deleted while a pod runs as it",
        Breach::Follower => "S6: no write of a former leader is accepted after the first of its successor",
        Breach::Brake => "the brake: no more environments go at once than max(3, 30 %)",
    }
}

/// An action and what it led to, as a line of a trace.
pub fn line(before: &State, action: &Action) -> String {
    let detail = match action {
        Action::Send(replica, hand, which, _) => {
            let replica = &before.replicas[usize::from(*replica)];
            let work = match hand {
                Hand::Roster => &replica.roster,
                Hand::Pass => &replica.pass,
            };
            let request = work.as_ref().and_then(|work| work.open().get(usize::from(*which)).copied());
            request.map(|request| format!(" ({request})"))
        }
        Action::Arrive => before.late.map(|request| format!(" ({request})")),
        _ => None,
    };
    format!("{action}{}", detail.unwrap_or_default())
}
