//! One slot, one holder.
//!
//! The right is a `flock` on `<folder>/<rig>@<slot>.lock`, which the kernel takes back when
//! the holder dies. The file's text says who holds it. A holder that ends properly empties
//! the file; of one that was killed, its warden does, after it has made the slot safe. When
//! both were killed, the text stands there still, and the next holder kills what they started.

use std::fmt;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use shakedown_core::{Deadline, Fault, InfraKind, Rig};

use crate::group;
use crate::warden::{self, Registration};

/// How long a dead holder's warden may take.
const HANDOVER: Duration = Duration::from_secs(5);
/// How long the holder of a lock may take to write who it is.
const SAY: Duration = Duration::from_millis(200);
const TICK: Duration = Duration::from_millis(20);
/// Everybody may write below /var/tmp, on every distribution; /run/lock is root's on some.
const HOST_WIDE: &str = "/var/tmp/shakedown-locks";

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

impl Held {
    fn by_nobody_known(slot: &str) -> Self {
        let (holder, command) = (String::new(), String::new());
        Self { slot: slot.to_owned(), holder, pid: 0, since: None, command, cleaning: false }
    }
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
    let path = folder.join(format!("{}.lock", file_name(rig, slot)));
    let name = format!("{rig}/{slot}");
    let fault = |op: &str, error: &io::Error| {
        LockError::Rig(Fault::new(InfraKind::Host, "lock", op, path.display().to_string()).because(error))
    };
    shared(folder).map_err(|error| fault("create the folder of", &error))?;
    let mut file = open(&path).map_err(|error| fault("open", &error))?;
    let brief = by.child(format!("the holder of {name} to say who it is"), SAY);
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(fault("lock", &error)),
            Err(TryLockError::WouldBlock) => {}
        }
        // A dead holder's text may stand there until the new one has written its own, and a dying
        // one has its files open for a moment longer.
        if let Some(holder) = read(&path).filter(|holder| group::lives(holder.pid, holder.start)) {
            return Err(LockError::Held(holder.held(&name)));
        }
        if brief.pause(TICK, || "an empty lock file".into()).await.is_err() {
            return Err(LockError::Held(Held::by_nobody_known(&name)));
        }
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
    let mut left = Vec::new();
    if let Some(rest) = read(&path) {
        left = rest.left;
        if left.is_empty() {
            // The holder was killed and its warden with it: what they started may still be at the slot.
            left = warden::clean_up_after(&format!("{}-{}", rest.pid, rest.start)).await;
        }
    }
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

/// Without `O_CREAT` first: in a shared sticky folder the kernel refuses it on another user's file.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // A link in a folder of everybody's would have us write into a file that somebody else chose.
    options.read(true).write(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = options.create(true).truncate(false).open(path)?;
            // The next holder may be another user, whatever our umask.
            file.set_permissions(Permissions::from_mode(0o666))?;
            Ok(file)
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

/// A slot's name in file names: no two slots have the same, whatever characters their names hold.
pub fn file_name(rig: &str, slot: &str) -> String {
    let plain = |name: &str| -> String {
        let byte = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => char::from(byte).to_string(),
            other => format!("%{other:02x}"),
        };
        name.bytes().map(byte).collect()
    };
    format!("{}@{}", plain(rig), plain(slot))
}

/// The folder of the locks: one for the whole host, whoever asks. A bench is there once, so two
/// users, or one user in and out of a login session, must meet at the same file.
/// `SHAKEDOWN_RUNTIME` gives a test, or a container with its own hardware, one of its own.
pub fn folder() -> Rig<PathBuf> {
    let own = std::env::var_os("SHAKEDOWN_RUNTIME").filter(|value| !value.is_empty());
    Ok(match own {
        Some(_) => crate::dirs::runtime()?.join("slots"),
        None => PathBuf::from(HOST_WIDE),
    })
}

/// Makes the folder when it is missing. The host-wide one is for everybody, and sticky: nobody removes
/// another's file.
fn shared(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    if folder == Path::new(HOST_WIDE) {
        std::fs::set_permissions(folder, Permissions::from_mode(0o1777))?;
    }
    Ok(())
}

/// The name of the user that runs us, for others to read.
fn user() -> String {
    user_name(rustix::process::getuid().as_raw())
}

/// A user's name by the number, for people.
pub fn user_name(id: u32) -> String {
    let own = id == rustix::process::getuid().as_raw();
    let id = id.to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|entry| entry.get(2) == Some(&id.as_str()));
    let name = entry.map(|entry| entry[0].to_owned());
    let named = || std::env::var("USER").ok().filter(|_| own);
    name.or_else(named).unwrap_or_else(|| format!("user {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_slots_share_a_file() {
        let names = [
            ("a-b", "c"),
            ("a", "b-c"),
            ("a@b", "c"),
            ("a", "b@c"),
            ("a/b", "c"),
            ("a", "b/c"),
            ("a%40b", "c"),
            ("ä", "c"),
            ("..", ""),
        ];
        let files: std::collections::BTreeSet<_> =
            names.iter().map(|(rig, slot)| file_name(rig, slot)).collect();
        assert_eq!(files.len(), names.len(), "{files:?}");
        assert!(files.iter().all(|file| !file.contains('/') && file != ".."), "{files:?}");
        assert_eq!(file_name("qemu", "amd64"), "qemu@amd64");
    }
}
