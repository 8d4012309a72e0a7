//! A small NTP server that tells this host's time, for a DUT without the internet.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use shakedown_core::{Fault, InfraKind, Rig};

/// Length of a packet without extensions and authentication.
const PACKET: usize = 48;
const CLIENT: u8 = 3;
const SERVER: u8 = 4;
/// Seconds from 1900 to 1970.
const EPOCH: u64 = 2_208_988_800;
/// Above what public servers say, below what means "not synchronised".
const STRATUM: u8 = 8;
/// 2^-20 s, about a microsecond.
const PRECISION: i8 = -20;
/// 2^-16 s units: 1 ms.
const DISPERSION: u32 = 66;

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct NtpServer {
    addr: SocketAddr,
    over: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
}

impl NtpServer {
    /// Starts on any free UDP port of the loopback, where QEMU's user network reaches it.
    pub fn start() -> Rig<Self> {
        Self::on((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Starts on this address; port 0 is any free one.
    pub fn on(addr: SocketAddr) -> Rig<Self> {
        Self::bind(addr).map_err(|error| {
            Fault::new(InfraKind::Network, "ntp", "listen on", format!("UDP {addr}")).because(&error)
        })
    }

    fn bind(addr: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(addr)?;
        // How long a dropped server's thread may linger.
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        let addr = socket.local_addr()?;
        let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (end, count) = (over.clone(), asked.clone());
        let work = move || {
            let mut packet = [0; 512];
            while !end.load(Ordering::Relaxed) {
                let Ok((length, client)) = socket.recv_from(&mut packet) else { continue };
                if let Some(answer) = answer(&packet[..length], now()) {
                    count.fetch_add(1, Ordering::Relaxed);
                    // A client that has gone asks nobody.
                    let _ = socket.send_to(&answer, client);
                }
            }
        };
        std::thread::Builder::new().name(format!("ntp {addr}")).spawn(work)?;
        Ok(Self { addr, over, asked })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many questions it has answered.
    pub fn answered(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for NtpServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// NTP's 64-bit time: seconds since 1900 (modulo 2^32, as in its second era) and their fraction.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    (since.as_secs().wrapping_add(EPOCH) << 32) | fraction
}

/// The answer to a client's question (RFC 5905, section 7.3); `None` for anything else.
fn answer(question: &[u8], now: u64) -> Option<[u8; PACKET]> {
    let first = *question.first()?;
    let (version, mode) = ((first >> 3) & 7, first & 7);
    if question.len() < PACKET || mode != CLIENT || !(1..=4).contains(&version) {
        return None;
    }
    let mut packet = [0; PACKET];
    packet[0] = (version << 3) | SERVER;
    packet[1] = STRATUM;
    packet[2] = question[2];
    packet[3] = PRECISION.cast_unsigned();
    packet[8..12].copy_from_slice(&DISPERSION.to_be_bytes());
    packet[12..16].copy_from_slice(&Ipv4Addr::LOCALHOST.octets());
    packet[16..24].copy_from_slice(&now.to_be_bytes());
    packet[24..32].copy_from_slice(&question[40..48]);
    packet[32..40].copy_from_slice(&now.to_be_bytes());
    packet[40..48].copy_from_slice(&now.to_be_bytes());
    Some(packet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_questions_are_answered_and_with_the_client_s_own_time() {
        let mut question = [0; PACKET];
        question[0] = (4 << 3) | CLIENT;
        question[40..48].copy_from_slice(&7u64.to_be_bytes());
        let answer = answer(&question, 99 << 32).unwrap();
        assert_eq!((answer[0], answer[31], answer[43]), (0x24, 7, 99));
        question[0] = (4 << 3) | SERVER;
        assert!(super::answer(&question, 0).is_none(), "two servers would talk for ever");
        assert!(super::answer(&question[..47], 0).is_none());
    }
}
