//! From a stage that is under way to its question, and from the answer to how the stage stands.

use std::sync::Arc;
use std::time::Duration;

use super::{Around, Asked, Asker, ErrandKey, Errands, Pace};
use crate::domain::errand::{Answer, Errand};
use crate::domain::manifest::digest_of_text;
use crate::domain::run::{Progress, RunNumber, StageRun};
use crate::domain::stage::check::{self, Check, Probe};
use crate::domain::stage::checkout;
use crate::domain::stage::wait::{self, Subject, Wait};
use crate::domain::stage::webhook::{self, Webhook};

/// How a stage that asks something of the outside stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// How it stands.
    pub progress: Progress,
    /// The streak that is to be kept in its [`StageRun`].
    pub streak: i32,
    /// When to look again although nothing woke the environment.
    pub again: Duration,
}

/// What asks: a stage of a run.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The environment.
    pub asker: &'a Asker,
    /// The run.
    pub run: RunNumber,
    /// The stage.
    pub stage: &'a StageRun,
    /// What surrounds it.
    pub around: &'a Arc<Around>,
}

/// An errand under way wakes its environment; this is for the case that its answer gets lost.
const LOST: Duration = Duration::from_secs(60);
/// A streak that changed is stored first.
const SOON: Duration = Duration::from_millis(50);
/// An answered call is not made again, however late its answer is stored.
const ONCE: Duration = Duration::from_hours(24);

impl Errands {
    /// How a `check` stands.
    pub fn check(&self, place: &Place<'_>, check: &Check) -> Looked {
        let errand = || match check.probe.clone() {
            Probe::Http(http) => Errand::Http(http),
            Probe::Tcp(tcp) => Errand::Tcp(tcp),
            Probe::Exec(exec) => Errand::Exec(exec),
            Probe::Condition(condition) => Errand::Condition(condition),
        };
        let judge = |answer: &Answer| check::judge(check, place.stage.streak, answer);
        self.look(place, Pace::every(check.every), errand, judge)
    }

    /// How a `wait` stands.
    pub fn wait(&self, place: &Place<'_>, wait: &Wait) -> Looked {
        let errand = || match wait.subject.clone() {
            Subject::CommitStatus(status) => Errand::CommitStatus(status),
            Subject::CheckRun(run) => Errand::CheckRun(run),
            Subject::Image(image) => Errand::Image(image),
        };
        self.look(place, Pace::every(wait.every), errand, |answer| {
            wait::judge(place.stage.streak, answer)
        })
    }

    /// How far the files of the commit have come into the workspace of a `steps` stage, whose Job is there. `Done` says no more than that;
    /// the stage itself stands as its Job does.
    pub fn checkout(&self, place: &Place<'_>, job: &str) -> Looked {
        let streak = place.stage.streak;
        let errand = || Errand::Checkout { job: job.to_owned() };
        let pace = Pace::every(checkout::pause(streak));
        self.look(place, pace, errand, |answer| checkout::judge(streak, answer))
    }

    /// How a `webhook` stands: first the call, then, if it waits for the end at the other side, questions after it.
    ///
    /// # Guarantees
    /// All deliveries of one try of a stage carry the same idempotency key, also those of another process. A call that was answered is
    /// not made again by this process, whether or not the pass that took the answer could store it.
    pub fn webhook(&self, place: &Place<'_>, webhook: &Webhook) -> Looked {
        let call = Box::new(webhook.clone());
        let streak = place.stage.streak;
        let needs_url = webhook.wait_for.as_ref().is_some_and(|wait_for| wait_for.status_url.is_some());
        let url = self.next_url(&place.key());
        let judge = |answer: &Answer| webhook::judge(streak, answer);
        let pause = webhook::pause(webhook, streak);
        // A place that the other side named is not kept over a restart: the same call again brings it back.
        if webhook::is_taken(streak) && (!needs_url || url.is_some()) {
            return self.look(place, Pace::every(pause), || Errand::Poll { call, url }, judge);
        }
        let idempotency_key = idempotency_key(&place.asker.uid, place.run, &place.stage.name, place.stage.attempt());
        let errand = || Errand::Webhook { call, idempotency_key };
        self.look(place, Pace { pause, keep: ONCE }, errand, judge)
    }

    fn look(
        &self,
        place: &Place<'_>,
        pace: Pace,
        errand: impl FnOnce() -> Errand,
        judge: impl FnOnce(&Answer) -> (i32, Option<Progress>),
    ) -> Looked {
        let stage = place.stage;
        let told = || stage.message.clone().unwrap_or_else(|| "waiting for the first answer".to_owned());
        match self.ask(&place.key(), pace, errand, place.around) {
            Asked::Answer(answer, again) => {
                let (streak, end) = judge(&answer);
                Looked {
                    progress: end.unwrap_or_else(|| pending(answer.message)),
                    streak,
                    // The next question has a pause of its own, which the next pass sees to.
                    again: if streak == stage.streak { again } else { SOON },
                }
            }
            Asked::UnderWay => Looked {
                progress: pending(told()),
                streak: stage.streak,
                again: LOST,
            },
            Asked::Later(again) => Looked {
                progress: pending(told()),
                streak: stage.streak,
                again,
            },
        }
    }
}

impl Place<'_> {
    fn key(&self) -> ErrandKey {
        ErrandKey {
            environment: self.asker.clone(),
            run: self.run,
            stage: self.stage.name.clone(),
            try_number: self.stage.attempt(),
            question: self.stage.streak,
        }
    }
}

fn pending(message: String) -> Progress {
    Progress::Pending { message, outside: true }
}

/// The same for all deliveries of one try of a stage, and for no other.
pub(super) fn idempotency_key(environment_uid: &str, run: RunNumber, stage: &str, try_number: u32) -> String {
    let digest = digest_of_text(&format!("{environment_uid}/{run}/{stage}/{try_number}"));
    format!("graftling_{digest}")
}
