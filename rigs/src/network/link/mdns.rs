//! Multicast DNS (RFC 6762): who has this name, on one interface?

use std::net::IpAddr;

use mdns_sd::{HostnameResolutionEvent, IfKind, ServiceDaemon};
use shakedown_core::Deadline;

/// Asks for `hostname` and waits for the first answer; empty when there is none until `by`. Each question has a
/// daemon of its own, which lives as long as it: nothing that was answered before is answered again.
pub(super) async fn ask(interface: &str, hostname: &str, by: &Deadline) -> Result<Vec<IpAddr>, String> {
    let daemon = ServiceDaemon::new().map_err(|error| error.to_string())?;
    let ended = Ended(daemon);
    let asked = || -> mdns_sd::Result<_> {
        ended.0.disable_interface(IfKind::All)?;
        ended.0.enable_interface(IfKind::Name(interface.to_owned()))?;
        ended.0.resolve_hostname(&format!("{hostname}.local."), None)
    };
    let answers = asked().map_err(|error| error.to_string())?;
    loop {
        match by.run(|| "no answer".into(), answers.recv_async()).await {
            Ok(Ok(HostnameResolutionEvent::AddressesFound(_, found))) => {
                return Ok(found.iter().map(mdns_sd::ScopedIp::to_ip_addr).collect());
            }
            Ok(Ok(_)) => {}
            Ok(Err(ended)) => return Err(ended.to_string()),
            Err(_) => return Ok(Vec::new()),
        }
    }
}

/// Ends the daemon's thread.
struct Ended(ServiceDaemon);

impl Drop for Ended {
    fn drop(&mut self) {
        // One that is busy ends when its last handle is gone.
        drop(self.0.shutdown());
    }
}
