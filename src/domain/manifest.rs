//! STAND-IN until the render branch is merged.
use serde_json::Value;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// Which object: its kind, namespace and name. The version says how it is written, not which object it is, and takes no part in comparisons.
#[derive(Debug, Clone)]
pub struct ObjectKey {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version that it is written in.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// The namespace; `None` for a cluster-scoped object.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}
impl ObjectKey {
    fn identity(&self) -> (&str, &str, Option<&str>, &str) {
        (&self.group, &self.kind, self.namespace.as_deref(), &self.name)
    }
}
impl PartialEq for ObjectKey {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}
impl Eq for ObjectKey {}
impl PartialOrd for ObjectKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for ObjectKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}
impl Hash for ObjectKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}
impl std::fmt::Display for ObjectKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.kind, self.name)
    }
}
/// x
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// f
    pub file: String,
    /// l
    pub line: usize,
}
/// x
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// k
    pub key: ObjectKey,
    /// b
    pub body: Value,
    /// s
    pub source: Source,
    /// d
    pub digest: String,
}
/// w
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wave {
    /// i
    Identity,
    /// c
    Configuration,
    /// w
    Workload,
}
/// w
pub fn wave(_key: &ObjectKey) -> Wave {
    Wave::Workload
}
impl ObjectKey {
    /// `group/version`, or the bare version.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}
impl Manifest {
    /// x
    pub fn new(key: ObjectKey, body: Value, source: Source) -> Self {
        let digest = body.to_string();
        Self { key, body, source, digest }
    }
}
