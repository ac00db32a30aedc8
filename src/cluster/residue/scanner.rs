//! Looks over the whole cluster, shared: a hundred teardowns that end together cost a few looks, not a hundred.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::pass::{Cost, Findings, look};
use crate::cluster::Connection;
use crate::cluster::live::Wake;
use crate::domain::residue::evidence::Traces;

/// Looks on behalf of whoever asks. Cheap to clone.
///
/// # Guarantees
/// - A look that answers a question began after the question was asked: it saw everything that was there by then.
/// - One look runs at a time. Whoever asks meanwhile is served by the next, together with all others that asked.
#[derive(Clone)]
pub struct Scanner {
    connection: Connection,
    wake: mpsc::Sender<Wake>,
    count: Count,
    state: Arc<Mutex<State>>,
}

/// Told what each look cost.
pub type Count = Arc<dyn Fn(&Cost) + Send + Sync>;

#[derive(Default)]
struct State {
    is_looking: bool,
    questions: HashMap<String, Question>,
}

struct Question {
    traces: Traces,
    wake: Wake,
    answer: Answer,
}

enum Answer {
    /// No look has begun since it was asked.
    Waiting,
    /// The look under way will tell.
    Looking,
    /// It was told, and waits to be fetched.
    Found(Instant, Result<Findings, String>),
}

/// What a question comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scanned {
    /// The look has just been asked for: whoever asked is woken when it is over.
    Asked,
    /// It is not over yet.
    NotYet,
    /// What was found.
    Found(Box<Findings>),
    /// The look failed: why.
    Failed(String),
}

/// A look that takes longer has met a server that does not answer; the next one may fare better.
const DEADLINE: Duration = Duration::from_secs(60);

/// Looks begin this far apart: namespaces that are deleted together end within seconds of each other, and share what begins between.
const APART: Duration = Duration::from_secs(1);

/// Between looks the API server has three times as long for others as a look took, up to [`LONGEST_PAUSE`]: in a cluster with ten thousand
/// objects a look is seconds of its work.
const PAUSE: u32 = 3;
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// An answer that nobody fetches, because its environment is gone or another replica's, is forgotten after so long.
const UNFETCHED: Duration = Duration::from_secs(600);

impl Scanner {
    /// Looks as the controller, sends whoever asked to `wake` when there is an answer, and tells `count` what each look cost.
    pub fn new(connection: Connection, wake: mpsc::Sender<Wake>, count: Count) -> Self {
        Self {
            connection,
            wake,
            count,
            state: Arc::default(),
        }
    }

    /// Asks what is left of an environment, or fetches the answer. Waits for nothing.
    pub fn scan(&self, traces: &Traces, wake: Wake) -> Scanned {
        let mut state = self.lock();
        let known = state.questions.get(&traces.environment_uid);
        match known.filter(|question| question.traces == *traces).map(|question| &question.answer) {
            Some(Answer::Waiting | Answer::Looking) => return Scanned::NotYet,
            Some(Answer::Found(at, _)) if at.elapsed() < DEADLINE => {
                let question = state.questions.remove(&traces.environment_uid);
                return match question.map(|question| question.answer) {
                    Some(Answer::Found(_, Ok(findings))) => Scanned::Found(Box::new(findings)),
                    Some(Answer::Found(_, Err(problem))) => Scanned::Failed(problem),
                    _ => Scanned::NotYet,
                };
            }
            _ => {}
        }
        let question = Question {
            traces: traces.clone(),
            wake,
            answer: Answer::Waiting,
        };
        state.questions.insert(traces.environment_uid.clone(), question);
        if !state.is_looking {
            state.is_looking = true;
            tokio::spawn(self.clone().look_while_asked());
        }
        Scanned::Asked
    }

    async fn look_while_asked(self) {
        while let Some(asked) = self.take_up() {
            let begin = tokio::time::Instant::now();
            let client = self.connection.controller();
            let look = self.connection.gently(look(&client, &asked));
            let result = match tokio::time::timeout(DEADLINE, look).await {
                Ok(Ok(findings)) => {
                    findings.first().into_iter().for_each(|found| (self.count)(&found.cost));
                    Ok(findings)
                }
                Ok(Err(error)) => Err(error.chain()),
                Err(_) => Err(format!("the look over the cluster was not over after {} s", DEADLINE.as_secs())),
            };
            let took = begin.elapsed();
            for wake in self.answer(&asked, result) {
                // The receiver is gone only while the process ends.
                let _ = self.wake.send(wake).await;
            }
            let pause = (took * PAUSE).min(LONGEST_PAUSE);
            tokio::time::sleep_until((begin + APART).max(begin + took + pause)).await;
        }
    }

    /// Takes up every question that waits; `None` once there is none, and then the next question begins a look of its own.
    fn take_up(&self) -> Option<Vec<Traces>> {
        let mut state = self.lock();
        state
            .questions
            .retain(|_, question| !matches!(&question.answer, Answer::Found(at, _) if at.elapsed() > UNFETCHED));
        let waiting = state
            .questions
            .values_mut()
            .filter(|question| matches!(question.answer, Answer::Waiting));
        let asked: Vec<_> = waiting
            .map(|question| {
                question.answer = Answer::Looking;
                question.traces.clone()
            })
            .collect();
        state.is_looking = !asked.is_empty();
        (!asked.is_empty()).then_some(asked)
    }

    /// Files the answers, and gives back who waits for them. A question that was asked anew meanwhile, with other traces, waits on.
    fn answer(&self, asked: &[Traces], result: Result<Vec<Findings>, String>) -> Vec<Wake> {
        let mut state = self.lock();
        let mut wakes = Vec::new();
        for (place, traces) in asked.iter().enumerate() {
            let question = state.questions.get_mut(&traces.environment_uid);
            let Some(question) = question.filter(|question| matches!(question.answer, Answer::Looking)) else {
                continue;
            };
            let findings = match &result {
                Ok(findings) => Ok(findings[place].clone()),
                Err(problem) => Err(problem.clone()),
            };
            question.answer = Answer::Found(Instant::now(), findings);
            wakes.push(question.wake.clone());
        }
        wakes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
