//! A medium in memory that keeps only what was written to it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use shakedown_core::{Medium, MediumId};

const CHUNK: u64 = 4096;
/// As large as a usual card; what was not written takes no room.
const SIZE: u64 = 32 << 30;

/// What lies on a medium, and how often an image was written to it.
#[derive(Default)]
pub(crate) struct Content {
    chunks: BTreeMap<u64, Box<[u8]>>,
    /// Writes of its first bytes: one for each image.
    pub(crate) images: u32,
}

/// A way to it.
pub(crate) struct Memory {
    id: MediumId,
    content: Arc<Mutex<Content>>,
    began: bool,
}

impl Memory {
    pub(crate) fn new(slot: &str, content: Arc<Mutex<Content>>) -> Self {
        let id = MediumId { path: format!("simulated:{slot}"), serial: None, size: SIZE };
        Self { id, content, began: false }
    }

    fn check(off: u64, len: usize) -> io::Result<()> {
        let end = off.checked_add(len as u64).filter(|end| *end <= SIZE);
        end.map(drop)
            .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "past the end of the medium"))
    }
}

/// The parts of a range, each within one chunk: which, where in it, how long.
fn parts(off: u64, len: u64) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut at = off;
    std::iter::from_fn(move || {
        let within = at % CHUNK;
        let part = (CHUNK - within).min(off + len - at);
        let found = (part > 0).then_some((at / CHUNK, within as usize, part as usize));
        at += part;
        found
    })
}

impl Medium for Memory {
    fn identity(&self) -> &MediumId {
        &self.id
    }

    fn read_at(&mut self, off: u64, buf: &mut [u8]) -> io::Result<()> {
        Self::check(off, buf.len())?;
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let mut done = 0;
        for (chunk, at, len) in parts(off, buf.len() as u64) {
            match content.chunks.get(&chunk) {
                Some(bytes) => buf[done..done + len].copy_from_slice(&bytes[at..at + len]),
                None => buf[done..done + len].fill(0),
            }
            done += len;
        }
        Ok(())
    }

    fn write_at(&mut self, off: u64, buf: &[u8]) -> io::Result<()> {
        Self::check(off, buf.len())?;
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        if off == 0 && !std::mem::replace(&mut self.began, true) {
            content.images += 1;
        }
        let mut done = 0;
        for (chunk, at, len) in parts(off, buf.len() as u64) {
            let bytes = content.chunks.entry(chunk).or_insert_with(|| vec![0; CHUNK as usize].into());
            bytes[at..at + len].copy_from_slice(&buf[done..done + len]);
            done += len;
        }
        Ok(())
    }

    fn zero(&mut self, off: u64, len: u64) -> io::Result<()> {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let first = off.div_ceil(CHUNK);
        let last = (off + len) / CHUNK;
        if first < last {
            let gone: Vec<_> = content.chunks.range(first..last).map(|(chunk, _)| *chunk).collect();
            for chunk in gone {
                content.chunks.remove(&chunk);
            }
        }
        let head = if first > last { off..off + len } else { off..first * CHUNK };
        let tail = if first > last { 0..0 } else { last * CHUNK..off + len };
        for range in [head, tail] {
            for (chunk, at, len) in parts(range.start, range.end - range.start) {
                if let Some(bytes) = content.chunks.get_mut(&chunk) {
                    bytes[at..at + len].fill(0);
                }
            }
        }
        Ok(())
    }

    fn known_zero(&mut self, off: u64, len: u64) -> io::Result<bool> {
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(content.chunks.range(off / CHUNK..(off + len).div_ceil(CHUNK)).next().is_none())
    }

    fn barrier(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_was_written_and_zeroed_across_chunks() {
        let mut medium = Memory::new("a", Arc::default());
        let mut plain = vec![0_u8; 40_000];
        for (off, len, byte) in [
            (0, 9000, 1),
            (4000, 200, 2),
            (8190, 4, 0),
            (100, 30_000, 3),
            (4096, 8192, 0),
            (5, 1, 0),
            (29_000, 2, 0),
        ] {
            if byte == 0 {
                medium.zero(off, len).unwrap();
            } else {
                medium.write_at(off, &vec![byte; len as usize]).unwrap();
            }
            plain[off as usize..(off + len) as usize].fill(byte);
            let mut read = vec![9; plain.len()];
            medium.read_at(0, &mut read).unwrap();
            assert!(read == plain, "after {len} bytes of {byte} at {off}");
        }
        assert!(!medium.known_zero(0, 9000).unwrap() && medium.known_zero(1 << 20, 1 << 30).unwrap());
        assert!(medium.write_at(SIZE - 1, &[1, 1]).is_err());
        assert_eq!(medium.content.lock().unwrap().images, 1);
    }
}
