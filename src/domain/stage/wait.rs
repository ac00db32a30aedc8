//! `wait`: something outside of the environment.

use std::time::Duration;

use serde_json::Value;

use super::check::{done, failed};
use super::mapping::{Fields, Problems, object_name};
use crate::domain::errand::{Answer, Worth};
use crate::domain::run::Progress;

mod reference;

pub use reference::{Reference, ReferenceError};

/// What the stage is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Wait {
    /// What is waited for.
    pub subject: Subject,
    /// How much time is between an answer and the next question.
    pub every: Duration,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// A commit status of the wished commit.
    CommitStatus(CommitStatus),
    /// A check run of the wished commit.
    CheckRun(CheckRun),
    /// An image in its registry.
    Image(Image),
}

/// A commit status, as others set it at the Git host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitStatus {
    /// Whose it is, for example `ci/build`.
    pub context: String,
    /// What it must be: `success`, unless something else is said.
    pub state: String,
}

/// A check run, as apps make them at the Git host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRun {
    /// Its name.
    pub name: String,
    /// How it may have ended: `success`, unless something else is said.
    pub conclusions: Vec<String>,
}

/// An image in its registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The reference, as pods have it.
    pub reference: String,
    /// A Secret of type `kubernetes.io/dockerconfigjson` in the Project's namespace that is marked for use by stages. None: the registry
    /// is asked without credentials.
    pub pull_secret: Option<String>,
}

/// A commit status as the Git host has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedStatus {
    /// `success`, `pending`, `failure` or `error`.
    pub state: String,
    /// What its author says of it.
    pub description: Option<String>,
}

/// A check run as the Git host has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedRun {
    /// How it ended, once it has.
    pub conclusion: Option<String>,
    /// What its app says of it.
    pub title: Option<String>,
}

const SUBJECTS: [&str; 3] = ["commitStatus", "checkRun", "image"];
const STATES: [&str; 4] = ["success", "pending", "failure", "error"];
const CONCLUSIONS: [&str; 8] = [
    "success",
    "neutral",
    "skipped",
    "failure",
    "cancelled",
    "timed_out",
    "action_required",
    "stale",
];
/// How many questions in a row may go without an answer that can be relied on.
const MAX_LOST: i32 = 20;
const EVERY: Duration = Duration::from_secs(30);
const SHORTEST_EVERY: Duration = Duration::from_secs(1);
const LONGEST_EVERY: Duration = Duration::from_mins(30);

/// Reads the settings.
///
/// # Errors
/// Every problem, each beginning with the field that it is about.
pub fn read(settings: &Value) -> Result<Wait, Vec<String>> {
    let mut problems = Problems::new();
    let known = ["commitStatus", "checkRun", "image", "every"];
    let Some(fields) = Fields::read("", settings, &known, &mut problems) else {
        return Err(problems);
    };
    let subject = match fields.one_of(&SUBJECTS, &mut problems) {
        Some("commitStatus") => commit_status(&fields, &mut problems).map(Subject::CommitStatus),
        Some("checkRun") => check_run(&fields, &mut problems).map(Subject::CheckRun),
        Some(_) => image(&fields, &mut problems).map(Subject::Image),
        None => None,
    };
    let every = fields.duration("every", EVERY, SHORTEST_EVERY..=LONGEST_EVERY, &mut problems);
    match subject {
        Some(subject) if problems.is_empty() => Ok(Wait { subject, every }),
        _ => Err(problems),
    }
}

/// What follows from an answer: the streak that is to be kept, and how the stage ends if it does.
///
/// A streak below zero counts questions in a row that got no answer that can be relied on.
pub fn judge(streak: i32, answer: &Answer) -> (i32, Option<Progress>) {
    match answer.worth {
        Worth::Good => (1, Some(done(answer))),
        Worth::NotYet => (0, None),
        Worth::Bad => {
            let streak = streak.min(0).saturating_sub(1);
            (streak, (streak <= -MAX_LOST).then(|| failed(answer)))
        }
        Worth::Failed | Worth::Never => (streak, Some(failed(answer))),
    }
}

/// What a commit status says; `None`: there is none of that context.
pub fn status_answer(wanted: &CommitStatus, found: Option<&ReportedStatus>) -> Answer {
    let context = &wanted.context;
    let Some(found) = found else {
        return Answer::not_yet(format!("the commit has no status {context:?} yet"));
    };
    let what = match &found.description {
        Some(description) if !description.is_empty() => format!("status {context:?} is {}: {description}", found.state),
        _ => format!("status {context:?} is {}", found.state),
    };
    match found.state.as_str() {
        state if state == wanted.state => Answer::good(what),
        "pending" => Answer::not_yet(what),
        _ => Answer::failed(what),
    }
}

/// What check runs of one name say; none: there is no such run yet. Of several, which different apps may make, all must have ended well.
pub fn run_answer(wanted: &CheckRun, found: &[ReportedRun]) -> Answer {
    let name = &wanted.name;
    let is_wanted = |run: &&ReportedRun| {
        let conclusion = run.conclusion.as_ref();
        conclusion.is_some_and(|conclusion| wanted.conclusions.contains(conclusion))
    };
    let open = found.iter().find(|run| run.conclusion.is_none());
    let wrong = found.iter().find(|run| run.conclusion.is_some() && !is_wanted(run));
    let told = |run: &ReportedRun| {
        let conclusion = run.conclusion.as_deref().unwrap_or("not over");
        match &run.title {
            Some(title) if !title.is_empty() => format!("check run {name:?} is {conclusion}: {title}"),
            _ => format!("check run {name:?} is {conclusion}"),
        }
    };
    match (wrong, open, found.first()) {
        (Some(run), _, _) => Answer::failed(told(run)),
        (None, Some(run), _) => Answer::not_yet(told(run)),
        (None, None, Some(run)) => Answer::good(told(run)),
        (None, None, None) => Answer::not_yet(format!("the commit has no check run {name:?} yet")),
    }
}

fn commit_status(fields: &Fields<'_>, problems: &mut Problems) -> Option<CommitStatus> {
    let status = fields.section("commitStatus", &["context", "state"], problems)?;
    Some(CommitStatus {
        context: status.need("context", problems),
        state: status
            .checked("state", problems, one_of(&STATES))
            .unwrap_or_else(|| "success".to_owned()),
    })
}

fn check_run(fields: &Fields<'_>, problems: &mut Problems) -> Option<CheckRun> {
    let run = fields.section("checkRun", &["name", "conclusion"], problems)?;
    let mut conclusions = run.list("conclusion", problems);
    for conclusion in conclusions.iter().filter(|text| !super::is_template(text)) {
        if let Err(rule) = one_of(&CONCLUSIONS)(conclusion) {
            problems.push(format!("{}: {conclusion:?} {rule}", run.at("conclusion")));
        }
    }
    if conclusions.is_empty() {
        conclusions.push("success".to_owned());
    }
    Some(CheckRun {
        name: run.need("name", problems),
        conclusions,
    })
}

fn image(fields: &Fields<'_>, problems: &mut Problems) -> Option<Image> {
    let form = |text: &str| text.parse::<Reference>().map(|_| ()).map_err(|error| error.to_string());
    if fields.get("image")?.is_object() {
        let image = fields.section("image", &["reference", "pullSecret"], problems)?;
        image.need("reference", problems);
        return Some(Image {
            reference: image.checked("reference", problems, form).unwrap_or_default(),
            pull_secret: image.checked("pullSecret", problems, object_name),
        });
    }
    Some(Image {
        reference: fields.checked("image", problems, form)?,
        pull_secret: None,
    })
}

fn one_of(words: &'static [&'static str]) -> impl Fn(&str) -> Result<(), String> {
    move |text| match words.contains(&text) {
        true => Ok(()),
        false => Err(format!("should be one of {}", words.join(", "))),
    }
}

#[cfg(test)]
mod tests;
