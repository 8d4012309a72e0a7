//! ext2, ext3 and ext4 through the ext4-view crate, read only.
//!
//! The crate replays a journal in memory while it reads. Where the journal is broken, the
//! file system is read again as if it had none: the superblock is shown to the crate with
//! the journal struck out, and the medium stays as it is.

use std::error::Error;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use ext4_view::{Ext4, Ext4Error, Ext4Read, FileType, PathBuf};
use shakedown_core::Medium;

use super::{Collector, EntryKind, FileRead, FsError, Replay, Tree, TreeLimits};
use crate::layout::Partition;
use crate::slice::MediumReader;

const SUPERBLOCK: u64 = 1024;
const HAS_JOURNAL: u32 = 4;
const RECOVER: u32 = 4;
const METADATA_CSUM: u32 = 0x400;

/// A request for bytes: the crate wants to own its reader, the medium is only lent.
struct Wanted {
    off: u64,
    len: usize,
    answer: SyncSender<Result<Vec<u8>, String>>,
}

struct Remote {
    ask: SyncSender<Wanted>,
    without_journal: bool,
}

impl Ext4Read for Remote {
    fn read(&mut self, off: u64, buf: &mut [u8]) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        let (answer, answered) = sync_channel(1);
        self.ask.send(Wanted { off, len: buf.len(), answer })?;
        let mut bytes = answered.recv()??;
        if self.without_journal {
            strike_journal(off, &mut bytes);
        }
        buf.copy_from_slice(&bytes);
        Ok(())
    }
}

/// The superblock without its journal, where these bytes hold all of it.
fn strike_journal(off: u64, bytes: &mut [u8]) {
    let Some(at) = SUPERBLOCK.checked_sub(off).and_then(|at| usize::try_from(at).ok()) else { return };
    let Some(sb) = bytes.get_mut(at..at + 1024) else { return };
    let get = |sb: &[u8], at: usize| u32::from_le_bytes([sb[at], sb[at + 1], sb[at + 2], sb[at + 3]]);
    let compat = get(sb, 92) & !HAS_JOURNAL;
    let incompat = get(sb, 96) & !RECOVER;
    sb[92..96].copy_from_slice(&compat.to_le_bytes());
    sb[96..100].copy_from_slice(&incompat.to_le_bytes());
    sb[224..228].fill(0);
    if get(sb, 100) & METADATA_CSUM != 0 {
        let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
        // The superblock's checksum is stored without the final inversion.
        let sum = !crc.checksum(&sb[..1020]);
        sb[1020..1024].copy_from_slice(&sum.to_le_bytes());
    }
}

/// Runs `work` on the file system, on a thread of its own, while this one serves its reads.
fn with<T: Send>(
    medium: &mut dyn Medium,
    partition: &Partition,
    without_journal: bool,
    work: impl FnOnce(&Ext4) -> Result<T, FsError> + Send,
) -> Result<Result<T, FsError>, Loading> {
    let (ask, asked) = sync_channel::<Wanted>(0);
    let index = partition.index;
    std::thread::scope(|scope| {
        let spawned =
            std::thread::Builder::new().name("ext-read".to_owned()).spawn_scoped(scope, move || {
                let fs = Ext4::load(Box::new(Remote { ask, without_journal })).map_err(Loading::Refused)?;
                Ok(work(&fs))
            });
        let thread = spawned.map_err(|error| Loading::Io(super::io(index, &error)))?;
        serve(medium, partition, &asked);
        thread.join().unwrap_or_else(|_| {
            let why = "its structures contradict each other so far that the reader gave up".to_owned();
            Err(Loading::Io(FsError::Corrupt { partition: index, why }))
        })
    })
}

enum Loading {
    Refused(Ext4Error),
    Io(FsError),
}

fn serve(medium: &mut dyn Medium, partition: &Partition, asked: &Receiver<Wanted>) {
    let mut slice = MediumReader::new(medium, partition.start, partition.size);
    while let Ok(Wanted { off, len, answer }) = asked.recv() {
        let fits = off.checked_add(len as u64).is_some_and(|end| end <= slice.size());
        let bytes = if fits {
            let mut bytes = vec![0; len];
            slice.read_at(off, &mut bytes).map(|()| bytes).map_err(|error| error.to_string())
        } else {
            Err(format!("bytes {off}+{len} lie beyond the partition's {} bytes", slice.size()))
        };
        // The asker is gone only when it panicked, which its join shows.
        let _ = answer.send(bytes);
    }
}

/// With the journal, else without it.
fn open<T: Send>(
    medium: &mut dyn Medium,
    partition: &Partition,
    work: impl Fn(&Ext4, Replay) -> Result<T, FsError> + Send + Sync,
) -> Result<T, FsError> {
    let dirty = partition.fs.as_ref().is_some_and(|fs| fs.needs_recovery);
    let replay = if dirty { Replay::Replayed } else { Replay::Clean };
    let refused = match with(medium, partition, false, |fs| work(fs, replay)) {
        Ok(done) => return done,
        Err(Loading::Io(error)) => return Err(error),
        Err(Loading::Refused(error)) => error,
    };
    let why = refused.to_string();
    let retry = with(medium, partition, true, |fs| work(fs, Replay::Skipped { why: why.clone() }));
    match retry {
        Ok(done) => done,
        Err(Loading::Io(error)) => Err(error),
        Err(Loading::Refused(_)) => Err(failed(partition, "/", &refused)),
    }
}

fn failed(partition: &Partition, path: &str, error: &Ext4Error) -> FsError {
    let partition = partition.index;
    let wrong = |expected| FsError::WrongKind { partition, path: path.to_owned(), expected };
    match error {
        Ext4Error::NotFound => FsError::NotFound { partition, path: path.to_owned() },
        Ext4Error::IsADirectory | Ext4Error::IsASpecialFile => wrong("a file"),
        Ext4Error::NotADirectory => wrong("a directory"),
        Ext4Error::Io(error) => FsError::Io { partition, why: error.to_string() },
        Ext4Error::Incompatible(why) => FsError::Unsupported {
            partition,
            expected: "an ext file system whose features are known",
            got: why.to_string(),
        },
        error => FsError::Corrupt { partition, why: error.to_string() },
    }
}

pub(super) fn read(
    medium: &mut dyn Medium,
    partition: &Partition,
    path: &str,
    max: u64,
) -> Result<FileRead, FsError> {
    open(medium, partition, |fs, replay| {
        let (bytes, size) = contents(fs, path, max).map_err(|error| failed(partition, path, &error))?;
        Ok(FileRead { bytes, size, replay })
    })
}

fn contents(fs: &Ext4, path: &str, max: u64) -> Result<(Vec<u8>, u64), Ext4Error> {
    let mut file = fs.open(path)?;
    let size = file.metadata().len();
    let mut bytes = vec![0; size.min(max) as usize];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_bytes(&mut bytes[filled..])? {
            0 => break,
            got => filled += got,
        }
    }
    bytes.truncate(filled);
    Ok((bytes, size))
}

pub(super) fn tree(
    medium: &mut dyn Medium,
    partition: &Partition,
    path: &str,
    limits: TreeLimits,
) -> Result<Tree, FsError> {
    open(medium, partition, |fs, replay| {
        let mut found = Collector::new(limits);
        // A damaged directory below must not hide its siblings; a damaged top is an error.
        fs.read_dir(path).map_err(|error| failed(partition, path, &error))?;
        walk(fs, path, &mut found);
        Ok(found.finish(replay))
    })
}

fn walk(fs: &Ext4, top: &str, found: &mut Collector) {
    let mut open = vec![PathBuf::new(top)];
    while let Some(dir) = open.pop() {
        let Ok(entries) = fs.read_dir(&dir) else {
            found.cut = true;
            continue;
        };
        for entry in entries {
            let Ok(entry) = entry else {
                found.cut = true;
                break;
            };
            if matches!(entry.file_name().as_ref(), b"." | b"..") {
                continue;
            }
            let path = entry.path();
            let kind = match entry.file_type() {
                Ok(FileType::Directory) => EntryKind::Directory,
                Ok(FileType::Regular) => EntryKind::File,
                Ok(FileType::Symlink) => EntryKind::Symlink,
                _ => EntryKind::Special,
            };
            let size = fs.symlink_metadata(&path).map_or(0, |about| about.len());
            let read = || {
                let file = path.to_str().map_err(|_| "its name is no UTF-8".to_owned())?;
                contents(fs, file, u64::MAX).map(|(bytes, _)| bytes).map_err(|error| error.to_string())
            };
            if !found.add(path.display().to_string(), kind, size, read) {
                return;
            }
            if kind == EntryKind::Directory {
                open.push(path);
            }
        }
    }
}
