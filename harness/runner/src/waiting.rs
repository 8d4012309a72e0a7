//! How much of a run was spent waiting for the DUT or a medium: the rest is the harness's own share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shakedown_core::{Clock, Mono};

#[derive(Default)]
struct State {
    open: u32,
    since: Mono,
    total: Duration,
}

/// Adds up the time in which at least one wait was open.
#[derive(Clone)]
pub(crate) struct Waiting {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
}

impl Waiting {
    /// Nothing waited for yet.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { state: Arc::default(), clock }
    }

    /// Counts the time until `work` ends.
    pub(crate) async fn on<T>(&self, work: impl Future<Output = T>) -> T {
        let _open = Open::new(self);
        work.await
    }

    /// What was waited so far.
    pub(crate) fn total(&self) -> Duration {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let running = if state.open > 0 { self.clock.now().since(state.since) } else { Duration::ZERO };
        state.total + running
    }
}

/// Dropping it ends the wait, also when the future around it is dropped.
struct Open<'a>(&'a Waiting);

impl<'a> Open<'a> {
    fn new(waiting: &'a Waiting) -> Self {
        let mut state = waiting.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.open == 0 {
            state.since = waiting.clock.now();
        }
        state.open += 1;
        drop(state);
        Self(waiting)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open -= 1;
        if state.open == 0 {
            let waited = self.0.clock.now().since(state.since);
            state.total += waited;
        }
    }
}
