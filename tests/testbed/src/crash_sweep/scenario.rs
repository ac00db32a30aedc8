//! What happens to the environment, and how one sees that it is over.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Error, bundle};
use crate::{Repository, Subject, subject};

/// The branch whose environment the scenario is about.
pub(super) const BRANCH: &str = "feature/a";

/// A branch whose environment is ready before and must be untouched afterwards.
pub(super) const BYSTANDER: &str = "feature/b";

/// What happens to an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// A branch is pushed for the first time.
    Create,
    /// A push changes a file, removes one and makes an object one of another kind.
    Update,
    /// A push brings what never becomes ready; the pipeline puts back what was good.
    Rollback,
    /// The branch is deleted.
    Teardown,
}

impl Scenario {
    /// All of them, in the order of an environment's life.
    pub const ALL: [Scenario; 4] = [Scenario::Create, Scenario::Update, Scenario::Rollback, Scenario::Teardown];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Create => "create",
            Scenario::Update => "update",
            Scenario::Rollback => "rollback",
            Scenario::Teardown => "teardown",
        }
    }

    /// The scenario of this name.
    pub fn named(name: &str) -> Option<Scenario> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// What the Project says beyond where its bundle is.
    pub(super) fn project() -> Value {
        json!({
            "bundle": { "repository": { "path": bundle::FOLDER, "from": "Branch" } },
            "guardrails": { "quota": { "requests.cpu": "9000", "limits.cpu": "9000" } },
        })
    }

    /// Brings the environment to where the scenario begins. Answers with the revision that is ready then.
    pub(super) async fn prepare(self, subject: &Subject, repository: &Repository) -> Result<Option<String>, Error> {
        if self == Scenario::Create {
            return Ok(None);
        }
        let revision = push(repository, BRANCH, &bundle::first())?;
        subject.wait_ready(BRANCH, &revision).await?;
        Ok(Some(revision))
    }

    /// Lets it happen. Answers with the revision that is wished then, if there is one.
    pub(super) fn act(self, repository: &Repository) -> Result<Option<String>, Error> {
        match self {
            Scenario::Create => push(repository, BRANCH, &bundle::first()).map(Some),
            Scenario::Update => push_without(repository, BRANCH, &bundle::changed(), bundle::INGRESS_FILE).map(Some),
            Scenario::Rollback => push_without(repository, BRANCH, &bundle::hopeless(), bundle::INGRESS_FILE).map(Some),
            Scenario::Teardown => {
                repository.delete_branches(&[BRANCH]).map_err(Error::Git)?;
                Ok(None)
            }
        }
    }

    /// Whether the end is reached, or what is there instead.
    pub(super) async fn reached(self, subject: &Subject, wished: Option<&str>) -> Result<(), String> {
        let environment = subject.environment(BRANCH).await.map_err(|error| crate::error_chain(&error))?;
        let wished = wished.unwrap_or_default();
        match (self, environment) {
            (Scenario::Teardown, None) => Ok(()),
            (Scenario::Rollback, Some(environment)) if is_rolled_back(&environment, wished) => Ok(()),
            (Scenario::Create | Scenario::Update, Some(environment)) if subject::is_ready(&environment, wished) => Ok(()),
            (_, Some(environment)) => Err(subject::said(&environment)),
            (_, None) => Err("no Environment".to_owned()),
        }
    }
}

fn is_rolled_back(environment: &Value, wished: &str) -> bool {
    let status = &environment["status"];
    // The state of the run says that it will be put back; the message, that it is.
    let is_back = status["message"].as_str().is_some_and(|message| message.ends_with("is back"));
    status["phase"] == "Failed" && status["run"]["state"] == "RolledBack" && status["run"]["revision"] == wished && is_back
}

/// Pushes files to a branch.
pub(super) fn push(repository: &Repository, branch: &str, files: &[bundle::File]) -> Result<String, Error> {
    let files: Vec<(&str, &str)> = files.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
    repository.commit(branch, &files).map_err(Error::Git)
}

/// Pushes files to a branch and removes one, in one commit.
fn push_without(repository: &Repository, branch: &str, files: &[bundle::File], removed: &str) -> Result<String, Error> {
    let removed = Path::new(bundle::FOLDER).join(removed).display().to_string();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
    repository.commit_without(branch, &files, &[&removed]).map_err(Error::Git)
}
