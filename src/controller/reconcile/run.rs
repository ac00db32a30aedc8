//! The run that a pass works on, and how it goes on within the pass.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Reconciler;
use crate::api::convert;
use crate::api::convert::environment::Identity;
use crate::api::environment::{Environment, EnvironmentStatus};
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::controller::desired::{Desired, Wish};
use crate::domain::bundle::pipeline::{Action, Condition, Stage};
use crate::domain::inventory::Inventory;
use crate::domain::outcome::{self, Outcome};
use crate::domain::plan::{Observed, Plan, deploy};
use crate::domain::run::{Progress, Reached, Run, Source, StageState, Staged, Turn, Wished, apply_progress, begin, is_for};
use crate::domain::status::{Report, summarise_deployment, summarise_run};

/// What a pass works on.
pub(super) struct Work {
    /// The run, as far as it has come.
    pub(super) run: Run,
    /// What was rendered for it.
    pub(super) staged: Staged,
    /// What the last good run had, where this one has to put it back.
    pub(super) good: Option<Staged>,
    /// Whether something newer is wished, which waits for this run.
    pub(super) is_outdated: bool,
}

/// Everything that stays the same during a pass.
pub(super) struct Site<'a> {
    pub(super) identity: &'a Identity,
    pub(super) wish: &'a Wish,
    pub(super) desired: &'a Desired,
    pub(super) deployer: &'a Deployer,
    pub(super) now: Timestamp,
}

impl Reconciler {
    /// The run under way, if it is for what is wished or has to end first; else a new one.
    pub(super) async fn work(&self, environment: &Environment, site: &Site<'_>) -> Result<Work, cluster::Error> {
        let staged = site.desired.staged.clone();
        let wished = Wished {
            revision: site.identity.revision.to_string(),
            digest: staged.digest(),
        };
        let stored = convert::run::run(environment.status.as_ref()).unwrap_or_default();
        let work = match stored {
            Some(run) if is_for(&run, &wished) => Work::new(run, staged),
            Some(run) if !run.is_over() => match self.recorded(site, &run).await? {
                Some(own) => Work {
                    is_outdated: true,
                    ..Work::new(run, own)
                },
                None => Work::new(begin(Some(&run), &wished, Source::Bundle, &staged.stages, site.now), staged),
            },
            last => Work::new(begin(last.as_ref(), &wished, Source::Bundle, &staged.stages, site.now), staged),
        };
        Ok(work)
    }

    /// What was rendered for a run that is not for what is wished now.
    async fn recorded(&self, _site: &Site<'_>, _run: &Run) -> Result<Option<Staged>, cluster::Error> {
        Ok(None)
    }

    /// Goes on with the run as far as it comes without waiting: plans over what it has reached, records ahead, carries out, and advances it.
    ///
    /// # Guarantees
    /// Nothing is written for a stage before the run, and what the stage could bring into being, are stored.
    pub(super) async fn go_on(
        &self,
        environment: Environment,
        site: &Site<'_>,
        mut work: Work,
        (mut inventory, mut observed): (Inventory, Observed),
    ) -> Result<(Environment, Report, Work), cluster::Error> {
        let mut environment = environment;
        let mut changed = 0;
        // Each turn begins or ends a stage, so there can be no more than these.
        let most = 2 * work.staged.stages.len() + 2;
        work.advance(site, &BTreeMap::new());
        for turn in 1.. {
            let plan = work.plan(site, &inventory, &observed);
            environment = self.write_ahead(&environment, site, &inventory, &plan, &work.run).await?;
            let outcomes = self.observer.carry_out(site.deployer, &plan.steps).await;
            let mut report = summarise_deployment(&plan, &outcomes);
            changed += report.changed;
            inventory = report.inventory.clone();
            take_in(&mut observed, &outcomes);
            let progress = self.progress(site, &work, &plan, &outcomes);
            let before = work.run.clone();
            work.advance(site, &progress);
            let is_stuck = outcome::failures(&outcomes).next().is_some();
            if work.run == before || is_stuck || turn >= most {
                if work.is_outdated && work.run.yields(&work.staged.stages, &progress, site.now) {
                    work.run.supersede(site.now);
                }
                report.changed = changed;
                return Ok((environment, summarise_run(report, &work.run, &work.staged.stages, site.now), work));
            }
        }
        unreachable!("the loop ends after a bounded number of turns")
    }

    /// What is known of the stages that are under way, and of those that may heal.
    fn progress(&self, site: &Site<'_>, work: &Work, plan: &Plan, outcomes: &[Outcome]) -> BTreeMap<String, Progress> {
        let concerns = |stage: &&Stage| {
            let state = work.run.stage(&stage.name).map(|own| own.state);
            matches!(state, Some(StageState::Running | StageState::Failed))
        };
        let stages = work.staged.stages.iter().filter(concerns);
        stages
            .map(|stage| (stage.name.clone(), self.progress_of(site, work, stage, plan, outcomes)))
            .collect()
    }

    fn progress_of(&self, _site: &Site<'_>, work: &Work, stage: &Stage, plan: &Plan, outcomes: &[Outcome]) -> Progress {
        let objects = work.staged.objects.get(&stage.name).map(Vec::as_slice).unwrap_or_default();
        match &stage.action {
            Action::Apply(_) => apply_progress(objects, plan, outcomes),
            other => Progress::Failed {
                message: format!("this version of graftling does not execute stages of the kind {}", other.kind()),
                retry: false,
            },
        }
    }

    /// Stores old ∪ new, the run, the URL and the deployer before anything is created. Writes nothing if that is stored already.
    async fn write_ahead(
        &self,
        environment: &Environment,
        site: &Site<'_>,
        inventory: &Inventory,
        plan: &Plan,
        run: &Run,
    ) -> Result<Environment, cluster::Error> {
        let complete = |status: &mut EnvironmentStatus| site.complete(status, run);
        let mut stored = environment.status.clone().unwrap_or_default();
        complete(&mut stored);
        let is_stored = |status: &EnvironmentStatus| status.run.as_ref().is_some_and(|stored| stored.number == run.number.0);
        let known = environment.status.as_ref() == Some(&stored) && is_stored(&stored);
        // What is only forgotten may be lost: the next look comes to the same.
        if known && (plan.is_quiet() || plan.write_ahead == *inventory) {
            return Ok(environment.clone());
        }
        let report = Report::ahead(plan, run);
        self.publish(environment, site.identity, &report, complete).await
    }
}

impl Work {
    fn new(run: Run, staged: Staged) -> Self {
        Self {
            run,
            staged,
            good: None,
            is_outdated: false,
        }
    }

    fn plan(&self, site: &Site<'_>, inventory: &Inventory, observed: &Observed) -> Plan {
        let Reached { objects, held } = self.staged.reached(&self.run, inventory, self.good.as_ref());
        let desired = deploy::Desired {
            objects,
            held,
            ..site.desired.objects.clone()
        };
        deploy::plan(&site.identity.name, &site.identity.uid, &desired, inventory, observed)
    }

    fn advance(&mut self, site: &Site<'_>, progress: &BTreeMap<String, Progress>) {
        let unmet = |stage: &Stage| site.unmet(&stage.when);
        let turn = Turn {
            stages: &self.staged.stages,
            unmet: &unmet,
            now: site.now,
        };
        self.run.advance(&turn, progress);
    }
}

impl Site<'_> {
    /// Why a condition of a stage does not hold.
    fn unmet(&self, condition: &Condition) -> Option<String> {
        let wanted = condition.first_deploy?;
        let is_first = self.wish.is_first_deploy;
        (wanted != is_first).then(|| match wanted {
            true => "runs in the first deployment only".to_owned(),
            false => "does not run in the first deployment".to_owned(),
        })
    }
}

/// What was written is known without another look.
fn take_in(observed: &mut Observed, outcomes: &[Outcome]) {
    for outcome in outcomes {
        match outcome {
            Outcome::Applied { live, .. } | Outcome::Exists { live } => {
                observed.insert(live.key.clone(), (**live).clone());
            }
            Outcome::Vanished { key } => {
                observed.remove(key);
            }
            Outcome::Deleting { .. } | Outcome::Failed(_) => {}
        }
    }
}
