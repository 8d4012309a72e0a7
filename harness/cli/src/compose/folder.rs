//! A run's folder: its name, its journal, its console recordings.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use shakedown_console::{Health, Recorder, RecordingHead};
use shakedown_core::{Clock, ConsoleLog};

use crate::CliError;

/// Names the run: when, what, and four digits that keep two of the same second apart.
pub fn run_id(board: &str) -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    let unique = std::process::id() & 0xffff;
    format!("{now}-{board}-{unique:04x}")
}

/// Makes `<out>/<run-id>/` and points `<out>/latest` at it.
pub fn create(out: &Path, run: &str) -> Result<PathBuf, CliError> {
    let folder = out.join(run);
    let refuse = |error: std::io::Error| {
        CliError::refused(format!("cannot make the run's folder {}: {error}", folder.display()))
            .hint("name another place with --out")
    };
    std::fs::create_dir_all(&folder).map_err(refuse)?;
    let latest = out.join("latest");
    if latest.is_symlink() {
        std::fs::remove_file(&latest).map_err(refuse)?;
    }
    if !latest.exists() {
        std::os::unix::fs::symlink(run, &latest).map_err(refuse)?;
    }
    Ok(folder)
}

/// The files of the console's recorder: name and role.
pub const RECORDINGS: [(&str, &str); 3] = [
    ("console.log", "console, raw bytes"),
    ("console.jsonl", "console, with times"),
    ("console.cast", "console, asciicast v2"),
];

/// Records everything that the console says from now on; the answer tells how that goes.
pub fn record(
    folder: &Path,
    title: &str,
    log: &Arc<ConsoleLog>,
    clock: &Arc<dyn Clock>,
) -> Result<Health, CliError> {
    let create = |(name, _): (&str, &str)| {
        let path = folder.join(name);
        File::create(&path)
            .map_err(|error| CliError::infra(format!("cannot write {}: {error}", path.display())))
    };
    let [raw, lines, cast] = RECORDINGS;
    let since = jiff::SignedDuration::from_nanos(clock.now().0 as i64);
    let head = RecordingHead { wall: clock.wall() - since, title: title.to_owned(), width: 100, height: 30 };
    let (recorder, health) = Recorder::new(&head, create(raw)?, create(lines)?, create(cast)?);
    log.attach(Box::new(recorder));
    Ok(health)
}
