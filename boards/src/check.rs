//! A board and a profile together.

use shakedown_core::{Board, BootSpec, Capability, OsProfile, Seen};

/// The way up of this board with this OS: the board's stages, then the profile's.
///
/// A profile's stage or known-bad line of the same name replaces the board's, in its place.
pub fn boot_spec(board: &Board, profile: &OsProfile) -> BootSpec {
    let mut spec = BootSpec { stages: board.stages.clone(), bad: board.bad.clone() };
    for stage in &profile.stages {
        // Nobody waits for an engine that is not offered.
        if stage.seen == Seen::Engine && !profile.offers.contains(&Capability::new("engine")) {
            continue;
        }
        match spec.stages.iter_mut().find(|known| known.name == stage.name) {
            Some(known) => known.clone_from(stage),
            None => spec.stages.push(stage.clone()),
        }
    }
    for bad in &profile.bad {
        match spec.bad.iter_mut().find(|known| known.id == bad.id) {
            Some(known) => known.clone_from(bad),
            None => spec.bad.push(bad.clone()),
        }
    }
    spec
}
