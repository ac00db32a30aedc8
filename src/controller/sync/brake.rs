//! The brake as people meet it: what it holds, and the release that is used once.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Resource, ResourceExt};

use super::{ProjectProgress, Sync};
use crate::api::keys;
use crate::api::project::{Brake as StoredBrake, Project};
use crate::cluster::environments;
use crate::cluster::publish::Announcement;
use crate::domain::roster::{Brake, Facts, Roster, SkipReason};
use crate::metrics::Refusal;

/// So many environments of a brake are named in a status.
const NAMED: usize = 200;
/// So many branches of a brake are named in an Event.
const TOLD: usize = 10;

impl Sync {
    /// Takes the release of the brake off the Project before it is acted on, so that it can never release anything a second time; also
    /// where it names what is not held. Whether the roster may be acted on.
    ///
    /// Crashing after this costs another release. The other way round, an outage could later remove the same environments unasked.
    pub(super) async fn take_release(&self, object: &Project, facts: &Facts, roster: &Roster) -> bool {
        let Some(digest) = object.annotations().get(keys::RELEASE_BRAKE_ANNOTATION) else {
            return true;
        };
        let is_stale = roster.released.is_none() && matches!(facts, Facts::Listing(_)) && roster.is_decided();
        if roster.released.is_none() && !is_stale {
            return true;
        }
        match environments::take_release(self.client.clone(), object, digest).await {
            Ok(true) => {}
            // The watch is behind: the release was used before, or is another by now.
            Ok(false) => return roster.released.is_none(),
            Err(error) => {
                tracing::warn!(project = %object.name_any(), error = %error.chain(), "could not take the release of the brake; the next look tries again");
                return roster.released.is_none();
            }
        }
        let announcement = match &roster.released {
            Some(brake) => Announcement {
                reason: "BrakeReleased",
                warning: false,
                note: format!(
                    "somebody released {} environments by {}={digest}; they are removed: {}",
                    brake.environments.len(),
                    keys::RELEASE_BRAKE_ANNOTATION,
                    branches(brake)
                ),
            },
            None => Announcement {
                reason: "BrakeReleaseIgnored",
                warning: true,
                note: format!(
                    "{}={digest} names no environments that are held{}; it was taken off and released nothing",
                    keys::RELEASE_BRAKE_ANNOTATION,
                    held_now(roster)
                ),
            },
        };
        tracing::info!(project = %object.name_any(), reason = announcement.reason, "{}", announcement.note);
        self.publisher.announce(&object.object_ref(&()), &announcement).await;
        true
    }

    /// What the status says of the brake, and one sentence; the first time that it holds these, an Event says so too.
    pub(super) async fn tell_brake(&self, object: &Project, brake: &Brake, progress: &mut ProjectProgress) -> (StoredBrake, String) {
        let before = object.status.as_ref().and_then(|status| status.brake.as_ref());
        let since = progress.braked_since.clone().or_else(|| before?.since.clone());
        // As the API server writes times.
        let now = Time(Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default());
        let since = since.unwrap_or(now);
        progress.braked_since = Some(since.clone());
        let named = |names: &mut dyn Iterator<Item = String>| names.take(NAMED).collect();
        let held = StoredBrake {
            digest: brake.digest.clone(),
            environments: named(&mut brake.environments.iter().map(ToString::to_string)),
            branches: named(&mut brake.branches.iter().map(ToString::to_string)),
            count: u32::try_from(brake.environments.len()).unwrap_or(u32::MAX),
            since: Some(since),
        };
        let (project, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
        let message = format!(
            "{} environments would be removed or put to rest at once; they are held until somebody runs: graftling project release-brake {project} -n {namespace}, \
             or: kubectl annotate project {project} -n {namespace} {}={} --overwrite",
            held.count,
            keys::RELEASE_BRAKE_ANNOTATION,
            held.digest
        );
        if before != Some(&held) {
            self.metrics.braked(brake.environments.len());
            let announcement = Announcement {
                reason: "Braked",
                warning: true,
                note: format!("{message}; branches: {}", branches(brake)),
            };
            self.publisher.announce(&object.object_ref(&()), &announcement).await;
        }
        (held, message)
    }

    /// How many environments the brakes of all Projects in scope hold now.
    pub(super) fn count_held(&self) {
        let projects = self.stores.projects.state();
        let ours = projects
            .iter()
            .filter(|project| self.settings.scope.contains(project.namespace().as_deref()));
        let held = ours.filter_map(|project| project.status.as_ref()?.brake.as_ref());
        self.metrics.held(held.map(|brake| brake.count as usize).sum());
    }

    /// Counts branches that are refused although somebody may count on an environment, each once for as long as it is refused.
    pub(super) fn count_refusals(&self, facts: &Facts, roster: &Roster, progress: &mut ProjectProgress) {
        let refused = roster.skipped.iter().filter_map(|skipped| {
            let refusal = refusal(skipped.reason)?;
            Some((skipped.branch.clone(), refusal))
        });
        let refused: BTreeSet<_> = refused.collect();
        for (branch, refusal) in refused.difference(&progress.refused) {
            tracing::warn!(%branch, reason = refusal.as_str(), "this branch is refused");
            self.metrics.refusal(*refusal);
        }
        match facts {
            Facts::Listing(_) => progress.refused = refused,
            Facts::Lookups(_) => progress.refused.extend(refused),
        }
    }
}

fn refusal(reason: SkipReason) -> Option<Refusal> {
    match reason {
        SkipReason::Protected => Some(Refusal::ProtectedBranch),
        SkipReason::NameTaken => Some(Refusal::NameTaken),
        SkipReason::Excluded
        | SkipReason::NotIncluded
        | SkipReason::AtCapacity
        | SkipReason::BeingTornDown
        | SkipReason::Expired
        | SkipReason::PullRequestClosed
        | SkipReason::TooManyEnded => None,
    }
}

fn branches(brake: &Brake) -> String {
    let named: Vec<_> = brake.branches.iter().take(TOLD).map(ToString::to_string).collect();
    let more = brake.branches.len() - named.len();
    match more {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn held_now(roster: &Roster) -> String {
    match &roster.held {
        Some(brake) => format!(": {} are held under {}", brake.environments.len(), brake.digest),
        None => String::new(),
    }
}
