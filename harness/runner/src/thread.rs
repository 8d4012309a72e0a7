//! Blocking work on a named thread of its own, awaited within a deadline.

use std::time::Duration;

use shakedown_core::{Deadline, Fault, InfraKind, Pace, Rig, Stop};
use tokio_util::sync::CancellationToken;

/// What a thread gets to notice that it is to stop: a stick that is slow with one large write
/// was seen to need seconds for it.
const STOPPING: Duration = Duration::from_secs(10);

/// Runs `work` on a thread called `name`, until the deadline.
///
/// Dropping the future does not stop the thread: it finishes what it began, so nothing is left
/// half done unseen. Long work looks at the deadline itself; when that ends, it gets a moment to
/// stop, so that nobody switches a medium under it.
pub(crate) async fn on_thread<T: Send + 'static>(
    name: &str,
    by: &Deadline,
    last_seen: impl Fn() -> String,
    work: impl FnOnce() -> T + Send + 'static,
) -> Rig<T> {
    let _held = by.clock().hold();
    let mut done = std::pin::pin!(spawned(name, work));
    let stop = match by.run(&last_seen, done.as_mut()).await {
        Ok(done) => return done,
        Err(stop) => stop,
    };
    let stopping = format!("{name} to stop");
    let leave = Deadline::new(stopping, STOPPING, Pace::Rig, by.clock().clone(), CancellationToken::new());
    match leave.run(&last_seen, done).await {
        // What it says itself is more than that it was interrupted.
        Ok(done) if matches!(stop, Stop::Cancelled(_)) => done,
        _ => Err(Fault::new(InfraKind::Medium, "runner", "wait for", format!("thread {name}")).stopped(stop)),
    }
}

async fn spawned<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Rig<T> {
    let (done, wait) = tokio::sync::oneshot::channel();
    let fault = |got: &str| {
        Fault::new(InfraKind::Host, "runner", "run", format!("thread {name}")).expected("its result", got)
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // The receiver is gone when the run was cancelled: the work is done all the same.
            let _ = done.send(work());
        })
        .map_err(|error| fault("no thread").because(&error))?;
    wait.await.map_err(|_| fault("a panic"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    use shakedown_core::RealClock;

    fn deadline(span: Duration) -> Deadline {
        Deadline::new("write image", span, Pace::Rig, RealClock::start(), CancellationToken::new())
    }

    /// A medium that hangs in one read must not hang the run.
    #[tokio::test]
    async fn work_that_hangs_ends_with_its_deadline_and_says_how_far_it_was() {
        let (let_go, hanging) = mpsc::channel::<()>();
        let work = move || hanging.recv().is_ok();
        let by = deadline(Duration::from_millis(20));
        let last_seen = || {
            // Asked for when the time is over: only now it lets go, and what it says comes too late.
            let_go.send(()).unwrap();
            "312 of 900 MiB".to_owned()
        };
        let fault = on_thread("writer", &by, last_seen, work).await;
        let said = fault.unwrap_err();
        assert!(matches!(said.stop, Some(Stop::Late(_))), "{said:?}");
        assert!(said.to_string().contains("write image; last seen: 312 of 900 MiB"), "{said}");
    }

    #[tokio::test]
    async fn an_interrupt_waits_for_what_the_thread_says_itself() {
        let by = deadline(Duration::from_secs(60));
        by.cancel().cancel();
        let limit = by.clone();
        assert_eq!(on_thread("writer", &by, String::new, move || limit.is_over()).await, Ok(true));
    }
}
