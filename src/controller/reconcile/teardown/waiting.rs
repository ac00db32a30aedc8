//! What a teardown waits for, looked at more closely once it does not end.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::super::Reconciler;
use crate::api::convert::environment::Identity;
use crate::api::environment::{Environment, Phase, StuckObject};
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::cluster::live::WatchedKinds;
use crate::domain::observed::Deletion;
use crate::domain::outcome::{self, Outcome};
use crate::domain::plan::teardown::stuck::{self, NAMED, STUCK_AFTER, Stuck};
use crate::domain::plan::teardown::{Next, TeardownPlan, Tier};
use crate::domain::status::{Report, summarise_stuck};

/// Where a teardown stands when it has to wait.
pub(super) struct Halt<'a> {
    pub environment: &'a Environment,
    pub identity: &'a Identity,
    pub deployer: &'a Deployer,
    pub plan: &'a TeardownPlan,
    pub outcomes: &'a [Outcome],
    /// The kinds that were watched before the plan's view was read: what it shows cannot end unseen.
    pub watched: &'a WatchedKinds,
}

impl Reconciler {
    /// Completes `report`: when to look again, and what is stuck, which makes it say so.
    pub(super) async fn examine(&self, halt: &Halt<'_>, report: Report) -> (Report, Vec<StuckObject>) {
        if let Some(refused) = self.refused_by_webhook(halt).await {
            return self.conclude_stuck(halt, report, vec![refused]);
        }
        let waiting = stuck::waiting(&halt.plan.next);
        let failed = outcome::failures(halt.outcomes).next().is_some();
        if waiting.is_empty() || failed {
            return (report, Vec::new());
        }
        let is_watched = |key| halt.plan.inventory.get(key).is_some() && halt.watched.contains(key);
        // Rights and identities go at once: what they wait for is a pod, which bears no label of ours.
        let for_pods = matches!(&halt.plan.next, Next::Drain { tier, .. } if *tier >= Tier::Access);
        let watched = !for_pods && waiting.iter().all(|waiting| is_watched(&waiting.key));
        let deletions: Vec<_> = waiting.iter().filter_map(|waiting| waiting.deletion.as_ref()).collect();
        let mut age = self.age(halt, &deletions);
        let mut found = Vec::new();
        if age.is_some_and(|age| age >= STUCK_AFTER) {
            found = self.find_stuck(halt).await;
            let deletions: Vec<_> = found.iter().map(|(_, deletion)| deletion).chain(deletions).collect();
            age = self.age(halt, &deletions);
        }
        let mut report = Report {
            again: Some(stuck::patience(age, watched)),
            ..report
        };
        let mut told = Vec::new();
        if age.is_some_and(|age| age >= STUCK_AFTER) {
            let surroundings = self.observer.surroundings(&halt.identity.name.namespace()).await;
            let entries: Vec<_> = found
                .iter()
                .map(|(key, deletion)| stuck::stuck(key, deletion, &surroundings))
                .collect();
            (report, told) = self.conclude_stuck(halt, report, entries);
        }
        (report, told)
    }

    /// How long the youngest of `deletions` has lasted by the API server's clock: while deletions begin, things go on. What nobody has
    /// marked yet, although its owner is gone, counts from the deletion of the environment on.
    fn age(&self, halt: &Halt<'_>, deletions: &[&Deletion]) -> Option<Duration> {
        let requested = halt.environment.metadata.deletion_timestamp.as_ref().map(|at| at.0);
        let youngest = deletions.iter().filter_map(|deletion| deletion.since.parse().ok()).max();
        self.since(youngest.or(requested)?)
    }

    /// A Pod's deletion is dated to the end of its grace period, which may be yet to come.
    fn since(&self, time: Timestamp) -> Option<Duration> {
        let now = self.observer.server_time()?;
        Some(Duration::try_from(now.duration_since(time)).unwrap_or_default())
    }

    /// Everything that does not end: what the plan waits for, and what in the namespace is being deleted and held, whoever made it.
    async fn find_stuck(&self, halt: &Halt<'_>) -> Vec<(crate::domain::manifest::ObjectKey, Deletion)> {
        let mut stuck: Vec<_> = stuck::waiting(&halt.plan.next)
            .iter()
            .map(|waiting| {
                let unmarked = || Deletion {
                    since: halt
                        .environment
                        .metadata
                        .deletion_timestamp
                        .as_ref()
                        .map(|at| at.0.to_string())
                        .unwrap_or_default(),
                    finalizers: Vec::new(),
                };
                (waiting.key.clone(), waiting.deletion.clone().unwrap_or_else(unmarked))
            })
            .collect();
        let contents = match self.look(halt.identity, halt.deployer).await {
            Ok(contents) => contents.found,
            Err(error) => {
                tracing::debug!(error = %error.chain(), "the namespace cannot be looked through; what is stuck is told without it");
                Vec::new()
            }
        };
        for object in contents {
            let Some(since) = object.deleting_since else { continue };
            let known = stuck.iter().any(|(key, _)| *key == object.key);
            if !known && (!object.finalizers.is_empty() || object.key.kind == "Pod") {
                stuck.push((
                    object.key,
                    Deletion {
                        since,
                        finalizers: object.finalizers,
                    },
                ));
            }
        }
        // What holds the namespace says more than the namespace.
        stuck.sort_by_key(|(key, _)| key.kind == "Namespace");
        stuck
    }

    pub(super) async fn look(&self, identity: &Identity, deployer: &Deployer) -> Result<cluster::residue::Look, cluster::Error> {
        let connection = &self.observer.connection;
        let clients = [connection.controller(), connection.deployer(deployer)?];
        self.observer.contents(&clients, &identity.name.namespace()).await
    }

    /// A deletion that an admission webhook keeps from even beginning, because it does not answer.
    async fn refused_by_webhook(&self, halt: &Halt<'_>) -> Option<Stuck> {
        let of_webhook = |failure: &outcome::Failure| Some((failure.key.clone(), stuck::failed_webhook(&failure.message)?.to_owned()));
        let (key, webhook) = outcome::failures(halt.outcomes).find_map(of_webhook)?;
        let configuration = self.observer.webhook_configuration(&webhook).await;
        let of = configuration
            .map(|configuration| format!(" of {configuration}"))
            .unwrap_or_default();
        let cause = format!(
            "its deletion is refused as admission webhook {webhook}{of} does not answer; repair its server or remove the configuration"
        );
        let now = self.observer.server_time().unwrap_or_else(Timestamp::now).to_string();
        let before = halt.environment.status.iter().flat_map(|status| &status.stuck);
        let known = before
            .into_iter()
            .find(|entry| entry.object == key.to_string() && entry.cause == cause);
        Some(Stuck {
            since: known.map_or(now, |entry| entry.since.clone()),
            finalizers: Vec::new(),
            key,
            cause,
        })
    }

    /// Names what is stuck; from the limit on the environment waits for somebody.
    fn conclude_stuck(&self, halt: &Halt<'_>, report: Report, stuck: Vec<Stuck>) -> (Report, Vec<StuckObject>) {
        let oldest = stuck.iter().filter_map(|entry| entry.since.parse().ok()).min();
        let is_late = oldest.and_then(|since| self.since(since)).is_some_and(|age| age >= STUCK_AFTER);
        let entries = stuck.iter().take(NAMED).map(|entry| StuckObject {
            object: entry.key.to_string(),
            finalizers: entry.finalizers.clone(),
            since: entry.since.clone(),
            cause: entry.cause.clone(),
        });
        let entries = entries.collect();
        if !is_late {
            return (report, entries);
        }
        if halt.environment.status.as_ref().and_then(|status| status.phase) != Some(Phase::Blocked) {
            tracing::warn!(environment = %halt.environment.name_any(), objects = stuck.len(), "a teardown waits for something that does not end");
            self.metrics.termination_blocked();
        }
        (summarise_stuck(report, &stuck), entries)
    }
}
