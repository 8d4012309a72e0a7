//! The live reporter: fed with the journal's entries as they are written.
//!
//! It asks nobody whether there is a terminal: [`Options`] say so.

mod closing;
mod paint;
mod progress;

use std::io::{self, Write};
use std::time::Duration;

use shakedown_core::event::{Event, RunHead};
use shakedown_core::ledger::Ledger;
use shakedown_core::{Entry, Evidence, Mono, StageTime};

use crate::text;
use crate::view::{View, Word};
use paint::{Ink, Paint};
use progress::Progress;

/// How to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Columns; lines that are updated in place are cut to it. At least 20.
    pub width: u16,
    /// Colours by SGR codes. The caller honours NO_COLOR.
    pub colour: bool,
    /// Whether one line may be updated in place: only on a terminal.
    pub live: bool,
    /// Without `live`: the shortest time on the run's clock between two lines of one step's progress.
    pub plain_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { width: 80, colour: false, live: false, plain_every: Duration::from_secs(5) }
    }
}

/// Writes a run as it happens, in the style of nextest.
#[derive(Debug)]
pub struct Terminal<W> {
    out: W,
    options: Options,
    paint: Paint,
    ledger: Ledger,
    progress: Progress,
    /// Cases that ended, and how many there are to be.
    done: usize,
    /// Whether the line that is updated in place is on the screen.
    updating: bool,
    closed: bool,
}

impl<W: Write> Terminal<W> {
    /// A reporter that writes to `out`.
    pub fn new(out: W, options: Options) -> Self {
        Self {
            out,
            options,
            paint: Paint(options.colour),
            ledger: Ledger::default(),
            progress: Progress::default(),
            done: 0,
            updating: false,
            closed: false,
        }
    }

    /// The next line of the journal.
    pub fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        // A run that is still going has no end yet, and that is no fault of its journal.
        self.ledger.add(entry);
        match &entry.event {
            Event::RunStarted(head) => self.head(&entry.run, head)?,
            Event::Planned { cases } => {
                let skipped = cases.iter().filter(|case| case.skip.is_some()).count();
                let skips = if skipped > 0 { format!(", {skipped} of them skipped") } else { String::new() };
                let plan = format!("{}{skips}", text::count(cases.len(), "case"));
                self.status("Plan", Ink::Heading, &plan)?;
            }
            Event::StepStarted { .. } => self.progress.restart(),
            Event::StepEnded { step, proof, took } => {
                let line = format!("{} {}: {}", timed(*took), text::line(step), text::line(proof));
                self.status("DONE", Ink::Good, &line)?;
            }
            Event::StepFailed { step, outcome, took, .. } => {
                let word = Word::of(Some(outcome));
                let line = format!("{} {}", timed(*took), text::line(step));
                self.status(&word.text().to_uppercase(), ink(word), &line)?;
            }
            Event::Progress { step, done, total } => self.progressed(entry.mono, step, *done, *total)?,
            Event::BootStarted { how } => self.status("Boot", Ink::Heading, &text::line(how))?,
            Event::StageReached(stage) => self.stage(stage)?,
            Event::BootEnded(report) => {
                let took = report.stages.last().map(|stage| stage.after).unwrap_or_default();
                let pace = text::number(report.pace);
                self.status("UP", Ink::Good, &format!("{} pace {pace}", timed(took)))?;
            }
            Event::BootFailed(failure) => {
                self.status("BOOT FAILED", Ink::Bad, &text::line(&failure.headline()))?;
            }
            Event::PaceChanged { factor, why } => {
                let line = format!("deadlines of the DUT × {} ({})", text::number(*factor), text::line(why));
                self.status("Pace", Ink::Warning, &line)?;
            }
            Event::CaseStarted { .. } => self.running(entry.mono)?,
            Event::CaseEnded { case, attempt, outcome, took, .. } => {
                self.done += 1;
                let word = Word::of(Some(outcome));
                let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
                let mut line = format!("{} {}{again}", timed(*took), text::line(&case.0));
                if matches!(word, Word::Skip | Word::Blocked) {
                    line =
                        format!("{} {}: {}", untimed(), text::line(&case.0), text::line(&outcome.headline()));
                }
                self.status(&word.text().to_uppercase(), ink(word), &line)?;
            }
            Event::Evidence { evidence: Evidence::HostKey { was, now, word }, .. } => {
                self.status("Key", Ink::Warning, &text::host_key(was, now, *word))?;
            }
            Event::Trouble(fault) => self.status("Trouble", Ink::Warning, &text::line(&fault.to_string()))?,
            Event::ControlRun { outcome, image } => {
                let line = format!("image {}: {}", image.short(), outcome.word());
                self.status("Control run", Ink::Heading, &line)?;
            }
            Event::RunEnded { .. } => self.close()?,
            Event::Switched { .. }
            | Event::Evidence { .. }
            | Event::Measured { .. }
            | Event::Saved { .. } => {}
        }
        self.out.flush()
    }

    /// Time passed without an event: the updated line shows that. Writes nothing without `live`.
    pub fn tick(&mut self, now: Mono) -> io::Result<()> {
        self.running(now)?;
        self.out.flush()
    }

    /// Closes with the summary if the run's end did not do so, and gives back the writer.
    /// Problems of the journal, when it was read from a file, go into the summary.
    pub fn finish(mut self, problems: &[shakedown_core::journal::Problem]) -> io::Result<W> {
        if !self.closed || !problems.is_empty() {
            self.ledger.problems = problems.to_vec();
            self.close()?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    fn head(&mut self, run: &str, head: &RunHead) -> io::Result<()> {
        let os = match (&head.image.os, &head.image.version) {
            (Some(os), Some(version)) => format!("{} {}, ", text::line(os), text::line(version)),
            _ => String::new(),
        };
        let run = format!("{} (shakedown {})", text::line(run), text::line(&head.harness));
        let size = text::size(head.image.size);
        let image = format!("{os}{size}, sha256 {}", head.image.payload.short());
        let board = format!(
            "{} on {}, profile {}",
            text::line(&head.board),
            text::line(&head.slot),
            text::line(&head.profile)
        );
        self.status("Run", Ink::Heading, &run)?;
        self.status("Image", Ink::Heading, &image)?;
        self.status("Board", Ink::Heading, &board)
    }

    fn stage(&mut self, stage: &StageTime) -> io::Result<()> {
        let before = self.ledger.boots.last().and_then(|boot| boot.stages.iter().rev().nth(1));
        let step = before.map(|before| stage.after.saturating_sub(before.after));
        let step = step.map(|step| format!("  +{}", text::span(step))).unwrap_or_default();
        self.status("", Ink::Plain, &format!("{} {}{step}", timed(stage.after), text::line(&stage.name)))
    }

    fn progressed(&mut self, now: Mono, step: &str, done: u64, total: u64) -> io::Result<()> {
        self.progress.add(now, done);
        let line = format!("{}: {}", text::line(step), self.progress.line(done, total));
        if self.options.live {
            self.update(&line)
        } else if self.progress.plain_due(now, self.options.plain_every) {
            self.status("", Ink::Plain, &line)
        } else {
            Ok(())
        }
    }

    /// The updated line: what runs now, and for how long.
    fn running(&mut self, now: Mono) -> io::Result<()> {
        if !self.options.live || self.closed {
            return Ok(());
        }
        let total = self.ledger.plan.len();
        let open = self.ledger.attempts.last().filter(|attempt| attempt.outcome.is_none());
        let step = self.ledger.steps.last().filter(|step| step.took.is_none());
        let line = match (open, step) {
            (Some(attempt), _) => {
                let for_ = timed(now.since(attempt.began));
                format!("{for_} {}/{total} {}", self.done + 1, text::line(&attempt.case.0))
            }
            // A step that tells its progress has a better line than we.
            (None, Some(_)) if self.progress.is_known() => return Ok(()),
            (None, Some(step)) => format!("{} {}", timed(now.since(step.began)), text::line(&step.name)),
            (None, None) => return Ok(()),
        };
        self.update(&line)
    }

    fn update(&mut self, line: &str) -> io::Result<()> {
        let room = usize::from(self.options.width.max(20)) - 1;
        let line = text::cut(&format!("{:>12} {line}", ""), room);
        self.updating = true;
        write!(self.out, "\r\u{1b}[2K{line}")
    }

    fn wipe(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.updating) {
            self.out.write_all(b"\r\x1b[2K")?;
        }
        Ok(())
    }

    /// A lasting line with its status word right-aligned.
    fn status(&mut self, word: &str, ink: Ink, line: &str) -> io::Result<()> {
        self.wipe()?;
        writeln!(self.out, "{} {line}", self.paint.on(ink, &format!("{word:>12}")))
    }

    fn close(&mut self) -> io::Result<()> {
        self.wipe()?;
        self.closed = true;
        let Self { out, paint, ledger, options, .. } = self;
        closing::write(out, *paint, usize::from(options.width.max(20)), &View::of(ledger))
    }
}

/// Writes a whole journal at once, as the live reporter would have.
pub fn replay<W: Write>(
    out: W,
    options: Options,
    journal: &shakedown_core::journal::Journal,
) -> io::Result<W> {
    let mut terminal = Terminal::new(out, options);
    for entry in &journal.entries {
        terminal.entry(entry)?;
    }
    let cut = terminal.ledger.end.is_none();
    if cut || !journal.problems.is_empty() {
        return terminal.finish(&journal.problems);
    }
    terminal.finish(&[])
}

fn ink(word: Word) -> Ink {
    match word {
        Word::Pass => Ink::Good,
        Word::Fail | Word::Error => Ink::Bad,
        Word::Flaky | Word::Infra | Word::Undetermined | Word::CutOff => Ink::Warning,
        Word::Skip | Word::Blocked | Word::NotRun => Ink::Faint,
    }
}

/// `[   0.012s]`, as nextest has it.
fn timed(took: Duration) -> String {
    format!("[{:>8.3}s]", took.as_secs_f64())
}

/// As wide as [`timed`].
fn untimed() -> &'static str {
    "[         ]"
}
