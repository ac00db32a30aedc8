//! `webhook`: a call to somebody else's service.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::check::{LONGEST_ANSWER, Statuses, check_headers, done, failed, statuses};
use super::is_template;
use super::mapping::{Fields, Problems, object_name};
use crate::domain::errand::{Answer, Worth};
use crate::domain::run::Progress;

/// What the stage is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Whom to call. The Project says which hosts may be called.
    pub url: String,
    /// The method.
    pub method: String,
    /// Headers beside our own.
    pub headers: BTreeMap<String, String>,
    /// What is sent.
    pub body: Body,
    /// What the call is signed with. None: it is not signed.
    pub secret: Option<SecretKey>,
    /// Which statuses say that the call was taken.
    pub success: Statuses,
    /// How long one answer may take.
    pub within: Duration,
    /// What is waited for once the call was taken. None: nothing.
    pub wait_for: Option<WaitFor>,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// The facts about the environment and the run, as JSON.
    Facts,
    /// As it is written, as JSON.
    Json(Value),
    /// A text.
    Text(String),
}

/// A key of a Secret in the Project's namespace that is marked for use by stages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretKey {
    /// The Secret.
    pub name: String,
    /// The key.
    pub key: String,
}

/// What the other side says when it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitFor {
    /// Where in the JSON answer it is said: names with points between, numbers for places in lists.
    pub path: String,
    /// The words for success.
    pub equals: Vec<String>,
    /// The words for failure.
    pub failed: Vec<String>,
    /// Where in the answer to the call the URL is that is asked from then on; it must be of the same origin. None: the URL of the call.
    pub status_url: Option<String>,
    /// How much time is between an answer and the next question.
    pub every: Duration,
}

/// How often a call is delivered that nobody takes, all with one idempotency key.
const MAX_DELIVERIES: i32 = 5;
/// How many questions in a row may go without an answer that can be read.
const MAX_LOST: i32 = 10;
const WITHIN: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_secs(10);
const SHORTEST_EVERY: Duration = Duration::from_secs(1);
const LONGEST_EVERY: Duration = Duration::from_mins(10);
const METHODS: [&str; 5] = ["POST", "PUT", "PATCH", "GET", "DELETE"];
/// The most bytes of a body that is written in a pipeline.
const MAX_BODY: usize = 64 * 1024;

/// Reads the settings.
///
/// # Errors
/// Every problem, each beginning with the field that it is about.
pub fn read(settings: &Value) -> Result<Webhook, Vec<String>> {
    let known = ["url", "method", "headers", "body", "secret", "success", "within", "waitFor"];
    let mut problems = Problems::new();
    let problems = &mut problems;
    let Some(fields) = Fields::read("", settings, &known, problems) else {
        return Err(std::mem::take(problems));
    };
    fields.need("url", problems);
    let headers = fields.texts("headers", problems);
    check_headers(&fields, &headers, false, problems);
    let webhook = Webhook {
        url: fields.checked("url", problems, url).unwrap_or_default(),
        method: fields.checked("method", problems, method).unwrap_or_else(|| "POST".to_owned()),
        headers,
        body: body(&fields, problems),
        secret: secret(&fields, problems),
        success: statuses(&fields, "success", problems),
        within: fields.duration("within", WITHIN, Duration::from_millis(1)..=LONGEST_ANSWER, problems),
        wait_for: wait_for(&fields, problems),
    };
    match problems.is_empty() {
        true => Ok(webhook),
        false => Err(std::mem::take(problems)),
    }
}

/// Whether the other side has taken the call, by the streak that is kept: what follows is waiting.
pub fn is_taken(streak: i32) -> bool {
    streak > 0
}

/// What follows from an answer: the streak that is to be kept, and how the stage ends if it does.
///
/// While nobody has taken the call, the streak counts deliveries below zero. Once it is taken, it is one more than the number of
/// questions in a row that got no answer that can be read.
pub fn judge(streak: i32, answer: &Answer) -> (i32, Option<Progress>) {
    let is_taken = is_taken(streak);
    match answer.worth {
        Worth::Good => (streak.max(1), Some(done(answer))),
        Worth::NotYet => (1, None),
        Worth::Bad => {
            let (streak, is_too_many) = match is_taken {
                true => (streak.saturating_add(1), streak >= MAX_LOST),
                false => (streak.saturating_sub(1), streak <= 1 - MAX_DELIVERIES),
            };
            (streak, is_too_many.then(|| failed(answer)))
        }
        Worth::Failed | Worth::Never => (streak, Some(failed(answer))),
    }
}

/// How much time is to be between an answer and the next question.
pub fn pause(webhook: &Webhook, streak: i32) -> Duration {
    match &webhook.wait_for {
        Some(wait_for) if is_taken(streak) => wait_for.every,
        // 2, 4, 8, 16 s between deliveries.
        _ => Duration::from_secs(1 << streak.unsigned_abs().min(5)),
    }
}

/// What an answer in JSON says of the end.
///
/// # Errors
/// There is no such text in it.
pub fn outcome(wait_for: &WaitFor, answer: &Value) -> Result<Answer, String> {
    let path = &wait_for.path;
    let word = find(answer, path).and_then(super::mapping::scalar);
    let word = word.ok_or_else(|| format!("the answer has no text at {path:?}"))?;
    let is_in = |words: &[String]| words.contains(&word);
    Ok(if is_in(&wait_for.equals) {
        Answer::good(format!("{path} is {word:?}"))
    } else if is_in(&wait_for.failed) {
        Answer::failed(format!("{path} is {word:?}"))
    } else {
        let wanted = wait_for.equals.join(" or ");
        Answer::not_yet(format!("{path} is {word:?}, waiting for {wanted}"))
    })
}

/// The value at a path of names and places with points between.
pub fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, part| match value {
        Value::Object(map) => map.get(part),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

fn body(fields: &Fields<'_>, problems: &mut Problems) -> Body {
    let body = match fields.get("body") {
        None => Body::Facts,
        Some(Value::String(text)) => Body::Text(text.clone()),
        Some(value) => Body::Json(value.clone()),
    };
    let size = match &body {
        Body::Facts => 0,
        Body::Text(text) => text.len(),
        Body::Json(value) => value.to_string().len(),
    };
    if size > MAX_BODY {
        problems.push(format!("{}: has more than {} KiB", fields.at("body"), MAX_BODY / 1024));
    }
    body
}

fn secret(fields: &Fields<'_>, problems: &mut Problems) -> Option<SecretKey> {
    let secret = fields.section("secret", &["name", "key"], problems)?;
    secret.need("name", problems);
    Some(SecretKey {
        name: secret.checked("name", problems, object_name).unwrap_or_default(),
        key: secret.need("key", problems),
    })
}

fn wait_for(fields: &Fields<'_>, problems: &mut Problems) -> Option<WaitFor> {
    let known = ["path", "equals", "failed", "statusUrl", "every"];
    let wait_for = fields.section("waitFor", &known, problems)?;
    let equals = wait_for.list("equals", problems);
    if equals.is_empty() {
        problems.push(format!("{}: is missing: write the words for success", wait_for.at("equals")));
    }
    let failed = wait_for.list("failed", problems);
    if let Some(word) = failed.iter().find(|word| equals.contains(word)) {
        problems.push(format!("{}: {word:?} cannot be success and failure", wait_for.at("failed")));
    }
    Some(WaitFor {
        path: wait_for.need("path", problems),
        equals,
        failed,
        status_url: wait_for.text("statusUrl", problems),
        every: wait_for.duration("every", EVERY, SHORTEST_EVERY..=LONGEST_EVERY, problems),
    })
}

fn url(text: &str) -> Result<(), String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest.filter(|rest| !rest.is_empty() && !rest.starts_with('/')) else {
        return Err("should be a URL that begins with https:// or http://".to_owned());
    };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if authority.contains('@') {
        return Err("has a user in it: send a header instead".to_owned());
    }
    if text.contains(|character: char| character.is_control() || character == ' ') {
        return Err("has characters that no URL can have".to_owned());
    }
    Ok(())
}

fn method(text: &str) -> Result<(), String> {
    match METHODS.contains(&text) {
        true => Ok(()),
        false => Err(format!("should be one of {}", METHODS.join(", "))),
    }
}

/// Whether the URL is known already, so that lint can look at it.
pub fn is_known(webhook: &Webhook) -> bool {
    !is_template(&webhook.url)
}

#[cfg(test)]
mod tests;
