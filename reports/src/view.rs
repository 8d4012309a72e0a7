//! A ledger arranged as reports tell it: cases with all their attempts, and findings, worst first.

use std::collections::BTreeMap;
use std::time::Duration;

use shakedown_core::event::Planned;
use shakedown_core::journal::Problem;
use shakedown_core::ledger::{Attempt, Boot, Step};
use shakedown_core::{Blame, BootFailure, CaseId, Effect, Ledger, Mono, Outcome};

use serde::{Deserialize, Serialize};

use crate::text;
use crate::verdict::{Ruling, Verdict};

/// What is shown for a case: the outcomes of its attempts in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Every attempt failed.
    Fail,
    /// Some attempts passed and some did not. Never a pass.
    Flaky,
    /// The case itself is broken.
    Error,
    /// The rig broke.
    Infra,
    /// It cannot be told whose fault it was.
    Undetermined,
    /// The journal ends in the middle of it.
    CutOff,
    /// Not run, because a step or case that it needs failed.
    Blocked,
    /// Planned, and the journal does not mention it again.
    NotRun,
    /// Not run, by decision.
    Skip,
    /// Every attempt passed.
    Pass,
}

impl Word {
    /// All of them, worst first.
    pub const ALL: [Self; 10] = [
        Self::Fail,
        Self::Flaky,
        Self::Error,
        Self::Infra,
        Self::Undetermined,
        Self::CutOff,
        Self::Blocked,
        Self::NotRun,
        Self::Skip,
        Self::Pass,
    ];

    /// As it stands in files and reports.
    pub fn text(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Flaky => "flaky",
            Self::Error => "error",
            Self::Infra => "infra",
            Self::Undetermined => "undetermined",
            Self::CutOff => "cut off",
            Self::Blocked => "blocked",
            Self::NotRun => "not run",
            Self::Skip => "skip",
            Self::Pass => "pass",
        }
    }

    /// In a sentence with a number: `2 failed`.
    pub fn counted(self) -> &'static str {
        match self {
            Self::Fail => "failed",
            Self::Flaky => "flaky",
            Self::Error => "broken",
            Self::Infra => "lost to the rig",
            Self::Undetermined => "undetermined",
            Self::CutOff => "cut off",
            Self::Blocked => "blocked",
            Self::NotRun => "not run",
            Self::Skip => "skipped",
            Self::Pass => "passed",
        }
    }

    /// Without spaces, for class names.
    pub fn class(self) -> &'static str {
        match self {
            Self::CutOff => "cut-off",
            Self::NotRun => "not-run",
            other => other.text(),
        }
    }

    /// Of one attempt or step; `None` is one that did not end.
    pub fn of(outcome: Option<&Outcome>) -> Self {
        match outcome {
            None => Self::CutOff,
            Some(Outcome::Pass) => Self::Pass,
            Some(Outcome::Fail(_)) => Self::Fail,
            Some(Outcome::Skip { .. }) => Self::Skip,
            Some(Outcome::Blocked { .. }) => Self::Blocked,
            Some(Outcome::Error { .. }) => Self::Error,
            Some(Outcome::Infra(_)) => Self::Infra,
            Some(Outcome::Undetermined { .. }) => Self::Undetermined,
        }
    }

    /// Whether it needs somebody's attention by itself.
    pub fn is_finding(self) -> bool {
        self <= Self::CutOff
    }
}

/// A case with all its attempts.
#[derive(Clone, Debug)]
pub struct CaseView<'a> {
    /// Which.
    pub id: &'a CaseId,
    /// From the plan; empty when the plan does not name it.
    pub title: &'a str,
    /// From the plan.
    pub effect: Option<Effect>,
    /// In order; empty for a case that never began.
    pub attempts: Vec<&'a Attempt>,
    /// The reason in the plan, when the case was to be skipped and the journal says no more.
    pub planned_skip: Option<&'a str>,
    /// All attempts in one word.
    pub word: Word,
}

impl<'a> CaseView<'a> {
    /// The attempt that tells the most: the worst, the first of several such.
    pub fn telling(&self) -> Option<&'a Attempt> {
        self.attempts.iter().copied().min_by_key(|attempt| Word::of(attempt.outcome.as_ref()))
    }

    /// All attempts together.
    pub fn took(&self) -> Duration {
        self.attempts.iter().map(|attempt| attempt.took).sum()
    }

    /// One line on why it is not a plain pass; empty for a pass.
    pub fn headline(&self) -> String {
        let told = match self.telling() {
            Some(attempt) => match &attempt.outcome {
                Some(outcome) => text::line(&outcome.headline()),
                None => "the journal ends in the middle of it".into(),
            },
            None => self.planned_skip.map_or_else(|| "never began".into(), text::line),
        };
        if self.word != Word::Flaky {
            return told;
        }
        let passed = self.attempts.iter().filter(|a| a.outcome == Some(Outcome::Pass)).count();
        format!("passed {passed} of {} attempts; {told}", self.attempts.len())
    }
}

/// Something that went wrong.
#[derive(Clone, Debug)]
pub struct Finding<'a> {
    /// The case's id, or the step's phrase.
    pub name: String,
    /// The case, when it was one.
    pub case: Option<&'a CaseView<'a>>,
    /// What came of it.
    pub word: Word,
    /// Whose fault it is.
    pub blame: Option<Blame>,
    /// The adjudicator's row that decided.
    pub because: Option<String>,
    /// What went wrong, on one line.
    pub headline: String,
    /// What should have been; empty when nothing particular.
    pub expected: String,
    /// What was.
    pub got: String,
    /// What the person can do.
    pub hint: Option<String>,
    /// Console lines around it.
    pub console: Vec<String>,
    /// Which attempt of how many.
    pub attempt: Option<(u32, usize)>,
    /// When it began.
    pub began: Mono,
    /// How long it took, if it ended.
    pub took: Option<Duration>,
}

/// Everything that reports show, arranged once.
#[derive(Debug)]
pub struct View<'a> {
    /// What it was made from.
    pub ledger: &'a Ledger,
    /// In one line.
    pub verdict: Verdict,
    /// In the order of the plan, then those that the plan does not name.
    pub cases: Vec<CaseView<'a>>,
}

impl<'a> View<'a> {
    /// Arranges a ledger.
    pub fn of(ledger: &'a Ledger) -> Self {
        let cases = cases(ledger);
        let verdict = Verdict::of(ledger, &cases);
        Self { ledger, verdict, cases }
    }

    /// How many cases there are of each word, worst first, without the zeros.
    pub fn counts(&self) -> Vec<(Word, usize)> {
        counts(&self.cases)
    }

    /// Whether the run must be shown as failed beside its steps and cases: because none of them
    /// says it, or because it was cut off or edited, so that what they say is not all.
    pub fn fails_by_itself(&self, findings: &[Finding<'_>]) -> bool {
        match self.verdict.ruling {
            Ruling::Pass => false,
            Ruling::Untrusted | Ruling::Interrupted => true,
            _ => {
                let step = |finding: &Finding<'_>| {
                    finding.case.is_none() && self.ledger.steps.iter().any(|step| step.began == finding.began)
                };
                !findings.iter().any(|finding| finding.case.is_some() || step(finding))
            }
        }
    }

    /// What went wrong, worst first, then in order of time.
    pub fn findings(&self) -> Vec<Finding<'_>> {
        findings(self.ledger, &self.cases)
    }
}

/// How many cases there are of each word, worst first, without the zeros.
pub(crate) fn counts(cases: &[CaseView<'_>]) -> Vec<(Word, usize)> {
    let many = |word| cases.iter().filter(|case| case.word == word).count();
    Word::ALL.into_iter().map(|word| (word, many(word))).filter(|(_, many)| *many > 0).collect()
}

fn cases(ledger: &Ledger) -> Vec<CaseView<'_>> {
    let mut views: Vec<CaseView<'_>> = Vec::new();
    let mut places: BTreeMap<&CaseId, usize> = BTreeMap::new();
    for Planned { id, title, effect, skip } in &ledger.plan {
        places.entry(id).or_insert_with(|| {
            views.push(CaseView {
                id,
                title,
                effect: Some(*effect),
                attempts: Vec::new(),
                planned_skip: skip.as_deref(),
                word: Word::NotRun,
            });
            views.len() - 1
        });
    }
    for attempt in &ledger.attempts {
        let place = *places.entry(&attempt.case).or_insert_with(|| {
            views.push(CaseView {
                id: &attempt.case,
                title: "",
                effect: None,
                attempts: Vec::new(),
                planned_skip: None,
                word: Word::NotRun,
            });
            views.len() - 1
        });
        views[place].attempts.push(attempt);
    }
    for view in &mut views {
        view.word = word_of(view);
    }
    views
}

fn word_of(case: &CaseView<'_>) -> Word {
    let words: Vec<Word> = case.attempts.iter().map(|a| Word::of(a.outcome.as_ref())).collect();
    match words.iter().min() {
        None if case.planned_skip.is_some() => Word::Skip,
        None => Word::NotRun,
        Some(Word::Fail) if words.contains(&Word::Pass) => Word::Flaky,
        Some(worst) => *worst,
    }
}

/// What went wrong, worst first, then in order of time.
pub(crate) fn findings<'a>(ledger: &'a Ledger, cases: &'a [CaseView<'a>]) -> Vec<Finding<'a>> {
    let finished = ledger.end.is_some();
    let steps =
        ledger.steps.iter().filter(|step| step.failed.is_some() || (step.took.is_none() && !finished));
    let mut all: Vec<Finding<'a>> = steps.map(|step| of_step(ledger, step)).collect();
    all.extend(cases.iter().filter(|case| case.word.is_finding()).filter_map(of_case));
    let told = !all.is_empty();
    // A boot that failed outside of any step or case that says so.
    all.extend(ledger.boots.iter().filter(|boot| !told && boot.case.is_none()).filter_map(of_boot));
    all.sort_by_key(|finding| (finding.word, finding.began));
    all
}

fn of_step<'a>(ledger: &'a Ledger, step: &'a Step) -> Finding<'a> {
    let (outcome, blame, because) = match &step.failed {
        Some((outcome, blame, because)) => (Some(outcome), Some(*blame), Some(text::line(because))),
        None => (None, None, None),
    };
    // The boot that this step was about tells more than the step.
    let boot = ledger
        .boots
        .iter()
        .rfind(|boot| boot.case.is_none() && boot.began >= step.began && matches!(boot.end, Some(Err(_))));
    let mut finding = finding(text::line(&step.name), outcome, step.began, step.took);
    finding.console = boot.map(console_of).unwrap_or_default();
    (finding.blame, finding.because) = (blame, because);
    finding
}

fn of_case<'a>(case: &'a CaseView<'a>) -> Option<Finding<'a>> {
    let attempt = case.telling()?;
    let took = attempt.outcome.as_ref().map(|_| attempt.took);
    let mut finding = finding(text::line(&case.id.0), attempt.outcome.as_ref(), attempt.began, took);
    finding.case = Some(case);
    finding.word = case.word;
    finding.headline = case.headline();
    finding.blame = attempt.blame;
    finding.because = attempt.because.as_deref().map(text::line);
    finding.console = attempt.console.iter().map(|line| text::line(line)).collect();
    finding.attempt = (case.attempts.len() > 1).then_some((attempt.number, case.attempts.len()));
    Some(finding)
}

fn of_boot(boot: &Boot) -> Option<Finding<'_>> {
    let Some(Err(failure)) = &boot.end else { return None };
    let mut finding = finding(format!("boot ({})", text::line(&boot.how)), None, boot.began, None);
    finding.word = Word::Undetermined;
    finding.headline = text::line(&failure.headline());
    finding.console = console_of(boot);
    Some(finding)
}

/// The console lines that a failed boot carries.
pub(crate) fn console_of(boot: &Boot) -> Vec<String> {
    match &boot.end {
        Some(Err(BootFailure::Bad { lines, .. })) => lines.iter().map(|line| text::line(line)).collect(),
        Some(Err(BootFailure::OutOfOrder { line, .. } | BootFailure::Reset { line, .. })) => {
            vec![text::line(line)]
        }
        Some(Err(BootFailure::Late { stop, .. })) if !stop.waited().last_seen.is_empty() => {
            vec![text::line(&stop.waited().last_seen)]
        }
        Some(Err(BootFailure::Closed(closed))) if !closed.last_seen.is_empty() => {
            vec![text::line(&closed.last_seen)]
        }
        _ => Vec::new(),
    }
}

fn finding<'a>(name: String, outcome: Option<&Outcome>, began: Mono, took: Option<Duration>) -> Finding<'a> {
    let (mut expected, mut got, mut hint) = (String::new(), String::new(), None);
    match outcome {
        Some(Outcome::Fail(failure)) => {
            (expected, got) = (text::block(&failure.expected), text::block(&failure.got));
        }
        Some(Outcome::Infra(fault)) => {
            (expected, got) = (text::block(&fault.expected), text::block(&fault.got));
            hint = fault.hint.as_deref().map(text::line);
        }
        Some(Outcome::Undetermined { seen }) => got = text::block(&seen.join("\n")),
        _ => {}
    }
    let headline = outcome.map_or_else(
        || "the journal ends in the middle of it".into(),
        |outcome| text::line(&outcome.headline()),
    );
    Finding {
        name,
        case: None,
        word: Word::of(outcome),
        blame: None,
        because: None,
        headline,
        expected,
        got,
        hint,
        console: Vec::new(),
        attempt: None,
        began,
        took,
    }
}

/// What is wrong with the journal, as a sentence, and whether its evidence can still be believed.
pub fn problem(problem: &Problem) -> (bool, String) {
    match problem {
        Problem::Torn { line } => {
            (true, format!("line {line} of the journal is torn: the writer was cut off while it wrote"))
        }
        Problem::Unreadable { line, why } => {
            (false, format!("line {line} of the journal cannot be read: {}", text::line(why)))
        }
        Problem::BrokenChain { line } => (
            false,
            format!("the journal was edited: line {line} does not carry the hash of the line before it"),
        ),
        Problem::Newer { line, version } => (
            true,
            format!(
                "line {line} of the journal was written in format {version}, newer than this reader; what it says is missing here"
            ),
        ),
        Problem::Unfinished => (true, "the journal has no end: the run was killed or is still going".into()),
    }
}
