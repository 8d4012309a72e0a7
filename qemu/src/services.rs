//! What the rig host serves to its guests.

use std::net::{Ipv4Addr, SocketAddr};

use shakedown_core::{Deadline, Fut, Rig, Services};
use shakedown_host::ntp::NtpServer;
use tokio::sync::OnceCell;

/// The host's loopback, as QEMU's NAT shows it to the guest.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// Servers of the host, each started when it is first asked for.
#[derive(Default)]
pub(crate) struct HostServices {
    ntp: OnceCell<NtpServer>,
}

impl Services for HostServices {
    fn ntp<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<SocketAddr>> {
        Box::pin(async move {
            let server = self.ntp.get_or_try_init(|| async { NtpServer::start() }).await?;
            Ok((HOST, server.addr().port()).into())
        })
    }
}
