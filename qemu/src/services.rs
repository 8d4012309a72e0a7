//! What the rig host serves to its guests.

use std::net::{Ipv4Addr, SocketAddr};

use shakedown_core::{BootFile, Deadline, Fut, LoaderNet, Rig, Services, Serving, Tftp};
use shakedown_host::ntp::NtpServer;
use shakedown_host::tftp::{PORT, TftpServer};
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

/// Boot files for a machine's boot loader.
///
/// QEMU's NAT keeps port 69 of 10.0.2.2 for a server of its own, which is silent; every other address
/// it passes on. So each server has an address of the loopback for itself, and the machine asks there.
pub(crate) struct LoopbackTftp;

/// So many machines may be served at once.
const SERVERS: u8 = 250;

impl Tftp for LoopbackTftp {
    fn loader(&self) -> Option<LoaderNet> {
        // The address to which ports of the host are forwarded. One that asks for an address may get
        // another: Debian's U-Boot asks with a MAC address that is not the card's.
        Some(LoaderNet {
            address: Ipv4Addr::new(10, 0, 2, 15),
            netmask: Ipv4Addr::new(255, 255, 255, 0),
            gateway: Some(HOST),
        })
    }

    fn serve<'a>(&'a self, files: Vec<BootFile>, _by: &'a Deadline) -> Fut<'a, Rig<Box<dyn Serving>>> {
        Box::pin(async move {
            let addrs = (1..=SERVERS).map(|host| (Ipv4Addr::new(127, 69, 0, host), PORT).into());
            let server = TftpServer::on_first(addrs, &files)?;
            Ok(Box::new(server) as Box<dyn Serving>)
        })
    }
}
