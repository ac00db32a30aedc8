//! The brake as people meet it: what it holds, across looks, restarts and watches that are behind, and the release that is used once.
//!
//! What is held is part of the Project's status. Each write of that takes it from here, and never from an object that a watch has shown.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, Resource, ResourceExt};

use super::{ProjectProgress, Sync};
use crate::api::convert;
use crate::api::keys;
use crate::api::project::{Brake as StoredBrake, Project, ProjectStatus};
use crate::cluster::environments;
use crate::cluster::error::chain;
use crate::cluster::publish::Announcement;
use crate::domain::roster::{Brake, Facts, Held, Roster, SkipReason};
use crate::metrics::Refusal;

/// What the brake of each Project holds, by the Project's UID.
#[derive(Debug, Default)]
pub struct BrakeMemory(Mutex<HashMap<String, Remembered>>);

/// What one brake holds.
#[derive(Debug, Clone, Default)]
struct Remembered {
    held: Held,
    stored: Option<StoredBrake>,
}

/// So many branches of a brake are named in an Event.
const TOLD: usize = 10;

impl BrakeMemory {
    /// Remembers what is held from now on, and answers how many were not held before.
    pub(super) fn learn(&self, object: &Project, brake: Option<&Brake>) -> usize {
        let before = self.known(object).unwrap_or_default();
        let Some(brake) = brake else {
            self.set(object, Remembered::default());
            return 0;
        };
        let since = before.stored.and_then(|stored| stored.since);
        // As the API server writes times.
        let now = || Time(Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default());
        self.set(
            object,
            Remembered {
                held: Held::from(brake),
                stored: Some(convert::brake::to_stored(brake, since.unwrap_or_else(now))),
            },
        );
        before.held.news(brake)
    }

    /// Has a status say what is held, unless nobody has looked yet.
    pub(super) fn put_into(&self, object: &Project, status: &mut ProjectStatus) {
        if let Some(known) = self.known(object) {
            status.brake = known.stored;
        }
    }

    fn begin(&self, object: &Project, stored: Option<StoredBrake>) -> Held {
        let held = stored.as_ref().map(convert::brake::from_stored).unwrap_or_default();
        let remembered = Remembered {
            held: held.clone(),
            stored,
        };
        self.set(object, remembered);
        held
    }

    fn known(&self, object: &Project) -> Option<Remembered> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&object.uid()?).cloned()
    }

    fn set(&self, object: &Project, remembered: Remembered) {
        if let Some(uid) = object.uid() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, remembered);
        }
    }
}

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
        // What it names is held, but not everything is proven again yet, such as after a restart.
        let awaits_proof = roster.held.as_ref().is_some_and(|brake| brake.digest == *digest);
        if roster.released.is_none() && (!is_stale || awaits_proof) {
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
                    brake.count,
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

    /// What the brake of a Project holds, the first time read from the API server itself: a watch may be behind what another process wrote
    /// before its end. `None`: it could not be read, and nothing may be decided, or what is held could go.
    pub(super) async fn held_of(&self, object: &Project) -> Option<Held> {
        if let Some(known) = self.brakes.known(object) {
            return Some(known.held);
        }
        let api: Api<Project> = Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default());
        match api.get_opt(&object.name_any()).await {
            Ok(fresh) => {
                let fresh = fresh.filter(|fresh| fresh.uid() == object.uid());
                Some(self.brakes.begin(object, fresh.and_then(|fresh| fresh.status?.brake)))
            }
            Err(error) => {
                tracing::warn!(project = %object.name_any(), error = %chain(&error), "nothing is decided; the next look tries again");
                None
            }
        }
    }

    /// Counts and tells environments that were not held before.
    pub(super) async fn announce_brake(&self, object: &Project, brake: &Brake, news: usize) {
        self.metrics.braked(news);
        let announcement = Announcement {
            reason: "Braked",
            warning: true,
            note: format!("{}; branches: {}", message(object, brake), branches(brake)),
        };
        self.publisher.announce(&object.object_ref(&()), &announcement).await;
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

/// One sentence on what is held.
pub(super) fn message(object: &Project, brake: &Brake) -> String {
    let (project, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
    format!(
        "too many environments would have been removed or put to rest at once; {} are held until their branches are seen again, or until somebody \
         runs: graftling project release-brake {project} -n {namespace}, or: kubectl annotate project {project} -n {namespace} {}={} --overwrite",
        brake.count,
        keys::RELEASE_BRAKE_ANNOTATION,
        brake.digest
    )
}

fn refusal(reason: SkipReason) -> Option<Refusal> {
    match reason {
        SkipReason::Protected => Some(Refusal::ProtectedBranch),
        SkipReason::NameTaken => Some(Refusal::NameTaken),
        SkipReason::Excluded
        | SkipReason::NotIncluded
        | SkipReason::NoPullRequest
        | SkipReason::Filtered(_)
        | SkipReason::NoWatchedPath
        | SkipReason::AwaitingApproval
        | SkipReason::AtCapacity
        | SkipReason::BeingTornDown
        | SkipReason::Expired
        | SkipReason::Requested
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
        Some(brake) => format!(": {} are held under {}", brake.count, brake.digest),
        None => String::new(),
    }
}
