//! Operations as lines of text.

use std::fmt;
use std::str::FromStr;

use super::{Branch, Operation};

/// Branches separated by commas, or `-` for none.
fn list(branches: &[Branch]) -> String {
    match branches {
        [] => "-".to_owned(),
        some => some.iter().map(|branch| branch.name()).collect::<Vec<_>>().join(","),
    }
}

fn unlist(word: &str) -> Result<Vec<Branch>, ()> {
    match word {
        "-" => Ok(Vec::new()),
        words => words.split(',').map(str::parse).collect(),
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Push { branch, to, hook } => write!(out, "push {branch} {to} {hook}"),
            Self::PushSeveral(branches) => write!(out, "push-several {}", list(branches)),
            Self::Delete(branch, hook) => write!(out, "delete {branch} {hook}"),
            Self::DeleteSeveral(branches) => write!(out, "delete-several {}", list(branches)),
            Self::Recreate(branch, hook) => write!(out, "recreate {branch} {hook}"),
            Self::Tag(branch) => write!(out, "tag {branch}"),
            Self::Replay => write!(out, "replay"),
            Self::Values(number) => write!(out, "values {number}"),
            Self::Quota(number) => write!(out, "quota {number}"),
            Self::Domain(number) => write!(out, "domain {number}"),
            Self::Exclude(branches) => write!(out, "exclude {}", list(branches)),
            Self::Limit(None) => write!(out, "limit none"),
            Self::Limit(Some(most)) => write!(out, "limit {most}"),
            Self::Suspend(true) => write!(out, "suspend"),
            Self::Suspend(false) => write!(out, "resume"),
            Self::Object(slot, kind, content) => write!(out, "object {slot} {kind} {content}"),
            Self::NoObject(slot) => write!(out, "no-object {slot}"),
            Self::Break => write!(out, "break"),
            Self::Mend => write!(out, "mend"),
            Self::Edit(branch, target) => write!(out, "edit {branch} {target}"),
            Self::Unlabel(branch, target) => write!(out, "unlabel {branch} {target}"),
            Self::Remove(branch, target) => write!(out, "remove {branch} {target}"),
            Self::Hold(branch) => write!(out, "hold {branch}"),
            Self::Release(branch) => write!(out, "release {branch}"),
            Self::RemoveNamespace(branch) => write!(out, "remove-namespace {branch}"),
            Self::RemoveEnvironment(branch) => write!(out, "remove-environment {branch}"),
            Self::Plant(branch) => write!(out, "plant {branch}"),
            Self::Unplant(branch) => write!(out, "unplant {branch}"),
            Self::PlantNamespace(branch) => write!(out, "plant-namespace {branch}"),
            Self::UnplantNamespace(branch) => write!(out, "unplant-namespace {branch}"),
            Self::ReleaseBrake => write!(out, "release-brake"),
            Self::Kill(pause) => write!(out, "kill {pause}"),
            Self::Terminate(pause) => write!(out, "terminate {pause}"),
            Self::ServerAway(pause) => write!(out, "server-away {pause}"),
            Self::RepositoryAway(pause) => write!(out, "repository-away {pause}"),
            Self::Fault {
                kind,
                place,
                percent,
                seed,
            } => write!(out, "fault {kind} {place} {percent} {seed}"),
            Self::NoFaults => write!(out, "no-faults"),
            Self::Pause(pause) => write!(out, "pause {pause}"),
            Self::Quiet => write!(out, "quiet"),
            Self::Sabotage(branch) => write!(out, "sabotage {branch}"),
        }
    }
}

fn number(word: &str) -> Result<u32, ()> {
    word.parse().map_err(drop)
}

impl FromStr for Operation {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["push", branch, to, hook] => Ok(Self::Push {
                branch: branch.parse()?,
                to: to.parse()?,
                hook: hook.parse()?,
            }),
            ["fault", kind, place, percent, seed] => Ok(Self::Fault {
                kind: kind.parse()?,
                place: place.parse()?,
                percent: number(percent)?,
                seed: number(seed)?,
            }),
            ["object", slot, kind, content] => Ok(Self::Object(slot.parse()?, kind.parse()?, number(content)?)),
            [verb, first, second] => with_two(verb, first, second),
            [verb, word] => with_one(verb, word),
            [verb] => alone(verb),
            _ => Err(()),
        }
    }
}

fn with_two(verb: &str, first: &str, second: &str) -> Result<Operation, ()> {
    let branch = first.parse()?;
    match verb {
        "delete" => Ok(Operation::Delete(branch, second.parse()?)),
        "recreate" => Ok(Operation::Recreate(branch, second.parse()?)),
        "edit" => Ok(Operation::Edit(branch, second.parse()?)),
        "unlabel" => Ok(Operation::Unlabel(branch, second.parse()?)),
        "remove" => Ok(Operation::Remove(branch, second.parse()?)),
        _ => Err(()),
    }
}

fn with_one(verb: &str, word: &str) -> Result<Operation, ()> {
    match verb {
        "push-several" => unlist(word).map(Operation::PushSeveral),
        "delete-several" => unlist(word).map(Operation::DeleteSeveral),
        "exclude" => unlist(word).map(Operation::Exclude),
        "tag" => word.parse().map(Operation::Tag),
        "values" => number(word).map(Operation::Values),
        "quota" => number(word).map(Operation::Quota),
        "domain" => number(word).map(Operation::Domain),
        "limit" if word == "none" => Ok(Operation::Limit(None)),
        "limit" => number(word).map(|most| Operation::Limit(Some(most))),
        "no-object" => word.parse().map(Operation::NoObject),
        "hold" => word.parse().map(Operation::Hold),
        "release" => word.parse().map(Operation::Release),
        "remove-namespace" => word.parse().map(Operation::RemoveNamespace),
        "remove-environment" => word.parse().map(Operation::RemoveEnvironment),
        "plant" => word.parse().map(Operation::Plant),
        "unplant" => word.parse().map(Operation::Unplant),
        "plant-namespace" => word.parse().map(Operation::PlantNamespace),
        "unplant-namespace" => word.parse().map(Operation::UnplantNamespace),
        "kill" => number(word).map(Operation::Kill),
        "terminate" => number(word).map(Operation::Terminate),
        "server-away" => number(word).map(Operation::ServerAway),
        "repository-away" => number(word).map(Operation::RepositoryAway),
        "pause" => number(word).map(Operation::Pause),
        "sabotage" => word.parse().map(Operation::Sabotage),
        _ => Err(()),
    }
}

fn alone(verb: &str) -> Result<Operation, ()> {
    match verb {
        "replay" => Ok(Operation::Replay),
        "suspend" => Ok(Operation::Suspend(true)),
        "resume" => Ok(Operation::Suspend(false)),
        "break" => Ok(Operation::Break),
        "mend" => Ok(Operation::Mend),
        "release-brake" => Ok(Operation::ReleaseBrake),
        "no-faults" => Ok(Operation::NoFaults),
        "quiet" => Ok(Operation::Quiet),
        _ => Err(()),
    }
}
