//! Tests that a person made, as signed records.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shakedown_core::Sha;

use crate::dsse::{Envelope, Refused};
use crate::error::GateError;
use crate::key::{PublicKey, SecretKey};

/// The media type of what is signed.
pub const KIND: &str = "application/vnd.shakedown.manual-test+json";

/// How record files end.
pub const ENDING: &str = ".manual.json";

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The test's name in the policy.
    pub test: String,
    /// The board's slug.
    pub board: String,
    /// The hash of the decompressed image.
    pub image: Sha,
    /// Whether it did what it should.
    pub passed: bool,
    /// Who looked.
    pub by: String,
    /// When.
    pub at: jiff::Timestamp,
    /// What was seen.
    pub note: String,
}

/// A record that was found.
#[derive(Debug)]
pub struct Found {
    /// Its file.
    pub path: PathBuf,
    /// The record and the number of the key that signed it, or why it proves nothing.
    pub record: Result<(Record, usize), Refused>,
}

/// Signs a record.
pub fn sign(record: &Record, key: &SecretKey) -> Result<String, GateError> {
    let payload = serde_json::to_vec(record).map_err(|error| GateError::key(error.to_string()))?;
    Ok(Envelope::sign(KIND, &payload, key).text())
}

/// All records in a folder.
pub fn read(folder: &Path, keys: &[PublicKey]) -> Result<Vec<Found>, GateError> {
    let fail = |error: std::io::Error| GateError::file(folder, &error);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(fail)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(fail)?;
    files.retain(|path| path.to_string_lossy().ends_with(ENDING));
    files.sort();
    let found = files.into_iter().map(|path| {
        let text = std::fs::read(&path).map_err(|error| Refused::Form(error.to_string()));
        let opened =
            text.and_then(|text| Envelope::parse(&text)).and_then(|envelope| envelope.open(KIND, keys));
        let record = opened.and_then(|(payload, by)| {
            let record =
                serde_json::from_slice(&payload).map_err(|error| Refused::Payload(error.to_string()))?;
            Ok((record, by))
        });
        Found { path, record }
    });
    Ok(found.collect())
}
