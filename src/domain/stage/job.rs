//! `job`: a container that must exit with 0.

use serde_json::Value;

use super::container::{self, Container};
use super::fields::{Fields, unless};
use super::workload::{self, Workload};

/// A container that must exit with 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The container.
    pub container: Container,
    /// Who it runs as and how.
    pub workload: Workload,
    /// Whether it runs only once in the life of an environment, until `graftling env rerun` asks for it again.
    pub once: bool,
}

/// Reads the settings.
///
/// # Errors
/// Every problem, each beginning with the field that it is about.
pub fn read(settings: &Value) -> Result<Job, Vec<String>> {
    let mut fields = Fields::new("", settings);
    let job = Job {
        container: container::read(&mut fields),
        workload: workload::read(&mut fields),
        once: fields.flag("once").unwrap_or_default(),
    };
    unless(fields.finish(), job)
}
