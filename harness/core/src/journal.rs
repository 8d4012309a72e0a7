//! The journal: one JSON line an event, each carrying the hash of the line before.
//!
//! Reading never gives up: a torn end, an edited line and an event of a newer
//! writer are reported, and the rest is read.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::Event;
use crate::ids::Sha;
use crate::time::Mono;

/// The format's version. A reader accepts every lower one, and reports a higher one.
pub const VERSION: u16 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// [`VERSION`] of the writer.
    pub v: u16,
    /// From 0, without holes.
    pub seq: u64,
    /// Of the line before, without its line break; zeros in the first.
    pub prev: Sha,
    /// Since the start of the run.
    pub mono: Mono,
    /// The time of day.
    pub wall: jiff::Timestamp,
    /// The run's id.
    pub run: String,
    /// What happened.
    pub event: Event,
}

/// The same line, with the event unread: it may be of a newer writer.
#[derive(Deserialize)]
struct Envelope<'a> {
    v: u16,
    seq: u64,
    prev: Sha,
    mono: Mono,
    wall: jiff::Timestamp,
    run: String,
    #[serde(borrow)]
    event: &'a RawValue,
}

/// Writes a journal, a line at a time, each with one `write` and a flush.
#[derive(Debug)]
pub struct JournalWriter<W> {
    out: W,
    run: String,
    seq: u64,
    prev: Sha,
}

impl<W: Write> JournalWriter<W> {
    /// A new journal of this run.
    pub fn new(out: W, run: impl Into<String>) -> Self {
        Self { out, run: run.into(), seq: 0, prev: Sha([0; 32]) }
    }

    /// Appends an event; returns the line as written, without its break.
    pub fn append(&mut self, mono: Mono, wall: jiff::Timestamp, event: Event) -> io::Result<(Entry, String)> {
        let (entry, line) = self.next(mono, wall, event)?;
        self.write(&line)?;
        Ok((entry, line))
    }

    /// The line that comes next, not written yet.
    pub fn next(&self, mono: Mono, wall: jiff::Timestamp, event: Event) -> io::Result<(Entry, String)> {
        let entry =
            Entry { v: VERSION, seq: self.seq, prev: self.prev, mono, wall, run: self.run.clone(), event };
        let line = serde_json::to_string(&entry).map_err(io::Error::other)?;
        Ok((entry, line))
    }

    /// Writes the line that [`JournalWriter::next`] gave. After an error its end may be torn: the
    /// journal ends there, and nothing more must be written.
    pub fn write(&mut self, line: &str) -> io::Result<()> {
        self.out.write_all(format!("{line}\n").as_bytes())?;
        self.out.flush()?;
        self.prev = Sha::of(line.as_bytes());
        self.seq += 1;
        Ok(())
    }
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    /// The last line is not whole: the writer was cut off.
    Torn {
        /// From 1.
        line: usize,
    },
    /// A line in the middle is not JSON of this format.
    Unreadable {
        /// From 1.
        line: usize,
        /// The parser's words.
        why: String,
    },
    /// The line before was changed, removed or added.
    BrokenChain {
        /// From 1.
        line: usize,
    },
    /// An event that this reader does not know.
    Newer {
        /// From 1.
        line: usize,
        /// The writer's version.
        version: u16,
    },
    /// No `run-ended`: the run was killed.
    Unfinished,
}

/// A journal as read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Journal {
    /// What could be read, in order.
    pub entries: Vec<Entry>,
    /// What could not.
    pub problems: Vec<Problem>,
    /// The hash of the last readable line.
    pub head: Option<Sha>,
}

/// Reads a journal, whole or cut anywhere.
pub fn read(text: &[u8]) -> Journal {
    let mut journal = Journal::default();
    let mut prev = Sha([0; 32]);
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').enumerate().peekable();
    while let Some((index, raw)) = lines.next() {
        let line = index + 1;
        let whole = raw.ends_with(b"\n");
        let bytes = raw.strip_suffix(b"\n").unwrap_or(raw);
        let envelope = match serde_json::from_slice::<Envelope<'_>>(bytes) {
            Ok(envelope) => envelope,
            Err(_) if lines.peek().is_none() && !whole => {
                journal.problems.push(Problem::Torn { line });
                break;
            }
            Err(error) => {
                journal.problems.push(Problem::Unreadable { line, why: error.to_string() });
                prev = Sha::of(bytes);
                continue;
            }
        };
        if envelope.prev != prev {
            journal.problems.push(Problem::BrokenChain { line });
        }
        prev = Sha::of(bytes);
        journal.head = Some(prev);
        match serde_json::from_str::<Event>(envelope.event.get()) {
            Ok(event) => journal.entries.push(Entry {
                v: envelope.v,
                seq: envelope.seq,
                prev: envelope.prev,
                mono: envelope.mono,
                wall: envelope.wall,
                run: envelope.run,
                event,
            }),
            Err(_) if envelope.v > VERSION => {
                journal.problems.push(Problem::Newer { line, version: envelope.v });
            }
            Err(error) => journal.problems.push(Problem::Unreadable { line, why: error.to_string() }),
        }
    }
    if !journal.entries.iter().any(|entry| matches!(entry.event, Event::RunEnded { .. })) {
        journal.problems.push(Problem::Unfinished);
    }
    journal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = JournalWriter::new(&mut out, "r1");
        for step in ["fetch", "write image", "boot"] {
            writer
                .append(Mono(1), jiff::Timestamp::UNIX_EPOCH, Event::StepStarted { step: step.into() })
                .unwrap();
        }
        out
    }

    #[test]
    fn what_was_written_is_read_and_a_cut_is_told() {
        let text = written();
        let whole = read(&text);
        assert_eq!((whole.entries.len(), whole.problems.as_slice()), (3, [Problem::Unfinished].as_slice()));
        for cut in 0..text.len() {
            let part = read(&text[..cut]);
            assert!(part.entries.len() <= 3);
            assert!(
                !part
                    .problems
                    .iter()
                    .any(|p| matches!(p, Problem::BrokenChain { .. } | Problem::Unreadable { .. })),
                "cut at {cut}: {:?}",
                part.problems
            );
        }
    }

    #[test]
    fn an_edited_line_breaks_the_chain_and_a_newer_event_is_kept_apart() {
        let text = String::from_utf8(written()).unwrap();
        let edited = read(text.replace("write image", "wrote image").as_bytes());
        assert!(edited.problems.contains(&Problem::BrokenChain { line: 3 }));
        let newer = text.replace("\"v\":1", "\"v\":2").replace("step-started", "step-teleported");
        assert!(read(newer.as_bytes()).problems.contains(&Problem::Newer { line: 1, version: 2 }));
    }
}
