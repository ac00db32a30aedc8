//! Who leads: the one replica that sweeps, reconciles and writes statuses. Webhooks are served by all.

use kube::Client;
use kube_lease_manager::LeaseManagerBuilder;
use tokio::sync::watch;

use crate::config::Config;

/// Whether this replica leads. Clones see the same.
#[derive(Debug, Clone)]
pub struct Leadership(watch::Receiver<bool>);

/// Why no leader could be agreed on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody said in which namespace the Lease is.
    #[error("--lease-namespace must be given with --leader-elect outside of a cluster")]
    NoNamespace,
    /// The Lease cannot be used.
    #[error("could not take part in the election by Lease {namespace}/{name}")]
    Lease {
        /// The Lease's namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The cause.
        #[source]
        source: kube_lease_manager::LeaseManagerError,
    },
}

/// In seconds. A successor waits this long after the last sign of life.
const LEASE_DURATION: u64 = 15;
/// In seconds before the end of the Lease: renewed by then, or lost.
const LEASE_GRACE: u64 = 5;

impl Leadership {
    /// A replica without rivals leads from the start.
    pub fn alone() -> Self {
        let (_, receiver) = watch::channel(true);
        Self(receiver)
    }

    /// Takes part in the election.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn elect(client: Client, config: &Config, identity: &str) -> Result<Self, Error> {
        let namespace = config.lease_namespace.as_ref().map(ToString::to_string);
        let namespace = namespace.or_else(own_namespace).ok_or(Error::NoNamespace)?;
        let wrap = |source| Error::Lease {
            namespace: namespace.clone(),
            name: config.lease_name.to_string(),
            source,
        };
        let election = LeaseManagerBuilder::new(client, config.lease_name.as_str())
            .with_namespace(&namespace)
            .with_identity(identity)
            .with_duration(LEASE_DURATION)
            .with_grace(LEASE_GRACE)
            .build()
            .await
            .map_err(wrap)?;
        let (receiver, task) = election.watch().await;
        // The task ends with the process; until then it renews the Lease.
        tokio::spawn(task);
        Ok(Self(receiver))
    }

    /// Whether this replica leads now.
    pub fn leads(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until this replica leads.
    pub async fn gained(&mut self) {
        if self.0.wait_for(|leads| *leads).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until this replica leads no longer.
    pub async fn lost(&mut self) {
        // Whoever leads alone has dropped the sender and never loses.
        if self.0.wait_for(|leads| !*leads).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The namespace of the pod that we run in.
fn own_namespace() -> Option<String> {
    let text = std::fs::read_to_string("/var/run/secrets/kubernetes.io/serviceaccount/namespace").ok()?;
    Some(text.trim().to_owned())
}
