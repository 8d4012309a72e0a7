//! Ctrl-C: the first asks for an orderly end, the second ends the process.

use shakedown_core::ExitCode;
use tokio_util::sync::CancellationToken;

use crate::say::err;

/// The first interrupt cancels, so that what is going on ends in order; the second ends the
/// process, and the warden cleans up. `doing` is said to the person who waits for it.
pub fn cancelled_by_signals(doing: &'static str) -> CancellationToken {
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        // Before anything is said: whoever reads may be gone.
        cancel.cancel();
        err!("interrupted: {doing} (once more to end at once)");
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        std::process::exit(i32::from(ExitCode::Interrupted.code()));
    });
    token
}
