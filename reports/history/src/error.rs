//! What can go wrong with a history.

use std::path::PathBuf;

/// What can go wrong with a history.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// SQLite's own words.
    #[error("the history: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file is of a later shakedown.
    #[error("the history has format {found}, newer than this shakedown, which knows format {known}")]
    Newer {
        /// The file's version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The file cannot be opened as a history.
    #[error("cannot open the history {}: {why}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// SQLite's words.
        why: String,
    },
    /// A journal that ends before it says what was tested.
    #[error("run {run}: the journal says nothing of what was tested")]
    Headless {
        /// The run's id; may be empty.
        run: String,
    },
    /// The same run with another journal.
    #[error(
        "run {run} is in the history with a journal that ends in {known}, and this one ends in {got}: \
         one of the two is not what was run"
    )]
    Conflict {
        /// The run's id.
        run: String,
        /// The end's hash in the history.
        known: String,
        /// The end's hash of the journal at hand.
        got: String,
    },
    /// A document of another program that is not as it should be.
    #[error("{format}: {what}")]
    Import {
        /// `JUnit`, `KCIDB`.
        format: &'static str,
        /// What was expected and what was got.
        what: String,
    },
    /// What a question cannot use, and must not leave out in silence.
    #[error("{question} cannot use {got}: {why}")]
    Useless {
        /// `flakes`, `diff`, `the trend of …`.
        question: String,
        /// What was asked for: `outcome`, `case`.
        got: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// A name that is not in the history.
    #[error("the history has no {kind} `{got}`{}", has(near.as_deref()))]
    Unknown {
        /// `measure`, `image`, `board`.
        kind: &'static str,
        /// As it was asked for.
        got: String,
        /// The names that were perhaps meant.
        near: Option<String>,
    },
}

fn has(names: Option<&str>) -> String {
    names.map(|names| format!("; it has: {names}")).unwrap_or_default()
}
