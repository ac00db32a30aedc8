//! What stages need of one another: names that are there, and no circles.

use std::collections::{BTreeMap, BTreeSet};

use super::Stage;
use super::read::FILE;
use crate::domain::bundle::Problem;
use crate::domain::render::suggest::did_you_mean;

/// Everything that is wrong with the graph of one section.
pub(super) fn check(stages: &[Stage]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let by_name: BTreeMap<&str, &Stage> = stages.iter().rev().map(|stage| (stage.name.as_str(), stage)).collect();
    for stage in stages {
        for need in stage.needs.iter().filter(|need| !by_name.contains_key(need.as_str())) {
            let hint = did_you_mean(need, by_name.keys().copied());
            let name = match stage.name.as_str() {
                "" => "without a name".to_owned(),
                name => format!("{name:?}"),
            };
            let message = format!("stage {name} needs {need:?}, which is no stage of this section{hint}");
            problems.push(Problem::at_line(FILE, stage.line, message));
        }
    }
    problems.extend(circles(stages, &by_name));
    problems
}

/// The stages that have ended before `name` begins: what it needs, what those need, and so on.
pub(super) fn before<'a>(stages: &'a [Stage], name: &str) -> BTreeSet<&'a str> {
    let by_name: BTreeMap<&str, &Stage> = stages.iter().map(|stage| (stage.name.as_str(), stage)).collect();
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = by_name
        .get(name)
        .into_iter()
        .flat_map(|stage| &stage.needs)
        .map(String::as_str)
        .collect();
    while let Some(need) = open.pop() {
        if let Some(stage) = by_name.get(need).filter(|stage| found.insert(stage.name.as_str())) {
            open.extend(stage.needs.iter().map(String::as_str));
        }
    }
    found
}

/// One problem for each circle. The walk has no recursion, because a pipeline may be as long as its file.
fn circles(stages: &[Stage], by_name: &BTreeMap<&str, &Stage>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    for start in stages {
        // The way to the current stage, with the needs that are still to be followed from each.
        let mut way: Vec<(&Stage, std::slice::Iter<'_, String>)> = vec![(start, start.needs.iter())];
        while let Some((stage, needs)) = way.last_mut() {
            let Some(need) = needs.next() else {
                done.push(&stage.name);
                way.pop();
                continue;
            };
            let Some(next) = by_name.get(need.as_str()).filter(|next| !done.contains(&next.name.as_str())) else {
                continue;
            };
            if let Some(begin) = way.iter().position(|(open, _)| open.name == next.name) {
                let names: Vec<&str> = way[begin..]
                    .iter()
                    .map(|(open, _)| open.name.as_str())
                    .chain([next.name.as_str()])
                    .collect();
                let message = format!("stages need one another in a circle: {}", names.join(" → "));
                problems.push(Problem::at_line(FILE, next.line, message));
            } else {
                way.push((next, next.needs.iter()));
            }
        }
    }
    problems
}
