//! `shakedown runs`: the run folders that there are, and which of them may go.

use std::collections::BTreeMap;
use std::fs::TryLockError;
use std::path::{Path, PathBuf};

use shakedown_campaign::book::Entry;
use shakedown_campaign::{Book, Happened};
use shakedown_core::{ExitCode, Ledger, journal};

use super::campaigns::{BOOK, is_finished};
use crate::say::out;
use crate::{CliError, CliResult};

/// A file in a run's folder that keeps it: its first line says for whom.
pub const PIN: &str = "pinned";

/// `shakedown runs`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    /// Where run folders are. Else SHAKEDOWN_OUT, ./shakedown-out.
    #[arg(long, value_name = "DIR", global = true)]
    out: Option<PathBuf>,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Every run, a line each, the oldest first.
    List,
    /// Remove old runs. Pinned ones stay, those that are going on, and those of a campaign that can go on.
    Gc {
        /// Keep so many of the newest runs.
        #[arg(long, value_name = "N")]
        keep: usize,
        /// Tell what would go, and remove nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// A run's folder.
struct Found {
    path: PathBuf,
    name: String,
    /// Why it stays, if it does.
    kept: Option<String>,
}

pub(super) fn run(args: &Args) -> CliResult {
    let out = args.out.clone().unwrap_or_else(shakedown_host::dirs::out);
    let found = found(&out)?;
    match args.command {
        Command::List => {
            for run in &found {
                out!("{}", line(run));
            }
            out!("{} run(s) in {}", found.len(), out.display());
        }
        Command::Gc { keep, dry_run } => gc(&found, keep, dry_run)?,
    }
    Ok(ExitCode::Ok)
}

fn line(run: &Found) -> String {
    let text = std::fs::read(run.path.join("journal.jsonl")).unwrap_or_default();
    let ledger = Ledger::of(&journal::read(&text));
    let verdict = shakedown_reports::verdict(&ledger);
    let kept = run.kept.as_ref().map(|why| format!("  [{why}]")).unwrap_or_default();
    format!("{:<44} {verdict}{kept}", run.name)
}

/// Removes what is old; what cannot be removed is told, and the rest goes on.
fn gc(found: &[Found], keep: usize, dry_run: bool) -> Result<(), CliError> {
    let free: Vec<_> = found.iter().filter(|run| run.kept.is_none()).collect();
    let old = &free[..free.len().saturating_sub(keep)];
    let mut failed = Vec::new();
    for run in old {
        if dry_run {
            out!("{}", run.name);
        } else if let Err(error) = std::fs::remove_dir_all(&run.path) {
            failed.push(format!("cannot remove {}: {error}", run.path.display()));
        }
    }
    let (pinned, gone) = (found.len() - free.len(), old.len() - failed.len());
    let verb = if dry_run { "would go" } else { "removed" };
    out!("{gone} run(s) {verb}, {} kept, {pinned} pinned", free.len() - gone);
    let more = failed.len().saturating_sub(1);
    failed.into_iter().next().map_or(Ok(()), |what| {
        let error = CliError::infra(what);
        Err(if more == 0 { error } else { error.hint(format!("and {more} more")) })
    })
}

/// Runs by age: their names begin with when they began.
fn found(out: &Path) -> Result<Vec<Found>, CliError> {
    let entries = std::fs::read_dir(out)
        .map_err(|error| CliError::refused(format!("cannot read {}: {error}", out.display())))?;
    let (mut runs, mut needed) = (Vec::new(), BTreeMap::new());
    for entry in entries {
        let path = entry?.path();
        if path.is_symlink() || !path.is_dir() {
            continue;
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.join(BOOK).exists() {
            // One that cannot be read may still be needed: what it says is lost either way.
            let book = Book::read(&path.join(BOOK)).unwrap_or_default();
            if !is_finished(&book) {
                needed.extend(started(&book).map(|run| (run, name.clone())));
            }
        }
        if path.join("journal.jsonl").exists() {
            let pin = std::fs::read_to_string(path.join(PIN)).ok();
            let pinned = pin.map(|text| format!("pinned: {}", text.lines().next().unwrap_or_default()));
            let kept = pinned.or_else(|| is_written(&path).then(|| "it is going on".to_owned()));
            runs.push(Found { path, name, kept });
        }
    }
    for run in &mut runs {
        let open = needed.get(&run.name).map(|campaign| format!("{campaign} can go on"));
        run.kept = run.kept.take().or(open);
    }
    runs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(runs)
}

/// Whoever writes a journal holds its lock. A file that cannot be opened is not being written by us.
fn is_written(run: &Path) -> bool {
    let held = |file: std::fs::File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    std::fs::File::open(run.join("journal.jsonl")).is_ok_and(held)
}

fn started(book: &[Entry]) -> impl Iterator<Item = String> + '_ {
    book.iter().filter_map(|(_, happened)| match happened {
        Happened::Started { run, .. } => Some(run.clone()),
        _ => None,
    })
}
