//! For tests: Python programs of others, which come from PyPI at pinned versions.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the programs of a virtual environment, which is made below `folder` when it is not there,
/// once for all who ask. `wanted` is a file of requirements that names every package with its version,
/// those that others need among them: nothing else comes.
///
/// # Panics
/// When Python or its package installer fail; the words are theirs.
#[must_use]
pub fn programs(folder: impl AsRef<Path>, name: &str, wanted: &str) -> PathBuf {
    let mut hash = DefaultHasher::new();
    wanted.hash(&mut hash);
    let venv = folder.as_ref().join(format!("{name}-{:016x}", hash.finish()));
    let file = |end: &str| venv.with_extension(end);
    let lock = File::create(file("lock")).expect("a file in the target folder");
    // Other tests may want it now: the first makes it. The lock ends with the file.
    lock.lock().expect("a lock in the target folder");
    let programs = venv.join("bin");
    if venv.join("complete").exists() {
        return programs;
    }
    let list = file("txt");
    std::fs::write(&list, wanted).expect("a file in the target folder");
    run(Path::new("python3"), &["-m", "venv", "--clear"], &venv);
    // Some name a Python that Debian has not yet, and run with this one.
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--ignore-requires-python"];
    run(&programs.join("python"), &[&pip[..], &["--no-deps", "--requirement"]].concat(), &list);
    File::create(venv.join("complete")).expect("a file in the target folder");
    programs
}

fn run(program: &Path, args: &[&str], last: &Path) {
    #[expect(clippy::disallowed_methods, reason = "Python's own installer; only tests and benches start it")]
    let output = Command::new(program).args(args).arg(last).output();
    let output =
        output.unwrap_or_else(|error| panic!("{}: {error}; `apt install python3-venv`", program.display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {args:?} {}: {said}", program.display(), last.display());
}
