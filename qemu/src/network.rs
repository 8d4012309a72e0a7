//! The DUT's network: QEMU's own NAT, with loopback ports of the host forwarded into it.
//!
//! Ports are forwarded while the machine runs, on demand, so nothing of them is in the command
//! line and two machines never want the same one. QEMU's NAT accepts every connection to a
//! forwarded port by itself, whatever the guest does; what the guest did with it stands in
//! QEMU's table of connections:
//!
//! | connection | QEMU's table | path |
//! |---|---|---|
//! | bytes came | | speaks |
//! | open | `ESTABLISHED` | mute |
//! | ended | still there (`CLOSE_WAIT`) | mute: the server took it and hung up |
//! | ended | gone | refused |
//! | open | `SYN_SENT` | silent: the guest's network stack does not answer |

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{Deadline, Fault, Fut, InfraKind, NetPath, Network, Rig, ShellError, Unreachable};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::qmp::{Qmp, QmpError};
use crate::unit::Unit;

/// The host's ports of one QEMU, by the DUT's port.
pub(crate) type Forwards = Mutex<BTreeMap<u16, SocketAddr>>;

/// The longest wait for a first byte, or for the end, of a connection that was accepted.
const FIRST_BYTE: Duration = Duration::from_secs(3);
/// Ports that QEMU may refuse before we give up: another program can take one between our
/// look and QEMU's.
const TRIES: usize = 16;

/// The way to the network of a machine.
pub(crate) struct UserNet(pub(crate) Arc<Unit>);

impl Network for UserNet {
    fn tcp<'a>(&'a self, port: u16, by: &'a Deadline) -> Fut<'a, Result<SocketAddr, ShellError>> {
        Box::pin(async move {
            let Some(session) = self.0.session() else {
                return Err(ShellError::Dut(Unreachable::NoRoute("the machine is off".into())));
            };
            let mut forwards = session.forwards.lock().await;
            if let Some(addr) = forwards.get(&port) {
                return Ok(*addr);
            }
            let addr = forward(&session.qmp, &self.0.plan.name, port, by).await.map_err(ShellError::Rig)?;
            forwards.insert(port, addr);
            Ok(addr)
        })
    }

    fn path<'a>(&'a self, port: u16, by: &'a Deadline) -> Fut<'a, NetPath> {
        Box::pin(async move {
            // A board without power answers nothing.
            let Some(session) = self.0.session() else { return NetPath::Silent };
            // A port of its own: only so its line in QEMU's table is surely this connection.
            let addr = match forward(&session.qmp, &self.0.plan.name, port, by).await {
                Ok(addr) => addr,
                Err(fault) => return NetPath::RigDown(fault.to_string()),
            };
            let path = probe(&session.qmp, addr, by).await;
            // It ends with QEMU otherwise: one port too many, and no harm.
            let _ = monitor(&session.qmp, format!("hostfwd_remove net tcp:{addr}"), by).await;
            path
        })
    }

    fn look<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<String>> {
        Box::pin(async { Ok("QEMU's own NAT".to_owned()) })
    }
}

fn fault(op: &str, name: &str) -> Fault {
    Fault::new(InfraKind::Network, "qemu", op, name)
}

async fn monitor(qmp: &Qmp, command_line: String, by: &Deadline) -> Result<String, QmpError> {
    qmp.execute(qapi::qmp::human_monitor_command { cpu_index: None, command_line }, by).await
}

async fn forward(qmp: &Qmp, name: &str, port: u16, by: &Deadline) -> Rig<SocketAddr> {
    let mut refused = String::new();
    for _ in 0..TRIES {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let addr = free.map_err(|error| fault("find a free port for", name).because(&error))?;
        let said = monitor(qmp, format!("hostfwd_add net tcp:{addr}-:{port}"), by)
            .await
            .map_err(|error| Fault { kind: InfraKind::Network, ..error.fault("forward a port of", name) })?;
        if said.trim().is_empty() {
            return Ok(addr);
        }
        said.trim().clone_into(&mut refused);
    }
    Err(fault("forward a port of", name).expected(
        format!("a free port on {}", Ipv4Addr::LOCALHOST),
        format!("QEMU refused {TRIES}, the last with: {refused}"),
    ))
}

async fn probe(qmp: &Qmp, addr: SocketAddr, by: &Deadline) -> NetPath {
    let span = by.left().mul_f64(0.8).min(FIRST_BYTE);
    let wait = by.child("the first byte", span);
    let stream = wait.run(String::new, TcpStream::connect(addr)).await;
    let mut stream = match stream {
        Ok(Ok(stream)) => stream,
        // QEMU itself did not accept: its process is stopped or gone.
        Ok(Err(error)) => return NetPath::RigDown(format!("QEMU's port {addr}: {error}")),
        Err(stop) => return NetPath::RigDown(format!("QEMU's port {addr}: {stop}")),
    };
    let mut byte = [0];
    let ended = match wait.run(String::new, stream.read(&mut byte)).await {
        Ok(Ok(1..)) => return NetPath::Speaks,
        Ok(Ok(0) | Err(_)) => true,
        Err(_) => false,
    };
    let Ok(table) = monitor(qmp, "info usernet".into(), by).await else { return NetPath::Unknown };
    match (ended, state_of(&table, addr.port())) {
        (false, Some("SYN_SENT")) => NetPath::Silent,
        (false, Some(_)) | (true, Some("ESTABLISHED" | "CLOSE_WAIT")) => NetPath::Mute,
        (true, _) => NetPath::Refused,
        (false, None) => NetPath::Unknown,
    }
}

/// The state of the connection to this port of the host, from QEMU's table.
fn state_of(table: &str, port: u16) -> Option<&str> {
    table.lines().find_map(|line| {
        let (state, rest) = line.trim().strip_prefix("TCP[")?.split_once(']')?;
        let mut fields = rest.split_ascii_whitespace();
        let (_fd, _from, at) = (fields.next()?, fields.next()?, fields.next()?);
        (state != "HOST_FORWARD" && at == port.to_string()).then_some(state)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_of_a_port_is_found_among_the_others() {
        let table = "Hub -1 (net0):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n  \
                     TCP[SYN_SENT]      14       127.0.0.1 45002       10.0.2.15  1000     0     0\r\n  \
                     TCP[ESTABLISHED]   20       127.0.0.1 45000       10.0.2.15 45002     0     0\r\n  \
                     TCP[HOST_FORWARD]  15       127.0.0.1 45001       10.0.2.15  1001     0     0\r\n  \
                     UDP[236 sec]       19       10.0.2.15   123        10.0.2.2 45009     0     0\r\n";
        assert_eq!(state_of(table, 45000), Some("ESTABLISHED"));
        assert_eq!(state_of(table, 45002), Some("SYN_SENT"));
        assert_eq!(state_of(table, 45001), None, "a forward is no connection");
        assert_eq!(state_of("garbage\n\u{0}TCP[", 45000), None);
    }
}
