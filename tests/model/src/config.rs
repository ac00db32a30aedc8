//! The bounds of an exploration, and the defences that may be switched off to see that the checker can fail.

use crate::names;
use crate::world::{Branch, Budget, Place, Replica, Slot, State};

/// What is explored.
#[derive(Debug, Clone)]
pub struct Config {
    /// What it is called in the report.
    pub name: &'static str,
    /// What it is about, in one sentence.
    pub about: &'static str,
    /// How many branches there are beside the default one.
    pub branches: usize,
    /// How many replicas there are.
    pub replicas: usize,
    /// What an environment consists of.
    pub slots: Vec<Slot>,
    /// What may change and go wrong.
    pub budget: Budget,
    /// What defends.
    pub defences: Defences,
    /// Whether environments are there and ready in the beginning.
    pub settled: bool,
}

/// The defences of graftling, as far as the model can do without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defences {
    /// The API server heeds UIDs and statuses that were read.
    pub preconditions: bool,
    /// An absence must be seen twice.
    pub second_sighting: bool,
    /// A listing without the default branch proves nothing.
    pub default_branch: bool,
    /// The inventory is stored before anything is created.
    pub write_ahead: bool,
    /// Who no longer holds the Lease writes nothing.
    pub fence: bool,
    /// A teardown looks for pods before accounts go.
    pub pods: bool,
    /// Namespaces without an Environment are looked for.
    pub orphans: bool,
}

impl Defences {
    /// All of them.
    pub const ALL: Self = Self {
        preconditions: true,
        second_sighting: true,
        default_branch: true,
        write_ahead: true,
        fence: true,
        pods: true,
        orphans: true,
    };
}

impl Config {
    /// The state that everything begins with.
    pub fn start(&self) -> State {
        let mut replicas = vec![Replica::default(); self.replicas];
        replicas[0].term = 1;
        let mut state = State {
            git: vec![Branch::default(); self.branches],
            cluster: vec![Place::default(); self.branches],
            replicas,
            leader: 0,
            written: 0,
            late: None,
            backup: None,
            unrecorded: false,
            budget: self.budget,
            breach: None,
        };
        if self.settled {
            for number in 0..self.branches {
                let head = names::next_head(number, &state.git[number]);
                state.git[number] = Branch {
                    head: Some(head),
                    before: None,
                    pushes: 1,
                };
            }
            state = crate::fair::settle(self, state).last;
            state.budget = self.budget;
        }
        state.canonical()
    }
}
