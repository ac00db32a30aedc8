//! How a run goes on: what is known of its stages, and the time, decide which end, which begin, and which never will.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{ByHand, Progress, Run, RunState, StageRun, StageState};
use crate::domain::bundle::pipeline::{Action, OnFailure, Stage};

/// What a run is advanced with.
pub struct Turn<'a> {
    /// The stages of the pipeline, those of the run.
    pub stages: &'a [Stage],
    /// Why a stage does not run in this run; `None` if it does. Asked before its first try, unless a person decided.
    pub unmet: &'a dyn Fn(&Stage) -> Option<String>,
    /// The time of the pass.
    pub now: Timestamp,
}

/// The pause before the second try; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

impl Run {
    /// Takes in what is known of the stages, and goes on as far as that allows.
    ///
    /// # Guarantees
    /// - A stage begins only when each stage that it needs has succeeded, was skipped because it need not run, or failed under `continue`.
    /// - A stage that has ended never begins again; one whose time is over has failed.
    /// - What needs a stage that failed is skipped, and says which. Once a stage has failed under `rollback`, nothing begins any more.
    /// - An apply stage that failed under `stop` succeeds when its objects heal, and what was skipped because of it follows. While they are
    ///   on their way again, so is the stage, unless it has a time and that is over.
    /// - Advancing again with the same knowledge at the same time changes nothing.
    pub fn advance(&mut self, turn: &Turn<'_>, progress: &BTreeMap<String, Progress>) {
        if self.state == RunState::Superseded {
            return;
        }
        for stage in turn.stages {
            if let Some(known) = self.stage_mut(&stage.name) {
                settle(known, stage, progress.get(&stage.name), turn.now);
            }
        }
        while self.begin_one(turn) {}
        self.conclude(turn);
    }

    /// Changes one stage that waits and need not any more. Whether there was one.
    fn begin_one(&mut self, turn: &Turn<'_>) -> bool {
        let rolls_back = self.rolls_back(turn.stages);
        for stage in turn.stages {
            let verdict = self.verdict(stage, turn, rolls_back);
            let Some(waiting) = self.stage_mut(&stage.name) else { continue };
            if waiting.take(verdict, turn.now) {
                return true;
            }
        }
        false
    }

    fn verdict(&self, stage: &Stage, turn: &Turn<'_>, rolls_back: bool) -> Verdict {
        let Some(own) = self.stage(&stage.name) else { return Verdict::Wait };
        let is_unreached = own.state == StageState::Skipped && own.failed_need.is_some();
        if own.state != StageState::Waiting && !is_unreached {
            return Verdict::Wait;
        }
        for need in &stage.needs {
            match self.need(need, turn.stages) {
                Need::Met => {}
                Need::Open if is_unreached => return Verdict::Reopen,
                Need::Open => return Verdict::Wait,
                Need::Failed(name) => return Verdict::Unreached(name),
            }
        }
        if rolls_back {
            let failed = self.first_failed(turn.stages, OnFailure::Rollback);
            return Verdict::Unreached(failed.unwrap_or_default());
        }
        if is_unreached {
            return Verdict::Reopen;
        }
        if own.not_before.is_some_and(|time| time > turn.now) {
            return Verdict::Wait;
        }
        match own.by_hand {
            Some(ByHand::Skip) => Verdict::Skip(own.message.clone().unwrap_or_else(|| "skipped by hand".to_owned())),
            Some(ByHand::Run) => Verdict::Begin,
            // What has begun once goes on, whatever its condition says by now.
            None => match (turn.unmet)(stage).filter(|_| own.tries == 0) {
                Some(reason) => Verdict::Skip(reason),
                None => Verdict::Begin,
            },
        }
    }

    fn need(&self, name: &str, stages: &[Stage]) -> Need {
        let Some(needed) = self.stage(name) else { return Need::Met };
        match needed.state {
            StageState::Succeeded => Need::Met,
            StageState::Waiting | StageState::Running => Need::Open,
            StageState::Skipped => match &needed.failed_need {
                Some(failed) => Need::Failed(failed.clone()),
                None => Need::Met,
            },
            StageState::Failed => match policy(stages, name) {
                OnFailure::Continue => Need::Met,
                OnFailure::Stop | OnFailure::Rollback | OnFailure::Block => Need::Failed(name.to_owned()),
            },
        }
    }

    /// Whether a stage failed that asks for the last good state to be put back.
    pub fn rolls_back(&self, stages: &[Stage]) -> bool {
        self.first_failed(stages, OnFailure::Rollback).is_some()
    }

    fn first_failed(&self, stages: &[Stage], under: OnFailure) -> Option<String> {
        let failed = |stage: &&StageRun| stage.state == StageState::Failed && policy(stages, &stage.name) == under;
        self.stages.iter().find(failed).map(|stage| stage.name.clone())
    }

    fn conclude(&mut self, turn: &Turn<'_>) {
        let is_open = |stage: &StageRun| matches!(stage.state, StageState::Waiting | StageState::Running);
        let state = if self.stages.iter().any(is_open) {
            RunState::Running
        } else if self.rolls_back(turn.stages) {
            RunState::RolledBack
        } else if self.counts_as_failed(turn.stages) {
            RunState::Failed
        } else {
            RunState::Succeeded
        };
        if state != self.state {
            self.ended = (state != RunState::Running).then_some(turn.now);
            self.state = state;
        }
    }

    fn counts_as_failed(&self, stages: &[Stage]) -> bool {
        let fails = |stage: &StageRun| stage.state == StageState::Failed && policy(stages, &stage.name) != OnFailure::Continue;
        self.stages.iter().any(fails)
    }

    /// When something about the run is due although nothing happens: the end of a stage's time, or the next try.
    pub fn next_deadline(&self, stages: &[Stage]) -> Option<Timestamp> {
        let due = |stage: &Stage| {
            let own = self.stage(&stage.name)?;
            match own.state {
                StageState::Running => own.since.zip(stage.timeout).map(|(since, timeout)| add(since, timeout)),
                StageState::Waiting => own.not_before,
                StageState::Succeeded | StageState::Failed | StageState::Skipped => None,
            }
        };
        stages.iter().filter_map(due).min()
    }
}

/// Takes what is known of a stage into it.
fn settle(known: &mut StageRun, stage: &Stage, progress: Option<&Progress>, now: Timestamp) {
    let heals = known.state == StageState::Failed && matches!(stage.action, Action::Apply(_)) && stage.on_failure != OnFailure::Rollback;
    if known.state != StageState::Running && !heals {
        return;
    }
    match progress {
        None => {}
        Some(Progress::Done { message, outputs }) => {
            known.state = StageState::Succeeded;
            known.ended = Some(now);
            known.message.clone_from(message);
            known.outputs.clone_from(outputs);
        }
        // What it failed at is told by what keeps it from healing now.
        Some(Progress::Failed { message, .. }) if heals => known.message = Some(message.clone()),
        Some(Progress::Pending { message, .. }) if heals => {
            known.message = Some(message.clone());
            if stage.timeout.is_none() {
                known.state = StageState::Running;
                known.ended = None;
            }
        }
        Some(Progress::Failed { message, retry }) => fail(known, stage, message, *retry, now),
        Some(Progress::Pending { message, .. }) => match stage.timeout {
            Some(timeout) if known.since.is_some_and(|since| add(since, timeout) <= now) => {
                let message = format!("not done after {}: {message}", spoken(timeout));
                fail(known, stage, &message, true, now);
            }
            _ => known.message = Some(message.clone()),
        },
    }
}

fn fail(known: &mut StageRun, stage: &Stage, message: &str, retry: bool, now: Timestamp) {
    known.message = Some(message.to_owned());
    known.ended = Some(now);
    known.streak = 0;
    if retry && known.tries <= stage.retries {
        known.state = StageState::Waiting;
        known.not_before = Some(add(now, pause(known.tries)));
    } else {
        known.state = StageState::Failed;
    }
}

/// How long to wait after the given number of tries.
fn pause(tries: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(tries.saturating_sub(1));
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

fn policy(stages: &[Stage], name: &str) -> OnFailure {
    let stage = stages.iter().find(|stage| stage.name == name);
    stage.map_or(OnFailure::Stop, |stage| stage.on_failure)
}

pub(super) fn add(time: Timestamp, duration: Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// A duration as `pipeline.yaml` has it.
pub(super) fn spoken(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds > 0 && seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        seconds if seconds > 0 && seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// What becomes of a stage that has not begun.
enum Verdict {
    Wait,
    Begin,
    Skip(String),
    Unreached(String),
    Reopen,
}

/// How a need stands.
enum Need {
    Met,
    Open,
    Failed(String),
}

impl StageRun {
    /// Whether the verdict changes anything.
    fn take(&mut self, verdict: Verdict, now: Timestamp) -> bool {
        match verdict {
            Verdict::Wait => return false,
            Verdict::Begin => {
                self.state = StageState::Running;
                self.tries += 1;
                self.since = Some(now);
                self.ended = None;
                self.not_before = None;
                self.message = None;
            }
            Verdict::Skip(reason) => {
                self.state = StageState::Skipped;
                self.ended = Some(now);
                self.message = Some(reason);
            }
            Verdict::Unreached(need) => {
                if self.failed_need.as_ref() == Some(&need) && self.state == StageState::Skipped {
                    return false;
                }
                self.state = StageState::Skipped;
                self.ended = Some(now);
                self.message = Some(format!("stage {need} failed"));
                self.failed_need = Some(need);
            }
            Verdict::Reopen => {
                *self = Self {
                    tries: self.tries,
                    earlier: self.earlier,
                    by_hand: self.by_hand,
                    ..Self::new(&self.name)
                };
            }
        }
        true
    }
}
