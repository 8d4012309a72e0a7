//! Run folders as history and gate read them.

use std::path::{Path, PathBuf};

use shakedown_core::journal::{self, Problem};
use shakedown_core::{Ledger, Sha};
use shakedown_gate::{GateError, SecretKey};
use shakedown_history::{Added, History, HistoryError, Origin};

use crate::CliError;
use crate::say::err;

/// The variable that names the history file.
pub const VARIABLE: &str = "SHAKEDOWN_HISTORY";

/// The key that this host's runs sign their journals with; made at its first use.
pub fn run_key() -> Result<SecretKey, CliError> {
    Ok(SecretKey::read_or_make(&run_key_path()?)?)
}

/// `SHAKEDOWN_RUN_KEY`, else `shakedown/run.key` in the user's configuration.
pub fn run_key_path() -> Result<PathBuf, CliError> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || named("HOME").map(|home| home.join(".config"));
    let usual = || Some(named("XDG_CONFIG_HOME").or_else(home)?.join("shakedown/run.key"));
    named("SHAKEDOWN_RUN_KEY").or_else(usual).ok_or_else(|| {
        CliError::refused("there is no place for the run's key: neither HOME nor SHAKEDOWN_RUN_KEY is set")
    })
}

/// Signs the journal of a run that just ended. A run without it is a run all the same: only the gate
/// will not count it.
pub fn seal(folder: &Path) {
    let sealed = run_key().and_then(|key| Ok(shakedown_gate::seal::seal(folder, &key)?));
    if let Err(error) = sealed {
        err!("warning: the journal is not signed, and the gate will not count this run\n {}", error.what);
    }
}

impl From<GateError> for CliError {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Random { .. } => Self::infra(error),
            refused => Self::refused(refused),
        }
    }
}

impl From<HistoryError> for CliError {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Sqlite(_) => Self::infra(error),
            refused => Self::refused(refused),
        }
    }
}

/// The journal of a run's folder, or the journal itself; absolute, since history keeps it.
pub fn journal_of(run: &Path) -> Result<PathBuf, CliError> {
    let file = if run.is_dir() { run.join("journal.jsonl") } else { run.to_owned() };
    file.canonicalize().map_err(|error| CliError::refused(format!("cannot read {}: {error}", file.display())))
}

/// A run's journal as it was read, for a history.
pub struct Found {
    file: PathBuf,
    head: Option<Sha>,
    kernel_log: Option<Vec<u8>>,
    ledger: Ledger,
}

impl Found {
    /// Reads a run's folder. A journal that was edited is refused: what it says is no history.
    pub fn read(run: &Path) -> Result<Self, CliError> {
        let file = journal_of(run)?;
        let text = std::fs::read(&file)
            .map_err(|error| CliError::refused(format!("cannot read {}: {error}", file.display())))?;
        let read = journal::read(&text);
        let broken =
            |problem: &&Problem| matches!(problem, Problem::BrokenChain { .. } | Problem::Unreadable { .. });
        if let Some(problem) = read.problems.iter().find(broken) {
            let what = format!("{}: {}", file.display(), shakedown_reports::view::problem(problem).1);
            return Err(CliError::refused(what));
        }
        let ledger = Ledger::of(&read);
        let kernel_log = kernel_log(&file, &ledger);
        Ok(Self { head: read.head, file, kernel_log, ledger })
    }

    fn origin(&self) -> Origin<'_> {
        let kernel_log = self.kernel_log.as_deref();
        Origin { journal: Some(&self.file), head: self.head, kernel_log, ..Origin::default() }
    }
}

/// Adds a run.
pub fn add(history: &mut History, run: &Found) -> Result<(String, Added), CliError> {
    let added = history.add(&run.ledger, &run.origin()).map_err(|error| {
        let plain = CliError::from(error);
        CliError { what: format!("{}: {}", run.file.display(), plain.what), ..plain }
    })?;
    Ok((run.ledger.run.clone(), added))
}

/// Adds several runs at once, which is faster; one that is refused keeps all of them out.
pub fn add_together(history: &mut History, runs: &[Found]) -> Result<Added, HistoryError> {
    let runs: Vec<_> = runs.iter().map(|run| (&run.ledger, run.origin())).collect();
    history.add_together(&runs)
}

/// The kernel's log of the run's folder, if it is the one that the journal speaks of.
fn kernel_log(journal: &Path, ledger: &Ledger) -> Option<Vec<u8>> {
    let saved = ledger.files.iter().find(|file| file.role == "kernel log")?;
    let bytes = std::fs::read(journal.parent()?.join(&saved.path)).ok()?;
    (Sha::of(&bytes) == saved.sha256).then_some(bytes)
}

/// All journals below these folders, or the ones named, in order of their paths.
pub fn journals(places: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut found = Vec::new();
    for place in places {
        if place.is_file() || place.join("journal.jsonl").is_file() {
            found.push(journal_of(place)?);
            continue;
        }
        let entries = std::fs::read_dir(place)
            .map_err(|error| CliError::refused(format!("cannot read {}: {error}", place.display())))?;
        // `latest` and the like point at a run that is there by itself.
        let runs = entries.flatten().map(|entry| entry.path()).filter(|path| !path.is_symlink());
        for run in runs.filter(|path| path.join("journal.jsonl").is_file()) {
            found.push(journal_of(&run)?);
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}
