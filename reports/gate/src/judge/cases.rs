//! Boards × suites × repeats.

use std::collections::{BTreeMap, BTreeSet};

use shakedown_core::Outcome;
use shakedown_core::ledger::{Attempt, BOOT};
use shakedown_core::names::many;
use shakedown_core::outcome::Word;
use shakedown_core::shell::quote;
use shakedown_history::stats::seen_rate;

use super::{Because, Cell, Court, Exception, Missing, Reason};
use crate::evidence::{Ignored, Run, failed_steps, is_failure};
use crate::policy::{Quarantine, Require};

/// What the gate's confidence is stated at.
const CONFIDENCE: f64 = 0.95;

/// A suite or a selection.
struct Group<'a> {
    name: &'a str,
    option: &'static str,
    cases: &'a [String],
}

/// What is known of a case on a board.
#[derive(Default)]
struct Seen<'a> {
    passed: u64,
    failed: Vec<(&'a Run, &'a Attempt)>,
    skipped: bool,
    /// What its other attempts ended as.
    silent: BTreeMap<&'static str, u64>,
}

impl Seen<'_> {
    /// Attempts of which it could not be told whose fault they were, or whether there was one.
    fn open(&self) -> u64 {
        [Word::Undetermined, Word::Error].iter().filter_map(|word| self.silent.get(word.text())).sum()
    }
}

/// A case that has not passed often enough.
struct Lack {
    case: String,
    passed: u64,
    /// Passes that are missing.
    short: u64,
    /// What its other attempts ended as.
    why: String,
}

impl Court<'_> {
    pub(super) fn cases(&mut self) {
        let policy = self.policy;
        let mut told: BTreeSet<(String, String)> = BTreeSet::new();
        for require in &policy.doc.require {
            for board in &require.boards {
                self.boots_and_steps(board, &mut told);
                let suites = require.suites.iter().map(|name| (name, "--suite", &self.known.suites));
                let selections =
                    require.selections.iter().map(|name| (name, "--selection", &self.known.selections));
                let groups: Vec<_> = suites
                    .chain(selections)
                    .filter_map(|(name, option, all)| Some(Group { name, option, cases: all.get(name)? }))
                    .collect();
                for group in groups {
                    self.cell(require, board, &group, &mut told);
                }
            }
        }
        self.expired_quarantine();
    }

    fn on<'r>(&self, board: &str) -> Vec<&'r Run>
    where
        Self: 'r,
    {
        let is_there = |run: &&Run| run.ledger.head.as_ref().is_some_and(|head| head.board == board);
        self.runs.clone().into_iter().filter(is_there).collect()
    }

    fn cell(
        &mut self,
        require: &Require,
        board: &str,
        group: &Group<'_>,
        told: &mut BTreeSet<(String, String)>,
    ) {
        let runs = self.on(board);
        // A run that cannot be believed counts as one that is missing: it is to be made again. What
        // was passed before it cannot stand for it.
        let about = |ignored: &Ignored| {
            ignored.cases.is_empty() || ignored.cases.iter().any(|case| group.cases.contains(case))
        };
        let doubted: Vec<Ignored> = self.doubted(board).into_iter().filter(about).collect();
        let after = doubted.iter().filter_map(|ignored| ignored.began).max();
        let undated = doubted.iter().filter(|ignored| ignored.began.is_none()).count() as u32;
        let wanted = require.repeats + undated;
        let replaced = in_place(&doubted, after, undated);
        let mut lacking: Vec<Lack> = Vec::new();
        let mut fewest = u64::MAX;
        let mut counted = 0;
        let mut used: BTreeSet<String> = BTreeSet::new();
        for case in group.cases {
            let seen = seen(&runs, case, after);
            used.extend(runs_of(&runs, case));
            if let Some(entry) = self.quarantined(case, board) {
                let failed = seen.failed.len() as u64;
                let noted = self.answer.exceptions.iter().any(
                    |known| matches!(known, Exception::Quarantined { entry: known, .. } if known.case == *case),
                );
                if !noted {
                    let of = failed + seen.passed;
                    self.answer.exceptions.push(Exception::Quarantined { entry, failed, of });
                }
                continue;
            }
            // What could not be told is made up for by one pass more each, and never outvoted.
            let short = (u64::from(wanted) + seen.open()).saturating_sub(seen.passed);
            let enough = short == 0;
            let troubled = !seen.failed.is_empty() || !enough;
            if troubled && self.waived(board, |waiver| waiver.case.as_ref() == Some(case)) {
                continue;
            }
            let only_skipped =
                seen.skipped && seen.passed == 0 && seen.failed.is_empty() && seen.silent.is_empty();
            if only_skipped && require.may_skip.contains(case) {
                self.answer
                    .exceptions
                    .push(Exception::Skipped { case: case.clone(), board: board.to_owned() });
                continue;
            }
            counted += 1;
            fewest = fewest.min(seen.passed);
            if !seen.failed.is_empty() && told.insert((board.to_owned(), case.clone())) {
                self.answer.reasons.push(failed(board, case, &seen));
            }
            if !enough {
                lacking.push(Lack { case: case.clone(), passed: seen.passed, short, why: silence(&seen) });
            }
        }
        let passes = if counted == 0 { 0 } else { fewest };
        self.answer.cells.push(Cell {
            board: board.to_owned(),
            name: group.name.to_owned(),
            cases: counted,
            wanted,
            passes,
            seen_above: seen_rate(passes, CONFIDENCE),
            runs: used.into_iter().collect(),
        });
        if !lacking.is_empty() {
            self.answer.missing.push(self.lack(board, group, wanted, &replaced, lacking));
        }
        if counted == 0 {
            self.answer.missing.push(Missing {
                board: board.to_owned(),
                name: group.name.to_owned(),
                what: format!(
                    "{} on {board}: every case is in quarantine, waived or skipped, so nothing was shown",
                    group.name
                ),
                cases: Vec::new(),
                command: None,
                repeats: 0,
            });
        }
    }

    fn lack(
        &self,
        board: &str,
        group: &Group<'_>,
        wanted: u32,
        replaced: &str,
        lacking: Vec<Lack>,
    ) -> Missing {
        let missing = lacking.iter().map(|lack| lack.short).max().unwrap_or_default() as u32;
        let first =
            lacking.first().map(|lack| format!("{} passed {}{}", lack.case, times(lack.passed), lack.why));
        let more = match lacking.len() - 1 {
            0 => String::new(),
            1 => ", and 1 more case".to_owned(),
            more => format!(", and {more} more cases"),
        };
        // A few cases are named; a whole suite is asked for by its name.
        let few: String = if lacking.len() <= 3 && lacking.len() < group.cases.len() {
            lacking.iter().fold(String::new(), |line, lack| line + " --case " + &quote(&lack.case))
        } else {
            format!(" {} {}", group.option, group.name)
        };
        Missing {
            board: board.to_owned(),
            name: group.name.to_owned(),
            what: format!(
                "{} on {board}: {} of each case {} asked for{replaced}; {}{more}",
                group.name,
                many(wanted.into(), "pass", "passes"),
                if wanted == 1 { "is" } else { "are" },
                first.unwrap_or_default()
            ),
            cases: lacking.into_iter().map(|lack| lack.case).collect(),
            command: Some(format!(
                "shakedown run --board {board} --image {}{few} --repeat {missing}",
                quote(&self.image)
            )),
            repeats: missing,
        }
    }

    /// A boot that failed, or a step that the image failed, speaks against it whatever was asked for.
    fn boots_and_steps(&mut self, board: &str, told: &mut BTreeSet<(String, String)>) {
        let runs = self.on(board);
        let boots = seen(&runs, BOOT, None);
        let excused = self.quarantined(BOOT, board).is_some();
        if !boots.failed.is_empty() && !excused && told.insert((board.to_owned(), BOOT.to_owned())) {
            self.answer.reasons.push(failed(board, BOOT, &boots));
        }
        for run in runs {
            for (step, outcome) in failed_steps(&run.ledger) {
                if told.insert((run.ledger.run.clone(), step.to_owned())) {
                    self.answer.reasons.push(Reason {
                        because: Because::Failed,
                        board: board.to_owned(),
                        what: format!("`{step}` failed: {}", outcome.headline()),
                        runs: vec![run.ledger.run.clone()],
                        command: run.ledger.head.as_ref().map(|head| head.command.clone()),
                    });
                }
            }
        }
    }

    /// The entry in force.
    pub(super) fn quarantined(&self, case: &str, board: &str) -> Option<Quarantine> {
        let fits = |entry: &&Quarantine| {
            entry.case == case
                && entry.until >= self.today
                && (entry.boards.is_empty() || entry.boards.iter().any(|known| known == board))
        };
        self.policy.doc.quarantine.iter().find(fits).cloned()
    }

    fn expired_quarantine(&mut self) {
        for entry in self.policy.doc.quarantine.iter().filter(|entry| entry.until < self.today) {
            self.answer.reasons.push(Reason {
                because: Because::QuarantineExpired,
                board: entry.boards.join(", "),
                what: format!(
                    "the quarantine of {} expired on {}: {} ({}, {})",
                    entry.case, entry.until, entry.reason, entry.owner, entry.issue
                ),
                runs: Vec::new(),
                command: None,
            });
        }
    }
}

/// What runs that cannot be believed ask for.
fn in_place(doubted: &[Ignored], after: Option<jiff::Timestamp>, undated: u32) -> String {
    let Some(first) = doubted.first() else { return String::new() };
    let name = if first.run.is_empty() { first.path.display().to_string() } else { first.run.clone() };
    let more = match doubted.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let later = after.map(|after| after.strftime("%Y-%m-%d %H:%M:%S UTC"));
    let later = later.map(|after| format!(": only runs that began after {after} count")).unwrap_or_default();
    let undated = match undated {
        0 => String::new(),
        undated => format!(", {} more for what nobody can date", many(undated.into(), "pass", "passes")),
    };
    format!(" (in place of the run {name}{more}, not to be believed{later}{undated})")
}

fn times(many: u64) -> String {
    if many == 1 { "once".to_owned() } else { format!("{many} times") }
}

fn runs_of<'a>(runs: &'a [&Run], case: &'a str) -> impl Iterator<Item = String> + 'a {
    let has = move |run: &&&Run| run.ledger.attempts.iter().any(|attempt| attempt.case.0 == case);
    runs.iter().filter(has).map(|run| run.ledger.run.clone())
}

/// Passes count only of runs that began later than `after`; all else counts whenever it was.
fn seen<'a>(runs: &[&'a Run], case: &str, after: Option<jiff::Timestamp>) -> Seen<'a> {
    let mut seen = Seen::default();
    for run in runs {
        let late = after.is_none_or(|after| run.ledger.started.is_some_and(|began| began > after));
        for attempt in run.ledger.attempts.iter().filter(|attempt| attempt.case.0 == case) {
            match Word::of(attempt.outcome.as_ref()) {
                Word::Pass => seen.passed += u64::from(late),
                Word::Fail if is_failure(attempt) => seen.failed.push((run, attempt)),
                Word::Skip => seen.skipped = true,
                other => *seen.silent.entry(other.text()).or_default() += 1,
            }
        }
        seen.skipped |= run.ledger.plan.iter().any(|planned| planned.id.0 == case && planned.skip.is_some());
    }
    seen
}

/// Why a case has not passed, beyond that it was not run.
fn silence(seen: &Seen<'_>) -> String {
    let mut parts: Vec<String> = seen.silent.iter().map(|(word, many)| format!("{many} {word}")).collect();
    if seen.skipped {
        parts.push("skipped".into());
    }
    if !seen.failed.is_empty() {
        parts.push(format!("{} failed", seen.failed.len()));
    }
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

fn failed(board: &str, case: &str, seen: &Seen<'_>) -> Reason {
    let bad = seen.failed.len() as u64;
    let all = bad + seen.passed;
    let first = seen.failed.first();
    let why = first.and_then(|(_, attempt)| attempt.outcome.as_ref()).map(Outcome::headline);
    let how = if seen.passed > 0 { "is flaky, and failed" } else { "failed" };
    let mut runs: Vec<String> = seen.failed.iter().map(|(run, _)| run.ledger.run.clone()).collect();
    runs.dedup();
    let command = first.and_then(|(run, _)| run.ledger.head.as_ref()).map(|head| {
        // Its own command, narrowed to the case; a boot comes with any of them.
        let narrowed = case == BOOT || head.command.contains(" --case ");
        if narrowed { head.command.clone() } else { format!("{} --case {}", head.command, quote(case)) }
    });
    Reason {
        because: Because::Failed,
        board: board.to_owned(),
        what: format!(
            "{case} {how} in {bad} of {}: {}",
            many(all, "attempt", "attempts"),
            why.unwrap_or_default()
        ),
        runs,
        command,
    }
}
