//! Outcomes, blames and exit codes as the file has them. Numbers are never given to another meaning.

use shakedown_core::outcome::Word;
use shakedown_core::{Blame, ExitCode};

/// The number in the file is the place among [`Word::ALL`].
pub(crate) fn word_number(word: Word) -> i64 {
    word as i64
}

pub(crate) fn word_of(number: i64) -> Word {
    usize::try_from(number).ok().and_then(|at| Word::ALL.get(at).copied()).unwrap_or(Word::CutOff)
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
        let words: Vec<_> = Word::ALL.map(|word| (word_number(word), word.text())).into_iter().collect();
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
            assert_eq!((word_of(word_number(word)), Word::named(word.text())), (word, Some(word)));
        }
        assert_eq!(BLAMES.map(blame_number), [0, 1, 2, 3, 4]);
        assert_eq!(blame_of(Some(2)), Some(Blame::Rig));
    }
}
