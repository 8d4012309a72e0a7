//! What came out of a case, whose fault it is, and what the process returns.

use serde::{Deserialize, Serialize};

use crate::case::Failure;
use crate::fault::Fault;

/// The outcome of one attempt at one case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It did what it should.
    Pass,
    /// The OS or the image did not.
    Fail(Failure),
    /// Not run, by decision; never a silent pass.
    Skip {
        /// Why.
        reason: String,
    },
    /// Not run, because an earlier step that it needs failed.
    Blocked {
        /// That step or case.
        by: String,
    },
    /// The case itself is broken.
    Error {
        /// How.
        what: String,
    },
    /// The rig broke.
    Infra(Fault),
    /// It cannot be told whose fault it was.
    Undetermined {
        /// What was seen.
        seen: Vec<String>,
    },
}

impl Outcome {
    /// The word for reports and files.
    pub fn word(&self) -> &'static str {
        Word::of(Some(self)).text()
    }

    /// The first line for people; empty for a pass.
    pub fn headline(&self) -> String {
        match self {
            Self::Pass => String::new(),
            Self::Fail(failure) => failure.what.clone(),
            Self::Skip { reason } => reason.clone(),
            Self::Blocked { by } => format!("needs {by}"),
            Self::Error { what } => what.clone(),
            Self::Infra(fault) => fault.to_string(),
            Self::Undetermined { seen } => seen.first().cloned().unwrap_or_default(),
        }
    }
}

/// How an attempt ended, without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// It did what it should.
    Pass,
    /// The OS or the image did not.
    Fail,
    /// Not run, by decision.
    Skip,
    /// Not run, because what it needs failed.
    Blocked,
    /// The case itself is broken.
    Error,
    /// The rig broke.
    Infra,
    /// It cannot be told whose fault it was.
    Undetermined,
    /// It did not end: the run was cut off in the middle of it.
    #[serde(alias = "cut")]
    CutOff,
}

impl Word {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Self; 8] = [
        Self::Pass,
        Self::Fail,
        Self::Skip,
        Self::Blocked,
        Self::Error,
        Self::Infra,
        Self::Undetermined,
        Self::CutOff,
    ];

    /// Of an attempt; `None` is one that did not end.
    pub fn of(outcome: Option<&Outcome>) -> Self {
        match outcome {
            Some(Outcome::Pass) => Self::Pass,
            Some(Outcome::Fail(_)) => Self::Fail,
            Some(Outcome::Skip { .. }) => Self::Skip,
            Some(Outcome::Blocked { .. }) => Self::Blocked,
            Some(Outcome::Error { .. }) => Self::Error,
            Some(Outcome::Infra(_)) => Self::Infra,
            Some(Outcome::Undetermined { .. }) => Self::Undetermined,
            None => Self::CutOff,
        }
    }

    /// As in files and on the terminal.
    pub fn text(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Blocked => "blocked",
            Self::Error => "error",
            Self::Infra => "infra",
            Self::Undetermined => "undetermined",
            Self::CutOff => "cut-off",
        }
    }

    /// The word with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.text() == name)
    }

    /// Whether it answers what was asked: nothing needs to be run again for it.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Pass | Self::Fail | Self::Skip | Self::Error)
    }
}

/// Whose fault it is. Given in one place, the runner's adjudicator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// The operating system under test.
    Os,
    /// The image file: corrupt, for another board, not bootable.
    Image,
    /// The bench around the DUT.
    Rig,
    /// shakedown itself, or a case of it.
    Harness,
    /// Open; a control run may settle it.
    Undetermined,
}

impl Blame {
    /// The word for reports and files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Os => "os",
            Self::Image => "image",
            Self::Rig => "rig",
            Self::Harness => "harness",
            Self::Undetermined => "undetermined",
        }
    }
}

/// What every command returns. One table for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitCode {
    /// 0: done, and all passed.
    Ok,
    /// 1: the OS failed.
    Failed,
    /// 2: usage, descriptor or image refused.
    Refused,
    /// 3: infra or undetermined.
    Infra,
    /// 4: not enough evidence (gate).
    NoEvidence,
    /// 5: nothing ran.
    NothingRan,
    /// 70: a bug in the harness.
    Bug,
    /// 130: interrupted.
    Interrupted,
}

impl ExitCode {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Refused => 2,
            Self::Infra => 3,
            Self::NoEvidence => 4,
            Self::NothingRan => 5,
            Self::Bug => 70,
            Self::Interrupted => 130,
        }
    }

    /// What it means, for `--help` and the docs.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done, and all passed",
            Self::Failed => "the OS failed",
            Self::Refused => "usage, descriptor or image refused",
            Self::Infra => "infra or undetermined",
            Self::NoEvidence => "not enough evidence",
            Self::NothingRan => "nothing ran",
            Self::Bug => "a bug in the harness",
            Self::Interrupted => "interrupted",
        }
    }

    /// All of them, in the order of the table.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Failed,
        Self::Refused,
        Self::Infra,
        Self::NoEvidence,
        Self::NothingRan,
        Self::Bug,
        Self::Interrupted,
    ];

    /// The one that counts when several apply: 130, 2, 70, 1, 3, 4, 5, 0.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        const ORDER: [ExitCode; 8] = [
            ExitCode::Interrupted,
            ExitCode::Refused,
            ExitCode::Bug,
            ExitCode::Failed,
            ExitCode::Infra,
            ExitCode::NoEvidence,
            ExitCode::NothingRan,
            ExitCode::Ok,
        ];
        ORDER.into_iter().find(|code| *code == self || *code == other).unwrap_or(self)
    }
}

#[cfg(test)]
mod tests {
    use super::ExitCode::{self, Bug, Failed, Infra, Interrupted, NothingRan, Ok, Refused};

    #[test]
    fn the_heavier_code_counts() {
        for (a, b, both) in [
            (Ok, Failed, Failed),
            (Infra, Failed, Failed),
            (NothingRan, Infra, Infra),
            (Bug, Failed, Bug),
            (Refused, Bug, Refused),
            (Interrupted, Refused, Interrupted),
        ] {
            assert_eq!((a.and(b), b.and(a)), (both, both));
        }
        let codes: Vec<_> = ExitCode::ALL.iter().map(|code| code.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 70, 130]);
    }
}
