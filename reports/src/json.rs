//! `results.json`: the whole run as one typed, versioned document.
//!
//! Strings are as the journal has them (JSON escapes them); only `verdict` and
//! `problems` are sentences of ours. Durations are whole milliseconds in fields that end
//! in `_ms`; clocks (`began_ns`) count nanoseconds from the start of the run.
//! A reader accepts every `version` up to the one it knows.

use serde::{Deserialize, Serialize};
use shakedown_core::event::{Measure, RunHead};
use shakedown_core::journal::Problem;
use shakedown_core::ledger::Ledger;
use shakedown_core::{
    Blame, BootFailure, CaseId, Effect, Evidence, ExitCode, Fault, Mono, Outcome, Proof, Sha, StageTime,
};

use crate::text;
use crate::verdict::Verdict;
use crate::view::{View, Word};

/// The document's version; grows when a field is added, renamed or removed.
pub const VERSION: u16 = 1;

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// Always `shakedown-results`.
    pub schema: String,
    /// [`VERSION`] of the writer.
    pub version: u16,
    /// The run's id.
    pub run: String,
    /// The time of day of the first line.
    pub started: Option<jiff::Timestamp>,
    /// The verdict in one line, as every report has it.
    pub verdict_line: String,
    /// The same in parts.
    pub verdict: Verdict,
    /// The number that the process returned, or would have.
    pub exit_code: u8,
    /// The journal's own closing event; absent when the run was cut off.
    pub ended: Option<Ended>,
    /// What the run is about; absent when the journal was cut before that.
    pub head: Option<RunHead>,
    /// How many cases there are of each word, worst first, without the zeros.
    pub counts: Vec<Count>,
    /// In order.
    pub steps: Vec<StepResult>,
    /// In order.
    pub boots: Vec<BootResult>,
    /// In the order of the plan.
    pub cases: Vec<CaseResult>,
    /// Of the run itself.
    pub measures: Vec<Measure>,
    /// Of the run itself.
    pub evidence: Vec<Evidence>,
    /// Changes of the DUT's pace.
    pub paces: Vec<PaceResult>,
    /// Outputs that were switched, with how it is known.
    pub switched: Vec<Proof>,
    /// Faults that did not end anything.
    pub trouble: Vec<Fault>,
    /// Files of the run's folder.
    pub files: Vec<FileResult>,
    /// What the control run came to, if one was made.
    pub control: Option<Outcome>,
    /// What is wrong with the journal.
    pub problems: Vec<ProblemResult>,
}

/// The journal's closing event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// As recorded.
    pub exit: ExitCode,
    /// As recorded.
    pub verdict: String,
    /// From the start of the run.
    pub took_ms: u64,
    /// Of that, waiting for the DUT or the medium.
    pub waited_ms: u64,
}

/// How many cases a word stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// The word.
    pub word: Word,
    /// At least 1.
    pub cases: usize,
}

/// A step of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepResult {
    /// A verb phrase.
    pub name: String,
    /// When it began.
    pub began_ns: Mono,
    /// Absent when the run was cut off in it.
    pub took_ms: Option<u64>,
    /// How its success is known; absent if it failed or did not end.
    pub proof: Option<String>,
    /// If it failed.
    pub failed: Option<StepFailure>,
}

/// How a step failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepFailure {
    /// What came of it.
    pub outcome: Outcome,
    /// Whose fault it is.
    pub blame: Blame,
    /// The adjudicator's row that decided.
    pub because: String,
}

/// A boot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootResult {
    /// What started it.
    pub how: String,
    /// When it began.
    pub began_ns: Mono,
    /// The case in which it happened.
    pub case: Option<CaseId>,
    /// The stages that were reached.
    pub stages: Vec<StageTime>,
    /// The pace it was measured at; absent unless it came up.
    pub pace: Option<f64>,
    /// How often the bootloader's banner was seen; absent unless it came up.
    pub banners: Option<u32>,
    /// Why it did not come up.
    pub failure: Option<BootFailure>,
}

/// A case with all its attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseResult {
    /// Which.
    pub id: CaseId,
    /// What is true when it passes.
    pub title: String,
    /// What it does to the DUT; absent when the plan does not name the case.
    pub effect: Option<Effect>,
    /// All attempts in one word.
    pub word: Word,
    /// One line on why it is not a plain pass.
    pub headline: String,
    /// In order; empty when it never began.
    pub attempts: Vec<AttemptResult>,
}

/// An attempt at a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptResult {
    /// From 1.
    pub number: u32,
    /// When it began.
    pub began_ns: Mono,
    /// 0 when the run was cut off in it.
    pub took_ms: u64,
    /// Absent when the run was cut off in it.
    pub outcome: Option<Outcome>,
    /// Whose fault it is.
    pub blame: Option<Blame>,
    /// The adjudicator's row that decided.
    pub because: Option<String>,
    /// Console lines around its end.
    pub console: Vec<String>,
    /// In order.
    pub evidence: Vec<Evidence>,
    /// In order.
    pub measures: Vec<Measure>,
}

/// A change of the DUT's pace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaceResult {
    /// When.
    pub at_ns: Mono,
    /// The factor in force from then on.
    pub factor: f64,
    /// Where it comes from.
    pub why: String,
}

/// A file of the run's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileResult {
    /// Relative to the run's folder.
    pub path: String,
    /// What it is.
    pub role: String,
    /// Bytes.
    pub size: u64,
    /// Of the file.
    pub sha256: Sha,
}

/// Something wrong with the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProblemResult {
    /// As the reader found it.
    pub problem: Problem,
    /// As a sentence.
    pub says: String,
    /// Whether the rest of the journal can still be believed.
    pub trusted: bool,
}

impl Results {
    /// The document of a ledger.
    pub fn of(ledger: &Ledger) -> Self {
        let view = View::of(ledger);
        Self {
            schema: "shakedown-results".into(),
            version: VERSION,
            run: ledger.run.clone(),
            started: ledger.started,
            verdict_line: view.verdict.to_string(),
            exit_code: view.verdict.exit.code(),
            ended: ledger.end.as_ref().map(|(exit, verdict, took, waited)| Ended {
                exit: *exit,
                verdict: verdict.clone(),
                took_ms: took.as_millis() as u64,
                waited_ms: waited.as_millis() as u64,
            }),
            head: ledger.head.clone(),
            counts: view.counts().into_iter().map(|(word, cases)| Count { word, cases }).collect(),
            steps: ledger.steps.iter().map(step).collect(),
            boots: ledger.boots.iter().map(boot).collect(),
            cases: cases(&view),
            measures: ledger.measures.clone(),
            evidence: ledger.evidence.clone(),
            paces: paces(ledger),
            switched: ledger.switched.clone(),
            trouble: ledger.trouble.clone(),
            files: files(ledger),
            control: ledger.control.clone(),
            problems: problems(ledger),
            verdict: view.verdict,
        }
    }
}

/// The document as text, indented, with a line break at the end.
pub fn json(ledger: &Ledger) -> String {
    // The types hold no map with keys that are not strings, so this cannot fail.
    let text = serde_json::to_string_pretty(&Results::of(ledger)).unwrap_or_default();
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        // What serde_json lets through and a terminal or an editor would act on. Outside of
        // strings there is none of it, and all of it fits into four digits.
        if (c.is_control() && c != '\n') || text::is_hidden(c) {
            out += &format!("\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}

fn step(step: &shakedown_core::ledger::Step) -> StepResult {
    let failed = step.failed.clone();
    StepResult {
        name: step.name.clone(),
        began_ns: step.began,
        took_ms: step.took.map(|took| took.as_millis() as u64),
        proof: step.proof.clone(),
        failed: failed.map(|(outcome, blame, because)| StepFailure { outcome, blame, because }),
    }
}

fn boot(boot: &shakedown_core::ledger::Boot) -> BootResult {
    let report = boot.end.as_ref().and_then(|end| end.as_ref().ok());
    BootResult {
        how: boot.how.clone(),
        began_ns: boot.began,
        case: boot.case.clone(),
        stages: boot.stages.clone(),
        pace: report.map(|report| report.pace),
        banners: report.map(|report| report.banners),
        failure: boot.end.as_ref().and_then(|end| end.as_ref().err()).cloned(),
    }
}

fn cases(view: &View<'_>) -> Vec<CaseResult> {
    let attempt = |a: &&shakedown_core::ledger::Attempt| AttemptResult {
        number: a.number,
        began_ns: a.began,
        took_ms: a.took.as_millis() as u64,
        outcome: a.outcome.clone(),
        blame: a.blame,
        because: a.because.clone(),
        console: a.console.clone(),
        evidence: a.evidence.clone(),
        measures: a.measures.clone(),
    };
    let case = |case: &crate::view::CaseView<'_>| CaseResult {
        id: case.id.clone(),
        title: case.title.to_owned(),
        effect: case.effect,
        word: case.word,
        headline: case.headline(),
        attempts: case.attempts.iter().map(attempt).collect(),
    };
    view.cases.iter().map(case).collect()
}

fn paces(ledger: &Ledger) -> Vec<PaceResult> {
    let paces = ledger.paces.iter();
    paces.map(|(at, factor, why)| PaceResult { at_ns: *at, factor: *factor, why: why.clone() }).collect()
}

fn files(ledger: &Ledger) -> Vec<FileResult> {
    let file = |file: &shakedown_core::ledger::SavedFile| FileResult {
        path: file.path.clone(),
        role: file.role.clone(),
        size: file.size,
        sha256: file.sha256,
    };
    ledger.files.iter().map(file).collect()
}

fn problems(ledger: &Ledger) -> Vec<ProblemResult> {
    let result = |problem: &Problem| {
        let (trusted, says) = crate::view::problem(problem);
        ProblemResult { problem: problem.clone(), says, trusted }
    };
    ledger.problems.iter().map(result).collect()
}
