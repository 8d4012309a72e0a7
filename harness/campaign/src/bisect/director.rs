//! The search as a campaign: on several slots at once, from a book.

use shakedown_core::CaseId;
use shakedown_core::ledger::BOOT;
use shakedown_core::outcome::Word;

use super::search::{Answer, Look, Search};
use crate::book::{Entry, Happened, Why};
use crate::came::{Came, Class};
use crate::engine::{Director, Order, Task};
use crate::slots::{SlotSpec, SlotState};

/// Runs in a row whose rig broke, after which a slot is taken out.
const SICK_AFTER: u32 = 2;

/// One attempt, for the path that is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The image's number.
    pub image: usize,
    /// What it showed.
    pub look: Look,
    /// The run.
    pub run: String,
    /// What went wrong, if anything.
    pub says: String,
}

/// A bisection. Sans I/O.
#[derive(Clone, Debug)]
pub struct Bisect {
    case: CaseId,
    keys: Vec<String>,
    search: Search,
    slots: Vec<SlotState>,
    path: Vec<Line>,
}

impl Bisect {
    /// For this case, over images in order, by their keys: the first is good, the last is bad.
    pub fn new(case: CaseId, keys: Vec<String>, slots: Vec<SlotSpec>, confidence: f64) -> Self {
        let search = Search::new(keys.len(), confidence);
        let slots = slots.into_iter().map(SlotState::new).collect();
        Self { case, keys, search, slots, path: Vec::new() }
    }

    /// What is known.
    pub fn search(&self) -> &Search {
        &self.search
    }

    /// Every attempt that ended, in order.
    pub fn path(&self) -> &[Line] {
        &self.path
    }

    /// The slots.
    pub fn slots(&self) -> &[SlotState] {
        &self.slots
    }

    /// Goes through what a book says was done; what was begun and has no end is given back as run and image.
    pub fn replay(&mut self, entries: &[Entry]) -> Vec<(String, usize)> {
        let mut begun = Vec::new();
        for (_, happened) in entries {
            match happened {
                Happened::Started { job, run, .. } => {
                    let image = self.keys.iter().position(|key| key == job);
                    begun.extend(image.map(|image| (run.clone(), image)));
                }
                Happened::Ended { run, came } => {
                    if let Some(at) = begun.iter().position(|(begun, _)| begun == run) {
                        let (run, image) = begun.remove(at);
                        self.found(&run, image, came);
                    }
                }
                _ => {}
            }
        }
        begun
    }

    /// What came of a run that was begun in another life of this campaign.
    pub fn found(&mut self, run: &str, image: usize, came: &Came) {
        self.search.begin(image);
        self.saw(run, image, came);
    }

    fn saw(&mut self, run: &str, image: usize, came: &Came) {
        let look = look(&self.case, came);
        match look {
            None => self.search.forget(image),
            Some(look) => {
                self.search.saw(image, look);
                let says = if look == Look::Pass { String::new() } else { came.reason() };
                self.path.push(Line { image, look, run: run.to_owned(), says });
            }
        }
    }
}

/// What a run says about the case; `None` when it was cut off before it said anything.
fn look(case: &CaseId, came: &Came) -> Option<Look> {
    let word = |id: &str| came.seen.iter().filter(|seen| seen.case.0 == id).map(|seen| seen.word).next_back();
    match (word(&case.0), word(BOOT)) {
        (Some(Word::Pass), _) => Some(Look::Pass),
        (Some(Word::Fail), _) => Some(Look::Fail),
        (_, Some(Word::Fail)) => Some(Look::Dead),
        // A run that the image kept from beginning.
        (None, None) if came.class == Class::Failed => Some(Look::Dead),
        _ if came.class == Class::Cut => None,
        _ => Some(Look::Nothing),
    }
}

impl Director for Bisect {
    fn next(&mut self, slot: usize) -> Order {
        let state = &self.slots[slot];
        if state.out.is_some() || self.search.answer() != Answer::Open {
            return Order::Leave;
        }
        if state.suspect.is_some() {
            return Order::Check;
        }
        let image = self.search.next();
        self.search.begin(image);
        let tally = self.search.tallies()[image];
        let before = (tally.pass + tally.fail + tally.dead + tally.nothing + tally.pending - 1) as usize;
        let only = (self.case.0 != BOOT).then(|| vec![self.case.clone()]);
        let key = self.keys[image].clone();
        Order::Run(Task { job: image, image: key.clone(), key, why: Why::Planned, only, before })
    }

    fn ended(&mut self, slot: usize, task: &Task, run: &str, came: &Came) {
        self.slots[slot].ended(came, SICK_AFTER);
        self.saw(run, task.job, came);
    }

    fn checked(&mut self, slot: usize, fault: Option<&str>) {
        self.slots[slot].checked(fault);
    }
}
