//! A recording through the boot machine, on virtual time.

use std::time::Duration;

use shakedown_core::{BootFailure, BootReport, BootSpec, Chunk, Mono, Resets, Seen, StageSpec, StageTime};

use crate::boot::{BootMachine, BootStep};
use crate::pattern::PatternError;

/// What came of a boot.
#[derive(Clone, Debug, PartialEq)]
pub enum BootOutcome {
    /// It came up.
    Up(BootReport),
    /// It did not.
    Failed(BootFailure),
}

/// Runs the chunks through a boot machine as a run would have: deadlines are at the pace
/// measured so far, and after the last chunk time goes on until the outcome is known.
/// A recording cannot show stages that are seen from outside; they are left out.
/// Each stage that was reached is told, over all starts, with what came of it all.
///
/// # Errors
/// A pattern of the spec that is not valid.
pub fn replayed(
    spec: &BootSpec,
    allowed: &Resets,
    start: Mono,
    chunks: &[Chunk],
) -> Result<(Vec<StageTime>, BootOutcome), PatternError> {
    let mut spec = spec.clone();
    // Where the console may be silent, a boot is over when it was seen from outside: never, in a recording.
    let outside = spec.stages.iter().find(|stage| !matches!(stage.seen, Seen::Console(_)));
    let never = outside.filter(|_| spec.may_be_silent()).cloned();
    let never = never.map(|stage| StageSpec { within: Duration::MAX, optional: false, ..stage });
    spec.stages.retain(|stage| matches!(stage.seen, Seen::Console(_)));
    spec.stages.extend(never.clone());
    let mut machine = BootMachine::new(&spec, start, 1.0)?.allowing(allowed);
    let mut steps = Vec::new();
    for chunk in chunks.iter().filter(|chunk| chunk.at >= start) {
        // Bytes that come at the very moment of a deadline are in time.
        while let Some(due) = machine.wake_at(1.0).filter(|due| *due < chunk.at) {
            machine.tick(due, 1.0, &mut steps);
        }
        machine.feed(chunk, 1.0, &mut steps);
    }
    while let Some(due) = machine.wake_at(1.0) {
        machine.tick(due, 1.0, &mut steps);
    }
    let (mut stages, mut failure) = (Vec::new(), None);
    for step in steps {
        match step {
            BootStep::Stage(stage) => stages.push(stage),
            BootStep::Failed(BootFailure::Late { stage, .. })
                if never.as_ref().is_some_and(|never| never.name == stage) => {}
            BootStep::Failed(failed) => failure = Some(failed),
        }
    }
    let outcome = failure.map_or_else(|| BootOutcome::Up(machine.into_report()), BootOutcome::Failed);
    Ok((stages, outcome))
}

/// What came of [`replayed`] chunks.
///
/// # Errors
/// A pattern of the spec that is not valid.
pub fn replay(
    spec: &BootSpec,
    allowed: &Resets,
    start: Mono,
    chunks: &[Chunk],
) -> Result<BootOutcome, PatternError> {
    replayed(spec, allowed, start, chunks).map(|(_, outcome)| outcome)
}
