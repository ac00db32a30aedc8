//! How the stages of a run stand: the objects that they apply, their Jobs, and what they ask of the outside.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Reconciler, Site, Work};
use crate::api::convert::environment::Identity;
use crate::cluster;
use crate::controller::errands::{Around, Asker, Looked, Place};
use crate::domain::bundle::pipeline::{Action, Stage};
use crate::domain::inventory::Inventory;
use crate::domain::outcome::Outcome;
use crate::domain::plan::{Observed, Plan};
use crate::domain::run::{Progress, StageState, apply_progress};
use crate::domain::stage::{Settings, with_outputs};

/// What a turn of a pass came to in the cluster.
pub(super) struct Seen<'a> {
    pub(super) plan: &'a Plan,
    pub(super) outcomes: &'a [Outcome],
    pub(super) observed: &'a Observed,
    pub(super) inventory: &'a Inventory,
}

/// How a stage stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) progress: Progress,
    /// The streak that is to be kept.
    pub(super) streak: Option<i32>,
    /// When to look again although nothing happens.
    pub(super) again: Option<Duration>,
}

impl Reconciler {
    /// What is known of the stages that are under way, and of those that may heal. Takes new streaks into the run.
    pub(super) async fn progress(
        &self,
        site: &Site<'_>,
        work: &mut Work,
        seen: &Seen<'_>,
    ) -> Result<BTreeMap<String, Progress>, cluster::Error> {
        let mut progress = BTreeMap::new();
        work.again = None;
        for stage in work.staged.stages.clone() {
            let Some(own) = work.run.stage(&stage.name) else { continue };
            let heals = own.state == StageState::Failed && matches!(stage.action, Action::Apply(_));
            if own.state != StageState::Running && !heals {
                continue;
            }
            let standing = self.standing(site, work, &stage, seen).await?;
            work.again = [work.again, standing.again].into_iter().flatten().min();
            if let Some(streak) = standing.streak {
                work.run.keep_streak(&stage.name, streak);
            }
            progress.insert(stage.name.clone(), standing.progress);
        }
        Ok(progress)
    }

    async fn standing(&self, site: &Site<'_>, work: &Work, stage: &Stage, seen: &Seen<'_>) -> Result<Standing, cluster::Error> {
        if matches!(stage.action, Action::Apply(_)) {
            let objects = work.staged.objects.get(&stage.name).map(Vec::as_slice).unwrap_or_default();
            return Ok(apply_progress(objects, seen.plan, seen.outcomes).into());
        }
        let settings = match with_outputs(&stage.action, &work.run.outputs()) {
            Ok(settings) => settings,
            Err(problems) => return Ok(unable(&problems.join("; "))),
        };
        match settings {
            Settings::Apply => Ok(unable("it applies nothing")),
            Settings::Job(_) | Settings::Steps(_) => self.job_standing(site, work, stage, (&settings, seen)).await,
            Settings::Check(check) => Ok(self.ask(site, work, stage, |place| self.errands.check(place, &check))),
            Settings::Webhook(webhook) => Ok(self.ask(site, work, stage, |place| self.errands.webhook(place, &webhook))),
            Settings::Wait(wait) => Ok(self.ask(site, work, stage, |place| self.errands.wait(place, &wait))),
            Settings::Approve(approve) => Ok(self.approval_standing(site, work, stage, &approve).await),
            Settings::Resource(resource) => self.resource_standing(site, work, stage, (&resource, seen)).await,
        }
    }

    pub(super) fn ask(&self, site: &Site<'_>, work: &Work, stage: &Stage, look: impl FnOnce(&Place<'_>) -> Looked) -> Standing {
        let Some(own) = work.run.stage(&stage.name) else {
            return unable("it is not of this run");
        };
        let asker = Asker {
            namespace: site.identity.project.namespace.to_string(),
            name: site.identity.name.to_string(),
            uid: site.identity.uid.clone(),
            project: site.identity.project.name.to_string(),
        };
        // What is asked is about the commit of the run, which need not be what is wished by now.
        let identity = Identity {
            revision: work.run.revision.parse().unwrap_or_else(|_| site.identity.revision.clone()),
            ..site.identity.clone()
        };
        let around = Around::new(&identity, &site.wish.project, &site.desired.addresses, work.run.number);
        let Looked { progress, streak, again } = look(&Place {
            asker: &asker,
            run: work.run.number,
            stage: own,
            around: &around,
        });
        Standing {
            progress,
            streak: Some(streak),
            again: Some(again),
        }
    }
}

/// A stage that cannot be carried out as it is written.
pub(super) fn unable(why: &str) -> Standing {
    Progress::Failed {
        message: why.to_owned(),
        retry: false,
    }
    .into()
}

impl From<Progress> for Standing {
    fn from(progress: Progress) -> Self {
        Self {
            progress,
            streak: None,
            again: None,
        }
    }
}
