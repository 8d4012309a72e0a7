//! The last cleaned bytes of a stream, and where and when they came.

use std::collections::VecDeque;

use shakedown_core::{Chunk, Mono};

use crate::clean::{Cleaner, Keep};

/// A run of cleaned bytes that were neighbours in the log and came in one chunk.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Index of the first cleaned byte, counted over the whole stream.
    clean: u64,
    /// Its offset in the log.
    raw: u64,
    at: Mono,
}

/// Cleaned bytes from `base` on. Indices are counted over the whole stream.
#[derive(Debug, Default)]
pub(crate) struct Window {
    bytes: Vec<u8>,
    base: u64,
    runs: VecDeque<Run>,
    cleaner: Cleaner,
    /// When the carriage return came that the cleaner may be holding back.
    held_at: Mono,
}

struct Adder<'a> {
    bytes: &'a mut Vec<u8>,
    base: u64,
    runs: &'a mut VecDeque<Run>,
    off: u64,
    at: Mono,
    held_at: Mono,
}

impl Keep for Adder<'_> {
    fn keep(&mut self, index: i64, bytes: &[u8]) {
        let clean = self.base + self.bytes.len() as u64;
        let raw = self.off.saturating_add_signed(index);
        let at = if index < 0 { self.held_at } else { self.at };
        let follows = |run: &Run| run.at == at && raw - run.raw == clean - run.clean;
        if !self.runs.back().is_some_and(follows) {
            self.runs.push_back(Run { clean, raw, at });
        }
        self.bytes.extend_from_slice(bytes);
    }
}

impl Window {
    /// Adds raw bytes that follow the ones before.
    pub(crate) fn add(&mut self, off: u64, at: Mono, raw: &[u8]) {
        let Self { bytes, base, runs, cleaner, held_at } = self;
        cleaner.feed(raw, &mut Adder { bytes, base: *base, runs, off, at, held_at: *held_at });
        if cleaner.holds_from(raw) {
            *held_at = at;
        }
    }

    /// What is kept.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The index of the first kept byte.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// The cleaned bytes between two indices, both within the window.
    pub(crate) fn slice(&self, from: u64, to: u64) -> &[u8] {
        &self.bytes[(from - self.base) as usize..(to - self.base) as usize]
    }

    /// Offset in the log and time of the byte with this index.
    pub(crate) fn origin(&self, index: u64) -> (u64, Mono) {
        let after = self.runs.partition_point(|run| run.clean <= index);
        let run = &self.runs[after - 1];
        (run.raw + (index - run.clean), run.at)
    }

    /// Forgets what is before `index`, now and then (so that the cost stays linear).
    pub(crate) fn forget_before(&mut self, index: u64, slack: usize) {
        let drop = index.saturating_sub(self.base) as usize;
        if drop < slack {
            return;
        }
        self.bytes.drain(..drop);
        self.base += drop as u64;
        let stale = self.runs.partition_point(|run| run.clean <= self.base).saturating_sub(1);
        self.runs.drain(..stale);
    }

    /// Forgets what is from `index` on: the stream will be fed again from there.
    pub(crate) fn rewind(&mut self, index: u64) {
        self.bytes.truncate((index - self.base) as usize);
        let kept = self.runs.partition_point(|run| run.clean < index);
        self.runs.truncate(kept);
        self.cleaner = Cleaner::default();
    }

    /// Memory in use, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity() + self.runs.capacity() * size_of::<Run>()
    }
}

/// The part of a chunk that lies at or after `from`.
pub(crate) fn unseen(chunk: &Chunk, from: u64) -> &[u8] {
    let skip = from.saturating_sub(chunk.off).min(chunk.bytes.len() as u64);
    &chunk.bytes[skip as usize..]
}
