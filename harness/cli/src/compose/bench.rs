//! The slots of a campaign: what its engine does there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use shakedown_boards::Catalogue;
use shakedown_campaign::slots::SlotSpec;
use shakedown_campaign::{Bench, Came, Class, Room, Task, Why};
use shakedown_core::event::Nowhere;
use shakedown_core::shell::quote;
use shakedown_core::{Board, CaseId, Clock, Deadline, ExitCode, Outcome, Pace, RealClock};
use shakedown_runner::adjudicate::by_control;
use shakedown_runner::{Examine, Writing};
use shakedown_suites::{Ask, Plan, SuiteError, Suites};
use tokio_util::sync::CancellationToken;

use super::execute::{self, Job};
use super::image::Chosen;
use super::rig::{Rig as RigFile, SlotDoc};
use super::{folder, slot};
use crate::CliError;
use crate::keeper::client::{Caller, Right, Taken};
use crate::say::out;

/// Between two looks at a slot that somebody else holds.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long a slot that somebody else holds is waited for, and a place for its machine on this host.
const LEASE: Duration = Duration::from_secs(4 * 3600);

/// A slot of one of the rigs.
pub struct Place {
    rig: Arc<RigFile>,
    name: String,
    /// `rig/slot`.
    pub id: String,
    /// The board type that sits in it.
    pub board: Arc<Board>,
}

impl Place {
    fn doc(&self) -> &SlotDoc {
        &self.rig.doc.value.slots[&self.name]
    }

    /// For the campaign.
    pub fn spec(&self) -> SlotSpec {
        SlotSpec { id: self.id.clone(), board: self.board.slug.clone() }
    }

    /// Whether the slot offers all of these, before it is opened.
    pub fn offers(&self, wanted: &[String]) -> bool {
        let slot = slot::offers(self.doc());
        let has = |name: &String| slot.iter().chain(&self.board.capabilities).any(|offer| offer.0 == *name);
        wanted.iter().all(has)
    }
}

/// Every slot of these rigs, checked against its board.
pub fn places(catalogue: &Catalogue, rigs: Vec<RigFile>) -> Result<Vec<Place>, CliError> {
    let mut places: Vec<Place> = Vec::new();
    for rig in rigs.into_iter().map(Arc::new) {
        for (name, doc) in &rig.doc.value.slots {
            let board = rig.board(catalogue, name, doc)?;
            rig.check(name, doc, &board)?;
            let id = format!("{}/{name}", rig.doc.value.rig);
            if places.iter().any(|place| place.id == id) {
                return Err(CliError::refused(format!("two rig files have a slot {id}"))
                    .hint("give each rig a name of its own"));
            }
            places.push(Place { rig: rig.clone(), name: name.clone(), id, board });
        }
    }
    Ok(places)
}

/// How much runs at once, and what a run on each slot takes of it.
pub struct Shares {
    room: Room,
    simulated: usize,
    qemu: usize,
    hardware: usize,
}

impl Shares {
    /// What this host bears: a simulated run keeps a core busy, QEMUs are bounded by their tokens, and
    /// a board mostly waits. `jobs` at once, where a person knows better, of QEMUs as many as have a token.
    pub fn of_host(jobs: Option<usize>) -> Result<Self, CliError> {
        let tokens = shakedown_qemu::tokens::count()?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self::of(jobs, cores, tokens))
    }

    fn of(jobs: Option<usize>, cores: usize, tokens: usize) -> Self {
        if let Some(jobs) = jobs {
            // A share a token for each job, so that both divide the room.
            return Self {
                room: Room(jobs * tokens),
                simulated: tokens,
                qemu: jobs.max(tokens),
                hardware: tokens,
            };
        }
        // A core has four shares per token, so that both divide it.
        let share = 4 * tokens;
        let room = cores * share;
        Self { room: Room(room), simulated: share, qemu: room / tokens, hardware: (share / 4).max(1) }
    }

    /// All of it.
    pub fn room(&self) -> Room {
        self.room
    }
}

/// What a campaign needs to make its runs.
pub struct SlotsBench<'a> {
    /// Private boards, profiles and suites, for the commands that repeat a run.
    pub paths: &'a [PathBuf],
    /// The slots, by number.
    pub places: &'a [Place],
    /// All cases.
    pub suites: &'a Suites,
    /// The cases of each job, by its suite's name.
    pub plans: BTreeMap<String, Plan>,
    /// The suite of each job.
    pub suite_of: Vec<String>,
    /// The image of a label for a board.
    pub images: &'a (dyn Fn(&str, &str) -> Result<Arc<Chosen>, CliError> + Sync),
    /// Labels of images: a health check takes the first that there is for its board.
    pub labels: Vec<String>,
    /// The control image's label.
    pub control: Option<String>,
    /// Where run folders are made.
    pub out: &'a Path,
    /// How much runs at once.
    pub shares: Shares,
    /// Nothing new begins after it.
    pub until: Option<Instant>,
    /// Stops everything.
    pub cancel: CancellationToken,
    /// Runs that ended.
    pub ended: AtomicUsize,
    /// Looks at a slot's health.
    pub looks: AtomicUsize,
    /// Print a line for each run.
    pub tell: bool,
}

/// The cases of a suite, selection or pattern of cases.
pub fn plan_of(suites: &Suites, name: &str) -> Result<Plan, SuiteError> {
    if name.contains("::") {
        return suites.select(&Ask { cases: vec![name.to_owned()], ..Ask::default() });
    }
    match suites.select(&Ask { selection: Some(name.to_owned()), ..Ask::default() }) {
        Err(SuiteError::Unknown { mut known, .. }) => {
            match suites.select(&Ask { suite: Some(name.to_owned()), ..Ask::default() }) {
                Err(SuiteError::Unknown { got, known: more, .. }) => {
                    known.extend(more);
                    Err(SuiteError::Unknown { kind: "suite or selection", got, known })
                }
                other => other,
            }
        }
        other => other,
    }
}

impl SlotsBench<'_> {
    fn attempt(&self, place: &Place, task: &Task, run: &str) -> Result<Came, CliError> {
        let doc = place.doc();
        let image = |label: &str| (self.images)(label, &place.board.slug);
        let chosen = image(&task.image)?;
        let control = self.control.as_ref().filter(|label| **label != task.image);
        let control = control.map(|label| image(label)).transpose()?.map(|control| control.identity.clone());
        let suite = &self.suite_of[task.job];
        let plan = &self.plans[suite];
        let wanted = |id: &CaseId| task.only.as_ref().is_none_or(|only| only.contains(id));
        let cases = plan.cases(&chosen.profile).into_iter().filter(|case| wanted(&case.spec().id));
        let cases: Vec<_> = match doc.simulated {
            Some(_) => cases.map(|case| shakedown_simulated::case(&case)).collect(),
            None => cases.collect(),
        };
        let (runtime, clock) = execute::runtime(doc.simulated.is_some())?;
        let job = Job {
            borrowed: None,
            rig: &place.rig,
            slot: &place.name,
            doc,
            board: place.board.clone(),
            chosen: &chosen,
            control,
            cases,
            selection: plan.name.clone(),
            suites: self.suites.hash(),
            command: self.command(place, task, &chosen, suite),
            repeat: 1,
            cold_boots: 1,
            examine: Examine::default(),
            keep: false,
            writing: Writing::Whole,
            patience: LEASE,
            out: self.out,
            run: run.to_owned(),
            nonce: format!("{} {:?} {}", task.key, task.why, task.before),
            cancel: self.cancel.child_token(),
        };
        runtime.block_on(async {
            let lease = self.lease(place).await?;
            let job = Job { borrowed: lease.as_ref().and_then(Right::borrowed), ..job };
            let executed = execute::execute(job, clock, |_| Vec::new()).await;
            given_back(lease).await;
            let executed = executed?;
            let ledger = &executed.done.ledger;
            let came = if task.why == Why::Control {
                Came::of_control(ledger, by_control)
            } else {
                Came::of(ledger)
            };
            // A failure that was seen before the disk was full is a failure that was seen.
            Ok(match executed.broken {
                None => came,
                Some(broken) => came.unfinished(broken.to_string()),
            })
        })
    }

    /// The exclusive right to a slot, for one run. A simulated one is this process's alone.
    async fn lease(&self, place: &Place) -> Result<Option<Right>, CliError> {
        if place.doc().simulated.is_some() {
            return Ok(None);
        }
        let clock: Arc<dyn Clock> = RealClock::start();
        let by = Deadline::new("the slot", LEASE, Pace::Rig, clock, self.cancel.clone());
        let caller = Caller::new(&place.rig, self.paths, self.cancel.clone());
        loop {
            let take = by.child("slot lock", Duration::from_secs(10));
            let held = match caller.try_take(&place.name, &take).await? {
                Taken::Ours(lock) => return Ok(Some(lock)),
                Taken::Busy(by_whom) => by_whom,
            };
            let paused = by.pause(LOOK_AGAIN, || held.to_string()).await;
            if paused.is_err() || self.is_over() {
                return Err(held);
            }
        }
    }

    /// The command that repeats a run of this job.
    fn command(&self, place: &Place, task: &Task, chosen: &Chosen, suite: &str) -> String {
        let mut words = vec!["shakedown run".to_owned()];
        let mut option = |name: &str, value: &str| words.extend([name.to_owned(), quote(value)]);
        for path in self.paths {
            option("--path", &path.display().to_string());
        }
        if let Some(file) = &place.rig.file {
            option("--rig", &file.display().to_string());
        }
        option("--slot", &place.name);
        option("--image", &chosen.image.path.display().to_string());
        option("--os", &chosen.profile.id);
        match &task.only {
            Some(only) => only.iter().for_each(|case| option("--case", &case.0)),
            None if suite == shakedown_runner::BOOT => option("--selection", "quick"),
            None if suite.contains("::") => option("--case", suite),
            None if self.suites.names().iter().any(|name| name == suite) => option("--suite", suite),
            None => option("--selection", suite),
        }
        words.join(" ")
    }

    fn told(&self, task: &Task, slot: &str, came: &Came) {
        let ended = 1 + self.ended.fetch_add(1, Ordering::Relaxed);
        if !self.tell {
            return;
        }
        let word = match came.class {
            Class::Passed => "pass",
            Class::Failed => "FAIL",
            Class::Undetermined => "OPEN",
            Class::Infra => "INFRA",
            Class::Cut => "cut off",
        };
        let why = if task.why == Why::Planned { String::new() } else { format!(" ({})", task.why.text()) };
        let reason = came.reason();
        let says = if came.class == Class::Passed { String::new() } else { format!(": {reason}") };
        out!("[{ended:>4}] {word:<7} {} on {slot}{why}{says}", task.key);
    }
}

impl Bench for SlotsBench<'_> {
    fn slot(&self, slot: usize) -> &str {
        &self.places[slot].id
    }

    fn weight(&self, slot: usize) -> usize {
        let doc = self.places[slot].doc();
        match (&doc.simulated, &doc.qemu) {
            (Some(_), _) => self.shares.simulated,
            (None, Some(_)) => self.shares.qemu,
            (None, None) => self.shares.hardware,
        }
    }

    fn name(&self, slot: usize, _task: &Task) -> String {
        folder::run_id(&self.places[slot].board.slug)
    }

    fn run(&self, slot: usize, task: &Task, run: &str) -> Came {
        let place = &self.places[slot];
        let came = match self.attempt(place, task, run) {
            Ok(came) => came,
            Err(error) if error.exit == ExitCode::Refused => Came::refused(error.what),
            Err(error) => Came::not_begun(error.what),
        };
        let came = match came.class {
            // Whatever ended while everything ends was ended by that.
            Class::Infra if self.cancel.is_cancelled() => Came { class: Class::Cut, ..came },
            // Nobody cut it off: it broke by itself.
            Class::Cut if !self.cancel.is_cancelled() => Came { class: Class::Infra, ..came },
            _ => came,
        };
        self.told(task, &place.id, &came);
        came
    }

    fn check(&self, slot: usize) -> Result<Vec<String>, String> {
        let place = &self.places[slot];
        let look = self.looks.fetch_add(1, Ordering::Relaxed);
        let check = || -> Result<Vec<String>, CliError> {
            let doc = place.doc();
            let (runtime, clock) = execute::runtime(doc.simulated.is_some())?;
            let known = |label: &String| (self.images)(label, &place.board.slug).ok();
            let chosen = self.labels.iter().find_map(known).ok_or_else(|| CliError::infra("no image"))?;
            runtime.block_on(async {
                let lease = self.lease(place).await?;
                let clock: Arc<dyn Clock> = match clock {
                    Some(clock) => clock,
                    None => RealClock::start(),
                };
                let ask = slot::Ask {
                    id: place.id.clone(),
                    file: shakedown_host::lock::file_name(&place.rig.doc.value.rig, &place.name),
                    board: place.board.clone(),
                    chosen: &chosen,
                    control: None,
                    spec: shakedown_boards::boot_spec(&place.board, &chosen.profile),
                    nonce: format!("health check {look}"),
                    clock: clock.clone(),
                    sink: Arc::new(Nowhere),
                    borrowed: lease.as_ref().and_then(Right::borrowed),
                };
                let by = Deadline::new("the slot", LEASE, Pace::Rig, clock, self.cancel.clone());
                let checked = async {
                    let opened = slot::open(doc, ask, &by).await?;
                    shakedown_runner::health(&opened.slot, &self.cancel).await
                };
                let checked = checked.await;
                given_back(lease).await;
                Ok(checked?)
            })
        };
        let checked = check().map_err(|error| error.what);
        if self.tell {
            match &checked {
                Ok(seen) => out!("            {} is well again: {}", place.id, seen.join("; ")),
                Err(fault) => out!("            {} is sick: {fault}", place.id),
            }
        }
        checked
    }

    fn is_over(&self) -> bool {
        self.cancel.is_cancelled() || self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// The next run on the slot finds out what could not be made safe.
async fn given_back(lease: Option<Right>) {
    if let Some(lease) = lease {
        let _ = lease.give_back(false).await;
    }
}

/// What came of a run, from its folder: for one that was begun and has no end in the book.
pub fn came_of(out: &Path, run: &str, why: Why) -> Came {
    let text = std::fs::read(out.join(run).join("journal.jsonl")).unwrap_or_default();
    let ledger = shakedown_core::Ledger::of(&shakedown_core::journal::read(&text));
    let judge: fn(&Outcome) -> shakedown_core::Blame = by_control;
    if why == Why::Control { Came::of_control(&ledger, judge) } else { Came::of(&ledger) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_machines_at_once_than_have_a_token() {
        for (jobs, cores, tokens, machines, others) in [
            (None, 2, 1, 1, 2),
            (None, 2, 2, 2, 2),
            (None, 8, 4, 4, 8),
            (Some(2), 2, 1, 1, 2),
            (Some(2), 2, 2, 2, 2),
            (Some(4), 2, 2, 2, 4),
            (Some(1), 2, 2, 1, 1),
        ] {
            let shares = Shares::of(jobs, cores, tokens);
            let at_once = (shares.room.0 / shares.qemu, shares.room.0 / shares.simulated);
            assert_eq!(at_once, (machines, others), "{jobs:?} jobs, {cores} cores, {tokens} tokens");
        }
    }
}
