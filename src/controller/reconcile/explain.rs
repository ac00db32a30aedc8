//! Why something is not ready, in the place of what its controller says.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Reconciler;
use super::run::Site;
use crate::controller::diagnoses::Advice;
use crate::domain::inventory::Stage;
use crate::domain::manifest::ObjectKey;
use crate::domain::outcome::{self, Outcome};
use crate::domain::plan::{Plan, Waiting};
use crate::domain::record::Mask;
use crate::domain::run::{Progress, Staged};
use crate::domain::status::{Phase, Report, StageState, shorten, summarise_deployment, waiting};
use crate::domain::why::{self, Explanation, Subject};

/// What fails by itself and heals by itself is tried again after half of the time that it has lasted, but not more often or seldom.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

impl Reconciler {
    /// What came of a plan, with what is wrong in plain words where something is.
    ///
    /// # Guarantees
    /// - Nothing is read while everything is ready, nor within the first seconds of a wait.
    /// - What was found out a moment ago is not asked for again, and a look is a dozen requests at most.
    pub(super) async fn explained(&self, site: &Site<'_>, plan: &Plan, outcomes: &[Outcome]) -> (Report, Option<Explanation>) {
        let report = summarise_deployment(plan, outcomes);
        let uid = &site.identity.uid;
        if report.phase == Phase::Ready {
            self.diagnoses.forget(uid);
            return (report, None);
        }
        let unready = waiting(plan, outcomes);
        let story = unready.iter().map(|waiting| format!("{waiting}\n")).collect::<String>();
        let now = Instant::now();
        let advice = self.diagnoses.advice(uid, &story, report.phase == Phase::Failed, now);
        if !why::is_wait(report.reason) {
            return self.refusal(uid, outcomes, report);
        }
        let explanation = match advice {
            Advice::Wait(rest) => {
                let again = sooner(report.again, rest);
                return (Report { again, ..report }, None);
            }
            Advice::Known(explanation) => explanation.map(|known| *known),
            Advice::Look => {
                let found = self.look_for_trouble(site, &unready).await;
                self.diagnoses.remember(uid, story, found, Instant::now())
            }
        };
        let again = sooner(report.again, self.diagnoses.again(uid, now));
        let report = Report { again, ..report };
        match explanation {
            Some(explanation) => (told(report, &explanation), Some(explanation)),
            None => (report, None),
        }
    }

    /// A refusal explains itself. One that passes by itself is waited for with growing pauses.
    fn refusal(&self, uid: &str, outcomes: &[Outcome], mut report: Report) -> (Report, Option<Explanation>) {
        if matches!(report.reason, "ServerUnavailable" | "WebhookUnavailable") {
            let waited = self.diagnoses.waited(uid, Instant::now());
            report.again = Some((waited / 2).clamp(RETRY.0, RETRY.1));
        }
        let explanations = outcome::failures(outcomes).filter_map(why::of_refusal);
        let told = explanations
            .into_iter()
            .find(|explanation| !explanation.class.is_general() && explanation.class.name() == report.reason);
        (report, told)
    }

    async fn look_for_trouble(&self, site: &Site<'_>, unready: &[Waiting]) -> Option<Explanation> {
        let client = self.observer.connection.deployer(site.deployer).ok()?;
        let keys: Vec<ObjectKey> = unready
            .iter()
            .filter(|waiting| waiting.deletion.is_none())
            .map(|waiting| waiting.key.clone())
            .collect();
        if keys.is_empty() {
            return None;
        }
        let mut look = self.observer.diagnose(&client, &site.identity.name.namespace(), &keys).await;
        if let Some(log) = &mut look.scene.log {
            // What the bundle's own Secrets hold is known here; the rest is masked by its looks.
            let mask = Mask::of_documents(site.desired.staged.all().map(|manifest| &*manifest.body));
            log.text = mask.apply(&log.text);
        }
        why::explain(&look.scene).into_iter().next()
    }
}

fn sooner(again: Option<Duration>, wanted: Duration) -> Option<Duration> {
    Some(again.map_or(wanted, |again| again.min(wanted)))
}

/// The report with an explanation in the place of its message, and of that of the stage that waits.
fn told(mut report: Report, explanation: &Explanation) -> Report {
    let message = shorten(&explanation.message());
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

/// What is known of stages, with an explanation in the place of the message of the one that it is about. What no stage applies itself, such
/// as a claim that a StatefulSet makes, is told of every stage that waits.
pub(super) fn in_plain_words(
    mut progress: BTreeMap<String, Progress>,
    explanation: Option<&Explanation>,
    staged: &Staged,
) -> BTreeMap<String, Progress> {
    let Some(explanation) = explanation else { return progress };
    let is_about = |key: &ObjectKey| Subject::new(&key.kind, &key.name).formal() == explanation.object;
    let is_anybodys = !staged.all().any(|manifest| is_about(&manifest.key));
    for (name, known) in &mut progress {
        let Some(objects) = staged.objects.get(name) else { continue };
        if !is_anybodys && !objects.iter().any(|manifest| is_about(&manifest.key)) {
            continue;
        }
        if let Progress::Pending { message, .. } | Progress::Failed { message, .. } = known {
            *message = shorten(&explanation.message());
        }
    }
    progress
}
