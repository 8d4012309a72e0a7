//! The seal of a run: the hash of its journal's last line, signed, in a file beside the journal.
//!
//! A journal's chain shows an edit of any line but the last, and none at all to somebody who may
//! write the whole journal anew. The seal closes both: only the holder of the rig host's key can
//! make one. It says *this host wrote this journal*; it does not say that the host was honest.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shakedown_core::Sha;
use shakedown_core::journal::{self, Problem};

use crate::dsse::{Envelope, Refused};
use crate::error::GateError;
use crate::key::{PublicKey, SecretKey};

/// The seal's name in a run's folder.
pub const FILE: &str = "journal.seal.json";

/// The media type of what is signed.
pub const KIND: &str = "application/vnd.shakedown.journal-end+json";

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// The run's id.
    pub run: String,
    /// The hash of the journal's last line, which carries the hash of the line before, and so on.
    pub head: Sha,
    /// Lines of the journal.
    pub lines: u64,
    /// When it was sealed: soon after the end of the run, or by hand later.
    pub at: jiff::Timestamp,
}

/// Seals the journal in this folder. One that is edited, torn or without an end is not sealed.
pub fn seal(folder: &Path, key: &SecretKey) -> Result<PathBuf, GateError> {
    let file = folder.join("journal.jsonl");
    let refuse = |why: String| GateError::File { path: file.clone(), why };
    let text = std::fs::read(&file).map_err(|error| GateError::file(&file, &error))?;
    let read = journal::read(&text);
    if let Some(problem) = read.problems.first() {
        return Err(refuse(format!("not sealed, for this journal is not whole: {}", told(problem))));
    }
    let (Some(head), Some(first)) = (read.head, read.entries.first()) else {
        return Err(refuse("not sealed, for it is empty".into()));
    };
    let seal =
        Seal { run: first.run.clone(), head, lines: read.entries.len() as u64, at: jiff::Timestamp::now() };
    let payload = serde_json::to_vec(&seal).map_err(|error| refuse(error.to_string()))?;
    let path = folder.join(FILE);
    let envelope = Envelope::sign(KIND, &payload, key).text();
    std::fs::write(&path, envelope).map_err(|error| GateError::file(&path, &error))?;
    Ok(path)
}

/// The seal in this folder, if one of these keys made it; and the number of that key. `None` when
/// there is no such file.
pub fn read(folder: &Path, keys: &[PublicKey]) -> Option<Result<(Seal, usize), Refused>> {
    let text = std::fs::read(folder.join(FILE)).ok()?;
    Some(Envelope::parse(&text).and_then(|envelope| envelope.open(KIND, keys)).and_then(|(payload, by)| {
        let seal = serde_json::from_slice(&payload).map_err(|error| Refused::Payload(error.to_string()))?;
        Ok((seal, by))
    }))
}

pub(crate) fn told(problem: &Problem) -> String {
    match problem {
        Problem::Torn { line } => format!("line {line} is torn"),
        Problem::Unreadable { line, why } => format!("line {line} cannot be read: {why}"),
        Problem::BrokenChain { line } => {
            format!("line {line} does not carry the hash of the line before it: the journal was edited")
        }
        Problem::Newer { line, version } => {
            format!("line {line} is of format {version}, newer than this shakedown")
        }
        Problem::Unfinished => "it has no end: the run was killed or is still going".into(),
    }
}
