//! Runs as evidence: which can be believed, and why the others cannot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shakedown_core::event::RunHead;
use shakedown_core::journal::{self, Problem};
use shakedown_core::ledger::Attempt;
use shakedown_core::outcome::Word;
use shakedown_core::{Blame, ExitCode, Ledger, Outcome, Sha};
use shakedown_history::Rows;

use crate::key::PublicKey;
use crate::seal;

/// Why a run does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// The journal cannot be read, was edited, or is not whole.
    Journal(String),
    /// There is no seal beside it.
    NotSealed,
    /// There is no seal beside it, and the history knows the run: it may have had one.
    SealGone,
    /// The seal is not by a trusted key, or was changed.
    Seal(String),
    /// The seal is of another journal.
    Swapped {
        /// What is sealed: a run and the hash of its journal's end.
        sealed: String,
        /// What lies there.
        found: String,
    },
    /// The history knows this run by another journal.
    OtherInHistory {
        /// The hash that the history has.
        history: String,
        /// The journal's.
        journal: String,
    },
    /// Rows of the history do not say what the journal says.
    Row(String),
    /// The results file is not the one that this journal gives.
    Results(String),
    /// The history knows the run, and its journal is not there.
    Gone(PathBuf),
    /// Another journal of the same run was read before.
    Twice(PathBuf),
    /// Of other suites than the ones that are asked for.
    Suites {
        /// The gate's.
        expected: Sha,
        /// The run's.
        got: String,
    },
    /// On a simulated slot: it says nothing about an image.
    Simulated,
    /// Too old for the policy.
    Old(jiff::Timestamp),
    /// From the future.
    Future(jiff::Timestamp),
}

impl Doubt {
    /// Whether somebody or something changed what was written: then the run must be made again.
    pub fn is_tampering(&self) -> bool {
        !matches!(self, Self::Old(_) | Self::Suites { .. } | Self::NotSealed | Self::Simulated)
    }

    /// One sentence.
    pub fn told(&self) -> String {
        match self {
            Self::Journal(why) => format!("its journal proves nothing: {why}"),
            Self::NotSealed => format!("no run signed its journal: there is no {} beside it", seal::FILE),
            Self::SealGone => {
                format!("the history knows it, and there is no {} beside its journal", seal::FILE)
            }
            Self::Seal(why) => format!("its seal proves nothing: {why}"),
            Self::Swapped { sealed, found } => {
                format!("the seal is of another journal: it was made for {sealed}, and {found} lies there")
            }
            Self::OtherInHistory { history, journal } => format!(
                "the history knows this run by a journal that ends in {history}, this one ends in {journal}"
            ),
            Self::Row(what) => format!("the history was edited: {what}"),
            Self::Results(file) => format!("{file} was edited: it is not what the journal gives"),
            Self::Gone(path) if path.as_os_str().is_empty() => {
                "the history knows it, but names no journal, and none was found".into()
            }
            Self::Gone(path) => format!("the history knows it, but its journal {} is gone", path.display()),
            Self::Twice(path) => format!("the same run was read from {} already", path.display()),
            Self::Suites { expected, got } => format!(
                "mixed suite versions: it ran suites {}, asked for are {}",
                got.chars().take(12).collect::<String>(),
                expected.short()
            ),
            Self::Simulated => "it ran on a simulated slot, which says nothing about an image".into(),
            Self::Old(at) => format!("too old: it began at {at}"),
            Self::Future(at) => format!("it began at {at}, which has not come yet"),
        }
    }
}

/// A run that was read.
#[derive(Debug)]
pub struct Run {
    /// The journal's path.
    pub path: PathBuf,
    /// Of the journal's bytes.
    pub sha: Sha,
    /// The hash of its last line.
    pub head: Sha,
    /// What it adds up to.
    pub ledger: Ledger,
    /// The name of the key that sealed it.
    pub by: String,
}

/// What stands before a step's name in [`Ignored::failed`]; alone, for a step that nobody can name.
pub const STEP: &str = "step ";

/// A run that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ignored {
    /// Its id, as far as it is known.
    pub run: String,
    /// Where it lies.
    pub path: PathBuf,
    /// The board that it claims.
    pub board: Option<String>,
    /// The image that it claims, by the hash of the decompressed image.
    pub image: Option<String>,
    /// The cases that it claims to have been about; empty when nobody knows.
    pub cases: Vec<String>,
    /// The cases, and after [`STEP`] the steps, that failed in it by what its journal or the history
    /// says: failures of the OS or the image, or nobody knows whose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
    /// It ran on a simulated slot, by all that is known of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
    /// When it began, as far as that is known.
    pub began: Option<jiff::Timestamp>,
    /// Why.
    pub doubt: Doubt,
}

/// Where evidence is looked for.
pub struct Source<'a> {
    /// Journals that were named.
    pub journals: Vec<PathBuf>,
    /// Runs that the history knows of the images in question, and of the journals above.
    pub history: Vec<Rows>,
    /// What the results file of a run must be, from its ledger: name and text.
    pub results: &'a dyn Fn(&Ledger) -> (&'static str, String),
}

/// All runs, believed and not.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Those that may count.
    pub runs: Vec<Run>,
    /// Those that do not.
    pub ignored: Vec<Ignored>,
}

impl Evidence {
    /// Reads everything there is. Nothing stops it: what cannot be believed is named.
    pub fn read(source: &Source<'_>, keys: &[PublicKey], names: &[String]) -> Self {
        let mut all = Self::default();
        let mut paths = source.journals.clone();
        let known: BTreeMap<&str, &Rows> =
            source.history.iter().map(|rows| (rows.run.run.as_str(), rows)).collect();
        for rows in &source.history {
            // What another program reported has no journal, and nobody takes it for one.
            let journal = &rows.run.journal;
            if !journal.as_os_str().is_empty() && !paths.contains(journal) {
                paths.push(journal.clone());
            }
        }
        let mut seen: BTreeMap<String, (PathBuf, Sha)> = BTreeMap::new();
        for path in paths {
            let place = source.history.iter().find(|rows| rows.run.journal == path);
            if place.is_some() && !path.exists() {
                continue;
            }
            match read_one(&path, place, &known, source, keys, names) {
                Ok(run) => match seen.get(&run.ledger.run) {
                    Some((_, head)) if *head == run.head => {}
                    Some((first, _)) => {
                        let doubt = Doubt::Twice(first.clone());
                        all.ignored.push(ignored(&run.path, Some(&run.ledger), None, true, doubt));
                    }
                    None => {
                        seen.insert(run.ledger.run.clone(), (run.path.clone(), run.head));
                        all.runs.push(run);
                    }
                },
                Err(bad) => all.ignored.push(*bad),
            }
        }
        // A folder may have been moved: then its run was read where it lies now.
        for rows in source.history.iter().filter(|rows| rows.of_journal()) {
            let run = &rows.run.run;
            if !seen.contains_key(run) && !all.ignored.iter().any(|ignored| ignored.run == *run) {
                let doubt = Doubt::Gone(rows.run.journal.clone());
                all.ignored.push(ignored(&rows.run.journal, None, Some(rows), false, doubt));
            }
        }
        all
    }
}

/// What the history has comes first, for a journal that cannot be believed may name another board;
/// but not before a `genuine` journal, one that a trusted key sealed: then the history was edited.
fn ignored(
    path: &Path,
    ledger: Option<&Ledger>,
    known: Option<&Rows>,
    genuine: bool,
    doubt: Doubt,
) -> Ignored {
    let head = ledger.and_then(|ledger| ledger.head.as_ref());
    let row = known.map(|rows| &rows.run);
    let of_journal = ledger.into_iter().flat_map(|ledger| {
        let planned = ledger.plan.iter().map(|planned| planned.id.0.clone());
        planned.chain(ledger.attempts.iter().map(|attempt| attempt.case.0.clone()))
    });
    let of_history = known.into_iter().flat_map(|rows| rows.attempts.iter().map(|row| row.case.clone()));
    let mut failed = ledger.map(failed_in).unwrap_or_default();
    failed.extend(known.map(failed_of).unwrap_or_default());
    // A step has no row: where no journal can say which it was, the run's exit says that there was one.
    let is_told = |rows: &Rows| rows.attempts.iter().any(|row| row.outcome == Word::Fail);
    let failed_run = row.is_some_and(|row| row.exit == Some(ExitCode::Failed));
    if failed.is_empty() && failed_run && !known.is_some_and(is_told) {
        failed.push(STEP.to_owned());
    }
    let sorted = |names: &mut dyn Iterator<Item = String>| {
        let mut names: Vec<String> = names.collect();
        names.sort();
        names.dedup();
        names
    };
    let simulated = [row.map(|row| row.simulated), head.map(|_| ledger.is_some_and(is_simulated))];
    let mut simulated = simulated.into_iter().flatten().peekable();
    let run = ledger.map(|ledger| ledger.run.clone()).filter(|run| !run.is_empty());
    Ignored {
        run: row.map(|row| row.run.clone()).or(run).unwrap_or_default(),
        path: path.to_owned(),
        board: pick(genuine, head.map(|head| head.board.clone()), row.map(|row| row.board.clone())),
        image: pick(
            genuine,
            head.map(|head| head.image.payload.to_string()),
            row.map(|row| row.image.payload.clone()),
        ),
        cases: sorted(&mut of_journal.chain(of_history)),
        failed: sorted(&mut failed.into_iter()),
        simulated: simulated.peek().is_some() && simulated.all(|is| is),
        began: pick(genuine, ledger.and_then(|ledger| ledger.started), row.map(|row| row.started)),
        doubt,
    }
}

fn pick<T>(genuine: bool, journal: Option<T>, history: Option<T>) -> Option<T> {
    if genuine { journal.or(history) } else { history.or(journal) }
}

/// Whether a journal says that it is of a simulated slot.
pub(crate) fn is_simulated(ledger: &Ledger) -> bool {
    ledger.head.as_ref().is_some_and(RunHead::is_simulated)
}

/// What failed by a run's journal.
pub(crate) fn failed_in(ledger: &Ledger) -> Vec<String> {
    let cases = ledger.attempts.iter().filter(|attempt| is_failure(attempt));
    let cases = cases.map(|attempt| attempt.case.0.clone());
    let steps = failed_steps(ledger).map(|(step, _)| format!("{STEP}{step}"));
    cases.chain(steps).collect()
}

/// What failed by the history's rows.
fn failed_of(rows: &Rows) -> Vec<String> {
    let failed = rows.attempts.iter().filter(|row| is_failure_of(row.outcome, row.blame));
    failed.map(|row| row.case.clone()).collect()
}

/// Steps that the image failed, with how.
pub(crate) fn failed_steps(ledger: &Ledger) -> impl Iterator<Item = (&str, &Outcome)> {
    let ours = |(_, outcome, blame): &(_, &Outcome, Blame)| {
        matches!(outcome, Outcome::Fail(_)) && matches!(blame, Blame::Os | Blame::Image)
    };
    ledger.failed_steps().filter(ours).map(|(step, outcome, _)| (step.name.as_str(), outcome))
}

fn read_one(
    path: &Path,
    place: Option<&Rows>,
    known: &BTreeMap<&str, &Rows>,
    source: &Source<'_>,
    keys: &[PublicKey],
    names: &[String],
) -> Result<Run, Box<Ignored>> {
    let Ok(text) = std::fs::read(path) else {
        return Err(Box::new(ignored(path, None, place, false, Doubt::Gone(path.to_owned()))));
    };
    let read = journal::read(&text);
    let ledger = Ledger::of(&read);
    let of_run = place.or(known.get(ledger.run.as_str()).copied());
    let refuse = |doubt: Doubt| Box::new(ignored(path, Some(&ledger), of_run, false, doubt));
    let folder = path.parent().unwrap_or(Path::new("."));
    if let Some(problem) = read.problems.iter().find(|problem| !matches!(problem, Problem::Unfinished)) {
        return Err(refuse(Doubt::Journal(seal::told(problem))));
    }
    let Some(head) = read.head else { return Err(refuse(Doubt::Journal("it is empty".into()))) };
    let (sealed, by) = match seal::read(folder, keys) {
        // A run that was killed has no seal and no end: told as what it is.
        None if !read.problems.is_empty() && !is_simulated(&ledger) => {
            return Err(refuse(Doubt::Journal(seal::told(&Problem::Unfinished))));
        }
        None => {
            let was = of_run.is_some_and(|rows| !rows.run.simulated);
            return Err(refuse(if was { Doubt::SealGone } else { Doubt::NotSealed }));
        }
        Some(Err(why)) => return Err(refuse(Doubt::Seal(why.to_string()))),
        Some(Ok(sealed)) => sealed,
    };
    if sealed.head != head || sealed.run != ledger.run || sealed.lines != read.entries.len() as u64 {
        return Err(refuse(Doubt::Swapped {
            sealed: format!("run {} with end {}", sealed.run, sealed.head.short()),
            found: format!("run {} with end {}", ledger.run, head.short()),
        }));
    }
    // What lies where the history saw another run.
    if let Some(rows) = place.filter(|rows| rows.run.run != ledger.run) {
        return Err(refuse(Doubt::Swapped {
            sealed: format!("run {} (so the history)", rows.run.run),
            found: format!("run {}", ledger.run),
        }));
    }
    let refuse = |doubt: Doubt| Box::new(ignored(path, Some(&ledger), of_run, true, doubt));
    if let Some(rows) = known.get(ledger.run.as_str()) {
        let row = &rows.run;
        if row.head != head.to_string() {
            let (history, journal) = (row.head.chars().take(12).collect(), head.short());
            return Err(refuse(Doubt::OtherInHistory { history, journal }));
        }
        if let Some(what) = rows.differ(&ledger) {
            return Err(refuse(Doubt::Row(what)));
        }
    }
    let (name, wanted) = (source.results)(&ledger);
    if std::fs::read(folder.join(name)).is_ok_and(|found| found != wanted.as_bytes()) {
        return Err(refuse(Doubt::Results(name.to_owned())));
    }
    let by = names.get(by).cloned().unwrap_or_default();
    Ok(Run { path: path.to_owned(), sha: Sha::of(&text), head, ledger, by })
}

/// Whether an attempt is a failure of what is to ship, rather than of the rig or the harness.
pub(crate) fn is_failure(attempt: &Attempt) -> bool {
    is_failure_of(Word::of(attempt.outcome.as_ref()), attempt.blame)
}

fn is_failure_of(word: Word, blame: Option<Blame>) -> bool {
    word == Word::Fail && !matches!(blame, Some(Blame::Rig | Blame::Harness))
}
