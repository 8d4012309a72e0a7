//! A block device that is written and read past every cache.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FallocateFlags, FlockOperation, OFlags};
use shakedown_core::{Fault, InfraKind, Medium, MediumId};

use super::guard::Facts;

/// The most that goes to the device at once.
const WINDOW: usize = 1 << 20;
/// Memory for direct input and output begins at a multiple of this on every device.
const ALIGN: usize = 4096;

/// An open device: nobody else has it, neither a mount nor udev's probing.
pub(crate) struct DirectMedium {
    file: File,
    id: MediumId,
    block: u64,
    buffer: Vec<u8>,
}

/// Why a device was not opened.
pub(crate) enum NotOpened {
    /// Another program has locked it: udev does for a moment, when a medium has appeared.
    Locked(Fault),
    Otherwise(Fault),
}

impl From<Fault> for NotOpened {
    fn from(fault: Fault) -> Self {
        Self::Otherwise(fault)
    }
}

impl From<NotOpened> for Fault {
    fn from(not: NotOpened) -> Self {
        match not {
            NotOpened::Locked(fault) | NotOpened::Otherwise(fault) => fault,
        }
    }
}

impl DirectMedium {
    /// Opens the node exclusively (`O_EXCL`: the kernel refuses what is mounted, swapped onto or a
    /// member of something), locked against udev, without any cache.
    pub(crate) fn open(
        node: &Path,
        driver: &'static str,
        endpoint: &str,
        facts: &Facts,
    ) -> Result<Self, NotOpened> {
        let fault = |op: &str| Fault::new(InfraKind::Storage, driver, op, endpoint);
        let flags = OFlags::EXCL | OFlags::DIRECT | OFlags::NOCTTY;
        let file =
            OpenOptions::new().read(true).write(true).custom_flags(flags.bits().cast_signed()).open(node);
        let file = file.map_err(|error| {
            let fault = fault("open").because(&error);
            match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                Some(rustix::io::Errno::BUSY) => fault
                    .expected("a device that nobody has", "one that the kernel calls busy")
                    .hint("look for a mount in another container, or another program that writes it"),
                Some(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => {
                    fault.hint("give the rig's user write access to this one device by a udev rule")
                }
                _ => fault,
            }
        })?;
        // What systemd-udevd respects: it neither probes nor changes a device that is locked so.
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| {
            let fault = fault("lock").expected("a device that nobody has locked", "a lock held by another");
            NotOpened::Locked(fault.because(&io::Error::from(errno)))
        })?;
        let about = file.metadata().map_err(|error| fault("examine").because(&error))?;
        let number = (rustix::fs::major(about.rdev()), rustix::fs::minor(about.rdev()));
        let mut end = &file;
        let size = io::Seek::seek(&mut end, io::SeekFrom::End(0));
        let size = size.map_err(|error| fault("measure").because(&error))?;
        if (number, size) != (facts.number, facts.size) {
            return Err(fault("open")
                .expected(
                    format!("device {}:{} of {} bytes", facts.number.0, facts.number.1, facts.size),
                    format!("device {}:{} of {size} bytes", number.0, number.1),
                )
                .hint("it was exchanged at this very moment: look at it again")
                .into());
        }
        let id = MediumId { path: endpoint.to_owned(), serial: facts.serial.clone(), size };
        Ok(Self { file, id, block: facts.block.max(512), buffer: vec![0; WINDOW + ALIGN] })
    }

    /// The whole blocks from `off` on that hold the next bytes, at most a window: where they begin,
    /// how long they are, and the bytes of interest in them.
    fn blocks(&self, off: u64, len: usize) -> (u64, usize, std::ops::Range<usize>) {
        let from = off - off % self.block;
        let skip = (off - from) as usize;
        let len = len.min(WINDOW - skip);
        let whole = (skip + len).next_multiple_of(self.block as usize);
        (from, whole, skip..skip + len)
    }
}

/// The part of a buffer that begins where direct input and output may begin.
fn aligned(buffer: &mut [u8], len: usize) -> &mut [u8] {
    let skip = buffer.as_ptr().align_offset(ALIGN);
    &mut buffer[skip..skip + len]
}

impl Medium for DirectMedium {
    fn identity(&self) -> &MediumId {
        &self.id
    }

    fn read_at(&mut self, off: u64, buf: &mut [u8]) -> io::Result<()> {
        self.id.within(off, buf.len() as u64)?;
        let mut done = 0;
        while done < buf.len() {
            let (from, whole, part) = self.blocks(off + done as u64, buf.len() - done);
            let window = aligned(&mut self.buffer, whole);
            self.file.read_exact_at(window, from)?;
            let len = part.len();
            buf[done..done + len].copy_from_slice(&window[part]);
            done += len;
        }
        Ok(())
    }

    fn write_at(&mut self, off: u64, buf: &[u8]) -> io::Result<()> {
        self.id.within(off, buf.len() as u64)?;
        let mut done = 0;
        while done < buf.len() {
            let (from, whole, part) = self.blocks(off + done as u64, buf.len() - done);
            let window = aligned(&mut self.buffer, whole);
            if part.len() != whole {
                // The rest of the first and of the last block stays as it is.
                self.file.read_exact_at(window, from)?;
            }
            let len = part.len();
            window[part].copy_from_slice(&buf[done..done + len]);
            self.file.write_all_at(window, from)?;
            done += len;
        }
        Ok(())
    }

    fn zero(&mut self, off: u64, len: u64) -> io::Result<()> {
        self.id.within(off, len)?;
        let (from, until) = (off.next_multiple_of(self.block), (off + len) / self.block * self.block);
        if from >= until {
            return self.write_at(off, &vec![0; len as usize]);
        }
        self.write_at(off, &vec![0; (from - off) as usize])?;
        let zeroed = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.file, zeroed, from, until - from) {
            Err(rustix::io::Errno::OPNOTSUPP) => {
                let zeros = vec![0; WINDOW];
                let mut at = from;
                while at < until {
                    let part = (until - at).min(WINDOW as u64);
                    self.write_at(at, &zeros[..part as usize])?;
                    at += part;
                }
            }
            done => done?,
        }
        self.write_at(until, &vec![0; (off + len - until) as usize])
    }

    fn barrier(&mut self) -> io::Result<()> {
        // Reads come from the device by themselves: there is no cache in between.
        Ok(rustix::fs::fsync(&self.file)?)
    }
}
