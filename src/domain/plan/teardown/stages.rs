//! What teardown stages write before anything is removed: their Jobs, and nothing else.

use crate::domain::inventory::{Inventory, Relation, Stage};
use crate::domain::manifest::{Manifest, wave};
use crate::domain::name::EnvironmentName;
use crate::domain::plan::deploy::not_ours;
use crate::domain::plan::{Apply, Because, Fence, Observed, Obstacle, Plan, Step};

/// Plans the objects of Jobs that are not known to be there.
///
/// # Guarantees
/// - Nothing is deleted, and nothing that is there is written.
/// - Everything that could come into being is in `write_ahead`.
/// - One that a crash lost is found again by [`crate::domain::inventory::Entry::relation`]; one of somebody else's is an obstacle.
pub fn plan(environment: &EnvironmentName, jobs: Vec<Manifest>, inventory: &Inventory, observed: &Observed) -> Plan {
    let mut plan = Plan {
        write_ahead: inventory.clone(),
        steps: Vec::new(),
        waiting: Vec::new(),
        obstacles: Vec::new(),
        stale: 0,
        withheld: 0,
        retained: Vec::new(),
    };
    let mut jobs = jobs;
    jobs.sort_by(|left, right| (wave(&left.key), &left.key).cmp(&(wave(&right.key), &right.key)));
    for manifest in jobs {
        let key = manifest.key.clone();
        let Some(live) = observed.get(&key) else {
            plan.write_ahead.write_ahead(&key, Stage::Deploy);
            add(&mut plan.steps, manifest);
            continue;
        };
        match inventory.get(&key).map(|entry| entry.relation(live, environment.as_str())) {
            Some(Relation::Ours | Relation::Disowned) => plan.write_ahead.record_found(&key, &live.uid),
            Some(Relation::Foreign) | None => plan.obstacles.push(Obstacle {
                reason: not_ours(&key).to_owned(),
                stage: Stage::Deploy,
                key,
            }),
        }
    }
    if !plan.obstacles.is_empty() {
        plan.steps.clear();
    }
    plan
}

/// Accounts before the Jobs that run as them.
fn add(steps: &mut Vec<Step>, manifest: Manifest) {
    let current = wave(&manifest.key);
    let apply = Apply {
        manifest,
        stage: Stage::Deploy,
        fence: Fence::MustNotExist,
        force: false,
        because: Because::Missing,
    };
    match steps.last_mut() {
        Some(Step::Apply(applies)) if applies.first().is_some_and(|first| wave(&first.manifest.key) == current) => applies.push(apply),
        _ => steps.push(Step::Apply(vec![apply])),
    }
}
