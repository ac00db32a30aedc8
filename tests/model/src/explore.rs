//! The exploration: every state that the bound allows, with what must hold in each.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use stateright::{Checker, Model, Property};

use crate::action::{self, Action};
use crate::config::Config;
use crate::fair;
use crate::step;
use crate::world::{Breach, State};

/// A bounded model, ready to be explored.
pub struct Bounded {
    config: Config,
    /// Hashes of states from which everything is known to come to a good end.
    good: Mutex<HashSet<u64>>,
}

/// What an exploration came to.
#[derive(Debug)]
pub struct Explored {
    /// How many different states there are.
    pub states: usize,
    /// How many steps lead to them.
    pub steps: usize,
    /// The longest of the shortest ways to a state.
    pub depth: usize,
    /// What does not hold, with a shortest way to a state that shows it.
    pub counterexamples: Vec<Counterexample>,
}

/// A way to a state that must not be.
#[derive(Debug)]
pub struct Counterexample {
    /// What does not hold.
    pub property: &'static str,
    /// The way, one step a line, and the complaint.
    pub trace: String,
}

/// Whatever happens, everything is in the end as it should be.
pub const CONVERGES: &str = "L1, L2: once nothing goes wrong any more, everything becomes as it should be, and stays so";
/// Nothing is orphaned.
pub const RECORDED: &str = "write ahead: whatever is ours and there is in the stored inventory";

impl Bounded {
    /// The model of these bounds.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            good: Mutex::default(),
        }
    }

    /// Why a state does not come to a good end.
    pub fn complaint(&self, state: &State) -> Option<String> {
        let known = |hash| self.good.lock().unwrap_or_else(PoisonError::into_inner).contains(&hash);
        let way = fair::follow(&self.config, state.clone(), known);
        let complaint = fair::complaint(&self.config, &way);
        if complaint.is_none() {
            self.good.lock().unwrap_or_else(PoisonError::into_inner).extend(&way.passed);
        }
        complaint
    }
}

fn never<const BREACH: usize>(_: &Bounded, state: &State) -> bool {
    state.breach != Some(BREACHES[BREACH])
}

/// All breaches, in the order of their properties.
pub const BREACHES: [Breach; 7] = [
    Breach::Foreign,
    Breach::Shared,
    Breach::Mixed,
    Breach::Unproven,
    Breach::Account,
    Breach::Follower,
    Breach::Brake,
];

impl Model for Bounded {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.config.start()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // What comes after something that must not happen is of no interest.
        if state.breach.is_none() {
            action::actions(&self.config, state, actions);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        step::next(&self.config, last, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let always = Property::always;
        vec![
            always(fair::meaning(BREACHES[0]), never::<0>),
            always(fair::meaning(BREACHES[1]), never::<1>),
            always(fair::meaning(BREACHES[2]), never::<2>),
            always(fair::meaning(BREACHES[3]), never::<3>),
            always(fair::meaning(BREACHES[4]), never::<4>),
            always(fair::meaning(BREACHES[5]), never::<5>),
            always(fair::meaning(BREACHES[6]), never::<6>),
            always(RECORDED, |_, state| fair::is_recorded(state)),
            always(CONVERGES, |model: &Self, state| {
                state.breach.is_some() || model.complaint(state).is_none()
            }),
        ]
    }
}

/// Explores everything within the bounds, or until something does not hold. With one thread, the way that shows it is a shortest one.
pub fn explore(config: &Config, threads: usize) -> Explored {
    let finish = stateright::HasDiscoveries::Any;
    let checker = Bounded::new(config.clone())
        .checker()
        .threads(threads)
        .finish_when(finish)
        .spawn_bfs()
        .join();
    let model = checker.model();
    let mut counterexamples: Vec<_> = checker
        .discoveries()
        .into_iter()
        .map(|(property, path)| Counterexample {
            property,
            trace: trace(model, path.into_vec()),
        })
        .collect();
    counterexamples.sort_by_key(|counterexample| counterexample.property);
    Explored {
        states: checker.unique_state_count(),
        steps: checker.state_count().saturating_sub(1),
        depth: checker.max_depth(),
        counterexamples,
    }
}

fn trace(model: &Bounded, path: Vec<(State, Option<Action>)>) -> String {
    let mut lines = Vec::new();
    let mut last = None;
    for (number, (state, action)) in path.iter().enumerate() {
        if let Some(action) = action {
            lines.push(format!("{:>3}. {}", number + 1, fair::line(state, action)));
        }
        last = Some(state);
    }
    if let Some(state) = last {
        let complaint = match state.breach {
            Some(breach) => Some(format!("broken: {}", fair::meaning(breach))),
            None if !fair::is_recorded(state) => Some(format!("broken: {RECORDED}")),
            None => model.complaint(state),
        };
        lines.extend(complaint.map(|complaint| format!("  => {complaint}")));
    }
    lines.join("\n")
}
