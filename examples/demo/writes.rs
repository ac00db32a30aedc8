//! What was really written, by the audit log of the API server.

use jiff::Timestamp;
use testbed::audit::Position;
use testbed::{AuditEvent, AuditLog};

use crate::chart::NAMESPACE;
use crate::repository::DEPLOYER;

/// The writes since some moment.
pub struct Writes {
    /// Writes of objects of environments, as their deployer: verb and object.
    pub of_deployer: Vec<String>,
    /// Writes of the server under its own name: namespaces and guardrails, and its own custom resources.
    pub of_server: Vec<String>,
}

/// A moment in the life of a cluster that shows its audit log.
pub struct Since {
    log: AuditLog,
    position: Position,
    time: Timestamp,
}

impl Since {
    /// Now.
    pub fn now(log: AuditLog) -> Self {
        Self {
            position: log.position(),
            time: Timestamp::now(),
            log,
        }
    }

    /// What the server has written since. A request of before may be logged only now, and is left out. So are Events: the one about
    /// what happened before may come late.
    pub fn writes(&self) -> Writes {
        let server = format!("system:serviceaccount:{NAMESPACE}:{NAMESPACE}");
        let deployer = format!("system:serviceaccount:{NAMESPACE}:{DEPLOYER}");
        let events = self.log.since(self.position);
        let writes: Vec<&AuditEvent> = events
            .iter()
            .filter(|event| event.user == server && event.request_received >= self.time && event.is_write() && event.resource != "events")
            .collect();
        let (of_deployer, of_server): (Vec<&AuditEvent>, Vec<&AuditEvent>) = writes
            .into_iter()
            .partition(|event| event.impersonated_user.as_deref() == Some(deployer.as_str()));
        Writes {
            of_deployer: of_deployer.into_iter().map(title).collect(),
            of_server: of_server.into_iter().map(title).collect(),
        }
    }
}

fn title(event: &AuditEvent) -> String {
    let subresource = match event.subresource.as_str() {
        "" => String::new(),
        subresource => format!("/{subresource}"),
    };
    format!("{} {}{subresource} {}", event.verb, event.resource, event.name)
}
