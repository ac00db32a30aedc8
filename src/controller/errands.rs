//! Errands: whatever calls out on behalf of an environment, without a pass ever waiting for it.
//!
//! A pass asks with [`Errands::ask`] and goes on. A place in the pool is given out fairly, the errand is carried out by a task of its own
//! with a deadline, its answer is kept, and the environment is woken. An environment that waits between two questions costs a few hundred
//! bytes, no task and no timer: when the next question is due, its pass comes back by itself. Nothing survives a restart: then it is asked
//! again, which is why calls with effects carry the same idempotency key again.

mod around;
mod carry;
mod checkout;
mod courier;
mod image;
mod inside;
mod look;
mod outside;
mod pool;
mod secrets;
mod statuses;
mod webhook;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio::sync::mpsc;

pub use self::around::Around;
pub use self::carry::{Carrier, PrepareError};
pub use self::courier::{Courier, Letter, Undelivered};
pub use self::look::{Looked, Place};
use self::pool::{Job, Pool};
use crate::cluster::live::Wake;
use crate::domain::errand::{Answer, Errand};
use crate::domain::run::RunNumber;
use crate::metrics::{ErrandKind, ErrandResult, Metrics};

/// What is asked of the outside, over all environments. Cheap to clone.
#[derive(Clone)]
pub struct Errands(Arc<Shared>);

/// Which question an answer belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ErrandKey {
    /// Whose it is.
    pub environment: Asker,
    /// The run; a question of a run that was superseded is forgotten once its stage asks another.
    pub run: RunNumber,
    /// The stage, or a name that no stage can have for what is asked beside them.
    pub stage: String,
    /// The try of the stage.
    pub try_number: u32,
    /// Which of the questions of one try: the streak that it was asked with. Once a pass has stored another streak, the next pass asks
    /// the next question; a pass whose streak could not be stored gets the same answer again.
    pub question: i32,
}

/// An environment that asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Asker {
    /// The namespace of its Environment object.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its Project, which shares places with its other environments.
    pub project: String,
}

/// How much time there is between questions of one stage.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between the answer of one question and the next question.
    pub pause: Duration,
    /// How old an answer may be that is given for the same question again.
    pub keep: Duration,
}

/// What comes of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The answer, and in what time the same question is asked anew.
    Answer(Answer, Duration),
    /// It is under way or waits for a place; the environment is woken when there is an answer.
    UnderWay,
    /// The question before was answered a short time ago; this one is due in so much time.
    Later(Duration),
}

/// How many errands are under way at one time.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Over all.
    pub all: usize,
    /// Of one Project.
    pub project: usize,
    /// Of one environment.
    pub environment: usize,
    /// How long one may take; bringing a checkout may take [`CHECKOUT`].
    pub deadline: Duration,
}

/// How long the files of a commit may take into a workspace.
pub const CHECKOUT: Duration = Duration::from_secs(180);

impl Bounds {
    /// The bounds of the server.
    pub const SERVER: Self = Self {
        all: 32,
        project: 16,
        environment: 4,
        deadline: Duration::from_secs(30),
    };
}

/// Carries out errands.
pub trait Carry: Send + Sync {
    /// Carries out one. It is dropped, wherever it stands, when nobody wants the answer any more or the deadline is over.
    fn carry(&self, errand: Errand, around: Arc<Around>) -> BoxFuture<'static, Answer>;
}

struct Shared {
    pool: Mutex<Pool>,
    bounds: Bounds,
    carrier: Arc<dyn Carry>,
    wakes: mpsc::Sender<Wake>,
    metrics: Metrics,
}

// === impl Pace ===

impl Pace {
    /// The same question again and again.
    pub fn every(time: Duration) -> Self {
        Self { pause: time, keep: time }
    }
}

// === impl Errands ===

impl Errands {
    /// A pool whose errands `carrier` carries out; `wakes` is told of environments that got an answer.
    pub fn new(carrier: Arc<dyn Carry>, bounds: Bounds, wakes: mpsc::Sender<Wake>, metrics: Metrics) -> Self {
        Self(Arc::new(Shared {
            pool: Mutex::new(Pool::new(bounds)),
            bounds,
            carrier,
            wakes,
            metrics,
        }))
    }

    /// The answer of `key` if there is one that is not too old; else makes sure that `errand` is under way, once the pause after the answer
    /// before is over.
    ///
    /// A stage of an environment has one question at a time: another key for it ends what was under way for the one before, and a key of
    /// another run ends all that the environment asked in the run before.
    pub fn ask(&self, key: &ErrandKey, pace: Pace, errand: impl FnOnce() -> Errand, around: &Arc<Around>) -> Asked {
        let asked = self.lock().ask(key, pace, Instant::now(), || Job {
            key: key.clone(),
            serial: 0,
            errand: errand(),
            around: around.clone(),
        });
        if asked == Asked::UnderWay {
            self.start();
        }
        asked
    }

    /// Drops everything of an environment: it is gone, or its run was superseded.
    pub fn forget(&self, uid: &str) {
        self.lock().forget(uid);
        self.start();
    }

    /// Where the other side told to ask on, by an answer in the same try of a stage.
    pub fn next_url(&self, key: &ErrandKey) -> Option<String> {
        self.lock().next_url(key)
    }

    /// Starts what there are places for.
    fn start(&self) {
        let mut pool = self.lock();
        while let Some(job) = pool.next() {
            let (key, serial) = (job.key.clone(), job.serial);
            let task = tokio::spawn(self.clone().carry_out(job));
            pool.started(&key, serial, task.abort_handle());
        }
        self.0.metrics.errands_in_flight(pool.in_flight());
    }

    async fn carry_out(self, job: Job) {
        let wake = (job.key.environment.namespace.clone(), job.key.environment.name.clone());
        let wakes = self.0.wakes.clone();
        let kind = ErrandKind::from(&job.errand);
        let deadline = match &job.errand {
            Errand::Checkout { .. } => CHECKOUT,
            _ => self.0.bounds.deadline,
        };
        // Gives the place back and keeps the answer, also if the errand panics or is aborted.
        let mut place = Taken {
            errands: self.clone(),
            key: job.key,
            serial: job.serial,
            kind,
            answer: None,
        };
        let carried = tokio::time::timeout(deadline, self.0.carrier.carry(job.errand, job.around)).await;
        place.answer = Some(match carried {
            Ok(answer) => answer,
            Err(_) => Answer::bad(format!("there was no answer within {} s", deadline.as_secs_f64())),
        });
        let is_wanted = place.settle();
        drop(place);
        if is_wanted {
            // The receiver is gone only while the process ends.
            let _ = wakes.send(wake).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.0.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the pool.
struct Taken {
    errands: Errands,
    key: ErrandKey,
    serial: u64,
    kind: ErrandKind,
    answer: Option<Answer>,
}

impl Taken {
    /// Keeps the answer; `false` if nobody wants it any more.
    fn settle(&mut self) -> bool {
        let Some(answer) = self.answer.take() else { return false };
        tracing::debug!(
            environment = %self.key.environment.name, stage = %self.key.stage, run = %self.key.run, kind = self.kind.as_str(),
            worth = ?answer.worth, answer = %answer.message, "errand answered"
        );
        self.errands.0.metrics.errand(self.kind, ErrandResult::from(answer.worth));
        self.errands.lock().settle(&self.key, self.serial, answer, Instant::now())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(kind = self.kind.as_str(), stage = %self.key.stage, "an errand panicked");
            self.answer = Some(Answer::bad("the question failed inside of graftling; its log has the cause"));
            if self.settle() {
                let wake = (self.key.environment.namespace.clone(), self.key.environment.name.clone());
                let _ = self.errands.0.wakes.try_send(wake);
            }
        }
        self.errands.lock().leave(&self.key);
        self.errands.start();
    }
}

#[cfg(test)]
mod tests;
