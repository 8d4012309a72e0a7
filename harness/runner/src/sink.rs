//! Where events go: into the journal first, then to whoever follows the run.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use shakedown_core::{Clock, Entry, Event, Fault, InfraKind, JournalWriter, Ledger, Sha, Sink};

/// Follows a run: the terminal, `--message-format json`.
pub trait Follower: Send {
    /// A line was appended: as typed, and as written.
    fn line(&mut self, entry: &Entry, json: &str);
}

struct Inner {
    journal: JournalWriter<Box<dyn Write + Send>>,
    followers: Vec<Box<dyn Follower>>,
    ledger: Ledger,
    broken: Option<Fault>,
}

/// Appends every event to the journal, adds it up, and passes it on.
pub struct JournalSink {
    inner: Mutex<Inner>,
    clock: Arc<dyn Clock>,
}

impl JournalSink {
    /// A journal that goes to `out`, which should write through.
    pub fn new(
        run: &str,
        out: Box<dyn Write + Send>,
        followers: Vec<Box<dyn Follower>>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let journal = JournalWriter::new(out, run);
        let inner = Inner { journal, followers, ledger: Ledger::default(), broken: None };
        Arc::new(Self { inner: Mutex::new(inner), clock })
    }

    /// The fault that broke the journal (a full disk), if one did. What came after it is lost.
    pub fn health(&self) -> Result<(), Fault> {
        self.with(|inner| inner.broken.clone().map_or(Ok(()), Err))
    }

    /// The sum of all events so far.
    pub fn ledger(&self) -> Ledger {
        self.with(|inner| inner.ledger.clone())
    }

    /// The hash of the last line.
    pub fn head(&self) -> Sha {
        self.with(|inner| inner.journal.head())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for JournalSink {
    fn emit(&self, event: Event) {
        let (mono, wall) = (self.clock.now(), self.clock.wall());
        self.with(|inner| match inner.journal.append(mono, wall, event) {
            Ok((entry, json)) => {
                inner.ledger.add(&entry);
                for follower in &mut inner.followers {
                    follower.line(&entry, &json);
                }
            }
            Err(error) => {
                let fault = Fault::new(InfraKind::Host, "journal", "append to", "journal.jsonl")
                    .because(&error)
                    .hint("free space in the output folder, or name another with --out");
                inner.broken.get_or_insert(fault);
            }
        });
    }
}
