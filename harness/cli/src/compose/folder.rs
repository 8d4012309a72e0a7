//! A run's folder: its name, its journal, its console recordings.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use shakedown_console::{Health, Recorder, RecordingHead};
use shakedown_core::{Clock, ConsoleLog, Fault, InfraKind, Rig};

use crate::CliError;

/// Names the run: when, what, and digits that keep two of the same second apart, also of one process.
pub fn run_id(board: &str) -> String {
    static BEFORE: AtomicU32 = AtomicU32::new(0);
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    let unique = std::process::id() & 0xffff;
    match BEFORE.fetch_add(1, Ordering::Relaxed) {
        0 => format!("{now}-{board}-{unique:04x}"),
        before => format!("{now}-{board}-{unique:04x}-{before}"),
    }
}

/// Makes `<out>/<run-id>/` and points `<out>/latest` at it.
pub fn create(out: &Path, run: &str) -> Result<PathBuf, CliError> {
    let folder = out.join(run);
    let refuse = |error: std::io::Error| {
        CliError::refused(format!("cannot make the run's folder {}: {error}", folder.display()))
            .hint("name another place with --out")
    };
    std::fs::create_dir_all(&folder).map_err(refuse)?;
    point_latest(out, run);
    Ok(folder)
}

/// A help for people: no run is refused because of it, and whoever follows it finds the last run
/// or this one, never nothing. What somebody else put in its place stays.
fn point_latest(out: &Path, run: &str) {
    let (latest, new) = (out.join("latest"), out.join(format!(".latest-{run}")));
    if latest.exists() && !latest.is_symlink() {
        return;
    }
    if std::os::unix::fs::symlink(run, &new).and_then(|()| std::fs::rename(&new, &latest)).is_err() {
        drop(std::fs::remove_file(&new));
    }
}

/// The files of the console's recorder: name and role.
pub const RECORDINGS: [(&str, &str); 3] = [
    ("console.log", "console, raw bytes"),
    ("console.jsonl", "console, with times"),
    ("console.cast", "console, asciicast v2"),
];

/// Records everything that the console says from now on; the answer tells how that goes.
pub fn record(folder: &Path, title: &str, log: &Arc<ConsoleLog>, clock: &Arc<dyn Clock>) -> Rig<Health> {
    let create = |(name, _): (&str, &str)| {
        let path = folder.join(name);
        File::create(&path).map_err(|error| {
            Fault::new(InfraKind::Host, "recorder", "create", path.display().to_string()).because(&error)
        })
    };
    let [raw, lines, cast] = RECORDINGS;
    let since = jiff::SignedDuration::from_nanos(clock.now().0 as i64);
    let head = RecordingHead { wall: clock.wall() - since, title: title.to_owned(), width: 100, height: 30 };
    let (recorder, health) = Recorder::new(&head, create(raw)?, create(lines)?, create(cast)?);
    log.attach(Box::new(recorder));
    Ok(health)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_is_there_at_every_moment_and_refuses_no_run() {
        let out = tempfile::tempdir().unwrap();
        let latest = out.path().join("latest");
        create(out.path(), "first").unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let follower = scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    assert!(latest.is_dir(), "nothing there for a moment");
                }
            });
            for turn in 0..100 {
                create(out.path(), &format!("run-{turn}")).unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            follower.join().unwrap();
        });
        assert_eq!(std::fs::read_link(&latest).unwrap(), Path::new("run-99"));
        std::fs::remove_file(&latest).unwrap();
        std::fs::write(&latest, "somebody's own").unwrap();
        create(out.path(), "last").unwrap();
        assert_eq!(std::fs::read_to_string(&latest).unwrap(), "somebody's own");
        let hidden = |entry: &std::fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b".");
        assert_eq!(std::fs::read_dir(out.path()).unwrap().flatten().filter(hidden).count(), 0);
    }
}
