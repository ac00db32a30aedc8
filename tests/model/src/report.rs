//! The report, for a reader who has never heard of model checking.

use std::fmt::Write;
use std::time::Duration;

use crate::config::Config;
use crate::explore::{BREACHES, CONVERGES, Explored, RECORDED};
use crate::fair;

/// One bound with what its exploration came to.
#[derive(Debug)]
pub struct Part {
    /// The bound.
    pub config: Config,
    /// What was explored.
    pub explored: Explored,
    /// How long it took.
    pub took: Duration,
}

const INTRODUCTION: &str = "\
# Model check

Written by `COMMAND`. That command explores everything below anew and writes this file.

## What this is

A test tries some ways through a program. A model check tries **all** of them, within a bound. It begins with one state of everything: what
is in Git, what the API server holds, what each replica of graftling remembers and is about to write. From there it takes every step that is
possible, from every state that it comes to again every step, until there is no state that it has not seen. In each state it looks whether
what must always hold does hold. If something does not, it prints the shortest way there, step by step.

The decisions are not modelled. Which environments begin and end (`roster`), what is written and deleted (`plan::deploy`,
`plan::teardown`), whose a namespace is (`adoption`), what the inventory remembers (`inventory`, `outcome`) and what is told
(`status`) are the functions that ship, called from the library. What is modelled is the world around them, and what can happen
to it. One step is one write, one look, or one thing that goes wrong, so a crash, a lost answer, another leader or a push may come between
any two writes. What a replica has planned it may write much later: that is also how a stale watch is seen.

From **every** state the check also asks what becomes of it once nothing goes wrong any more: a fair run, in which everybody has their turn,
must come to rest, with exactly what Git asks for and nothing else, or with an environment that waits for a person because something of
somebody else's is in its way. If any state had no such end, there would be a way to lose an environment or to leave something behind.

## What must hold
";

const MODELLED: &str = "
## What is modelled

- **Git**: branches that are pushed, deleted and pushed again. The host tells the truth, or an empty list, or another repository under the
  same name, or an old copy (every branch as it was before its last change); or of one branch, with or without a signed delivery that
  announced its deletion, which may be a replay. An error is an answer that decides nothing, and so no step.
- **Replicas**: the memory of absences, a roster in hand and a pass in hand, whose writes go one by one, within a step of a plan in any order.
  A crash loses all of it. The lead may pass to another replica at any time; the former leader does not know and tries to go on.
- **The API server**: UIDs, preconditions, statuses that are written only over what was read, namespaces that end with their contents one by
  one and take nothing new meanwhile, a custom resource that its controller holds by a finalizer and lets go only as long as its
  ServiceAccount is there, a pod that outlives its workload for a while.
- **Faults**: crashes, writes that are not carried out (errors, conflicts, time-outs), answers that are lost, writes that arrive after
  whoever sent them gave up, changes of the leader, a backup of everything or of the Environment objects alone that comes back, objects of others under our
  names with and without a copy of our label, a namespace deleted by hand, an Environment stripped of its finalizer, a label taken off.

Half of all revisions drop an object, so that pushes prune. UIDs are numbered anew in every state, so that states that differ only in them
are one.

## What is not

- Time, but for \"long enough apart\": time limits, back-off and leases are tested on the real control plane.
- Content: rendering, validation, stages, runs, Secrets, shared objects, pull requests, times of grace, retained objects. Each has properties
  of its own beside its code.
- Server-side apply field by field: here an object is ours or not. Field conflicts are tested on the real API server.
- A host that gives the same false answer twice, apart in time, with the default branch in it. That is a repository in which the branch
  is gone; nothing can tell the two apart. What such a host can do at once is limited by the brake.
- A workload that begins to use an account between the look at pods and the deletion of the account: somebody else's, or one of ours whose
  creation arrives after whoever sent it gave up. Kubernetes has no write that depends on another object. Creations that arrive late are
  modelled in everything else.
- More than one write that is under way after its sender gave up, at a time and in all.
- The crash sweep, the random operations and the fault proxy run the whole program against a real API server; what the model leaves out is theirs.

## What was explored
";

const FAILS: &str = "
## That the check can fail

`cargo test -p model` explores smaller bounds of the same kind, and then switches off one defence at a time: preconditions, the second
sighting of an absence, the look for the default branch, writing ahead, the fence of the lease, the look at pods before accounts go, the look
for namespaces without an Environment. Each must yield a counterexample, whose trace is printed with `--nocapture`. Random ways through a larger
world, six branches and two replicas, follow with the same properties; a failing one is shrunk.

Most of the checker is a small crate that is well known, `stateright` 0.31 (MIT).
";

/// The whole report.
pub fn write(parts: &[Part], is_small: bool) -> String {
    let command = match is_small {
        true => "cargo run -p model -- --small` over the small bounds; larger ones are explored by `cargo run --release -p model",
        false => "cargo run --release -p model",
    };
    let mut text = INTRODUCTION.replace("COMMAND", command);
    let properties = BREACHES.into_iter().map(fair::meaning).chain([RECORDED, CONVERGES]);
    for property in properties {
        let _ = writeln!(text, "\n- {property}.");
    }
    text.push_str(MODELLED);
    text.push_str(&table(parts));
    text.push_str(&result(parts));
    text.push_str(FAILS);
    text
}

fn table(parts: &[Part]) -> String {
    let mut text = String::from("\n| Bound | Branches | Replicas | Objects | May happen | States | Steps | Depth | Seconds |\n");
    text.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for Part { config, explored, took } in parts {
        let _ = writeln!(
            text,
            "| **{}**: {} | {} | {} | {} | {} | {} | {} | {} | {:.0} |",
            config.name,
            config.about,
            config.branches,
            config.replicas,
            config.slots.len(),
            budget(config),
            explored.states,
            explored.steps,
            explored.depth,
            took.as_secs_f64()
        );
    }
    let states: usize = parts.iter().map(|part| part.explored.states).sum();
    let steps: usize = parts.iter().map(|part| part.explored.steps).sum();
    let took: f64 = parts.iter().map(|part| part.took.as_secs_f64()).sum();
    let _ = writeln!(text, "| all together | | | | | **{states}** | **{steps}** | | {took:.0} |");
    text.push_str("\nEach bound is explored to its end: there is no limit on depth. *Objects* counts the namespace. *Depth* is the number of states on the longest of the shortest ways.\n");
    text
}

fn budget(config: &Config) -> String {
    let budget = &config.budget;
    let all = [
        (budget.changes, "changes of branches"),
        (budget.lies, "false answers of the host"),
        (budget.copies, "answers from an old copy"),
        (budget.hints, "hints"),
        (budget.crashes, "crashes"),
        (budget.failures, "failed writes or lost answers"),
        (budget.delays, "late writes"),
        (budget.elections, "changes of the leader"),
        (budget.restores, "restores"),
        (budget.foreign, "objects of others"),
        (budget.hands, "deeds by hand"),
    ];
    let some: Vec<_> = all
        .into_iter()
        .filter(|(most, _)| *most > 0)
        .map(|(most, what)| format!("{most} {what}"))
        .collect();
    format!("{}; of what goes wrong at most {} together", some.join(", "), budget.total)
}

fn result(parts: &[Part]) -> String {
    let mut text = String::new();
    for part in parts {
        for found in &part.explored.counterexamples {
            let _ = writeln!(
                text,
                "\n### Broken within \"{}\"\n\n{}\n\n```text\n{}\n```",
                part.config.name, found.property, found.trace
            );
        }
    }
    if text.is_empty() {
        text.push_str("\nEverything that must hold holds in every one of these states.\n");
    }
    text
}
