//! Hashes of a payload that is fed as data and holes, in order.
//!
//! [`ChunkMap`] makes a proven write cheap: a hash for each [`CHUNK`] of the
//! payload, with chunks of zeros known as such. Two payloads are equal exactly
//! when their maps are, and neither zeros nor order forces one core to do all.

use sha2::{Digest, Sha256};
use shakedown_core::Sha;

/// Bytes of a chunk of a [`ChunkMap`].
pub const CHUNK: u64 = 256 << 10;

static ZEROS: [u8; CHUNK as usize] = [0; CHUNK as usize];

/// What each chunk of a payload is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkMap {
    len: u64,
    chunks: Vec<Option<Sha>>,
}

impl ChunkMap {
    /// Bytes of the payload.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the payload has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes in chunks that are not all zero.
    pub fn data_bytes(&self) -> u64 {
        let whole = self.chunks.iter().filter(|chunk| chunk.is_some()).count() as u64 * CHUNK;
        let last_is_data = self.chunks.last().is_some_and(Option::is_some);
        let missing = (CHUNK - self.len % CHUNK) % CHUNK;
        whole - if last_is_data { missing } else { 0 }
    }

    /// One hash over the length and all chunk hashes.
    pub fn root(&self) -> Sha {
        let mut hash = Sha256::new();
        hash.update(b"shakedown chunk map 1\0");
        hash.update(self.len.to_le_bytes());
        for chunk in &self.chunks {
            hash.update(chunk.map_or([0; 32], |sha| sha.0));
        }
        Sha(hash.finalize().into())
    }

    /// The first chunk that differs: its offset, and what each side has there (`None`: zeros, or beyond the end).
    pub(crate) fn first_difference(&self, other: &Self) -> Option<(u64, Option<Sha>, Option<Sha>)> {
        let count = self.chunks.len().max(other.chunks.len());
        let at = |map: &Self, index: usize| map.chunks.get(index).copied().flatten();
        let found = (0..count).find(|index| self.chunks.get(*index) != other.chunks.get(*index));
        found.map(|index| (index as u64 * CHUNK, at(self, index), at(other, index)))
    }

    /// Runs of chunks that are data (`true`) or zeros, as offset and length.
    pub(crate) fn runs(&self) -> Vec<(bool, u64, u64)> {
        let mut runs: Vec<(bool, u64, u64)> = Vec::new();
        for (index, chunk) in self.chunks.iter().enumerate() {
            let off = index as u64 * CHUNK;
            let len = CHUNK.min(self.len - off);
            match runs.last_mut() {
                Some((data, _, run)) if *data == chunk.is_some() => *run += len,
                _ => runs.push((chunk.is_some(), off, len)),
            }
        }
        runs
    }
}

/// Builds a [`ChunkMap`].
#[derive(Default)]
pub(crate) struct Chunker {
    map: ChunkMap,
    hash: Sha256,
    /// Zeros at the start of the open chunk that were not hashed yet.
    zeros: u64,
    /// Whether the open chunk has a byte that is not zero.
    dirty: bool,
}

impl Chunker {
    pub(crate) fn data(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = CHUNK - self.map.len % CHUNK;
            let (part, rest) = bytes.split_at(bytes.len().min(room as usize));
            if !self.dirty && is_zero(part) {
                self.zeros += part.len() as u64;
            } else {
                self.hash.update(&ZEROS[..self.zeros as usize]);
                self.hash.update(part);
                self.zeros = 0;
                self.dirty = true;
            }
            self.advance(part.len() as u64);
            bytes = rest;
        }
    }

    pub(crate) fn hole(&mut self, mut len: u64) {
        while len > 0 {
            let part = len.min(CHUNK - self.map.len % CHUNK);
            if self.dirty {
                self.hash.update(&ZEROS[..part as usize]);
            } else {
                self.zeros += part;
            }
            self.advance(part);
            len -= part;
        }
    }

    fn advance(&mut self, by: u64) {
        self.map.len += by;
        if self.map.len.is_multiple_of(CHUNK) {
            self.close();
        }
    }

    fn close(&mut self) {
        let chunk = self.dirty.then(|| Sha(std::mem::take(&mut self.hash).finalize().into()));
        self.map.chunks.push(chunk);
        self.zeros = 0;
        self.dirty = false;
    }

    pub(crate) fn finish(mut self) -> ChunkMap {
        if !self.map.len.is_multiple_of(CHUNK) {
            self.close();
        }
        self.map
    }
}

/// The SHA-256 of a payload, as `sha256sum` of the decompressed file would say.
#[derive(Default)]
pub(crate) struct Whole(Sha256);

impl Whole {
    pub(crate) fn data(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn hole(&mut self, mut len: u64) {
        while len > 0 {
            let part = len.min(CHUNK);
            self.0.update(&ZEROS[..part as usize]);
            len -= part;
        }
    }

    pub(crate) fn finish(self) -> Sha {
        Sha(self.0.finalize().into())
    }
}

/// Whether there is nothing but zeros; compiles to wide comparisons.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(4096).all(|block| block == &ZEROS[..block.len()])
}
