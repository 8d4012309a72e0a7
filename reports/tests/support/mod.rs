//! What the integration tests of this crate share: the corpus of journals and the goldens.
// Each test file uses a part of it.
#![allow(dead_code, unreachable_pub)]

pub mod browser;
pub mod corpus;
pub mod journals;
pub mod troubled;

use std::path::{Path, PathBuf};

use shakedown_core::Ledger;
use shakedown_core::journal::{self, Journal};

/// A journal of the corpus.
pub struct Sample {
    /// Its file's stem.
    pub name: String,
    /// The file.
    pub text: Vec<u8>,
    /// As read.
    pub journal: Journal,
}

impl Sample {
    pub fn ledger(&self) -> Ledger {
        Ledger::of(&self.journal)
    }
}

pub fn crate_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether committed files are to be written anew instead of compared.
pub fn regenerating() -> bool {
    std::env::var_os("SHAKEDOWN_BLESS").is_some()
}

/// Every journal that is committed, of every format version, by name.
pub fn committed() -> Vec<Sample> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(crate_dir().join("corpus"))
        .expect("reports/corpus")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 14, "the corpus has {} journals", paths.len());
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read(&path).expect("journal");
            let journal = journal::read(&text);
            let name = path.file_stem().expect("stem").to_string_lossy().into_owned();
            Sample { name, text, journal }
        })
        .collect()
}

/// One of them.
pub fn sample(name: &str) -> Sample {
    committed().into_iter().find(|sample| sample.name == name).unwrap_or_else(|| panic!("no journal {name}"))
}

/// Compares with a committed file, or writes it when regenerating.
pub fn golden(path: &Path, bytes: &[u8]) {
    if regenerating() {
        std::fs::create_dir_all(path.parent().expect("folder")).expect("folder of goldens");
        std::fs::write(path, bytes).expect("golden");
        return;
    }
    let kept = std::fs::read(path).unwrap_or_default();
    if kept == bytes {
        return;
    }
    let (kept, now) = (String::from_utf8_lossy(&kept), String::from_utf8_lossy(bytes));
    let line = kept.lines().zip(now.lines()).take_while(|(a, b)| a == b).count();
    panic!(
        "{} differs from line {}:\n  committed: {:?}\n  now:       {:?}\nlook at it, then run again with SHAKEDOWN_BLESS=1",
        path.display(),
        line + 1,
        kept.lines().nth(line),
        now.lines().nth(line),
    );
}
