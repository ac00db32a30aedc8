//! A whole teardown ahead of time.

use super::references::References;
use super::{Next, Rules, TeardownPlan, View, plan};
use crate::domain::inventory::Inventory;
use crate::domain::manifest::ObjectKey;
use crate::domain::name::EnvironmentName;

/// Every step of a teardown from here on, supposing that each deletion succeeds at once: what a person wants to see before it begins.
pub fn forecast(environment: &EnvironmentName, inventory: &Inventory, view: &View, rules: &Rules) -> Vec<TeardownPlan> {
    let mut view = view.clone();
    let mut inventory = inventory.clone();
    let mut steps = Vec::new();
    loop {
        let step = plan(environment, &inventory, &view, rules);
        inventory = step.inventory.clone();
        let gone: Vec<ObjectKey> = match &step.next {
            Next::Drain { deletes, waiting, .. } => {
                let waited = waiting.iter().map(|waiting| waiting.key.clone());
                deletes.iter().map(|delete| delete.key.clone()).chain(waited).collect()
            }
            Next::DeleteNamespace(delete) => vec![delete.key.clone()],
            Next::AwaitNamespace(waiting) => vec![waiting.key.clone()],
            Next::LookForForeign | Next::LookForReferences | Next::Conclude | Next::Blocked(_) => Vec::new(),
        };
        // Whoever may not list bindings still wants to know what follows; the step itself says what is not known yet.
        let looks = step.next == Next::LookForReferences;
        if looks {
            view.references = Some(References::default());
        }
        let last = gone.is_empty() && !looks;
        steps.push(step);
        if last {
            return steps;
        }
        for key in gone {
            view.observed.remove(&key);
        }
    }
}
