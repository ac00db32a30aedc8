//! What a replica does about an environment that is to go.

use graftling::domain::plan::Step;
use graftling::domain::plan::teardown::references::References;
use graftling::domain::plan::teardown::{self, Contents, Next, Rules, TeardownPlan, View, late};

use super::{Adoption, adopt, requests, status_only};
use crate::config::Config;
use crate::names;
use crate::request::{Request, Work};
use crate::world::{Breach, Environment, Inventory, Place, Pod, Slot, State};

/// The next writes of a teardown.
pub(super) fn tear_down(config: &Config, state: &mut State, branch: usize, environment: &Environment) -> Option<Work> {
    let one = |request| Work {
        steps: vec![vec![request]],
        ..status_only(branch, environment, environment.inventory)
    };
    if environment.receipt {
        let uid = environment.uid;
        return Some(one(Request::LetGo { branch, uid }));
    }
    let plan = teardown_plan(config, branch, environment, &state.cluster[branch]);
    let inventory = names::stored(branch, &plan.inventory);
    let deletes = match plan.next {
        Next::Drain { deletes, .. } => deletes,
        Next::DeleteNamespace(delete) => {
            let theirs = state.cluster[branch].get(Slot::Theirs).is_some_and(|object| !object.deleting);
            if theirs {
                // Nobody may decide to delete a namespace in which something of somebody else's is seen.
                state.breach(Breach::Foreign);
            }
            vec![delete]
        }
        Next::Conclude => {
            if residue(&state.cluster[branch]) {
                return match adopt(state, branch, environment) {
                    Adoption::Rebuilt(work) => Some(work),
                    Adoption::Refused | Adoption::Nothing => None,
                };
            }
            return Some(one(Request::Status {
                branch,
                uid: environment.uid,
                read: environment.inventory,
                new: Inventory::default(),
                receipt: true,
            }));
        }
        _ => Vec::new(),
    };
    let step = requests(branch, environment, &Step::Delete(deletes));
    Some(Work {
        inventory,
        steps: Some(step).filter(|step| !step.is_empty()).into_iter().collect(),
        ..status_only(branch, environment, inventory)
    })
}

/// The plan of a teardown over what is there, with every look that it asks for.
pub fn teardown_plan(config: &Config, branch: usize, environment: &Environment, place: &Place) -> TeardownPlan {
    let inventory = names::inventory(branch, &environment.inventory);
    let mut view = View {
        observed: names::observed(branch, place),
        pods: Vec::new(),
        ..View::default()
    };
    view.observed.retain(|key, _| inventory.get(key).is_some_and(|entry| !entry.gone));
    if config.defences.pods {
        view.pods.extend(place.pod.map(pod));
    }
    let mut inventory = inventory;
    loop {
        let plan = teardown::plan(names::environment(branch), &inventory, &view, &Rules::default());
        inventory.clone_from(&plan.inventory);
        match plan.next {
            Next::LookForReferences => view.references = Some(References::default()),
            Next::LookForForeign => {
                let found = names::found(branch, place);
                let keys = late::reappeared(&inventory, &found);
                let mut late = names::observed(branch, place);
                late.retain(|key, _| keys.contains(key));
                view.observed
                    .extend(late::take_back(names::environment(branch), &mut inventory, late));
                let mut contents = Contents::of(&inventory, &found);
                if !config.defences.pods {
                    contents.pending.clear();
                }
                view.take_in(contents);
            }
            _ => return plan,
        }
    }
}

fn pod(pod: Pod) -> teardown::Pod {
    teardown::Pod {
        name: "web-1".to_owned(),
        service_account: "web".to_owned(),
        deletion: (pod == Pod::Ending).then(|| graftling::domain::observed::Deletion {
            since: "2026-01-01T00:00:00Z".to_owned(),
            finalizers: Vec::new(),
        }),
    }
}

/// Whether the scan at the end finds anything that bears the environment's label.
fn residue(place: &Place) -> bool {
    place.objects.iter().flatten().any(|object| object.labelled)
}
