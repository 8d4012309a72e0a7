//! A regular file as a medium: QEMU's disks, and images that are made ready before a run.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::ahead::Ahead;
use rustix::fs::{Advice, FallocateFlags, FlockOperation, OFlags, SeekFrom};
use shakedown_core::{Fault, InfraKind, Medium, MediumId, Rig};

/// Reads of this size and more belong to a read of much of the file.
const LARGE: usize = 256 << 10;

/// A regular file, held exclusively (`flock`) while it is open.
#[derive(Debug)]
pub struct FileMedium {
    file: File,
    path: PathBuf,
    id: MediumId,
    read_only: bool,
    ahead: Ahead,
}

impl FileMedium {
    /// Makes the file, or makes an existing one so large; new parts read as zeros and take no space.
    pub fn create(path: &Path, size: u64) -> Rig<Self> {
        let mut medium = Self::open_with(path, OpenOptions::new().read(true).write(true).create(true))?;
        medium.resize(size)?;
        Ok(medium)
    }

    /// Opens an existing file for reading and writing; its size is the medium's size.
    pub fn open(path: &Path) -> Rig<Self> {
        Self::open_with(path, OpenOptions::new().read(true).write(true))
    }

    /// Opens an existing file for reading, shared with other readers; writing is refused.
    pub fn open_read_only(path: &Path) -> Rig<Self> {
        Self::open_with(path, OpenOptions::new().read(true))
    }

    fn open_with(path: &Path, options: &OpenOptions) -> Rig<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let fault = |op: &str| Fault::new(InfraKind::Medium, "file", op, path.display().to_string());
        let mut options = options.clone();
        // Opening a fifo or a tape must not hang or act before it is refused below.
        options.custom_flags(OFlags::NONBLOCK.union(OFlags::NOCTTY).bits().cast_signed());
        let file = options.open(path).map_err(|error| fault("open").because(&error))?;
        let about = file.metadata().map_err(|error| fault("examine").because(&error))?;
        if !about.is_file() {
            return Err(fault("open")
                .expected("a regular file", kind_of(&about))
                .hint("name a path for a disk file; block devices are opened by the rig's storage drivers"));
        }
        let writable = rustix::fs::fcntl_getfl(&file).is_ok_and(|flags| flags.contains(OFlags::RDWR));
        let lock = if writable {
            FlockOperation::NonBlockingLockExclusive
        } else {
            FlockOperation::NonBlockingLockShared
        };
        rustix::fs::flock(&file, lock).map_err(|errno| {
            fault("lock")
                .expected("a file that nobody else has open as a medium", "a lock held by another")
                .because(&io::Error::from(errno))
                .hint(format!("see who holds it: fuser -v {}", path.display()))
        })?;
        let id = MediumId { path: path.display().to_string(), serial: None, size: about.len() };
        Ok(Self { file, path: path.to_owned(), id, read_only: !writable, ahead: Ahead::default() })
    }

    /// Gives the file this size.
    pub fn resize(&mut self, size: u64) -> Rig<()> {
        let fault = || Fault::new(InfraKind::Medium, "file", "resize", self.path.display().to_string());
        self.file.set_len(size).map_err(|error| fault().because(&error))?;
        let got = self.file.metadata().map_err(|error| fault().because(&error))?.len();
        if got != size {
            return Err(fault().expected(format!("{size} bytes"), format!("{got} bytes")));
        }
        self.id.size = size;
        Ok(())
    }

    /// Bytes that the file takes on its file system; less than its size when it has holes.
    pub fn allocated(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.blocks() * 512)
    }
}

impl Drop for FileMedium {
    fn drop(&mut self) {
        // Closing would do, but for a process that was forked a moment ago and has not become
        // another program yet: it has the file open, too, and with it the lock.
        let _closed_next = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

fn kind_of(about: &std::fs::Metadata) -> &'static str {
    let kind = about.file_type();
    match () {
        () if kind.is_dir() => "a directory",
        () if kind.is_block_device() => "a block device",
        () if kind.is_char_device() => "a character device",
        () if kind.is_fifo() => "a fifo",
        () if kind.is_socket() => "a socket",
        () => "something else",
    }
}

impl Medium for FileMedium {
    fn identity(&self) -> &MediumId {
        &self.id
    }

    fn read_at(&mut self, off: u64, buf: &mut [u8]) -> io::Result<()> {
        self.id.within(off, buf.len() as u64)?;
        if buf.len() >= LARGE {
            let end = rustix::fs::seek(&self.file, SeekFrom::Hole(off)).unwrap_or(off);
            self.ahead.reading(&self.file, off, end.max(off));
        }
        self.file.read_exact_at(buf, off)
    }

    fn write_at(&mut self, off: u64, buf: &[u8]) -> io::Result<()> {
        self.id.within(off, buf.len() as u64)?;
        self.file.write_all_at(buf, off)
    }

    fn zero(&mut self, off: u64, len: u64) -> io::Result<()> {
        self.id.within(off, len)?;
        if len == 0 || self.known_zero(off, len)? {
            return Ok(());
        }
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.file, punch, off, len) {
            Err(rustix::io::Errno::OPNOTSUPP) => self.write_zeros(off, len),
            done => Ok(done?),
        }
    }

    fn known_zero(&mut self, off: u64, len: u64) -> io::Result<bool> {
        match rustix::fs::seek(&self.file, SeekFrom::Data(off)) {
            Ok(data) => Ok(data >= off.saturating_add(len)),
            Err(rustix::io::Errno::NXIO) => Ok(true),
            // A file system without holes knows nothing.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    fn barrier(&mut self) -> io::Result<()> {
        if !self.read_only {
            rustix::fs::fdatasync(&self.file)?;
        }
        // Clean pages go, so that what is read next has been through the file system.
        rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed)?;
        self.ahead.forget();
        Ok(())
    }
}

impl FileMedium {
    fn write_zeros(&self, off: u64, len: u64) -> io::Result<()> {
        let zeros = vec![0; 1 << 20];
        let mut done = 0;
        while done < len {
            let part = (len - done).min(zeros.len() as u64);
            self.file.write_all_at(&zeros[..part as usize], off + done)?;
            done += part;
        }
        Ok(())
    }
}
