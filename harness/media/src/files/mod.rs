//! Files off a medium's partitions, without mounting: FAT and ext.

mod ext;
pub(crate) mod fat;

use std::io;

use serde::Serialize;
use shakedown_core::Medium;

use crate::layout::{Fs, NoPartition, Partition, Select, TableError, read_layout};

/// Why a file could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FsError {
    /// No partition table that can be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Not exactly one partition fits.
    #[error(transparent)]
    NoPartition(#[from] NoPartition),
    /// A file system that is not read here.
    #[error("partition {partition}: expected {expected}, got {got}")]
    Unsupported {
        /// The partition's number.
        partition: u32,
        /// What could be read or written.
        expected: &'static str,
        /// What is there.
        got: String,
    },
    /// No such file or directory.
    #[error("partition {partition}: {path} does not exist")]
    NotFound {
        /// The partition's number.
        partition: u32,
        /// The path.
        path: String,
    },
    /// Something else is at this path.
    #[error("partition {partition}: {path}: expected {expected}")]
    WrongKind {
        /// The partition's number.
        partition: u32,
        /// The path.
        path: String,
        /// `a file`, `a directory`.
        expected: &'static str,
    },
    /// The file system contradicts itself.
    #[error("partition {partition}: the file system is corrupt: {why}")]
    Corrupt {
        /// The partition's number.
        partition: u32,
        /// The reader's words.
        why: String,
    },
    /// The medium gave an error.
    #[error("partition {partition}: {why}")]
    Io {
        /// The partition's number.
        partition: u32,
        /// The system's words.
        why: String,
    },
}

/// What was done about the journal of a file system that was not unmounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replay {
    /// There was nothing to replay.
    Clean,
    /// Committed writes were read from the journal, as a mount would have put them in place. The medium is as it was.
    Replayed,
    /// The journal is broken: what was read may be older than what was written last.
    Skipped {
        /// What is wrong with it.
        why: String,
    },
}

/// A file, or its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRead {
    /// At most as many as were asked for.
    pub bytes: Vec<u8>,
    /// Bytes of the whole file.
    pub size: u64,
    /// How the file system was read.
    pub replay: Replay,
}

/// How much [`read_tree`] fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeLimits {
    /// Entries in all; what is beyond is left out, and said so.
    pub entries: usize,
    /// Larger files are listed without their bytes.
    pub file: u64,
    /// Bytes of all files together.
    pub total: u64,
}

impl Default for TreeLimits {
    fn default() -> Self {
        Self { entries: 10_000, file: 16 << 20, total: 64 << 20 }
    }
}

/// What kind of thing lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; not followed.
    Symlink,
    /// A device, fifo or socket.
    Special,
}

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// From the root of the file system: `/var/log/syslog`. Bytes that are no UTF-8 are replaced.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of a file.
    pub size: u64,
    /// The contents of a file within the limits; the reason where it could not be read.
    pub bytes: Option<Result<Vec<u8>, String>>,
}

/// A directory with all that is below it, parents before children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The entries, without the directory itself.
    pub entries: Vec<TreeEntry>,
    /// Whether the limits left something out.
    pub cut: bool,
    /// How the file system was read.
    pub replay: Replay,
}

/// Reads at most `max` bytes of a file. Symbolic links within the file system are followed.
pub fn read_file(medium: &mut dyn Medium, which: &Select, path: &str, max: u64) -> Result<FileRead, FsError> {
    let partition = select(medium, which)?;
    read_in(medium, &partition, path, max)
}

/// Reads a directory with all that is below it.
pub fn read_tree(
    medium: &mut dyn Medium,
    which: &Select,
    path: &str,
    limits: TreeLimits,
) -> Result<Tree, FsError> {
    let partition = select(medium, which)?;
    let path = normal(path);
    match fs_of(&partition, "FAT or ext")? {
        fs if fs.kind.is_fat() => isolated(partition.index, || fat::tree(medium, &partition, &path, limits))?,
        _ => ext::tree(medium, &partition, &path, limits),
    }
}

pub(crate) fn read_in(
    medium: &mut dyn Medium,
    partition: &Partition,
    path: &str,
    max: u64,
) -> Result<FileRead, FsError> {
    let path = normal(path);
    match fs_of(partition, "FAT or ext")? {
        fs if fs.kind.is_fat() => isolated(partition.index, || fat::read(medium, partition, &path, max))?,
        _ => ext::read(medium, partition, &path, max),
    }
}

pub(crate) fn select(medium: &mut dyn Medium, which: &Select) -> Result<Partition, FsError> {
    Ok(read_layout(medium)?.select(which)?.clone())
}

pub(crate) fn fs_of<'a>(partition: &'a Partition, expected: &'static str) -> Result<&'a Fs, FsError> {
    let fs = partition.fs.as_ref().filter(|fs| fs.kind.is_fat() || fs.kind.is_ext());
    fs.ok_or_else(|| FsError::Unsupported {
        partition: partition.index,
        expected,
        got: partition.fs.as_ref().map_or("nothing known".to_owned(), |fs| fs.kind.to_string()),
    })
}

/// `a//b/` is `/a/b`.
fn normal(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    format!("/{}", parts.join("/"))
}

/// Runs file system code on a thread of its own: the crates that read file systems
/// assert what a healthy one guarantees, and a dead board's is not healthy.
pub(crate) fn isolated<T: Send>(partition: u32, work: impl FnOnce() -> T + Send) -> Result<T, FsError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("fs-read".to_owned())
            .spawn_scoped(scope, work)
            .map_err(|error| io(partition, &error))?;
        thread.join().map_err(|_| FsError::Corrupt {
            partition,
            why: "its structures contradict each other so far that the reader gave up".to_owned(),
        })
    })
}

pub(crate) fn io(partition: u32, error: &io::Error) -> FsError {
    FsError::Io { partition, why: error.to_string() }
}

/// Files of a tree within the limits.
struct Collector {
    limits: TreeLimits,
    entries: Vec<TreeEntry>,
    total: u64,
    cut: bool,
}

impl Collector {
    fn new(limits: TreeLimits) -> Self {
        Self { limits, entries: Vec::new(), total: 0, cut: false }
    }

    /// Adds an entry; `false` when there is no room for more.
    fn add(
        &mut self,
        path: String,
        kind: EntryKind,
        size: u64,
        read: impl FnOnce() -> Result<Vec<u8>, String>,
    ) -> bool {
        if self.entries.len() >= self.limits.entries {
            self.cut = true;
            return false;
        }
        let fits = size <= self.limits.file && self.total + size <= self.limits.total;
        let bytes = match kind {
            EntryKind::File if fits => {
                self.total += size;
                Some(read())
            }
            EntryKind::File => {
                self.cut = true;
                None
            }
            _ => None,
        };
        self.entries.push(TreeEntry { path, kind, size, bytes });
        true
    }

    fn finish(self, replay: Replay) -> Tree {
        Tree { entries: self.entries, cut: self.cut, replay }
    }
}
