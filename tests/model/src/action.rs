//! Everything that can happen next, and what it costs.

use std::fmt;

use crate::config::Config;
use crate::names;
pub use crate::replica::Told;
use crate::world::{Budget, Slot, State};

/// Which of the two works of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hand {
    /// The writes of a roster.
    Roster,
    /// A pass over one environment.
    Pass,
}

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is answered.
    Answered,
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// It is not carried out: an error, a conflict, a time-out.
    Failed,
    /// It is under way still when whoever sent it gives up, and arrives later.
    Delayed,
}

/// What somebody does behind graftling's back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deed {
    /// Somebody else has an object of this name, maybe with our label copied onto it.
    Make(Slot, bool),
    /// A person deletes the namespace.
    DeleteNamespace,
    /// A person strips the Environment of its finalizer and deletes it.
    Strip,
    /// A person takes our label off an object.
    Unlabel(Slot),
}

/// How a backup comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Restore {
    /// The whole API server goes back.
    Everything,
    /// Environment objects go back, with their UIDs and statuses; namespaces stay.
    Environments,
    /// Environment objects are made anew from the backup, under new UIDs and without a status; namespaces stay.
    Anew,
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A branch is pushed: made, or moved.
    Push(usize),
    /// A branch is deleted.
    Remove(usize),
    /// The leader looks at the repository.
    Look(Told),
    /// So much time passes that sightings of an absence count as apart.
    Wait,
    /// The leader makes a pass over an environment.
    Reconcile(usize),
    /// A replica sends one of its writes.
    Send(u8, Hand, u8, Fate),
    /// The delayed write arrives.
    Arrive,
    /// The delayed write never arrives.
    Evaporate,
    /// The leader dies and starts again without its memory.
    Crash,
    /// Another replica takes the lead. The former leader does not know it.
    Elect,
    /// Controllers do the next thing in a namespace.
    Tick(usize),
    /// A backup is made.
    Backup,
    /// The backup comes back.
    Restore(Restore),
    /// Somebody does something.
    Deed(usize, Deed),
}

/// What a step costs of the budget; `None`: nothing.
type Cost = fn(&mut Budget) -> &mut u8;

impl Action {
    fn cost(self) -> Option<Cost> {
        match self {
            Self::Push(_) | Self::Remove(_) => Some(|budget| &mut budget.changes),
            Self::Look(Told::Truth) => None,
            Self::Look(Told::One(..)) => Some(|budget| &mut budget.hints),
            Self::Look(Told::Stale) => Some(|budget| &mut budget.copies),
            Self::Look(_) => Some(|budget| &mut budget.lies),
            Self::Send(_, _, _, Fate::AnswerLost | Fate::Failed) => Some(|budget| &mut budget.failures),
            Self::Send(_, _, _, Fate::Delayed) => Some(|budget| &mut budget.delays),
            Self::Crash => Some(|budget| &mut budget.crashes),
            Self::Elect => Some(|budget| &mut budget.elections),
            Self::Restore(_) => Some(|budget| &mut budget.restores),
            Self::Deed(_, Deed::Make(..)) => Some(|budget| &mut budget.foreign),
            Self::Deed(..) => Some(|budget| &mut budget.hands),
            Self::Wait | Self::Reconcile(_) | Self::Send(..) | Self::Arrive | Self::Evaporate | Self::Tick(_) | Self::Backup => None,
        }
    }

    /// Whether it is one of the things that go wrong, rather than work or a change in Git.
    fn is_fault(self) -> bool {
        !matches!(self, Self::Push(_) | Self::Remove(_)) && self.cost().is_some()
    }

    /// Pays for the step; `false` if the budget does not allow it.
    pub(crate) fn pay(self, budget: &mut Budget) -> bool {
        let Some(cost) = self.cost() else { return true };
        if *cost(budget) == 0 || self.is_fault() && budget.total == 0 {
            return false;
        }
        *cost(budget) -= 1;
        if self.is_fault() {
            budget.total -= 1;
        }
        true
    }
}

/// What may happen in a state.
pub fn actions(config: &Config, state: &State, actions: &mut Vec<Action>) {
    let branches = 0..config.branches;
    actions.extend(
        branches
            .clone()
            .flat_map(|branch| [Action::Push(branch), Action::Remove(branch), Action::Tick(branch)]),
    );
    let leader = &state.replicas[usize::from(state.leader)];
    if leader.roster.is_none() {
        let told = [Told::Truth, Told::Empty, Told::Other, Told::Stale];
        actions.extend(told.map(Action::Look));
        actions.extend(
            branches
                .clone()
                .flat_map(|branch| [false, true].map(|announced| Action::Look(Told::One(branch, announced)))),
        );
    }
    if leader.pass.is_none() {
        actions.extend(branches.clone().map(Action::Reconcile));
    }
    actions.push(Action::Wait);
    for (number, replica) in (0_u8..).zip(&state.replicas) {
        for (hand, work) in [(Hand::Roster, &replica.roster), (Hand::Pass, &replica.pass)] {
            let open = work.as_ref().map(|work| work.open().len()).unwrap_or_default();
            let is_fenced = number != state.leader && config.defences.fence;
            if is_fenced && open > 0 {
                actions.push(Action::Send(number, hand, 0, Fate::Answered));
                continue;
            }
            for which in (0_u8..).take(open) {
                let fates = [Fate::Answered, Fate::AnswerLost, Fate::Failed, Fate::Delayed];
                actions.extend(fates.map(|fate| Action::Send(number, hand, which, fate)));
            }
        }
    }
    if state.late.is_some() {
        actions.extend([Action::Arrive, Action::Evaporate]);
    }
    actions.extend([Action::Crash, Action::Elect]);
    if state.budget.restores > 0 {
        match state.backup {
            None => actions.push(Action::Backup),
            Some(_) => actions.extend([Restore::Everything, Restore::Environments, Restore::Anew].map(Action::Restore)),
        }
    }
    let own = config.slots.iter().copied().filter(|slot| *slot != Slot::Guardrail);
    let makes = own
        .chain([Slot::Theirs])
        .flat_map(|slot| [false, true].map(|labelled| Deed::Make(slot, labelled)));
    let deeds: Vec<_> = makes
        .chain([Deed::DeleteNamespace, Deed::Strip, Deed::Unlabel(Slot::Namespace)])
        .collect();
    actions.extend(branches.flat_map(|branch| deeds.iter().map(move |deed| Action::Deed(branch, *deed))));
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |branch: &usize| names::BRANCHES[*branch];
        match self {
            Self::Push(branch) => write!(formatter, "branch {} is pushed", name(branch)),
            Self::Remove(branch) => write!(formatter, "branch {} is deleted", name(branch)),
            Self::Look(Told::Truth) => formatter.write_str("the leader looks at the repository"),
            Self::Look(Told::One(branch, announced)) => {
                let word = if *announced {
                    ", whose deletion a signed delivery announced"
                } else {
                    ""
                };
                write!(formatter, "the leader looks at branch {}{word}", name(branch))
            }
            Self::Look(told) => write!(formatter, "the leader looks at the repository, and the host lies: {told:?}"),
            Self::Wait => formatter.write_str("time passes, more than the confirmation takes"),
            Self::Reconcile(branch) => write!(formatter, "the leader plans a pass over the environment of {}", name(branch)),
            Self::Send(replica, hand, which, fate) => {
                write!(formatter, "replica {replica} sends write {which} of its {hand:?}: {fate:?}")
            }
            Self::Arrive => formatter.write_str("the delayed write arrives"),
            Self::Evaporate => formatter.write_str("the delayed write is lost for good"),
            Self::Crash => formatter.write_str("the leader crashes and starts again"),
            Self::Elect => formatter.write_str("another replica takes the lead; the former one does not know"),
            Self::Tick(branch) => write!(formatter, "Kubernetes' controllers do the next thing for {}", name(branch)),
            Self::Backup => formatter.write_str("a backup is made"),
            Self::Restore(restore) => write!(formatter, "the backup comes back: {restore:?}"),
            Self::Deed(branch, deed) => write!(formatter, "somebody else, in the place of {}: {deed:?}", name(branch)),
        }
    }
}
