//! A DUT that stays on after its run, because somebody wants to look at it.

use std::net::SocketAddr;
use std::sync::Arc;

use shakedown_core::{Deadline, Fault, Rig};

use crate::dut::LiveDut;
use crate::provision;

/// The slot of a run that ended with `keep`. Dropped, a DUT that is a process of ours ends; hardware
/// stays as it is.
pub struct Kept(pub(crate) Arc<LiveDut>);

impl Kept {
    /// Where its SSH port is now, and who may log in with the run's key.
    pub async fn ssh(&self, by: &Deadline) -> Rig<(SocketAddr, String)> {
        let target = self.0.target(by).await.map_err(|error| error.into_fault(&self.0.slot.id))?;
        Ok((target.addr, target.user))
    }

    /// Switches it off after all. An interrupt does not keep from that.
    pub async fn make_safe(self) -> Result<(), Fault> {
        provision::power_down(&self.0).await.map(drop)
    }
}
