//! Reading a program's outputs: concurrently, bounded, line by line.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::{LineCutter, Stream, Tool};

/// Which end of a long output is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    First,
    Last,
}

/// A bounded part of an output.
#[derive(Debug)]
pub(super) struct Capture {
    keep: Keep,
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    kept: VecDeque<u8>,
    lines: LineCutter,
    truncated: bool,
}

impl Capture {
    pub(super) fn new(keep: Keep, limit: usize) -> Self {
        Self { keep, limit, inner: Mutex::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, bytes: &[u8]) {
        let mut inner = self.lock();
        match self.keep {
            Keep::First => {
                let room = self.limit - inner.kept.len();
                inner.kept.extend(&bytes[..room.min(bytes.len())]);
                inner.truncated |= bytes.len() > room;
            }
            Keep::Last => {
                inner.kept.extend(&bytes[bytes.len().saturating_sub(self.limit)..]);
                let over = inner.kept.len().saturating_sub(self.limit);
                inner.kept.drain(..over);
                inner.truncated |= over > 0 || bytes.len() > self.limit;
            }
        }
    }

    fn lines(&self, stream: Stream, bytes: &[u8], call: &super::OnLine) {
        self.lock().lines.cut(bytes, b"\n", |line| tell(stream, line, call));
    }

    /// What was kept so far, and whether there was more.
    pub(super) fn take(&self) -> (Vec<u8>, bool) {
        let mut inner = self.lock();
        let truncated = inner.truncated;
        (std::mem::take(&mut inner.kept).into(), truncated)
    }

    /// A copy of what was kept so far.
    pub(super) fn copy(&self) -> Vec<u8> {
        self.lock().kept.iter().copied().collect()
    }

    /// Reads a pipe to its end, and tells what comes to whom the tool says.
    pub(super) async fn read(&self, fd: OwnedFd, stream: Stream, tool: &Tool) -> io::Result<()> {
        let mut pipe = pipe::Receiver::from_owned_fd(fd)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = pipe.read(&mut buffer).await?;
            self.push(&buffer[..count]);
            if let (Some(call), 1..) = (&tool.on_bytes, count) {
                call(stream, &buffer[..count]);
            }
            if let Some(call) = &tool.on_line {
                self.lines(stream, &buffer[..count], call);
                let last = if count == 0 { self.lock().lines.end() } else { Vec::new() };
                if !last.is_empty() {
                    tell(stream, &last, call);
                }
            }
            if count == 0 {
                return Ok(());
            }
        }
    }
}

fn tell(stream: Stream, line: &[u8], call: &super::OnLine) {
    call(stream, String::from_utf8_lossy(line).trim_end_matches(['\n', '\r']));
}

/// The last lines of an output as one text, for an error.
pub(super) fn last_lines(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(most)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_end_is_kept_however_the_output_is_cut() {
        for size in [1, 3, 10] {
            let (first, last) = (Capture::new(Keep::First, 4), Capture::new(Keep::Last, 4));
            for chunk in b"0123456789".chunks(size) {
                first.push(chunk);
                last.push(chunk);
            }
            assert_eq!(first.take(), (b"0123".to_vec(), true), "chunks of {size}");
            assert_eq!(last.take(), (b"6789".to_vec(), true), "chunks of {size}");
        }
    }
}
