//! What the containers of a stage are told of the environment and the run, as variables.

use std::time::Duration;

use serde_json::{Value, json};

use super::outputs::{self, Outputs};
use crate::domain::manifest::{Admission, digest_of_text};
use crate::domain::run::RunNumber;

/// Everything that the objects of a stage depend on, besides what the stage is told.
#[derive(Debug, Clone, Copy)]
pub struct JobFacts<'a> {
    /// The stage.
    pub stage: &'a str,
    /// The line of `pipeline.yaml` where it begins.
    pub line: usize,
    /// The run.
    pub run: RunNumber,
    /// Which try of the stage it is, counted from 1.
    pub attempt: u32,
    /// How long it may take.
    pub timeout: Duration,
    /// Whether it runs before a removal.
    pub is_teardown: bool,
    /// The branch.
    pub branch: &'a str,
    /// The revision of the run.
    pub revision: &'a str,
    /// The number of the open pull request from the branch.
    pub pull_request: Option<u64>,
    /// Where the environment is found.
    pub url: &'a str,
    /// The host in it.
    pub host: &'a str,
    /// Whether no other revision was ever applied to the environment.
    pub is_first_deploy: bool,
    /// What the stages before it have handed on.
    pub outputs: &'a Outputs,
    /// The Pod Security level of the namespace: `privileged`, `baseline` or `restricted`.
    pub pod_security: &'a str,
    /// The image with `sh` and `tar` that takes in the files of a commit.
    pub tools_image: &'a str,
    /// What objects of the environment are measured against.
    pub admission: &'a Admission<'a>,
}

/// `<stage>-<run>-<try>`. The name of a long stage is cut, and a digest of it keeps names apart.
pub fn job_name(stage: &str, run: RunNumber, attempt: u32) -> String {
    const ROOM: usize = 63;
    let numbers = format!("-{run}-{attempt}");
    if stage.len() + numbers.len() <= ROOM {
        return format!("{stage}{numbers}");
    }
    let digest = &digest_of_text(stage)[..8];
    let room = ROOM.saturating_sub(numbers.len() + 1 + digest.len());
    let stage: String = stage.chars().take(room).collect();
    format!("{}-{digest}{numbers}", stage.trim_end_matches('-'))
}

impl JobFacts<'_> {
    /// The name of the Job of this try, see [`job_name`].
    pub fn name(&self) -> String {
        job_name(self.stage, self.run, self.attempt)
    }

    /// The variables that every container has, in the order in which Kubernetes defines them.
    pub(super) fn variables(&self) -> Vec<Value> {
        let environment = self.admission.environment.as_str();
        let truth = |truth: bool| if truth { "true" } else { "false" }.to_owned();
        let mut variables = vec![
            ("GRAFTLING_ENVIRONMENT".to_owned(), environment.to_owned()),
            ("GRAFTLING_NAMESPACE".to_owned(), self.admission.namespace.as_str().to_owned()),
            ("GRAFTLING_PROJECT".to_owned(), self.admission.project.name.as_str().to_owned()),
            ("GRAFTLING_BRANCH".to_owned(), self.branch.to_owned()),
            ("GRAFTLING_REVISION".to_owned(), self.revision.to_owned()),
            (
                "GRAFTLING_PULL_REQUEST".to_owned(),
                self.pull_request.map(|number| number.to_string()).unwrap_or_default(),
            ),
            ("GRAFTLING_URL".to_owned(), self.url.to_owned()),
            ("GRAFTLING_HOST".to_owned(), self.host.to_owned()),
            ("GRAFTLING_RUN".to_owned(), self.run.to_string()),
            ("GRAFTLING_STAGE".to_owned(), self.stage.to_owned()),
            ("GRAFTLING_TRY".to_owned(), self.attempt.to_string()),
            ("GRAFTLING_FIRST_DEPLOY".to_owned(), truth(self.is_first_deploy)),
            ("GRAFTLING_TEARDOWN".to_owned(), truth(self.is_teardown)),
            ("GRAFTLING_OUTPUTS".to_owned(), outputs::FILE.to_owned()),
        ];
        for (stage, of_stage) in self.outputs {
            variables.extend(of_stage.iter().map(|(name, value)| (outputs::variable(stage, name), value.clone())));
        }
        // Kubernetes would take $(NAME) in a branch or an output for a variable.
        let verbatim = |(name, value): (String, String)| json!({ "name": name, "value": value.replace('$', "$$") });
        variables.into_iter().map(verbatim).collect()
    }
}
