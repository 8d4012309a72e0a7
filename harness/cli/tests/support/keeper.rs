//! Commands on one slot, and the keeper behind them.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{ConsoleLog, ConsoleTx, RealClock};
use shakedown_host::{Child, Pump, pump};

use super::{Place, by};

/// The arguments of a command on the slot.
pub(crate) fn on<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["--path", "private", command, "one"], more].concat()
}

/// The keeper's process, while there is one.
pub(crate) fn keeper(place: &Place) -> Option<u32> {
    let is_keeper = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        words.any(|word| word == b"--on-demand") && !line.starts_with(b"shakedown-warden")
    };
    place.processes().into_iter().find(is_keeper)
}

pub(crate) async fn until(what: &str, seconds: u64, mut is: impl FnMut() -> bool) {
    let limit = by(what, seconds);
    while !is() {
        limit.pause(Duration::from_millis(20), String::new).await.unwrap();
    }
}

pub(crate) async fn until_said(child: &Child, text: &str) {
    let limit = by(text, 120);
    while !child.tail().contains(text) {
        assert_eq!(child.try_status().unwrap(), None, "ended before `{text}`:\n{}", child.tail());
        limit.pause(Duration::from_millis(20), || child.tail()).await.unwrap();
    }
}

/// Nothing of the place runs any more: the keeper ends by itself when no slot is open.
pub(crate) async fn all_ended(place: &Place) {
    let limit = by("the end of the keeper", 30);
    while !place.processes().is_empty() {
        limit.pause(Duration::from_millis(20), || format!("{:?}", place.processes())).await.unwrap();
    }
}

/// A person's terminal, from our side.
pub(crate) struct Person {
    pub(crate) log: Arc<ConsoleLog>,
    pub(crate) tx: Arc<dyn ConsoleTx>,
    _pump: Pump,
}

impl Person {
    pub(crate) fn at(terminal: OwnedFd) -> Self {
        let log = Arc::new(ConsoleLog::new(RealClock::start()));
        let pump = pump::fd(terminal, "terminal", log.clone()).unwrap();
        Self { log, tx: pump.console().tx.unwrap(), _pump: pump }
    }

    /// Waits until this was said.
    pub(crate) async fn is_asked(&self, question: &str) {
        let limit = by(question, 120);
        while !String::from_utf8_lossy(&self.log.tail(1 << 20)).contains(question) {
            limit.pause(Duration::from_millis(20), || self.log.last_line()).await.unwrap();
        }
    }
}
