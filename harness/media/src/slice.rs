//! A range of a medium as `Read + Write + Seek`, for crates that want that.

use std::io::{self, Read, Seek, SeekFrom, Write};

use shakedown_core::Medium;

/// Bytes read at once: file system crates ask for four at a time.
const BLOCK: u64 = 32 << 10;

/// A range of a medium, usually a partition.
///
/// Reads are served from one cached block; writes go through at once.
pub struct MediumReader<'a> {
    medium: &'a mut dyn Medium,
    start: u64,
    size: u64,
    at: u64,
    cached: Option<u64>,
    block: Vec<u8>,
}

impl<'a> MediumReader<'a> {
    /// The range of `size` bytes from `start`, cut where the medium ends.
    pub fn new(medium: &'a mut dyn Medium, start: u64, size: u64) -> Self {
        let size = size.min(medium.len().saturating_sub(start));
        Self { medium, start, size, at: 0, cached: None, block: Vec::new() }
    }

    /// Bytes in the range.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills `buf` from `off` of the range.
    pub fn read_at(&mut self, off: u64, buf: &mut [u8]) -> io::Result<()> {
        self.at = off;
        self.read_exact(buf)
    }

    fn load(&mut self, off: u64) -> io::Result<()> {
        if self.cached != Some(off) {
            self.cached = None;
            self.block.resize(BLOCK.min(self.size - off) as usize, 0);
            self.medium.read_at(self.start + off, &mut self.block)?;
            self.cached = Some(off);
        }
        Ok(())
    }
}

impl Read for MediumReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.size || buf.is_empty() {
            return Ok(0);
        }
        let off = self.at / BLOCK * BLOCK;
        self.load(off)?;
        let rest = &self.block[(self.at - off) as usize..];
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        self.at += len as u64;
        Ok(len)
    }
}

impl Write for MediumReader<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let room = self.size.saturating_sub(self.at);
        let len = room.min(buf.len() as u64) as usize;
        if len == 0 && !buf.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "beyond the end of the partition"));
        }
        self.cached = None;
        self.medium.write_at(self.start + self.at, &buf[..len])?;
        self.at += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for MediumReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "before the start"))?;
        Ok(self.at)
    }
}
