//! The keeper's own process.

use std::collections::BTreeMap;
use std::fs::{File, Permissions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shakedown_boards::Catalogue;
use shakedown_core::{Clock, ExitCode, Proof, RealClock, Rig, Sha};
use tokio::net::UnixListener;
use tokio::net::unix::UCred;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::seat::Seat;
use super::session;
use super::wait::wait;
use super::wire::{Refusal, Seated, Who};
use crate::compose::rig::{Rig as RigFile, SlotDoc};
use crate::compose::signals::cancelled_by_signals;
use crate::say::err;
use crate::{CliError, CliResult};

/// A keeper that was started on demand stays so long after its last use, for the next command of a script.
const LINGER: Duration = Duration::from_secs(3);
/// Sessions that still have something to tell when the keeper ends.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a keeper is started with.
pub struct Settings {
    /// The rig.
    pub rig: RigFile,
    /// The boards.
    pub catalogue: Catalogue,
    /// Where it listens.
    pub socket: PathBuf,
    /// Who may: the socket's mode.
    pub mode: u32,
    /// Ends by itself when nothing is open any more.
    pub on_demand: bool,
}

pub(super) struct Keeper {
    pub(super) rig: RigFile,
    pub(super) hash: Sha,
    pub(super) since: jiff::Timestamp,
    pub(super) catalogue: Catalogue,
    pub(super) clock: Arc<dyn Clock>,
    /// Ends everything.
    pub(super) stop: CancellationToken,
    /// Ends with it, and before it where somebody asks for the end: what is being done gives way to
    /// making the rig safe, and nothing new is begun.
    pub(super) work: CancellationToken,
    /// Never fires: for what has to be done at the end.
    pub(super) unstoppable: CancellationToken,
    /// Where the sockets of holds are made.
    pub(super) folder: PathBuf,
    pub(super) mode: u32,
    seats: Mutex<BTreeMap<String, Arc<Seat>>>,
    busy: watch::Sender<usize>,
    holds: AtomicU64,
}

/// One connection, or one open slot: while there is one, the keeper stays.
pub(super) struct Counted(watch::Sender<usize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Keeper {
    pub(super) fn count(&self) -> Counted {
        self.busy.send_modify(|count| *count += 1);
        Counted(self.busy.clone())
    }

    pub(super) fn find(&self, name: &str) -> Result<(&str, &SlotDoc), Refusal> {
        let slots = &self.rig.doc.value.slots;
        slots.get_key_value(name).map(|(name, doc)| (name.as_str(), doc)).ok_or_else(|| Refusal::NoSuch {
            kind: "slot".into(),
            got: name.to_owned(),
            known: slots.keys().cloned().collect(),
        })
    }

    pub(super) fn seat(&self, name: &str) -> Result<Arc<Seat>, Refusal> {
        let (name, _) = self.find(name)?;
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let id = format!("{}/{name}", self.rig.doc.value.rig);
        Ok(seats.entry(name.to_owned()).or_insert_with(|| Seat::new(name, id)).clone())
    }

    pub(super) fn all(&self) -> Vec<Arc<Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(super) async fn seated(&self) -> Vec<Seated> {
        let mut open = Vec::new();
        for seat in self.all() {
            open.extend(seat.seated().await);
        }
        open
    }

    async fn make_safe(&self) -> Vec<Rig<Proof>> {
        let mut done = Vec::new();
        for seat in self.all() {
            let _turn = seat.turn.lock().await;
            done.extend(seat.make_safe(self).await);
        }
        done
    }

    /// Who is at the other end of a socket.
    pub(super) fn who(&self, peer: UCred, command: String) -> Who {
        let user = shakedown_host::lock::user_name(peer.uid());
        let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
        Who { user, pid, command, since: self.clock.wall() }
    }

    /// The keeper itself, as one who uses a slot.
    pub(super) fn myself(&self) -> Who {
        let user = shakedown_host::lock::user_name(rustix::process::getuid().as_raw());
        let command = format!("the keeper of {}, which makes it safe", self.rig.doc.value.rig);
        Who { user, pid: std::process::id(), command, since: self.clock.wall() }
    }

    /// A hold's name, no two of this keeper's are the same, and the word that lets its commands in,
    /// which nobody can guess from what the keeper tells others.
    pub(super) fn token(&self, who: &Who) -> (String, String) {
        let number = self.holds.fetch_add(1, Ordering::Relaxed);
        let name = format!("hold-{}-{}-{number}", std::process::id(), who.pid);
        // Its keys come from the kernel's random numbers.
        let secret = RandomState::new().build_hasher().finish();
        let token = format!("{name}-{secret:016x}");
        (name, token)
    }

    /// Completes when nothing was open for a while.
    async fn idle(&self) {
        let mut busy = self.busy.subscribe();
        loop {
            if busy.wait_for(|count| *count == 0).await.is_err() {
                return;
            }
            tokio::select! {
                _ = busy.changed() => {}
                () = self.clock.sleep_until(self.clock.now() + LINGER) => return,
            }
        }
    }
}

/// Keeps the rig until it is asked to end, by a signal or on its socket.
pub async fn run(settings: Settings) -> CliResult {
    let Settings { rig, catalogue, socket, mode, on_demand } = settings;
    let name = rig.doc.value.rig.clone();
    let Some(_right) = alone(&socket)? else {
        if on_demand {
            return Ok(ExitCode::Ok);
        }
        return Err(CliError::infra(format!("{name} has a keeper already, at {}", socket.display()))
            .hint("`shakedown keep --status` shows it, `shakedown keep --stop` ends it"));
    };
    if on_demand {
        // A leader of a group cannot, and need not: it has no terminal's group.
        let _own = rustix::process::setsid();
    }
    let listener = listen(&socket, mode).map_err(|error| {
        CliError::infra(format!("cannot listen on {}: {error}", socket.display()))
            .hint("name another place with --socket; a path of a socket has at most 107 bytes")
    })?;
    let clock: Arc<dyn Clock> = RealClock::start();
    let stop = cancelled_by_signals("making the rig safe");
    let keeper = Arc::new(Keeper {
        hash: rig.hash(),
        since: clock.wall(),
        catalogue,
        work: stop.child_token(),
        stop,
        unstoppable: CancellationToken::new(),
        folder: socket.parent().map(Path::to_owned).unwrap_or_default(),
        mode,
        seats: Mutex::default(),
        busy: watch::channel(0).0,
        holds: AtomicU64::new(0),
        clock,
        rig,
    });
    err!("keeping {name} ({}) at {}", keeper.rig.from, socket.display());
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let (keeper, counted) = (keeper.clone(), keeper.count());
                sessions.spawn(async move {
                    session::serve(stream, keeper).await;
                    drop(counted);
                });
            }
            Some(_) = sessions.join_next() => {}
            () = keeper.stop.cancelled() => break,
            () = keeper.idle(), if on_demand => break,
        }
    }
    drop(listener);
    let mut exit = ExitCode::Ok;
    for fault in keeper.make_safe().await.into_iter().filter_map(Result::err) {
        err!("{fault}");
        exit = ExitCode::Infra;
    }
    let last = wait("the last words of sessions", LAST_WORDS, &keeper.clock, &keeper.unstoppable);
    let ended = async { while sessions.join_next().await.is_some() {} };
    // Who does not listen is not waited for.
    let _late = last.run(String::new, ended).await;
    sessions.shutdown().await;
    for seat in keeper.all() {
        seat.close().await;
    }
    // While we still have the right: the next keeper makes its own.
    drop(std::fs::remove_file(&socket));
    Ok(exit)
}

/// The right to be the keeper at this socket; the kernel gives it back when we die.
fn alone(socket: &Path) -> Result<Option<File>, CliError> {
    let mut path = socket.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let unusable = |error: std::io::Error| CliError::infra(format!("cannot use {}: {error}", path.display()));
    if let Some(folder) = socket.parent() {
        std::fs::create_dir_all(folder).map_err(unusable)?;
    }
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

fn listen(socket: &Path, mode: u32) -> std::io::Result<UnixListener> {
    // One of a keeper that was killed.
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, Permissions::from_mode(mode))?;
    Ok(listener)
}
