//! What a night says about each case on each board and image: all of its attempts together.

use std::collections::BTreeMap;

use shakedown_core::outcome::Word;
use shakedown_core::{Blame, CaseId};

use super::director::Part;
use crate::book::{Entry, Happened, Why};

/// What all attempts at a case come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It failed whenever it was answered.
    Fail,
    /// It failed and it passed.
    Flaky,
    /// The case is broken.
    Error,
    /// It could not be told.
    Undetermined,
    /// The rig broke, and no later attempt answered.
    Infra,
    /// Something before it failed.
    Blocked,
    /// It was not run.
    NotRun,
    /// It was skipped, by decision.
    Skip,
    /// It passed whenever it was answered.
    Pass,
}

impl Verdict {
    /// For people, and for classes of the page.
    pub fn text(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Flaky => "flaky",
            Self::Error => "error",
            Self::Undetermined => "undetermined",
            Self::Infra => "infra",
            Self::Blocked => "blocked",
            Self::NotRun => "not run",
            Self::Skip => "skip",
            Self::Pass => "pass",
        }
    }

    /// Whether the OS is to answer for it.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Fail | Self::Flaky | Self::Error)
    }
}

/// All attempts at a case.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Attempts by word.
    pub words: BTreeMap<Word, u32>,
    /// What the last attempt that was no pass said.
    pub says: String,
    /// Whose fault that was.
    pub blame: Option<Blame>,
    /// The run in which it was, for a link.
    pub run: String,
    /// What a control run said about what could not be told.
    pub settled: Option<Blame>,
}

impl Standing {
    fn add(&mut self, part: &Part, word: Word, says: &str, blame: Option<Blame>) {
        *self.words.entry(word).or_default() += 1;
        // What is worth showing is the worst: a failure before what could not be told.
        let worse = |word: Word| matches!(word, Word::Fail | Word::Error);
        if !matches!(word, Word::Pass | Word::Skip) && (worse(word) || self.says.is_empty()) {
            (self.says, self.blame, self.run) = (says.to_owned(), blame, part.run.clone());
        } else if self.run.is_empty() {
            self.run.clone_from(&part.run);
        }
    }

    /// How often this came.
    pub fn count(&self, word: Word) -> u32 {
        self.words.get(&word).copied().unwrap_or_default()
    }

    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        let any = |word| self.count(word) > 0;
        // A control run on the same slot passed: what could not be told was the image's.
        let fails = any(Word::Fail) || any(Word::Undetermined) && self.settled == Some(Blame::Os);
        let rig = any(Word::Infra) || any(Word::Undetermined) && self.settled == Some(Blame::Rig);
        match (fails, any(Word::Pass)) {
            (true, true) => Verdict::Flaky,
            (true, false) => Verdict::Fail,
            _ if any(Word::Error) => Verdict::Error,
            _ if any(Word::Undetermined) && self.settled != Some(Blame::Rig) => Verdict::Undetermined,
            (false, true) => Verdict::Pass,
            _ if rig => Verdict::Infra,
            _ if any(Word::Blocked) => Verdict::Blocked,
            _ if any(Word::Skip) => Verdict::Skip,
            _ => Verdict::NotRun,
        }
    }
}

/// Each case of these runs.
pub(super) fn of_parts<'a>(parts: impl Iterator<Item = &'a Part>) -> BTreeMap<CaseId, Standing> {
    let mut cases = BTreeMap::new();
    parts.for_each(|part| add_part(&mut cases, part));
    cases
}

fn add_part(cases: &mut BTreeMap<CaseId, Standing>, part: &Part) {
    for seen in &part.came.seen {
        let case = cases.entry(seen.case.clone()).or_default();
        match part.why {
            Why::Control => case.settled = seen.blame.or(case.settled),
            _ => case.add(part, seen.word, &seen.says, seen.blame),
        }
    }
}

/// By board, image and case, from a campaign's book: for a comparison with another night.
pub fn standings(entries: &[Entry]) -> BTreeMap<(String, String, CaseId), Standing> {
    let mut begun = BTreeMap::new();
    let mut all: BTreeMap<(String, String), BTreeMap<CaseId, Standing>> = BTreeMap::new();
    for (_, happened) in entries {
        match happened {
            Happened::Started { job, why, run, slot } => {
                begun.insert(run.clone(), (job.clone(), *why, slot.clone()));
            }
            Happened::Ended { run, came } => {
                let Some((job, why, slot)) = begun.remove(run) else { continue };
                let mut words = job.splitn(3, '/').map(str::to_owned);
                let (Some(board), Some(image)) = (words.next(), words.next()) else { continue };
                let part = Part { run: run.clone(), slot, why, came: came.clone() };
                add_part(all.entry((board, image)).or_default(), &part);
            }
            _ => {}
        }
    }
    all.into_iter()
        .flat_map(|((board, image), cases)| {
            cases.into_iter().map(move |(case, standing)| ((board.clone(), image.clone(), case), standing))
        })
        .collect()
}
