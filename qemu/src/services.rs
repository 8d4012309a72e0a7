//! What the rig host serves to its guests.

use std::net::SocketAddr;

use shakedown_core::{Deadline, Fault, Fut, InfraKind, Rig, Services};

/// The host as QEMU's NAT shows it to the guest.
#[derive(Default)]
pub(crate) struct HostServices {}

impl Services for HostServices {
    fn ntp<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<SocketAddr>> {
        Box::pin(async move { Err(Fault::new(InfraKind::Host, "qemu", "serve time to", "the guest")) })
    }
}
