//! Objects that somebody changes back each time: held back, counted, and told.

use std::time::Duration;

use super::Reconciler;
use super::run::Site;
use crate::api::keys;
use crate::domain::inventory::{Inventory, Stage};
use crate::domain::outcome::Outcome;
use crate::domain::plan::Plan;
use crate::domain::plan::drift::Held;
use crate::domain::status::{Phase, Report, StageState, shorten};
use crate::domain::why::Class;

/// What the answer to a write shows undone is looked at again after this time: a Secret is not watched.
const UNDONE: Duration = Duration::from_secs(1);

impl Reconciler {
    /// Takes out of the plan what was put right in vain a few times, a short time ago.
    pub(super) fn hold_loops(&self, site: &Site<'_>, plan: &mut Plan, inventory: &Inventory) -> Vec<Held> {
        self.diagnoses
            .loops(&site.identity.uid, |loops| loops.hold(plan, inventory, site.now))
    }

    /// Counts what was put right, over what `inventory` said before; when to look again, if something of it is undone already.
    pub(super) fn count_loops(&self, site: &Site<'_>, plan: &Plan, inventory: &Inventory, outcomes: &[Outcome]) -> Option<Duration> {
        let is_undone = self
            .diagnoses
            .loops(&site.identity.uid, |loops| loops.record(plan, inventory, outcomes, site.now));
        is_undone.then_some(UNDONE)
    }

    /// The report with what is held back. A failure of something else is told first: it may be the cause.
    pub(super) async fn loops_told(&self, site: &Site<'_>, held: &[Held], mut report: Report) -> Report {
        let Some(first) = held.first() else { return report };
        if report.phase == Phase::Failed {
            return report;
        }
        let told = match &first.told {
            Some(told) => told.clone(),
            None => self.look_at_loop(site, first).await,
        };
        let more = match held.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let message = shorten(&format!("{told}{more}"));
        for stage in report.stages.iter_mut().filter(|stage| stage.stage == first.stage) {
            stage.state = StageState::Failed;
            stage.message = Some(message.clone());
        }
        let wait = first.until.duration_since(site.now);
        Report {
            phase: Phase::Failed,
            reason: Class::DriftLoop.name(),
            message,
            again: Some(Duration::try_from(wait).unwrap_or_default().max(Duration::from_secs(1))),
            ..report
        }
    }

    /// Looks once in a pause, not with each pass: who changes an object all the time wakes its environment all the time.
    async fn look_at_loop(&self, site: &Site<'_>, held: &Held) -> String {
        let client = match held.stage {
            Stage::Namespace | Stage::Guardrails => Ok(self.observer.connection.controller()),
            Stage::Deploy => self.observer.connection.deployer(site.deployer),
        };
        let live = match client {
            Ok(client) => self.observer.read_whole(client, &held.manifest.key).await.ok().flatten(),
            Err(_) => None,
        };
        let told = held.sentence(live.as_ref(), keys::FIELD_MANAGER);
        self.diagnoses
            .loops(&site.identity.uid, |loops| loops.tell(&held.manifest.key, &told));
        told
    }
}
