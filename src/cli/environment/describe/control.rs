//! What people asked, who is waited for, and what was changed by hand.

use super::unless_empty;
use crate::api::environment::EnvironmentStatus;
use crate::api::environment::requests::{DriftedObject, PendingApproval, RequestHandled};

/// What came of the last request, in one line.
pub(super) fn request(status: &EnvironmentStatus) -> Option<String> {
    let RequestHandled { accepted, message, at, .. } = status.request_handled.as_ref()?;
    let how = if *accepted { "done" } else { "refused" };
    Some(format!("{how} at {}: {message}", at.0))
}

/// The stages that wait for a person's word.
pub(super) fn approvals(pending: &[PendingApproval]) -> Option<String> {
    let rows = pending.iter().map(|pending| {
        vec![
            pending.stage.clone(),
            pending.run.to_string(),
            match pending.groups.as_slice() {
                [] => "whoever has the right".to_owned(),
                groups => groups.join(", "),
            },
            pending
                .until
                .as_ref()
                .map_or_else(|| "no end".to_owned(), |until| until.0.to_string()),
        ]
    });
    unless_empty(pending, &["STAGE", "RUN", "BY", "UNTIL"], rows)
}

/// What differs from what was applied.
pub(super) fn drift(drift: &[DriftedObject]) -> Option<String> {
    let rows = drift.iter().map(|drifted| vec![drifted.object.clone(), drifted.change.clone()]);
    unless_empty(drift, &["OBJECT", "CHANGE"], rows)
}
