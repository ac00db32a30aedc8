//! What a Git host was told of an environment, small enough for an annotation.

use serde::{Deserialize, Serialize};

use crate::domain::manifest::digest_of_text;
use crate::domain::report::{CommitReport, CommitState, DeploymentReport, DeploymentState};

/// What a Git host was told of an environment. Written before anything comes into being there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// The commit status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ToldStatus>,
    /// The deployments that may not be over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deployments: Vec<ToldDeployment>,
    /// The comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<ToldComment>,
}

/// The commit status that was set last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToldStatus {
    /// The commit.
    pub revision: String,
    /// What it says.
    #[serde(with = "state")]
    pub state: CommitState,
    /// A digest of all of it.
    pub digest: String,
}

/// A deployment that was told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToldDeployment {
    /// The commit.
    pub revision: String,
    /// The host's number of it; absent until its answer, and where there are no deployments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// A digest of what was told last; empty until its answer.
    #[serde(default)]
    pub digest: String,
    /// Whether that was a success.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_success: bool,
}

/// The comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToldComment {
    /// The pull request that it is on.
    pub pull_request: u64,
    /// The host's number of it; absent until its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// A digest of its text; empty until its answer.
    #[serde(default)]
    pub digest: String,
}

impl Told {
    /// Reads an annotation. What cannot be understood says that nothing was told: everything is told again, to the same effect.
    pub fn read(text: Option<&str>) -> Self {
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// The text of the annotation.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Takes in that a deployment is about to be told of, or was.
    pub fn deployment(&mut self, report: &DeploymentReport, id: Option<u64>, is_done: bool) {
        let revision = report.revision.as_str();
        let is_over = report.state == DeploymentState::Inactive;
        let known = self.deployments.iter().position(|told| told.revision == revision);
        let told = ToldDeployment {
            revision: revision.to_owned(),
            id,
            digest: if is_done {
                ToldDeployment::digest_of(report)
            } else {
                String::new()
            },
            is_success: is_done && report.state == DeploymentState::Success,
        };
        match known {
            Some(index) if is_done => self.deployments[index] = told,
            Some(_) => {}
            None if is_over => {}
            None => self.deployments.push(told),
        }
    }

    /// Forgets the deployments that are over, but for that of `revision`.
    pub fn forget_over(&mut self, environment: &str, branch: &crate::domain::git::BranchName, keep: &str) {
        self.deployments.retain(|told| {
            let over = told
                .revision
                .parse()
                .map(|revision| super::deployment_over(environment, branch, revision));
            told.revision == keep || over.is_ok_and(|over| ToldDeployment::digest_of(&over) != told.digest)
        });
    }
}

impl ToldStatus {
    /// What setting `report` leaves behind.
    pub fn of(report: &CommitReport) -> Self {
        let CommitReport {
            revision,
            state,
            description,
            target,
            ..
        } = report;
        Self {
            revision: revision.to_string(),
            state: *state,
            digest: short(&format!("{state:?} {description} {target:?}")),
        }
    }
}

impl ToldDeployment {
    pub(super) fn digest_of(report: &DeploymentReport) -> String {
        short(&format!("{:?} {:?}", report.state, report.url))
    }
}

impl ToldComment {
    /// The digest of a text.
    pub fn digest_of(body: &str) -> String {
        short(body)
    }
}

fn short(text: &str) -> String {
    digest_of_text(text)[..16].to_owned()
}

mod state {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::report::CommitState;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    pub(super) fn serialize<S: Serializer>(state: &CommitState, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match state {
            CommitState::Pending => "pending",
            CommitState::Success => "success",
            CommitState::Failure => "failure",
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CommitState, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "pending" => Ok(CommitState::Pending),
            "success" => Ok(CommitState::Success),
            "failure" => Ok(CommitState::Failure),
            other => Err(serde::de::Error::custom(format!("unknown state {other:?}"))),
        }
    }
}
