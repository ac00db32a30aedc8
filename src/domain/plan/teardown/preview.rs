//! A teardown ahead of time, past what stands in its way.

use std::collections::{BTreeMap, BTreeSet};

use super::references::References;
use super::{Next, Rules, TeardownPlan, View, forecast};
use crate::domain::inventory::Inventory;
use crate::domain::name::EnvironmentName;
use crate::domain::plan::Obstacle;
use crate::domain::residue::Found;

/// More obstacles than that one after the other are no preview any more.
const ROUNDS: usize = 32;

/// The steps of [`forecast()`]; and, where something blocks, the steps that follow once somebody has settled that.
pub fn preview(environment: &EnvironmentName, inventory: &Inventory, view: &View, rules: &Rules) -> Vec<TeardownPlan> {
    let (mut view, mut inventory) = (view.clone(), inventory.clone());
    let mut steps: Vec<TeardownPlan> = Vec::new();
    let mut before: Option<Vec<Obstacle>> = None;
    for _ in 0..ROUNDS {
        let mut part = forecast(environment, &inventory, &view, rules);
        for step in &part {
            forget(&mut view, &step.next);
            inventory = step.inventory.clone();
        }
        let Some(Next::Blocked(obstacles)) = part.last().map(|last| last.next.clone()) else {
            steps.extend(part);
            return steps;
        };
        if before.as_ref() == Some(&obstacles) {
            // Nothing that counts on it: the object itself has to go, or to stay.
            obstacles.iter().for_each(|obstacle| drop(view.observed.remove(&obstacle.key)));
            part.pop();
        }
        steps.extend(part);
        view.pods.clear();
        view.references = Some(References::default());
        view.foreign = view.foreign.map(|_| Vec::new());
        before = Some(obstacles);
    }
    steps
}

/// How many objects of each kind go with what owns them, directly or through others.
pub fn descendants(inventory: &Inventory, found: &[Found]) -> BTreeMap<String, usize> {
    let ours: BTreeSet<&str> = inventory.iter().filter_map(|(_, entry)| entry.uid.as_deref()).collect();
    let mut family = ours.clone();
    loop {
        let before = family.len();
        let is_child = |object: &&Found| object.owners.iter().any(|owner| family.contains(owner.as_str()));
        let children: Vec<_> = found.iter().filter(is_child).map(|object| object.uid.as_str()).collect();
        family.extend(children);
        if family.len() == before {
            break;
        }
    }
    let mut counts = BTreeMap::new();
    for object in found
        .iter()
        .filter(|object| family.contains(object.uid.as_str()) && !ours.contains(object.uid.as_str()))
    {
        *counts.entry(object.key.kind.clone()).or_default() += 1;
    }
    counts
}

fn forget(view: &mut View, next: &Next) {
    match next {
        Next::Drain { deletes, waiting, .. } => {
            deletes.iter().for_each(|delete| drop(view.observed.remove(&delete.key)));
            waiting.iter().for_each(|waiting| drop(view.observed.remove(&waiting.key)));
        }
        Next::DeleteNamespace(delete) => drop(view.observed.remove(&delete.key)),
        Next::AwaitNamespace(waiting) => drop(view.observed.remove(&waiting.key)),
        _ => {}
    }
}
