//! What a bundle says of itself.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Bundle, Input};

/// Everything of a bundle but its templates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BundleSummary {
    /// The bundle's name, a DNS label.
    pub name: String,
    /// The bundle's version, as its author writes it.
    pub version: String,
    /// What the bundle is, for people.
    pub description: String,
    /// What the bundle asks a Project for.
    pub inputs: Vec<Input>,
    /// The default values.
    pub values: Map<String, Value>,
    /// The text of `values.schema.json`.
    pub schema: Option<String>,
    /// The text of `pipeline.yaml`.
    pub pipeline: Option<String>,
}

impl Bundle {
    /// Everything of the bundle but its templates.
    pub fn summary(&self) -> BundleSummary {
        BundleSummary {
            name: self.name().to_owned(),
            version: self.version().to_owned(),
            description: self.description().to_owned(),
            inputs: self.inputs().to_vec(),
            values: self.values().clone(),
            schema: self.schema().map(str::to_owned),
            pipeline: self.pipeline().map(str::to_owned),
        }
    }
}
