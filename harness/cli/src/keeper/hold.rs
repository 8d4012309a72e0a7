//! What a held slot is to any program: a raw unix socket a console.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{Console, ConsoleLog, Cursor, Slot};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::seat::{Seat, Ticket};
use super::serve::Keeper;
use super::session::TYPE;
use super::wait::wait;
use super::wire::{Use, Who};

/// A line that was closed comes back when its device or machine does.
const BACK: Duration = Duration::from_millis(100);

/// What follows on a console.
pub(super) enum Next {
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// The line was closed: why. It may come back.
    Ended(String),
}

/// A reader of a console that outlives the line's ends.
pub(super) struct Follow {
    log: Arc<ConsoleLog>,
    cursor: Cursor,
    ended: bool,
}

impl Follow {
    /// From so many bytes before the end.
    pub(super) fn new(log: &Arc<ConsoleLog>, tail: u64) -> Self {
        let cursor = Cursor(log.here().0.saturating_sub(tail));
        Self { log: log.clone(), cursor, ended: false }
    }

    /// The line is back, if it was gone: its next end is told again.
    pub(super) fn is_back(&mut self) {
        self.ended = false;
    }

    /// How far it has read.
    pub(super) fn here(&self) -> u64 {
        self.cursor.0
    }

    /// Waits for it. Nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Next {
        loop {
            match self.log.next(&mut self.cursor).await {
                Ok(chunk) => {
                    self.ended = false;
                    return Next::Bytes(chunk.bytes);
                }
                Err(closed) if !self.ended => {
                    self.ended = true;
                    return Next::Ended(closed.why);
                }
                Err(_) => {
                    let clock = self.log.clock();
                    clock.sleep_until(clock.now() + BACK).await;
                }
            }
        }
    }
}

/// The sockets of a hold.
pub(super) struct Sockets {
    folder: PathBuf,
    stop: CancellationToken,
    open: JoinSet<()>,
}

impl Sockets {
    /// Ends them, and with them every use of a console that came through them.
    pub(super) async fn close(mut self) {
        self.stop.cancel();
        while self.open.join_next().await.is_some() {}
        // What cannot be removed is made anew under another name next time.
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Opens a socket a console in `folder`, which is made.
pub(super) fn open(
    folder: &Path,
    keeper: &Arc<Keeper>,
    seat: &Arc<Seat>,
    slot: &Slot,
    hold: &str,
) -> io::Result<(Sockets, BTreeMap<String, PathBuf>)> {
    std::fs::create_dir_all(folder)?;
    let stop = keeper.work.child_token();
    let mut sockets = Sockets { folder: folder.to_owned(), stop, open: JoinSet::new() };
    let mut paths = BTreeMap::new();
    for (name, console) in &slot.consoles {
        let path = folder.join(name);
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, Permissions::from_mode(keeper.mode))?;
        let line = Line {
            keeper: keeper.clone(),
            seat: seat.clone(),
            hold: hold.to_owned(),
            name: name.clone(),
            console: console.clone(),
            stop: sockets.stop.clone(),
        };
        sockets.open.spawn(line.serve(listener));
        paths.insert(name.clone(), path);
    }
    Ok((sockets, paths))
}

/// One console of a hold.
#[derive(Clone)]
struct Line {
    keeper: Arc<Keeper>,
    seat: Arc<Seat>,
    hold: String,
    name: String,
    console: Console,
    stop: CancellationToken,
}

impl Line {
    async fn serve(self, listener: UnixListener) {
        let mut readers = JoinSet::new();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(_) = readers.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => drop(readers.spawn(self.clone().connected(stream))),
                    Err(_) => break,
                },
            }
        }
        while readers.join_next().await.is_some() {}
    }

    /// Serves a connection to its end, as a use of the slot.
    async fn connected(self, stream: UnixStream) {
        let Ok(peer) = stream.peer_cred() else { return };
        let who = self.keeper.who(peer, format!("a program on the socket of {}", self.name));
        let how = Use::Follows(self.name.clone());
        let Ok(ticket) = self.seat.enter(&self.keeper, how, &who, Some(&self.hold)).await else { return };
        tokio::select! {
            () = self.stop.cancelled() => {}
            // Whatever ended it, the program sees its socket closed.
            _ended = self.bridge(stream, &ticket, &who) => {}
        }
        self.seat.leave(ticket).await;
    }

    /// What the console says from now on goes out, what comes in is typed. Whoever types first is the
    /// one who may, until its end; the socket of anybody else who types is closed.
    async fn bridge(&self, stream: UnixStream, ticket: &Ticket, who: &Who) -> io::Result<()> {
        let mut follow = Follow::new(&self.console.log, 0);
        let (mut from, mut to) = stream.into_split();
        let mut typed = vec![0; 4096];
        loop {
            tokio::select! {
                next = follow.next() => if let Next::Bytes(bytes) = next {
                    to.write_all(&bytes).await?;
                },
                count = from.read(&mut typed) => {
                    let count = count?;
                    if count == 0 {
                        return Ok(());
                    }
                    let (Some(tx), Ok(())) = (&self.console.tx, self.seat.write(&self.name, ticket, who)) else {
                        return Ok(());
                    };
                    let by = wait("the console to take what is typed", TYPE, &self.keeper.clock, &self.stop);
                    tx.send(&typed[..count], &by).await.map_err(io::Error::other)?;
                }
            }
        }
    }
}
