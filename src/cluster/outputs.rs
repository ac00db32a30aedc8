//! What the containers of a job handed on when they ended.

use k8s_openapi::api::core::v1::Pod;

use super::error::Error;
use super::logs::{Attempt, container_statuses, pods_of_job};
use super::observe::Observer;
use super::records::Records;

impl Observer {
    /// The termination messages of the containers of a try's pod that has succeeded, in the order in which they ran.
    ///
    /// # Errors
    /// The pods could not be listed.
    pub async fn job_outputs(&self, records: &Records<'_>, attempt: &Attempt) -> Result<Vec<String>, Error> {
        let api = self.pods_as(records.deployer, records)?;
        let has_succeeded = |pod: &&Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            phase == Some("Succeeded")
        };
        let pods = pods_of_job(&api, &attempt.job).await?;
        Ok(pods.iter().find(has_succeeded).map(messages).unwrap_or_default())
    }
}

fn messages(pod: &Pod) -> Vec<String> {
    let ended = container_statuses(pod).filter_map(|status| status.state.as_ref()?.terminated.as_ref());
    ended.filter_map(|ended| ended.message.clone()).collect()
}
