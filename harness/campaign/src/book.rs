//! The campaign's own journal: one line for what was begun and one for what came of it.
//!
//! A line is on the disk before what it announces is done, so whatever kills the process leaves a
//! book from which the campaign goes on. Each line carries the hash of the one before.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shakedown_core::{ExitCode, Sha};

use crate::came::Came;

/// Why a run is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The plan asks for it.
    Planned,
    /// What is left of a run that was cut off.
    Rest,
    /// The rig broke before.
    Again,
    /// It failed before: does it always?
    Confirm,
    /// It could not be told: does a known-good image do it on the same slot?
    Control,
}

impl Why {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Rest => "the rest of a run that was cut off",
            Self::Again => "again, after the rig broke",
            Self::Confirm => "again, to see whether it always fails",
            Self::Control => "with the control image, to settle what could not be told",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happened {
    /// The first line: what the campaign is.
    Begun {
        /// The plan's name, or what is looked for.
        name: String,
        /// Of everything that decides what is run: the plan's text, the jobs, the images.
        about: Sha,
        /// How many jobs there are.
        jobs: usize,
        /// Images by label: payload and path.
        images: Vec<(String, Sha, PathBuf)>,
        /// Every slot is simulated: nothing is tested.
        simulated: bool,
        /// The command that began it.
        command: String,
    },
    /// A run is about to begin.
    Started {
        /// The job's key.
        job: String,
        /// Why.
        why: Why,
        /// The run's id: its folder's name.
        run: String,
        /// `rig/slot`.
        slot: String,
    },
    /// It ended.
    Ended {
        /// The run's id.
        run: String,
        /// What came of it.
        came: Came,
    },
    /// A slot's health was looked at.
    Checked {
        /// `rig/slot`.
        slot: String,
        /// What is wrong with it, if anything.
        fault: Option<String>,
        /// What was seen.
        seen: Vec<String>,
    },
    /// The campaign goes on after it was killed or interrupted.
    Resumed,
    /// Nothing is left to do.
    Finished {
        /// What the process returns.
        exit: ExitCode,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    v: u16,
    seq: u64,
    prev: Sha,
    wall: jiff::Timestamp,
    happened: Happened,
}

const VERSION: u16 = 1;

/// Why a book cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The file cannot be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Somebody else has it open.
    #[error("{}: another process goes on with this campaign", path.display())]
    Busy {
        /// Which.
        path: PathBuf,
    },
    /// A line is not as it was written.
    #[error("{}:{line}: {what}", path.display())]
    Broken {
        /// Which.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

/// A book that is open for writing, by this process alone.
#[derive(Debug)]
pub struct Book {
    file: File,
    path: PathBuf,
    seq: u64,
    prev: Sha,
    /// A line stands there half, and could not be taken away.
    torn: bool,
}

/// A line as read: when, and what.
pub type Entry = (jiff::Timestamp, Happened);

impl Book {
    /// A new book; refuses one that is there.
    pub fn create(path: &Path) -> Result<Self, BookError> {
        let failed = |error| BookError::Io { path: path.to_owned(), error };
        let file = OpenOptions::new().append(true).create_new(true).open(path).map_err(failed)?;
        let book = Self { file, path: path.to_owned(), seq: 0, prev: Sha([0; 32]), torn: false };
        book.lock()?;
        Ok(book)
    }

    /// Opens a book to go on with it. A torn last line is taken away: what it announced was not done.
    pub fn resume(path: &Path) -> Result<(Self, Vec<Entry>), BookError> {
        let failed = |error| BookError::Io { path: path.to_owned(), error };
        let mut file = OpenOptions::new().read(true).append(true).open(path).map_err(failed)?;
        let mut book = Self {
            file: file.try_clone().map_err(failed)?,
            path: path.to_owned(),
            seq: 0,
            prev: Sha([0; 32]),
            torn: false,
        };
        book.lock()?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        let (entries, whole, prev) = parse(path, &text)?;
        if whole < text.len() as u64 {
            file.set_len(whole).map_err(failed)?;
            file.seek(SeekFrom::End(0)).map_err(failed)?;
        }
        (book.seq, book.prev) = (entries.len() as u64, prev);
        Ok((book, entries))
    }

    /// Reads a book that may be open elsewhere.
    pub fn read(path: &Path) -> Result<Vec<Entry>, BookError> {
        let text = std::fs::read(path).map_err(|error| BookError::Io { path: path.to_owned(), error })?;
        parse(path, &text).map(|(entries, ..)| entries)
    }

    fn lock(&self) -> Result<(), BookError> {
        self.file.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => BookError::Busy { path: self.path.clone() },
            std::fs::TryLockError::Error(error) => BookError::Io { path: self.path.clone(), error },
        })
    }

    /// Writes a line, whole, and through to the disk.
    pub fn write(&mut self, happened: &Happened) -> Result<(), BookError> {
        let failed = |error: io::Error| BookError::Io { path: self.path.clone(), error };
        if self.torn {
            return Err(failed(io::Error::other("a line before this one could not be written whole")));
        }
        let wall = jiff::Timestamp::now();
        let line = Line { v: VERSION, seq: self.seq, prev: self.prev, wall, happened: happened.clone() };
        let text = serde_json::to_string(&line).map_err(|error| failed(io::Error::other(error)))?;
        let whole = self.file.metadata().map_err(failed)?.len();
        let written =
            self.file.write_all(format!("{text}\n").as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // A torn line would take the next one with it: it is taken away, or nothing follows it.
            self.torn |= self.file.set_len(whole).is_err();
            return Err(failed(error));
        }
        (self.seq, self.prev) = (self.seq + 1, Sha::of(text.as_bytes()));
        Ok(())
    }
}

/// The entries, how many bytes of whole lines they are, and the last line's hash.
fn parse(path: &Path, text: &[u8]) -> Result<(Vec<Entry>, u64, Sha), BookError> {
    let (mut entries, mut whole, mut prev) = (Vec::new(), 0, Sha([0; 32]));
    for (index, raw) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let broken = |what: String| BookError::Broken { path: path.to_owned(), line: index + 1, what };
        let Some(bytes) = raw.strip_suffix(b"\n") else { break };
        let line: Line = serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
        if line.v != VERSION {
            return Err(broken(format!("expected version {VERSION}, got {}", line.v)));
        }
        if line.prev != prev || line.seq != index as u64 {
            return Err(broken("the line before it was changed, removed or added".to_owned()));
        }
        prev = Sha::of(bytes);
        whole += raw.len() as u64;
        entries.push((line.wall, line.happened));
    }
    Ok((entries, whole, prev))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_that_was_cut_anywhere_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("book.jsonl");
        let mut book = Book::create(&path).unwrap();
        for _ in 0..3 {
            book.write(&Happened::Resumed).unwrap();
        }
        assert!(matches!(Book::resume(&path), Err(BookError::Busy { .. })));
        drop(book);
        let text = std::fs::read(&path).unwrap();
        for cut in 0..=text.len() {
            std::fs::write(&path, &text[..cut]).unwrap();
            let (mut book, entries) = Book::resume(&path).unwrap();
            assert_eq!(entries.len(), text[..cut].split(|byte| *byte == b'\n').count() - 1);
            book.write(&Happened::Finished { exit: ExitCode::Ok }).unwrap();
            let again = Book::read(&path).unwrap();
            assert_eq!(again.len(), entries.len() + 1, "cut at {cut}");
        }
    }

    #[test]
    fn a_line_that_was_changed_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("book.jsonl");
        let mut book = Book::create(&path).unwrap();
        book.write(&Happened::Checked { slot: "a/b".into(), fault: None, seen: vec![] }).unwrap();
        book.write(&Happened::Resumed).unwrap();
        let text = std::fs::read_to_string(&path).unwrap().replace("a/b", "a/c");
        std::fs::write(&path, text).unwrap();
        assert!(matches!(Book::read(&path), Err(BookError::Broken { line: 2, .. })));
    }
}
