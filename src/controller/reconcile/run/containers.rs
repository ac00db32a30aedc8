//! Jobs of `job` and `steps` stages: made once for each try, never changed, and judged by how they end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::stages::{Seen, Standing, unable};
use super::{Reconciler, Site, Work};
use crate::cluster;
use crate::cluster::logs::Attempt;
use crate::cluster::records::RecordError;
use crate::controller::desired::{admission, allowed_kinds};
use crate::domain::bundle::pipeline::Stage;
use crate::domain::inventory::Inventory;
use crate::domain::manifest::{Manifest, ObjectKey};
use crate::domain::outcome::FailureClass;
use crate::domain::readiness::Readiness;
use crate::domain::record::{ContainerLog, Journal};
use crate::domain::run::{Progress, StageRun, StageState};
use crate::domain::stage::{JobFacts, Settings, job_name, objects, outputs, with_outputs};

/// The time of a stage that says nothing of it.
const TIME: Duration = Duration::from_secs(30 * 60);

impl Work {
    /// The objects of the Jobs that are under way and not known to be there.
    pub(super) fn missing_jobs(&self, site: &Site<'_>, inventory: &Inventory) -> Vec<Manifest> {
        let is_known = |key: &ObjectKey| inventory.get(key).is_some_and(|entry| entry.uid.is_some());
        let mut missing = Vec::new();
        for stage in &self.staged.stages {
            let own = self.run.stage(&stage.name).filter(|own| own.state == StageState::Running);
            let Some(own) = own else { continue };
            let Ok(settings) = with_outputs(&stage.action, &self.run.outputs()) else {
                continue;
            };
            let manifests = self.job_manifests(site, stage, own, &settings).unwrap_or_default();
            missing.extend(manifests.into_iter().filter(|manifest| !is_known(&manifest.key)));
        }
        missing
    }

    fn job_manifests(&self, site: &Site<'_>, stage: &Stage, own: &StageRun, settings: &Settings) -> Result<Vec<Manifest>, String> {
        let kinds = allowed_kinds(site.wish).map_err(|refusal| refusal.message)?;
        let namespace = site.identity.name.namespace();
        let admission = admission(site.wish, &namespace, &kinds);
        let outputs = self.run.outputs();
        let facts = JobFacts {
            stage: &stage.name,
            line: stage.line,
            run: self.run.number,
            attempt: own.attempt(),
            timeout: stage.timeout.unwrap_or(TIME),
            is_teardown: self.run.is_removal(),
            branch: site.identity.branch.as_str(),
            revision: &self.run.revision,
            pull_request: site.wish.pull_request.as_ref().map(|pull| pull.number),
            url: &site.desired.addresses.url,
            host: site.desired.addresses.host(),
            is_first_deploy: site.wish.is_first_deploy,
            outputs: &outputs,
            pod_security: site.wish.project.guardrails.pod_security,
            tools_image: site.tools_image,
            admission: &admission,
        };
        let manifests = match settings {
            Settings::Job(job) => objects::of_job(job, &facts),
            Settings::Steps(steps) => objects::of_steps(steps, &facts),
            _ => return Ok(Vec::new()),
        };
        manifests.map_err(|refusals| {
            let refusals: Vec<String> = refusals.iter().map(ToString::to_string).collect();
            refusals.join("; ")
        })
    }
}

impl Reconciler {
    /// How the Job of a stage's present try stands.
    pub(super) async fn job_standing(
        &self,
        site: &Site<'_>,
        work: &Work,
        stage: &Stage,
        (settings, seen): (&Settings, &Seen<'_>),
    ) -> Result<Standing, cluster::Error> {
        let Some(own) = work.run.stage(&stage.name) else {
            return Ok(unable("it is not of this run"));
        };
        let manifests = match work.job_manifests(site, stage, own, settings) {
            Ok(manifests) => manifests,
            Err(refused) => return Ok(unable(&refused)),
        };
        let name = job_name(&stage.name, work.run.number, own.attempt());
        let is_job = |key: &ObjectKey| key.kind == "Job" && key.name == name;
        let written = crate::domain::run::apply_progress(&manifests, seen.plan, seen.outcomes);
        if let Progress::Failed { .. } = written {
            return Ok(written.into());
        }
        let live = seen.observed.iter().find(|(key, _)| is_job(key)).map(|(_, live)| live);
        let is_recorded = seen.inventory.iter().any(|(key, entry)| is_job(key) && entry.uid.is_some());
        let attempt = Attempt {
            run: work.run.number,
            stage: stage.name.clone(),
            attempt: own.attempt(),
            job: name.clone(),
        };
        let Some(live) = live else {
            return Ok(match is_recorded {
                true => Progress::Failed {
                    message: format!("Job {name} is gone: somebody deleted it before its end was seen"),
                    retry: true,
                },
                false => written,
            }
            .into());
        };
        match &live.readiness {
            Readiness::Progressing { reason } => Ok(self.under_way(site, work, stage, (settings, reason))),
            Readiness::Ready => self.ended_well(site, seen.inventory, &attempt, stage).await,
            Readiness::Failed { reason } => {
                let logs = self.keep_logs(site, seen.inventory, &attempt).await;
                Ok(Progress::Failed {
                    message: failure(settings, &logs, &format!("Job {name} {reason}")),
                    retry: true,
                }
                .into())
            }
        }
    }

    fn under_way(&self, site: &Site<'_>, work: &Work, stage: &Stage, (settings, reason): (&Settings, &str)) -> Standing {
        let waiting: Standing = Progress::Pending {
            message: reason.to_owned(),
            outside: false,
        }
        .into();
        let Settings::Steps(steps) = settings else { return waiting };
        if !steps.checks_out(work.run.is_removal()) {
            return waiting;
        }
        // The first container waits for the files of the commit.
        let looked = self.ask(site, work, stage, |place| {
            let job = job_name(&stage.name, work.run.number, place.stage.attempt());
            self.errands.checkout(place, &job)
        });
        match looked.progress {
            Progress::Done { .. } => Standing {
                streak: looked.streak,
                ..waiting
            },
            Progress::Pending { message, .. } => Standing {
                progress: Progress::Pending { message, outside: false },
                ..looked
            },
            Progress::Failed { .. } => looked,
        }
    }

    async fn ended_well(
        &self,
        site: &Site<'_>,
        inventory: &Inventory,
        attempt: &Attempt,
        stage: &Stage,
    ) -> Result<Standing, cluster::Error> {
        let logs = self.keep_logs(site, inventory, attempt).await;
        let declared: Vec<String> = stage
            .action
            .settings()
            .map(outputs::declared)
            .unwrap_or_default()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let outputs = match declared.is_empty() {
            true => Ok(BTreeMap::new()),
            false => {
                let written = self.observer.job_outputs(&site.records(inventory), attempt).await?;
                outputs::parse(&written, &declared)
            }
        };
        if let Ok(outputs) = &outputs {
            self.keep_outputs(site, inventory, attempt, outputs).await?;
        }
        Ok(match outputs {
            Ok(outputs) => Progress::Done {
                message: last_line(&logs).map(|line| format!("its last words: {line}")),
                outputs,
            },
            Err(problem) => Progress::Failed {
                message: format!("the job has succeeded, but {problem}"),
                retry: false,
            },
        }
        .into())
    }

    /// Keeps what a stage handed on with the record of its run, for a later run that goes back to it.
    async fn keep_outputs(
        &self,
        site: &Site<'_>,
        inventory: &Inventory,
        attempt: &Attempt,
        outputs: &BTreeMap<String, String>,
    ) -> Result<(), cluster::Error> {
        if outputs.is_empty() {
            return Ok(());
        }
        let add = |journal: &mut Journal| drop(journal.outputs.insert(attempt.stage.clone(), outputs.clone()));
        match self.observer.add_to_journal(&site.records(inventory), attempt.run, add).await {
            Ok(()) => Ok(()),
            // The Job is still there by the next pass.
            Err(RecordError::Read { source, .. } | RecordError::Write { source, .. }) if source.class() == FailureClass::Transient => {
                Err(*source)
            }
            Err(error) => {
                let problem = error.chain();
                tracing::warn!(environment = %site.identity.name, stage = %attempt.stage, problem, "what a stage handed on could not be kept");
                Ok(())
            }
        }
    }

    async fn keep_logs(&self, site: &Site<'_>, inventory: &Inventory, attempt: &Attempt) -> Vec<ContainerLog> {
        let (logs, problem) = self.observer.keep_logs(&site.records(inventory), attempt).await;
        if let Some(problem) = problem {
            tracing::warn!(environment = %site.identity.name, stage = %attempt.stage, problem, "the logs of a job could not be kept");
        }
        logs
    }
}

/// What is said of a Job that failed. Steps are init containers, so the last one that started is the one that failed.
fn failure(settings: &Settings, logs: &[ContainerLog], job: &str) -> String {
    let Some(last) = logs.last() else { return job.to_owned() };
    let who = match settings {
        Settings::Steps(_) => format!("step {}", last.container),
        _ => "it".to_owned(),
    };
    let code = last.exit_code.map(|code| format!("; {who} exited with {code}"));
    let words = last_line(std::slice::from_ref(last)).map(|line| format!("; its last words: {line}"));
    format!("{job}{}{}", code.unwrap_or_default(), words.unwrap_or_default())
}

/// What a person wants to see first of a job that is over. Values of Secrets are hidden in it already.
fn last_line(logs: &[ContainerLog]) -> Option<String> {
    let line = logs
        .iter()
        .rev()
        .find_map(|log| log.lines.iter().rev().find(|line| !line.trim().is_empty()))?;
    Some(crate::domain::errand::told(line, 160))
}
