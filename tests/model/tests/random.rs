//! Beyond the bound: long random ways through a larger world, with the same properties.

use model::action::{self, Action};
use model::bounds::{self, CALM};
use model::config::Config;
use model::explore::Bounded;
use model::fair;
use model::step;
use model::world::Budget;
use proptest::prelude::*;

/// Six branches, whole environments, two replicas, and much that goes wrong.
fn world() -> Config {
    Config {
        name: "random",
        branches: 6,
        replicas: 2,
        budget: Budget {
            changes: 30,
            // One lie at a time is what can be told from the truth: see the report.
            lies: 3,
            copies: 1,
            hints: 10,
            crashes: 5,
            failures: 8,
            elections: 4,
            foreign: 2,
            total: 25,
            ..CALM
        },
        ..bounds::crashes(0, 0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn long_ways_through_a_larger_world_break_nothing(choices in prop::collection::vec(any::<u16>(), 20..250)) {
        let config = world();
        let bounded = Bounded::new(config.clone());
        let mut state = config.start();
        let mut lines = Vec::new();
        for choice in choices {
            let mut possible: Vec<Action> = Vec::new();
            action::actions(&config, &state, &mut possible);
            let chosen = possible[usize::from(choice) % possible.len()];
            let line = fair::line(&state, &chosen);
            let Some(next) = step::next(&config, &state, chosen) else { continue };
            lines.push(line);
            state = next;
            prop_assert!(state.breach.is_none(), "{:?} after\n{}", state.breach, lines.join("\n"));
            prop_assert!(fair::is_recorded(&state), "an orphan after\n{}", lines.join("\n"));
        }
        let complaint = bounded.complaint(&state);
        prop_assert!(complaint.is_none(), "{complaint:?} after\n{}", lines.join("\n"));
    }
}
