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
    /// Of what could not be told: how often a control run on the same slot passed.
    pub by_image: u32,
    /// How often it could not be told with the control image either.
    pub by_rig: u32,
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

    /// What a control run says about attempts that could not be told.
    fn settle(&mut self, attempts: u32, blame: Blame) {
        match blame {
            Blame::Os | Blame::Image => self.by_image += attempts,
            Blame::Rig => self.by_rig += attempts,
            Blame::Harness | Blame::Undetermined => {}
        }
    }

    /// The attempts of another job at the same case.
    fn merge(&mut self, other: Self) {
        let worse = self.says.is_empty() && !other.says.is_empty() || other.verdict() < self.verdict();
        if worse || self.run.is_empty() {
            (self.says, self.blame, self.run) = (other.says, other.blame, other.run);
        }
        for (word, times) in other.words {
            *self.words.entry(word).or_default() += times;
        }
        (self.by_image, self.by_rig) = (self.by_image + other.by_image, self.by_rig + other.by_rig);
    }

    /// How often it failed, also by what a control run said.
    pub fn failures(&self) -> u32 {
        self.count(Word::Fail) + self.by_image
    }

    /// How often this came.
    pub fn count(&self, word: Word) -> u32 {
        self.words.get(&word).copied().unwrap_or_default()
    }

    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        let any = |word| self.count(word) > 0;
        // A control run on the same slot passed: what could not be told was the image's.
        let fails = self.failures() > 0;
        let open = self.count(Word::Undetermined) > self.by_image + self.by_rig;
        match (fails, any(Word::Pass)) {
            (true, true) => Verdict::Flaky,
            (true, false) => Verdict::Fail,
            _ if any(Word::Error) => Verdict::Error,
            _ if open => Verdict::Undetermined,
            (false, true) => Verdict::Pass,
            _ if any(Word::Infra) || self.by_rig > 0 => Verdict::Infra,
            _ if any(Word::Blocked) => Verdict::Blocked,
            _ if any(Word::Skip) => Verdict::Skip,
            _ => Verdict::NotRun,
        }
    }
}

/// Each case of these jobs, each with its runs in order.
pub(super) fn of_jobs<'a>(jobs: impl Iterator<Item = &'a [Part]>) -> BTreeMap<CaseId, Standing> {
    let mut cases: BTreeMap<CaseId, Standing> = BTreeMap::new();
    for (case, standing) in jobs.flat_map(of_job) {
        cases.entry(case).or_default().merge(standing);
    }
    cases
}

fn of_job(parts: &[Part]) -> BTreeMap<CaseId, Standing> {
    let mut cases: BTreeMap<CaseId, Standing> = BTreeMap::new();
    // A control run settles what could not be told in this job, and nothing of another one.
    let mut open: BTreeMap<&CaseId, u32> = BTreeMap::new();
    for part in parts {
        for seen in &part.came.seen {
            if part.why == Why::Control {
                let Some(blame) = seen.blame else { continue };
                let attempts = open.remove(&seen.case).unwrap_or_default();
                if attempts > 0 {
                    cases.entry(seen.case.clone()).or_default().settle(attempts, blame);
                }
                continue;
            }
            *open.entry(&seen.case).or_default() += u32::from(seen.word == Word::Undetermined);
            cases.entry(seen.case.clone()).or_default().add(part, seen.word, &seen.says, seen.blame);
        }
    }
    cases
}

/// By board, image and case, from a campaign's book: for a comparison with another night.
pub fn standings(entries: &[Entry]) -> BTreeMap<(String, String, CaseId), Standing> {
    let mut begun = BTreeMap::new();
    let mut jobs: BTreeMap<String, Vec<Part>> = BTreeMap::new();
    for (_, happened) in entries {
        match happened {
            Happened::Started { job, why, run, slot } => {
                begun.insert(run.clone(), (job.clone(), *why, slot.clone()));
            }
            Happened::Ended { run, came } => {
                let Some((job, why, slot)) = begun.remove(run) else { continue };
                let part = Part { run: run.clone(), slot, why, came: came.clone() };
                jobs.entry(job).or_default().push(part);
            }
            _ => {}
        }
    }
    let mut all: BTreeMap<(String, String), Vec<&[Part]>> = BTreeMap::new();
    for (job, parts) in &jobs {
        let mut words = job.splitn(3, '/').map(str::to_owned);
        let (Some(board), Some(image)) = (words.next(), words.next()) else { continue };
        all.entry((board, image)).or_default().push(parts);
    }
    all.into_iter()
        .flat_map(|((board, image), parts)| {
            let cases = of_jobs(parts.into_iter());
            cases.into_iter().map(move |(case, standing)| ((board.clone(), image.clone(), case), standing))
        })
        .collect()
}
