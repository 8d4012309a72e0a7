//! Runs as evidence: which can be believed, and why the others cannot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shakedown_core::journal::{self, Problem};
use shakedown_core::ledger::Attempt;
use shakedown_core::outcome::Word;
use shakedown_core::{Blame, Ledger, Sha};
use shakedown_history::{AttemptRow, RunRow};

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
    /// When it began, as far as that is known.
    pub began: Option<jiff::Timestamp>,
    /// Why.
    pub doubt: Doubt,
}

/// Where evidence is looked for.
pub struct Source<'a> {
    /// Journals that were named.
    pub journals: Vec<PathBuf>,
    /// Runs that the history knows of the images in question, each with its attempts.
    pub history: Vec<(RunRow, Vec<AttemptRow>)>,
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
        let known: BTreeMap<&str, &(RunRow, Vec<AttemptRow>)> =
            source.history.iter().map(|row| (row.0.run.as_str(), row)).collect();
        for (row, _) in &source.history {
            // What another program reported is no journal, and nobody takes it for one.
            if row.source == "journal" && !row.journal.as_os_str().is_empty() && !paths.contains(&row.journal)
            {
                paths.push(row.journal.clone());
            }
        }
        let mut seen: BTreeMap<String, (PathBuf, Sha)> = BTreeMap::new();
        for path in paths {
            let row = source.history.iter().find(|(row, _)| row.journal == path).map(|(row, _)| row);
            match read_one(&path, row, &known, source, keys, names) {
                Ok(run) => match seen.get(&run.ledger.run) {
                    Some((_, head)) if *head == run.head => {}
                    Some((first, _)) => {
                        let doubt = Doubt::Twice(first.clone());
                        all.ignored.push(ignored(&run.path, Some(&run.ledger), None, doubt));
                    }
                    None => {
                        seen.insert(run.ledger.run.clone(), (run.path.clone(), run.head));
                        all.runs.push(run);
                    }
                },
                Err(bad) => all.ignored.push(*bad),
            }
        }
        all
    }
}

/// A run as the history has it.
type Known = (RunRow, Vec<AttemptRow>);

/// What the history has comes first: a journal that cannot be believed may name another board.
fn ignored(path: &Path, ledger: Option<&Ledger>, known: Option<&Known>, doubt: Doubt) -> Ignored {
    let head = ledger.and_then(|ledger| ledger.head.as_ref());
    let row = known.map(|(row, _)| row);
    let of_journal = ledger.into_iter().flat_map(|ledger| {
        let planned = ledger.plan.iter().map(|planned| planned.id.0.clone());
        planned.chain(ledger.attempts.iter().map(|attempt| attempt.case.0.clone()))
    });
    let of_history = known.into_iter().flat_map(|(_, rows)| rows.iter().map(|row| row.case.clone()));
    let mut cases: Vec<String> = of_journal.chain(of_history).collect();
    cases.sort();
    cases.dedup();
    let run = ledger.map(|ledger| ledger.run.clone()).filter(|run| !run.is_empty());
    Ignored {
        run: row.map(|row| row.run.clone()).or(run).unwrap_or_default(),
        path: path.to_owned(),
        board: row.map(|row| row.board.clone()).or(head.map(|head| head.board.clone())),
        image: row.map(|row| row.image.payload.clone()).or(head.map(|head| head.image.payload.to_string())),
        cases,
        began: row.map(|row| row.started).or(ledger.and_then(|ledger| ledger.started)),
        doubt,
    }
}

fn read_one(
    path: &Path,
    row: Option<&RunRow>,
    known: &BTreeMap<&str, &(RunRow, Vec<AttemptRow>)>,
    source: &Source<'_>,
    keys: &[PublicKey],
    names: &[String],
) -> Result<Run, Box<Ignored>> {
    let of_place = row.and_then(|row| known.get(row.run.as_str())).copied();
    let Ok(text) = std::fs::read(path) else {
        return Err(Box::new(ignored(path, None, of_place, Doubt::Gone(path.to_owned()))));
    };
    let read = journal::read(&text);
    let ledger = Ledger::of(&read);
    let of_run = of_place.or(known.get(ledger.run.as_str()).copied());
    let refuse = |doubt: Doubt| Box::new(ignored(path, Some(&ledger), of_run, doubt));
    let folder = path.parent().unwrap_or(Path::new("."));
    if let Some(problem) = read.problems.iter().find(|problem| !matches!(problem, Problem::Unfinished)) {
        return Err(refuse(Doubt::Journal(seal::told(problem))));
    }
    let Some(head) = read.head else { return Err(refuse(Doubt::Journal("it is empty".into()))) };
    let (sealed, by) = match seal::read(folder, keys) {
        // A run that was killed has no seal and no end: told as what it is.
        None if !read.problems.is_empty() => {
            return Err(refuse(Doubt::Journal(seal::told(&Problem::Unfinished))));
        }
        None => {
            let was = of_run.is_some_and(|(row, _)| !row.simulated);
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
    if let Some(row) = row.filter(|row| row.run != ledger.run) {
        return Err(refuse(Doubt::Swapped {
            sealed: format!("run {} (so the history)", row.run),
            found: format!("run {}", ledger.run),
        }));
    }
    if let Some((row, rows)) = known.get(ledger.run.as_str()) {
        if row.head != head.to_string() {
            let (history, journal) = (row.head.chars().take(12).collect(), head.short());
            return Err(refuse(Doubt::OtherInHistory { history, journal }));
        }
        if let Some(what) = rows_differ(&ledger, row, rows) {
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

/// The first thing in which the history's rows are not the journal's.
fn rows_differ(ledger: &Ledger, row: &RunRow, rows: &[AttemptRow]) -> Option<String> {
    let head = ledger.head.as_ref()?;
    let about = [
        ("board", &row.board, &head.board),
        ("slot", &row.slot, &head.slot),
        ("image", &row.image.payload, &head.image.payload.to_string()),
    ];
    if let Some((what, history, journal)) = about.into_iter().find(|(_, history, journal)| history != journal)
    {
        return Some(format!("{what} is {history} there and {journal} in the journal"));
    }
    if rows.len() != ledger.attempts.len() {
        return Some(format!("{} attempts there and {} in the journal", rows.len(), ledger.attempts.len()));
    }
    rows.iter().find_map(|row| {
        let of = ledger.attempts.get(row.ordinal as usize)?;
        let word = Word::of(of.outcome.as_ref());
        (word != row.outcome || of.blame != row.blame).then(|| {
            format!("{} is `{}` there and `{}` in the journal", of.case, row.outcome.text(), word.text())
        })
    })
}

/// Whether an attempt is a failure of what is to ship, rather than of the rig or the harness.
pub(crate) fn is_failure(attempt: &Attempt) -> bool {
    Word::of(attempt.outcome.as_ref()) == Word::Fail
        && !matches!(attempt.blame, Some(Blame::Rig | Blame::Harness))
}
