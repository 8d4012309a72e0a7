//! Who follows a run while it happens: the terminal, or a stream of JSON lines.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use shakedown_core::{Clock, Entry};
use shakedown_history::Recorder;
use shakedown_reports::{Options, Terminal};
use shakedown_runner::Follower;

/// How often the line that shows what is going on is drawn anew.
const TICK: Duration = Duration::from_secs(1);

/// How a run is shown while it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum MessageFormat {
    /// For people.
    Human,
    /// The journal's lines as they are written.
    Json,
}

/// The follower for this format, on standard output. On a terminal its clock moves by itself, on
/// the runtime of the caller.
pub(crate) fn follower(format: MessageFormat, clock: &Arc<dyn Clock>) -> Box<dyn Follower> {
    match format {
        MessageFormat::Human => {
            let options = options();
            let terminal = Arc::new(Mutex::new(Terminal::new(std::io::stdout(), options)));
            if options.live {
                tokio::spawn(tick(Arc::downgrade(&terminal), clock.clone()));
            }
            Box::new(Human(terminal))
        }
        MessageFormat::Json => Box::new(Json),
    }
}

/// Draws the updated line anew until the run's follower is gone.
async fn tick<W: Write>(terminal: Weak<Mutex<Terminal<W>>>, clock: Arc<dyn Clock>) {
    loop {
        clock.sleep_until(clock.now() + TICK).await;
        let Some(terminal) = terminal.upgrade() else { return };
        // A closed pipe must not end the run: the journal has everything.
        drop(terminal.lock().unwrap_or_else(PoisonError::into_inner).tick(clock.now()));
    }
}

/// Width and colour of this terminal.
pub(crate) fn options() -> Options {
    let tty = std::io::stdout().is_terminal();
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let usual = Options::default();
    // A terminal that does not know its size says 0.
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let width = size.map(|size| size.ws_col).filter(|columns| *columns > 0).unwrap_or(usual.width);
    Options { live: tty, colour: tty && !plain, width, ..usual }
}

struct Human<W>(Arc<Mutex<Terminal<W>>>);

impl<W: Write + Send> Follower for Human<W> {
    fn line(&mut self, entry: &Entry, _json: &str) {
        // A closed pipe must not end the run: the journal has everything.
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(entry));
    }
}

struct Json;

impl Follower for Json {
    fn line(&mut self, _entry: &Entry, json: &str) {
        drop(writeln!(std::io::stdout(), "{json}"));
    }
}

/// Keeps the history up to the run, attempt by attempt.
pub(crate) struct Recording(pub(crate) Recorder);

impl Follower for Recording {
    fn line(&mut self, entry: &Entry, json: &str) {
        self.0.entry(entry, json);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use shakedown_core::{CaseId, Event, Fut, JournalWriter, Mono, RealClock};

    use super::*;

    /// A clock that is always where it is waited for.
    #[derive(Debug)]
    struct Fast(Arc<AtomicU64>, Arc<RealClock>);

    impl Clock for Fast {
        fn now(&self) -> Mono {
            Mono(self.0.load(Ordering::Relaxed))
        }

        fn wall(&self) -> jiff::Timestamp {
            self.1.wall()
        }

        fn sleep_until(&self, at: Mono) -> Fut<'static, ()> {
            let now = self.0.clone();
            Box::pin(async move {
                tokio::task::yield_now().await;
                now.store(at.0, Ordering::Relaxed);
            })
        }
    }

    #[tokio::test]
    async fn the_line_that_shows_what_is_going_on_moves_between_events() {
        let clock: Arc<dyn Clock> = Arc::new(Fast(Arc::default(), RealClock::start()));
        let mut journal = JournalWriter::new(Vec::new(), "run");
        let started = Event::CaseStarted { case: CaseId("os::slow::case".into()), attempt: 1 };
        let (entry, json) = journal.append(Mono(0), clock.wall(), started).unwrap();
        let options = Options { live: true, ..Options::default() };
        let terminal = Arc::new(Mutex::new(Terminal::new(Vec::new(), options)));
        let mut human = Human(terminal.clone());
        human.line(&entry, &json);
        let ticking = tokio::spawn(tick(Arc::downgrade(&terminal), clock.clone()));
        drop(terminal);
        while clock.now() < Mono(5_000_000_000) {
            tokio::task::yield_now().await;
        }
        let Human(terminal) = human;
        // The ticker holds it only while it draws, and this runtime runs one at a time.
        let terminal = Arc::into_inner(terminal).unwrap().into_inner().unwrap();
        let shown = String::from_utf8(terminal.finish(&[]).unwrap()).unwrap();
        for second in ["1.0", "2.0", "3.0"] {
            assert!(shown.contains(second) && shown.contains("os::slow::case"), "{second}: {shown:?}");
        }
        ticking.await.unwrap();
    }
}
