//! What the pods of a job wrote, read before they are gone.
//!
//! A log that cannot be read is told of in its place, and keeps nothing from going on: what a job did is known from its exit code.

use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt};

use super::connection::{Deployer, within};
use super::error::{Error, chain};
use super::observe::Observer;
use super::records::Records;
use crate::domain::record::{ContainerLog, MAX_LINES, Mask};
use crate::domain::run::RunNumber;

/// What a kubelet answers, as if it were the log, when the container was cleaned up meanwhile.
pub(super) const LOST_LOG: &str = "unable to retrieve container logs for ";

/// A try of a stage whose pods' logs are to be kept.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The run.
    pub run: RunNumber,
    /// The stage.
    pub stage: String,
    /// Which try, counted from 1.
    pub attempt: u32,
    /// The Job.
    pub job: String,
}

/// The most pods of a job that are read: one for each time that Kubernetes tried, the last ones first.
const MAX_PODS: usize = 3;
/// The most bytes that are taken from a container at once. Kubernetes counts them from the first of the lines that were asked for.
const MAX_ANSWER: i64 = 1024 * 1024;
/// How long one log may take: a node that does not answer must not hold the run up.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long all of them may take.
const ALL: Duration = Duration::from_secs(15);

/// The label of Kubernetes on the pods of a Job.
pub(super) const JOB_LABEL: &str = "batch.kubernetes.io/job-name";

impl Observer {
    /// Reads what a try's pods wrote, hides what the environment's own Secrets hold, and keeps it in the run's record. Returns what was
    /// kept, and why nothing could be kept, if so.
    pub async fn keep_logs(&self, records: &Records<'_>, attempt: &Attempt) -> (Vec<ContainerLog>, Option<String>) {
        let keeping = async {
            // What the environment's Secrets hold is known from the record alone: without it, a log could give one away.
            let mask = match self.read_record(records, attempt.run).await {
                Ok(record) => record.contents.mask(),
                Err(error) => return Ok((Vec::new(), Some(error.chain()))),
            };
            let logs = self.job_logs(records, attempt, &mask).await?;
            let problem = self
                .add_to_journal(records, attempt.run, |journal| journal.add(logs.clone()))
                .await
                .err();
            Ok((logs, problem.map(|error| error.chain())))
        };
        match tokio::time::timeout(ALL, keeping).await {
            Ok(Ok(kept)) => kept,
            Ok(Err(error)) => (Vec::new(), Some(Error::chain(&error))),
            Err(_) => (
                Vec::new(),
                Some(format!("the logs of Job {} were not read within {} s", attempt.job, ALL.as_secs())),
            ),
        }
    }

    /// What a try's pods wrote.
    ///
    /// # Errors
    /// The pods could not be listed.
    pub async fn job_logs(&self, records: &Records<'_>, attempt: &Attempt, mask: &Mask) -> Result<Vec<ContainerLog>, Error> {
        let api = self.pods_as(records.deployer, records)?;
        let mut pods = pods_of_job(&api, &attempt.job).await?;
        pods.sort_by_key(|pod| std::cmp::Reverse(pod.creation_timestamp()));
        pods.truncate(MAX_PODS);
        pods.reverse();
        let logs = pods.iter().flat_map(|pod| started(pod).map(|status| empty(attempt, pod, status)));
        let reads: Vec<_> = logs.map(|log| read_one(&api, log, mask)).collect();
        Ok(stream::iter(reads).buffered(4).collect().await)
    }

    /// The pods of an environment, as a deployer sees them.
    pub(super) fn pods_as(&self, deployer: &Deployer, records: &Records<'_>) -> Result<Api<Pod>, Error> {
        let client = self.connection.deployer(deployer)?;
        Ok(Api::namespaced(client, records.environment.namespace().as_str()))
    }
}

/// The pods of a Job, as they are now.
pub(super) async fn pods_of_job(api: &Api<Pod>, job: &str) -> Result<Vec<Pod>, Error> {
    let what = || format!("the pods of Job {job}");
    let params = ListParams::default().labels(&format!("{JOB_LABEL}={job}"));
    let pods = within(
        || format!("list {}", what()),
        api.list(&params),
        |source| Error::List { what: what(), source },
    );
    Ok(pods.await?.items)
}

/// How the containers of a pod stand, in the order in which they run.
pub(super) fn container_statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status.iter().flat_map(|status| {
        let first = status.init_container_statuses.iter().flatten();
        first.chain(status.container_statuses.iter().flatten())
    })
}

/// The log of a container before it is read.
fn empty(attempt: &Attempt, pod: &Pod, status: &ContainerStatus) -> ContainerLog {
    let terminated = status.state.as_ref().and_then(|state| state.terminated.as_ref());
    ContainerLog {
        stage: attempt.stage.clone(),
        attempt: attempt.attempt,
        pod: pod.name_any(),
        container: status.name.clone(),
        exit_code: terminated.map(|ended| ended.exit_code),
        ..ContainerLog::default()
    }
}

async fn read_one(api: &Api<Pod>, log: ContainerLog, mask: &Mask) -> ContainerLog {
    // One more than is kept, to know whether there are more.
    let tail = i64::try_from(MAX_LINES).unwrap_or(i64::MAX) + 1;
    let mut answer = tail_of(api, &log, tail).await;
    // Lines that are very long: then the answer ends before the last of them.
    if answer
        .as_ref()
        .is_ok_and(|text| i64::try_from(text.len()).is_ok_and(|length| length >= MAX_ANSWER))
    {
        answer = tail_of(api, &log, 10).await;
    }
    match answer {
        Ok(text) => log.with_text(&text, mask),
        Err(unread) => ContainerLog {
            unread: Some(unread),
            ..log
        },
    }
}

async fn tail_of(api: &Api<Pod>, log: &ContainerLog, lines: i64) -> Result<String, String> {
    let params = LogParams {
        container: Some(log.container.clone()),
        tail_lines: Some(lines),
        limit_bytes: Some(MAX_ANSWER),
        ..LogParams::default()
    };
    match tokio::time::timeout(PATIENCE, api.logs(&log.pod, &params)).await {
        // The node's own words, where the log should be.
        Ok(Ok(text)) if text.starts_with(LOST_LOG) => Err("the node has lost it".to_owned()),
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => Err(chain(&error)),
        Err(_) => Err(format!("the node did not answer within {} s", PATIENCE.as_secs())),
    }
}

/// The containers of a pod that have run at all, in the order in which they ran.
fn started(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let has_run = |status: &&ContainerStatus| {
        let state = status.state.as_ref();
        state.is_some_and(|state| state.running.is_some() || state.terminated.is_some()) || status.restart_count > 0
    };
    container_statuses(pod).filter(has_run)
}
