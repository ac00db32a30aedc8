//! The bodies in which events are told.

use serde_json::{Map, Value, json};

use super::{Event, Format, Kind, TemplateError, Told, ToldRun};
use crate::domain::errand::told;
use crate::domain::run::RunState;
use crate::domain::why;

/// The last released version of CDEvents.
const CDEVENTS: &str = "0.5.1";
/// The most characters of a text of others.
const MAX_TEXT: usize = 300;

/// The body of an event and its media type.
///
/// # Errors
/// A template made something that is no JSON.
pub fn body(format: &Format, environment: &Told, event: &Event) -> Result<(&'static str, String), TemplateError> {
    Ok(match format {
        Format::CloudEvents => ("application/cloudevents+json", cloud_event(environment, event).to_string()),
        Format::Slack => ("application/json", json!({ "text": sentence(environment, event) }).to_string()),
        Format::Template(template) => ("application/json", template.render(&names(environment, event))?),
    })
}

/// What a template can name: texts, empty where there is nothing.
pub(super) fn names(environment: &Told, event: &Event) -> Map<String, Value> {
    let run = event.run.as_ref();
    let number = run.map(|run| run.number.to_string());
    let revision = revision(environment, event);
    let short: String = revision.chars().take(12).collect();
    let texts = [
        ("id", environment.id(event)),
        ("event", event.kind.name().to_owned()),
        ("time", event.at.to_string()),
        ("text", sentence(environment, event)),
        ("namespace", environment.namespace.clone()),
        ("project", environment.project.clone()),
        ("environment", environment.name.clone()),
        ("repository", told(&environment.repository, MAX_TEXT)),
        ("branch", told(&environment.branch, MAX_TEXT)),
        ("revision", revision.clone()),
        ("shortRevision", short),
        ("url", environment.url.clone().unwrap_or_default()),
        ("run", number.unwrap_or_default()),
        ("outcome", run.and_then(outcome).unwrap_or_default().to_owned()),
        ("message", run.and_then(message).unwrap_or_default()),
    ];
    texts.into_iter().map(|(name, text)| (name.to_owned(), Value::from(text))).collect()
}

fn cloud_event(environment: &Told, event: &Event) -> Value {
    let (id, source, time) = (environment.id(event), environment.source(), event.at.to_string());
    let (subject, content) = subject(environment, event);
    let custom = json!({
        "project": environment.project,
        "namespace": environment.namespace,
        "environment": environment.name,
        "repository": environment.repository,
        "branch": told(&environment.branch, MAX_TEXT),
        "revision": revision(environment, event),
        "url": environment.url,
        "run": event.run.as_ref().map(|run| run.number),
    });
    json!({
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": event.kind.event_type(),
        "subject": subject,
        "time": time,
        "datacontenttype": "application/json",
        "data": {
            "context": {
                "specversion": CDEVENTS,
                "id": id,
                "source": source,
                "type": event.kind.event_type(),
                "timestamp": time,
            },
            "subject": { "id": subject, "source": source, "content": content },
            "customData": custom,
            "customDataContentType": "application/json",
        },
    })
}

/// What an event is about, by its identifier and its fields.
fn subject(environment: &Told, event: &Event) -> (String, Value) {
    let uid = &environment.uid;
    let mut content = Map::new();
    let mut put = |name: &str, value: Value| content.insert(name.to_owned(), value);
    let id = match event.kind {
        Kind::EnvironmentCreated | Kind::EnvironmentModified | Kind::EnvironmentDeleted => {
            put("name", json!(environment.name));
            if let Some(url) = environment.url.as_ref().filter(|_| event.kind != Kind::EnvironmentDeleted) {
                put("uri", json!(url));
            }
            uid.clone()
        }
        Kind::ServiceDeployed | Kind::ServiceRemoved => {
            put("environment", json!({ "id": uid, "source": environment.source() }));
            if event.kind == Kind::ServiceDeployed {
                put("artifactId", json!(artifact(environment, event)));
            }
            format!("{uid}/{}", environment.project)
        }
        Kind::RunStarted | Kind::RunFinished => {
            put("pipelineName", json!(environment.project));
            if let Some(url) = &environment.url {
                put("uri", json!(url));
            }
            let run = event.run.as_ref().filter(|_| event.kind == Kind::RunFinished);
            if let Some(outcome) = run.and_then(outcome) {
                put("outcome", json!(outcome));
            }
            if let Some(message) = run.and_then(message) {
                put("errors", json!(message));
            }
            format!("{uid}/{}", event.run.as_ref().map_or(0, |run| run.number))
        }
    };
    (id, Value::Object(content))
}

/// The commit as a package URL.
fn artifact(environment: &Told, event: &Event) -> String {
    let name: Vec<String> = environment.repository.split('/').map(encoded).collect();
    format!("pkg:generic/{}@{}", name.join("/"), revision(environment, event))
}

/// Percent-encoding of everything that has a meaning in a URL.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn revision(environment: &Told, event: &Event) -> String {
    let of_run = event.run.as_ref().map(|run| run.revision.clone());
    let of_end = || environment.removed.as_ref().and_then(|removed| removed.revision.clone());
    of_run.or_else(of_end).unwrap_or_default()
}

/// How a run ended, in the words of CDEvents.
fn outcome(run: &ToldRun) -> Option<&'static str> {
    match run.ended?.1 {
        RunState::Succeeded => Some("success"),
        RunState::Failed | RunState::RolledBack => Some("failure"),
        RunState::Superseded => Some("cancel"),
        RunState::Running => None,
    }
}

fn message(run: &ToldRun) -> Option<String> {
    let text = run.message.as_deref().filter(|_| outcome(run) == Some("failure"))?;
    Some(told(&why::masked(text), MAX_TEXT))
}

/// One line for people, in which nothing of others is markup.
fn sentence(environment: &Told, event: &Event) -> String {
    let safe = |text: &str| plain(&told(text, MAX_TEXT));
    let branch = safe(&environment.branch);
    let short: String = revision(environment, event).chars().take(12).collect();
    let number = event.run.as_ref().map_or(0, |run| run.number);
    let at = environment.url.as_ref().map(|url| format!(" at {}", safe(url))).unwrap_or_default();
    let said = match event.kind {
        Kind::EnvironmentCreated => format!("{branch} gets an environment"),
        Kind::EnvironmentModified => format!("{branch} has changed to {short}{at}"),
        Kind::EnvironmentDeleted => {
            let because = environment
                .removed
                .as_ref()
                .map(|removed| safe(&removed.because))
                .unwrap_or_default();
            match because.is_empty() {
                true => format!("the environment of {branch} is gone"),
                false => format!("the environment of {branch} is gone: {because}"),
            }
        }
        Kind::ServiceDeployed => format!("{branch} shows {short}{at}"),
        Kind::ServiceRemoved => format!("{branch} is shown no more"),
        Kind::RunStarted => format!("run {number} of {branch} began with {short}"),
        Kind::RunFinished => {
            let run = event.run.as_ref();
            let why = run
                .and_then(message)
                .map(|message| format!(": {}", safe(&message)))
                .unwrap_or_default();
            let ended = match run.and_then(outcome) {
                Some("success") => "is done",
                Some("cancel") => "gave way to a newer one",
                _ => "failed",
            };
            format!("run {number} of {branch} {ended} with {short}{why}")
        }
    };
    format!("[{}] {said}", safe(&environment.project))
}

/// A text of others in a message of a chat. `&`, `<` and `>` are all that Slack reads: neither `<!channel>` nor a link comes of it. What is
/// like Slack reads `@channel` too; an invisible mark behind the `@` keeps it from that.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '@' => safe.push_str("@\u{2060}"),
            other => safe.push(other),
        }
    }
    safe
}
