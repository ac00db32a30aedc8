//! `webhook`: a call to somebody else's service.

use serde_json::Value;

/// What the stage is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// As it is written.
    pub settings: Value,
}

/// Reads the settings.
///
/// # Errors
/// Every problem, each beginning with the field that it is about.
pub fn read(settings: &Value) -> Result<Webhook, Vec<String>> {
    Ok(Webhook {
        settings: settings.clone(),
    })
}
