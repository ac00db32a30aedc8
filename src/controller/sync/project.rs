//! One look at one Project: facts, decision, Environment objects, status.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::brake;
use super::decide::{Decided, Look};
use super::sweep::Outcome;
use super::{ProjectProgress, Sync};
use crate::api::convert;
use crate::api::convert::condition::{Claim, conditions};
use crate::api::keys;
use crate::api::project::{BranchHead, Project, ProjectStatus, SkippedBranch};
use crate::cluster::error::chain;
use crate::controller::hosts::Connected;
use crate::controller::inbox::PendingHint;
use crate::controller::stores::Member;
use crate::domain::git::{BranchName, Listing, RepositoryId, Revision};
use crate::domain::name::GitHostKey;
use crate::domain::policy;
use crate::domain::roster::{Facts, Roster};
use crate::githost::Class;
use crate::metrics::SweepResult;

/// How far to look.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sighting<'a> {
    /// The whole repository.
    Everything,
    /// The branches of these hints.
    Branches(&'a [PendingHint]),
}

/// Where a Project stands, as its conditions say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The last look succeeded.
    Ready,
    /// Somebody has to do something.
    Stalled,
    /// Nothing is done, because somebody wants it so.
    Paused,
}

impl Sync {
    /// One look at one Project.
    ///
    /// # Guarantees
    /// Whatever fails, nothing is retired because of it; the failure is told in the Project's status.
    pub(super) async fn look(
        &self,
        object: &Project,
        project: &policy::Project,
        sighting: Sighting<'_>,
        progress: &mut ProjectProgress,
    ) -> Outcome {
        if project.suspended {
            self.report_suspended(object).await;
            return Outcome::Unasked;
        }
        let Some(connected) = self.connected(&project.host).await else {
            let message = format!("GitHost {} does not exist or is not ready", project.host.name);
            self.report_problem(object, "GitHostNotReady", &message).await;
            return Outcome::Unasked;
        };
        match self.facts(&connected, object, project, sighting).await {
            Ok(facts) => {
                progress.succeeded();
                self.unread.succeeded(&project.host, &project.key, sighting);
                if !self.decide_and_act(object, project, &connected, &facts, progress).await {
                    self.unfinished.add(&project.key, sighting);
                }
                Outcome::Fine
            }
            Err(error) => {
                if matches!(sighting, Sighting::Everything) {
                    self.metrics.sweep(sweep_result(error.class()));
                }
                tracing::warn!(project = %project.key, error = %chain(&error), "the repository could not be looked at; nothing is retired");
                self.report_problem(object, "SourceUnavailable", &chain(&error)).await;
                let outcome = Outcome::of(&error, self.settings.sweep_interval);
                if self.is_read_again(outcome, sighting) {
                    self.unread.failed(&project.host, &project.key, sighting);
                }
                outcome
            }
        }
    }

    /// Whether nobody else asks soon: sweeps await the return of a host that is away, and one that wants to be left alone is.
    fn is_read_again(&self, outcome: Outcome, sighting: Sighting<'_>) -> bool {
        match outcome {
            Outcome::Unreadable(_) => true,
            Outcome::Away => matches!(sighting, Sighting::Branches(_)),
            Outcome::Fine | Outcome::Unasked | Outcome::Busy(_) => false,
        }
    }

    /// The connection to a Git host, made now if the host was met before its own turn came.
    pub(super) async fn connected(&self, key: &GitHostKey) -> Option<Connected> {
        if let Some(connected) = self.hosts.get(key) {
            return Some(connected);
        }
        let reference = ObjectRef::new(key.name.as_str()).within(key.namespace.as_str());
        let object = self.stores.githosts.get(&reference)?;
        self.hosts.refresh(&object, Some(&self.publisher)).await;
        self.hosts.get(key)
    }

    /// Whether nothing is left undone that an API server which answers again would let be done.
    async fn decide_and_act(
        &self,
        object: &Project,
        project: &policy::Project,
        connected: &Connected,
        facts: &Facts,
        progress: &mut ProjectProgress,
    ) -> bool {
        let Some(before) = self.ended_of(object).await else { return false };
        let Some(held) = self.held_of(object).await else { return false };
        let ended = convert::ended::from_stored(&before);
        let released = object.annotations().get(keys::RELEASE_BRAKE_ANNOTATION);
        let look = Look {
            project,
            connected,
            facts,
            ended: &ended,
            approved_forks: &convert::forks::approved(object),
            released: released.map(String::as_str),
            held: &held,
        };
        let Some(Decided { mut roster, environments }) = self.decide(&look, progress).await else {
            return false;
        };
        progress.absences.clone_from(&roster.absences);
        progress.closures.clone_from(&roster.closures);
        self.remember_ended(object, &before, &mut roster).await;
        self.carry_out((object, project, connected), facts, &environments, &roster, progress)
            .await
    }

    async fn carry_out(
        &self,
        (object, project, connected): (&Project, &policy::Project, &Connected),
        facts: &Facts,
        environments: &[Arc<Member>],
        roster: &Roster,
        progress: &mut ProjectProgress,
    ) -> bool {
        self.count_refusals(facts, roster, progress);
        if !self.take_release(object, facts, roster).await {
            return true;
        }
        let news = self.brakes.learn(object, roster.held.as_ref());
        let is_done = self.act(project, environments, roster).await;
        if let Facts::Listing(listing) = facts {
            self.after_listing(project, connected, listing, roster).await;
        }
        if let Some(brake) = roster.held.as_ref().filter(|_| news > 0) {
            self.announce_brake(object, brake, news).await;
        }
        let number = environments.len() + roster.create.len();
        self.report(object, facts, number, roster).await;
        is_done
    }

    async fn after_listing(&self, project: &policy::Project, connected: &Connected, listing: &Listing, roster: &Roster) {
        self.metrics.sweep(SweepResult::Complete);
        let created = roster.create.iter().map(|wanted| wanted.name.clone());
        self.orphans.forget_named(&project.key, created);
        self.orphans.settle(&self.client, project, &connected.url, listing).await;
    }

    /// Environment objects of the Project, from the watch: what they say of identity never changes, and writes are fenced by UID.
    pub(super) fn environments_of(&self, project: &policy::Project) -> Vec<Arc<Member>> {
        self.stores.members.of(project.key.namespace.as_str(), project.key.name.as_str())
    }

    async fn report(&self, object: &Project, facts: &Facts, environments: usize, roster: &Roster) {
        let mut status = object.status.clone().unwrap_or_default();
        status.repository_id = repository_id(facts).map(|id| id.to_string()).or(status.repository_id);
        status.default_branch = default_branch(facts).or(status.default_branch);
        status.environments = u32::try_from(environments).unwrap_or(u32::MAX);
        if matches!(facts, Facts::Listing(_)) {
            status.skipped = skipped(roster);
        }
        if let Some(brake) = &roster.held {
            let message = brake::message(object, brake);
            return self.write_status(object, status, ("Braked", &message), Standing::Stalled).await;
        }
        let message = synced(environments);
        let status = self.complete(object, status, ("Synced", &message), Standing::Ready);
        // Each push would write it: how many there are, the next listing tells.
        let is_number =
            matches!(facts, Facts::Lookups(_)) && object.status.as_ref().is_some_and(|before| is_all_but_number(before, &status));
        if !is_number {
            self.publish(object, &status).await;
        }
    }

    async fn report_suspended(&self, object: &Project) {
        let status = object.status.clone().unwrap_or_default();
        let message = "spec.suspend is true; environments are neither created nor updated nor retired";
        self.write_status(object, status, ("Suspended", message), Standing::Paused).await;
    }

    pub(super) async fn report_invalid(&self, object: &Project, problems: &[String]) {
        let message = format!("Project {}: {}", object.name_any(), problems.join("; "));
        self.report_problem(object, "InvalidProject", &message).await;
    }

    async fn report_problem(&self, object: &Project, reason: &'static str, message: &str) {
        let status = object.status.clone().unwrap_or_default();
        self.write_status(object, status, (reason, message), Standing::Stalled).await;
    }

    async fn write_status(&self, object: &Project, status: ProjectStatus, told: (&'static str, &str), standing: Standing) {
        let status = self.complete(object, status, told, standing);
        self.publish(object, &status).await;
    }

    /// The status with everything that is told of a Project whatever happened.
    fn complete(
        &self,
        object: &Project,
        mut status: ProjectStatus,
        (reason, message): (&'static str, &str),
        standing: Standing,
    ) -> ProjectStatus {
        let claim = |kind, holds| Claim {
            kind,
            holds: Some(holds),
            reason,
            message,
        };
        let claims = [
            claim("Ready", standing == Standing::Ready),
            claim("Stalled", standing == Standing::Stalled),
        ];
        status.conditions = conditions(&status.conditions, &claims, object.metadata.generation, &Time(Timestamp::now()));
        status.observed_generation = object.metadata.generation;
        status.orphans = self.orphans.listed(object);
        if let Some(ended) = self.ended.known(object) {
            status.ended = ended;
        }
        self.brakes.put_into(object, &mut status);
        status.notifications = convert::notification::remembered(object, Timestamp::now());
        status.bundle = self.stores.policies.of(object).ok().map(|project| project.bundle.label());
        status.message = Some(message.to_owned());
        status
    }

    async fn publish(&self, object: &Project, status: &ProjectStatus) {
        self.orphans.announce(&self.publisher, object, &status.orphans).await;
        // The watch may be behind our own last write; writing the same again costs a request and changes nothing.
        if let Err(error) = self.publisher.status(object, object.status.as_ref(), status).await {
            tracing::warn!(project = %object.name_any(), error = %error.chain(), "could not write the status of a Project");
        }
    }
}

fn synced(environments: usize) -> String {
    format!("the repository was looked at; {environments} environments")
}

fn sweep_result(class: Class) -> SweepResult {
    match class {
        Class::Transient => SweepResult::Transient,
        Class::RateLimited(_) => SweepResult::RateLimited,
        Class::NeedsAttention => SweepResult::NeedsAttention,
    }
}

/// Whether two statuses tell the same but for the number of environments.
fn is_all_but_number(before: &ProjectStatus, after: &ProjectStatus) -> bool {
    without_number(before) == without_number(after)
}

fn without_number(status: &ProjectStatus) -> ProjectStatus {
    let mut status = status.clone();
    status.environments = 0;
    status.message = None;
    for condition in &mut status.conditions {
        condition.message.clear();
    }
    status
}

/// The head of the default branch, if the facts tell it.
fn default_branch(facts: &Facts) -> Option<BranchHead> {
    let head = |name: &BranchName, revision: &Revision| BranchHead {
        name: name.to_string(),
        revision: revision.to_string(),
    };
    match facts {
        Facts::Listing(listing) => {
            let name = listing.repository.default_branch.as_ref()?;
            Some(head(name, listing.branches.get(name)?))
        }
        Facts::Lookups(lookups) => lookups.iter().find_map(|sighted| {
            let lookup = &sighted.lookup;
            let is_default = lookup.repository.default_branch.as_ref() == Some(&lookup.branch);
            is_default.then(|| Some(head(&lookup.branch, lookup.head.as_ref()?))).flatten()
        }),
    }
}

fn repository_id(facts: &Facts) -> Option<&RepositoryId> {
    match facts {
        Facts::Listing(listing) => Some(&listing.repository.id),
        Facts::Lookups(lookups) => lookups.first().map(|sighted| &sighted.lookup.repository.id),
    }
}

/// A status names a few; the reason is the same for most.
const SKIPPED_LENGTH: usize = 20;

fn skipped(roster: &Roster) -> Vec<SkippedBranch> {
    let few = roster.skipped.iter().take(SKIPPED_LENGTH);
    few.map(|skipped| SkippedBranch {
        branch: skipped.branch.to_string(),
        reason: skipped.reason.text().to_owned(),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_news_and_a_number_is_not() {
        let counted = |environments: u32, skipped: usize| {
            let branch = SkippedBranch {
                branch: "main".to_owned(),
                reason: "no".to_owned(),
            };
            ProjectStatus {
                environments,
                message: Some(format!("{environments} environments")),
                skipped: vec![branch; skipped],
                ..ProjectStatus::default()
            }
        };
        assert!(is_all_but_number(&counted(1, 0), &counted(2, 0)));
        assert!(!is_all_but_number(&counted(1, 0), &counted(2, 1)));
    }
}
