//! What people push, and what the Git host tells of it.

use jiff::Timestamp;
use serde_json::json;

use super::super::model::Effect;
use super::super::operation::{Branch, Hook, Operation, To};
use super::{Error, Machine};
use crate::subject::{WEBHOOK_SECRET, repository_name};
use crate::webhook;

/// A branch that does not exist, in deliveries.
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// One delivery of a webhook.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    branch: Branch,
    before: String,
    after: String,
}

impl Machine {
    pub(super) async fn git(&mut self, operation: &Operation) -> Result<Effect, Error> {
        self.repository_is_back().await?;
        match operation {
            Operation::Push { branch, to, hook } => self.push(*branch, *to, *hook).await,
            Operation::PushSeveral(branches) => self.push_several(branches).await,
            Operation::Delete(branch, hook) => self.delete(&[*branch], *hook).await,
            Operation::DeleteSeveral(branches) => self.delete(branches, Hook::Delivered).await,
            Operation::Recreate(branch, hook) => self.recreate(*branch, *hook).await,
            Operation::Tag(branch) => {
                let main = self.repository.head("main").map_err(Error::Git)?.unwrap_or_default();
                // A second tag of the same name is refused.
                let _ = tokio::task::block_in_place(|| self.repository.tag(branch.name(), &main));
                Ok(Effect::Aside)
            }
            _ => {
                let old: Vec<_> = self.past.iter().rev().step_by(3).take(3).cloned().collect();
                for delivery in old {
                    self.deliver(&delivery, true).await;
                }
                Ok(Effect::Aside)
            }
        }
    }

    async fn push(&mut self, branch: Branch, to: To, hook: Hook) -> Result<Effect, Error> {
        let before = self.model.head(branch).map(str::to_owned);
        let after = match to {
            To::New => Some(self.commit(branch)?),
            To::Older => self.older(branch)?,
            To::Same => before.clone(),
        };
        let Some(after) = after else { return Ok(Effect::Nothing) };
        self.told(branch, before, Some(after.clone()), hook).await;
        Ok(Effect::Heads(vec![(branch, Some(after))]))
    }

    fn commit(&mut self, branch: Branch) -> Result<String, Error> {
        let file = [("last", self.tally.operations.to_string())];
        let files: Vec<_> = file.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let revision = tokio::task::block_in_place(|| self.repository.commit(branch.name(), &files)).map_err(Error::Git)?;
        self.is_at(branch, &revision);
        Ok(revision)
    }

    fn is_at(&mut self, branch: Branch, revision: &str) {
        self.commits.entry(branch).or_default().push(revision.to_owned());
        self.presence.entry(branch).or_default().push((Timestamp::now(), true));
    }

    /// Moves a branch back by force.
    fn older(&mut self, branch: Branch) -> Result<Option<String>, Error> {
        let head = self.model.head(branch);
        let known = self.commits.get(&branch);
        let other = known
            .and_then(|known| known.iter().rev().find(|commit| Some(commit.as_str()) != head))
            .cloned();
        let Some(older) = other.filter(|_| head.is_some()) else {
            return Ok(None);
        };
        tokio::task::block_in_place(|| self.repository.force_push(branch.name(), &older)).map_err(Error::Git)?;
        self.is_at(branch, &older);
        Ok(Some(older))
    }

    async fn push_several(&mut self, branches: &[Branch]) -> Result<Effect, Error> {
        let text = self.tally.operations.to_string();
        let file = [("last", text.as_str())];
        let commits: Vec<(&str, &[(&str, &str)])> = branches.iter().map(|branch| (branch.name(), &file[..])).collect();
        let revisions = tokio::task::block_in_place(|| self.repository.push_many(&commits)).map_err(Error::Git)?;
        let mut heads = Vec::new();
        for (branch, revision) in branches.iter().zip(revisions) {
            self.is_at(*branch, &revision);
            let before = self.model.head(*branch).map(str::to_owned);
            self.told(*branch, before, Some(revision.clone()), Hook::Delivered).await;
            heads.push((*branch, Some(revision)));
        }
        Ok(Effect::Heads(heads))
    }

    async fn delete(&mut self, branches: &[Branch], hook: Hook) -> Result<Effect, Error> {
        let there: Vec<Branch> = branches
            .iter()
            .copied()
            .filter(|branch| self.model.head(*branch).is_some())
            .collect();
        if there.is_empty() {
            return Ok(Effect::Nothing);
        }
        let names: Vec<&str> = there.iter().map(|branch| branch.name()).collect();
        // Noted before it happens: nothing may be held against a deletion that comes between the two.
        for branch in &there {
            self.presence.entry(*branch).or_default().push((Timestamp::now(), false));
        }
        tokio::task::block_in_place(|| self.repository.delete_branches(&names)).map_err(Error::Git)?;
        for branch in &there {
            let before = self.model.head(*branch).map(str::to_owned);
            self.told(*branch, before, None, hook).await;
        }
        Ok(Effect::Heads(there.into_iter().map(|branch| (branch, None)).collect()))
    }

    async fn recreate(&mut self, branch: Branch, hook: Hook) -> Result<Effect, Error> {
        let gone = self.delete(&[branch], hook).await?;
        let revision = self.commit(branch)?;
        self.told(branch, None, Some(revision.clone()), hook).await;
        let mut heads = match gone {
            Effect::Heads(heads) => heads,
            _ => Vec::new(),
        };
        heads.push((branch, Some(revision)));
        Ok(Effect::Heads(heads))
    }

    /// What becomes of the delivery about a branch that moved.
    async fn told(&mut self, branch: Branch, before: Option<String>, after: Option<String>, hook: Hook) {
        let text = |head: Option<String>| head.unwrap_or_else(|| NOTHING.to_owned());
        let delivery = Delivery {
            branch,
            before: text(before),
            after: text(after),
        };
        match hook {
            Hook::Delivered => self.deliver(&delivery, true).await,
            Hook::Lost => {}
            Hook::Repeated => {
                for _ in 0..3 {
                    self.deliver(&delivery, true).await;
                }
            }
            Hook::Late => self.late.push(delivery.clone()),
            Hook::MisSigned => self.deliver(&delivery, false).await,
        }
        if hook != Hook::Late {
            // What is late arrives after this one, and in the wrong order.
            let late: Vec<_> = self.late.drain(..).rev().collect();
            for delivery in late {
                self.deliver(&delivery, true).await;
            }
        }
        self.past.push(delivery);
    }

    /// What is late arrives now.
    pub(super) async fn deliver_late(&mut self) {
        for delivery in std::mem::take(&mut self.late) {
            self.deliver(&delivery, true).await;
        }
    }

    /// A server that is away loses the delivery, as it would that of a Git host.
    async fn deliver(&mut self, delivery: &Delivery, signed: bool) {
        let Ok(server) = self.subject.server() else { return };
        let body = json!({
            "version": 1,
            "repository": repository_name(&self.repository),
            "updates": [{ "ref": format!("refs/heads/{}", delivery.branch), "before": delivery.before, "after": delivery.after }],
        });
        let body = body.to_string().into_bytes();
        let secret = if signed { WEBHOOK_SECRET } else { "somebody else's" };
        let signature = webhook::signature(secret.as_bytes(), &body);
        let headers = [
            ("content-type", "application/json"),
            ("x-graftling-event", "push"),
            ("x-graftling-delivery", "storm"),
            ("x-graftling-signature-256", signature.as_str()),
        ];
        let url = format!("{}/hooks/{}/git", server.webhook, self.subject.namespace());
        if let Ok(answer) = webhook::post(&url, &headers, body).await
            && !signed
            && answer.status.is_success()
        {
            self.witnessed
                .push(format!("a delivery with a wrong signature was answered with {}", answer.status));
        }
    }
}
