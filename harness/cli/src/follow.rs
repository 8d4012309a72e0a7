//! Who follows a run while it happens: the terminal, or a stream of JSON lines.

use std::io::{IsTerminal, Write};

use shakedown_core::Entry;
use shakedown_reports::{Options, Terminal};
use shakedown_runner::Follower;

/// How a run is shown while it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum MessageFormat {
    /// For people.
    Human,
    /// The journal's lines as they are written.
    Json,
}

/// The follower for this format. People read standard error's twin on a terminal; data goes to standard output.
pub(crate) fn follower(format: MessageFormat) -> Box<dyn Follower> {
    match format {
        MessageFormat::Human => Box::new(Human(Terminal::new(std::io::stdout(), options()))),
        MessageFormat::Json => Box::new(Json),
    }
}

/// Width and colour of this terminal.
pub(crate) fn options() -> Options {
    let tty = std::io::stdout().is_terminal();
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Options { live: tty, colour: tty && !plain, ..Options::default() }
}

struct Human(Terminal<std::io::Stdout>);

impl Follower for Human {
    fn line(&mut self, entry: &Entry, _json: &str) {
        // A closed pipe must not end the run: the journal has everything.
        drop(self.0.entry(entry));
    }
}

struct Json;

impl Follower for Json {
    fn line(&mut self, _entry: &Entry, json: &str) {
        drop(writeln!(std::io::stdout(), "{json}"));
    }
}
