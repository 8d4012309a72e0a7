//! FAT through the fatfs crate.

use std::io::{self, Read, Seek, SeekFrom, Write};

use fatfs::{Dir, FileSystem, FsOptions};
use shakedown_core::Medium;

use super::{Collector, EntryKind, FileRead, FsError, Replay, Tree, TreeLimits};
use crate::layout::Partition;
use crate::slice::MediumReader;

/// No directory of ours is deeper; a loop of clusters may claim to be.
const MAX_DEPTH: usize = 40;

pub(crate) type Volume<'a> = FileSystem<MediumReader<'a>>;

/// Opens the file system in a partition.
pub(crate) fn open<'a>(medium: &'a mut dyn Medium, partition: &Partition) -> Result<Volume<'a>, FsError> {
    let slice = MediumReader::new(medium, partition.start, partition.size);
    let options = FsOptions::new().update_accessed_date(false);
    FileSystem::new(slice, options).map_err(|error| corrupt(partition, &error))
}

fn corrupt(partition: &Partition, error: &io::Error) -> FsError {
    if error.raw_os_error().is_some() {
        return super::io(partition.index, error);
    }
    FsError::Corrupt { partition: partition.index, why: error.to_string() }
}

pub(crate) fn failed(partition: &Partition, path: &str, error: &io::Error) -> FsError {
    match error.kind() {
        io::ErrorKind::NotFound => FsError::NotFound { partition: partition.index, path: path.to_owned() },
        // fatfs says so when a file is asked for and a directory is there, and the other way round.
        io::ErrorKind::Other if error.to_string().contains("Is a directory") => {
            FsError::WrongKind { partition: partition.index, path: path.to_owned(), expected: "a file" }
        }
        io::ErrorKind::Other if error.to_string().contains("Not a directory") => {
            FsError::WrongKind { partition: partition.index, path: path.to_owned(), expected: "a directory" }
        }
        _ => corrupt(partition, error),
    }
}

fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

pub(super) fn read(
    medium: &mut dyn Medium,
    partition: &Partition,
    path: &str,
    max: u64,
) -> Result<FileRead, FsError> {
    let volume = open(medium, partition)?;
    let found = read_from(&volume, path, max).map_err(|error| failed(partition, path, &error))?;
    Ok(FileRead { bytes: found.0, size: found.1, replay: Replay::Clean })
}

/// At most `max` bytes of a file, and its size.
pub(crate) fn read_from(volume: &Volume<'_>, path: &str, max: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut file = volume.root_dir().open_file(relative(path))?;
    let size = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < size.min(max) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the cluster chain of {path} ends after {} of {size} bytes", bytes.len()),
        ));
    }
    Ok((bytes, size))
}

/// Writes a file anew. Its directory must be there: those that fatfs 0.3 makes have long
/// names for `.` and `..`, which fsck.vfat mends.
pub(crate) fn write_to(volume: &Volume<'_>, path: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = volume.root_dir().create_file(relative(path))?;
    file.truncate()?;
    file.write_all(bytes)?;
    file.flush()
}

pub(super) fn tree(
    medium: &mut dyn Medium,
    partition: &Partition,
    path: &str,
    limits: TreeLimits,
) -> Result<Tree, FsError> {
    let volume = open(medium, partition)?;
    let root = volume.root_dir();
    let open = if path == "/" { Ok(root) } else { root.open_dir(relative(path)) };
    let dir = open.map_err(|error| failed(partition, path, &error))?;
    let mut found = Collector::new(limits);
    walk(&volume, &dir, path.trim_end_matches('/'), 0, &mut found)
        .map_err(|error| failed(partition, path, &error))?;
    Ok(found.finish(Replay::Clean))
}

fn walk<'a>(
    volume: &Volume<'a>,
    dir: &Dir<'_, MediumReader<'a>>,
    prefix: &str,
    depth: usize,
    found: &mut Collector,
) -> io::Result<bool> {
    for entry in dir.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == "." || name == ".." {
            continue;
        }
        let path = format!("{prefix}/{name}");
        let kind = if entry.is_dir() { EntryKind::Directory } else { EntryKind::File };
        let read = || {
            let bytes = read_from(volume, &path, u64::MAX);
            bytes.map(|(bytes, _)| bytes).map_err(|error| error.to_string())
        };
        if !found.add(path.clone(), kind, entry.len(), read) {
            return Ok(false);
        }
        if entry.is_dir() && depth < MAX_DEPTH && !walk(volume, &entry.to_dir(), &path, depth + 1, found)? {
            return Ok(false);
        }
    }
    Ok(true)
}
