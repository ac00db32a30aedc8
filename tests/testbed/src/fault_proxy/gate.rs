//! A place where a request stands until the test lets it go.

use std::time::Duration;

use tokio::sync::watch;

/// How long a test waits for a request to come to the gate; nothing waits this long when it works.
const PATIENCE: Duration = Duration::from_secs(90);

/// Holds requests. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    standing: usize,
    came: usize,
    opened: Option<Way>,
}

/// How the wait at a gate ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The request or the answer goes on.
    On,
    /// The connection closes instead.
    Nowhere,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        let (state, _) = watch::channel(State::default());
        Self { state }
    }

    /// Waits until a request has come to the gate, now or before.
    ///
    /// # Panics
    ///
    /// When none comes within 90 s.
    pub async fn reached(&self) {
        let mut state = self.state.subscribe();
        let came = state.wait_for(|state| state.came > 0);
        let came = tokio::time::timeout(PATIENCE, came).await;
        assert!(came.is_ok(), "no request came to the gate within {PATIENCE:?}");
    }

    /// How many requests stand here. One whose client has gone stands here no longer.
    pub fn standing(&self) -> usize {
        self.state.borrow().standing
    }

    /// How many requests have come so far.
    pub fn came(&self) -> usize {
        self.state.borrow().came
    }

    /// Opens the gate for good: what stands here goes on, and what comes later does not wait.
    pub fn release(&self) {
        self.open(Way::On);
    }

    /// Opens the gate for good to nowhere: what stands here and what comes later loses its connection. A request that was held before
    /// it was sent is never sent. After a client was killed this is the safe way, as its connection may not yet be known to be closed.
    pub fn abandon(&self) {
        self.open(Way::Nowhere);
    }

    fn open(&self, way: Way) {
        self.state.send_modify(|state| state.opened = Some(way));
    }

    pub(super) async fn pass(&self) -> Way {
        let _standing = Standing::at(self);
        let mut state = self.state.subscribe();
        // The sender is in `self`, so it cannot go away.
        let opened = state.wait_for(|state| state.opened.is_some()).await;
        opened.ok().and_then(|state| state.opened).unwrap_or(Way::Nowhere)
    }
}

/// Counts a request for as long as it stands at a gate.
struct Standing<'a>(&'a Gate);

impl<'a> Standing<'a> {
    fn at(gate: &'a Gate) -> Self {
        gate.state.send_modify(|state| {
            state.standing += 1;
            state.came += 1;
        });
        Self(gate)
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| state.standing -= 1);
    }
}
