//! A run's way into the history while it happens.

use std::path::PathBuf;

use shakedown_core::{Entry, Event, Ledger, Sha};

use crate::error::HistoryError;
use crate::store::{History, Origin};

/// Follows a journal as it is written and keeps the history up to it: after each attempt there is
/// at most the next one to lose.
#[derive(Debug)]
pub struct Recorder {
    history: History,
    journal: PathBuf,
    ledger: Ledger,
    broken: Option<HistoryError>,
}

impl Recorder {
    /// For the journal that is being written at this absolute path.
    pub fn new(history: History, journal: PathBuf) -> Self {
        Self { history, journal, ledger: Ledger::default(), broken: None }
    }

    /// The next entry, and its line as written. Never fails: what went wrong first is kept, and the
    /// journal has everything.
    pub fn entry(&mut self, entry: &Entry, line: &str) {
        self.ledger.add(entry);
        let ended = matches!(entry.event, Event::RunEnded { .. });
        if self.broken.is_some() || !(ended || matches!(entry.event, Event::CaseEnded { .. })) {
            return;
        }
        let head = ended.then(|| Sha::of(line.as_bytes()));
        let origin = Origin { journal: Some(&self.journal), head, live: !ended, ..Origin::default() };
        self.broken = self.history.add(&self.ledger, &origin).err();
    }

    /// What went wrong first, if something did.
    pub fn health(&self) -> Result<(), &HistoryError> {
        self.broken.as_ref().map_or(Ok(()), Err)
    }
}
