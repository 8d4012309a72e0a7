//! Decides what each slot does next.

use std::collections::{BTreeMap, BTreeSet};

use shakedown_core::CaseId;
use shakedown_core::ledger::BOOT;
use shakedown_core::outcome::Word;

use crate::book::{Entry, Happened, Why};
use crate::came::{Came, Class};
use crate::engine::{Director, Order, Task};
use crate::plan::{Job, PlanDoc, Then};
use crate::slots::{SlotSpec, SlotState};

/// What is tried again, and when a slot is sick: [`crate::plan::RetryDoc`] and [`crate::plan::SickDoc`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How often a job whose rig broke is run again.
    pub infra: u32,
    /// How often what failed is run again.
    pub fail: u32,
    /// The control image's label.
    pub control: Option<String>,
    /// Runs in a row whose rig broke.
    pub sick_after: u32,
    /// What then.
    pub then: Then,
}

impl Policy {
    /// As the plan says.
    pub fn of(plan: &PlanDoc) -> Self {
        let control = plan.retry.undetermined.clone();
        let (infra, fail) = (plan.retry.infra, plan.retry.fail);
        Self { infra, fail, control, sick_after: plan.sick.after, then: plan.sick.then }
    }
}

/// One run of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The run's id.
    pub run: String,
    /// `rig/slot`.
    pub slot: String,
    /// Why it was made.
    pub why: Why,
    /// What came of it.
    pub came: Came,
}

/// A job in the night.
#[derive(Clone, Debug)]
pub struct JobState {
    /// What the plan asks for.
    pub job: Job,
    /// Its runs, in order.
    pub parts: Vec<Part>,
    todo: Option<Todo>,
    running: bool,
}

#[derive(Clone, Debug)]
struct Todo {
    why: Why,
    only: Option<Vec<CaseId>>,
    /// Only there.
    on: Option<usize>,
    /// Better elsewhere.
    not_on: Option<usize>,
}

impl JobState {
    /// Whether nothing is left to do for it.
    pub fn is_done(&self) -> bool {
        self.todo.is_none() && !self.running
    }

    /// Whether nothing more is to be done for it, and not all of it has an answer: its tries are used up.
    pub fn is_lost(&self) -> bool {
        let of_image = self.parts.iter().filter(|part| part.why != Why::Control);
        let mut seen = of_image.flat_map(|part| &part.came.seen);
        self.is_done()
            && match self.open() {
                None => !seen.any(|seen| seen.word.is_answer()),
                Some(open) => !open.is_empty(),
            }
    }

    fn made(&self, why: Why) -> u32 {
        self.parts.iter().filter(|part| part.why == why).count() as u32
    }

    /// Cases that have no answer yet; `None` where none has one, so that all are run.
    fn open(&self) -> Option<Vec<CaseId>> {
        let (mut open, mut answered) = (BTreeSet::new(), BTreeSet::new());
        for part in self.parts.iter().filter(|part| part.why != Why::Control) {
            for seen in part.came.seen.iter().filter(|seen| seen.case.0 != BOOT) {
                // What a failure of the OS blocks is answered by that failure.
                let blocked = seen.word == Word::Blocked && part.came.class == Class::Failed;
                let set = if seen.word.is_answer() || blocked { &mut answered } else { &mut open };
                set.insert(seen.case.clone());
            }
        }
        (!answered.is_empty()).then(|| open.difference(&answered).cloned().collect())
    }

    fn of_word(part: &Part, word: Word) -> Vec<CaseId> {
        part.came.seen.iter().filter(|seen| seen.word == word).map(|seen| seen.case.clone()).collect()
    }

    /// What is to be done after its last run.
    fn after(&self, slot: Option<usize>, policy: &Policy) -> Option<Todo> {
        let last = self.parts.last()?;
        let todo = |why, only| Some(Todo { why, only, on: None, not_on: None });
        let is_boot = |cases: &[CaseId]| cases.iter().any(|case| case.0 == BOOT);
        if last.came.class == Class::Cut {
            let only = self.open();
            // Everything was answered when it was cut off: the safe state alone was missing.
            return if only.as_ref().is_some_and(Vec::is_empty) { None } else { todo(Why::Rest, only) };
        }
        let again = last.why != Why::Control && self.made(Why::Again) < policy.infra;
        if last.came.class == Class::Infra && again {
            let only = self.open().filter(|only| !only.is_empty());
            return Some(Todo { why: Why::Again, only, on: None, not_on: slot });
        }
        let undetermined = Self::of_word(last, Word::Undetermined);
        let control = policy.control.as_ref().is_some_and(|control| *control != self.job.image);
        if !undetermined.is_empty() && control && last.why != Why::Control && self.made(Why::Control) == 0 {
            let only = (!is_boot(&undetermined)).then_some(undetermined);
            return Some(Todo { why: Why::Control, only, on: slot, not_on: None });
        }
        let failed: Vec<_> = self.parts.iter().flat_map(|part| Self::of_word(part, Word::Fail)).collect();
        if !failed.is_empty() && last.why != Why::Control && self.made(Why::Confirm) < policy.fail {
            let only: BTreeSet<_> = failed.iter().cloned().collect();
            let only = (!is_boot(&failed)).then(|| only.into_iter().collect());
            return todo(Why::Confirm, only);
        }
        None
    }
}

/// The whole night. Sans I/O.
#[derive(Clone, Debug)]
pub struct Night {
    jobs: Vec<JobState>,
    slots: Vec<SlotState>,
    policy: Policy,
    /// A sick slot ended everything.
    stopped: bool,
}

impl Night {
    /// Nothing done yet.
    pub fn new(jobs: Vec<Job>, slots: Vec<SlotSpec>, policy: Policy) -> Self {
        let new = |job| {
            let todo = Some(Todo { why: Why::Planned, only: None, on: None, not_on: None });
            JobState { job, parts: Vec::new(), todo, running: false }
        };
        let slots = slots.into_iter().map(SlotState::new).collect();
        Self { jobs: jobs.into_iter().map(new).collect(), slots, policy, stopped: false }
    }

    /// The jobs with what came of them.
    pub fn jobs(&self) -> &[JobState] {
        &self.jobs
    }

    /// The slots with what is known of them.
    pub fn slots(&self) -> &[SlotState] {
        &self.slots
    }

    /// Goes through what a book says was done. Runs that were begun and have no end are given back,
    /// as run id, job and slot: [`Night::found`] takes what their journals say.
    pub fn replay(&mut self, entries: &[Entry]) -> Vec<(String, String, String)> {
        let mut begun: BTreeMap<&str, (&str, Why, &str)> = BTreeMap::new();
        let mut order = Vec::new();
        for (_, happened) in entries {
            match happened {
                Happened::Started { job, why, run, slot } => {
                    begun.insert(run, (job, *why, slot));
                    order.push(run);
                }
                Happened::Ended { run, came } => {
                    if let Some((job, why, slot)) = begun.remove(run.as_str()) {
                        self.found(run, job, why, slot, came);
                    }
                }
                Happened::Checked { slot, fault, .. } => {
                    if let Some(slot) = self.slots.iter_mut().find(|known| known.spec.id == *slot) {
                        slot.checked(fault.as_deref());
                    }
                }
                Happened::Begun { .. } | Happened::Resumed | Happened::Finished { .. } => {}
            }
        }
        let open = order.into_iter().filter_map(|run| begun.get_key_value(run.as_str()));
        open.map(|(run, (job, _, slot))| ((*run).to_owned(), (*job).to_owned(), (*slot).to_owned())).collect()
    }

    /// What came of a run that was begun in another life of this campaign.
    pub fn found(&mut self, run: &str, job: &str, why: Why, slot: &str, came: &Came) {
        let number = self.slots.iter().position(|known| known.spec.id == slot);
        let Some(job) = self.jobs.iter().position(|known| known.job.key == job) else { return };
        self.add(number, slot.to_owned(), job, why, run, came);
    }

    fn add(&mut self, number: Option<usize>, slot: String, job: usize, why: Why, run: &str, came: &Came) {
        if let Some(number) = number {
            let state = &mut self.slots[number];
            state.ended(came, self.policy.sick_after);
            self.stopped |= state.out.is_some() && self.policy.then == Then::Stop;
        }
        let job = &mut self.jobs[job];
        job.parts.push(Part { run: run.to_owned(), slot, why, came: came.clone() });
        job.running = false;
        job.todo = job.after(number, &self.policy);
    }

    /// The job for this slot that comes first.
    fn pick(&self, slot: usize) -> Option<usize> {
        let board = &self.slots[slot].spec.board;
        let usable = |number: usize| {
            let other = &self.slots[number];
            number != slot && other.spec.board == *board && other.out.is_none()
        };
        let others = (0..self.slots.len()).any(usable);
        let fits = |job: &&JobState| {
            job.job.board == *board
                && job.todo.as_ref().is_some_and(|todo| {
                    todo.on.is_none_or(|on| on == slot || self.slots[on].out.is_some())
                        && !(others && todo.not_on == Some(slot))
                })
        };
        let rank = |job: &JobState| {
            // What settles something comes before what asks anew.
            let why = job.todo.as_ref().map(|todo| std::cmp::Reverse(todo.why));
            (why, std::cmp::Reverse(job.job.priority))
        };
        let found = self.jobs.iter().enumerate().filter(|(_, job)| fits(job));
        found.min_by_key(|(_, job)| rank(job)).map(|(index, _)| index)
    }
}

impl Director for Night {
    fn next(&mut self, slot: usize) -> Order {
        let state = &self.slots[slot];
        if state.out.is_some() || self.stopped {
            return Order::Leave;
        }
        let board = state.spec.board.clone();
        let Some(index) = self.pick(slot) else {
            let more = self.jobs.iter().any(|job| job.job.board == board && !job.is_done());
            return if more { Order::Wait } else { Order::Leave };
        };
        if state.suspect.is_some() {
            return Order::Check;
        }
        let control = self.policy.control.clone();
        let job = &mut self.jobs[index];
        let Some(todo) = job.todo.take() else { return Order::Wait };
        job.running = true;
        let image = match todo.why {
            Why::Control => control.unwrap_or_else(|| job.job.image.clone()),
            _ => job.job.image.clone(),
        };
        let (key, before) = (job.job.key.clone(), job.parts.len());
        Order::Run(Task { job: index, key, why: todo.why, image, only: todo.only, before })
    }

    fn ended(&mut self, slot: usize, task: &Task, run: &str, came: &Came) {
        let id = self.slots[slot].spec.id.clone();
        self.add(Some(slot), id, task.job, task.why, run, came);
    }

    fn checked(&mut self, slot: usize, fault: Option<&str>) {
        self.slots[slot].checked(fault);
        self.stopped |= self.slots[slot].out.is_some() && self.policy.then == Then::Stop;
    }
}
