//! One slot of a keeper: open while somebody uses it, or while something of it was left on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shakedown_core::{Deadline, Guarded, Level, Proof, Rig, SeenBy, Side, Slot, Stop};
use shakedown_host::{LockError, SlotLock};

use super::operator::Asker;
use super::serve::Keeper;
use super::wait::{WORK, wait};
use super::wire::{Refusal, Seated, Use, Used, Who};
use crate::compose::slot;

/// A DUT that is off is silent for so long: a login answers within 1.5 s even when starved.
const SILENT: Duration = Duration::from_secs(5);
/// A board lives on its capacitors for a second or two, and may talk in that time.
const FADING: Duration = Duration::from_secs(15);
/// The first byte of a board that was switched on; a firmware that says nothing takes longer.
const AWAKE: Duration = Duration::from_secs(5);

/// The name of the supply among the outputs.
pub(super) const POWER: &str = "power";

pub(super) struct Seat {
    /// Its name in the rig file.
    pub(super) name: String,
    /// `rig/slot`.
    pub(super) id: String,
    /// Asks whoever is served.
    pub(super) asker: Arc<Asker>,
    /// One switching at a time, with the questions that belong to it.
    pub(super) turn: tokio::sync::Mutex<()>,
    open: tokio::sync::Mutex<Option<Open>>,
    uses: Mutex<Uses>,
}

struct Open {
    slot: Arc<Slot>,
    // After the slot: it is nobody else's before it is closed.
    _lock: SlotLock,
    _counted: super::serve::Counted,
}

#[derive(Default)]
struct Uses {
    next: u64,
    attached: BTreeMap<u64, Used>,
    on: BTreeMap<String, Used>,
    holder: Option<Holder>,
    writers: BTreeMap<String, (u64, Who)>,
}

/// Who has the slot alone.
struct Holder {
    /// Lets its commands in.
    token: String,
    by: Who,
    /// It has ended: the slot is being made safe, and nothing more is done in its name.
    over: bool,
}

impl Holder {
    fn lets_in(&self, hold: Option<&str>) -> bool {
        hold == Some(&self.token) && !self.over
    }

    fn used(&self) -> Used {
        Used { how: Use::Holds, by: self.by.clone() }
    }
}

impl Uses {
    fn attach(&mut self, used: Used) -> u64 {
        self.next += 1;
        self.attached.insert(self.next, used);
        self.next
    }

    /// Somebody who does more than read a console.
    fn in_the_way(&self) -> Option<&Used> {
        let types = |id: &u64| self.writers.values().any(|(writer, _)| writer == id);
        let other = |(id, used): &(&u64, &Used)| !matches!(used.how, Use::Follows(_)) || types(id);
        self.attached.iter().find(other).map(|(_, used)| used)
    }
}

/// A use of a seat; given back with [`Seat::leave`].
pub(super) struct Ticket {
    id: u64,
    /// The hold that it came in by.
    hold: Option<String>,
    pub(super) slot: Arc<Slot>,
}

impl Seat {
    pub(super) fn new(name: &str, id: String) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            id,
            asker: Arc::default(),
            turn: tokio::sync::Mutex::default(),
            open: tokio::sync::Mutex::default(),
            uses: Mutex::default(),
        })
    }

    fn uses(&self) -> MutexGuard<'_, Uses> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_use(&self, used: Used) -> Refusal {
        Refusal::InUse { slot: self.id.clone(), used }
    }

    /// Begins a use: opens the slot when it is not. `hold` is the hold that the user belongs to.
    pub(super) async fn enter(
        &self,
        keeper: &Keeper,
        how: Use,
        who: &Who,
        hold: Option<&str>,
    ) -> Result<Ticket, Refusal> {
        if keeper.work.is_cancelled() {
            return Err(Refusal::Ends);
        }
        let id = {
            let mut uses = self.uses();
            match &uses.holder {
                // Whoever only looks is in nobody's way.
                Some(holder) if !holder.lets_in(hold) && !matches!(how, Use::Follows(_)) => {
                    return Err(self.in_use(holder.used()));
                }
                _ => {}
            }
            if how == Use::Holds {
                if let Some(used) = uses.in_the_way() {
                    return Err(self.in_use(used.clone()));
                }
                let token = hold.unwrap_or_default().to_owned();
                uses.holder = Some(Holder { token, by: who.clone(), over: false });
            }
            uses.attach(Used { how, by: who.clone() })
        };
        match self.opened(keeper, who).await {
            Ok(slot) => Ok(Ticket { id, hold: hold.map(str::to_owned), slot }),
            Err(refusal) => {
                self.forget(id);
                Err(refusal)
            }
        }
    }

    /// Refuses when somebody holds it.
    pub(super) fn is_not_held(&self) -> Result<(), Refusal> {
        let held = self.uses().holder.as_ref().map(Holder::used);
        held.map_or(Ok(()), |used| Err(self.in_use(used)))
    }

    /// The hold has ended: before the slot is made safe, so that nothing is switched in its name after that.
    pub(super) fn hold_is_over(&self) {
        if let Some(holder) = &mut self.uses().holder {
            holder.over = true;
        }
    }

    /// Refuses what a hold asked for that has ended since, and everything once the keeper ends. For whoever
    /// has waited for the [`Seat::turn`].
    pub(super) fn may_switch(&self, keeper: &Keeper, ticket: &Ticket) -> Result<(), Refusal> {
        if keeper.work.is_cancelled() {
            return Err(Refusal::Ends);
        }
        let uses = self.uses();
        match (&uses.holder, &ticket.hold) {
            (Some(holder), hold) if !holder.lets_in(hold.as_deref()) => Err(self.in_use(holder.used())),
            (None, Some(_)) => Err(Refusal::HoldEnded),
            _ => Ok(()),
        }
    }

    /// A hold's own first entry: nobody knows its token yet.
    pub(super) async fn hold(&self, keeper: &Keeper, who: &Who, token: &str) -> Result<Ticket, Refusal> {
        self.is_not_held()?;
        self.enter(keeper, Use::Holds, who, Some(token)).await
    }

    fn forget(&self, id: u64) {
        let mut uses = self.uses();
        if let Some(Used { how: Use::Holds, .. }) = uses.attached.remove(&id) {
            uses.holder = None;
            // Only those that it let in could have the right to type.
            uses.writers.clear();
        }
        uses.writers.retain(|_, (writer, _)| *writer != id);
    }

    async fn opened(&self, keeper: &Keeper, who: &Who) -> Result<Arc<Slot>, Refusal> {
        let mut open = self.open.lock().await;
        if let Some(open) = &*open {
            return Ok(open.slot.clone());
        }
        let (_, doc) = keeper.find(&self.name)?;
        let board = keeper.rig.board(&keeper.catalogue, &self.name, doc).map_err(|error| no_fit(&error))?;
        keeper.rig.check(&self.name, doc, &board).map_err(|error| no_fit(&error))?;
        let rig = &keeper.rig.doc.value.rig;
        let by = wait(format!("{} to be free", self.id), WORK, &keeper.clock, &keeper.work);
        let locks = shakedown_host::lock::folder()?;
        let what = format!("the keeper of {rig}, for {}'s `{}`", who.user, who.command);
        let lock = shakedown_host::lock::acquire(&locks, rig, &self.name, &what, &by).await;
        let lock = lock.map_err(|error| match error {
            LockError::Held(held) => Refusal::Locked(held.to_string()),
            LockError::Rig(fault) => fault.into(),
        })?;
        let (clock, asker) = (keeper.clock.clone(), self.asker.clone());
        let bench = slot::Bench::new(rig, &self.name, board, clock, asker, None);
        let slot = Arc::new(slot::open_bench(doc, bench, &by).await?);
        *open = Some(Open { slot: slot.clone(), _lock: lock, _counted: keeper.count() });
        Ok(slot)
    }

    /// Ends a use. The slot is closed when it was the last one and nothing was left on.
    pub(super) async fn leave(&self, ticket: Ticket) {
        let Ticket { id, slot, .. } = ticket;
        drop(slot);
        self.forget(id);
        self.close_if_idle().await;
    }

    async fn close_if_idle(&self) {
        let mut open = self.open.lock().await;
        let idle = {
            let uses = self.uses();
            uses.attached.is_empty() && uses.on.is_empty()
        };
        if idle {
            *open = None;
        }
    }

    /// Remembers what was left on, by whom.
    pub(super) fn note(&self, output: &str, on: bool, who: &Who) {
        let mut uses = self.uses();
        if on {
            let used = Used { how: Use::On(output.to_owned()), by: who.clone() };
            uses.on.insert(output.to_owned(), used);
        } else {
            uses.on.remove(output);
        }
    }

    /// Whether it has the right to type still: it ends with the hold that gave it.
    pub(super) fn writes(&self, console: &str, ticket: &Ticket) -> bool {
        self.uses().writers.get(console).is_some_and(|(writer, _)| *writer == ticket.id)
    }

    /// The right to type on a console: `Ok`, or who has it.
    pub(super) fn write(&self, console: &str, ticket: &Ticket, who: &Who) -> Result<(), Who> {
        let mut uses = self.uses();
        if let Some(holder) = &uses.holder
            && !holder.lets_in(ticket.hold.as_deref())
        {
            return Err(holder.by.clone());
        }
        let writer = uses.writers.entry(console.to_owned()).or_insert_with(|| (ticket.id, who.clone()));
        if writer.0 == ticket.id { Ok(()) } else { Err(writer.1.clone()) }
    }

    /// Refuses when something of it was left on, and is on still.
    pub(super) async fn is_off(&self, keeper: &Keeper) -> Result<(), Refusal> {
        // What is noted as on and still being switched on is not off.
        let _turn = self.turn.lock().await;
        let slot = self.open.lock().await.as_ref().map(|open| open.slot.clone());
        let Some(slot) = slot else { return Ok(()) };
        let left_on: Vec<_> = self.uses().on.keys().cloned().collect();
        for name in left_on {
            // A DUT may have switched itself off, or somebody its outlet.
            let Some(output) = output(&slot, &name) else { continue };
            let by = wait(format!("{name} of {}", self.id), WORK, &keeper.clock, &keeper.stop);
            if output.status(&by).await? == Level::Off {
                self.uses().on.remove(&name);
            }
        }
        let on = self.uses().on.values().next().cloned();
        on.map_or(Ok(()), |used| Err(self.in_use(used)))
    }

    /// Closes the slot for somebody who takes its lock, unless it is in use.
    pub(super) async fn give_up(&self, keeper: &Keeper) -> Result<(), Refusal> {
        let used = self.uses().attached.values().next().cloned();
        if let Some(used) = used {
            return Err(self.in_use(used));
        }
        self.is_off(keeper).await?;
        self.close_if_idle().await;
        Ok(())
    }

    /// Who uses it; `None` while it is closed.
    pub(super) async fn seated(&self) -> Option<Seated> {
        self.open.lock().await.as_ref()?;
        let uses = self.uses();
        let uses = uses.attached.values().chain(uses.on.values()).cloned().collect();
        Some(Seated { slot: self.id.clone(), uses })
    }

    /// Every output of an open slot at its safe level; then nothing of it is on.
    /// For whoever has the [`Seat::turn`].
    pub(super) async fn make_safe(&self, keeper: &Keeper) -> Vec<Rig<Proof>> {
        let by = wait(format!("{} to be safe", self.id), WORK, &keeper.clock, &keeper.unstoppable);
        // A use like any other: the slot is nobody else's while its outputs are still being switched.
        let Some(ticket) = self.enter_if_open(keeper).await else { return Vec::new() };
        let done = self.switch_to_safe(&ticket.slot, &by).await;
        self.leave(ticket).await;
        done
    }

    async fn enter_if_open(&self, keeper: &Keeper) -> Option<Ticket> {
        let open = self.open.lock().await;
        let slot = open.as_ref()?.slot.clone();
        let id = self.uses().attach(Used { how: Use::Works, by: keeper.myself() });
        Some(Ticket { id, hold: None, slot })
    }

    async fn switch_to_safe(&self, slot: &Slot, by: &Deadline) -> Vec<Rig<Proof>> {
        let mut done = Vec::new();
        // Buttons and jumpers first: a recovery jumper that is held counts when power comes back.
        for output in slot.outputs.values().chain(&slot.power) {
            let safe = match output.make_safe(by).await {
                Ok(Some(proof)) => prove(slot, proof, by).await.map(Some),
                other => other,
            };
            if let Some(safe) = safe.transpose() {
                done.push(safe);
            }
        }
        self.uses().on.clear();
        done
    }

    /// Closes it, whoever uses it: the keeper ends.
    pub(super) async fn close(&self) {
        *self.open.lock().await = None;
    }
}

fn no_fit(error: &crate::CliError) -> Refusal {
    Refusal::Garbled(error.to_string())
}

/// An output of a slot by its name.
pub(super) fn output<'a>(slot: &'a Slot, name: &str) -> Option<&'a Guarded> {
    if name == POWER { slot.power.as_ref() } else { slot.outputs.get(name) }
}

/// A supply that cannot be read back is judged by the DUT: what is off says nothing, and what
/// comes on soon says something.
pub(super) async fn prove(slot: &Slot, proof: Proof, by: &Deadline) -> Rig<Proof> {
    let Some(log) = slot.log().filter(|_| proof.output == POWER && proof.seen == SeenBy::Nothing) else {
        return Ok(proof);
    };
    let mut here = log.here();
    let limit = if proof.on { AWAKE } else { FADING };
    let whole = by.child("the console to show it", limit).at_rig_pace();
    loop {
        let quiet = if proof.on { AWAKE } else { SILENT };
        let next = whole.child("the console", quiet).run(|| log.last_line(), log.next(&mut here)).await;
        let seen = match next {
            Ok(Ok(_)) if proof.on => SeenBy::Console(log.last_line()),
            // Nothing shows it: the proof says so.
            Ok(Err(_)) => return Ok(proof),
            Err(_) if proof.on || whole.is_over() => return Ok(proof),
            Ok(Ok(_)) => continue,
            Err(Stop::Late(waited)) => SeenBy::Silence(waited.waited),
            Err(Stop::Cancelled(_)) => return Ok(proof),
        };
        return Ok(Proof { seen, at: by.clock().now(), ..proof });
    }
}

/// A medium on the host's side is none for the DUT that is switched on: its card is elsewhere.
pub(super) async fn media_to_dut(slot: &Slot, by: &Deadline) -> Rig<()> {
    for medium in slot.media.values() {
        if medium.side(by).await? == Side::Host {
            medium.switch(Side::Dut, by).await?;
        }
    }
    Ok(())
}
