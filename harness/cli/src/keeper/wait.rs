//! Waits of the keeper and of the commands that ask it.

use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{Clock, Deadline, Pace};
use tokio_util::sync::CancellationToken;

/// A switch takes seconds; a person at a bench supply, or a slot that waits for a free machine, longer.
pub(super) const WORK: Duration = Duration::from_secs(120);

/// A wait on rig hardware that is not part of another.
pub(super) fn wait(
    name: impl Into<Arc<str>>,
    span: Duration,
    clock: &Arc<dyn Clock>,
    cancel: &CancellationToken,
) -> Deadline {
    Deadline::new(name, span, Pace::Rig, clock.clone(), cancel.clone())
}
