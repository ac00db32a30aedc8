//! `resource`: a custom resource and its condition.

use serde_json::Value;

/// What the stage is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// As it is written.
    pub settings: Value,
}

/// Reads the settings.
///
/// # Errors
/// Every problem, each beginning with the field that it is about.
pub fn read(settings: &Value) -> Result<Resource, Vec<String>> {
    Ok(Resource {
        settings: settings.clone(),
    })
}
