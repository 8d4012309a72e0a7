//! Runs what a director decides: a thread a slot, one run at a time on each, all within the host's room.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use shakedown_core::CaseId;

use crate::book::{Book, BookError, Happened, Why};
use crate::came::Came;

/// A run that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The job's number.
    pub job: usize,
    /// Its key, for the book.
    pub key: String,
    /// Why it is run.
    pub why: Why,
    /// The image's label: the job's, or the control image's.
    pub image: String,
    /// Only these cases; `None` for all of the job.
    pub only: Option<Vec<CaseId>>,
    /// How many runs of this job there were before.
    pub before: usize,
}

/// What a slot does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// This run.
    Run(Task),
    /// A look at its health.
    Check,
    /// What others are doing may give it something to do.
    Wait,
    /// Nothing will come any more.
    Leave,
}

/// Decides. Reads no clock and opens nothing.
pub trait Director: Send {
    /// What this slot does next.
    fn next(&mut self, slot: usize) -> Order;
    /// A run that `next` gave has ended.
    fn ended(&mut self, slot: usize, task: &Task, run: &str, came: &Came);
    /// A slot's health was looked at: what is wrong with it, if anything.
    fn checked(&mut self, slot: usize, fault: Option<&str>);
}

/// Does. Its calls block.
pub trait Bench: Sync {
    /// `rig/slot`.
    fn slot(&self, slot: usize) -> &str;
    /// Whether a run on it takes its share of the room.
    fn weight(&self, slot: usize) -> usize;
    /// A name for the run that is about to begin.
    fn name(&self, slot: usize, task: &Task) -> String;
    /// Makes a run, to its end.
    fn run(&self, slot: usize, task: &Task, run: &str) -> Came;
    /// Looks at a slot's health: what was seen, or what is wrong.
    fn check(&self, slot: usize) -> Result<Vec<String>, String>;
    /// Whether nothing new may begin: interrupted, or out of time.
    fn is_over(&self) -> bool;
}

/// How much runs at once on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room(pub usize);

struct State<'a, D> {
    director: &'a mut D,
    book: &'a mut Book,
    room: usize,
    broken: Option<BookError>,
}

/// Runs until every slot has left. The error is the book's: without it nothing may go on.
pub fn run<D: Director>(
    director: &mut D,
    book: &mut Book,
    bench: &dyn Bench,
    slots: usize,
    room: Room,
) -> Result<(), BookError> {
    let state = Mutex::new(State { director, book, room: room.0.max(1), broken: None });
    let moved = Condvar::new();
    std::thread::scope(|scope| {
        for slot in 0..slots {
            let (state, moved) = (&state, &moved);
            let worker = std::thread::Builder::new().name(format!("slot {slot}"));
            let spawned = worker.spawn_scoped(scope, move || work(state, moved, bench, slot, room));
            if let Err(error) = spawned {
                let path = std::path::PathBuf::from("thread of a slot");
                lock(state).broken.get_or_insert(BookError::Io { path, error });
            }
        }
    });
    let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    state.broken.map_or(Ok(()), Err)
}

fn lock<'s, 'a, D>(state: &'s Mutex<State<'a, D>>) -> MutexGuard<'s, State<'a, D>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work<D: Director>(
    state: &Mutex<State<'_, D>>,
    moved: &Condvar,
    bench: &dyn Bench,
    slot: usize,
    room: Room,
) {
    // More than there is room for at all runs alone.
    let weight = bench.weight(slot).min(room.0.max(1));
    loop {
        let mut held = lock(state);
        let order = loop {
            if held.broken.is_some() || bench.is_over() {
                break Order::Leave;
            }
            if held.room >= weight {
                match held.director.next(slot) {
                    Order::Wait => {}
                    order => break order,
                }
            }
            held = moved.wait(held).unwrap_or_else(PoisonError::into_inner);
        };
        let done = match order {
            Order::Leave | Order::Wait => {
                moved.notify_all();
                return;
            }
            Order::Check => {
                drop(held);
                let checked = bench.check(slot);
                let mut held = lock(state);
                let (fault, seen) = match checked {
                    Ok(seen) => (None, seen),
                    Err(fault) => (Some(fault), Vec::new()),
                };
                held.director.checked(slot, fault.as_deref());
                held.book.write(&Happened::Checked { slot: bench.slot(slot).to_owned(), fault, seen })
            }
            Order::Run(task) => {
                let run = bench.name(slot, &task);
                let started = Happened::Started {
                    job: task.key.clone(),
                    why: task.why,
                    run: run.clone(),
                    slot: bench.slot(slot).to_owned(),
                };
                // On the disk before anything is switched.
                if let Err(error) = held.book.write(&started) {
                    held.broken = Some(error);
                    moved.notify_all();
                    return;
                }
                held.room -= weight;
                drop(held);
                let came = bench.run(slot, &task, &run);
                let mut held = lock(state);
                held.room += weight;
                held.director.ended(slot, &task, &run, &came);
                held.book.write(&Happened::Ended { run, came })
            }
        };
        if let Err(error) = done {
            lock(state).broken = Some(error);
        }
        moved.notify_all();
    }
}
