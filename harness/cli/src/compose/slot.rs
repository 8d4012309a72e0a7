//! From a rig file's slot to the slot that a run holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use shakedown_core::{Board, Capability, Clock, Deadline, NoFence, Rig, Sink, Slot};

use super::operator::Terminal;
use super::rig::SlotDoc;

/// Whose slot, and for which run.
pub struct Ask {
    /// `rig/slot`.
    pub id: String,
    /// Its name in file names.
    pub file: String,
    /// The board type that sits in it.
    pub board: Arc<Board>,
    /// The run's clock.
    pub clock: Arc<dyn Clock>,
    /// Takes the slot's events.
    pub sink: Arc<dyn Sink>,
}

/// What it offers as it is written, before anything is opened.
pub fn offers(doc: &SlotDoc) -> BTreeSet<Capability> {
    match (&doc.qemu, doc.wiring()) {
        (Some(machine), _) => shakedown_qemu::offers(machine),
        (None, wiring) => shakedown_rigs::offers(&wiring.unwrap_or_default()),
    }
}

/// Opens it. Whoever holds the slot's lock is the only one to actuate, so the fence is open.
pub async fn open(doc: &SlotDoc, ask: Ask, by: &Deadline) -> Rig<Slot> {
    let folder = shakedown_host::dirs::cache()?.join("slots").join(&ask.file);
    let Ask { id, file: _, board, clock, sink } = ask;
    let fence = Arc::new(NoFence);
    match (&doc.qemu, doc.wiring()) {
        (Some(machine), _) => {
            let request = shakedown_qemu::SlotRequest { id, board, folder, clock, sink, fence };
            shakedown_qemu::open(machine, request, by).await
        }
        (None, wiring) => {
            let operator = Arc::new(Terminal);
            let request = shakedown_rigs::SlotRequest { id, board, folder, clock, sink, fence, operator };
            shakedown_rigs::open(&wiring.unwrap_or_default(), request, by).await
        }
    }
}
