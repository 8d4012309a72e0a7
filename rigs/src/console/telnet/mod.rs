//! Consoles behind a TCP port: a terminal server, ser2net, a network adapter of serial ports.

mod filter;
mod session;

pub(crate) mod plain;
pub(crate) mod port;
pub(crate) mod server;

use crate::wiring::WiringProblem;

/// `host:port`.
fn check_address(address: &str) -> Result<(), WiringProblem> {
    let parts = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    match parts.and_then(|(_, port)| port.parse::<u16>().ok()) {
        Some(1..) => Ok(()),
        _ => Err(WiringProblem::new("address", format!("`{address}` is no `host:port`"))),
    }
}
