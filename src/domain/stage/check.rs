//! `check`: whether something answers as it should.

mod answer;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

pub use self::answer::Statuses;
pub(super) use self::answer::statuses;
use super::is_template;
use super::mapping::{Fields, Problems, label, object_name};
use crate::domain::errand::{Answer, Worth};
use crate::domain::run::Progress;

/// What the stage is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What is asked.
    pub probe: Probe,
    /// How much time is between an answer and the next question.
    pub every: Duration,
    /// How many good answers in a row are enough.
    pub successes: u32,
    /// How many bad answers in a row are too many.
    pub failures: u32,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    /// By HTTP.
    Http(Http),
    /// Whether a connection comes about.
    Tcp(Tcp),
    /// A command that must exit with 0.
    Exec(Exec),
    /// A condition of an object.
    Condition(Condition),
}

/// A request and what the answer should be. Redirects are not followed: they are answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Who is asked.
    pub target: Target,
    /// The path, with its query.
    pub path: String,
    /// `https` rather than `http`. None: for a host as the environment's URL has it, for a Service plain http.
    pub https: Option<bool>,
    /// Headers beside our own.
    pub headers: BTreeMap<String, String>,
    /// Which statuses are good.
    pub statuses: Statuses,
    /// What the body must contain, within its first MiB.
    pub contains: Option<String>,
    /// How long the whole answer may take.
    pub within: Duration,
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A Service of the environment.
    Service {
        /// Its name.
        name: String,
        /// One of its ports, by number or name. None: the only one that it has.
        port: Option<String>,
    },
    /// A host of the environment, as the outside sees it.
    Host(String),
}

/// A connection to a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcp {
    /// The name of the Service.
    pub service: String,
    /// One of its ports, by number or name. None: the only one that it has.
    pub port: Option<String>,
}

/// A command in a container of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// The kind of the workload: `Deployment`, `StatefulSet` or `DaemonSet`.
    pub kind: String,
    /// Its name. One of its ready pods is asked.
    pub name: String,
    /// The container. None: the first.
    pub container: Option<String>,
    /// The command and its arguments.
    pub command: Vec<String>,
}

/// A condition of an object in the environment's namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The object's API version.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The type of the condition.
    pub condition: String,
    /// The status that it must have.
    pub status: String,
}

/// The most answers in a row that can be asked for.
const MAX_IN_A_ROW: u32 = 1000;
/// The longest that one answer may take.
pub const LONGEST_ANSWER: Duration = Duration::from_secs(30);
/// How long one answer may take unless something else is said.
pub const USUAL_ANSWER: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_secs(5);
const SHORTEST_EVERY: Duration = Duration::from_secs(1);
const LONGEST_EVERY: Duration = Duration::from_mins(10);
const MAX_HEADERS: usize = 20;
const MAX_COMMAND: usize = 100;

/// Reads the settings.
///
/// # Errors
/// Every problem, each beginning with the field that it is about.
pub fn read(settings: &Value) -> Result<Check, Vec<String>> {
    const PROBES: [&str; 4] = ["http", "tcp", "exec", "condition"];
    let mut problems = Problems::new();
    let known = ["http", "tcp", "exec", "condition", "every", "successes", "failures"];
    let Some(fields) = Fields::read("", settings, &known, &mut problems) else {
        return Err(problems);
    };
    let probe = match fields.one_of(&PROBES, &mut problems) {
        Some("http") => http(&fields, &mut problems).map(Probe::Http),
        Some("tcp") => tcp(&fields, &mut problems).map(Probe::Tcp),
        Some("exec") => exec(&fields, &mut problems).map(Probe::Exec),
        Some(_) => condition(&fields, &mut problems).map(Probe::Condition),
        None => None,
    };
    let every = fields.duration("every", EVERY, SHORTEST_EVERY..=LONGEST_EVERY, &mut problems);
    let successes = fields.number("successes", 1, 1..=MAX_IN_A_ROW, &mut problems);
    let failures = fields.number("failures", 3, 1..=MAX_IN_A_ROW, &mut problems);
    match probe {
        Some(probe) if problems.is_empty() => Ok(Check {
            probe,
            every,
            successes,
            failures,
        }),
        _ => Err(problems),
    }
}

/// What follows from an answer: the streak that is to be kept, and how the stage ends if it does.
///
/// A streak counts answers in a row: good ones above zero, bad ones below.
pub fn judge(check: &Check, streak: i32, answer: &Answer) -> (i32, Option<Progress>) {
    let count = |needed: u32| i32::try_from(needed).unwrap_or(i32::MAX);
    match answer.worth {
        Worth::Good => {
            let streak = streak.max(0).saturating_add(1);
            let is_enough = streak >= count(check.successes);
            (streak, is_enough.then(|| done(answer)))
        }
        // No answer against it, and none for it.
        Worth::NotYet => (streak.min(0), None),
        Worth::Bad => {
            let streak = streak.min(0).saturating_sub(1);
            let is_too_many = streak <= -count(check.failures);
            (
                streak,
                is_too_many.then(|| Progress::Failed {
                    message: in_a_row(&answer.message, check.failures),
                    retry: true,
                }),
            )
        }
        Worth::Failed | Worth::Never => (streak.min(0).saturating_sub(1), Some(failed(answer))),
    }
}

/// The end that an answer makes by itself.
pub(super) fn failed(answer: &Answer) -> Progress {
    Progress::Failed {
        message: answer.message.clone(),
        retry: answer.worth != Worth::Never,
    }
}

/// The end that a good answer makes.
pub(super) fn done(answer: &Answer) -> Progress {
    Progress::Done {
        message: Some(answer.message.clone()),
        outputs: BTreeMap::new(),
    }
}

fn in_a_row(message: &str, failures: u32) -> String {
    match failures {
        1 => message.to_owned(),
        _ => format!("{message} ({failures} times in a row)"),
    }
}

fn http(fields: &Fields<'_>, problems: &mut Problems) -> Option<Http> {
    let known = [
        "service", "host", "port", "path", "scheme", "headers", "status", "contains", "within",
    ];
    let http = fields.section("http", &known, problems)?;
    let target = match http.one_of(&["service", "host"], problems)? {
        "service" => Target::Service {
            name: http.checked("service", problems, label)?,
            port: http.checked("port", problems, port),
        },
        _ => {
            if http.get("port").is_some() {
                problems.push(format!(
                    "{}: belongs to service: a host is asked at the port of its scheme",
                    http.at("port")
                ));
            }
            Target::Host(http.need("host", problems))
        }
    };
    let https = http.checked("scheme", problems, scheme).filter(|text| !is_template(text));
    let headers = http.texts("headers", problems);
    let names_host = matches!(target, Target::Service { .. });
    check_headers(&http, &headers, names_host, problems);
    Some(Http {
        target,
        path: http.checked("path", problems, path).unwrap_or_else(|| "/".to_owned()),
        https: https.map(|scheme| scheme == "https"),
        headers,
        statuses: statuses(&http, "status", problems),
        contains: http.text("contains", problems),
        within: http.duration("within", USUAL_ANSWER, Duration::from_millis(1)..=LONGEST_ANSWER, problems),
    })
}

fn tcp(fields: &Fields<'_>, problems: &mut Problems) -> Option<Tcp> {
    let tcp = fields.section("tcp", &["service", "port"], problems)?;
    tcp.need("service", problems);
    Some(Tcp {
        service: tcp.checked("service", problems, label)?,
        port: tcp.checked("port", problems, port),
    })
}

fn exec(fields: &Fields<'_>, problems: &mut Problems) -> Option<Exec> {
    let exec = fields.section("exec", &["workload", "container", "command"], problems)?;
    exec.need("workload", problems);
    let workload = exec.checked("workload", problems, workload).unwrap_or_default();
    let (kind, name) = workload.split_once('/').unwrap_or(("Deployment", &workload));
    let command = exec.list("command", problems);
    if command.is_empty() || command.len() > MAX_COMMAND {
        problems.push(format!("{}: should have from 1 to {MAX_COMMAND} words", exec.at("command")));
    }
    Some(Exec {
        kind: kind.to_owned(),
        name: name.to_owned(),
        container: exec.checked("container", problems, label),
        command,
    })
}

fn condition(fields: &Fields<'_>, problems: &mut Problems) -> Option<Condition> {
    let known = ["apiVersion", "kind", "name", "type", "status"];
    let condition = fields.section("condition", &known, problems)?;
    condition.need("name", problems);
    Some(Condition {
        api_version: condition.need("apiVersion", problems),
        kind: condition.need("kind", problems),
        name: condition.checked("name", problems, object_name).unwrap_or_default(),
        condition: condition.need("type", problems),
        status: condition.text("status", problems).map_or_else(|| "True".to_owned(), capital),
    })
}

/// YAML reads `True` as a boolean.
fn capital(status: String) -> String {
    match status.as_str() {
        "true" => "True".to_owned(),
        "false" => "False".to_owned(),
        _ => status,
    }
}

fn port(text: &str) -> Result<(), String> {
    match text.parse::<u16>() {
        Ok(1..) => Ok(()),
        Ok(0) => Err("is no port".to_owned()),
        Err(_) if text.bytes().all(|byte| byte.is_ascii_digit()) => Err("is no port".to_owned()),
        Err(_) => label(text),
    }
}

fn scheme(text: &str) -> Result<(), String> {
    match text {
        "http" | "https" => Ok(()),
        _ => Err("should be http or https".to_owned()),
    }
}

fn path(text: &str) -> Result<(), String> {
    let fits = text.starts_with('/') && !text.contains(|character: char| character.is_control() || matches!(character, ' ' | '#'));
    match fits {
        true => Ok(()),
        false => Err("should begin with / and have no spaces and no #".to_owned()),
    }
}

fn workload(text: &str) -> Result<(), String> {
    let (kind, name) = text
        .split_once('/')
        .ok_or("should be a kind and a name, for example Deployment/web")?;
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" => object_name(name),
        _ => Err("should be a Deployment, a StatefulSet or a DaemonSet".to_owned()),
    }
}

/// Headers that we say ourselves, or that would change what the request is.
const OWN_HEADERS: [&str; 7] = [
    "connection",
    "content-length",
    "expect",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that a request can have. Only a request that goes to the environment's own pods may name another host than the one asked.
pub(super) fn check_headers(fields: &Fields<'_>, headers: &BTreeMap<String, String>, names_host: bool, problems: &mut Problems) {
    let at = fields.at("headers");
    if headers.len() > MAX_HEADERS {
        problems.push(format!("{at}: at most {MAX_HEADERS} are sent"));
    }
    for (name, value) in headers {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            problems.push(format!("{at}: {name:?} is no name of a header"));
        } else if OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name)) || !names_host && name.eq_ignore_ascii_case("host") {
            problems.push(format!("{at}.{name}: is said by graftling itself: remove it"));
        }
        if value.contains(|character: char| character.is_control() && character != '\t') {
            problems.push(format!("{at}.{name}: has characters that no header can have"));
        }
    }
}

#[cfg(test)]
mod tests;
