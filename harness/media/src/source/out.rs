//! The sending end of a reading thread: cuts zeros out and numbers what it sends.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender};

use shakedown_core::{Extent, Sha};

use crate::digest::is_zero;
use crate::error::ImageProblem;

/// Bytes of one piece of data.
pub(super) const PIECE: usize = 1 << 20;

/// Aligned runs of zeros of this size become holes.
const BLOCK: usize = 64 << 10;

pub(super) enum Piece {
    Extent(Extent),
    End { file: Option<Sha> },
}

/// Nobody reads any more.
pub(super) struct Gone;

pub(super) struct Out {
    tx: SyncSender<Result<Piece, ImageProblem>>,
    spare: Receiver<Vec<u8>>,
    at: u64,
}

impl Out {
    pub(super) fn new(tx: SyncSender<Result<Piece, ImageProblem>>, spare: Receiver<Vec<u8>>) -> Self {
        Self { tx, spare, at: 0 }
    }

    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// A buffer that was done with, as it was, or a new one: fresh memory costs as much as hashing it.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.spare.try_recv().unwrap_or_else(|_| Vec::with_capacity(PIECE))
    }

    fn send(&self, piece: Result<Piece, ImageProblem>) -> Result<(), Gone> {
        self.tx.send(piece).map_err(|_| Gone)
    }

    pub(super) fn hole(&mut self, len: u64) -> Result<(), Gone> {
        if len > 0 {
            self.send(Ok(Piece::Extent(Extent::Hole { off: self.at, len })))?;
            self.at += len;
        }
        Ok(())
    }

    pub(super) fn data(&mut self, bytes: Vec<u8>) -> Result<(), Gone> {
        // Cut at multiples of BLOCK of the payload, and join equals: (zeros?, end).
        let mut runs: Vec<(bool, usize)> = Vec::new();
        let mut from = 0;
        while from < bytes.len() {
            let step = BLOCK - (self.at + from as u64) as usize % BLOCK;
            let to = bytes.len().min(from + step);
            let zeros = to - from == BLOCK && is_zero(&bytes[from..to]);
            match runs.last_mut() {
                Some((same, end)) if *same == zeros => *end = to,
                _ => runs.push((zeros, to)),
            }
            from = to;
        }
        if let [(false, _)] = runs.as_slice() {
            return self.plain(bytes);
        }
        let mut from = 0;
        for (zeros, to) in runs {
            if zeros {
                self.hole((to - from) as u64)?;
            } else {
                self.plain(bytes[from..to].to_vec())?;
            }
            from = to;
        }
        Ok(())
    }

    fn plain(&mut self, bytes: Vec<u8>) -> Result<(), Gone> {
        let len = bytes.len() as u64;
        self.send(Ok(Piece::Extent(Extent::Data { off: self.at, bytes })))?;
        self.at += len;
        Ok(())
    }

    /// Sends all that a decoder yields.
    pub(super) fn pump(&mut self, from: &mut impl Read) -> Result<(), Pumped> {
        loop {
            let mut bytes = self.buffer();
            bytes.clear();
            from.by_ref().take(PIECE as u64).read_to_end(&mut bytes).map_err(Pumped::Read)?;
            if bytes.is_empty() {
                return Ok(());
            }
            self.data(bytes).map_err(|Gone| Pumped::Gone)?;
        }
    }

    /// The last word.
    pub(super) fn end(self, end: Result<Option<Sha>, Stop>) {
        let piece = match end {
            Ok(file) => Ok(Piece::End { file }),
            Err(Stop::Bad(problem)) => Err(problem),
            Err(Stop::Gone) => return,
        };
        // If nobody listens any more, nobody needs it.
        let _ = self.send(piece);
    }
}

/// Why pumping stopped early.
pub(super) enum Pumped {
    Read(io::Error),
    Gone,
}

/// Why a reading thread stopped early.
pub(super) enum Stop {
    Bad(ImageProblem),
    Gone,
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<ImageProblem> for Stop {
    fn from(problem: ImageProblem) -> Self {
        Self::Bad(problem)
    }
}
