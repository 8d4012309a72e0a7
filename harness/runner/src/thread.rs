//! Blocking work on a named thread of its own, awaited.

use shakedown_core::{Fault, InfraKind, Rig};

/// Runs `work` on a thread called `name`. Dropping the future does not stop the
/// thread: it finishes what it began, so nothing is left half done unseen.
pub(crate) async fn on_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Rig<T> {
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
