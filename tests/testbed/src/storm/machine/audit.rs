//! What the audit log shows of a group: what was written to whose objects, and what was deleted though it was wanted.

use std::time::Duration;

use jiff::Timestamp;

use super::super::operation::Branch;
use super::{Foreign, Machine};
use crate::audit::{AuditEvent, Position};

/// Questions about rights and identities change nothing.
const QUESTIONS: [&str; 4] = [
    "selfsubjectaccessreviews",
    "subjectaccessreviews",
    "selfsubjectreviews",
    "tokenreviews",
];

/// How long after a branch came back a deletion that was decided before may still come: a pass has a minute at most.
const LATE: Duration = Duration::from_secs(60);

impl Machine {
    /// What the server tried to write since a position, Leases left out.
    pub(super) fn writes_since(&self, position: Position) -> Vec<AuditEvent> {
        let user = self.subject.user();
        let ours = |event: &AuditEvent| event.user == user && is_write(event);
        self.subject.plane().audit().matching(position, ours)
    }

    /// What was written last, for a complaint.
    pub(super) fn audit_of_rest(&self) -> String {
        let writes = self.writes_since(self.begun);
        let last = writes.iter().rev().take(8);
        last.map(short).collect::<Vec<_>>().join("; ")
    }

    /// S1, S4 and S7 over everything since the last quiet point.
    pub(super) fn audit(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for event in self.writes_since(self.begun) {
            if event.code >= 300 {
                continue;
            }
            if self.foreign.iter().any(|foreign| touches(&event, foreign)) {
                complaints.push(format!("wrote to an object of others (S1): {}", short(&event)));
            }
            if !self.is_ours(&event) {
                complaints.push(format!("wrote outside of its environments (S7): {}", short(&event)));
            }
            if let Some(complaint) = self.wrong_end(&event) {
                complaints.push(complaint);
            }
        }
        complaints
    }

    /// S7: the installation's namespace, and those of environments.
    fn is_ours(&self, event: &AuditEvent) -> bool {
        let namespace = if event.resource == "namespaces" {
            &event.name
        } else {
            &event.namespace
        };
        namespace == self.subject.namespace() || namespace.starts_with("shop-")
    }

    /// S4: an Environment is deleted only if its branch was seen to be gone.
    fn wrong_end(&self, event: &AuditEvent) -> Option<String> {
        let ends = event.verb == "delete" && event.resource == "environments";
        let branch = self
            .names
            .iter()
            .find(|(_, name)| ends && **name == event.name)
            .map(|(branch, _)| *branch)?;
        let was_gone = self.was_gone(branch, event.request_received);
        (!was_gone).then(|| {
            format!(
                "{branch}: deleted its Environment although the branch was there (S4): {}",
                short(event)
            )
        })
    }

    /// Whether a branch was gone at a time, or shortly before.
    fn was_gone(&self, branch: Branch, at: Timestamp) -> bool {
        let Some(presence) = self.presence.get(&branch) else { return true };
        let ends = presence.iter().skip(1).map(|(until, _)| Some(*until)).chain([None]);
        presence.iter().zip(ends).any(|((from, is_there), until)| {
            let ended_long_ago = until.is_some_and(|until| until + LATE < at);
            !is_there && *from <= at && !ended_long_ago
        })
    }
}

fn is_write(event: &AuditEvent) -> bool {
    let asks = QUESTIONS.contains(&event.resource.as_str()) || event.subresource == "token" || event.uri.contains("dryRun=");
    event.is_write() && event.resource != "leases" && !asks
}

/// S1: whether a write was to something of others, while it was there.
fn touches(event: &AuditEvent, foreign: &Foreign) -> bool {
    let during = event.request_received >= foreign.from && foreign.until.is_none_or(|until| event.request_received < until);
    let inside = match &foreign.object {
        None => event.namespace == foreign.namespace || (event.resource == "namespaces" && event.name == foreign.namespace),
        Some(name) => event.namespace == foreign.namespace && event.resource == "configmaps" && event.name == *name,
    };
    during && inside
}

fn short(event: &AuditEvent) -> String {
    let AuditEvent {
        verb,
        resource,
        namespace,
        name,
        code,
        ..
    } = event;
    let slash = if event.subresource.is_empty() { "" } else { "/" };
    format!("{verb} {resource}{slash}{} {namespace}/{name} {code}", event.subresource)
}
