//! Reads the audit log of the API server: every request, by whom, and what came of it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::Deserialize;

/// A moment in the audit log; by default its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The end of the log at that moment.
    end: u64,
    /// The moment, by the clock that the API server has too.
    taken: Timestamp,
}

/// A handle to the audit log of one control plane. Reading it does not disturb anything.
///
/// The API server writes the event of a request before it ends the response, so whoever has a complete response finds its
/// event here. Whoever learns of a write by a watch may be earlier than its event: such a write is before a position that is
/// taken then all the same, because what came in before a position is never after it. Watches appear when they begin;
/// everything else when it is over. What was read once is remembered: tests ask again and again.
#[derive(Debug, Clone)]
pub struct AuditLog {
    path: PathBuf,
    known: Arc<Mutex<Known>>,
}

/// What has been read of a log.
#[derive(Debug, Default)]
struct Known {
    /// Up to where, at the end of a line.
    end: u64,
    /// The events with the place where each begins.
    events: Vec<(u64, AuditEvent)>,
}

/// One request to the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Who sent it, such as `admin` or `system:serviceaccount:team:deployer`.
    pub user: String,
    /// On whose behalf, if it was impersonated.
    pub impersonated_user: Option<String>,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, or an HTTP method.
    pub verb: String,
    /// API group, empty for the core group and for requests that are not about objects.
    pub api_group: String,
    /// Plural resource such as `deployments`, empty for requests that are not about objects.
    pub resource: String,
    /// Subresource such as `status`, or empty.
    pub subresource: String,
    /// Namespace, or empty.
    pub namespace: String,
    /// Name of the object, or empty for lists and for creations by POST with a generated name.
    pub name: String,
    /// HTTP status of the response.
    pub code: u16,
    /// When the request came in.
    pub request_received: Timestamp,
    /// When the response was complete, or for a watch when it began.
    pub answered: Timestamp,
    /// Who the client says it is.
    pub user_agent: String,
    /// Path and query.
    pub uri: String,
}

impl AuditLog {
    pub(crate) fn new(path: PathBuf) -> AuditLog {
        let known = Arc::default();
        AuditLog { path, known }
    }

    /// The end of the log as it is now. A request that has come in and is not over does not count as after it.
    ///
    /// # Panics
    ///
    /// When the log cannot be read.
    pub fn position(&self) -> Position {
        match self.path.metadata() {
            Ok(metadata) => Position {
                end: metadata.len(),
                taken: Timestamp::now(),
            },
            Err(error) => panic!("cannot read the audit log {}: {error}", self.path.display()),
        }
    }

    /// The events of requests that came in after `position`, in the order in which they were logged.
    ///
    /// # Panics
    ///
    /// When the log cannot be read, or an event in it cannot be understood.
    pub fn since(&self, position: Position) -> Vec<AuditEvent> {
        self.matching(position, |_| true)
    }

    /// The events after `position` for which `matches` says so. An event that was half written at `position` came before it.
    ///
    /// # Panics
    ///
    /// As [`AuditLog::since`].
    pub fn matching(&self, position: Position, matches: impl Fn(&AuditEvent) -> bool) -> Vec<AuditEvent> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = known.catch_up(&self.path) {
            panic!("cannot read the audit log {}: {error}", self.path.display());
        }
        let first = known.events.partition_point(|(start, _)| *start < position.end);
        let later = known.events[first..].iter().map(|(_, event)| event);
        let after = later.filter(|event| event.request_received >= position.taken);
        after.filter(|event| matches(event)).cloned().collect()
    }
}

impl Known {
    /// Reads what has been written since. The last line may be half written; it is read when it is whole.
    fn catch_up(&mut self, path: &Path) -> io::Result<()> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(self.end))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        for line in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            let start = self.end;
            self.end += line.len() as u64;
            self.events.extend(parse(line).map(|event| (start, event)));
        }
        Ok(())
    }
}

impl AuditEvent {
    /// Whether the request was to change something. One that was refused counts too: look at the code.
    pub fn is_write(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
    }
}

/// An event as the API server writes it (audit.k8s.io/v1), as far as we use it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    stage: String,
    user: User,
    impersonated_user: Option<User>,
    verb: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    #[serde(default)]
    user_agent: String,
    object_ref: Option<ObjectReference>,
    response_status: Option<ResponseStatus>,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Debug, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectReference {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

fn parse(line: &[u8]) -> Option<AuditEvent> {
    let line: Line = match serde_json::from_slice(line) {
        Ok(line) => line,
        Err(error) => panic!(
            "cannot understand this event of the audit log: {error}\n{}",
            String::from_utf8_lossy(line)
        ),
    };
    let code = line.response_status.as_ref().map_or(0, |status| status.code);
    is_the_one_event(&line, code).then(|| event(line, code))
}

/// Long requests are logged twice, when they begin and when they end. A watch counts when it begins, or when it fails to.
fn is_the_one_event(line: &Line, code: u16) -> bool {
    match (line.stage.as_str(), line.verb.as_str()) {
        ("ResponseStarted", verb) => verb == "watch",
        ("ResponseComplete", "watch") => code >= 400,
        _ => true,
    }
}

fn event(line: Line, code: u16) -> AuditEvent {
    let object = line.object_ref.unwrap_or_default();
    AuditEvent {
        user: line.user.username,
        impersonated_user: line.impersonated_user.map(|user| user.username),
        verb: line.verb,
        api_group: object.api_group,
        resource: object.resource,
        subresource: object.subresource,
        namespace: object.namespace,
        name: object.name,
        code,
        request_received: line.request_received_timestamp,
        answered: line.stage_timestamp,
        user_agent: line.user_agent,
        uri: line.request_uri,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a file that cannot be written is the test's failure")]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// An event of a request that comes in now.
    fn line(name: &str) -> String {
        let now = Timestamp::now();
        format!(
            r#"{{"stage":"ResponseComplete","user":{{"username":"admin"}},"verb":"get","requestURI":"/","objectRef":{{"name":"{name}"}},"requestReceivedTimestamp":"{now}","stageTimestamp":"{now}"}}"#
        )
    }

    fn names(log: &AuditLog, position: Position) -> Vec<String> {
        log.since(position).into_iter().map(|event| event.name).collect()
    }

    #[test]
    fn an_event_that_was_half_written_when_the_position_was_taken_came_before_it() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let log = AuditLog::new(file.path().to_owned());
        let start = log.position();
        writeln!(file, "{}", line("first")).unwrap();
        let whole = log.position();
        let second = line("second");
        file.write_all(&second.as_bytes()[..40]).unwrap();
        let half = log.position();
        assert_eq!(names(&log, start), ["first"]);
        writeln!(file, "{}", &second[40..]).unwrap();
        writeln!(file, "{}", line("third")).unwrap();
        assert_eq!(names(&log, start), ["first", "second", "third"]);
        assert_eq!(names(&log, whole), ["second", "third"]);
        assert_eq!(names(&log, half), ["third"]);
    }

    #[test]
    fn an_event_that_is_logged_after_the_position_of_a_request_that_came_in_before_it_came_before_it() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let log = AuditLog::new(file.path().to_owned());
        let late = line("late");
        let position = log.position();
        writeln!(file, "{late}").unwrap();
        writeln!(file, "{}", line("after")).unwrap();
        assert_eq!(names(&log, position), ["after"]);
        assert_eq!(names(&log, Position::default()), ["late", "after"]);
    }
}
