//! Plans as people read them.

use std::fmt;

use super::teardown::{Next, TeardownPlan, Tier};
use super::{Because, Delete, Fence, Obstacle, Plan, Removal, Step, Waiting};

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() && self.waiting.is_empty() && self.obstacles.is_empty() && self.retained.is_empty() {
            return writeln!(formatter, "Nothing to do: everything is as it should be.");
        }
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(formatter, "Step {}:", number + 1)?;
            write!(formatter, "{step}")?;
        }
        for key in &self.retained {
            writeln!(
                formatter,
                "Keep: {key}, which the bundle no longer contains, because of the annotation graftling.dev/retain"
            )?;
        }
        write_waiting(formatter, &self.waiting)?;
        write_obstacles(formatter, &self.obstacles)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apply(applies) => applies.iter().try_for_each(|apply| {
                let verb = match (&apply.fence, apply.because) {
                    (_, Because::Wished) => "record a wish for",
                    (Fence::MustNotExist, _) => "create",
                    (Fence::Uid(_) | Fence::Unchanged { .. }, Because::Shared) => "join",
                    (Fence::Uid(_) | Fence::Unchanged { .. }, _) => "update",
                };
                let because = match apply.because {
                    Because::Missing => "",
                    Because::Changed => " (changed)",
                    Because::Drifted => " (somebody changed it)",
                    Because::Shared => " (shared with other environments)",
                    Because::Agreed => " (all of its owners want it so)",
                    Because::Wished => " (other owners want it otherwise)",
                    Because::Resting => " (to rest)",
                    Because::Returned => " (back from its rest)",
                    Because::Unrecorded => " (its last write was not recorded)",
                };
                writeln!(formatter, "  {verb} {}{because}", apply.manifest.key)
            }),
            Self::Delete(deletes) => write_deletes(formatter, deletes),
        }
    }
}

impl fmt::Display for TeardownPlan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.next {
            Next::Drain { tier, deletes, waiting } => {
                writeln!(formatter, "Remove {tier}:")?;
                write_deletes(formatter, deletes)?;
                write_waiting(formatter, waiting)
            }
            Next::LookForForeign => writeln!(formatter, "Look for objects of others in the namespace."),
            Next::LookForReferences => writeln!(
                formatter,
                "Look for what still counts on the service accounts: bindings elsewhere, tokens, clouds."
            ),
            Next::DeleteNamespace(delete) => writeln!(formatter, "Delete {} (UID {}).", delete.key, delete.uid),
            Next::AwaitNamespace(waiting) => write_waiting(formatter, std::slice::from_ref(waiting)),
            Next::Conclude if self.kept.is_empty() => writeln!(formatter, "Everything is gone: scan for residue and write the receipt."),
            Next::Conclude => {
                writeln!(formatter, "Everything else is gone: scan for residue and write the receipt. Left:")?;
                self.kept
                    .iter()
                    .try_for_each(|kept| writeln!(formatter, "  keep {}: it {}", kept.key, kept.because.reason()))
            }
            Next::Blocked(obstacles) => write_obstacles(formatter, obstacles),
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Custom => "custom resources",
            Self::Workload => "workloads",
            Self::Network => "services and ingresses",
            Self::Attachment => "volumes and configuration",
            Self::Cluster => "objects outside of the namespace",
            Self::Access => "role bindings, roles and secrets",
            Self::Identity => "service accounts",
            Self::Guardrail => "guardrails",
            Self::Namespace => "the namespace",
        })
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.key, self.reason)?;
        let Some(deletion) = &self.deletion else { return Ok(()) };
        write!(formatter, ", since {}", deletion.since)?;
        match deletion.finalizers.is_empty() {
            true => Ok(()),
            false => write!(formatter, "; finalizers: {}", deletion.finalizers.join(", ")),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.key, self.reason)
    }
}

fn write_deletes(formatter: &mut fmt::Formatter<'_>, deletes: &[Delete]) -> fmt::Result {
    deletes.iter().try_for_each(|delete| match delete.removal {
        Removal::Delete | Removal::DeleteUnchanged { .. } => writeln!(formatter, "  delete {}", delete.key),
        Removal::Release { others, .. } => {
            let owners = if others == 1 { "owner" } else { "owners" };
            writeln!(formatter, "  release {}: {others} other {owners}", delete.key)
        }
    })
}

fn write_waiting(formatter: &mut fmt::Formatter<'_>, waiting: &[Waiting]) -> fmt::Result {
    waiting.iter().try_for_each(|waiting| writeln!(formatter, "Wait: {waiting}"))
}

fn write_obstacles(formatter: &mut fmt::Formatter<'_>, obstacles: &[Obstacle]) -> fmt::Result {
    obstacles.iter().try_for_each(|obstacle| writeln!(formatter, "Blocked: {obstacle}"))
}
