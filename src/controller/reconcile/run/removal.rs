//! What has to happen before anything of an environment is removed: the step in flight ends, and the teardown stages run.
//!
//! Everything comes from the record of an earlier run. The Project is asked where it is there; nothing depends on it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use serde_json::json;

use super::{Reconciler, Site, Work};
use crate::api::convert::environment::Identity;
use crate::api::convert::project;
use crate::api::convert::run::{last_good, run as run_of, stored, stored_stages};
use crate::api::environment::Environment;
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::cluster::publish::Announcement;
use crate::cluster::records::{RecordError, Records};
use crate::controller::desired::{Desired, Wish, admit_record, host_of};
use crate::controller::reconcile::Pass;
use crate::domain::bundle::pipeline::Stage;
use crate::domain::inventory::{self, Inventory};
use crate::domain::manifest::ObjectKey;
use crate::domain::plan::teardown::stages;
use crate::domain::plan::{Observed, Plan};
use crate::domain::policy::Project;
use crate::domain::record::Record;
use crate::domain::run::{Farewell, Run, RunNumber, RunState, Source, StageRun, Staged};
use crate::domain::stage::job_name;
use crate::domain::status::{Phase, Report, summarise_refusal, summarise_removal};

/// What only somebody else changes is looked at again after this time.
const PATIENTLY: Duration = Duration::from_secs(30);

/// What a removal comes to before it begins.
pub(in crate::controller::reconcile) enum Before {
    /// Nothing keeps it from beginning. The Environment has the run that it ends with, which may not be stored yet.
    Over(Box<Environment>),
    /// Something has to end first, and the pass is over.
    Waits(Pass),
}

/// What stays the same while a removal is prepared.
pub(in crate::controller::reconcile) struct Leaving<'a> {
    pub(in crate::controller::reconcile) environment: &'a Environment,
    pub(in crate::controller::reconcile) identity: &'a Identity,
    pub(in crate::controller::reconcile) deployer: &'a Deployer,
    pub(in crate::controller::reconcile) inventory: &'a Inventory,
}

impl Reconciler {
    /// Lets the atomic step in flight end, then carries out the teardown stages.
    ///
    /// # Guarantees
    /// - Nothing is removed before both are over.
    /// - Nothing of it is done twice: what has ended is in the status.
    /// - What cannot be carried out holds nothing up: a namespace that is ending or gone, a record that is not there or not as it was written.
    ///
    /// # Errors
    /// The cluster did not do as asked.
    pub(in crate::controller::reconcile) async fn before_removal(&self, leaving: &Leaving<'_>) -> Result<Before, cluster::Error> {
        let environment = leaving.environment;
        let status = environment.status.as_ref();
        let last = match run_of(status) {
            Ok(Some(last)) => last,
            Ok(None) => return Ok(Before::over(environment, None)),
            Err(problem) => return self.not_to_be_removed(leaving, &problem).await,
        };
        if leaving.inventory.is_empty() || last.is_removal() && last.state == RunState::Succeeded {
            return Ok(Before::over(environment, None));
        }
        if !self.is_home_active(leaving).await? {
            return Ok(self.left_out(environment, last, "its namespace is ending or gone").await);
        }
        if !last.is_removal() && !last.is_over() {
            return self.let_end(leaving, last).await;
        }
        self.farewell(leaving, last).await
    }

    /// Whether the namespace is there and nobody has asked for its end.
    async fn is_home_active(&self, leaving: &Leaving<'_>) -> Result<bool, cluster::Error> {
        let home = leaving
            .inventory
            .present()
            .find(|(_, entry)| entry.stage == inventory::Stage::Namespace);
        let Some((key, entry)) = home else { return Ok(false) };
        let live = self.observer.read(self.observer.connection.controller(), key).await?;
        Ok(live.is_some_and(|live| live.deletion.is_none() && entry.uid.as_ref().is_none_or(|uid| *uid == live.uid)))
    }

    /// Goes on with what is atomic in a run that the removal cuts short.
    async fn let_end(&self, leaving: &Leaving<'_>, mut last: Run) -> Result<Before, cluster::Error> {
        let now = Timestamp::now();
        let own = match last.source {
            Source::Record(number) => number,
            Source::Bundle => last.number,
        };
        let record = match self.observer.read_record(&leaving.records(), own).await {
            Ok(record) => record,
            Err(RecordError::Read { source, .. }) => return Err(*source),
            // What it was about to do is not known, so nothing can be waited for.
            Err(_) => {
                last.preempt(&[], &|_| false, now);
                return self.farewell(leaving, last).await;
            }
        };
        let stages = record.contents.pipeline.stages.clone();
        last.preempt(&stages, &leaving.is_in_flight(last.number), now);
        if last.is_over() {
            return self.farewell(leaving, last).await;
        }
        let (wish, desired) = self.wish_of_record(leaving, &last, &record, stages);
        let site = leaving.site(&wish, &desired, &self.settings.tools_image, now);
        let (run, pass) = self.carry_on(leaving, &site, last).await?;
        Ok(Before::Waits(if run.is_over() { Pass::again_soon() } else { pass }))
    }

    /// Carries out the teardown stages, from the record that says them.
    async fn farewell(&self, leaving: &Leaving<'_>, last: Run) -> Result<Before, cluster::Error> {
        let now = Timestamp::now();
        let status = leaving.environment.status.as_ref();
        let mut farewell = Farewell::of(&last, last_good(status), status.is_some_and(|status| status.resting));
        if let (true, Source::Record(number)) = (last.is_removal(), last.source.clone()) {
            farewell.record = number;
        }
        let record = match self.observer.read_record(&leaving.records(), farewell.record).await {
            Ok(record) => record,
            Err(RecordError::Read { source, .. }) => return Err(*source),
            Err(error) => return Ok(self.left_out(leaving.environment, last, &error.chain()).await),
        };
        let stages = farewell.stages(&record.contents.pipeline);
        let run = match last.is_removal() {
            true => last,
            false => Run::removal(&last, farewell, &record.revision, &stages, now),
        };
        if run.state == RunState::Succeeded {
            return Ok(Before::over(leaving.environment, Some(&run)));
        }
        let (wish, desired) = self.wish_of_record(leaving, &run, &record, stages);
        let site = leaving.site(&wish, &desired, &self.settings.tools_image, now);
        let (run, pass) = self.carry_on(leaving, &site, run).await?;
        // Its end is stored, so the next pass goes on from there.
        Ok(Before::Waits(if run.state == RunState::Succeeded {
            Pass::again_soon()
        } else {
            pass
        }))
    }

    /// One pass of a run before a removal: how it stands then, and the end of the pass.
    async fn carry_on(&self, leaving: &Leaving<'_>, site: &Site<'_>, run: Run) -> Result<(Run, Pass), cluster::Error> {
        let (identity, inventory) = (leaving.identity, leaving.inventory);
        let before = run.clone();
        let mut work = Work::new(site, run, site.desired.staged.clone());
        work.is_leaving = true;
        let work = self.take_request(leaving.environment, site, work, inventory).await?;
        let of_jobs = inventory
            .present()
            .filter(|(key, _)| matches!(key.kind.as_str(), "Job" | "ServiceAccount"));
        let of_jobs = Inventory::from_entries(of_jobs.map(|(key, entry)| (key.clone(), entry.clone())));
        let jobs = work.missing_jobs(site, inventory);
        let observed = self
            .observer
            .observe(leaving.deployer, jobs.into_iter().map(|job| job.key), &of_jobs)
            .await?;
        let concluded = self.go_on(site, work, (inventory.clone(), observed)).await?;
        let run = concluded.report.run.clone().unwrap_or(before);
        let report = summarise_removal(concluded.report.clone(), &run);
        self.publish(&concluded.environment, identity, &report, |status| concluded.complete(status))
            .await?;
        let pass = self.pass(&report);
        Ok((run, pass))
    }

    /// Another version left a run that this one does not understand: its stages can be neither carried out nor left out.
    async fn not_to_be_removed(&self, leaving: &Leaving<'_>, problem: &str) -> Result<Before, cluster::Error> {
        let message = format!("{problem}; nothing is removed before its teardown stages: run the graftling that wrote it");
        let refusal = summarise_refusal("NotUnderstood", &message, leaving.inventory.clone(), Some(PATIENTLY));
        let report = Report {
            phase: Phase::Blocked,
            ..refusal
        };
        self.publish(leaving.environment, leaving.identity, &report, |_| {}).await?;
        Ok(Before::Waits(self.pass(&report)))
    }

    /// The teardown stages are left out, and it is said why.
    async fn left_out(&self, environment: &Environment, last: Run, why: &str) -> Before {
        let now = Timestamp::now();
        let farewell = Farewell {
            record: last.number,
            may_block: false,
        };
        let was_under_way = last.is_removal();
        let mut run = match was_under_way {
            true => last,
            false => Run::removal(&last, farewell, &last.revision, &[], now),
        };
        run.leave_out(why, now);
        tracing::info!(environment = %environment.name_any(), why, "teardown stages are left out, if there are any");
        if was_under_way || !why.contains("namespace") {
            let announcement = Announcement {
                reason: "TeardownStagesSkipped",
                warning: true,
                note: format!("teardown stages are left out: {why}"),
            };
            self.publisher.announce(&environment.object_ref(&()), &announcement).await;
        }
        Before::over(environment, Some(&run))
    }

    /// What is asked for, as far as a record says it and the Project is there.
    fn wish_of_record(&self, leaving: &Leaving<'_>, run: &Run, record: &Record, stages: Vec<Stage>) -> (Wish, Desired) {
        let project = self.project_or_remembered(leaving, &record.contents.url);
        let settings = &self.settings;
        let role = settings.deployer_role.clone();
        let wish = Wish::new(leaving.environment, leaving.identity, project, role, settings.url_port);
        let objects = admit_record(&wish, &record.contents)
            .map(|staged| staged.objects)
            .unwrap_or_default();
        let staged = Staged {
            stages,
            teardown: Vec::new(),
            objects,
        };
        let desired = Desired::leaving(&wish, run, &record.contents, staged);
        (wish, desired)
    }

    fn project_or_remembered(&self, leaving: &Leaving<'_>, url: &str) -> Arc<Project> {
        let key = &leaving.identity.project;
        let reference = ObjectRef::new(key.name.as_str()).within(key.namespace.as_str());
        let there = self
            .stores
            .projects
            .get(&reference)
            .and_then(|stored| self.stores.policies.of(&stored).ok());
        there.unwrap_or_else(|| Arc::new(remembered(leaving, url)))
    }
}

impl Before {
    fn over(environment: &Environment, run: Option<&Run>) -> Self {
        let mut environment = environment.clone();
        if let (Some(status), Some(run)) = (&mut environment.status, run) {
            status.run = Some(stored(run));
            status.stages = stored_stages(&[], run);
        }
        Self::Over(Box::new(environment))
    }
}

impl<'a> Leaving<'a> {
    fn records(&self) -> Records<'a> {
        Records {
            environment: &self.identity.name,
            deployer: self.deployer,
            inventory: self.inventory,
        }
    }

    /// Whether a stage has begun to act: a Job that was never created has not.
    fn is_in_flight(&self, run: RunNumber) -> impl Fn(&StageRun) -> bool + use<'a> {
        let inventory = self.inventory;
        move |own: &StageRun| {
            let name = job_name(&own.name, run, own.attempt());
            let is_own = |key: &ObjectKey| key.kind == "Job" && key.name == name;
            let mut jobs = inventory.iter().filter(|(key, _)| is_own(key)).peekable();
            jobs.peek().is_none() || jobs.any(|(_, entry)| entry.uid.is_some())
        }
    }

    fn site<'s>(&'s self, wish: &'s Wish, desired: &'s Desired, tools_image: &'s str, now: Timestamp) -> Site<'s> {
        Site {
            environment: self.environment,
            identity: self.identity,
            wish,
            desired,
            deployer: self.deployer,
            tools_image,
            now,
        }
    }
}

impl Work {
    /// The plan before a removal: Jobs, and the record that their logs are kept in.
    pub(super) fn plan_leaving(&self, site: &Site<'_>, inventory: &Inventory, observed: &Observed) -> Plan {
        let jobs = self.missing_jobs(site, inventory);
        let mut plan = stages::plan(&site.identity.name, jobs, inventory, observed);
        if self.run.is_removal() {
            self.include_records(site, &mut plan, observed);
        }
        plan
    }
}

/// What is known of a Project that is gone: where its environments' hosts were, and who wrote for it. It allows nothing beyond the defaults.
fn remembered(leaving: &Leaving<'_>, url: &str) -> Project {
    let host = host_of(url);
    let domain = host.split_once('.').map_or(host, |(_, domain)| domain);
    let read = |domain: &str| {
        let key = &leaving.identity.project;
        let object = json!({
            "apiVersion": "graftling.dev/v1alpha1",
            "kind": "Project",
            "metadata": { "name": key.name.as_str(), "namespace": key.namespace.as_str() },
            "spec": { "gitHostRef": { "name": "gone" }, "repository": "gone/gone", "bundle": { "name": "gone" }, "domain": domain },
        });
        let object = serde_json::from_value(object).map_err(|error| vec![error.to_string()])?;
        project::project(&object)
    };
    let project = read(domain).or_else(|_| read("gone.invalid"));
    let mut project = project.unwrap_or_else(|problems| unreachable!("a Project of constants is valid: {problems:?}"));
    // What comes from a Project that cannot be asked has to fit into the strictest namespace.
    project.guardrails.pod_security = "restricted";
    project.deployer = leaving.deployer.name.clone();
    project
}
