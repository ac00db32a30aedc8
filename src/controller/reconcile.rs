//! One pass over one environment: observe, decide, act, publish.

mod adopt;
mod deploy;
mod drift;
mod explain;
mod fence;
mod pace;
mod paused;
mod precheck;
mod rest;
mod run;
mod teardown;
mod url;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

use super::approvals::Approvals;
use super::changes::Changes;
use super::desired::Bundles;
use super::diagnoses::Diagnoses;
use super::errands::Errands;
use super::memory::Memory;
use super::patience::Patience;
use super::settings::Settings;
use super::stores::Stores;
use super::witnesses::Witnesses;
use crate::api::convert::activity;
use crate::api::convert::environment::{self as convert, Identity};
use crate::api::convert::project::ttl;
use crate::api::convert::run::run as run_of;
use crate::api::{Environment, EnvironmentStatus};
use crate::cluster;
use crate::cluster::connection::{Deployer, patience};
use crate::cluster::observe::Observer;
use crate::cluster::publish::{Announcement, Publisher};
use crate::cluster::residue::Scanner;
use crate::cluster::signing::Signer;
use crate::domain::inventory::{Inventory, Stage};
use crate::domain::outcome::FailureClass;
use crate::domain::status::{Phase, Report, summarise_refusal};
use crate::metrics::{Metrics, ReconcileOutcome, Refusal};

/// Everything that a pass needs.
pub struct Reconciler {
    /// Reads and writes environments' objects.
    pub observer: Observer,
    /// Writes statuses, Events and receipts.
    pub publisher: Publisher,
    /// Our custom resources.
    pub stores: Stores,
    /// What we wrote last.
    pub memory: Memory,
    /// Which environments have to wait because the API server said so.
    pub patience: Patience,
    /// Why environments are not ready, as far as it was asked.
    pub diagnoses: Diagnoses,
    /// Tokens of accounts that are being removed.
    pub witnesses: Witnesses,
    /// What is asked of the outside.
    pub errands: Errands,
    /// The bundles.
    pub bundles: Bundles,
    /// What the platform engineer decided.
    pub settings: Settings,
    /// Looks over the whole cluster for what teardowns left.
    pub scanner: Scanner,
    /// Signs receipts.
    pub signer: Signer,
    /// Which files have changed between commits.
    pub changes: Changes,
    /// Whether approvals count.
    pub approvals: Approvals,
    /// Counters.
    pub metrics: Metrics,
}

/// How a pass ended, and when the next one is due.
struct Pass {
    action: Action,
    outcome: ReconcileOutcome,
}

/// Why a pass ended early. Nothing is lost: the next pass begins with what is true by then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster did not do as asked.
    #[error("could not reconcile the environment")]
    Cluster(#[source] cluster::Error),
    /// The pass took too long.
    #[error("the pass was not over after {} s", DEADLINE.as_secs())]
    Deadline,
}

/// A pass never waits for anything, so only a slow server can make it long.
const DEADLINE: Duration = Duration::from_secs(60);

impl Reconciler {
    /// Makes one pass.
    ///
    /// # Guarantees
    /// - Whatever could come into being is in the stored inventory before the first request that could create it.
    /// - A pass over an environment that is as it should be writes nothing.
    ///
    /// # Errors
    /// See [`Error`]; the pass is repeated with back-off.
    pub async fn reconcile(&self, cached: Arc<Environment>) -> Result<Action, Error> {
        let started = Instant::now();
        let environment = self.newest(cached);
        let uid = environment.metadata.uid.clone().unwrap_or_default();
        if let Some(left) = self.patience.left(&uid, started) {
            return Ok(Action::requeue(left));
        }
        let pass = async {
            if environment.metadata.deletion_timestamp.is_some() {
                self.diagnoses.release(&uid);
                let teardown = self.teardown(&environment).boxed();
                self.observer.connection.gently(teardown).await
            } else if let Some(grace) = rest::rests(&environment) {
                self.rest(&environment, &grace).await
            } else {
                self.observer.connection.promptly(self.deploy(&environment)).await
            }
        };
        // A pass is a large future: boxed, so that it is not moved through the stack of whoever waits for it.
        let (ended, asked) = patience::told(tokio::time::timeout(DEADLINE, Box::pin(pass))).await;
        if let Some(wait) = asked {
            tracing::debug!(environment = %environment.name_any(), seconds = wait.as_secs(), "the API server asks to wait");
            self.patience.put_off(&uid, wait, Instant::now());
        }
        let result = match ended {
            Ok(result) => result.map_err(Error::Cluster),
            Err(_) => Err(Error::Deadline),
        };
        if let Err(Error::Cluster(error)) = &result
            && !passes_by_itself(error.class())
        {
            self.tell(&environment, error).await;
        }
        let outcome = match &result {
            Ok(pass) => pass.outcome,
            Err(Error::Cluster(error)) if passes_by_itself(error.class()) => ReconcileOutcome::Transient,
            Err(Error::Cluster(_)) => ReconcileOutcome::NeedsAttention,
            Err(Error::Deadline) => ReconcileOutcome::TimedOut,
        };
        self.metrics.reconcile(outcome, started.elapsed());
        result.map(|pass| pass.action)
    }

    fn newest(&self, cached: Arc<Environment>) -> Arc<Environment> {
        let reference = ObjectRef::from_obj(&*cached);
        self.memory.newest(cached, || self.stores.environments.get(&reference))
    }

    /// A failure that somebody has to settle must be seen where the environment is looked at, not only in our log.
    async fn tell(&self, environment: &Arc<Environment>, error: &cluster::Error) {
        let environment = self.newest(environment.clone());
        let told = async {
            let Some((identity, inventory)) = self.read_own(&environment).await? else {
                return Ok(());
            };
            let phase = match environment.metadata.deletion_timestamp {
                Some(_) => Phase::Blocked,
                None => Phase::Failed,
            };
            let report = Report {
                phase,
                ..summarise_refusal("ClusterRefuses", &error.chain(), inventory, None)
            };
            self.publish(&environment, &identity, &report, |_| {}).await.map(drop)
        };
        if let Err(error) = told.await {
            tracing::warn!(environment = %environment.name_any(), error = %error.chain(), "could not write why the environment is stuck");
        }
    }

    /// Reads who the environment is and what it owns; a refusal is published and ends the pass.
    async fn read_own(&self, environment: &Environment) -> Result<Option<(Identity, Inventory)>, cluster::Error> {
        let read = convert::identity(environment).and_then(|identity| {
            let inventory = convert::inventory(environment.status.as_ref())?;
            run_of(environment.status.as_ref())?;
            Ok((identity, inventory))
        });
        match read {
            Ok(own) => Ok(Some(own)),
            Err(problem) => {
                tracing::error!(environment = %environment.name_any(), problem, "this Environment cannot be understood");
                let status = convert::not_understood(environment, &problem, &now());
                let is_news = environment.status.as_ref() != Some(&status);
                self.publisher.not_understood(environment, &status).await?;
                if is_news {
                    self.metrics.refusal(Refusal::UnreadableEnvironment);
                    let announcement = Announcement {
                        reason: "NotUnderstood",
                        warning: true,
                        note: status.message.unwrap_or_default(),
                    };
                    self.publisher.announce(&environment.object_ref(&()), &announcement).await;
                }
                Ok(None)
            }
        }
    }

    /// Publishes what a pass concluded, and returns the Environment as it is then.
    async fn publish(
        &self,
        environment: &Environment,
        identity: &Identity,
        report: &Report,
        complete: impl FnOnce(&mut EnvironmentStatus),
    ) -> Result<Environment, cluster::Error> {
        let status = self.concluded(environment, identity, report, complete);
        self.publish_status(environment, &status, report).await
    }

    /// The status that follows from what a pass concluded.
    fn concluded(
        &self,
        environment: &Environment,
        identity: &Identity,
        report: &Report,
        complete: impl FnOnce(&mut EnvironmentStatus),
    ) -> EnvironmentStatus {
        let mut status = convert::status(environment, identity, report, &now());
        self.tell_deadline(environment, &mut status);
        complete(&mut status);
        status
    }

    async fn publish_status(
        &self,
        environment: &Environment,
        status: &EnvironmentStatus,
        report: &Report,
    ) -> Result<Environment, cluster::Error> {
        let written = self.write_status(environment, status).await?;
        self.announce_transition(environment, &written, report).await;
        Ok(written)
    }

    /// Writes a status, unless it is stored already, and returns the Environment as it is then.
    async fn write_status(&self, environment: &Environment, status: &EnvironmentStatus) -> Result<Environment, cluster::Error> {
        let stored = self.memory.stored(environment);
        let written = self.publisher.environment_status(&stored, status).await?;
        self.remember(&written);
        Ok(written)
    }

    /// Remembers what a write returned, unless the watch was faster than the answer.
    fn remember(&self, written: &Environment) {
        self.memory.remember(written);
        if let Some(seen) = self.stores.environments.get(&ObjectRef::from_obj(written)) {
            self.memory.caught_up(&seen);
        }
    }

    /// When the environment expires, for everybody to see. Nothing is decided by it.
    fn tell_deadline(&self, environment: &Environment, status: &mut EnvironmentStatus) {
        let namespace = environment.namespace().unwrap_or_default();
        let reference = ObjectRef::new(&environment.spec.project_ref.name).within(&namespace);
        let project = self.stores.projects.get(&reference);
        let ttl = project
            .filter(|_| environment.metadata.deletion_timestamp.is_none())
            .and_then(|project| ttl(&project));
        status.expires_at = activity::expires_at(environment, status, ttl);
        if let (Some(crate::api::environment::Phase::Ready), Some(expires), Some(message)) =
            (status.phase, &status.expires_at, &mut status.message)
        {
            message.push_str(&format!("; expires at {} unless something is pushed", expires.0));
        }
    }

    async fn refuse(
        &self,
        environment: &Environment,
        own: (&Identity, Inventory),
        reason: &'static str,
        message: &str,
        again: Option<Duration>,
    ) -> Result<Pass, cluster::Error> {
        let report = summarise_refusal(reason, message, own.1, again);
        let why = &report.message;
        self.publish(environment, own.0, &report, |status| paused::turn_away(environment, status, why))
            .await?;
        Ok(self.pass(&report))
    }

    /// An Event for each change of phase that somebody waits for.
    async fn announce_transition(&self, before: &Environment, after: &Environment, report: &Report) {
        let phase = |environment: &Environment| environment.status.as_ref().and_then(|status| status.phase);
        let message = |environment: &Environment| environment.status.as_ref().and_then(|status| status.message.clone());
        let same_story = phase(before) == phase(after) && (report.phase == Phase::Ready || message(before) == message(after));
        let (reason, warning) = match report.phase {
            Phase::Ready => ("Ready", false),
            Phase::Failed => (report.reason, true),
            Phase::Blocked => (report.reason, true),
            // What begins and ends a rest is announced where it is decided.
            Phase::Pending | Phase::Deploying | Phase::Resting | Phase::Deleting => return,
        };
        if same_story {
            return;
        }
        tracing::info!(environment = %after.name_any(), branch = %after.spec.branch, phase = ?report.phase, message = %report.message, "environment changed phase");
        let announcement = Announcement {
            reason,
            warning,
            note: report.message.clone(),
        };
        self.publisher.announce(&after.object_ref(&()), &announcement).await;
        if report.reason == "NotOurs" {
            self.metrics.refusal(match report.fails_at(Stage::Namespace) {
                true => Refusal::NamespaceNotOurs,
                false => Refusal::ObjectNotOurs,
            });
        }
        let has_run = before.status.as_ref().is_some_and(|status| !status.history.is_empty());
        if report.phase == Phase::Ready && !has_run {
            self.observe_time_to_ready(after);
        }
    }

    fn observe_time_to_ready(&self, environment: &Environment) {
        let first = environment.status.as_ref().is_some_and(|status| status.history.len() == 1);
        if let Some(created) = environment.creation_timestamp().filter(|_| first) {
            let elapsed = Timestamp::now().duration_since(created.0);
            self.metrics.time_to_ready(Duration::try_from(elapsed).unwrap_or_default());
        }
    }

    /// The end of a pass that came to `report`.
    fn pass(&self, report: &Report) -> Pass {
        Pass {
            action: Action::requeue(report.again.unwrap_or_else(|| self.next_look(&report.inventory))),
            outcome: match report.phase {
                Phase::Ready | Phase::Resting => ReconcileOutcome::Settled,
                Phase::Pending | Phase::Deploying | Phase::Deleting => ReconcileOutcome::Progressing,
                Phase::Failed | Phase::Blocked => ReconcileOutcome::NeedsAttention,
            },
        }
    }

    /// Who writes the objects: as recorded, for a teardown must not depend on a Project that may be gone.
    fn recorded_deployer(environment: &Environment) -> Option<Deployer> {
        let recorded = environment.status.as_ref()?.deployer.as_ref()?;
        Some(Deployer {
            namespace: recorded.namespace.parse().ok()?,
            name: recorded.name.parse().ok()?,
        })
    }
}

impl Pass {
    /// There is nothing to do until something changes.
    fn idle() -> Self {
        Self {
            action: Action::await_change(),
            outcome: ReconcileOutcome::Settled,
        }
    }

    /// Something is under way that will wake the environment; `again` is for the case that it does not.
    fn later(again: Duration) -> Self {
        Self {
            action: Action::requeue(again),
            outcome: ReconcileOutcome::Progressing,
        }
    }

    /// There is more to do, but others shall have their turn.
    fn again_soon() -> Self {
        Self {
            action: Action::requeue(Duration::from_millis(50)),
            outcome: ReconcileOutcome::Progressing,
        }
    }
}

fn passes_by_itself(class: FailureClass) -> bool {
    matches!(class, FailureClass::Transient | FailureClass::NamespaceEnding)
}

fn now() -> Time {
    Time(Timestamp::now())
}
