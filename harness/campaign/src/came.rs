//! What one run added up to, as a campaign sees it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shakedown_core::ledger::Attempt;
use shakedown_core::outcome::Word;
use shakedown_core::{Blame, CaseId, Ledger, Outcome};

/// The runner's row for what an interrupt ended.
const INTERRUPTED: &str = "interrupted";

/// One attempt of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Which case.
    pub case: CaseId,
    /// What came of it.
    pub word: Word,
    /// Whose fault it is, where something went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blame: Option<Blame>,
    /// Its first line; empty for a pass.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub says: String,
}

/// The class of a run: what decides what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Everything that ran passed.
    Passed,
    /// Something failed, or a case is broken, or the image was refused.
    Failed,
    /// Nothing failed, and something could not be told.
    Undetermined,
    /// The rig broke, whatever else came.
    Infra,
    /// It was cut off.
    Cut,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Came {
    /// What decides what happens next.
    pub class: Class,
    /// The attempts, in order.
    pub seen: Vec<Seen>,
    /// Failed steps and faults, each with its word: `write image: no card`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<(Word, String)>,
    /// From power-off to safe state, on the run's clock.
    #[serde(with = "shakedown_core::time::millis")]
    pub took: Duration,
    /// Of that, waiting for the DUT or its medium.
    #[serde(with = "shakedown_core::time::millis")]
    pub waited: Duration,
}

impl Came {
    /// The same, of a run whose record could not be finished: the host's fault, and what was seen
    /// until then stays seen.
    #[must_use]
    pub fn unfinished(mut self, why: String) -> Self {
        self.class = Class::Infra;
        self.steps.push((Word::Infra, why));
        self
    }

    /// From a journal, whole or cut anywhere.
    pub fn of(ledger: &Ledger) -> Self {
        let mut seen: Vec<_> = ledger
            .attempts
            .iter()
            .map(|attempt| Seen {
                case: attempt.case.clone(),
                word: word(attempt),
                blame: attempt.blame,
                says: attempt.outcome.as_ref().map(|outcome| line(&outcome.headline())).unwrap_or_default(),
            })
            .collect();
        // What was planned and never begun is as open as what was cut off.
        let begun: BTreeSet<_> = ledger.attempts.iter().map(|attempt| &attempt.case).collect();
        let left = ledger.plan.iter().filter(|planned| !begun.contains(&planned.id));
        seen.extend(left.map(|planned| Seen {
            case: planned.id.clone(),
            word: Word::CutOff,
            blame: None,
            says: String::new(),
        }));
        let steps: Vec<_> = ledger
            .failed_steps()
            .map(|(step, outcome, _)| {
                (Word::of(Some(outcome)), format!("{}: {}", step.name, line(&outcome.headline())))
            })
            .collect();
        let ended = ledger.end.as_ref().filter(|end| end.0 != shakedown_core::ExitCode::Interrupted);
        let (took, waited) = ledger.end.as_ref().map(|end| (end.2, end.3)).unwrap_or_default();
        let class = if ended.is_some() { class(&seen, &steps) } else { Class::Cut };
        Self { class, seen, steps, took, waited }
    }

    /// Whether this attempt needs no other, in a run that did not come to its end.
    pub(crate) fn is_settled(&self, seen: &Seen) -> bool {
        let answers = |word| matches!(word, Word::Fail | Word::Error | Word::Undetermined);
        match seen.word {
            Word::Undetermined => true,
            // What blocked it was seen, and has the answer.
            Word::Blocked => {
                self.seen.iter().any(|seen| answers(seen.word))
                    || self.steps.iter().any(|(word, _)| *word == Word::Fail)
            }
            word => word.is_answer(),
        }
    }

    /// Of a run of the control image: `judge` says what each of its outcomes says about the other image's.
    pub fn of_control(ledger: &Ledger, judge: fn(&Outcome) -> Blame) -> Self {
        let mut came = Self::of(ledger);
        for (seen, attempt) in came.seen.iter_mut().zip(&ledger.attempts) {
            // What an interrupt ended settles nothing.
            seen.blame = attempt.outcome.as_ref().filter(|_| seen.word != Word::CutOff).map(judge);
        }
        came
    }

    /// A run that never began: the slot could not be had.
    pub fn not_begun(why: String) -> Self {
        let steps = vec![(Word::Infra, why)];
        Self { class: Class::Infra, seen: Vec::new(), steps, took: Duration::ZERO, waited: Duration::ZERO }
    }

    /// A run that the image kept from beginning.
    pub fn refused(why: String) -> Self {
        Self { class: Class::Failed, steps: vec![(Word::Fail, why)], ..Self::not_begun(String::new()) }
    }

    /// The first reason why it was no good, for people.
    pub fn reason(&self) -> String {
        let step = self.steps.first().map(|(_, says)| says.clone());
        let bad = |seen: &&Seen| !matches!(seen.word, Word::Pass | Word::Skip | Word::Blocked);
        let case = self.seen.iter().find(bad).map(|seen| format!("{}: {}", seen.case, seen.says));
        step.or(case).unwrap_or_default()
    }
}

/// What a DUT said, on one line: a terminal takes nothing in it for a command.
fn line(says: &str) -> String {
    let words: Vec<_> = says.split(char::is_control).map(str::trim).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// What an interrupt ended was cut off: it says nothing about the OS, and is done again.
fn word(attempt: &Attempt) -> Word {
    let interrupted = attempt.because.as_deref() == Some(INTERRUPTED);
    Word::of(attempt.outcome.as_ref().filter(|_| !interrupted))
}

fn class(seen: &[Seen], steps: &[(Word, String)]) -> Class {
    let any = |word| seen.iter().any(|seen| seen.word == word) || steps.iter().any(|(step, _)| *step == word);
    // A run that came to its end and left something out was broken off by its host.
    if any(Word::Infra) || any(Word::CutOff) {
        Class::Infra
    } else if any(Word::Fail) || any(Word::Error) {
        Class::Failed
    } else if any(Word::Undetermined) {
        Class::Undetermined
    } else {
        Class::Passed
    }
}
