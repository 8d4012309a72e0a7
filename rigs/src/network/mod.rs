//! Drivers of the way to the DUT's network.

pub(crate) mod address;
pub(crate) mod jump;
pub(crate) mod link;

use std::sync::Arc;

use shakedown_core::{Deadline, Fut, Network, Rig};

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
