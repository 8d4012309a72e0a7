//! The answer, as it goes into files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use shakedown_core::{ExitCode, Sha};

use crate::evidence::Ignored;
use crate::policy::{Quarantine, Waiver};

/// What exists, so that a policy can be checked: the composition root knows it.
#[derive(Clone, Debug)]
pub struct Known {
    /// The hash of the suites below: the one suite version that counts.
    pub version: Sha,
    /// Board slugs.
    pub boards: BTreeSet<String>,
    /// Suites, each with its cases.
    pub suites: BTreeMap<String, Vec<String>>,
    /// Selections, each with its cases.
    pub selections: BTreeMap<String, Vec<String>>,
}

impl Known {
    /// Every case there is.
    pub fn cases(&self) -> BTreeSet<&str> {
        self.suites.values().flatten().map(String::as_str).collect()
    }
}

/// One of three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruling {
    /// All that the policy asks for was shown.
    Ship,
    /// Something speaks against it.
    DoNotShip,
    /// Nothing speaks against it, and not enough for it.
    NotEnoughEvidence,
}

impl Ruling {
    /// In a sentence.
    pub fn text(self) -> &'static str {
        match self {
            Self::Ship => "ship",
            Self::DoNotShip => "do not ship",
            Self::NotEnoughEvidence => "not enough evidence",
        }
    }

    /// What the process returns.
    pub fn exit(self) -> ExitCode {
        match self {
            Self::Ship => ExitCode::Ok,
            Self::DoNotShip => ExitCode::Failed,
            Self::NotEnoughEvidence => ExitCode::NoEvidence,
        }
    }
}

/// Why something speaks against shipping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// A case, a boot or a step failed.
    Failed,
    /// A measure is beyond its limit.
    Limit,
    /// A quarantine entry has expired.
    QuarantineExpired,
    /// A person saw it fail.
    ManualFailed,
    /// The policy has expired.
    PolicyExpired,
}

/// Something that speaks against shipping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// What kind.
    pub because: Because,
    /// On which board; empty for the policy itself.
    pub board: String,
    /// One sentence.
    pub what: String,
    /// The runs that show it.
    pub runs: Vec<String>,
    /// What shows it again.
    pub command: Option<String>,
}

/// Evidence that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// On which board.
    pub board: String,
    /// `os`, `demo`, a limit's or a manual test's name.
    pub name: String,
    /// One sentence.
    pub what: String,
    /// Which cases, where it is about cases.
    pub cases: Vec<String>,
    /// What supplies it.
    pub command: Option<String>,
    /// So many more repeats, for a plan; 0 where no run can supply it.
    pub repeats: u32,
}

/// A suite or selection on a board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// The board's slug.
    pub board: String,
    /// The suite's or selection's name.
    pub name: String,
    /// Cases that had to pass.
    pub cases: usize,
    /// Passes of each that are asked for, runs that must be made again included.
    pub wanted: u32,
    /// Passes of the case that has the fewest.
    pub passes: u64,
    /// A case that fails more often than this would have been seen failing, with 95 %. 1 where a
    /// case never passed.
    pub seen_above: f64,
    /// The runs that count.
    pub runs: Vec<String>,
}

/// A limit on a board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The limit's name.
    pub name: String,
    /// The measure.
    pub measure: String,
    /// The board's slug.
    pub board: String,
    /// How many values there are.
    pub count: usize,
    /// The middle one.
    pub median: f64,
    /// The largest.
    pub largest: f64,
    /// `s`, `MiB` …
    pub unit: String,
    /// What was found and what it was held to, in words, with the test.
    pub held_to: String,
    /// Whether it holds.
    pub holds: bool,
}

/// A run that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// Its id.
    pub run: String,
    /// Where its journal lies.
    pub path: PathBuf,
    /// Of the journal's bytes.
    pub sha256: Sha,
    /// The hash of its last line.
    pub head: Sha,
    /// The trusted key that sealed it, by name.
    pub sealed_by: String,
    /// The board's slug.
    pub board: String,
    /// Hash of the resolved board descriptor.
    pub descriptor: Option<Sha>,
    /// Hash of the resolved OS profile.
    pub profile: Option<Sha>,
    /// shakedown's version.
    pub harness: String,
}

/// What may be wrong all the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exception {
    /// A case in quarantine, and how often it failed.
    Quarantined {
        /// The entry.
        entry: Quarantine,
        /// Failures on this image.
        failed: u64,
        /// Attempts that passed or failed.
        of: u64,
    },
    /// A waiver that was used.
    Waived(Waiver),
    /// A waiver that has expired: it waives nothing.
    WaiverExpired(Waiver),
    /// Runs on simulated slots, which the policy lets count: for trying it, never for a release.
    Simulated {
        /// How many.
        runs: usize,
    },
    /// A case that was skipped, as the policy allows.
    Skipped {
        /// The case.
        case: String,
        /// The board's slug.
        board: String,
    },
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The version of this format.
    pub format: u32,
    /// One of three.
    pub ruling: Ruling,
    /// The policy's name.
    pub policy: String,
    /// Of the policy's file.
    pub policy_sha256: Sha,
    /// The policy's last day.
    pub expires: jiff::civil::Date,
    /// The image, by the hash that was asked for.
    pub image: Sha,
    /// The image's hashes as the runs tell them: of the decompressed image and of its file.
    pub image_names: BTreeMap<String, Sha>,
    /// The image's OS and version, as the runs tell them.
    pub os: String,
    /// The suite version that counts.
    pub suites: Sha,
    /// When it was given.
    pub at: jiff::Timestamp,
    /// What speaks against shipping.
    pub reasons: Vec<Reason>,
    /// What is missing.
    pub missing: Vec<Missing>,
    /// Boards × suites.
    pub cells: Vec<Cell>,
    /// Limits.
    pub limits: Vec<Measured>,
    /// What may be wrong all the same.
    pub exceptions: Vec<Exception>,
    /// Manual tests that count: test, board, who, the record's file.
    pub manual: Vec<(String, String, String, PathBuf)>,
    /// The runs that count.
    pub used: Vec<Used>,
    /// What does not count, and why.
    pub ignored: Vec<Ignored>,
}

impl Answer {
    /// The confidence in one sentence; `None` when nothing was asked of any suite.
    pub fn confidence(&self) -> Option<String> {
        let worst = self.cells.iter().max_by(|a, b| a.seen_above.total_cmp(&b.seen_above))?;
        if worst.passes == 0 {
            return None;
        }
        Some(format!(
            "with these repeats a case that fails in more than {} of its attempts would have been seen failing with 95 % \
             (fewest passes: {} of a case in `{}` on {})",
            percent(worst.seen_above),
            worst.passes,
            worst.name,
            worst.board
        ))
    }
}

/// A share for people, rounded up: a bound must not be told as a smaller one.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", (share * 1000.0).ceil() / 10.0)
}
