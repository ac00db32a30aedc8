//! The bounds that are explored: each allows a few things to go wrong, and everything in between in every order.

use crate::config::{Config, Defences};
use crate::world::{Budget, Slot};

/// What an environment of the model consists of, in full.
pub const FULL: [Slot; 6] = [
    Slot::Namespace,
    Slot::Guardrail,
    Slot::Account,
    Slot::Settings,
    Slot::Workload,
    Slot::Custom,
];
/// Just enough for what happens between environments.
pub const LITTLE: [Slot; 2] = [Slot::Namespace, Slot::Settings];
/// Just enough for what concerns accounts.
pub const RUNNING: [Slot; 4] = [Slot::Namespace, Slot::Guardrail, Slot::Account, Slot::Workload];

fn bound(name: &'static str, about: &'static str, slots: &[Slot], budget: Budget) -> Config {
    Config {
        name,
        about,
        branches: 1,
        replicas: 1,
        slots: slots.to_vec(),
        budget,
        defences: Defences::ALL,
        settled: false,
    }
}

/// Nothing goes wrong and nothing changes.
pub const CALM: Budget = Budget {
    changes: 0,
    lies: 0,
    copies: 0,
    hints: 0,
    crashes: 0,
    failures: 0,
    delays: 0,
    elections: 0,
    restores: 0,
    foreign: 0,
    hands: 0,
    total: 0,
};

/// Everything that the report is about.
pub fn full() -> Vec<Config> {
    vec![crashes(4, 2), leaders(3, 2), two_branches(4, 2), restore(3, 2), others(3, 2)]
}

/// The same in small: what the tests explore each time.
pub fn small() -> Vec<Config> {
    vec![crashes(1, 1), leaders(1, 1), two_branches(2, 1), restore(1, 1), others(1, 1)]
}

/// Crashes and failed writes in the whole life of an environment.
pub fn crashes(changes: u8, total: u8) -> Config {
    let budget = Budget {
        changes,
        crashes: total,
        failures: total,
        total,
        ..CALM
    };
    bound(
        "crashes",
        "one branch with a whole environment; the process crashes, writes fail, answers are lost",
        &FULL,
        budget,
    )
}

/// A leader that is replaced while it is about to write, and writes that arrive late.
pub fn leaders(changes: u8, total: u8) -> Config {
    let budget = Budget {
        changes,
        elections: total,
        delays: 1,
        crashes: 1,
        total,
        ..CALM
    };
    Config {
        replicas: 2,
        ..bound(
            "leaders",
            "one branch, two replicas; the lead changes while its holder is about to write, and writes arrive late",
            &RUNNING,
            budget,
        )
    }
}

/// Two branches, and a Git host that lies.
pub fn two_branches(changes: u8, total: u8) -> Config {
    let budget = Budget {
        changes,
        lies: total,
        copies: 1,
        hints: 1,
        crashes: 1,
        total,
        ..CALM
    };
    Config {
        branches: 2,
        ..bound(
            "Git host",
            "two branches; the Git host answers with nothing, with another repository or with an old copy, and hints are replayed",
            &LITTLE,
            budget,
        )
    }
}

/// A backup that comes back.
pub fn restore(changes: u8, total: u8) -> Config {
    let budget = Budget {
        changes,
        restores: 1,
        crashes: 1,
        total,
        ..CALM
    };
    bound(
        "restore",
        "one branch; the API server, or only the Environment objects, go back to a backup while Git does not",
        &RUNNING,
        budget,
    )
}

/// Objects of others, and people who help.
pub fn others(changes: u8, total: u8) -> Config {
    let budget = Budget {
        changes,
        foreign: 1,
        hands: 1,
        crashes: 1,
        total,
        ..CALM
    };
    bound(
        "others",
        "one branch; somebody else has an object of the same name or one in the namespace, or a person deletes the namespace, strips the \
         Environment, or takes a label off",
        &RUNNING,
        budget,
    )
}
