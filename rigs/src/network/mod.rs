//! Drivers of the way to the DUT's network.

pub(crate) mod address;
pub(crate) mod jump;
pub(crate) mod link;

use std::net::SocketAddr;
use std::sync::Arc;

use shakedown_core::{Deadline, Fut, NetPath, Network, Rig, ShellError};

use crate::wiring::WiringProblem;

/// Settings of a way to the DUT's network.
pub trait NetworkConf {
    /// Finds what is wrong with the settings without touching the network.
    fn check(&self) -> Result<(), WiringProblem> {
        Ok(())
    }
    /// Prepares it; the DUT need not be on.
    fn open<'a>(&'a self, cx: (), by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Network>>>;
}

/// Whether this can be a host name or an address.
fn is_host(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || matches!(c, '/' | '@');
    !text.is_empty() && !text.contains(odd)
}

/// What the network says of a port whose address was looked for.
async fn path_to(found: Result<SocketAddr, ShellError>, by: &Deadline) -> NetPath {
    match found {
        Ok(addr) => shakedown_host::ssh::path(addr, by).await,
        Err(ShellError::Rig(fault)) => NetPath::RigDown(fault.to_string()),
        Err(ShellError::Dut(_)) => NetPath::Silent,
    }
}
