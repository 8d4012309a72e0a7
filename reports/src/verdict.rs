//! The verdict in one line, the same in every rendering.

use std::fmt;

use serde::{Deserialize, Serialize};
use shakedown_core::ledger::Ledger;
use shakedown_core::{Blame, ExitCode};

use crate::text;
use crate::view::{self, CaseView, Finding, Word};

/// The first word of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruling {
    /// All that ran passed, and something ran.
    Pass,
    /// The OS failed.
    Fail,
    /// Usage, descriptor or image refused.
    Refused,
    /// The rig broke.
    Infra,
    /// It cannot be told whose fault it was.
    Undetermined,
    /// A bug in the harness or in a case.
    Error,
    /// Not enough evidence.
    NoEvidence,
    /// Nothing ran.
    NothingRan,
    /// Stopped by a person or killed.
    Interrupted,
    /// The journal was edited or is damaged: what it claims proves nothing.
    Untrusted,
}

impl Ruling {
    /// In capitals, as it opens the line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Refused => "REFUSED",
            Self::Infra => "INFRA",
            Self::Undetermined => "UNDETERMINED",
            Self::Error => "ERROR",
            Self::NoEvidence => "NO EVIDENCE",
            Self::NothingRan => "NOTHING RAN",
            Self::Interrupted => "INTERRUPTED",
            Self::Untrusted => "UNTRUSTED",
        }
    }
}

/// What a run adds up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The first word.
    pub ruling: Ruling,
    /// Whose fault it is; `None` when nothing is wrong, or the run did not get that far.
    pub blame: Option<Blame>,
    /// The exit code that this adds up to: the heavier one of the recorded and the computed.
    pub exit: ExitCode,
    /// The rest of the line, without escape codes, on one line.
    pub sentence: String,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.ruling.word())?;
        if let Some(blame) = self.blame.filter(|_| self.ruling != Ruling::Undetermined) {
            write!(f, " ({})", blame_word(blame))?;
        }
        write!(f, " — {}", self.sentence)
    }
}

/// The word for people: `OS`, `rig`.
pub fn blame_word(blame: Blame) -> &'static str {
    match blame {
        Blame::Os => "OS",
        other => other.word(),
    }
}

/// The verdict in one line: `FAIL (OS) — kernel panic at boot: …`.
pub fn verdict(ledger: &Ledger) -> String {
    view::View::of(ledger).verdict.to_string()
}

impl Verdict {
    pub(crate) fn of(ledger: &Ledger, cases: &[CaseView<'_>]) -> Self {
        let findings = view::findings(ledger, cases);
        let claim = claimed(ledger, cases, &findings);
        let broken = ledger.problems.iter().map(view::problem).find(|(trusted, _)| !trusted);
        match broken {
            None => claim,
            Some((_, why)) => Self {
                ruling: Ruling::Untrusted,
                blame: None,
                exit: claim.exit.and(ExitCode::Infra),
                sentence: format!("{why}; it claims: {claim}"),
            },
        }
    }
}

/// What a journal says whose chain is whole.
fn claimed(ledger: &Ledger, cases: &[CaseView<'_>], findings: &[Finding<'_>]) -> Verdict {
    let Some((recorded, _, took, _)) = &ledger.end else {
        return Verdict {
            ruling: Ruling::Interrupted,
            blame: None,
            exit: ExitCode::Interrupted,
            sentence: stopped(ledger, cases),
        };
    };
    let exit = recorded.and(ledger.exit());
    let (ruling, first) = ruling(exit, findings);
    let about = format!("{}{}", on_what(ledger), format_args!(" in {}", text::span(*took)));
    let tally = tally(cases);
    let sentence = match (ruling, first) {
        // As a person would say it, when there is nothing to set apart.
        (Ruling::Pass, _) if !tally.contains(',') => format!("{tally}{}", about.trim_start_matches(',')),
        (Ruling::Pass, _) => format!("{tally}{about}"),
        (Ruling::Interrupted, _) => format!("{}{about}", stopped(ledger, cases)),
        (_, Some(first)) => format!("{}; {tally}{about}", told(first, findings)),
        (_, None) => {
            // Refused before anything began: the run's own words are all there is.
            let own = ledger.end.as_ref().map(|(_, verdict, _, _)| text::line(verdict)).unwrap_or_default();
            own.split_once(" — ").map_or_else(|| format!("{tally}{about}"), |(_, rest)| rest.to_owned())
        }
    };
    let blame = first.and_then(|finding| finding.blame).filter(|_| ruling != Ruling::Pass);
    let blame = blame.or((ruling == Ruling::Infra).then_some(Blame::Rig));
    Verdict { ruling, blame, exit, sentence }
}

/// The first word, and the finding that decided it.
fn ruling<'a>(exit: ExitCode, findings: &'a [Finding<'a>]) -> (Ruling, Option<&'a Finding<'a>>) {
    let first = |words: &[Word]| findings.iter().find(|finding| words.contains(&finding.word));
    match exit {
        ExitCode::Ok => (Ruling::Pass, None),
        ExitCode::Failed => (Ruling::Fail, first(&[Word::Fail, Word::Flaky])),
        ExitCode::Refused => {
            (Ruling::Refused, findings.iter().find(|finding| finding.blame == Some(Blame::Image)))
        }
        ExitCode::Infra => match first(&[Word::Infra]) {
            Some(infra) => (Ruling::Infra, Some(infra)),
            None => (Ruling::Undetermined, first(&[Word::Undetermined, Word::CutOff])),
        },
        ExitCode::NoEvidence => (Ruling::NoEvidence, None),
        ExitCode::NothingRan => (Ruling::NothingRan, None),
        ExitCode::Bug => (Ruling::Error, first(&[Word::Error])),
        ExitCode::Interrupted => (Ruling::Interrupted, None),
    }
}

/// What went wrong first, and how much more of it there is.
fn told(first: &Finding<'_>, findings: &[Finding<'_>]) -> String {
    let headline = text::cut(&first.headline, 160);
    let more = findings.iter().filter(|finding| finding.word == first.word).count() - 1;
    let place =
        if first.word == Word::Flaky { format!("{} is flaky", first.name) } else { first.name.clone() };
    if more == 0 { format!("{place}: {headline}") } else { format!("{place}: {headline} (and {more} more)") }
}

/// `34 of 36 cases passed, 2 skipped`.
fn tally(cases: &[CaseView<'_>]) -> String {
    if cases.is_empty() {
        return "no case was planned".into();
    }
    let counts = view::counts(cases);
    let many = |word| counts.iter().find(|(w, _)| *w == word).map_or(0, |(_, many)| *many);
    let aside = many(Word::Skip);
    let total = cases.len() - aside;
    let mut out = match total {
        0 => "no case ran".to_owned(),
        _ => format!("{} of {} passed", many(Word::Pass), text::count(total, "case")),
    };
    for (word, many) in counts.into_iter().filter(|(word, _)| *word != Word::Pass) {
        out += &format!(", {many} {}", word.counted());
    }
    out
}

/// `, on generic-amd64 (shakedown-reference 1.0.0)`; a simulated slot is told, since it tests no OS.
fn on_what(ledger: &Ledger) -> String {
    let Some(head) = &ledger.head else { return String::new() };
    let os = match (&head.image.os, &head.image.version) {
        (Some(os), Some(version)) => format!("{} {}", text::line(os), text::line(version)),
        (Some(os), None) => text::line(os),
        (None, _) => format!("image {}", head.image.payload.short()),
    };
    let simulated = if head.is_simulated() { " (simulated)" } else { "" };
    format!(", on {}{simulated} ({os})", text::line(&head.board))
}

/// Where a run stopped that was not let end.
fn stopped(ledger: &Ledger, cases: &[CaseView<'_>]) -> String {
    let open_case = ledger.attempts.iter().rfind(|attempt| attempt.outcome.is_none());
    let open_step = ledger.steps.iter().rfind(|step| step.took.is_none());
    let open_boot = ledger.boots.last().filter(|boot| boot.end.is_none());
    let place = match (open_case, open_step, open_boot) {
        (Some(attempt), _, _) => format!("stopped in case {}", text::line(&attempt.case.0)),
        (None, Some(step), Some(boot)) => {
            format!("stopped in step `{}` ({})", text::line(&step.name), boot_place(boot))
        }
        (None, Some(step), None) => format!("stopped in step `{}`", text::line(&step.name)),
        (None, None, Some(boot)) => format!("stopped in a boot ({})", boot_place(boot)),
        (None, None, None) if ledger.head.is_none() => "stopped before the run began".into(),
        (None, None, None) if ledger.attempts.is_empty() && ledger.steps.is_empty() => {
            "stopped before the first step".into()
        }
        (None, None, None) => match (ledger.attempts.last(), ledger.steps.last()) {
            (Some(attempt), step) if step.is_none_or(|step| step.began <= attempt.began) => {
                format!("stopped after case {}", text::line(&attempt.case.0))
            }
            (_, Some(step)) => format!("stopped after step `{}`", text::line(&step.name)),
            (_, None) => "stopped before the first step".into(),
        },
    };
    // With an end the run's own length is told, and the last record's time is that of the end itself.
    let at = match &ledger.end {
        Some(_) => String::new(),
        None => format!(", {} into the run", text::span(ledger.into_run(ledger.last))),
    };
    let done = if cases.is_empty() { "nothing was planned yet".into() } else { tally(cases) };
    format!("{place}{at}; until then {done}")
}

fn boot_place(boot: &shakedown_core::ledger::Boot) -> String {
    match boot.stages.last() {
        Some(stage) => format!("{}, after stage {}", text::line(&boot.how), text::line(&stage.name)),
        None => format!("{}, before its first stage", text::line(&boot.how)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_on_a_simulated_slot_says_so() {
        let text = include_bytes!("../corpus/real-amd64.jsonl");
        let mut ledger = Ledger::of(&shakedown_core::journal::read(text));
        assert!(!verdict(&ledger).contains("simulated"), "{}", verdict(&ledger));
        let head = ledger.head.as_mut().expect("a head");
        head.facts.insert("simulated".into(), "seed 3".into());
        assert!(verdict(&ledger).contains("on generic-amd64 (simulated) ("), "{}", verdict(&ledger));
    }
}
