//! `steps`: containers one after the other that share a workspace.
//!
//! Each step is a container of its own, so what it leaves outside of the workspace is gone when the next one begins. They are written as
//! a list, or as a mapping with the list under `run` where something is said of all of them.

use serde_json::Value;

use super::checkout;
use super::container::{self, Container, is_quantity};
use super::fields::{Fields, unless};
use super::is_template;
use super::workload::{self, Workload};
use crate::domain::name::check_label;

/// The most steps of a stage: Kubernetes shares 12 KiB for what containers say at their end among all of a pod.
pub const MAX_STEPS: usize = 16;

/// How much a workspace holds, if nothing is said.
const WORKSPACE: &str = "1Gi";

/// Containers one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Steps {
    /// The steps, in their order; at least one.
    pub run: Vec<Step>,
    /// Whether the files of the commit are in the workspace when the first step begins. Nothing is said: they are, except before a
    /// removal, when the branch may be gone.
    pub checkout: Option<bool>,
    /// How much the workspace holds, as Kubernetes writes it.
    pub workspace: String,
    /// Who they run as and how: all as the same user, since they share their files.
    pub workload: Workload,
    /// Whether they run only once in the life of an environment, until `graftling env rerun` asks for them again.
    pub once: bool,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its name, which is that of its container.
    pub name: String,
    /// What it runs.
    pub container: Container,
}

// === impl Steps ===

impl Steps {
    /// Whether the files of the commit are brought into the workspace.
    pub fn checks_out(&self, is_teardown: bool) -> bool {
        self.checkout.unwrap_or(!is_teardown)
    }

    /// Every output that a step hands on.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.run.iter().flat_map(|step| step.container.outputs.iter().map(String::as_str))
    }
}

/// Reads the settings.
///
/// # Errors
/// Every problem, each beginning with the field that it is about.
pub fn read(settings: &Value) -> Result<Steps, Vec<String>> {
    let is_list = settings.is_array();
    let mut fields = Fields::new("", if is_list { &Value::Null } else { settings });
    let listed: Vec<(String, &Value)> = match settings {
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (format!("[{index}]"), item)).collect(),
        _ => fields.list("run"),
    };
    let mut steps = Steps {
        run: Vec::with_capacity(listed.len()),
        checkout: fields.flag("checkout"),
        workspace: fields.text("workspace").unwrap_or_else(|| WORKSPACE.to_owned()),
        workload: workload::read(&mut fields),
        once: fields.flag("once").unwrap_or_default(),
    };
    if listed.is_empty() || listed.len() > MAX_STEPS {
        fields.refuse("run", format!("should be a list of 1 to {MAX_STEPS} steps"));
    }
    if !is_template(&steps.workspace) && !is_quantity(&steps.workspace) {
        fields.refuse("workspace", "should be a quantity: 500Mi, 2Gi");
    }
    for (index, (path, value)) in listed.iter().enumerate() {
        let step = read_step(path, value, index, &steps.run, &mut fields);
        steps.run.push(step);
    }
    unless(fields.finish(), steps)
}

fn read_step(path: &str, value: &Value, index: usize, before: &[Step], problems: &mut Fields<'_>) -> Step {
    let mut fields = Fields::new(path, value);
    let step = Step {
        name: fields.text("name").unwrap_or_else(|| format!("step-{}", index + 1)),
        container: container::read(&mut fields),
    };
    if let Err(rule) = check_label(&step.name) {
        fields.refuse("name", format!("{:?} {rule}", step.name));
    } else if step.name == checkout::CONTAINER {
        fields.refuse("name", "is what takes in the files of the commit: choose another");
    } else if before.iter().any(|other| other.name == step.name) {
        fields.refuse("name", format!("there is another step {:?}: rename one", step.name));
    }
    let taken = |name: &&String| before.iter().any(|other| other.container.outputs.contains(name));
    if let Some(twice) = step.container.outputs.iter().find(taken) {
        fields.refuse("outputs", format!("{twice:?} is an output of another step, too: rename one"));
    }
    problems.absorb(fields.finish());
    step
}
