//! The run that a pass works on, and how it goes on within the pass.

mod approval;
mod changes;
mod containers;
mod records;
mod removal;
mod requests;
mod resources;
mod stages;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use self::records::Recorded;
pub(super) use self::removal::{Before, Leaving};
use self::stages::Seen;
use super::Reconciler;
use super::explain::in_plain_words;
use crate::api::convert;
use crate::api::convert::environment::Identity;
use crate::api::convert::requests::pending_approvals;
use crate::api::environment::requests::{PendingApproval, RequestHandled};
use crate::api::environment::{Environment, EnvironmentStatus};
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::controller::desired::{Desired, Refusal, Wish};
use crate::domain::bundle::pipeline::Stage;
use crate::domain::inventory::Inventory;
use crate::domain::manifest::ObjectKey;
use crate::domain::outcome::{self, Outcome};
use crate::domain::plan::{Observed, Plan, Step, deploy};
use crate::domain::run::{Progress, Reached, Run, RunNumber, RunState, Source, StageState, Staged, Turn, Wished, begin, is_for};
use crate::domain::stage::Settings;
use crate::domain::status::{Report, shorten, summarise_removal, summarise_run};

/// What a pass works on.
pub(super) struct Work {
    /// The run, as far as it has come.
    run: Run,
    /// What was rendered for it.
    staged: Staged,
    /// What the last good run had, where this one has to put it back.
    good: Option<Staged>,
    /// Why there is no such thing, where it is needed.
    no_good: Option<String>,
    /// The digest of what is wished now.
    wished_digest: String,
    /// Whether something newer is wished, which waits for this run.
    is_outdated: bool,
    /// Whether the run begins with this pass.
    is_new: bool,
    /// Whether the environment is being removed.
    is_leaving: bool,
    /// The runs before, newest first.
    past: Vec<Past>,
    /// The stages that run once and have done so.
    once: BTreeSet<String>,
    /// The files that have changed since the revision before, where a stage depends on it and it is known.
    changed: Option<Arc<[String]>>,
    /// What came of a request.
    handled: Option<RequestHandled>,
    /// The only objects that are written in this pass, if somebody asked for that.
    only: Option<Vec<ObjectKey>>,
    /// When a stage is to be looked at again.
    again: Option<Duration>,
}

/// A run of the past.
pub(super) struct Past {
    run: RunNumber,
    revision: String,
    was_good: bool,
}

/// Everything that stays the same during a pass.
pub(super) struct Site<'a> {
    pub(super) environment: &'a Environment,
    pub(super) identity: &'a Identity,
    pub(super) wish: &'a Wish,
    pub(super) desired: &'a Desired,
    pub(super) deployer: &'a Deployer,
    pub(super) tools_image: &'a str,
    pub(super) now: Timestamp,
}

/// What a pass comes to.
pub(super) struct Concluded {
    pub(super) environment: Environment,
    pub(super) report: Report,
    pub(super) once: BTreeSet<String>,
    pub(super) handled: Option<RequestHandled>,
    pub(super) pending: Vec<PendingApproval>,
}

impl Reconciler {
    /// The run under way, if it is for what is wished or has to end first; else a new one.
    ///
    /// # Errors
    /// The cluster did not do as asked. A refusal is for people: what the run needs cannot be had.
    pub(super) async fn work(&self, site: &Site<'_>, inventory: &Inventory) -> Result<Result<Work, Refusal>, cluster::Error> {
        let wished = Wished {
            revision: site.identity.revision.to_string(),
            digest: site.desired.digest.clone(),
        };
        let work = |run: Run, staged: Staged| Work::new(site, run, staged);
        let start = |last: Option<&Run>| {
            let staged = site.desired.staged.clone();
            let run = begin(last, &wished, Source::Bundle, &staged.stages, site.now);
            Work {
                is_new: true,
                ..Work::new(site, run, staged)
            }
        };
        let stored = convert::run::run(site.environment.status.as_ref()).unwrap_or_default();
        Ok(Ok(match stored {
            // Nothing could be rendered: then what is wished comes from the record of this very run.
            Some(run) if !site.desired.is_rendered => work(run, site.desired.staged.clone()),
            Some(run) if is_for(&run, &wished) => match run.source {
                Source::Bundle => work(run, site.desired.staged.clone()),
                Source::Record(number) => match self.recorded(site, inventory, number).await? {
                    Recorded::Found(staged) => work(run, *staged),
                    Recorded::Unusable(why) => return Ok(Err(Refusal::new("RecordMissing", why))),
                },
            },
            Some(run) if !run.is_over() => match self.recorded(site, inventory, run.number).await? {
                Recorded::Found(staged) => Work {
                    is_outdated: true,
                    ..work(run, *staged)
                },
                // What cannot be known cannot be waited for.
                Recorded::Unusable(_) => start(Some(&run)),
            },
            last => start(last.as_ref()),
        }))
    }

    /// Goes on with the run as far as it comes without waiting: plans over what it has reached, records ahead, carries out, and advances it.
    ///
    /// # Guarantees
    /// Nothing is written for a stage before the run, and what the stage could bring into being, are stored.
    pub(super) async fn go_on(
        &self,
        site: &Site<'_>,
        mut work: Work,
        (mut inventory, mut observed): (Inventory, Observed),
    ) -> Result<Concluded, cluster::Error> {
        let mut environment = site.environment.clone();
        let mut changed = 0;
        // Each turn begins or ends a stage, so there can be no more than these.
        let most = 2 * work.staged.stages.len() + 2;
        work.advance(site, &BTreeMap::new());
        let mut turn = 0;
        loop {
            turn += 1;
            self.find_good(site, &mut work, &inventory).await?;
            let (mut plan, problems) = work.plan(site, &inventory, &observed);
            let held = self.hold_loops(site, &mut plan, &inventory);
            environment = self.write_ahead(&environment, site, &inventory, &plan, &work).await?;
            let outcomes = self.observer.carry_out_run(site.deployer, &plan.steps, work.run.number).await;
            let undone = self.count_loops(site, &plan, &inventory, &outcomes);
            let (mut report, trouble) = self.explained(site, &plan, &outcomes).await;
            report.again = undone.or(report.again);
            changed += report.changed;
            inventory = report.inventory.clone();
            take_in(&mut observed, &outcomes);
            let seen = Seen {
                plan: &plan,
                outcomes: &outcomes,
                observed: &observed,
                inventory: &inventory,
            };
            let known = self.progress(site, &mut work, &seen).await?;
            let mut progress = in_plain_words(known, trouble.as_ref(), &work.staged);
            progress.extend(problems);
            let before = work.run.clone();
            work.advance(site, &progress);
            let is_stuck = outcome::failures(&outcomes).next().is_some() || work.only.is_some();
            if work.run == before || is_stuck || turn >= most {
                if work.is_outdated && work.run.yields(&work.staged.stages, &progress, site.now) {
                    work.run.supersede(site.now);
                }
                report.changed = changed;
                let mut concluded = work.conclude(environment, report, site);
                concluded.report = self.loops_told(site, &held, concluded.report).await;
                return Ok(concluded);
            }
        }
    }

    /// Stores old ∪ new, the run, the URL and the deployer before anything is created. Writes nothing if that is stored already.
    async fn write_ahead(
        &self,
        environment: &Environment,
        site: &Site<'_>,
        inventory: &Inventory,
        plan: &Plan,
        work: &Work,
    ) -> Result<Environment, cluster::Error> {
        let complete = |status: &mut EnvironmentStatus| {
            site.complete(status, &work.run);
            work.complete(status);
        };
        let mut stored = environment.status.clone().unwrap_or_default();
        complete(&mut stored);
        let is_stored = |status: &EnvironmentStatus| {
            let run = status.run.as_ref();
            run.is_some_and(|stored| stored.number == work.run.number.0 && stored.state == work.run.state.name())
        };
        let known = environment.status.as_ref() == Some(&stored) && is_stored(&stored);
        // What is only forgotten may be lost: the next look comes to the same.
        let is_nothing_new = plan.is_quiet() || plan.write_ahead == *inventory;
        // A run that is over does nothing any more, so that its end may be told with all the rest.
        if is_nothing_new && (known || plan.is_quiet() && work.run.is_over()) {
            return Ok(environment.clone());
        }
        let report = match work.is_leaving {
            true => summarise_removal(Report::ahead(plan, &work.run), &work.run),
            false => Report::ahead(plan, &work.run),
        };
        self.publish(environment, site.identity, &report, complete).await
    }
}

impl Work {
    fn new(site: &Site<'_>, run: Run, staged: Staged) -> Self {
        let status = site.environment.status.as_ref();
        let past = status.into_iter().flat_map(|status| &status.history);
        Self {
            run,
            staged,
            good: None,
            no_good: None,
            wished_digest: site.desired.digest.clone(),
            is_outdated: false,
            is_new: false,
            is_leaving: false,
            past: past.filter_map(Past::of).collect(),
            once: status.map(|status| status.once.clone()).unwrap_or_default(),
            changed: None,
            handled: None,
            only: None,
            again: None,
        }
    }

    /// The plan over what the run has reached, and how stages stand that cannot be planned.
    fn plan(&self, site: &Site<'_>, inventory: &Inventory, observed: &Observed) -> (Plan, BTreeMap<String, Progress>) {
        if self.is_leaving {
            return (self.plan_leaving(site, inventory, observed), BTreeMap::new());
        }
        let Reached {
            mut objects,
            mut held,
            problems,
        } = self.staged.reached(&self.run, inventory, self.good.as_ref());
        objects.extend(self.missing_jobs(site, inventory));
        held.extend(self.run.kept_beside(inventory));
        for wanted in &objects {
            held.remove(&wanted.key);
        }
        let desired = deploy::Desired {
            namespace: site.desired.objects.namespace.clone(),
            guardrails: site.desired.objects.guardrails.clone(),
            objects,
            held,
        };
        let mut plan = deploy::plan(&site.identity.name, &site.identity.uid, &desired, inventory, observed);
        self.include_records(site, &mut plan, observed);
        if let Some(only) = &self.only {
            restrict(&mut plan, only);
        }
        let failed = |problem: String| Progress::Failed {
            message: problem,
            retry: false,
        };
        (
            plan,
            problems.into_iter().map(|(stage, problem)| (stage, failed(problem))).collect(),
        )
    }

    fn advance(&mut self, site: &Site<'_>, progress: &BTreeMap<String, Progress>) {
        let (once, changed) = (&self.once, self.changed.as_deref());
        let unmet = |stage: &Stage| site.unmet(stage, once, changed);
        let turn = Turn {
            stages: &self.staged.stages,
            unmet: &unmet,
            now: site.now,
        };
        self.run.advance(&turn, progress);
        if self.is_leaving && !self.run.is_removal() {
            // What failed is not tried again, and nothing begins.
            self.run.preempt(&self.staged.stages, &|_| true, site.now);
        }
        let runs_once = |stage: &&Stage| crate::domain::stage::read(&stage.action).is_ok_and(|settings: Settings| settings.once());
        let is_done = |stage: &&Stage| self.run.stage(&stage.name).is_some_and(|own| own.state == StageState::Succeeded);
        let done = self.staged.stages.iter().filter(is_done).filter(runs_once);
        let done: Vec<String> = done.map(|stage| stage.name.clone()).collect();
        self.once.extend(done);
    }

    /// What the status holds beside the run and its stages.
    fn complete(&self, status: &mut EnvironmentStatus) {
        status.once.clone_from(&self.once);
        if let Some(handled) = &self.handled {
            status.request_handled = Some(handled.clone());
        }
    }

    fn conclude(self, environment: Environment, report: Report, site: &Site<'_>) -> Concluded {
        let mut report = summarise_run(report, &self.run, &self.staged.stages, site.now);
        report.again = [report.again, self.again].into_iter().flatten().min();
        if self.is_outdated {
            let settled = self.run.settled_at().map(|time| time.duration_since(site.now).unsigned_abs());
            report.again = [report.again, settled].into_iter().flatten().min();
        }
        if self.run.state == RunState::Superseded {
            report.again = Some(Duration::from_millis(50));
        }
        if let Some(why) = self.no_good {
            report.message = shorten(&format!("{}; nothing is put back: {why}", report.message));
        }
        Concluded {
            environment,
            report,
            once: self.once,
            handled: self.handled,
            pending: pending_approvals(&self.run, &self.staged.stages),
        }
    }
}

impl Concluded {
    /// What the status holds beside the run and its stages.
    pub(super) fn complete(&self, status: &mut EnvironmentStatus) {
        status.once.clone_from(&self.once);
        status.pending_approvals.clone_from(&self.pending);
        if let Some(handled) = &self.handled {
            status.request_handled = Some(handled.clone());
        }
    }
}

impl Past {
    fn of(entry: &crate::api::environment::HistoryEntry) -> Option<Self> {
        Some(Self {
            run: RunNumber(entry.run?),
            revision: entry.revision.clone(),
            was_good: entry.result == "Ready",
        })
    }
}

impl Site<'_> {
    /// Why a stage does not run.
    fn unmet(&self, stage: &Stage, once: &BTreeSet<String>, changed: Option<&[String]>) -> Option<String> {
        if once.contains(&stage.name) {
            let name = &stage.name;
            return Some(format!("has run once already; `graftling env rerun --stage {name}` runs it again"));
        }
        self.desired.unmet(self.wish, &stage.when, changed)
    }
}

/// Leaves of a plan only what concerns some objects.
fn restrict(plan: &mut Plan, only: &[ObjectKey]) {
    for step in &mut plan.steps {
        match step {
            Step::Apply(applies) => applies.retain(|apply| only.contains(&apply.manifest.key)),
            Step::Delete(deletes) => deletes.retain(|delete| only.contains(&delete.key)),
        }
    }
    plan.steps.retain(|step| !step.is_empty());
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
