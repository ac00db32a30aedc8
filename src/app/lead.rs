//! Who leads: the one replica that sweeps, reconciles and writes statuses. Webhooks are served by all.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cluster::election::Election;
use crate::cluster::{self, Connection};
use crate::config::Config;

/// Whether this replica leads. Clones see the same.
#[derive(Debug, Clone)]
pub struct Leadership(watch::Receiver<bool>);

/// The part that a replica takes in the election, until it resigns.
#[derive(Debug)]
pub struct Candidacy(Option<JoinHandle<()>>);

/// Why no leader could be agreed on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody said in which namespace the Lease is.
    #[error("--lease-namespace must be given with --leader-elect outside of a cluster")]
    NoNamespace,
    /// There is no way to the cluster.
    #[error("could not connect to the cluster")]
    Connect(#[source] cluster::Error),
    /// The Lease cannot be used.
    #[error("could not take part in the election by Lease {namespace}/{name}")]
    Lease {
        /// The Lease's namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The cause.
        #[source]
        source: cluster::Error,
    },
}

/// How long giving the Lease back may take.
const RESIGNATION: Duration = Duration::from_secs(3);

impl Leadership {
    /// A replica without rivals leads from the start.
    pub fn alone() -> (Self, Candidacy) {
        let (_, receiver) = watch::channel(true);
        (Self(receiver), Candidacy(None))
    }

    /// Takes part in the election. From now on `connection` writes only while this replica leads for certain.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn elect(connection: &Connection, config: &Config, identity: &str) -> Result<(Self, Candidacy), Error> {
        let namespace = config.lease_namespace.as_ref().map(ToString::to_string);
        let namespace = namespace.or_else(own_namespace).ok_or(Error::NoNamespace)?;
        let wrap = |source| Error::Lease {
            namespace: namespace.clone(),
            name: config.lease_name.to_string(),
            source,
        };
        let client = connection.candidate(identity).map_err(Error::Connect)?;
        let election = Election::stand(client, &namespace, config.lease_name.as_str(), identity)
            .await
            .map_err(wrap)?;
        let (sender, receiver) = watch::channel(false);
        let task = tokio::spawn(election.run(sender));
        Ok((Self(receiver), Candidacy(Some(task))))
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

impl Candidacy {
    /// Gives the Lease back, so that a successor need not wait for its end. Every [`Leadership`] must have been dropped.
    pub async fn resign(self) {
        if let Some(task) = self.0
            && tokio::time::timeout(RESIGNATION, task).await.is_err()
        {
            tracing::warn!("the Lease could not be given back; a successor waits for its end");
        }
    }
}

/// The namespace of the pod that we run in.
pub(super) fn own_namespace() -> Option<String> {
    let text = std::fs::read_to_string("/var/run/secrets/kubernetes.io/serviceaccount/namespace").ok()?;
    Some(text.trim().to_owned())
}
