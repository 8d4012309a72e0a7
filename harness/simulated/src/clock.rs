//! Time that passes only when everybody waits for it.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use shakedown_core::{Clock, Fut, Mono};

#[derive(Default)]
struct State {
    now: Mono,
    /// By when they are due, and by who came first.
    timers: BTreeMap<(Mono, u64), Waker>,
    asked: u64,
    /// How many work unseen.
    held: usize,
}

/// A clock that jumps to the next timer whenever its runtime has nothing else to do.
///
/// For a runtime of one thread, whose builder is told to call [`VirtualClock::idle`] with
/// `on_thread_park`. The time of day is the host's: a simulated run is made today.
pub struct VirtualClock {
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VirtualClock({:?})", self.now())
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl VirtualClock {
    /// A clock that reads zero.
    pub fn start() -> Arc<Self> {
        Arc::new(Self { state: Arc::default() })
    }

    /// Nobody can go on: time passes to the next timer, unless something works that is not seen here.
    pub fn idle(&self) {
        let mut due = Vec::new();
        {
            let mut state = lock(&self.state);
            if state.held > 0 {
                return;
            }
            let Some((at, _)) = state.timers.first_key_value().map(|(key, _)| *key) else { return };
            state.now = state.now.max(at);
            while let Some(timer) = state.timers.first_entry().filter(|timer| timer.key().0 <= at) {
                due.push(timer.remove());
            }
        }
        due.into_iter().for_each(Waker::wake);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Mono {
        lock(&self.state).now
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn sleep_until(&self, at: Mono) -> Fut<'static, ()> {
        Box::pin(Sleep { state: self.state.clone(), at, place: None })
    }

    fn hold(&self) -> Box<dyn Send> {
        lock(&self.state).held += 1;
        Box::new(Hold(self.state.clone()))
    }
}

struct Hold(Arc<Mutex<State>>);

impl Drop for Hold {
    fn drop(&mut self) {
        lock(&self.0).held -= 1;
    }
}

struct Sleep {
    state: Arc<Mutex<State>>,
    at: Mono,
    /// Where it stands among the timers.
    place: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if state.now >= self.at {
            return Poll::Ready(());
        }
        let place = self.place.unwrap_or_else(|| {
            state.asked += 1;
            state.asked
        });
        state.timers.insert((self.at, place), cx.waker().clone());
        drop(state);
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            lock(&self.state).timers.remove(&(self.at, place));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn runtime(clock: &Arc<VirtualClock>) -> tokio::runtime::Runtime {
        let idle = clock.clone();
        tokio::runtime::Builder::new_current_thread().on_thread_park(move || idle.idle()).build().unwrap()
    }

    #[test]
    fn an_hour_passes_in_order_and_in_no_time() {
        let (clock, began) = (VirtualClock::start(), Instant::now());
        let at = |minutes: u64| Mono(0) + Duration::from_secs(60 * minutes);
        let seen = runtime(&clock).block_on(async {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let tasks: Vec<_> = [60, 1, 30]
                .map(|minutes| {
                    let (clock, seen) = (clock.clone(), seen.clone());
                    tokio::spawn(async move {
                        clock.sleep_until(at(minutes)).await;
                        seen.lock().unwrap().push((minutes, clock.now() == at(minutes)));
                    })
                })
                .into();
            for task in tasks {
                task.await.unwrap();
            }
            Arc::into_inner(seen).unwrap().into_inner().unwrap()
        });
        assert_eq!(seen, [(1, true), (30, true), (60, true)]);
        assert!(began.elapsed() < Duration::from_secs(60), "an hour took {:?}", began.elapsed());
    }

    /// The deadline of work on a thread must not pass because the thread is not seen.
    #[test]
    fn time_stands_still_while_a_thread_works() {
        let clock = VirtualClock::start();
        let worked = runtime(&clock).block_on(async {
            let held = clock.hold();
            let (done, wait) = tokio::sync::oneshot::channel();
            let (go, going) = std::sync::mpsc::channel::<()>();
            let thread = std::thread::spawn(move || {
                going.recv().unwrap();
                done.send(()).unwrap();
            });
            // The runtime is idle with a timer due before the thread may even begin.
            let kick = std::thread::spawn(move || go.send(()).unwrap());
            let worked = tokio::select! {
                _ = wait => true,
                () = clock.sleep_until(Mono(1)) => false,
            };
            drop(held);
            clock.sleep_until(Mono(2)).await;
            thread.join().unwrap();
            kick.join().unwrap();
            worked
        });
        assert_eq!((worked, clock.now()), (true, Mono(2)));
    }

    #[test]
    fn a_timer_that_nobody_waits_for_moves_no_time() {
        let clock = VirtualClock::start();
        runtime(&clock).block_on(async {
            tokio::select! {
                biased;
                () = clock.sleep_until(Mono(5)) => {}
                () = clock.sleep_until(Mono(90)) => unreachable!("the later timer came first"),
            }
        });
        assert_eq!(clock.now(), Mono(5));
        clock.idle();
        assert_eq!(clock.now(), Mono(5), "a dropped timer was still waited for");
    }
}
