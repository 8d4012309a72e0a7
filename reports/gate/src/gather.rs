//! Which journals and which rows of the history are about an image, and what they begin with.
//!
//! A row that was edited or deleted hides a run from whoever asks the history alone. So the folders
//! beside those of known journals are looked at as well: a run that lies there is found by its journal.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use shakedown_core::{Sha, journal};
use shakedown_history::RunRow;

/// So many bytes of a journal beside known ones are looked at: its first lines name the image.
const BEGINNING: u64 = 64 << 10;

/// What is to be read.
#[derive(Debug)]
pub struct Gathered {
    /// The journals that were named, and those beside known journals that begin with the image.
    pub journals: Vec<PathBuf>,
    /// Of the image and the baselines; and of every one of these journals, whatever image it names.
    pub runs: Vec<RunRow>,
}

/// Of all `runs` of a history and the journals that were `named`, what is about `image` or about a
/// baseline (the beginning of a hash). Folders that cannot be read are passed over: what lies in
/// them is missing, or the history knows it.
pub fn gather(named: &[PathBuf], runs: Vec<RunRow>, image: Sha, baselines: &[&str]) -> Gathered {
    let image = image.to_string();
    let known = named.iter().chain(runs.iter().map(|run| &run.journal));
    let folders: BTreeSet<&Path> = known.filter_map(|journal| journal.parent()?.parent()).collect();
    let mut journals = named.to_vec();
    for folder in folders.into_iter().filter(|folder| !folder.as_os_str().is_empty()) {
        for journal in journals_in(folder) {
            let names_it = || beginning(&journal).is_some_and(|text| text.contains(&image));
            if !journals.contains(&journal) && names_it() {
                journals.push(journal);
            }
        }
    }
    let here: BTreeSet<String> = journals.iter().filter_map(|path| run_of(path)).collect();
    let of = |run: &RunRow| {
        let is = |hash: &str| run.image.payload.starts_with(hash) || run.image.file.starts_with(hash);
        is(&image) || baselines.iter().any(|baseline| is(baseline)) || here.contains(&run.run)
    };
    Gathered { journals, runs: runs.into_iter().filter(of).collect() }
}

/// The journals of the run folders in a folder, in order. `latest` and the like point at one of them.
fn journals_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let runs = entries.filter(|path| !path.is_symlink()).map(|path| path.join("journal.jsonl"));
    let mut journals: Vec<PathBuf> = runs.filter(|path| path.is_file()).collect();
    journals.sort();
    journals
}

fn beginning(journal: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(journal).ok()?.take(BEGINNING).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The id of a journal's run, as its first line says it.
fn run_of(path: &Path) -> Option<String> {
    let text = beginning(path)?;
    let first = text.split_inclusive('\n').next()?;
    journal::read(first.as_bytes()).entries.first().map(|entry| entry.run.clone())
}
