//! The part that a replica takes in the election: it looks at the Lease, renews it or takes it, and says when it is lost.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Error;
use super::error::chain;
use crate::domain::election::{self, Candidate, Move};

/// One replica's part.
pub struct Election {
    api: Api<Lease>,
    name: String,
    identity: String,
    candidate: Candidate,
    began: Instant,
    /// When the last renewal was sent that the API server has confirmed.
    confirmed: Option<Instant>,
}

/// How a look at the Lease ended.
enum Turn {
    /// The Lease is ours, by a write that was sent then.
    Ours(Instant),
    /// It is another's, or nobody's yet.
    Others,
    /// Somebody else wrote at the same time; what is true by now takes another look.
    Again,
}

/// For so long a renewal is good: a successor waits this long after the last sign of life.
const LASTS: Duration = Duration::from_secs(15);
/// Between two looks.
const PACE: Duration = Duration::from_secs(3);
/// Whoever could not renew the Lease for so long has lost it. The fence around writes closes after this and before the end of the Lease.
const DEADLINE: Duration = Duration::from_secs(10);
/// No request about the Lease may take longer, or there would be no second try.
const PATIENCE: Duration = Duration::from_secs(4);
/// So often at once is tried again what somebody else was faster at.
const ATTEMPTS: usize = 3;

impl Election {
    /// Finds the Lease, or makes it.
    ///
    /// # Errors
    /// The Lease can neither be read nor made.
    pub async fn stand(client: Client, namespace: &str, name: &str, identity: &str) -> Result<Self, Error> {
        let election = Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            candidate: Candidate::new(identity),
            began: Instant::now(),
            confirmed: None,
        };
        let read = |source| Error::Read {
            what: election.what(),
            source,
        };
        if election.api.get_opt(name).await.map_err(read)?.is_none() {
            election.create().await?;
        }
        Ok(election)
    }

    /// Takes part until nobody listens any more; then gives the Lease back, if it is ours.
    ///
    /// # Guarantees
    /// `leads` is true only while this replica holds the Lease, and becomes false before another can have taken it over.
    pub async fn run(mut self, leads: watch::Sender<bool>) {
        loop {
            tokio::select! {
                biased;
                () = leads.closed() => return self.resign().await,
                () = self.turn(&leads) => {}
            }
        }
    }

    async fn turn(&mut self, leads: &watch::Sender<bool>) {
        let deadline = self.confirmed.map(|confirmed| confirmed + DEADLINE);
        let looked = async {
            match deadline {
                Some(deadline) => tokio::time::timeout_at(deadline, self.look()).await.ok(),
                None => Some(self.look().await),
            }
        };
        match looked.await {
            Some(Ok(Turn::Ours(sent))) => {
                self.confirmed = Some(sent);
                leads.send_if_modified(|leads| !std::mem::replace(leads, true));
            }
            Some(Ok(Turn::Others)) => self.lose(leads),
            Some(Ok(Turn::Again)) => {}
            Some(Err(error)) => tracing::warn!(error = %chain(&error), "could not look after the Lease; it is tried again"),
            None => {}
        }
        if deadline.is_some() && self.confirmed.is_some_and(|confirmed| confirmed.elapsed() >= DEADLINE) {
            tracing::warn!("the Lease could not be renewed for {} s", DEADLINE.as_secs());
            self.lose(leads);
        }
        let next = Instant::now() + PACE;
        let end = self.confirmed.map(|confirmed| confirmed + DEADLINE);
        tokio::time::sleep_until(end.map_or(next, |end| next.min(end))).await;
    }

    fn lose(&mut self, leads: &watch::Sender<bool>) {
        self.confirmed = None;
        leads.send_if_modified(|leads| std::mem::replace(leads, false));
    }

    /// One look at the Lease, and what follows from it.
    async fn look(&mut self) -> Result<Turn, Error> {
        for _ in 0..ATTEMPTS {
            match tokio::time::timeout(PATIENCE, self.try_once()).await {
                Ok(Ok(Turn::Again)) => {}
                Ok(looked) => return looked,
                Err(_) => {
                    return Err(Error::TimedOut {
                        operation: format!("look after {}", self.what()),
                        seconds: PATIENCE.as_secs(),
                    });
                }
            }
        }
        Ok(Turn::Again)
    }

    async fn try_once(&mut self) -> Result<Turn, Error> {
        let found = self
            .api
            .get_opt(&self.name)
            .await
            .map_err(|source| Error::Read { what: self.what(), source })?;
        let Some(lease) = found else {
            self.create().await?;
            return Ok(Turn::Again);
        };
        let (sent, now) = (Instant::now(), Timestamp::now());
        let renewal = match self.candidate.decide(&read(&lease), self.began.elapsed()) {
            Move::Wait => return Ok(Turn::Others),
            Move::Renew => json!({ "renewTime": micros(now), "leaseDurationSeconds": LASTS.as_secs() }),
            Move::Take => {
                let before = lease.spec.as_ref().and_then(|spec| spec.lease_transitions).unwrap_or(0);
                json!({
                    "holderIdentity": self.identity,
                    "acquireTime": micros(now),
                    "renewTime": micros(now),
                    "leaseDurationSeconds": LASTS.as_secs(),
                    "leaseTransitions": before.saturating_add(1),
                })
            }
        };
        let written = self.write(&lease, renewal).await?;
        Ok(if written { Turn::Ours(sent) } else { Turn::Again })
    }

    /// Writes the Lease if it is as it was read; whether it was.
    async fn write(&self, lease: &Lease, spec: Value) -> Result<bool, Error> {
        let body = json!({ "metadata": { "uid": lease.uid(), "resourceVersion": lease.resource_version() }, "spec": spec });
        match self.api.patch(&self.name, &PatchParams::default(), &Patch::Merge(&body)).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            Err(source) => Err(Error::Write { what: self.what(), source }),
        }
    }

    async fn create(&self) -> Result<(), Error> {
        let mut lease = Lease::default();
        lease.metadata.name = Some(self.name.clone());
        match self.api.create(&PostParams::default(), &lease).await {
            Ok(_) => Ok(()),
            // Another replica was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(source) => Err(Error::Write { what: self.what(), source }),
        }
    }

    /// Gives the Lease back, so that a successor need not wait for its end.
    async fn resign(self) {
        let given_back = async {
            let lease = self
                .api
                .get(&self.name)
                .await
                .map_err(|source| Error::Read { what: self.what(), source })?;
            if read(&lease).holder.as_deref() == Some(&self.identity) {
                let free = json!({ "holderIdentity": null, "acquireTime": null, "renewTime": null, "leaseDurationSeconds": null });
                self.write(&lease, free).await?;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = given_back.await {
            tracing::warn!(error = %chain(&error), "the Lease could not be given back; a successor waits for its end");
        }
    }

    fn what(&self) -> String {
        format!("Lease {}", self.name)
    }
}

fn read(lease: &Lease) -> election::Lease {
    let spec = lease.spec.clone().unwrap_or_default();
    let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    election::Lease {
        holder: spec.holder_identity,
        renewed: spec.renew_time.map(|time| time.0.to_string()),
        lasts: lasts.map_or(LASTS, Duration::from_secs),
    }
}

/// As the API server writes such times.
fn micros(time: Timestamp) -> String {
    format!("{time:.6}")
}
