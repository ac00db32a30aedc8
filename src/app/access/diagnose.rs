//! What the caller may read of an environment that is not ready.

use super::Access;
pub use crate::cluster::diagnosis::Look;
use crate::cluster::diagnosis::diagnose_all;
use crate::domain::name::Namespace;

impl Access {
    /// Reads with the caller's own rights what may tell why things of a namespace are not ready; what may not be read is named.
    pub async fn diagnose(&self, namespace: &Namespace) -> Look {
        diagnose_all(&self.client, namespace).await
    }
}
