//! From an address to a logged-in session, each step with its own way to fail.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, sockopt};
use shakedown_core::{Deadline, Fault, InfraKind, ShellError, SshTarget, Unreachable};
use ssh2::{HashType, MethodType, Session};

use super::wire::{Halt, Wire, code, ready};
use super::{Line, fault};

const TCP: Duration = Duration::from_secs(15);
const BANNER: Duration = Duration::from_secs(30);
const HANDSHAKE: Duration = Duration::from_secs(60);
pub(super) const AUTH: Duration = Duration::from_secs(60);
/// Unacknowledged for this long, the kernel gives the connection up (milliseconds).
const USER_TIMEOUT: u32 = 30_000;
/// Before its own line a server may send others; more than this is no SSH server.
const PREAMBLE: usize = 4096;

/// The kinds of host keys, in the order in which they are asked for. A console shows the
/// fingerprint of one of them, and it need not be the first.
const HOST_KEYS: [&str; 3] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
    "rsa-sha2-512,rsa-sha2-256",
];

/// `LIBSSH2_ERROR_*` by what they mean to us.
mod errors {
    pub(super) const NO_COMMON_METHOD: [i32; 3] = [-5, -17, -8];
    pub(super) const DISCONNECTED: [i32; 3] = [-13, -7, -43];
    pub(super) const NOT_LET_IN: [i32; 3] = [-18, -19, -33];
    pub(super) const OUR_KEY: [i32; 2] = [-16, -48];
}

/// Connects, checks the server's key and logs in with ours.
pub(super) fn connect(
    target: &SshTarget,
    line: &Arc<Line>,
    by: &Deadline,
) -> Result<(Wire, String), ShellError> {
    let (wire, fingerprint) = shake_hands(target.addr, target.host_key.as_deref(), line, by)?;
    log_in(&wire, &target.user, &target.key, by)?;
    Ok((wire, fingerprint))
}

/// Logs in with this private key.
pub(super) fn log_in(wire: &Wire, user: &str, key: &str, by: &Deadline) -> Result<(), ShellError> {
    let limit = by.child("SSH login", AUTH);
    match wire.drive(&limit, |session| session.userauth_pubkey_memory(user, None, key, None)) {
        Err(Halt::Failed(error)) if errors::OUR_KEY.contains(&code(&error)) => {
            Err(ShellError::Rig(key_fault(&error)))
        }
        other => other.map_err(|halt| refuse(halt, &limit, user)),
    }
}

fn key_fault(error: &ssh2::Error) -> Fault {
    let fault = Fault::new(InfraKind::Config, "ssh", "use", "the private key");
    fault.expected("a key in OpenSSH's format", error.message())
}

/// What a failed login means.
pub(super) fn refuse(halt: Halt, limit: &Deadline, user: &str) -> ShellError {
    ShellError::Dut(match halt {
        Halt::Over => Unreachable::Mute(limit.stop("the server's key was accepted")),
        Halt::Failed(error) if errors::NOT_LET_IN.contains(&code(&error)) => {
            Unreachable::Denied(format!("user {user}: {}", error.message()))
        }
        other => Unreachable::Closed(format!("during the login: {other}")),
    })
}

/// Connects and agrees on keys; the server's key is the pinned one afterwards, if one is pinned.
pub(super) fn shake_hands(
    addr: SocketAddr,
    host_key: Option<&str>,
    line: &Arc<Line>,
    by: &Deadline,
) -> Result<(Wire, String), ShellError> {
    let mut offered: Option<String> = None;
    for (index, kind) in HOST_KEYS.iter().enumerate() {
        // Without a pinned key any kind will do; with one, each kind is asked for in turn.
        let wanted = if host_key.is_some() { (*kind).to_owned() } else { HOST_KEYS.join(",") };
        match handshake(addr, &wanted, line, by) {
            Ok((wire, got)) => match host_key {
                Some(pinned) if *pinned != *got => {
                    wire.close();
                    offered.get_or_insert(got);
                }
                _ => return Ok((wire, got)),
            },
            Err(Failed::NoSuchKey(_)) if index + 1 < HOST_KEYS.len() || offered.is_some() => {}
            Err(Failed::NoSuchKey(why)) => return Err(ShellError::Dut(why)),
            Err(Failed::For(error)) => return Err(*error),
        }
    }
    let expected = host_key.unwrap_or_default().to_owned();
    Err(ShellError::Dut(Unreachable::WrongHostKey { expected, got: offered.unwrap_or_default() }))
}

enum Failed {
    /// The server has no host key of the kind that was asked for, or nothing else in common;
    /// with what it is when no other kind does better.
    NoSuchKey(Unreachable),
    For(Box<ShellError>),
}

impl From<Unreachable> for Failed {
    fn from(unreachable: Unreachable) -> Self {
        Self::For(Box::new(ShellError::Dut(unreachable)))
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::For(Box::new(ShellError::Rig(fault)))
    }
}

fn handshake(
    addr: SocketAddr,
    kinds: &str,
    line: &Arc<Line>,
    by: &Deadline,
) -> Result<(Wire, String), Failed> {
    let socket = Arc::new(dial(addr, line, by)?);
    banner(&socket, line, by)?;
    let local = |error: ssh2::Error| fault("set up", &line.name).because(&error);
    let mut session = Session::new().map_err(local)?;
    session.set_blocking(false);
    session.method_pref(MethodType::HostKey, kinds).map_err(local)?;
    session.set_tcp_stream(socket.clone());
    session.set_keepalive(false, 1);
    let wire = Wire::new(session.clone(), socket, line.clone());
    let limit = by.child("SSH key exchange", HANDSHAKE);
    match wire.drive(&limit, |_| session.handshake()) {
        Ok(()) => {}
        Err(Halt::Over) => return Err(Unreachable::Mute(limit.stop("the server's first line")).into()),
        Err(Halt::Failed(error)) if errors::NO_COMMON_METHOD.contains(&code(&error)) => {
            let why = format!("key exchange: {} ({})", error.message(), code(&error));
            // The session's error is the same for a server that has hung up.
            let closed = wire.peer_closed();
            return Err(Failed::NoSuchKey(if closed {
                Unreachable::Closed(why)
            } else {
                Unreachable::Garbage(why)
            }));
        }
        Err(Halt::Failed(error)) if !errors::DISCONNECTED.contains(&code(&error)) => {
            return Err(Unreachable::Garbage(format!(
                "key exchange: {} ({})",
                error.message(),
                code(&error)
            ))
            .into());
        }
        Err(other) => return Err(Unreachable::Closed(format!("during the key exchange: {other}")).into()),
    }
    let Some(hash) = wire.session.host_key_hash(HashType::Sha256) else {
        return Err(Unreachable::Garbage("the server showed no key".into()).into());
    };
    let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(hash));
    Ok((wire, fingerprint))
}

/// A TCP connection, without delays of its own and with an end when nobody answers.
fn dial(addr: SocketAddr, line: &Line, by: &Deadline) -> Result<OwnedFd, Failed> {
    let limit = by.child("TCP connection", TCP);
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let local = |error: Errno| fault("open a socket for", &line.name).because(&error);
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None).map_err(local)?;
    sockopt::set_tcp_nodelay(&socket, true).map_err(local)?;
    sockopt::set_tcp_user_timeout(&socket, USER_TIMEOUT).map_err(local)?;
    let connected = match rustix::net::connect(&socket, &addr) {
        Err(Errno::INPROGRESS) => match ready(&socket, PollFlags::OUT, line, &limit) {
            Ok(()) => sockopt::socket_error(&socket).map_err(local)?,
            Err(Halt::Socket(error)) => Err(error),
            Err(_) => return Err(Unreachable::NoRoute(limit.stop("no answer to SYN").to_string()).into()),
        },
        other => other,
    };
    match connected {
        Ok(()) => Ok(socket),
        Err(Errno::CONNREFUSED) => Err(Unreachable::Refused(addr.to_string()).into()),
        Err(error @ (Errno::CONNRESET | Errno::CONNABORTED)) => {
            Err(Unreachable::Closed(error.to_string()).into())
        }
        Err(error) => Err(Unreachable::NoRoute(format!("{addr}: {error}")).into()),
    }
}

/// Looks at the server's first line without taking it from the session.
fn banner(socket: &OwnedFd, line: &Line, by: &Deadline) -> Result<(), Failed> {
    let limit = by.child("the SSH server's first line", BANNER);
    let mut seen = 0;
    let mut buffer = [0; PREAMBLE];
    loop {
        if let Err(halt) = ready(socket, PollFlags::IN, line, &limit) {
            return Err(match halt {
                Halt::Over => Unreachable::Mute(limit.stop("")).into(),
                other => Unreachable::Closed(format!("before the server's first line: {other}")).into(),
            });
        }
        let count = match rustix::net::recv(socket, &mut buffer[..], RecvFlags::PEEK) {
            Ok((count, _)) => count,
            Err(Errno::AGAIN | Errno::INTR) => continue,
            Err(error) => return Err(Unreachable::Closed(format!("before its first line: {error}")).into()),
        };
        let text = &buffer[..count];
        if is_ssh(text) {
            return Ok(());
        }
        let shown = || text[..count.min(80)].escape_ascii().to_string();
        if count == 0 {
            return Err(Unreachable::Closed("before the server's first line".into()).into());
        }
        if count == PREAMBLE || text.contains(&0) || !could_be_ssh(text) {
            return Err(Unreachable::Garbage(shown()).into());
        }
        if count == seen {
            // Either the end of the connection, or a server that stopped in its first line.
            let mut fds = [rustix::event::PollFd::new(socket, PollFlags::RDHUP)];
            let span = rustix::event::Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            let ended = rustix::event::poll(&mut fds, Some(&span));
            if matches!(ended, Ok(1..)) || limit.is_over() {
                return Err(Unreachable::Garbage(shown()).into());
            }
        }
        seen = count;
    }
}

fn is_ssh(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-"))
}

/// Whether SSH may still come: lines of plain text before it are allowed, known others are not.
fn could_be_ssh(text: &[u8]) -> bool {
    const OTHERS: [&[u8]; 4] = [b"HTTP/", b"220 ", b"+OK", b"SSH-1.5"];
    let plain = |byte: &u8| matches!(byte, b'\t' | b'\r' | b'\n' | b' '..=b'~' | 0x80..);
    text.iter().all(plain) && !OTHERS.iter().any(|other| text.starts_with(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banner_is_known_however_it_comes_in_and_other_protocols_are_refused_at_once() {
        let banner = b"Welcome!\r\nSSH-2.0-OpenSSH_9.2\r\n";
        let first = (1..banner.len()).find(|end| is_ssh(&banner[..*end]));
        assert_eq!(first, Some(b"Welcome!\r\nSSH-2.0-".len()));
        assert!((1..banner.len()).all(|end| could_be_ssh(&banner[..end])));
        for other in
            [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"\x16\x03\x01", b"220 mail ESMTP", b"\xff\xfb\x01\x01"]
        {
            assert!(!could_be_ssh(other), "{}", other.escape_ascii());
        }
    }
}
