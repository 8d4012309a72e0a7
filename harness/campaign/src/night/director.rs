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
    running: Option<Todo>,
    /// The first run of the question that is being asked: a run that is cut off, and what is left of it,
    /// ask one question together.
    round: usize,
    /// How often it was settled whether what failed always fails.
    confirmed: u32,
}

/// A question, or what is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Todo {
    why: Why,
    only: Option<Vec<CaseId>>,
    /// Only there: `rig/slot`.
    on: Option<String>,
    /// Better elsewhere.
    not_on: Option<String>,
}

impl Todo {
    fn new(why: Why, only: Option<Vec<CaseId>>) -> Self {
        Self { why, only, on: None, not_on: None }
    }

    /// What a run that did not come to its end has left of its question; `None` where nothing is.
    fn rest(&self, came: &Came) -> Option<Self> {
        let ended = |case: &CaseId| came.seen.iter().any(|seen| seen.case == *case && came.is_settled(seen));
        let only = match &self.only {
            Some(only) => only.iter().filter(|case| !ended(case)).cloned().collect(),
            // Without a boot nothing was begun.
            None if !came.seen.iter().any(|seen| seen.case.0 == BOOT && came.is_settled(seen)) => {
                return Some(self.clone());
            }
            None => {
                let open = came.seen.iter().filter(|seen| !came.is_settled(seen));
                open.map(|seen| seen.case.clone()).collect::<Vec<_>>()
            }
        };
        (!only.is_empty()).then(|| Self { only: Some(only), ..self.clone() })
    }
}

impl JobState {
    /// Whether nothing is left to do for it.
    pub fn is_done(&self) -> bool {
        self.todo.is_none() && self.running.is_none()
    }

    /// Whether nothing more is to be done for it, and not all of it has an answer: its tries are used up.
    pub fn is_lost(&self) -> bool {
        let mut seen = self.of_image().flat_map(|part| &part.came.seen);
        self.is_done()
            && match self.open() {
                None => !seen.any(|seen| seen.word.is_answer()),
                Some(open) => !open.is_empty(),
            }
    }

    /// What was run with its own image, and not with the control image.
    fn of_image(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| part.why != Why::Control)
    }

    /// Cases that have no answer yet; `None` where none has one, so that all are run.
    fn open(&self) -> Option<Vec<CaseId>> {
        let (mut open, mut answered) = (BTreeSet::new(), BTreeSet::new());
        for part in self.of_image() {
            for seen in part.came.seen.iter().filter(|seen| seen.case.0 != BOOT) {
                // What a failure of the OS blocks is answered by that failure.
                let blocked = seen.word == Word::Blocked
                    && match part.came.class {
                        Class::Failed => true,
                        Class::Cut => part.came.is_settled(seen),
                        _ => false,
                    };
                let set = if seen.word.is_answer() || blocked { &mut answered } else { &mut open };
                set.insert(seen.case.clone());
            }
        }
        (!answered.is_empty()).then(|| open.difference(&answered).cloned().collect())
    }

    fn of_word<'a>(parts: impl Iterator<Item = &'a Part>, word: Word) -> BTreeMap<CaseId, &'a Part> {
        parts
            .flat_map(|part| part.came.seen.iter().map(move |seen| (seen, part)))
            .filter(|(seen, _)| seen.word == word)
            .map(|(seen, part)| (seen.case.clone(), part))
            .collect()
    }

    /// What is to be done next, as a task: for tests that kill it there.
    #[cfg(test)]
    pub(super) fn todo_now(&self, control: &str) -> Task {
        let todo = self.todo.clone().expect("something is to be done");
        let image = if todo.why == Why::Control { control.to_owned() } else { self.job.image.clone() };
        let (key, before) = (self.job.key.clone(), self.parts.len());
        Task { job: 0, key, why: todo.why, image, only: todo.only, before }
    }

    /// A run ended that was asked for so.
    fn ended(&mut self, asked: &Todo, policy: &Policy) {
        self.todo = self.goes_on(asked, policy);
        if self.todo.is_none() {
            self.confirmed += u32::from(asked.why == Why::Confirm);
            self.todo = self.after(asked, policy);
            self.round = self.parts.len();
        }
    }

    /// What is left of the question that was asked, where the run could not answer it.
    fn goes_on(&self, asked: &Todo, policy: &Policy) -> Option<Todo> {
        let last = self.parts.last()?;
        let rest = asked.rest(&last.came)?;
        match (last.came.class, asked.why) {
            (Class::Cut, Why::Planned | Why::Again) => Some(Todo { why: Why::Rest, ..rest }),
            // What it was run for is asked again: without its answer there is no verdict.
            (Class::Cut, _) => Some(rest),
            (Class::Infra, Why::Confirm) if self.may_try_again(policy) => {
                Some(Todo { not_on: Some(last.slot.clone()), ..rest })
            }
            _ => None,
        }
    }

    fn may_try_again(&self, policy: &Policy) -> bool {
        let broke = self.of_image().filter(|part| part.came.class == Class::Infra).count();
        broke <= policy.infra as usize
    }

    /// What is to be asked after a question that was answered as well as it could be.
    fn after(&self, asked: &Todo, policy: &Policy) -> Option<Todo> {
        let last = self.parts.last()?;
        let is_boot = |cases: &BTreeMap<CaseId, &Part>| cases.keys().any(|case| case.0 == BOOT);
        let runs_image = !matches!(asked.why, Why::Control | Why::Confirm);
        if last.came.class == Class::Infra && runs_image && self.may_try_again(policy) {
            let only = self.open();
            // The rig may break after the last answer.
            if only.as_ref().is_none_or(|only| !only.is_empty()) {
                return Some(Todo { not_on: Some(last.slot.clone()), ..Todo::new(Why::Again, only) });
            }
        }
        let control = policy.control.as_ref().is_some_and(|control| *control != self.job.image);
        if control && !self.parts.iter().any(|part| part.why == Why::Control) {
            let undetermined = Self::of_word(self.parts[self.round..].iter(), Word::Undetermined);
            if let Some(seen_by) = undetermined.values().next_back() {
                let on = Some(seen_by.slot.clone());
                let only = (!is_boot(&undetermined)).then(|| undetermined.into_keys().collect());
                return Some(Todo { on, ..Todo::new(Why::Control, only) });
            }
        }
        let failed = Self::of_word(self.of_image(), Word::Fail);
        if !failed.is_empty() && self.confirmed < policy.fail {
            let only = (!is_boot(&failed)).then(|| failed.into_keys().collect());
            return Some(Todo::new(Why::Confirm, only));
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
            let todo = Some(Todo::new(Why::Planned, None));
            JobState { job, parts: Vec::new(), todo, running: None, round: 0, confirmed: 0 }
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
        // From a book: what was asked is what was to be done next.
        let asked = job.running.take().or(job.todo.take()).filter(|asked| asked.why == why);
        job.parts.push(Part { run: run.to_owned(), slot, why, came: came.clone() });
        job.ended(&asked.unwrap_or_else(|| Todo::new(why, None)), &self.policy);
    }

    /// The job for this slot that comes first.
    fn pick(&self, slot: usize) -> Option<usize> {
        let SlotSpec { board, id } = &self.slots[slot].spec;
        let in_service =
            |wanted: &str| self.slots.iter().any(|slot| slot.spec.id == wanted && slot.out.is_none());
        let usable = |number: usize| {
            let other = &self.slots[number];
            number != slot && other.spec.board == *board && other.out.is_none()
        };
        let others = (0..self.slots.len()).any(usable);
        let fits = |job: &&JobState| {
            job.job.board == *board
                && job.todo.as_ref().is_some_and(|todo| {
                    let on = todo.on.as_ref().filter(|on| in_service(on));
                    on.is_none_or(|on| *on == *id) && !(others && todo.not_on.as_ref() == Some(id))
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
        job.running = Some(todo.clone());
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
