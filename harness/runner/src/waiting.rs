//! How much of a run was spent waiting for the DUT or a medium: the rest is the harness's own share.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shakedown_core::{Clock, Medium, MediumId, Mono};

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

    /// Counts the time in which `work` has nothing to do but wait. What it computes itself, between
    /// two waits, is the harness's own share.
    pub(crate) async fn on<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut open: Option<Open<'_>> = None;
        std::future::poll_fn(move |cx| {
            drop(open.take());
            let polled = work.as_mut().poll(cx);
            if polled.is_pending() {
                open.replace(Open::new(self));
            }
            polled
        })
        .await
    }

    /// Counts all of it: blocking work of a medium.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let _open = Open::new(self);
        work()
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

/// A medium whose reads and writes count as waiting; what is computed between them does not.
pub(crate) struct Timed {
    pub(crate) medium: Box<dyn Medium>,
    pub(crate) waiting: Waiting,
}

impl Medium for Timed {
    fn identity(&self) -> &MediumId {
        self.medium.identity()
    }

    fn len(&self) -> u64 {
        self.medium.len()
    }

    fn read_at(&mut self, off: u64, buf: &mut [u8]) -> io::Result<()> {
        self.waiting.during(|| self.medium.read_at(off, buf))
    }

    fn write_at(&mut self, off: u64, buf: &[u8]) -> io::Result<()> {
        self.waiting.during(|| self.medium.write_at(off, buf))
    }

    fn zero(&mut self, off: u64, len: u64) -> io::Result<()> {
        self.waiting.during(|| self.medium.zero(off, len))
    }

    fn known_zero(&mut self, off: u64, len: u64) -> io::Result<bool> {
        self.waiting.during(|| self.medium.known_zero(off, len))
    }

    fn barrier(&mut self) -> io::Result<()> {
        self.waiting.during(|| self.medium.barrier())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    use shakedown_core::Fut;

    /// Goes on only when it is told to.
    #[derive(Debug, Default)]
    struct ByHand(AtomicU64);

    impl ByHand {
        fn pass(&self, seconds: u64) {
            self.0.fetch_add(seconds * 1_000_000_000, Ordering::Relaxed);
        }
    }

    impl Clock for ByHand {
        fn now(&self) -> Mono {
            Mono(self.0.load(Ordering::Relaxed))
        }

        fn wall(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }

        fn sleep_until(&self, _at: Mono) -> Fut<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    /// A harness that computes for most of a phase must not count that as waiting for the DUT.
    #[tokio::test]
    async fn what_is_computed_within_a_wait_is_the_harness_own_share() {
        let clock = Arc::new(ByHand::default());
        let waiting = Waiting::new(clock.clone());
        let mut polls = 0;
        let work = std::future::poll_fn(|cx| {
            polls += 1;
            // Three seconds of work, and two until it is asked again.
            clock.pass(3);
            if polls < 3 {
                let (waker, later) = (cx.waker().clone(), clock.clone());
                tokio::spawn(async move {
                    later.pass(2);
                    waker.wake();
                });
                return std::task::Poll::Pending;
            }
            std::task::Poll::Ready(())
        });
        waiting.on(waiting.on(work)).await;
        assert_eq!((waiting.total(), clock.now()), (Duration::from_secs(4), Mono(13_000_000_000)));
        waiting.during(|| clock.pass(5));
        assert_eq!(waiting.total(), Duration::from_secs(9));
        // A wait that is given up ends, too.
        let given_up = Box::pin(waiting.on(std::future::pending::<()>()));
        let _ = futures_once(given_up).await;
        clock.pass(7);
        assert_eq!(waiting.total(), Duration::from_secs(9));
    }

    /// Polls once and lets go.
    async fn futures_once<T>(mut work: std::pin::Pin<Box<impl Future<Output = T>>>) -> Option<T> {
        std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
            std::task::Poll::Ready(done) => std::task::Poll::Ready(Some(done)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }
}
