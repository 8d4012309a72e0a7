//! Read, compare, write: on a medium that holds most of an image already only the rest is written.
//! What it holds is read each time and never remembered.

use std::io;

use shakedown_core::Medium;

/// Read at once.
const READ: u64 = 1 << 20;
/// Compared and written at once: about what flash programs at once, and small beside what an update changes.
const PIECE: usize = 64 << 10;

/// What of an image a medium held already.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    buffer: Vec<u8>,
    /// Bytes that were found as they should be, and left alone.
    pub(crate) same: u64,
}

impl Delta {
    /// Makes the medium hold these bytes here.
    pub(crate) fn data(&mut self, medium: &mut dyn Medium, off: u64, bytes: &[u8]) -> io::Result<()> {
        for (at, wanted) in (off..).step_by(READ as usize).zip(bytes.chunks(READ as usize)) {
            self.buffer.resize(wanted.len(), 0);
            medium.read_at(at, &mut self.buffer)?;
            let mut done = 0;
            let pieces = wanted.chunks(PIECE).zip(self.buffer.chunks(PIECE));
            // Neighbours that differ are written in one go.
            for run in pieces.collect::<Vec<_>>().chunk_by(|a, b| (a.0 == a.1) == (b.0 == b.1)) {
                let len: usize = run.iter().map(|(wanted, _)| wanted.len()).sum();
                if run[0].0 == run[0].1 {
                    self.same += len as u64;
                } else {
                    medium.write_at(at + done as u64, &wanted[done..done + len])?;
                }
                done += len;
            }
        }
        Ok(())
    }

    /// Makes a range read as zeros.
    pub(crate) fn hole(&mut self, medium: &mut dyn Medium, off: u64, len: u64) -> io::Result<()> {
        if medium.known_zero(off, len)? {
            self.same += len;
            return Ok(());
        }
        let end = off + len;
        for at in (off..end).step_by(READ as usize) {
            let part = (end - at).min(READ);
            self.buffer.resize(part as usize, 0);
            medium.read_at(at, &mut self.buffer)?;
            if self.buffer.iter().all(|byte| *byte == 0) {
                self.same += part;
            } else {
                medium.zero(at, part)?;
            }
        }
        Ok(())
    }
}
