//! `check`: whether something answers.

use serde_json::Value;

/// What the stage is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// As it is written.
    pub settings: Value,
}

/// Reads the settings.
///
/// # Errors
/// Every problem, each beginning with the field that it is about.
pub fn read(settings: &Value) -> Result<Check, Vec<String>> {
    Ok(Check {
        settings: settings.clone(),
    })
}
