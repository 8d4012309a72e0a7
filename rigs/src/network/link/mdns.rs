//! Multicast DNS (RFC 6762): who has this name, on one interface?

use std::net::IpAddr;
use std::time::Duration;

use mdns_sd::{HostnameResolutionEvent, IfKind, ScopedIp, ServiceDaemon};
use shakedown_core::Deadline;
use tokio::task::JoinSet;

/// A name's addresses may come one by one, and the question is asked again after a second.
const MORE: Duration = Duration::from_millis(1500);

/// Asks for names (`abc1234.local`) until one is answered with an address that is `enough`, or for a moment after
/// its first one; empty when there is no answer until `by`.
pub(super) async fn ask(
    interface: &str,
    names: &[String],
    enough: fn(&IpAddr) -> bool,
    by: &Deadline,
) -> Result<Vec<IpAddr>, String> {
    let mut asked = JoinSet::new();
    for name in names {
        asked.spawn(one(interface.to_owned(), format!("{name}."), enough, by.clone()));
    }
    while let Some(answer) = asked.join_next().await {
        let found = answer.map_err(|error| error.to_string())??;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// Each question has a daemon of its own, which lives as long as it: nothing that was answered before is
/// answered again.
async fn one(
    interface: String,
    name: String,
    enough: fn(&IpAddr) -> bool,
    by: Deadline,
) -> Result<Vec<IpAddr>, String> {
    let daemon = Daemon(ServiceDaemon::new().map_err(|error| error.to_string())?);
    let asked = || -> mdns_sd::Result<_> {
        daemon.0.disable_interface(IfKind::All)?;
        daemon.0.enable_interface(IfKind::Name(interface))?;
        daemon.0.resolve_hostname(&name, None)
    };
    let answers = asked().map_err(|error| error.to_string())?;
    let (mut found, mut limit) = (Vec::new(), by.clone());
    loop {
        match limit.run(|| format!("{found:?}"), answers.recv_async()).await {
            Ok(Ok(HostnameResolutionEvent::AddressesFound(_, answer))) => {
                if found.is_empty() {
                    limit = by.child("more addresses", MORE).at_rig_pace();
                }
                found.extend(answer.iter().map(ScopedIp::to_ip_addr));
                if found.iter().any(enough) {
                    return Ok(found);
                }
            }
            Ok(Ok(_)) => {}
            Ok(Err(ended)) => return Err(ended.to_string()),
            Err(_) => return Ok(found),
        }
    }
}

/// Ends the daemon's thread.
struct Daemon(ServiceDaemon);

impl Drop for Daemon {
    fn drop(&mut self) {
        // One that is busy ends when its last handle is gone.
        drop(self.0.shutdown());
    }
}
