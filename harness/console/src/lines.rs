//! The stream as lines of text, for what is judged line by line.

use std::collections::BTreeSet;

use shakedown_core::{Chunk, Mono};

use crate::clean::{Cleaner, Keep, text};

/// A line, or a piece of one that is too long.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    /// Without terminal codes and line end.
    pub(crate) bytes: Vec<u8>,
    /// When its last byte came.
    pub(crate) at: Mono,
    /// The patterns that were acted on already, when it was still growing.
    pub(crate) done: BTreeSet<usize>,
    /// It was looked at as it stands.
    pub(crate) looked: bool,
    /// The line goes on in the next piece.
    pub(crate) cut: bool,
}

impl Line {
    /// A longer line is judged in pieces of this many bytes.
    pub(crate) const LONGEST: usize = 4 << 10;
    /// Pieces of one line overlap, so that a pattern is not cut.
    const OVERLAP: usize = 256;
    /// How much of a line is shown to people.
    const SHOWN: usize = 400;

    /// For people.
    pub(crate) fn text(&self) -> String {
        let shown = text(&self.bytes, Self::SHOWN).replace(['\t', '\n'], " ");
        shown.trim().to_owned()
    }
}

/// Cuts a stream of chunks into lines. A lone carriage return ends one, too.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    cleaner: Cleaner,
    open: Line,
}

struct Cutter<'a> {
    open: &'a mut Line,
    at: Mono,
    out: &'a mut Vec<Line>,
}

impl Keep for Cutter<'_> {
    fn keep(&mut self, _: i64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let end = memchr::memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
            let room = Line::LONGEST - self.open.bytes.len();
            let taken = end.min(room);
            if taken > 0 {
                self.open.bytes.extend_from_slice(&bytes[..taken]);
                self.open.at = self.at;
                self.open.looked = false;
            }
            bytes = &bytes[taken..];
            if taken == end && !bytes.is_empty() {
                self.out.push(std::mem::take(self.open));
                bytes = &bytes[1..];
            } else if self.open.bytes.len() == Line::LONGEST && !bytes.is_empty() {
                let rest = Line {
                    bytes: self.open.bytes[Line::LONGEST - Line::OVERLAP..].to_vec(),
                    at: self.open.at,
                    done: BTreeSet::new(),
                    looked: true,
                    cut: false,
                };
                self.open.cut = true;
                self.out.push(std::mem::replace(self.open, rest));
            }
        }
    }
}

impl Lines {
    /// Adds the lines that this chunk completes.
    pub(crate) fn feed(&mut self, chunk: &Chunk, out: &mut Vec<Line>) {
        self.cleaner.feed(&chunk.bytes, &mut Cutter { open: &mut self.open, at: chunk.at, out });
    }

    /// The line that is not complete yet.
    pub(crate) fn open(&self) -> &Line {
        &self.open
    }

    /// The same, to note what was done about it.
    pub(crate) fn open_mut(&mut self) -> &mut Line {
        &mut self.open
    }
}
