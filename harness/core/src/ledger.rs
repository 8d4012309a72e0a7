//! What a journal adds up to: the one fold that reports, history and gate share.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::boot::{BootFailure, BootReport};
use crate::case::Evidence;
use crate::event::{Event, Measure, Planned, RunHead};
use crate::fault::Fault;
use crate::ids::CaseId;
use crate::journal::{Entry, Journal, Problem};
use crate::line::Proof;
use crate::outcome::{Blame, ExitCode, Outcome};
use crate::time::Mono;

/// The case that every run's first boot is: a panic at boot is a failure like any other.
pub const BOOT: &str = "boot::cold::ready";

/// One attempt at a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Which case.
    pub case: CaseId,
    /// From 1.
    pub number: u32,
    /// When it began.
    pub began: Mono,
    /// `None` when the run was cut off in the middle.
    pub outcome: Option<Outcome>,
    /// Whose fault it is.
    pub blame: Option<Blame>,
    /// The adjudicator's row.
    pub because: Option<String>,
    /// How long it took.
    pub took: Duration,
    /// Console lines around its end.
    pub console: Vec<String>,
    /// In order.
    pub evidence: Vec<Evidence>,
    /// In order.
    pub measures: Vec<Measure>,
}

/// One step of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// A verb phrase.
    pub name: String,
    /// When it began.
    pub began: Mono,
    /// How long it took; `None` when the run was cut off in it.
    pub took: Option<Duration>,
    /// How its success is known; `None` if it failed or did not end.
    pub proof: Option<String>,
    /// If it failed: what came of it, whose fault, which row.
    pub failed: Option<(Outcome, Blame, String)>,
}

/// One boot of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Boot {
    /// What started it.
    pub how: String,
    /// When it began.
    pub began: Mono,
    /// The case in which it happened.
    pub case: Option<CaseId>,
    /// The stages so far.
    pub stages: Vec<crate::boot::StageTime>,
    /// `None` when the run was cut off in it.
    pub end: Option<Result<BootReport, BootFailure>>,
}

/// A file of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedFile {
    /// Relative to the run's folder.
    pub path: String,
    /// What it is.
    pub role: String,
    /// Bytes.
    pub size: u64,
    /// Of the file.
    pub sha256: crate::ids::Sha,
}

/// A run, added up from its journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// The run's id.
    pub run: String,
    /// What it is about; `None` when the journal was cut before its first line.
    pub head: Option<RunHead>,
    /// The time of day of the first line.
    pub started: Option<jiff::Timestamp>,
    /// What was to run.
    pub plan: Vec<Planned>,
    /// In order.
    pub steps: Vec<Step>,
    /// In order.
    pub boots: Vec<Boot>,
    /// In order of their start; skipped and blocked cases too.
    pub attempts: Vec<Attempt>,
    /// Measures of the run itself.
    pub measures: Vec<Measure>,
    /// Evidence of the run itself.
    pub evidence: Vec<Evidence>,
    /// Changes of the pace: when, factor, why.
    pub paces: Vec<(Mono, f64, String)>,
    /// Outputs that were switched.
    pub switched: Vec<Proof>,
    /// Faults that did not end anything.
    pub trouble: Vec<Fault>,
    /// Files.
    pub files: Vec<SavedFile>,
    /// The control run, if one was made.
    pub control: Option<Outcome>,
    /// The end: exit code, verdict, duration, of that waiting.
    pub end: Option<(ExitCode, String, Duration, Duration)>,
    /// What is wrong with the journal.
    pub problems: Vec<Problem>,
    /// The time of the first line; the clock had begun before.
    pub first: Mono,
    /// The time of the last line.
    pub last: Mono,
}

impl Ledger {
    /// Adds up a journal as read.
    pub fn of(journal: &Journal) -> Self {
        let mut ledger = Self { problems: journal.problems.clone(), ..Self::default() };
        for entry in &journal.entries {
            ledger.add(entry);
        }
        ledger
    }

    /// How far into the run something was.
    pub fn into_run(&self, at: Mono) -> Duration {
        at.since(self.first)
    }

    /// Adds the next line.
    pub fn add(&mut self, entry: &Entry) {
        self.last = entry.mono;
        if self.started.is_none() {
            self.started = Some(entry.wall);
            self.first = entry.mono;
            self.run.clone_from(&entry.run);
        }
        match &entry.event {
            Event::RunStarted(head) => self.head = Some((**head).clone()),
            Event::Planned { cases } => self.plan.clone_from(cases),
            Event::StepStarted { step } => {
                self.steps.push(Step {
                    name: step.clone(),
                    began: entry.mono,
                    took: None,
                    proof: None,
                    failed: None,
                });
            }
            Event::StepEnded { step, proof, took } => {
                if let Some(open) = self.open_step(step) {
                    (open.took, open.proof) = (Some(*took), Some(proof.clone()));
                }
            }
            Event::StepFailed { step, outcome, blame, because, took } => {
                if let Some(open) = self.open_step(step) {
                    open.took = Some(*took);
                    open.failed = Some((outcome.clone(), *blame, because.clone()));
                }
            }
            Event::Progress { .. } => {}
            Event::Switched { proof } => self.switched.push(proof.clone()),
            Event::BootStarted { how } => {
                // A boot within a step (a shared reboot, a recovery) belongs to no case.
                let in_step = self.steps.last().is_some_and(|step| step.took.is_none());
                let case = self.open_attempt().filter(|_| !in_step).map(|attempt| attempt.case.clone());
                let (how, began) = (how.clone(), entry.mono);
                self.boots.push(Boot { how, began, case, stages: Vec::new(), end: None });
            }
            Event::StageReached(stage) => {
                if let Some(boot) = self.boots.last_mut() {
                    boot.stages.push(stage.clone());
                }
            }
            Event::BootEnded(report) => self.end_boot(Ok(report.clone())),
            Event::BootFailed(failure) => self.end_boot(Err(failure.clone())),
            Event::PaceChanged { factor, why } => self.paces.push((entry.mono, *factor, why.clone())),
            Event::CaseStarted { case, attempt } => {
                self.attempts.push(Attempt::begun(case.clone(), *attempt, entry.mono));
            }
            Event::Evidence { case, evidence } => match self.attempt_of(case.as_ref()) {
                Some(attempt) => attempt.evidence.push(evidence.clone()),
                None => self.evidence.push(evidence.clone()),
            },
            Event::Measured { case, measure } => match self.attempt_of(case.as_ref()) {
                Some(attempt) => attempt.measures.push(measure.clone()),
                None => self.measures.push(measure.clone()),
            },
            Event::CaseEnded { case, attempt, outcome, blame, because, took, console } => {
                let ended = self.ended(case, *attempt, entry.mono);
                ended.outcome = Some(outcome.clone());
                ended.blame = *blame;
                ended.because.clone_from(because);
                ended.took = *took;
                ended.console.clone_from(console);
            }
            Event::Trouble(fault) => self.trouble.push(fault.clone()),
            Event::Saved { path, role, size, sha256 } => self.files.push(SavedFile {
                path: path.clone(),
                role: role.clone(),
                size: *size,
                sha256: *sha256,
            }),
            Event::ControlRun { outcome, .. } => self.control = Some(outcome.clone()),
            Event::RunEnded { exit, verdict, took, waited } => {
                self.end = Some((*exit, verdict.clone(), *took, *waited));
            }
        }
    }

    fn open_step(&mut self, name: &str) -> Option<&mut Step> {
        self.steps.iter_mut().rfind(|step| step.name == name && step.took.is_none())
    }

    fn open_attempt(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|attempt| attempt.outcome.is_none())
    }

    fn end_boot(&mut self, end: Result<BootReport, BootFailure>) {
        if let Some(boot) = self.boots.last_mut() {
            boot.end = Some(end);
        }
    }

    fn attempt_of(&mut self, case: Option<&CaseId>) -> Option<&mut Attempt> {
        let case = case?;
        self.attempts.iter_mut().rfind(|attempt| attempt.case == *case)
    }

    /// The open attempt, or a new one for a case that was skipped or blocked without a start.
    fn ended(&mut self, case: &CaseId, number: u32, at: Mono) -> &mut Attempt {
        let open = |attempt: &Attempt| {
            attempt.case == *case && attempt.number == number && attempt.outcome.is_none()
        };
        let index = self.attempts.iter().rposition(open).unwrap_or_else(|| {
            self.attempts.push(Attempt::begun(case.clone(), number, at));
            self.attempts.len() - 1
        });
        &mut self.attempts[index]
    }

    /// How many attempts ended with each word: `pass`, `fail`, `skip` …; `cut off` for those that did not end.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for attempt in &self.attempts {
            *counts.entry(attempt.outcome.as_ref().map_or("cut off", Outcome::word)).or_default() += 1;
        }
        counts
    }

    /// Steps that failed, with what came of them.
    pub fn failed_steps(&self) -> impl Iterator<Item = (&Step, &Outcome, Blame)> {
        self.steps
            .iter()
            .filter_map(|step| step.failed.as_ref().map(|(outcome, blame, _)| (step, outcome, *blame)))
    }

    /// What the run's outcomes add up to, for a run that was not refused or interrupted.
    pub fn exit(&self) -> ExitCode {
        let steps = self.failed_steps().map(|(_, outcome, blame)| exit_of(outcome, Some(blame)));
        let cases = self.attempts.iter().map(|attempt| match &attempt.outcome {
            Some(outcome) => exit_of(outcome, attempt.blame),
            None => Some(ExitCode::Infra),
        });
        // The boot is how the others get to run: by itself it answers nothing that was asked.
        let besides = self.plan.iter().any(|planned| planned.id.0 != BOOT);
        let ran = self.attempts.iter().filter(|attempt| !besides || attempt.case.0 != BOOT).any(|attempt| {
            !matches!(attempt.outcome, Some(Outcome::Skip { .. } | Outcome::Blocked { .. }) | None)
        });
        let start = if ran { ExitCode::Ok } else { ExitCode::NothingRan };
        steps.chain(cases).flatten().fold(start, ExitCode::and)
    }
}

fn exit_of(outcome: &Outcome, blame: Option<Blame>) -> Option<ExitCode> {
    match (outcome, blame) {
        (Outcome::Pass | Outcome::Skip { .. } | Outcome::Blocked { .. }, _) => None,
        (Outcome::Fail(_), Some(Blame::Image)) => Some(ExitCode::Refused),
        (Outcome::Fail(_), _) => Some(ExitCode::Failed),
        (Outcome::Error { .. }, _) => Some(ExitCode::Bug),
        (Outcome::Infra(_) | Outcome::Undetermined { .. }, _) => Some(ExitCode::Infra),
    }
}

impl Attempt {
    fn begun(case: CaseId, number: u32, began: Mono) -> Self {
        Self {
            case,
            number,
            began,
            outcome: None,
            blame: None,
            because: None,
            took: Duration::ZERO,
            console: Vec::new(),
            evidence: Vec::new(),
            measures: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Failure;

    fn ended(case: &str, outcome: Outcome, blame: Option<Blame>) -> Event {
        let (attempt, took) = (1, Duration::from_millis(7));
        Event::CaseEnded {
            case: CaseId(case.into()),
            attempt,
            outcome,
            blame,
            because: None,
            took,
            console: vec![],
        }
    }

    fn ledger(events: Vec<Event>) -> Ledger {
        let mut text = Vec::new();
        let mut writer = crate::JournalWriter::new(&mut text, "r1");
        for event in events {
            writer.append(Mono(1), jiff::Timestamp::UNIX_EPOCH, event).unwrap();
        }
        Ledger::of(&crate::journal::read(&text))
    }

    #[test]
    fn a_skip_is_never_a_pass_and_a_blocked_case_does_not_hide_its_cause() {
        let skip = ended("os::led", Outcome::Skip { reason: "no LED".into() }, None);
        assert_eq!(ledger(vec![skip.clone()]).exit(), ExitCode::NothingRan);
        let fail = Outcome::Fail(Failure::new("panic", "ready", "panic"));
        let failed = ledger(vec![
            skip,
            ended("os::boot", fail, Some(Blame::Os)),
            ended("os::up", Outcome::Pass, None),
        ]);
        assert_eq!(failed.exit(), ExitCode::Failed);
        assert_eq!(failed.counts(), BTreeMap::from([("fail", 1), ("pass", 1), ("skip", 1)]));
    }

    #[test]
    fn a_boot_alone_is_no_run_when_cases_were_planned() {
        let planned = |id: &str, skip: Option<&str>| crate::event::Planned {
            id: CaseId(id.into()),
            title: String::new(),
            effect: crate::case::Effect::ReadOnly,
            skip: skip.map(str::to_owned),
        };
        let plan = Event::Planned { cases: vec![planned(BOOT, None), planned("os::led", Some("no LED"))] };
        let skip = ended("os::led", Outcome::Skip { reason: "no LED".into() }, None);
        let up = ended(BOOT, Outcome::Pass, None);
        assert_eq!(ledger(vec![plan.clone(), skip.clone(), up.clone()]).exit(), ExitCode::NothingRan);
        let only = Event::Planned { cases: vec![planned(BOOT, None)] };
        assert_eq!(ledger(vec![only, up]).exit(), ExitCode::Ok, "a boot is all that was asked for");
        let fail = Outcome::Fail(Failure::new("panic", "ready", "panic"));
        let blocked = ended("os::up", Outcome::Blocked { by: BOOT.into() }, None);
        let dead = ledger(vec![plan, skip, ended(BOOT, fail, Some(Blame::Os)), blocked]);
        assert_eq!(dead.exit(), ExitCode::Failed, "a boot that failed wins");
    }

    #[test]
    fn a_shared_reboot_belongs_to_no_case_and_evidence_to_the_attempt_under_way() {
        let case = || CaseId("os::a".into());
        let start = |attempt| Event::CaseStarted { case: case(), attempt };
        let note = |text: &str| Event::Evidence { case: Some(case()), evidence: Evidence::Note(text.into()) };
        let ledger = ledger(vec![
            start(1),
            note("first"),
            ended("os::a", Outcome::Pass, None),
            start(2),
            note("second"),
            Event::StepStarted { step: "shared reboot".into() },
            Event::BootStarted { how: "clean reboot".into() },
        ]);
        assert_eq!(ledger.boots[0].case, None);
        let notes: Vec<_> = ledger.attempts.iter().map(|attempt| attempt.evidence.clone()).collect();
        assert_eq!(notes, [vec![Evidence::Note("first".into())], vec![Evidence::Note("second".into())]]);
    }

    #[test]
    fn a_run_cut_off_in_a_case_is_not_a_pass() {
        let start = Event::CaseStarted { case: CaseId("os::up".into()), attempt: 1 };
        let cut = ledger(vec![ended("os::a", Outcome::Pass, None), start]);
        assert_eq!((cut.exit(), cut.counts()["cut off"]), (ExitCode::Infra, 1));
    }
}
