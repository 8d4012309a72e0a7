//! The answer as an in-toto statement (`https://in-toto.io/Statement/v1`) with a test-result predicate
//! (`https://in-toto.io/attestation/test-result/v0.1`), signed in a DSSE envelope.
//!
//! The predicate knows three results, and they are not our three answers:
//!
//! | answer | result |
//! |---|---|
//! | ship | `PASSED` |
//! | ship, with a case in quarantine, a waiver or an allowed skip | `WARNED` |
//! | do not ship | `FAILED` |
//! | not enough evidence | `FAILED`: whoever asks *did it pass* must hear no |
//!
//! Which of the last two it was stands in the policy's annotation `answer`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use shakedown_core::Sha;

use crate::dsse::{Envelope, Refused};
use crate::error::GateError;
use crate::judge::{Answer, Ruling};
use crate::key::{PublicKey, SecretKey};

/// The envelope's payload type.
pub const KIND: &str = "application/vnd.in-toto+json";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// The statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Statement {
    /// Which kind of document.
    #[serde(rename = "_type")]
    pub kind: String,
    /// The image.
    pub subject: Vec<Resource>,
    /// Which kind of predicate.
    pub predicate_type: String,
    /// What is said of it.
    pub predicate: Predicate,
}

/// A thing with a hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Resource {
    /// `image`, `policy`, `journal:RUN`, `suites`, `board:SLUG`, `profile:…`, `shakedown`.
    pub name: String,
    /// By algorithm: `sha256`.
    pub digest: BTreeMap<String, String>,
    /// What else is to be known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The test-result predicate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Predicate {
    /// `PASSED`, `WARNED`, `FAILED`.
    pub result: String,
    /// What the answer was derived from.
    pub configuration: Vec<Resource>,
    /// `board/suite` with enough passes and no failure.
    pub passed_tests: Vec<String>,
    /// What was quarantined, waived or skipped.
    pub warned_tests: Vec<String>,
    /// What failed or is missing.
    pub failed_tests: Vec<String>,
}

/// Why an attestation is refused.
#[derive(Debug, thiserror::Error)]
pub enum Untrue {
    /// The envelope.
    #[error("{0}")]
    Envelope(#[from] Refused),
    /// A statement of another kind.
    #[error("expected {expected}, got {got}")]
    Kind {
        /// What was asked for.
        expected: &'static str,
        /// What it says.
        got: String,
    },
    /// Another image.
    #[error("it is about another image: expected {expected}, got {}", got.join(" or "))]
    Image {
        /// The image at hand.
        expected: Sha,
        /// The subjects.
        got: Vec<String>,
    },
    /// A journal that it was derived from is not there, or is another.
    #[error("journal of run {run}: {what}")]
    Journal {
        /// The run's id.
        run: String,
        /// What is wrong.
        what: String,
    },
    /// The policy may not be relied upon any more.
    #[error("the policy expired on {0}")]
    Expired(jiff::civil::Date),
}

/// What a good attestation says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    /// The answer.
    pub ruling: Ruling,
    /// The statement.
    pub statement: Statement,
    /// Journals that were compared.
    pub journals: usize,
}

fn resource(name: impl Into<String>, sha: Sha) -> Resource {
    Resource {
        name: name.into(),
        digest: BTreeMap::from([("sha256".to_owned(), sha.to_string())]),
        annotations: BTreeMap::new(),
    }
}

/// The statement of an answer. `tool` is the hash of the running program.
pub fn statement(answer: &Answer, tool: Sha) -> Statement {
    let mut subject: Vec<Resource> =
        answer.image_names.iter().map(|(name, sha)| resource(format!("image:{name}"), *sha)).collect();
    if !answer.image_names.values().any(|sha| *sha == answer.image) {
        subject.push(resource("image", answer.image));
    }
    let mut policy = resource("policy", answer.policy_sha256);
    policy.annotations = BTreeMap::from([
        ("name".to_owned(), answer.policy.clone()),
        ("expires".to_owned(), answer.expires.to_string()),
        ("answer".to_owned(), answer.ruling.text().to_owned()),
        ("at".to_owned(), answer.at.to_string()),
    ]);
    let mut program = resource("shakedown", tool);
    program.annotations.insert("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let mut configuration = vec![policy, resource("suites", answer.suites), program];
    for used in &answer.used {
        let mut journal = resource(format!("journal:{}", used.run), used.sha256);
        journal.annotations = BTreeMap::from([
            ("head".to_owned(), used.head.to_string()),
            ("sealed-by".to_owned(), used.sealed_by.clone()),
        ]);
        configuration.push(journal);
        for (kind, sha) in [("board", used.descriptor), ("profile", used.profile)] {
            let described = sha.map(|sha| resource(format!("{kind}:{}", used.board), sha));
            configuration.extend(described.filter(|one| !configuration.contains(one)));
        }
    }
    let is_bad = |board: &str, name: &str| {
        answer.missing.iter().any(|missing| missing.board == board && missing.name == name)
    };
    let cells = answer.cells.iter().filter(|cell| !is_bad(&cell.board, &cell.name));
    let warned_tests: Vec<String> = answer.exceptions.iter().map(crate::render::told).collect();
    let reasons = answer.reasons.iter().map(|reason| reason.what.clone());
    let result = match answer.ruling {
        Ruling::Ship if warned_tests.is_empty() => "PASSED",
        Ruling::Ship => "WARNED",
        Ruling::DoNotShip | Ruling::NotEnoughEvidence => "FAILED",
    };
    let predicate = Predicate {
        result: result.to_owned(),
        configuration,
        passed_tests: cells.map(|cell| format!("{}/{}", cell.board, cell.name)).collect(),
        warned_tests,
        failed_tests: reasons.chain(answer.missing.iter().map(|missing| missing.what.clone())).collect(),
    };
    Statement { kind: STATEMENT.to_owned(), subject, predicate_type: PREDICATE.to_owned(), predicate }
}

/// Signs the statement of an answer.
pub fn attest(answer: &Answer, tool: Sha, key: &SecretKey) -> Result<String, GateError> {
    let payload =
        serde_json::to_vec(&statement(answer, tool)).map_err(|error| GateError::key(error.to_string()))?;
    Ok(Envelope::sign(KIND, &payload, key).text())
}

/// Checks an attestation. `image`: either hash of the image that is to ship. `journals`: the files
/// among which every journal that it was derived from must be. `today`: the policy must not have expired.
pub fn verify(
    text: &[u8],
    key: PublicKey,
    images: &[Sha],
    journals: Option<&[PathBuf]>,
    today: jiff::civil::Date,
) -> Result<Attested, Untrue> {
    let (payload, _) = Envelope::parse(text)?.open(KIND, &[key])?;
    let statement: Statement =
        serde_json::from_slice(&payload).map_err(|error| Refused::Payload(error.to_string()))?;
    for (expected, got) in [(STATEMENT, &statement.kind), (PREDICATE, &statement.predicate_type)] {
        if got != expected {
            return Err(Untrue::Kind { expected, got: got.clone() });
        }
    }
    let hash = |resource: &Resource| resource.digest.get("sha256").cloned().unwrap_or_default();
    let subjects: Vec<String> = statement.subject.iter().map(hash).collect();
    if let Some(image) = images.first()
        && !images.iter().any(|image| subjects.contains(&image.to_string()))
    {
        return Err(Untrue::Image { expected: *image, got: subjects });
    }
    let unreadable = |what: &str| Untrue::Envelope(Refused::Payload(what.to_owned()));
    let policy = statement.predicate.configuration.iter().find(|resource| resource.name == "policy");
    let note = |name: &str| policy.and_then(|policy| policy.annotations.get(name));
    let expires: jiff::civil::Date = note("expires")
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| unreadable("the policy's last day is not in it"))?;
    if today > expires {
        return Err(Untrue::Expired(expires));
    }
    let ruling = [Ruling::Ship, Ruling::DoNotShip, Ruling::NotEnoughEvidence]
        .into_iter()
        .find(|ruling| note("answer").is_some_and(|said| said == ruling.text()))
        .ok_or_else(|| unreadable("the answer is not in it"))?;
    let mut compared = 0;
    if let Some(files) = journals {
        let found: BTreeMap<String, &PathBuf> = files
            .iter()
            .filter_map(|path| Some((Sha::of(&std::fs::read(path).ok()?).to_string(), path)))
            .collect();
        for resource in &statement.predicate.configuration {
            let Some(run) = resource.name.strip_prefix("journal:") else { continue };
            if !found.contains_key(&hash(resource)) {
                let what = format!(
                    "none of the journals has the SHA-256 {}: it is missing, or was changed",
                    hash(resource)
                );
                return Err(Untrue::Journal { run: run.to_owned(), what });
            }
            compared += 1;
        }
    }
    Ok(Attested { ruling, statement, journals: compared })
}
