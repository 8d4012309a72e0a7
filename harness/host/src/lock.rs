//! One slot, one holder.
//!
//! The right is a `flock` on `<folder>/<rig>-<slot>.lock`, which the kernel takes back when
//! the holder dies. The file's text says who holds it. A holder that ends properly empties
//! the file; of one that was killed, its warden does, after it has made the slot safe.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shakedown_core::{Deadline, Fault, InfraKind, Rig};

use crate::group;
use crate::warden::{self, Registration};

/// How long a dead holder's warden may take.
const HANDOVER: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(20);

/// What stands in a lock file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    user: String,
    pid: u32,
    /// Start time of the process in clock ticks: a pid alone is given to others in time.
    start: u64,
    since: jiff::Timestamp,
    command: String,
    warden: Option<WardenId>,
    /// What the holder's warden could not make safe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WardenId {
    pid: u32,
    start: u64,
}

/// Somebody holds the slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// `rig/slot`.
    pub slot: String,
    /// The user's name; empty when the lock file does not say.
    pub holder: String,
    /// The holder's process.
    pub pid: u32,
    /// Since when.
    pub since: Option<jiff::Timestamp>,
    /// What it runs.
    pub command: String,
    /// The holder is dead, but its warden has not made the slot safe yet.
    pub cleaning: bool,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(since) = self.since else {
            return write!(f, "{} is held by another process, which has not said who it is", self.slot);
        };
        let Self { slot, holder, pid, command, .. } = self;
        if self.cleaning {
            return write!(
                f,
                "{slot} was held by {holder} (process {pid}, `{command}`), which died; its warden is still making the slot safe"
            );
        }
        write!(f, "{slot} is held by {holder} (process {pid}) since {since:.0}: `{command}`")
    }
}

impl std::error::Error for Held {}

/// Why a slot could not be locked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Somebody holds it.
    #[error(transparent)]
    Held(Held),
    /// The lock file cannot be used.
    #[error(transparent)]
    Rig(Fault),
}

/// The exclusive right to a slot, until it is dropped.
#[derive(Debug)]
pub struct SlotLock {
    file: File,
    /// What the last holder's warden could not make safe; empty when all is well.
    pub left: Vec<String>,
    _ward: Option<Registration>,
}

/// Takes the lock of `rig`/`slot` in `folder` (made when missing) for `command`, which is shown to others.
/// Waits only for the warden of a dead holder, at most 5 s.
pub async fn acquire(
    folder: &Path,
    rig: &str,
    slot: &str,
    command: &str,
    by: &Deadline,
) -> Result<SlotLock, LockError> {
    let path = folder.join(format!("{}-{}.lock", plain(rig), plain(slot)));
    let name = format!("{rig}/{slot}");
    let fault = |op: &str, error: &io::Error| {
        LockError::Rig(Fault::new(InfraKind::Host, "lock", op, path.display().to_string()).because(error))
    };
    std::fs::create_dir_all(folder).map_err(|error| fault("create the folder of", &error))?;
    let mut file = open(&path).map_err(|error| fault("open", &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(LockError::Held(who(&path, &name, by).await)),
        Err(TryLockError::Error(error)) => return Err(fault("lock", &error)),
    }
    let last = read(&path);
    if let Some(dead) = &last {
        let waiting =
            by.child(format!("the warden of {} to make {name} safe", dead.pid), HANDOVER).at_rig_pace();
        while dead.warden.is_some_and(|warden| group::lives(warden.pid, warden.start)) {
            let seen =
                || format!("the warden, process {}, still runs", dead.warden.map_or(0, |warden| warden.pid));
            if waiting.pause(TICK, seen).await.is_err() {
                return Err(LockError::Held(Held { cleaning: true, ..dead.held(&name) }));
            }
        }
    }
    // Once more: the warden has written into it in the meantime.
    let left = read(&path).map_or_else(Vec::new, |document| document.left);
    let warden = warden::start().map_err(LockError::Rig)?;
    let me = group::me();
    let document = Document {
        user: user(),
        pid: me.pid,
        start: me.start,
        since: jiff::Timestamp::now(),
        command: command.to_owned(),
        warden: warden.process().map(|stat| WardenId { pid: stat.pid, start: stat.start }),
        left: Vec::new(),
    };
    write(&mut file, Some(&document)).map_err(|error| fault("write", &error))?;
    let ward = warden.holder(&path).map_err(LockError::Rig)?;
    Ok(SlotLock { file, left, _ward: Some(ward) })
}

impl Drop for SlotLock {
    fn drop(&mut self) {
        // Before the kernel gives the lock to the next, who would wait for us.
        let _ = write(&mut self.file, None);
    }
}

impl Document {
    fn held(&self, slot: &str) -> Held {
        Held {
            slot: slot.to_owned(),
            holder: self.user.clone(),
            pid: self.pid,
            since: Some(self.since),
            command: self.command.clone(),
            cleaning: false,
        }
    }
}

/// Called by the warden when all else is done: empties the file of a dead harness, or leaves
/// what could not be made safe for the next holder.
pub(crate) fn release(path: &Path, complaints: &[String]) {
    let Some(mut document) = read(path) else { return };
    // Somebody else's by now, if the holder gave it back before it died.
    if group::lives(document.pid, document.start) {
        return;
    }
    document.left = complaints.to_vec();
    let document = (!complaints.is_empty()).then_some(&document);
    if let Ok(mut file) = OpenOptions::new().write(true).open(path) {
        let _ = write(&mut file, document);
    }
}

/// The holder of a lock that is taken. It may be about to write who it is: 200 ms for that.
async fn who(path: &Path, slot: &str, by: &Deadline) -> Held {
    let brief = by.child(format!("the holder of {slot} to say who it is"), Duration::from_millis(200));
    loop {
        // A dead holder's text may stand there until the new one has written its own.
        if let Some(document) = read(path).filter(|document| group::lives(document.pid, document.start)) {
            return document.held(slot);
        }
        if brief.pause(TICK, || "an empty lock file".into()).await.is_err() {
            let (holder, command) = (String::new(), String::new());
            return Held { slot: slot.to_owned(), holder, pid: 0, since: None, command, cleaning: false };
        }
    }
}

/// Without `O_CREAT` first: in a shared sticky folder the kernel refuses it on another user's file.
fn open(path: &Path) -> io::Result<File> {
    let existing = OpenOptions::new().read(true).write(true).open(path);
    match existing {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
        }
        other => other,
    }
}

fn read(path: &Path) -> Option<Document> {
    let mut text = String::new();
    File::open(path).ok()?.take(64 << 10).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// In place: the lock hangs on this very file.
fn write(file: &mut File, document: Option<&Document>) -> io::Result<()> {
    let text = document.map(serde_json::to_vec).transpose()?.unwrap_or_default();
    file.set_len(0)?;
    file.seek(io::SeekFrom::Start(0))?;
    file.write_all(&text)
}

/// A name as a part of a file's name.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect()
}

/// Where the locks of slots are, for this user.
pub fn folder() -> Rig<PathBuf> {
    Ok(crate::dirs::runtime()?.join("slots"))
}

/// The name of the user that runs us, for others to read.
fn user() -> String {
    let id = rustix::process::getuid().as_raw().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|entry| entry.get(2) == Some(&id.as_str()));
    let name = entry.map(|entry| entry[0].to_owned());
    name.or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| format!("user {id}"))
}
