//! STAND-IN until the render branch is merged.
/// r
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// r
    Ready,
    /// p
    Progressing {
        /// r
        reason: String,
    },
    /// f
    Failed {
        /// r
        reason: String,
    },
}
/// a
pub fn assess(_body: &serde_json::Value) -> Readiness {
    Readiness::Ready
}
