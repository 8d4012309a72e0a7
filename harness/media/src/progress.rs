//! How far a long operation is: bytes, rate, time left; and the way to stop it.

use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Reading an image to know its hashes.
    Identify,
    /// Writing to the medium.
    Write,
    /// Waiting until the medium holds it.
    Flush,
    /// Reading the medium back.
    Verify,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identify => "identifying",
            Self::Write => "writing",
            Self::Flush => "flushing",
            Self::Verify => "reading back",
        })
    }
}

/// One report, at most ten a second and one at the end of each phase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Bytes done in this phase: of the payload where its size is known, else of the file.
    pub done: u64,
    /// Bytes in all, in the same measure.
    pub total: u64,
    /// Bytes a second since the phase began.
    pub rate: f64,
    /// What is left of this phase at that rate.
    pub eta: Option<Duration>,
}

/// Called with each report; `Break` stops the operation, which then says `Cancelled`.
pub type OnProgress<'a> = dyn FnMut(&Progress) -> ControlFlow<()> + 'a;

const EVERY: Duration = Duration::from_millis(100);

/// Asked to stop in this phase, after so many bytes.
pub(crate) struct Stopped {
    pub(crate) phase: Phase,
    pub(crate) done: u64,
}

pub(crate) struct Meter<'a, 'b> {
    call: &'a mut OnProgress<'b>,
    phase: Phase,
    began: Instant,
    last: Option<Instant>,
}

impl<'a, 'b> Meter<'a, 'b> {
    pub(crate) fn new(call: &'a mut OnProgress<'b>, phase: Phase) -> Self {
        Self { call, phase, began: Instant::now(), last: None }
    }

    /// Begins the next phase; returns how long the last one took.
    pub(crate) fn phase(&mut self, phase: Phase) -> Duration {
        let took = self.began.elapsed();
        self.phase = phase;
        self.began = Instant::now();
        self.last = None;
        took
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn at(&mut self, done: u64, total: u64) -> Result<(), Stopped> {
        let due = self.last.is_none_or(|last| last.elapsed() >= EVERY);
        if due || done == total { self.report(done, total) } else { Ok(()) }
    }

    fn report(&mut self, done: u64, total: u64) -> Result<(), Stopped> {
        self.last = Some(Instant::now());
        let seconds = self.began.elapsed().as_secs_f64();
        let rate = if seconds > 0.0 { done as f64 / seconds } else { 0.0 };
        let left = total.saturating_sub(done) as f64 / rate;
        let eta = (done > 0).then(|| Duration::try_from_secs_f64(left).ok()).flatten();
        match (self.call)(&Progress { phase: self.phase, done, total, rate, eta }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stopped { phase: self.phase, done }),
        }
    }
}
