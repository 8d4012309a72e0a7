//! What a held slot is to any program: a raw unix socket a console.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{Clock, Console, ConsoleLog, Cursor, Slot};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::wait::wait;

/// A line that was closed comes back when its device or machine does.
const BACK: Duration = Duration::from_millis(100);
/// A line takes what is typed, or the other side is gone.
const TYPE: Duration = Duration::from_secs(10);

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

/// The sockets of a hold, until they are dropped.
pub(super) struct Sockets {
    folder: PathBuf,
    tasks: Vec<AbortHandle>,
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        // What cannot be removed is made anew under another name next time.
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Opens a socket a console in `folder`, which is made, with this mode.
pub(super) fn open(
    folder: &Path,
    mode: u32,
    slot: &Slot,
    clock: &Arc<dyn Clock>,
    stop: &CancellationToken,
) -> io::Result<(Sockets, BTreeMap<String, PathBuf>)> {
    std::fs::create_dir_all(folder)?;
    let mut sockets = Sockets { folder: folder.to_owned(), tasks: Vec::new() };
    let mut paths = BTreeMap::new();
    for (name, console) in &slot.consoles {
        let path = folder.join(name);
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, Permissions::from_mode(mode))?;
        let task = tokio::spawn(serve(listener, console.clone(), clock.clone(), stop.clone()));
        sockets.tasks.push(task.abort_handle());
        paths.insert(name.clone(), path);
    }
    Ok((sockets, paths))
}

async fn serve(listener: UnixListener, console: Console, clock: Arc<dyn Clock>, stop: CancellationToken) {
    // Dropped with the task, and its bridges with it.
    let mut bridges = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        bridges.spawn(bridge(stream, console.clone(), clock.clone(), stop.clone()));
    }
}

/// What the console says from now on goes out, what comes in is typed.
async fn bridge(
    stream: UnixStream,
    console: Console,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> io::Result<()> {
    let mut follow = Follow::new(&console.log, 0);
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
                let by = wait("the console to take what is typed", TYPE, &clock, &stop);
                if let Some(tx) = &console.tx {
                    tx.send(&typed[..count], &by).await.map_err(io::Error::other)?;
                }
            }
        }
    }
}
