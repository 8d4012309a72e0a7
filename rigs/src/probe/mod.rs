//! Drivers of debug probes.

pub(crate) mod probe_rs;

use std::sync::Arc;

use shakedown_core::{Deadline, Probe, Rig};

use crate::wiring::WiringProblem;

/// Settings of a debug probe.
pub trait ProbeConf {
    /// Finds what is wrong with the settings without touching the probe.
    fn check(&self) -> Result<(), WiringProblem> {
        Ok(())
    }
    /// Reads the chip's description. The probe itself is opened when it is needed, and then let go.
    #[cfg(feature = "probe")]
    fn open<'a>(&'a self, cx: (), by: &'a Deadline) -> shakedown_core::Fut<'a, Rig<Arc<dyn Probe>>>;
}

/// A debug probe of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundProbe {
    /// As a rig file names it: `vendor:product:serial`.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// This user may open it.
    pub ours: bool,
}

/// The debug probes that are plugged into this host. One behind a network is not found.
pub async fn probes(by: &Deadline) -> Rig<Vec<FoundProbe>> {
    #[cfg(feature = "probe")]
    {
        probe_rs::list(by).await
    }
    #[cfg(not(feature = "probe"))]
    {
        let _: (&Deadline, Option<Arc<dyn Probe>>) = (by, None);
        Err(crate::registry::not_built("probe-rs", "probe"))
    }
}
