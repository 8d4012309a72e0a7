//! Drains a source: hashing on threads of their own, beside whatever the caller does with the parts.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use shakedown_core::{Extent, Fault, InfraKind, Sha};

use crate::bmap::BmapCheck;
use crate::digest::{ChunkMap, Chunker, Whole};
use crate::error::{ImageProblem, WriteError};
use crate::source::{End, ImageSource};

/// A part of a payload, shared between the threads.
#[derive(Clone)]
pub(crate) enum Part {
    Data(Arc<Vec<u8>>),
    Hole(u64),
}

/// Parts in flight to each thread: as many MiB at most.
pub(crate) const AHEAD: usize = 8;

/// A thread that is fed parts and has a result at the end.
pub(crate) struct Fed<'scope, T> {
    tx: SyncSender<Part>,
    thread: ScopedJoinHandle<'scope, T>,
}

impl<'scope, T: Send + 'scope> Fed<'scope, T> {
    pub(crate) fn spawn(
        scope: &'scope Scope<'scope, '_>,
        name: &str,
        work: impl FnOnce(Receiver<Part>) -> T + Send + 'scope,
    ) -> Result<Self, WriteError> {
        let (tx, rx) = sync_channel(AHEAD);
        let builder = std::thread::Builder::new().name(name.to_owned());
        let thread = builder
            .spawn_scoped(scope, move || work(rx))
            .map_err(|error| Fault::new(InfraKind::Host, "media", "start a thread", name).because(&error))?;
        Ok(Self { tx, thread })
    }

    pub(crate) fn feed(&self, part: Part) -> Result<(), WriteError> {
        self.tx.send(part).map_err(|_| died())
    }

    pub(crate) fn finish(self) -> Result<T, WriteError> {
        drop(self.tx);
        self.thread.join().map_err(|_| died())
    }
}

fn died() -> WriteError {
    let fault = Fault::new(InfraKind::Host, "media", "hash", "the payload");
    fault.expected("a hashing thread that ends with a hash", "a panic in it").into()
}

/// Hashes of a payload by chunk.
pub(crate) fn chunk_map(parts: Receiver<Part>) -> ChunkMap {
    let mut chunker = Chunker::default();
    for part in parts {
        match part {
            Part::Data(bytes) => chunker.data(&bytes),
            Part::Hole(len) => chunker.hole(len),
        }
    }
    chunker.finish()
}

/// What a source was.
pub(crate) struct Drained {
    /// Of the file.
    pub(crate) file: Sha,
    /// Of the payload.
    pub(crate) payload: Sha,
    pub(crate) map: ChunkMap,
}

/// Reads a source to its end and hands on each part in order.
///
/// A source that was identified before is compared by chunk and not hashed as a whole again.
pub(crate) fn drain(
    source: &mut ImageSource,
    mut each: impl FnMut(&ImageSource, u64, &Part) -> Result<(), WriteError>,
) -> Result<Drained, WriteError> {
    let known = source.known().cloned();
    let bmap = source.take_bmap();
    std::thread::scope(|scope| {
        let chunks = Fed::spawn(scope, "image-hash", chunk_map)?;
        let whole = match &known {
            Some(_) => None,
            None => Some(Fed::spawn(scope, "image-sha256", whole)?),
        };
        let bmap = match bmap {
            Some(bmap) => {
                Some(Fed::spawn(scope, "image-bmap", |parts| bmap_check(BmapCheck::new(bmap), parts))?)
            }
            None => None,
        };
        let mut ring: VecDeque<Arc<Vec<u8>>> = VecDeque::new();
        let mut at = 0;
        while let Some(extent) = source.pull()? {
            let (off, part, len) = match extent {
                Extent::Data { off, bytes } => {
                    let len = bytes.len() as u64;
                    (off, Part::Data(Arc::new(bytes)), len)
                }
                Extent::Hole { off, len } => (off, Part::Hole(len), len),
            };
            debug_assert_eq!(off, at, "extents come in order and without gaps");
            chunks.feed(part.clone())?;
            if let Some(whole) = &whole {
                whole.feed(part.clone())?;
            }
            if let Some(bmap) = &bmap {
                bmap.feed(part.clone())?;
            }
            each(source, off, &part)?;
            if let Part::Data(bytes) = part {
                ring.push_back(bytes);
            }
            if ring.len() > AHEAD + 2 {
                // Where a hashing thread still has it, it is freed there.
                if let Some(buffer) = ring.pop_front().and_then(Arc::into_inner) {
                    source.reuse(buffer);
                }
            }
            at = off + len;
        }
        source.check_len(at)?;
        let map = chunks.finish()?;
        if let Some(bmap) = bmap {
            bmap.finish()?.map_err(|problem| source.refuse(problem))?;
        }
        let Some(End { file }) = source.end() else { return Err(unended(source)) };
        match (whole, known) {
            (Some(whole), _) => {
                let payload = whole.finish()?;
                Ok(Drained { file: file.unwrap_or(payload), payload, map })
            }
            (None, Some(known)) => {
                known.compare(file, &map).map_err(|problem| source.refuse(problem))?;
                Ok(Drained { file: known.image().sha256, payload: known.image().payload, map })
            }
            (None, None) => Err(died()),
        }
    })
}

fn unended(source: &ImageSource) -> WriteError {
    let error = io::Error::other("the reading thread ended without its last word");
    source.refuse(ImageProblem::io("read", &error)).into()
}

fn whole(parts: Receiver<Part>) -> Sha {
    let mut whole = Whole::default();
    for part in parts {
        match part {
            Part::Data(bytes) => whole.data(&bytes),
            Part::Hole(len) => whole.hole(len),
        }
    }
    whole.finish()
}

fn bmap_check(mut check: BmapCheck, parts: Receiver<Part>) -> Result<(), ImageProblem> {
    for part in parts {
        match part {
            Part::Data(bytes) => check.data(&bytes),
            Part::Hole(len) => check.hole(len),
        }
    }
    check.finish()
}
