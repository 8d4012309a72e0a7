//! A TFTP server for boot loaders: read-only, octets, and only the files that it was given by name.
//!
//! Of our own because no crate says when a client has the last block, which is what proves a fetch:
//! `async-tftp` 0.4 keeps it to itself, goes on sending to a client that ended the transfer, and brings
//! a second async runtime; `tftpd` 1.0 keeps its options private, never sends their answer twice, and
//! prints.
//!
//! No path is ever looked up: a name is a key among the files in memory.

mod packet;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle, Scope};
use std::time::Duration;

use shakedown_core::{BootFile, Came, Fault, Fetch, InfraKind, Rig, Serving};

use packet::{Code, Options, Request};
use transfer::Transfer;

/// The port that boot loaders ask.
pub const PORT: u16 = 69;
/// Transfers at once; a DUT has one.
const MOST: usize = 16;
/// Requests that are remembered.
const REMEMBERED: usize = 1000;
/// How long a missed wake-up may keep the port.
const SLICE: Duration = Duration::from_millis(200);

/// A running server; the port is free when this was dropped.
#[derive(Debug)]
pub struct TftpServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    files: BTreeMap<String, Arc<[u8]>>,
    over: AtomicBool,
    fetches: Mutex<Fetches>,
}

#[derive(Debug, Default)]
struct Fetches {
    all: Vec<Fetch>,
    /// Clients with a transfer under way.
    busy: BTreeSet<SocketAddr>,
}

impl TftpServer {
    /// Serves these files on this address. Port 0 is any free one; boot loaders ask port 69, which
    /// only a privileged process gets.
    pub fn start(addr: SocketAddr, files: &[BootFile]) -> Rig<Self> {
        Self::on_first([addr], files)
    }

    /// The same, on the first of these addresses that nobody has.
    pub fn on_first(addrs: impl IntoIterator<Item = SocketAddr>, files: &[BootFile]) -> Rig<Self> {
        let mut fault = Fault::new(InfraKind::Network, "tftp", "listen on", "no address");
        for addr in addrs {
            let error = match UdpSocket::bind(addr).and_then(|socket| Self::on(socket, files)) {
                Ok(server) => return Ok(server),
                Err(error) => error,
            };
            fault =
                Fault::new(InfraKind::Network, "tftp", "listen on", format!("UDP {addr}")).because(&error);
            if error.kind() == io::ErrorKind::PermissionDenied {
                let allow = format!("sysctl net.ipv4.ip_unprivileged_port_start={PORT}");
                fault = fault.hint(format!("run as root, or allow ports from {PORT} on: {allow}"));
            }
            if error.kind() != io::ErrorKind::AddrInUse {
                break;
            }
        }
        Err(fault)
    }

    fn on(socket: UdpSocket, files: &[BootFile]) -> io::Result<Self> {
        socket.set_read_timeout(Some(SLICE))?;
        let addr = socket.local_addr()?;
        let files = files.iter().map(|file| (file.name.clone(), file.bytes.clone())).collect();
        let shared = Arc::new(Shared { files, over: AtomicBool::new(false), fetches: Mutex::default() });
        let own = shared.clone();
        let work = move || std::thread::scope(|scope| listen(&socket, &own, scope));
        let thread = Builder::new().name(format!("tftp {addr}")).spawn(work)?;
        Ok(Self { addr, shared, thread: Some(thread) })
    }
}

impl Serving for TftpServer {
    fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn fetches(&self) -> Option<Vec<Fetch>> {
        Some(self.shared.fetches().all.clone())
    }
}

impl Drop for TftpServer {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes the thread; should it be lost, its own wait ends soon.
        if let Ok(socket) = UdpSocket::bind((self.addr.ip(), 0)) {
            drop(socket.send_to(&[], self.addr));
        }
        drop(self.thread.take().map(JoinHandle::join));
    }
}

impl Shared {
    fn fetches(&self) -> MutexGuard<'_, Fetches> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Notes a request; `None` when no more are remembered.
    fn note(&self, name: &str, client: SocketAddr, came: Came) -> Option<usize> {
        let mut fetches = self.fetches();
        if fetches.all.len() == REMEMBERED {
            return None;
        }
        fetches.all.push(Fetch { name: name.to_owned(), client, came });
        Some(fetches.all.len() - 1)
    }

    fn came(&self, index: Option<usize>, came: Came) {
        let mut fetches = self.fetches();
        if let Some(fetch) = index.and_then(|index| fetches.all.get_mut(index)) {
            fetch.came = came;
        }
    }
}

/// Answers requests until the server is dropped; returns when the last transfer has ended.
fn listen<'scope>(socket: &'scope UdpSocket, shared: &'scope Shared, scope: &'scope Scope<'scope, '_>) {
    let mut packet = [0; 2048];
    while !shared.is_over() {
        // Mostly an error is that nothing came; the rest is about one packet.
        let Ok((length, client)) = socket.recv_from(&mut packet) else { continue };
        match Request::parse(&packet[..length]) {
            None => {}
            Some(Request::Refused { name, code, why }) => refuse(socket, shared, &name, client, code, why),
            Some(Request::Read { name, options }) => {
                let Some((own, bytes)) = shared.files.get_key_value(&name) else {
                    refuse(socket, shared, &name, client, Code::NotFound, "there is no such file");
                    continue;
                };
                if shared.fetches().busy.contains(&client) {
                    // It asked twice: the answer is under way, and is sent again where it was lost.
                    continue;
                }
                if shared.fetches().busy.len() == MOST {
                    refuse(socket, shared, &name, client, Code::Other, "too many transfers at once");
                    continue;
                }
                shared.fetches().busy.insert(client);
                let to = socket.local_addr().map(|addr| addr.ip());
                let work = move || {
                    let came = to.and_then(|ip| send(shared, (ip, 0).into(), own, client, bytes, options));
                    if let Err(error) = came {
                        shared.note(own, client, Came::Failed(error.to_string()));
                    }
                    shared.fetches().busy.remove(&client);
                };
                let thread = Builder::new().name(format!("tftp to {client}")).spawn_scoped(scope, work);
                if let Err(error) = thread {
                    shared.fetches().busy.remove(&client);
                    refuse(socket, shared, &name, client, Code::Other, &error.to_string());
                }
            }
        }
    }
}

fn refuse(socket: &UdpSocket, shared: &Shared, name: &str, client: SocketAddr, code: Code, why: &str) {
    // Noted first: who has the answer finds the request told of.
    shared.note(name, client, Came::Failed(why.to_owned()));
    // A client that is gone hears nothing.
    drop(socket.send_to(&packet::error(code, why), client));
}

fn send(
    shared: &Shared,
    from: SocketAddr,
    name: &str,
    client: SocketAddr,
    bytes: &[u8],
    options: Options,
) -> io::Result<()> {
    let transfer = Transfer { socket: UdpSocket::bind(from)?, client, bytes, options };
    let blocks = transfer.blocks();
    let note = shared.note(name, client, Came::UnderWay { acked: 0, blocks });
    let told = |acked| shared.came(note, Came::UnderWay { acked, blocks });
    shared.came(
        note,
        match transfer.run(|| shared.is_over(), told) {
            Ok(()) => Came::Whole { bytes: bytes.len() as u64, blocks },
            Err(ended) => Came::Failed(ended.to_string()),
        },
    );
    Ok(())
}
