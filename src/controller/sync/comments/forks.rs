//! The approval of a commit of a pull request from a fork: judged against what the host shows, recorded on the Project, acted on.

use jiff::Timestamp;
use kube::Resource;

use super::super::project::Sighting;
use super::super::{ProjectProgress, Sync};
use super::Heard;
use crate::api::Project;
use crate::api::convert::forks::ForkApproval;
use crate::cluster::comments;
use crate::cluster::error::chain;
use crate::cluster::publish::Announcement;
use crate::domain::comment::{self, Approves, Wish};
use crate::domain::git::Revision;
use crate::domain::policy::{self, Forks};
use crate::domain::run::approval::Verdict;

impl Sync {
    /// Takes a word of approval for one on a fork's commit, if the pull request comes from a fork. Whether it was.
    pub(super) async fn approve_fork(&self, object: &Project, project: &policy::Project, heard: &Heard, has_environment: bool) -> bool {
        let Wish::Judge(command) = &heard.wish else { return false };
        if project.forks == Forks::Ignore || command.verdict == Verdict::Rejected {
            return false;
        }
        let prefix = command.stage.as_deref().and_then(comment::as_commit);
        // The name of a stage, or a word on the only one that waits.
        if prefix.is_none() && (command.stage.is_some() || has_environment) {
            return false;
        }
        let now = Timestamp::now();
        if let Err(reason) = comment::heard(&heard.comment, heard.permission, now) {
            tracing::info!(project = %project.key, comment = heard.comment.id, %reason, "a comment approves nothing");
            return prefix.is_some();
        }
        let Some(head) = self.fork_head(project, heard.comment.pull_request).await else {
            return false;
        };
        let progress = self.progress.of(&project.key);
        let mut progress = progress.lock().await;
        match comments::take(self.client.clone(), object, heard.comment.id, now).await {
            Ok(true) => {}
            Ok(false) => return true,
            Err(error) => {
                tracing::warn!(project = %project.key, error = %error.chain(), "an approval could not be taken down; whoever wrote it has to write it again");
                return true;
            }
        }
        let answer = match comment::approves(prefix, &head) {
            Approves::Nothing(why) => why,
            Approves::Commit(revision) => self.record_approval(object, heard, revision, &mut progress).await,
        };
        drop(progress);
        self.reply(project, heard, &answer).await;
        true
    }

    /// The head of a pull request from a fork, as the host shows it now.
    async fn fork_head(&self, project: &policy::Project, number: u64) -> Option<Revision> {
        let connected = self.connected(&project.host).await?;
        match connected.host.listing(&project.repository).await {
            Ok(listing) => {
                let pull = listing.pull_requests.into_iter().find(|pull| pull.number == number)?;
                pull.fork.map(|fork| fork.revision)
            }
            Err(error) => {
                tracing::warn!(project = %project.key, error = %chain(&error), "what a comment approves could not be read");
                None
            }
        }
    }

    /// The record comes first: what is shown is always what somebody approved.
    async fn record_approval(&self, object: &Project, heard: &Heard, revision: Revision, progress: &mut ProjectProgress) -> String {
        let number = heard.comment.pull_request;
        let approval = ForkApproval {
            pull_request: number,
            by: heard.comment.author.clone().unwrap_or_default(),
            at: Timestamp::now(),
            comment: Some(heard.comment.id),
            revision: revision.clone(),
        };
        let fresh = match comments::approve_fork(self.client.clone(), object, &approval).await {
            Ok(Some(fresh)) => fresh,
            Ok(None) => return "the Project is gone".to_owned(),
            Err(error) => return format!("this could not be recorded, so write it again: {}", error.chain()),
        };
        let announcement = Announcement {
            reason: "ForkApproved",
            warning: false,
            note: format!(
                "{} approved commit {revision} of pull request {number} from a fork, by comment {}",
                approval.by, heard.comment.id
            ),
        };
        tracing::info!(by = approval.by, number, %revision, "a commit of a fork was approved");
        self.publisher.announce(&fresh.object_ref(&()), &announcement).await;
        if let Some(project) = self.valid(&fresh) {
            self.look(&fresh, &project, Sighting::Everything, progress).await;
        }
        format!(
            "commit {} of this pull request gets an environment; a push needs another approval",
            revision.short()
        )
    }
}
