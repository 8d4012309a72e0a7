//! The console: an append-only log that nobody can eat, and its readers' cursors.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::Fut;
use crate::fault::Rig;
use crate::time::{Clock, Deadline, Mono, Stop};

/// Bytes as they came, with when and where.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// When they were read.
    pub at: Mono,
    /// Offset of the first byte in the whole log.
    pub off: u64,
    /// Never empty.
    pub bytes: Arc<[u8]>,
}

impl Chunk {
    /// Offset just past the last byte.
    pub fn end(&self) -> u64 {
        self.off + self.bytes.len() as u64
    }
}

/// A place in the log: plain data, so a reader may keep, copy and move it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub u64);

/// Something that happened to the line, at a place in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// The DUT was switched on.
    PowerOn,
    /// The DUT was switched off.
    PowerOff,
    /// The DUT was reset by the rig.
    Reset,
    /// The line was gone and is back; bytes may be missing here.
    Gap(String),
    /// We typed these bytes.
    Sent(Vec<u8>),
    /// A note for the reader of the recording.
    Note(String),
}

/// Sees every chunk and mark in order, before any reader: the recorder.
/// Called with the log locked, so it must not read the log.
pub trait Tap: Send {
    /// A chunk was appended.
    fn chunk(&mut self, chunk: &Chunk);
    /// A mark was set at this offset.
    fn mark(&mut self, at: Mono, off: u64, mark: &Mark);
}

/// The line was closed and nothing more will come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    /// What closed it: `QEMU ended with signal 9`.
    pub why: String,
    /// The last line that was seen.
    pub last_seen: String,
}

/// Why an [`ConsoleLog::expect`] ended without a hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitEnd {
    /// The deadline passed, or the run was cancelled.
    Stopped(Stop),
    /// The line was closed.
    Closed(Closed),
}

/// A match in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hit {
    /// Which of the matcher's patterns.
    pub pattern: usize,
    /// Offset of the first matched byte.
    pub start: u64,
    /// Offset past the last matched byte.
    pub end: u64,
    /// When the last matched byte was read.
    pub at: Mono,
    /// The matched bytes, without escape codes, as text for people.
    pub text: String,
}

/// Finds patterns in a stream of chunks. Must give the same hits however the
/// stream is cut, in time linear in the bytes and memory bounded by its window.
pub trait Matcher: Send {
    /// The next bytes. The first hit that they complete.
    fn feed(&mut self, chunk: &Chunk) -> Option<Hit>;
    /// The stream pauses here: a pattern that may end at the end of the stream
    /// (a prompt) may report itself. Must not change what later bytes match.
    fn idle(&mut self) -> Option<Hit> {
        None
    }
}

struct Inner {
    chunks: VecDeque<Chunk>,
    kept: usize,
    end: u64,
    taps: Vec<Box<dyn Tap>>,
    closed: Option<String>,
}

/// Append-only, timestamped, with cursors for readers. Appending never waits for a
/// reader; it keeps the last [`ConsoleLog::KEEP`] bytes (files keep everything).
pub struct ConsoleLog {
    inner: Mutex<Inner>,
    moved: tokio::sync::watch::Sender<u64>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for ConsoleLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConsoleLog({} bytes)", self.here().0)
    }
}

impl ConsoleLog {
    /// Bytes kept in memory.
    pub const KEEP: usize = 32 << 20;

    /// An empty log.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let inner = Inner { chunks: VecDeque::new(), kept: 0, end: 0, taps: Vec::new(), closed: None };
        Self { inner: Mutex::new(inner), moved: tokio::sync::watch::channel(0).0, clock }
    }

    /// The clock that stamps the chunks.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A tap that panicked has lost its recording, not the log.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a recorder, which sees everything from now on.
    pub fn attach(&self, tap: Box<dyn Tap>) {
        self.lock().taps.push(tap);
    }

    /// Adds bytes, stamped now.
    pub fn append(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut inner = self.lock();
        let chunk = Chunk { at: self.clock.now(), off: inner.end, bytes: bytes.into() };
        inner.end = chunk.end();
        inner.kept += bytes.len();
        for tap in &mut inner.taps {
            tap.chunk(&chunk);
        }
        inner.chunks.push_back(chunk);
        while inner.kept > Self::KEEP && inner.chunks.len() > 1 {
            if let Some(old) = inner.chunks.pop_front() {
                inner.kept -= old.bytes.len();
            }
        }
        let end = inner.end;
        drop(inner);
        self.moved.send_replace(end);
    }

    /// Notes what happened to the line, at the end of the log.
    pub fn mark(&self, mark: &Mark) {
        let mut inner = self.lock();
        let (at, off) = (self.clock.now(), inner.end);
        for tap in &mut inner.taps {
            tap.mark(at, off, mark);
        }
    }

    /// Nothing more will come. The first reason stays.
    pub fn close(&self, why: impl Into<String>) {
        let mut inner = self.lock();
        inner.closed.get_or_insert_with(|| why.into());
        let end = inner.end;
        drop(inner);
        self.moved.send_replace(end);
    }

    /// The line is back (a new QEMU process, a re-plugged adapter).
    pub fn reopen(&self) {
        self.lock().closed = None;
    }

    /// The end of the log.
    pub fn here(&self) -> Cursor {
        Cursor(self.lock().end)
    }

    /// When the last byte came; `None` before the first.
    pub fn last_at(&self) -> Option<Mono> {
        self.lock().chunks.back().map(|chunk| chunk.at)
    }

    /// Up to `most` bytes before the end: what people want to see in an error.
    pub fn tail(&self, most: usize) -> Vec<u8> {
        let end = self.here().0;
        self.bytes(Cursor(end.saturating_sub(most as u64)), Cursor(end))
    }

    /// The last line with something in it, for `last_seen`.
    pub fn last_line(&self) -> String {
        let tail = self.tail(512);
        let text = String::from_utf8_lossy(&tail);
        let line = text.split(['\n', '\r']).map(str::trim).rfind(|line| !line.is_empty());
        line.unwrap_or_default().chars().filter(|c| !c.is_control()).collect()
    }

    /// The bytes between two places, as far as they are still kept.
    pub fn bytes(&self, from: Cursor, to: Cursor) -> Vec<u8> {
        let inner = self.lock();
        let first = inner.chunks.partition_point(|chunk| chunk.end() <= from.0);
        let mut out = Vec::new();
        for chunk in inner.chunks.range(first..).take_while(|chunk| chunk.off < to.0) {
            let start = from.0.saturating_sub(chunk.off) as usize;
            let end = (to.0 - chunk.off).min(chunk.bytes.len() as u64) as usize;
            out.extend_from_slice(&chunk.bytes[start..end]);
        }
        out
    }

    /// The next bytes at the cursor without waiting; moves the cursor. A reader
    /// so late that bytes were dropped continues at the oldest kept one.
    pub fn try_next(&self, cursor: &mut Cursor) -> Option<Chunk> {
        let inner = self.lock();
        let index = inner.chunks.partition_point(|chunk| chunk.end() <= cursor.0);
        let chunk = inner.chunks.get(index)?;
        let skip = cursor.0.saturating_sub(chunk.off) as usize;
        let chunk = if skip == 0 {
            chunk.clone()
        } else {
            Chunk { at: chunk.at, off: chunk.off + skip as u64, bytes: chunk.bytes[skip..].into() }
        };
        cursor.0 = chunk.end();
        Some(chunk)
    }

    /// The next bytes at the cursor; waits for them. Fails when the line was closed and all is read.
    pub async fn next(&self, cursor: &mut Cursor) -> Result<Chunk, Closed> {
        let mut moved = self.moved.subscribe();
        loop {
            moved.borrow_and_update();
            if let Some(chunk) = self.try_next(cursor) {
                return Ok(chunk);
            }
            let closed = self.lock().closed.clone();
            if let Some(why) = closed {
                return Err(Closed { why, last_seen: self.last_line() });
            }
            // The sender lives in `self`, so this cannot fail.
            let _ = moved.changed().await;
        }
    }

    /// Waits until the matcher hits. The cursor stands past the hit afterwards.
    pub async fn expect(
        &self,
        cursor: &mut Cursor,
        matcher: &mut dyn Matcher,
        by: &Deadline,
    ) -> Result<Hit, WaitEnd> {
        let work = async {
            loop {
                let chunk = match self.try_next(cursor) {
                    Some(chunk) => chunk,
                    None => match matcher.idle() {
                        Some(hit) => break Ok(hit),
                        None => self.next(cursor).await?,
                    },
                };
                if let Some(hit) = matcher.feed(&chunk) {
                    cursor.0 = hit.end;
                    break Ok(hit);
                }
            }
        };
        match by.run(|| self.last_line(), work).await {
            Ok(done) => done.map_err(WaitEnd::Closed),
            Err(stop) => Err(WaitEnd::Stopped(stop)),
        }
    }
}

/// The writing side of a console. One writer at a time.
pub trait ConsoleTx: Send + Sync {
    /// Types these bytes.
    fn send<'a>(&'a self, bytes: &'a [u8], by: &'a Deadline) -> Fut<'a, Rig<()>>;
    /// Sends a break, then this key: Linux's magic SysRq.
    fn sysrq<'a>(&'a self, key: u8, by: &'a Deadline) -> Fut<'a, Rig<()>>;
}

/// One named console of a slot.
#[derive(Clone)]
pub struct Console {
    /// What it said.
    pub log: Arc<ConsoleLog>,
    /// The way to type; `None` on a read-only line.
    pub tx: Option<Arc<dyn ConsoleTx>>,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Console({:?}, tx: {})", self.log, self.tx.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::RealClock;

    #[tokio::test]
    async fn two_readers_see_the_same_bytes() {
        let log = ConsoleLog::new(RealClock::start());
        log.append(b"U-Boot log");
        log.append(b"in: ");
        for _ in 0..2 {
            let mut cursor = Cursor(5);
            assert_eq!(&*log.next(&mut cursor).await.unwrap().bytes, b"t log");
            assert_eq!(&*log.next(&mut cursor).await.unwrap().bytes, b"in: ");
        }
        log.close("QEMU ended");
        let closed = log.next(&mut log.here()).await.unwrap_err();
        assert_eq!((closed.why.as_str(), closed.last_seen.as_str()), ("QEMU ended", "U-Boot login:"));
    }

    #[test]
    fn old_bytes_are_dropped_from_memory_and_a_late_reader_goes_on() {
        let log = ConsoleLog::new(RealClock::start());
        let block = vec![b'x'; 1 << 20];
        for _ in 0..40 {
            log.append(&block);
        }
        let mut cursor = Cursor(0);
        let first = log.try_next(&mut cursor).unwrap();
        assert_eq!(first.off, 8 << 20);
        assert_eq!(log.bytes(Cursor(40 * (1 << 20) - 3), log.here()), b"xxx");
    }
}
