//! Outcomes, blames and exit codes as the file has them. Numbers are never given to another meaning.

use serde::{Deserialize, Serialize};
use shakedown_core::{Blame, ExitCode, Outcome};

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
    /// The journal ends in the middle of it.
    CutOff,
}

impl Word {
    /// All of them; the place in this list is the number in the file.
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

    pub(crate) fn number(self) -> i64 {
        self as i64
    }

    pub(crate) fn from_number(number: i64) -> Self {
        usize::try_from(number).ok().and_then(|at| Self::ALL.get(at).copied()).unwrap_or(Self::CutOff)
    }
}

const BLAMES: [Blame; 5] = [Blame::Os, Blame::Image, Blame::Rig, Blame::Harness, Blame::Undetermined];

pub(crate) fn blame_number(blame: Blame) -> i64 {
    BLAMES.iter().position(|known| *known == blame).unwrap_or_default() as i64
}

pub(crate) fn blame_of(number: Option<i64>) -> Option<Blame> {
    number.and_then(|number| usize::try_from(number).ok()).and_then(|at| BLAMES.get(at).copied())
}

pub(crate) fn exit_of(code: Option<i64>) -> Option<ExitCode> {
    code.and_then(|code| ExitCode::ALL.into_iter().find(|exit| i64::from(exit.code()) == code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_files_stay_as_they_are() {
        let words: Vec<_> = Word::ALL.map(|word| (word.number(), word.text())).into_iter().collect();
        let wanted = [
            (0, "pass"),
            (1, "fail"),
            (2, "skip"),
            (3, "blocked"),
            (4, "error"),
            (5, "infra"),
            (6, "undetermined"),
            (7, "cut-off"),
        ];
        assert_eq!(words, wanted);
        for word in Word::ALL {
            assert_eq!((Word::from_number(word.number()), Word::named(word.text())), (word, Some(word)));
        }
        assert_eq!(BLAMES.map(blame_number), [0, 1, 2, 3, 4]);
        assert_eq!(blame_of(Some(2)), Some(Blame::Rig));
    }
}
