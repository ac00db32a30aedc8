//! What each step does to the state.

use graftling::domain::outcome::{FailureClass, Outcome};

use crate::action::{Action, Deed, Fate, Hand, Restore};
use crate::config::Config;
use crate::names;
use crate::replica;
use crate::request::{Kind, Request, Work};
use crate::server::{self, Answer, Sender};
use crate::world::{Absence, FOREIGN, Object, Replica, Slot, State};

/// The state after a step; `None` if it cannot be taken or changes nothing.
pub fn next(config: &Config, last: &State, action: Action) -> Option<State> {
    let mut budget = last.budget;
    if !action.pay(&mut budget) {
        return None;
    }
    let mut state = last.clone();
    state.budget = budget;
    let before = state.clone();
    match action {
        Action::Push(branch) => push(&mut state, branch),
        Action::Remove(branch) => remove(&mut state, branch),
        Action::Look(told) => replica::look(config, &mut state, told),
        Action::Wait => wait(&mut state),
        Action::Reconcile(branch) => replica::reconcile(config, &mut state, branch),
        Action::Send(number, hand, which, fate) => send(config, &mut state, usize::from(number), hand, usize::from(which), fate),
        Action::Arrive => arrive(config, &mut state),
        Action::Evaporate => state.late = None,
        Action::Crash => {
            let leader = &mut state.replicas[usize::from(state.leader)];
            *leader = Replica {
                term: leader.term,
                ..Default::default()
            };
        }
        Action::Elect => elect(&mut state),
        Action::Tick(branch) => drop(server::tick(&mut state, branch)),
        Action::Backup => state.backup = Some(state.cluster.clone()),
        Action::Restore(restore) => bring_back(&mut state, restore),
        Action::Deed(branch, deed) => do_deed(&mut state, branch, deed),
    }
    (state != before).then(|| state.canonical())
}

fn push(state: &mut State, branch: usize) {
    let head = names::next_head(branch, &state.git[branch]);
    let branch = &mut state.git[branch];
    branch.before = branch.head;
    branch.head = Some(head);
    branch.pushes += 1;
    forget_old_copies(state);
}

fn remove(state: &mut State, branch: usize) {
    let git = &mut state.git[branch];
    if git.head.is_none() {
        return;
    }
    git.before = git.head.take();
    for replica in &mut state.replicas {
        if let Some(absence) = &mut replica.absences[branch] {
            absence.real = true;
        }
        for request in replica.roster.iter_mut().flat_map(|work| work.steps.iter_mut().flatten()) {
            mark_real(request, branch);
        }
    }
    if let Some(late) = &mut state.late {
        mark_real(late, branch);
    }
    forget_old_copies(state);
}

/// What nobody can show any more makes no difference.
fn forget_old_copies(state: &mut State) {
    if state.budget.copies == 0 {
        state.git.iter_mut().for_each(|branch| branch.before = None);
    }
}

fn mark_real(request: &mut Request, gone: usize) {
    if let Request::Retire { branch, real, .. } = request
        && *branch == gone
    {
        *real = true;
    }
}

/// Time passes, as far as it matters: for sightings of absences.
pub fn wait(state: &mut State) {
    for replica in &mut state.replicas {
        replica
            .absences
            .iter_mut()
            .flatten()
            .for_each(|absence: &mut Absence| absence.old = true);
    }
}

fn elect(state: &mut State) {
    let terms = state.replicas.iter().map(|replica| replica.term).max().unwrap_or_default();
    let next = (state.leader + 1) % u8::try_from(state.replicas.len()).unwrap_or(1);
    if next != state.leader {
        state.leader = next;
        // Whoever lost the lead has ended, and starts with nothing.
        state.replicas[usize::from(next)] = Replica {
            term: terms + 1,
            ..Default::default()
        };
    }
}

/// A replica sends a write, and takes in what comes back.
pub fn send(config: &Config, state: &mut State, number: usize, hand: Hand, which: usize, fate: Fate) {
    let is_leader = usize::from(state.leader) == number;
    if !is_leader && config.defences.fence {
        // Its lease has ended by its own clock: the process ends before the write leaves it.
        state.replicas[number] = Replica {
            term: state.replicas[number].term,
            ..Default::default()
        };
        return;
    }
    let Some(work) = hand_of(state, number, hand).take() else { return };
    let Some(request) = work.open().get(which).copied() else { return };
    let sender = Sender {
        term: state.replicas[number].term,
        late: false,
        overtaken: work.overtaken,
    };
    let answer = match fate {
        Fate::Answered => Some(server::accept(config, state, &request, sender)),
        Fate::AnswerLost => {
            server::accept(config, state, &request, sender);
            None
        }
        Fate::Failed => None,
        Fate::Delayed if state.late.is_some() => None,
        Fate::Delayed => {
            state.late = Some(request);
            None
        }
    };
    let work = go_on(work, which, &request, answer);
    *hand_of(state, number, hand) = work.filter(|work| !work.open().is_empty());
}

fn hand_of(state: &mut State, number: usize, hand: Hand) -> &mut Option<Work> {
    let replica = &mut state.replicas[number];
    match hand {
        Hand::Roster => &mut replica.roster,
        Hand::Pass => &mut replica.pass,
    }
}

/// What is left to do after a write; without an answer it counts as failed.
fn go_on(mut work: Work, which: usize, request: &Request, answer: Option<Answer>) -> Option<Work> {
    let in_steps = !work.ahead && !work.steps.is_empty();
    if !in_steps {
        // The status: ahead of everything, or at the end.
        let accepted = matches!(answer, Some(Answer::Accepted));
        work.read = work.inventory;
        let goes_on = accepted && std::mem::take(&mut work.ahead);
        return goes_on.then_some(work);
    }
    let step = &mut work.steps[0];
    step.remove(which);
    let is_last = step.is_empty();
    if work.kind == Kind::Roster {
        // Each Environment is written by itself: a failure of one stops no other.
        work.steps.retain(|step| !step.is_empty());
        return Some(work);
    }
    let goes_on = match (request, answer) {
        (Request::Apply { branch, slot, .. } | Request::Delete { branch, slot, .. }, answer) => {
            let outcome = match answer {
                Some(Answer::Object(outcome)) => *outcome,
                _ => server::failure(*branch, *slot, FailureClass::Transient),
            };
            let goes_on = matches!(outcome, Outcome::Applied { .. } | Outcome::Deleting { .. });
            work.inventory = names::absorbed(*branch, &work.inventory, outcome);
            goes_on
        }
        (_, answer) => return matches!(answer, Some(Answer::Accepted)).then_some(work).filter(|_| !is_last),
    };
    if !goes_on {
        // The others of the same step are under way already; what comes later is not sent.
        work.steps.truncate(1);
    }
    if is_last {
        work.steps.remove(0);
    }
    Some(work)
}

fn arrive(config: &Config, state: &mut State) {
    let Some(request) = state.late.take() else { return };
    let sender = Sender {
        term: 0,
        late: true,
        overtaken: true,
    };
    let branch = request.branch();
    let held = |state: &State| replica::slots_of(&state.cluster[branch]);
    let before = held(state);
    server::accept(config, state, &request, sender);
    let is_creation = held(state).len() > before.len();
    if !is_creation {
        return;
    }
    // Whoever wanted it may be gone by now, and its inventory with it.
    state.unrecorded = true;
    let passes = state.replicas.iter_mut().filter_map(|replica| replica.pass.as_mut());
    passes.filter(|pass| pass.branch == branch).for_each(|pass| pass.overtaken = true);
}

fn bring_back(state: &mut State, restore: Restore) {
    let Some(backup) = state.backup.take() else { return };
    state.unrecorded = true;
    // A restored API server has forgotten every connection.
    for replica in &mut state.replicas {
        replica.roster = None;
        replica.pass = None;
    }
    state.late = None;
    if restore == Restore::Everything {
        state.cluster = backup;
        return;
    }
    for (branch, place) in backup.into_iter().enumerate() {
        let mut environment = place.environment;
        if restore == Restore::Anew
            && let Some(old) = environment
        {
            environment = Some(crate::world::Environment {
                uid: state.fresh_uid(),
                inventory: Default::default(),
                receipt: false,
                deleting: false,
                ..old
            });
        }
        state.cluster[branch].environment = environment;
    }
}

fn do_deed(state: &mut State, branch: usize, deed: Deed) {
    let uid = state.fresh_uid();
    let place = &mut state.cluster[branch];
    let lives = place.get(Slot::Namespace).is_some_and(|namespace| !namespace.deleting);
    match deed {
        Deed::Make(slot, labelled) => {
            if place.get(slot).is_none() && (slot == Slot::Namespace || lives) {
                place.objects[slot as usize] = Some(Object {
                    uid,
                    content: FOREIGN,
                    ready: true,
                    deleting: false,
                    held: false,
                    ours: false,
                    labelled,
                    made_for: 0,
                });
            }
        }
        Deed::DeleteNamespace => {
            if let Some(namespace) = &mut place.objects[Slot::Namespace as usize] {
                namespace.deleting = true;
            }
        }
        Deed::Strip => {
            state.unrecorded |= place.environment.is_some();
            place.environment = None;
        }
        Deed::Unlabel(slot) => {
            if let Some(object) = &mut place.objects[slot as usize] {
                object.labelled = false;
            }
        }
    }
}
