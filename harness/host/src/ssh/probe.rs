//! What the network says about a port, without logging in.

use std::io;
use std::net::SocketAddr;

use shakedown_core::{Deadline, NetPath};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Whether something accepts connections on the port. A refusal and silence are both a no.
pub async fn port_open(addr: SocketAddr, by: &Deadline) -> bool {
    matches!(by.run(String::new, TcpStream::connect(addr)).await, Ok(Ok(_)))
}

/// Connects and listens for the first byte, for as long as `by` allows.
///
/// A connection that is closed before its first byte counts as refused: QEMU's user
/// network accepts for the DUT, and hangs up when the DUT refuses.
pub async fn path(addr: SocketAddr, by: &Deadline) -> NetPath {
    let mut stream = match by.run(String::new, TcpStream::connect(addr)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return failed(&error),
        Err(_) => return NetPath::Silent,
    };
    let mut first = [0; 1];
    match by.run(String::new, stream.read(&mut first)).await {
        Ok(Ok(1..)) => NetPath::Speaks,
        Ok(Ok(0) | Err(_)) => NetPath::Refused,
        Err(_) => NetPath::Mute,
    }
}

fn failed(error: &io::Error) -> NetPath {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => NetPath::Refused,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => NetPath::RigDown(error.to_string()),
        // No answer to ARP or SYN: the kernel's word for a machine that is not there.
        io::ErrorKind::HostUnreachable | io::ErrorKind::TimedOut => NetPath::Silent,
        _ => NetPath::Unknown,
    }
}
