//! `wait`: something outside of the environment.

use serde_json::Value;

/// What the stage is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Wait {
    /// As it is written.
    pub settings: Value,
}

/// Reads the settings.
///
/// # Errors
/// Every problem, each beginning with the field that it is about.
pub fn read(settings: &Value) -> Result<Wait, Vec<String>> {
    Ok(Wait {
        settings: settings.clone(),
    })
}
