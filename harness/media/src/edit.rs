//! Edits of a boot partition that is not mounted: config.json and other files.

use serde::Serialize;
use shakedown_core::{Medium, MediumId, Sha};

use crate::files::fat::{self, failed, read_from, write_to};
use crate::files::{FsError, io, isolated, select};
use crate::json::{self, Change, JsonError};
use crate::layout::{Partition, Select};

/// A boot partition's documents are small; a larger one is something else.
const MAX: u64 = 4 << 20;

/// Why an edit was not done, or not proven.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The partition or its file system.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The file is no UTF-8, or too large to be what it should be.
    #[error("{path}: expected a JSON document, got {got}")]
    NotText {
        /// The path on the partition.
        path: String,
        /// What it is instead.
        got: String,
    },
    /// The file is not JSON, or cannot take the keys.
    #[error("{path}: {error}")]
    Json {
        /// The path on the partition.
        path: String,
        /// What is wrong, and where.
        error: JsonError,
    },
    /// The partition is full.
    #[error("{path}: expected {needed} free bytes on the partition, got {free}")]
    NoRoom {
        /// The path on the partition.
        path: String,
        /// What the new file takes.
        needed: u64,
        /// What is free.
        free: u64,
    },
    /// What was read back is not what was written.
    #[error("{path}: expected to read back {expected}, got {got}")]
    NotHeld {
        /// The path on the partition.
        path: String,
        /// The hash of what was written.
        expected: Sha,
        /// The hash of what was read.
        got: Sha,
    },
}

/// Proof that a file on a boot partition holds what was put there: it was read back after a barrier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Placed {
    medium: MediumId,
    partition: u32,
    path: String,
    bytes: u64,
    before: Option<Sha>,
    read_back: Sha,
    changes: Vec<Change>,
}

impl Placed {
    /// The medium.
    pub fn medium(&self) -> &MediumId {
        &self.medium
    }

    /// The partition's number.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// The path on the partition.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The hash of what was there.
    pub fn before(&self) -> Option<Sha> {
        self.before
    }

    /// The hash of what was read back; equal to that of what was written.
    pub fn read_back(&self) -> Sha {
        self.read_back
    }

    /// The keys that were set; empty for [`put_boot_file`].
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }
}

/// Sets dotted keys of a JSON document on a FAT partition, each to a JSON text.
///
/// The other keys keep their text and their order. A document that is missing is made; its directory is not.
pub fn edit_config(
    medium: &mut dyn Medium,
    which: &Select,
    path: &str,
    keys: &[(&str, &str)],
) -> Result<Placed, EditError> {
    let partition = fat_partition(medium, which)?;
    let old = current(medium, &partition, path)?;
    let text = match &old {
        None => "{\n}\n".to_owned(),
        Some((_, size)) if *size > MAX => {
            return Err(EditError::NotText { path: path.to_owned(), got: format!("{size} bytes") });
        }
        Some((bytes, _)) => String::from_utf8(bytes.clone()).map_err(|error| EditError::NotText {
            path: path.to_owned(),
            got: format!("bytes that are no UTF-8 from byte {}", error.utf8_error().valid_up_to()),
        })?,
    };
    let json = |error| EditError::Json { path: path.to_owned(), error };
    let (text, changes) = json::set(&text, keys).map_err(json)?;
    let (mut placed, read) = put(medium, &partition, path, text.as_bytes(), old)?;
    // Beyond equal bytes: each key, as a reader of the document finds it.
    if let Some(key) = json::missing(&String::from_utf8_lossy(&read), &changes) {
        let got = "another value in the document that was read back".to_owned();
        return Err(json(JsonError::Value { key, got }));
    }
    placed.changes = changes;
    Ok(placed)
}

/// Puts a file on a FAT partition. Its directory must be there: none is made.
pub fn put_boot_file(
    medium: &mut dyn Medium,
    which: &Select,
    path: &str,
    bytes: &[u8],
) -> Result<Placed, EditError> {
    let partition = fat_partition(medium, which)?;
    let old = current(medium, &partition, path)?;
    put(medium, &partition, path, bytes, old).map(|(placed, _)| placed)
}

fn fat_partition(medium: &mut dyn Medium, which: &Select) -> Result<Partition, EditError> {
    let partition = select(medium, which)?;
    match &partition.fs {
        Some(fs) if fs.kind.is_fat() => Ok(partition),
        other => Err(EditError::Fs(FsError::Unsupported {
            partition: partition.index,
            expected: "a FAT file system",
            got: other.as_ref().map_or("nothing known".to_owned(), |fs| fs.kind.to_string()),
        })),
    }
}

/// What is there now: its first bytes and its size.
fn current(
    medium: &mut dyn Medium,
    partition: &Partition,
    path: &str,
) -> Result<Option<(Vec<u8>, u64)>, FsError> {
    isolated(partition.index, || {
        let volume = fat::open(medium, partition)?;
        match read_from(&volume, path, MAX) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(partition, path, &error)),
        }
    })?
}

fn put(
    medium: &mut dyn Medium,
    partition: &Partition,
    path: &str,
    bytes: &[u8],
    old: Option<(Vec<u8>, u64)>,
) -> Result<(Placed, Vec<u8>), EditError> {
    let written: Result<(), EditError> = isolated(partition.index, || {
        let volume = fat::open(medium, partition)?;
        let wrap = |error: &std::io::Error| EditError::from(failed(partition, path, error));
        let stats = volume.stats().map_err(|error| wrap(&error))?;
        let cluster = u64::from(stats.cluster_size());
        let room = |size: u64| size.div_ceil(cluster) * cluster;
        let freed = old.as_ref().map_or(0, |(_, size)| room(*size));
        let free = u64::from(stats.free_clusters()) * cluster + freed;
        // Checked first: a write that fails half way would leave the document cut. Two clusters for a longer directory.
        let needed = room(bytes.len() as u64) + 2 * cluster;
        if needed > free {
            return Err(EditError::NoRoom { path: path.to_owned(), needed, free });
        }
        write_to(&volume, path, bytes).map_err(|error| wrap(&error))?;
        volume.unmount().map_err(|error| wrap(&error))
    })?;
    written?;
    medium.barrier().map_err(|error| io(partition.index, &error))?;
    let read = isolated(partition.index, || {
        let volume = fat::open(medium, partition)?;
        let read = read_from(&volume, path, bytes.len() as u64 + 1);
        read.map_err(|error| failed(partition, path, &error))
    })??;
    let (expected, got) = (Sha::of(bytes), Sha::of(&read.0));
    if expected != got || read.1 != bytes.len() as u64 {
        return Err(EditError::NotHeld { path: path.to_owned(), expected, got });
    }
    let placed = Placed {
        medium: medium.identity().clone(),
        partition: partition.index,
        path: path.to_owned(),
        bytes: read.1,
        before: old.map(|(bytes, _)| Sha::of(&bytes)),
        read_back: got,
        changes: Vec::new(),
    };
    Ok((placed, read.0))
}
