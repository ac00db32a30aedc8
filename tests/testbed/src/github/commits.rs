//! What others said of commits: statuses and check runs.

use serde_json::{Value, json};

use super::FakeGithub;

/// What was said of the commits of one repository, the newest last.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    statuses: Vec<Status>,
    runs: Vec<Run>,
}

#[derive(Debug, Clone)]
struct Status {
    commit: String,
    context: String,
    state: String,
}

#[derive(Debug, Clone)]
struct Run {
    commit: String,
    name: String,
    conclusion: Option<String>,
}

impl FakeGithub {
    /// Sets a commit status; those before stay in the list, as at GitHub.
    pub fn set_status(&self, id: u64, commit: &str, context: &str, state: &str) {
        if let Some(repository) = self.state().repositories.get_mut(&id) {
            repository.commits.statuses.push(Status {
                commit: commit.to_owned(),
                context: context.to_owned(),
                state: state.to_owned(),
            });
        }
    }

    /// Begins or ends the check run of a name; `None`: it is under way.
    pub fn set_check_run(&self, id: u64, commit: &str, name: &str, conclusion: Option<&str>) {
        if let Some(repository) = self.state().repositories.get_mut(&id) {
            let runs = &mut repository.commits.runs;
            runs.retain(|run| run.commit != commit || run.name != name);
            runs.push(Run {
                commit: commit.to_owned(),
                name: name.to_owned(),
                conclusion: conclusion.map(str::to_owned),
            });
        }
    }
}

impl Said {
    /// The statuses of a commit, the newest first.
    pub(super) fn statuses(&self, commit: &str) -> Vec<Value> {
        let own = self.statuses.iter().rev().filter(|status| status.commit == commit);
        own.map(|status| json!({"context": status.context, "state": status.state, "description": format!("{} says so", status.context)}))
            .collect()
    }

    /// The answer about the check runs of a commit.
    pub(super) fn runs(&self, commit: &str, name: Option<&str>) -> Value {
        let own = self
            .runs
            .iter()
            .filter(|run| run.commit == commit && name.is_none_or(|name| run.name == name));
        let runs: Vec<Value> = own
            .map(|run| {
                let status = if run.conclusion.is_some() { "completed" } else { "in_progress" };
                json!({"name": run.name, "status": status, "conclusion": run.conclusion, "output": {"title": format!("{} of it", run.name)}})
            })
            .collect();
        json!({"total_count": runs.len(), "check_runs": runs})
    }
}
