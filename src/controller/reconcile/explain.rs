//! Why something is not ready, in the place of what its controller says.

use std::time::{Duration, Instant};

use super::Reconciler;
use crate::api::convert::environment::Identity;
use crate::cluster::connection::Deployer;
use crate::controller::diagnoses::Advice;
use crate::domain::inventory::Stage;
use crate::domain::manifest::ObjectKey;
use crate::domain::plan::Waiting;
use crate::domain::status::{Phase, Report, StageState};
use crate::domain::why::{self, Explanation};

/// What fails by itself and heals by itself is tried again after half of the time that it has lasted, but not more often or seldom.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

impl Reconciler {
    /// The report with what is wrong in plain words, where `unready` objects are what it waits for.
    ///
    /// # Guarantees
    /// - Nothing is read while everything is ready, nor within the first seconds of a wait.
    /// - What was found out a moment ago is not asked for again, and a look is a dozen requests at most.
    pub(super) async fn explained(&self, identity: &Identity, deployer: &Deployer, unready: &[Waiting], mut report: Report) -> Report {
        let now = Instant::now();
        if report.phase == Phase::Ready {
            self.diagnoses.forget(&identity.uid);
            return report;
        }
        let story = unready.iter().map(|waiting| format!("{waiting}\n")).collect::<String>();
        let has_failed = report.phase == Phase::Failed;
        let advice = self.diagnoses.advice(&identity.uid, &story, has_failed, now);
        if !why::is_wait(report.reason) {
            if is_passing(report.reason) {
                report.again = Some((self.diagnoses.waited(&identity.uid, now) / 2).clamp(RETRY.0, RETRY.1));
            }
            return report;
        }
        let explanation = match advice {
            Advice::Wait(rest) => {
                report.again = sooner(report.again, rest);
                return report;
            }
            Advice::Known(explanation) => explanation.map(|known| *known),
            Advice::Look => {
                let found = self.look_for_trouble(identity, deployer, unready).await;
                self.diagnoses.remember(&identity.uid, story, found, Instant::now())
            }
        };
        report.again = sooner(report.again, self.diagnoses.again(&identity.uid, now));
        match explanation {
            Some(explanation) => told(report, &explanation),
            None => report,
        }
    }

    async fn look_for_trouble(&self, identity: &Identity, deployer: &Deployer, unready: &[Waiting]) -> Option<Explanation> {
        let client = self.observer.connection.deployer(deployer).ok()?;
        let keys: Vec<ObjectKey> = unready
            .iter()
            .filter(|waiting| waiting.deletion.is_none())
            .map(|waiting| waiting.key.clone())
            .collect();
        if keys.is_empty() {
            return None;
        }
        let look = self.observer.diagnose(&client, &identity.name.namespace(), &keys).await;
        why::explain(&look.scene).into_iter().next()
    }
}

/// Whether a failure is somebody else's and passes without a change of ours.
fn is_passing(reason: &str) -> bool {
    matches!(reason, "ServerUnavailable" | "WebhookUnavailable")
}

fn sooner(again: Option<Duration>, wanted: Duration) -> Option<Duration> {
    Some(again.map_or(wanted, |again| again.min(wanted)))
}

/// The report with an explanation in the place of its message, and of that of the stage that waits.
fn told(mut report: Report, explanation: &Explanation) -> Report {
    let message = crate::domain::status::shorten(&explanation.message());
    for stage in &mut report.stages {
        let waits = matches!(stage.state, StageState::Running | StageState::Failed);
        if stage.stage == Stage::Deploy && waits && stage.message.is_some() {
            stage.message = Some(message.clone());
        }
    }
    Report {
        reason: explanation.class.name(),
        message,
        ..report
    }
}
