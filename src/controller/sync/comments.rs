//! Comments on pull requests that ask for something: read at the host, judged, and carried out.
//!
//! Words on a stage go into the Environment here; orders about an environment as a whole are in `orders`, what is answered in
//! `reply`, and `forks` has the approval of a fork's commit.

mod forks;
mod orders;
mod reply;

use std::sync::Arc;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Resource, ResourceExt};

use super::Sync;
use crate::api::Environment;
use crate::api::convert;
use crate::cluster::publish::{Announcement, is_conflict};
use crate::cluster::{self, approvals, environments};
use crate::controller::inbox::PendingComment;
use crate::domain::comment::{self, Command, Comment, Permission, Wish};
use crate::domain::event::CommentHint;
use crate::domain::policy;
use crate::domain::run::approval::Verdict;
use crate::githost;

/// So many comments are read at the same time.
const CONCURRENT_READS: usize = 4;

/// Every write in between costs a try: mostly those of a status.
const TRIES: usize = 5;

/// What the host says of a comment.
struct Heard {
    comment: Comment,
    wish: Wish,
    permission: Permission,
}

/// What came of a comment on one environment.
enum Effect {
    /// It was taken down.
    Written(Verdict),
    /// It was taken down before.
    Known,
    /// It has none, for this reason in a word and in a sentence.
    None(&'static str, String),
}

/// The reason of what could not be read or written.
const UNREAD: &str = "CommentNotRead";

impl Sync {
    /// Reads comments until the inbox is closed.
    pub(super) async fn serve_comments(self: Arc<Self>) {
        loop {
            let comments = self.inbox.take_comments().await;
            if comments.is_empty() {
                return;
            }
            let read = |comment: PendingComment| {
                let sync = self.clone();
                async move { sync.read_comment(&comment).await }
            };
            stream::iter(comments).for_each_concurrent(CONCURRENT_READS, read).await;
        }
    }

    async fn read_comment(&self, pending: &PendingComment) {
        for object in self.stores.projects_of(&pending.host, &pending.hint.repository) {
            let Some(project) = self.valid(&object).filter(|project| !project.suspended) else {
                continue;
            };
            let number = i64::try_from(pending.hint.pull_request).ok();
            let mut environments = self.environments_of(&project);
            environments.retain(|environment| environment.spec.pull_request.as_ref().map(|pull| pull.number) == number);
            let heard = self.hear(&project, &pending.hint).await;
            if let Ok(Some(heard)) = &heard {
                self.refuse_once(&project, heard).await;
                if let Wish::Order(order) = heard.wish {
                    self.obey(&object, &project, heard, order).await;
                    continue;
                }
                if self.approve_fork(&object, &project, heard, !environments.is_empty()).await {
                    continue;
                }
            }
            for environment in environments {
                match &heard {
                    Ok(Some(heard)) => self.take_down(&project, &environment, heard).await,
                    Ok(None) => {}
                    Err(error) => {
                        let reason = format!("it could not be read, so write it again: {}", cluster::error::chain(error));
                        self.tell(&environment, pending.hint.comment, &Effect::None(UNREAD, reason)).await;
                    }
                }
            }
        }
    }

    /// What the host says now; `None` if that is no command on this pull request.
    async fn hear(&self, project: &policy::Project, hint: &CommentHint) -> Result<Option<Heard>, githost::Error> {
        let Some(connected) = self.connected(&project.host).await else {
            return Err(githost::Error::Misconfigured {
                problem: format!("GitHost {} does not exist or is not ready", project.host.name),
            });
        };
        let asked = connected.host.comment(&project.repository, hint.pull_request, hint.comment);
        let Some(comment) = asked.await? else {
            return Ok(None);
        };
        let wish = comment::wish(&comment.body).filter(|_| comment.pull_request == hint.pull_request);
        let Some(wish) = wish else { return Ok(None) };
        let permission = match &comment.author {
            Some(author) if !comment.automated => connected.host.permission(&project.repository, author).await?,
            _ => Permission::None,
        };
        Ok(Some(Heard { comment, wish, permission }))
    }

    async fn take_down(&self, project: &policy::Project, environment: &Environment, heard: &Heard) {
        let Wish::Judge(command) = &heard.wish else { return };
        let mut tries = TRIES;
        let effect = loop {
            tries -= 1;
            match self.try_to_take_down(project, environment, heard, command).await {
                Err(error) if is_conflict(&error) && tries > 0 => {}
                Ok(effect) => break effect,
                Err(error) => break Effect::None(UNREAD, format!("it could not be taken down, so write it again: {}", error.chain())),
            }
        };
        self.tell(environment, heard.comment.id, &effect).await;
    }

    async fn try_to_take_down(
        &self,
        project: &policy::Project,
        environment: &Environment,
        heard: &Heard,
        command: &Command,
    ) -> Result<Effect, cluster::Error> {
        let Ok(identity) = convert::environment::identity(environment) else {
            return Ok(Effect::None(UNREAD, "the Environment cannot be understood".to_owned()));
        };
        // The watch may be behind the question.
        let fresh = environments::read(self.client.clone(), &project.key, &identity.name).await?;
        let Some(fresh) = fresh.filter(|fresh| fresh.uid() == environment.uid()) else {
            return Ok(Effect::None(UNREAD, "the environment is gone".to_owned()));
        };
        let waiting = convert::requests::waiting(fresh.status.as_ref());
        let approval = match comment::judge(&heard.comment, command, heard.permission, &waiting) {
            Ok(approval) => approval,
            Err(reason) => return Ok(Effect::None(reason.reason(), reason.to_string())),
        };
        let written = approvals::write(self.client.clone(), &fresh, &approval, &Time(Timestamp::now())).await?;
        Ok(match written {
            true => Effect::Written(approval.verdict),
            false => Effect::Known,
        })
    }

    /// An Event says what a comment led to: its author looks at the pull request, and others may wonder.
    async fn tell(&self, environment: &Environment, comment: u64, effect: &Effect) {
        let (reason, warning, what) = match effect {
            Effect::Written(Verdict::Approved) => ("CommentApproves", false, "approves".to_owned()),
            Effect::Written(Verdict::Rejected) => ("CommentRejects", false, "rejects".to_owned()),
            Effect::Known => return,
            Effect::None(reason, why) => (*reason, true, format!("has no effect: {why}")),
        };
        let number = environment.spec.pull_request.as_ref().map(|pull| pull.number).unwrap_or_default();
        let note = format!("comment {comment} of pull request {number} {what}");
        tracing::info!(environment = %environment.name_any(), note, "a comment was read");
        let announcement = Announcement { reason, warning, note };
        self.publisher.announce(&environment.object_ref(&()), &announcement).await;
    }
}
