//! The report of a sweep, as Markdown for a reader who has never heard of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::cell::{Cell, Outcome, Verdict};
use super::injection::{Again, Injection, Place, When};
use super::scenario::Scenario;
use super::store::Known;

/// Under which circumstances the cells were run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Circumstances {
    /// The day, as `2026-11-27`.
    pub day: String,
    /// The version of graftling.
    pub graftling: String,
    /// The version of Kubernetes, as its API server says.
    pub kubernetes: String,
    /// How many seconds nothing was written at the end of each cell.
    pub quiet: u64,
}

const HEAD: &str = "\
# Crash sweep

What becomes of an environment when graftling dies, and what when it is told something that is no longer true? This report answers by
trying: at every write, at every read of a recovery, at every event.

Written by `cargo run -p testbed --bin sweep -- --report` from the results of `cargo run -p testbed --bin sweep`. Do not edit it.

## In numbers

";

const METHOD: &str = "
## How it is done

**The environment** is the reference environment E14: a Namespace, a ResourceQuota, a LimitRange, two NetworkPolicies and a RoleBinding
as guardrails; a ServiceAccount, a Role, a RoleBinding, a ConfigMap of 2 KB, a Secret, a Deployment, a Service and an Ingress from the
bundle in its branch.

**The scenarios** are the turns of its life. *create*: the branch is pushed. *update*: a push changes a file, removes one, and makes the
Deployment a StatefulSet. *rollback*: a push brings a Deployment that no node has room for, and the pipeline puts back what was good.
*teardown*: the branch is deleted.

**Everything is real**: etcd, the API server and the controllers of Kubernetes (kwok stands in for kubelets), a Git repository, the
program with exactly the rights of its chart. Between the program and the API server there is a proxy that can hold a request, change an
answer or leave out an event. Beside the environment there are another one that is ready and must stay as it is, and objects of somebody
else that look like ours.

**First each scenario runs without faults.** That run tells which writes there are, and how it all ends. Then each *cell* runs the
scenario again, in an installation of its own, with one fault:

| fault | what happens |
|---|---|
| killed before the write | the request is held before it is sent; the process dies by SIGKILL; the request is never sent; a new process starts |
| killed after the write | the API server has committed it; its answer is held; the process dies without having seen it; a new process starts |
| and again at the first write | the new process dies as well, at the first write that it sends |
| and again at the same write | the new process dies as well, when it sends the same write |
| an answer from the past | the process dies after the write in the middle; to the new one, one get or list is answered as it was before the scenario began |
| an event that never arrives | one event of a watch is left out; the environment is looked at every 5 s instead of every 10 min, so that one need not wait so long |
| one request in ten fails | by 500, 503, 504, 429, a closed or reset connection, or an answer that breaks off, and one in fifty is carried out and its answer lost, until the scenario is over; a seed says which |

**A write is known by what it says** (`apply deployments web`, the first of those), not by its number: requests are concurrent, and the
fifth is not always the same one. Reads and events that say the same are disturbed up to the third time.

**The judge knows no scenario.** A cell has passed if all of this holds:

- *The end is the same.* Every object of every kind that the API server can list in the environment's namespace and in the namespace of
  its Environment object, in all fields, labels, annotations, finalizers, and in who owns which field, is as in the run without faults.
- *The history is the same* (S9): an independent witness, with watches on every kind, has seen each object come and go exactly as often.
  A repaired ending with a surprise on the way does not pass.
- *Others are untouched* (S1, S3): the other environment and what belongs to somebody else has the same UIDs, generations and contents, and
  nobody tried to write there.
- *Invariants*: no two environments in one namespace (S2), nothing removed while the branch is there (S4), no ServiceAccount before the
  pods that use it (S5), no write outside of the environment (S7), no Secret in logs, statuses or Events (S8), a reason in the status of
  whatever is not ready (L3).
- *Quiet* (L1): after its end nothing at all is written for QUIET s.
- *Nothing is left* (L2, teardown): in the whole cluster no object of any kind bears the environment's name or is owned by something of it,
  except for its receipt; and the Environment object was the last to go.

*Missed* means: it ended well too, but the fault was not met, as this run did not send that request (again). A write that was committed
need not be repeated, for example.

**What may differ**, and why: UIDs, times, durations, resource versions, cluster IPs, random names and digests over them, because each run
has its own. How many objects a run says it has changed, and the examples beside that number: it counts answers that were seen, and a
crash loses one. How many objects of the cluster a receipt has looked at; whether it says
of an object *removed* or *gone before*, and whether it proves by a token that an account is dead: a crash loses answers and the token, and a
receipt does not claim what it does not know. By which of two proofs it says that the branch is gone: a delivery is lost with the process
that had it. After an answer from the past, a status' message and what a receipt mentions: they tell what was answered. The digest of a run's record in the inventory: it comes with the answer to its creation, and is not compared with
anything, because a record is written once. Events, which tell and are not told from.

## To do it again

```
cargo run -p testbed --bin sweep              # all of it; what is done already is not done again
cargo run -p testbed --bin sweep -- --fresh   # all of it, from the beginning
cargo run -p testbed --bin sweep -- --report  # this report
cargo run -p testbed --bin sweep -- --help    # parts of it
```

`cargo test --test it crash_sweep` runs a sample with the same judge.
";

/// The report.
pub fn markdown(circumstances: &Circumstances, known: &BTreeMap<Scenario, Known>, outcomes: &BTreeMap<Cell, Outcome>) -> String {
    let mut text = HEAD.to_owned();
    text.push_str(&numbers(outcomes));
    text.push_str(&summary(outcomes));
    text.push_str(&failures(outcomes));
    text.push_str(&METHOD.replace("QUIET", &circumstances.quiet.to_string()));
    text.push_str(
        "\n## Every write\n\nHow it ended when the process died at that write: before it / after it. ✓ passed, – missed, ✗ failed.\n",
    );
    for (scenario, known) in known {
        text.push_str(&writes(*scenario, &known.baseline.writes, outcomes));
    }
    let Circumstances {
        day,
        graftling,
        kubernetes,
        ..
    } = circumstances;
    let _ = write!(text, "\ngraftling {graftling}, Kubernetes {kubernetes}, {day}.\n");
    text
}

fn numbers(outcomes: &BTreeMap<Cell, Outcome>) -> String {
    let [passed, missed, failed] = count(outcomes.values());
    let kills: u32 = outcomes.values().map(|outcome| outcome.kills).sum();
    format!(
        "{} cells, {kills} kills: {passed} passed, {missed} missed, {failed} failed.\n\n",
        outcomes.len()
    )
}

/// Passed, missed, failed.
fn count<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> [usize; 3] {
    let mut counts = [0; 3];
    for outcome in outcomes {
        counts[match outcome.verdict {
            Verdict::Passed => 0,
            Verdict::Missed => 1,
            Verdict::Failed { .. } => 2,
        }] += 1;
    }
    counts
}

fn summary(outcomes: &BTreeMap<Cell, Outcome>) -> String {
    let mut text = "| fault |".to_owned();
    Scenario::ALL
        .iter()
        .for_each(|scenario| text.push_str(&format!(" {} |", scenario.name())));
    text.push_str("\n|---|---|---|---|---|\n");
    for class in Injection::CLASSES {
        let _ = write!(text, "| {class} |");
        for scenario in Scenario::ALL {
            let cells = outcomes
                .values()
                .filter(|outcome| outcome.cell.scenario == scenario && outcome.cell.injection.class() == class);
            let [passed, missed, failed] = count(cells);
            let parts = [(passed, "passed"), (missed, "missed"), (failed, "**failed**")];
            let parts: Vec<String> = parts
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, word)| format!("{count} {word}"))
                .collect();
            let _ = write!(text, " {} |", parts.join(", "));
        }
        text.push('\n');
    }
    text
}

fn failures(outcomes: &BTreeMap<Cell, Outcome>) -> String {
    let mut text = String::new();
    for outcome in outcomes.values() {
        if let Verdict::Failed { because } = &outcome.verdict {
            let _ = write!(text, "\n- **{}**\n", outcome.cell);
            because.iter().for_each(|line| text.push_str(&format!("  - {line}\n")));
        }
    }
    match text.is_empty() {
        true => text,
        false => format!("\n## What failed\n{text}"),
    }
}

fn writes(scenario: Scenario, writes: &[Place], outcomes: &BTreeMap<Cell, Outcome>) -> String {
    let mut text = format!(
        "\n### {}\n\n| write | killed | and again at the first write | and again at the same write |\n|---|---|---|---|\n",
        scenario.name()
    );
    for write in writes {
        let _ = write!(text, "| {write} |");
        for again in [Again::Never, Again::First, Again::Same] {
            let signs = [When::Before, When::After].map(|when| {
                let injection = Injection::Crash {
                    write: write.clone(),
                    when,
                    again,
                };
                sign(outcomes.get(&Cell { scenario, injection }))
            });
            let _ = write!(text, " {} |", signs.join(" / "));
        }
        text.push('\n');
    }
    text
}

fn sign(outcome: Option<&Outcome>) -> &'static str {
    match outcome.map(|outcome| &outcome.verdict) {
        None => "",
        Some(Verdict::Passed) => "✓",
        Some(Verdict::Missed) => "–",
        Some(Verdict::Failed { .. }) => "✗",
    }
}
