//! Where events go: into the journal first, then to whoever follows the run.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use shakedown_core::{Clock, Entry, Event, Fault, InfraKind, JournalWriter, Ledger, Sink};

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

    /// The fault that broke the journal (a full disk), if one did. What came after it is not in the
    /// file; whoever follows the run, and the reports of this process, still have it.
    pub fn health(&self) -> Result<(), Fault> {
        self.with(|inner| inner.broken.clone().map_or(Ok(()), Err))
    }

    /// The sum of all events so far.
    pub fn ledger(&self) -> Ledger {
        self.with(|inner| inner.ledger.clone())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for JournalSink {
    fn emit(&self, event: Event) {
        let (mono, wall) = (self.clock.now(), self.clock.wall());
        self.with(|inner| {
            let fault = |error: &std::io::Error| {
                Fault::new(InfraKind::Host, "journal", "append to", "journal.jsonl")
                    .because(error)
                    .hint("free space in the output folder, or name another with --out")
            };
            let (entry, json) = match inner.journal.next(mono, wall, event) {
                Ok(line) => line,
                Err(error) => {
                    inner.broken.get_or_insert_with(|| fault(&error));
                    return;
                }
            };
            // After a write that failed the last line may be torn: another behind it would be unreadable.
            if inner.broken.is_none()
                && let Err(error) = inner.journal.write(&json)
            {
                inner.broken = Some(fault(&error));
            }
            inner.ledger.add(&entry);
            for follower in &mut inner.followers {
                follower.line(&entry, &json);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_core::RealClock;
    use shakedown_core::journal::{self, Problem};

    /// A disk with room for so many bytes, which frees itself again later.
    struct Full {
        out: Arc<Mutex<Vec<u8>>>,
        room: usize,
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let mut out = self.out.lock().unwrap();
            let taken = bytes.len().min(self.room.saturating_sub(out.len()));
            if taken == 0 {
                self.room = usize::MAX;
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            out.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    struct Seen(Arc<Mutex<Vec<u64>>>);

    impl Follower for Seen {
        fn line(&mut self, entry: &Entry, _json: &str) {
            self.0.lock().unwrap().push(entry.seq);
        }
    }

    #[test]
    fn a_journal_that_broke_ends_there_and_the_run_is_still_told() {
        let (out, seen) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let disk = Full { out: out.clone(), room: 400 };
        let followers: Vec<Box<dyn Follower>> = vec![Box::new(Seen(seen.clone()))];
        let sink = JournalSink::new("r1", Box::new(disk), followers, RealClock::start());
        for step in ["one", "two", "three", "four", "five"] {
            sink.emit(Event::StepStarted { step: step.into() });
        }
        assert!(sink.health().unwrap_err().to_string().contains("journal.jsonl"), "{:?}", sink.health());
        assert_eq!((sink.ledger().steps.len(), seen.lock().unwrap().len()), (5, 5));
        let read = journal::read(&out.lock().unwrap());
        assert_eq!(read.entries.len(), 2, "{read:?}");
        assert_eq!(read.problems, [Problem::Torn { line: 3 }, Problem::Unfinished]);
    }
}
