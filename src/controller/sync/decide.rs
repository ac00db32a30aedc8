//! From facts to a roster, with whatever the pure rule says that it lacks.

use std::sync::Arc;

use futures::{StreamExt, stream};
use jiff::Timestamp;

use super::{ProjectProgress, Sync, uptime};
use crate::cluster::environments;
use crate::cluster::error::chain;
use crate::controller::hosts::Connected;
use crate::controller::stores::{Member, existing_of};
use crate::domain::git::{BranchName, Revision};
use crate::domain::policy;
use crate::domain::roster::{self, ApprovedForks, Ended, Facts, Held, Question, Roster};
use crate::metrics::HostOperation;

/// So many pull requests of one Project are asked for their paths at the same time.
const CONCURRENT_PATHS: usize = 4;

/// What one look at a Project is about.
pub(super) struct Look<'a> {
    pub(super) project: &'a policy::Project,
    pub(super) connected: &'a Connected,
    pub(super) facts: &'a Facts,
    pub(super) ended: &'a [Ended],
    pub(super) approved_forks: &'a ApprovedForks,
    pub(super) released: Option<&'a str>,
    pub(super) held: &'a Held,
}

/// What was decided, and over which environments.
pub(super) struct Decided {
    pub(super) roster: Roster,
    pub(super) environments: Vec<Arc<Member>>,
}

impl Sync {
    /// `None`: something could not be read, and nothing is decided.
    pub(super) async fn decide(&self, look: &Look<'_>, progress: &mut ProjectProgress) -> Option<Decided> {
        let mut environments = self.environments_of(look.project);
        let server_time = self.server_time(look.project, &environments).await;
        let (mut roster, unknown) = look.ask(&self.settings, &environments, server_time, progress);
        if !unknown.is_empty() {
            self.ask_paths(look, unknown, progress).await;
            (roster, _) = look.ask(&self.settings, &environments, server_time, progress);
        }
        if look.project.max_environments.is_some() && !roster.create.is_empty() {
            // The watch may be behind what was just created, and that counts.
            match environments::list(self.client.clone(), &look.project.key).await {
                Ok(fresh) => environments = fresh.into_iter().map(Arc::new).map(Member::new).map(Arc::new).collect(),
                Err(error) => {
                    tracing::warn!(project = %look.project.key, error = %error.chain(), "nothing is decided; the next look tries again");
                    return None;
                }
            }
            (roster, _) = look.ask(&self.settings, &environments, server_time, progress);
        }
        Some(Decided { roster, environments })
    }

    /// Asks which paths pull requests change. An answer holds for as long as the pull request is as it is; none means that anything may
    /// have changed.
    async fn ask_paths(&self, look: &Look<'_>, unknown: Vec<(String, Revision)>, progress: &mut ProjectProgress) {
        let asked = unknown.into_iter().map(|place| async move {
            let Ok(base) = place.0.parse::<BranchName>() else {
                return (place, None);
            };
            let host = &look.connected.host;
            let answer = host.changed_paths(&look.project.repository, &base, &place.1).await;
            self.count_host_call(HostOperation::Lookup, &answer);
            let told = answer.inspect_err(|error| {
                tracing::warn!(project = %look.project.key, revision = place.1.short(), error = %chain(error), "what a pull request changes is not known, so it gets an environment");
            });
            (place, told.ok().flatten())
        });
        let answers: Vec<_> = stream::iter(asked).buffer_unordered(CONCURRENT_PATHS).collect().await;
        progress.changed_paths.extend(answers);
    }
}

impl Look<'_> {
    /// What follows from the facts, and what is not known of changed paths.
    fn ask(
        &self,
        settings: &crate::controller::settings::Settings,
        environments: &[Arc<Member>],
        server_time: Option<Timestamp>,
        progress: &mut ProjectProgress,
    ) -> (Roster, Vec<(String, Revision)>) {
        let existing = existing_of(environments);
        if let Facts::Listing(listing) = self.facts {
            let is_open = |(base, head): &(String, Revision)| {
                let same = |pull: &crate::domain::git::PullRequest| pull.base == *base && listing.branches.get(&pull.head) == Some(head);
                listing.pull_requests.iter().any(same)
            };
            progress.changed_paths.retain(|place, _| is_open(place));
        }
        let question = Question {
            project: self.project,
            host_url: &self.connected.url,
            facts: self.facts,
            existing: &existing,
            absences: &progress.absences,
            now: uptime(),
            confirmation: settings.absence_confirmation,
            released: self.released,
            held: Some(self.held),
            ended: self.ended,
            closures: &progress.closures,
            changed_paths: &progress.changed_paths,
            approved_forks: self.approved_forks,
            tells_pull_requests: self.connected.tells_pull_requests,
            server_time,
        };
        let roster = roster::decide(&question);
        let unknown = roster.unknown_paths(&question);
        (roster, unknown)
    }
}
