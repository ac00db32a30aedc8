//! What passed the proxy, and how much at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::request::Request;

/// One request and what came of it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Counted from zero, in the order in which requests came.
    pub number: usize,
    /// What was asked.
    pub request: Request,
    /// What the client was told; nothing if it was told nothing, or not yet.
    pub status: Option<u16>,
    /// What the server answered; nothing if it was not asked, or not yet.
    pub upstream: Option<u16>,
    /// The name of the fault that was injected.
    pub injected: Option<&'static str>,
    /// Why the server gave no answer.
    pub error: Option<String>,
    /// When the request came.
    pub started: Instant,
    /// When the last byte of the answer had gone, or the connection.
    pub ended: Option<Instant>,
}

#[derive(Debug, Default)]
struct State {
    exchanges: Vec<Exchange>,
    in_flight: usize,
    peak: usize,
}

/// The log of exchanges.
#[derive(Debug, Default, Clone)]
pub(super) struct Journal(Arc<Mutex<State>>);

impl Journal {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything from a number on.
    pub(super) fn since(&self, number: usize) -> Vec<Exchange> {
        self.state().exchanges.get(number..).unwrap_or_default().to_vec()
    }

    /// How many there were.
    pub(super) fn count(&self) -> usize {
        self.state().exchanges.len()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.state().in_flight
    }

    pub(super) fn peak(&self) -> usize {
        self.state().peak
    }

    pub(super) fn reset_peak(&self) {
        let mut state = self.state();
        state.peak = state.in_flight;
    }

    /// A request has come. It lasts until what is returned is dropped.
    pub(super) fn begin(&self, request: Request) -> Passing {
        let mut state = self.state();
        let number = state.exchanges.len();
        let watch = request.is_watch();
        state.exchanges.push(Exchange {
            number,
            request,
            status: None,
            upstream: None,
            injected: None,
            error: None,
            started: Instant::now(),
            ended: None,
        });
        if !watch {
            state.in_flight += 1;
            state.peak = state.peak.max(state.in_flight);
        }
        let journal = self.clone();
        Passing { journal, number, watch }
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct Passing {
    journal: Journal,
    number: usize,
    watch: bool,
}

impl Passing {
    /// Adds to what is known of the exchange.
    pub(super) fn note(&self, note: impl FnOnce(&mut Exchange)) {
        note(&mut self.journal.state().exchanges[self.number]);
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let mut state = self.journal.state();
        state.exchanges[self.number].ended = Some(Instant::now());
        if !self.watch {
            state.in_flight -= 1;
        }
    }
}
