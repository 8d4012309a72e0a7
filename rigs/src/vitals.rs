//! What the rig host can tell of a slot with hardware.

use std::path::PathBuf;

use shakedown_core::slot::{ProcessState, VitalSigns, Vitals};
use shakedown_host::dirs;

/// Below this, logs and evidence will soon not fit.
const SPACE: u64 = 64 << 20;

/// A slot whose DUT is hardware: the host's disk is all that can be looked at.
pub(crate) struct Host {
    pub(crate) folder: PathBuf,
}

impl Vitals for Host {
    fn look(&self) -> VitalSigns {
        let full = match dirs::free(&self.folder) {
            Ok(free) if free < SPACE => Some(format!("disk almost full: {} MiB free", free >> 20)),
            Ok(_) => None,
            Err(fault) => Some(fault.to_string()),
        };
        VitalSigns { process: ProcessState::None, starved: 1.0, host: full }
    }
}
