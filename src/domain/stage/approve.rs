//! `approve`: a person's word.

use std::time::Duration;

use serde_json::Value;

use super::fields::{Fields, unless};
use super::is_template;

/// The longest time to wait for somebody: 90 days.
const MOST: Duration = Duration::from_secs(90 * 86_400);
/// The longest text that is shown to whoever is asked, in characters.
const MAX_MESSAGE: usize = 500;

/// What the stage is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Approve {
    /// What is shown to whoever is asked.
    pub message: Option<String>,
    /// Only members of one of these groups may approve; none: whoever has the right to.
    pub groups: Vec<String>,
    /// How often it is said again that somebody is awaited.
    pub remind_after: Option<Duration>,
    /// When the question counts as rejected. None: it stays open.
    pub expires_after: Option<Duration>,
}

/// Reads the settings; null says nothing.
///
/// # Errors
/// Every problem, each beginning with the field that it is about.
pub fn read(settings: &Value) -> Result<Approve, Vec<String>> {
    let mut fields = Fields::new("", settings);
    let approve = Approve {
        message: fields.text("message"),
        groups: fields.texts("groups"),
        remind_after: fields.duration("remindAfter", MOST),
        expires_after: fields.duration("expiresAfter", MOST),
    };
    let message = approve.message.as_deref().unwrap_or_default();
    if !is_template(message) && message.chars().count() > MAX_MESSAGE {
        fields.refuse("message", format!("should have at most {MAX_MESSAGE} characters"));
    }
    if let Some(index) = approve.groups.iter().position(String::is_empty) {
        fields.refuse(
            &format!("groups[{index}]"),
            "is empty: write the name of a group, as the cluster knows it",
        );
    }
    if let (Some(remind), Some(expire)) = (approve.remind_after, approve.expires_after)
        && remind >= expire
    {
        fields.refuse("remindAfter", "should be shorter than expiresAfter, or nobody is ever reminded");
    }
    unless(fields.finish(), approve)
}
