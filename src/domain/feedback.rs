//! What a Git host is told of an environment, from what is known of it: for people who look at a commit or a pull request and know no
//! Kubernetes word.
//!
//! A status is set for the commit that the environment is to show and for no other, with one exception: a commit whose status still said
//! "pending" when a newer one took its place is told to be superseded, as a failure, because it was never shown. One that was shown stays a
//! success.

mod comment;
#[cfg(test)]
mod tests;
mod text;
mod told;

use jiff::Timestamp;

pub use comment::{Log, MAX_LOG_LINES, Removal, comment, marker, removed};
pub use text::description;
pub use told::{Told, ToldComment, ToldDeployment, ToldStatus};

use super::git::{BranchName, Revision};
use super::report::{CommitReport, CommitState, DeploymentReport, DeploymentState};
use super::run::StageState;
use super::status::Phase;

/// What is known of an environment, as far as people at a Git host are concerned.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Its name.
    pub environment: String,
    /// The name of its Project.
    pub project: String,
    /// Its branch.
    pub branch: BranchName,
    /// The commit that it is to show.
    pub wanted: Revision,
    /// The commit that it was last completely set up for.
    pub applied: Option<Revision>,
    /// Where it stands.
    pub phase: Option<Phase>,
    /// Whether that is about the wanted commit: the work on an older one may not be over, or the wanted one not seen yet.
    pub is_about_wanted: bool,
    /// Whether its end was asked for.
    pub is_going: bool,
    /// What is wrong, in one sentence, if something is.
    pub trouble: Option<String>,
    /// The stages that wait for a person's word.
    pub approvals: Vec<String>,
    /// Where it is.
    pub url: Option<String>,
    /// The stages of its last run, if that is for the wanted commit.
    pub stages: Vec<StageStanding>,
    /// The open pull request of its branch.
    pub pull_request: Option<u64>,
}

/// A stage of its last run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageStanding {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: StageState,
    /// When its last try began.
    pub since: Option<Timestamp>,
    /// When that ended.
    pub ended: Option<Timestamp>,
}

/// All of that in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Nothing was done for the wanted commit yet.
    Waiting,
    /// It is being set up or updated.
    UnderWay,
    /// It shows the wanted commit.
    Ready,
    /// Somebody has to change something.
    Failed,
    /// It is switched off until somebody needs it.
    Asleep,
    /// It is being removed.
    Going,
    /// Its removal needs somebody.
    Stuck,
}

impl Standing {
    /// Where it stands with the wanted commit.
    pub fn verdict(&self) -> Verdict {
        match self.phase {
            Some(Phase::Blocked) => Verdict::Stuck,
            _ if self.is_going => Verdict::Going,
            Some(Phase::Deleting) => Verdict::Going,
            Some(Phase::Resting) => Verdict::Asleep,
            Some(Phase::Ready) if self.applied.as_ref() == Some(&self.wanted) => Verdict::Ready,
            Some(Phase::Failed) if self.is_about_wanted => Verdict::Failed,
            None | Some(Phase::Pending) => Verdict::Waiting,
            Some(Phase::Deploying | Phase::Ready | Phase::Failed) if self.is_about_wanted => Verdict::UnderWay,
            Some(_) => Verdict::Waiting,
        }
    }

    /// The commit statuses to set, in this order, when `told` was told last.
    ///
    /// A commit that is shown stays a success while the environment is set up anew for it: only a failure changes that.
    pub fn commit_reports(&self, told: Option<&ToldStatus>) -> Vec<CommitReport> {
        let mut reports = Vec::new();
        let of_wanted = told.filter(|told| told.revision == self.wanted.as_str());
        if let Some(old) = told.filter(|told| of_wanted.is_none() && told.state == CommitState::Pending)
            && let Ok(revision) = old.revision.parse()
        {
            let why = format!("superseded by {} before it was ready", self.wanted.short());
            reports.push(self.commit_report(revision, CommitState::Failure, &why, None));
        }
        let report = self.commit_report_of_wanted(of_wanted.map(|told| told.state));
        reports.extend(report.filter(|report| of_wanted.is_none_or(|told| told.digest != ToldStatus::of(report).digest)));
        reports
    }

    fn commit_report_of_wanted(&self, told: Option<CommitState>) -> Option<CommitReport> {
        let url = self.url.as_deref();
        let (state, text) = match self.verdict() {
            Verdict::Waiting | Verdict::UnderWay if told == Some(CommitState::Success) => return None,
            Verdict::Waiting => (CommitState::Pending, "the preview waits for its turn".to_owned()),
            Verdict::UnderWay => (CommitState::Pending, "the preview is being set up".to_owned()),
            Verdict::Ready => (CommitState::Success, "the preview is ready".to_owned()),
            Verdict::Failed => {
                let why = self.trouble.as_deref().unwrap_or("the preview could not be set up");
                (CommitState::Failure, why.to_owned())
            }
            // What was told before stays true, unless it would be pending for ever.
            Verdict::Going | Verdict::Stuck if told == Some(CommitState::Pending) => {
                (CommitState::Failure, "the preview was removed before it was ready".to_owned())
            }
            Verdict::Asleep | Verdict::Going | Verdict::Stuck => return None,
        };
        Some(self.commit_report(self.wanted.clone(), state, &text, url))
    }

    fn commit_report(&self, revision: Revision, state: CommitState, text: &str, url: Option<&str>) -> CommitReport {
        CommitReport {
            revision,
            branch: self.branch.clone(),
            context: context(&self.project),
            state,
            description: description(text),
            target: url.filter(|url| text::is_plain_url(url)).map(str::to_owned),
        }
    }

    /// The deployments to tell, each with its number if that is known, when `told` were told last.
    pub fn deployment_reports(&self, told: &[ToldDeployment]) -> Vec<(DeploymentReport, Option<u64>)> {
        let verdict = self.verdict();
        let is_over = matches!(verdict, Verdict::Asleep | Verdict::Going | Verdict::Stuck);
        let is_shown = |revision: &str| {
            let applied = self.applied.as_ref().filter(|_| verdict != Verdict::Ready);
            self.wanted.as_str() == revision || applied.is_some_and(|applied| applied.as_str() == revision)
        };
        let over = told.iter().filter(|told| is_over || !is_shown(&told.revision));
        let mut reports: Vec<_> = over
            .filter_map(|told| Some((self.deployment_over(told.revision.parse().ok()?), told)))
            .filter(|(report, told)| told.digest != ToldDeployment::digest_of(report))
            .map(|(report, told)| (report, told.id))
            .collect();
        let of_wanted = told.iter().find(|told| told.revision == self.wanted.as_str());
        let is_news = |report: &DeploymentReport| {
            let digest = ToldDeployment::digest_of(report);
            of_wanted.is_none_or(|told| told.digest != digest && !(told.is_success && is_before_success(report.state)))
        };
        let report = self.deployment_of_wanted(verdict).filter(is_news);
        reports.extend(report.map(|report| (report, of_wanted.and_then(|told| told.id))));
        reports
    }

    fn deployment_of_wanted(&self, verdict: Verdict) -> Option<DeploymentReport> {
        let (state, text) = match verdict {
            Verdict::Waiting => (DeploymentState::Queued, "waits for its turn"),
            Verdict::UnderWay if !self.approvals.is_empty() => (DeploymentState::Queued, "waits for approval"),
            Verdict::UnderWay => (DeploymentState::InProgress, "is being set up"),
            Verdict::Ready => (DeploymentState::Success, "is ready"),
            Verdict::Failed => (DeploymentState::Failure, "could not be set up"),
            Verdict::Asleep | Verdict::Going | Verdict::Stuck => return None,
        };
        Some(self.deployment_report(self.wanted.clone(), state, text))
    }

    fn deployment_report(&self, revision: Revision, state: DeploymentState, text: &str) -> DeploymentReport {
        DeploymentReport {
            environment: self.environment.clone(),
            revision,
            branch: self.branch.clone(),
            state,
            description: description(text),
            url: self.url.clone().filter(|url| text::is_plain_url(url)),
        }
    }

    fn deployment_over(&self, revision: Revision) -> DeploymentReport {
        deployment_over(&self.environment, &self.branch, revision)
    }
}

/// The deployment of a commit that an environment does not show any more.
pub fn deployment_over(environment: &str, branch: &BranchName, revision: Revision) -> DeploymentReport {
    DeploymentReport {
        environment: environment.to_owned(),
        revision,
        branch: branch.clone(),
        state: DeploymentState::Inactive,
        description: "is there no more".to_owned(),
        url: None,
    }
}

/// The status of a commit that was told to be under way when its environment was removed.
pub fn commit_over(project: &str, branch: &BranchName, revision: Revision) -> CommitReport {
    CommitReport {
        revision,
        branch: branch.clone(),
        context: context(project),
        state: CommitState::Failure,
        description: "the preview was removed before it was ready".to_owned(),
        target: None,
    }
}

/// What tells a Project's commit status from others.
pub fn context(project: &str) -> String {
    format!("preview/{project}")
}

fn is_before_success(state: DeploymentState) -> bool {
    matches!(state, DeploymentState::Queued | DeploymentState::InProgress)
}

/// The status of the default branch's head: how many environments there are, and how they stand. It is a success in any case: that some
/// branch fails is no fault of this commit's.
pub fn summary(project: &str, branch: &BranchName, head: Revision, phases: impl IntoIterator<Item = Phase>) -> CommitReport {
    let (mut all, mut ready, mut failed, mut asleep) = (0, 0, 0, 0);
    for phase in phases {
        all += 1;
        match phase {
            Phase::Ready => ready += 1,
            Phase::Failed | Phase::Blocked => failed += 1,
            Phase::Resting => asleep += 1,
            Phase::Pending | Phase::Deploying | Phase::Deleting => {}
        }
    }
    let mut text = match all {
        0 => "no previews".to_owned(),
        1 => "1 preview".to_owned(),
        all => format!("{all} previews"),
    };
    let told = [
        (ready, "ready"),
        (failed, "failed"),
        (asleep, "asleep"),
        (all - ready - failed - asleep, "under way"),
    ];
    let counted: Vec<String> = told
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if !counted.is_empty() {
        text = format!("{text}: {}", counted.join(", "));
    }
    CommitReport {
        revision: head,
        branch: branch.clone(),
        context: context(project),
        state: CommitState::Success,
        description: description(&text),
        target: None,
    }
}
