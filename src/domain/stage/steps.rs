//! `steps`: containers one after the other that share a workspace.

use serde_json::Value;

/// What the stage is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Steps {
    /// As it is written.
    pub settings: Value,
}

/// Reads the settings.
///
/// # Errors
/// Every problem, each beginning with the field that it is about.
pub fn read(settings: &Value) -> Result<Steps, Vec<String>> {
    Ok(Steps {
        settings: settings.clone(),
    })
}
