//! What a replica without the lead does with its hints: it leaves them on the Project, where the leader sees them.
//!
//! Losing one costs at most one sweep, so the annotation holds only the last.

use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;

use super::hosts::Hosts;
use super::inbox::{Inbox, PendingComment, PendingHint};
use super::settings::Scope;
use super::stores::{Change, Stores};
use crate::api::{Project, keys};
use crate::cluster::error::chain;
use crate::domain::event::{CommentHint, DeliveryId, Happening, Hint, RepositoryHint};
use crate::domain::git::BranchName;
use crate::domain::name::GitHostKey;

/// A replica that follows.
pub struct Relay {
    /// Writes the annotation.
    pub client: Client,
    /// Connections to Git hosts: followed so that endpoints are open.
    pub hosts: Hosts,
    /// Our custom resources.
    pub stores: Stores,
    /// Hints to pass on.
    pub inbox: Inbox,
    /// Which namespaces are served.
    pub scope: Scope,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Relayed {
    host_namespace: String,
    host: String,
    repository: String,
    repository_id: Option<String>,
    branch: String,
    deleted: bool,
    at: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RelayedComment {
    host_namespace: String,
    host: String,
    repository: String,
    repository_id: Option<String>,
    pull_request: u64,
    comment: u64,
}

/// A rotated webhook secret is taken up by followers as well.
const SECRETS: Duration = Duration::from_secs(60);

impl Relay {
    /// Keeps endpoints open and passes hints on, until dropped: this replica leads then.
    pub async fn run(&self, changes: &mut mpsc::Receiver<Change>) {
        let mut secrets = tokio::time::interval(SECRETS);
        loop {
            tokio::select! {
                change = changes.recv() => match change {
                    Some(Change::GitHost(object)) => self.hosts.refresh(&object, None).await,
                    Some(Change::GitHostGone(object)) => self.hosts.remove(&object),
                    Some(_) => {}
                    None => return,
                },
                hints = self.inbox.take() => {
                    for hint in hints {
                        self.pass_on(&hint).await;
                    }
                }
                comments = self.inbox.take_comments() => {
                    for comment in comments {
                        self.pass_comment_on(&comment).await;
                    }
                }
                _ = secrets.tick() => self.refresh_hosts().await,
            }
        }
    }

    async fn refresh_hosts(&self) {
        for object in self.stores.githosts.state() {
            if self.scope.contains(object.namespace().as_deref()) {
                self.hosts.refresh(&object, None).await;
            }
        }
    }

    async fn pass_on(&self, hint: &PendingHint) {
        for project in self.stores.projects_of(&hint.host, &hint.repository) {
            if let Err(error) = self.annotate(&project, hint).await {
                tracing::warn!(project = %project.name_any(), error = %chain(&error), "could not pass a hint on; the next sweep finds what it was about");
            }
        }
    }

    async fn pass_comment_on(&self, comment: &PendingComment) {
        for project in self.stores.projects_of(&comment.host, &comment.hint.repository) {
            if let Err(error) = self.annotate_comment(&project, comment).await {
                tracing::warn!(project = %project.name_any(), error = %chain(&error), "could not pass a comment on; whoever wrote it has to write it again");
            }
        }
    }

    async fn annotate_comment(&self, project: &Project, comment: &PendingComment) -> Result<(), kube::Error> {
        let relayed = RelayedComment {
            host_namespace: comment.host.namespace.to_string(),
            host: comment.host.name.to_string(),
            repository: comment.hint.repository.name.to_string(),
            repository_id: comment.hint.repository.id.as_ref().map(ToString::to_string),
            pull_request: comment.hint.pull_request,
            comment: comment.hint.comment,
        };
        let text = serde_json::to_string(&relayed).map_err(kube::Error::SerdeError)?;
        self.write(project, keys::COMMENT_HINT_ANNOTATION, &text).await
    }

    async fn annotate(&self, project: &Project, hint: &PendingHint) -> Result<(), kube::Error> {
        let relayed = Relayed {
            host_namespace: hint.host.namespace.to_string(),
            host: hint.host.name.to_string(),
            repository: hint.repository.name.to_string(),
            repository_id: hint.repository.id.as_ref().map(ToString::to_string),
            branch: hint.branch.to_string(),
            deleted: hint.deletion_announced,
            at: Timestamp::now().to_string(),
        };
        let text = serde_json::to_string(&relayed).map_err(kube::Error::SerdeError)?;
        self.write(project, keys::HINT_ANNOTATION, &text).await
    }

    async fn write(&self, project: &Project, key: &str, text: &str) -> Result<(), kube::Error> {
        let api: Api<Project> = Api::namespaced(self.client.clone(), &project.namespace().unwrap_or_default());
        let patch = json!({ "metadata": { "annotations": { (key): text } } });
        let name = project.name_any();
        api.patch_metadata(&name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        Ok(())
    }
}

/// Reads a relayed hint; `None` for anything else that somebody wrote there.
pub(super) fn read(text: &str) -> Option<Hint> {
    let relayed: Relayed = serde_json::from_str(text).ok()?;
    Some(Hint {
        host: GitHostKey {
            namespace: relayed.host_namespace.parse().ok()?,
            name: relayed.host.parse().ok()?,
        },
        repository: RepositoryHint {
            id: relayed.repository_id.and_then(|id| id.parse().ok()),
            name: relayed.repository.parse().ok()?,
        },
        branch: BranchName::from_stored(&relayed.branch).ok()?,
        happening: if relayed.deleted {
            Happening::BranchDeleted
        } else {
            Happening::BranchPushed
        },
        delivery: DeliveryId::from_untrusted("relayed"),
    })
}

/// Reads a relayed comment; `None` for anything else that somebody wrote there.
pub(super) fn read_comment(text: &str) -> Option<PendingComment> {
    let relayed: RelayedComment = serde_json::from_str(text).ok()?;
    Some(PendingComment {
        host: GitHostKey {
            namespace: relayed.host_namespace.parse().ok()?,
            name: relayed.host.parse().ok()?,
        },
        hint: CommentHint {
            repository: RepositoryHint {
                id: relayed.repository_id.and_then(|id| id.parse().ok()),
                name: relayed.repository.parse().ok()?,
            },
            pull_request: relayed.pull_request,
            comment: relayed.comment,
        },
    })
}
