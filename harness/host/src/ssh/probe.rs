//! What the network says about a port, without logging in.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use shakedown_core::{Deadline, NetPath};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// An answer to a connection attempt on a local network; two retransmissions fit.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// A server that accepts and says nothing for so long is mute: OpenSSH greets within milliseconds, and
/// within 2 s on a board that is just starting.
pub(super) const FIRST_BYTE: Duration = Duration::from_secs(5);

/// Connects and listens for the first byte.
///
/// A connection that is closed before its first byte counts as refused: whoever accepted it for
/// the DUT, a forwarder or a server's parent, has no server behind it.
pub async fn path(addr: SocketAddr, by: &Deadline) -> NetPath {
    let connect = by.child("an answer to a connection", CONNECT).at_rig_pace();
    let mut stream = match connect.run(String::new, TcpStream::connect(addr)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return failed(&error),
        Err(_) => return NetPath::Silent,
    };
    let greet = by.child("a first byte", FIRST_BYTE).at_rig_pace();
    match greet.run(String::new, stream.read(&mut [0; 1])).await {
        Ok(Ok(1..)) => NetPath::Speaks,
        Ok(Ok(0) | Err(_)) => NetPath::Refused,
        Err(_) => NetPath::Mute,
    }
}

fn failed(error: &Error) -> NetPath {
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => NetPath::Refused,
        ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown | ErrorKind::AddrNotAvailable => {
            NetPath::RigDown(error.to_string())
        }
        // No answer to ARP or SYN: the kernel's word for a machine that is not there.
        ErrorKind::HostUnreachable | ErrorKind::TimedOut => NetPath::Silent,
        _ => NetPath::Unknown,
    }
}
