//! From a rig file's slot to the slot that a run holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use shakedown_boards::Catalogue;
use shakedown_boards::plan::{Shape, plan};
use shakedown_core::event::Nowhere;
use shakedown_core::{
    Board, BootSpec, Capability, Clock, Deadline, Fault, ImageRef, InfraKind, NoFence, OsProfile, Procedure,
    Rig, Shells, Sink, Slot,
};
use shakedown_host::HostShells;
use shakedown_rigs::{Given, Operator, SafeBy};
use shakedown_simulated::Opened;

use super::image::Chosen;
use super::operator::Terminal;
use super::rig::SlotDoc;
use crate::CliError;
use crate::commands::make_safe;
use crate::keeper::borrowed::Borrowed;
use crate::keeper::client::{Caller, Right};

/// Whose slot, and for which run.
pub struct Ask<'a> {
    /// `rig/slot`.
    pub id: String,
    /// Its name in file names.
    pub file: String,
    /// The board type that sits in it.
    pub board: Arc<Board>,
    /// The image under test, and its OS profile.
    pub chosen: &'a Chosen,
    /// The image that settles an open question.
    pub control: Option<ImageRef>,
    /// The board's stages and the profile's, composed.
    pub spec: BootSpec,
    /// What tells a simulated run from another one.
    pub nonce: String,
    /// The run's clock.
    pub clock: Arc<dyn Clock>,
    /// Takes the slot's events.
    pub sink: Arc<dyn Sink>,
    /// What a keeper lends of it.
    pub borrowed: Option<&'a Borrowed>,
}

/// What it offers as it is written, before anything is opened.
pub fn offers(doc: &SlotDoc) -> BTreeSet<Capability> {
    match (&doc.simulated, &doc.qemu, doc.wiring()) {
        (Some(_), ..) => shakedown_simulated::offers(),
        (None, Some(machine), _) => shakedown_qemu::offers(machine),
        (None, None, wiring) => shakedown_rigs::offers(&wiring.unwrap_or_default()),
    }
}

/// What it is wired with, for plans.
fn shape(doc: &SlotDoc) -> Shape {
    let tools = doc.tools.keys().cloned().collect();
    let Some(wiring) = doc.wiring() else {
        // A machine is a process: its supply, its disk and its console are always there.
        let main = || BTreeSet::from(["main".to_owned()]);
        return Shape {
            power: true,
            outputs: BTreeSet::new(),
            consoles: main(),
            media: main(),
            tools,
            network: true,
            tftp: doc.qemu.as_ref().is_some_and(shakedown_qemu::serves),
            charge: false,
        };
    };
    Shape {
        power: wiring.power.is_some(),
        outputs: wiring.outputs.into_keys().collect(),
        consoles: wiring.consoles.into_keys().collect(),
        media: wiring.media.into_keys().collect(),
        tools,
        network: wiring.network.is_some(),
        tftp: wiring.tftp.is_some(),
        charge: true,
    }
}

/// How an image gets onto the board in this slot; refused when the slot lacks something for it. Where the OS is
/// known and lets in on its console, nothing about it needs a network.
pub fn procedure(
    name: &str,
    doc: &SlotDoc,
    board: &Board,
    os: Option<&OsProfile>,
) -> Result<Procedure, CliError> {
    let mut shape = shape(doc);
    shape.network |= os.is_some_and(|os| os.login.is_some());
    let missing = match plan(board, &shape) {
        Ok(planned) => return Ok(planned.procedure),
        Err(missing) => missing,
    };
    let lines: Vec<_> = missing.iter().map(|wire| format!("{}: {}", wire.part, wire.why)).collect();
    let how = board.provision.word();
    Err(CliError::refused(format!("slot {name} lacks what {how} needs:\n  {}", lines.join("\n  ")))
        .hint(format!("`shakedown boards explain {}` tells the whole procedure", board.slug)))
}

/// Opens it. Whoever holds the slot's lock is the only one to actuate, so the fence is open.
pub async fn open(doc: &SlotDoc, ask: Ask<'_>, by: &Deadline) -> Rig<Opened> {
    let Ask { id, file, board, chosen, control, spec, nonce, clock, sink, borrowed } = ask;
    let fence = Arc::new(NoFence);
    if let Some(simulation) = &doc.simulated {
        let image = chosen.image.clone();
        let request =
            shakedown_simulated::SlotRequest { id, board, spec, image, control, nonce, clock, sink, fence };
        return shakedown_simulated::open(simulation, request);
    }
    let bench = Bench { id, file, board, clock, sink, operator: Arc::new(Terminal), borrowed };
    let slot = open_bench(doc, bench, by).await?;
    let shells: Arc<dyn Shells> = Arc::new(HostShells);
    Ok(Opened { slot, shells })
}

/// A slot that is there without any run: hardware, or a virtual machine.
pub struct Bench<'a> {
    /// `rig/slot`.
    pub id: String,
    /// Its name in file names.
    pub file: String,
    /// The board type that sits in it.
    pub board: Arc<Board>,
    /// Stamps what its consoles say.
    pub clock: Arc<dyn Clock>,
    /// Takes the slot's events.
    pub sink: Arc<dyn Sink>,
    /// The person at the bench.
    pub operator: Arc<dyn Operator>,
    /// What a keeper lends of it.
    pub borrowed: Option<&'a Borrowed>,
}

impl<'a> Bench<'a> {
    /// A slot of a rig that nobody records.
    pub fn new(
        rig: &str,
        name: &str,
        board: Arc<Board>,
        clock: Arc<dyn Clock>,
        operator: Arc<dyn Operator>,
        borrowed: Option<&'a Borrowed>,
    ) -> Self {
        let file = shakedown_host::lock::file_name(rig, name);
        Self { id: format!("{rig}/{name}"), file, board, clock, sink: Arc::new(Nowhere), operator, borrowed }
    }
}

/// Opens a slot without any run. A simulated DUT plays an image, so there is none without one.
pub async fn open_bench(doc: &SlotDoc, bench: Bench<'_>, by: &Deadline) -> Rig<Slot> {
    let Bench { id, file, board, clock, sink, operator, borrowed } = bench;
    if doc.simulated.is_some() {
        return Err(Fault::new(InfraKind::Config, "simulated", "open", id)
            .expected("a slot that is there without a run", "a simulated DUT, which lives in its run"));
    }
    let fence = Arc::new(NoFence);
    let folder = shakedown_host::dirs::cache()?.join("slots").join(&file);
    let mut slot = match (&doc.qemu, doc.wiring()) {
        (Some(machine), _) => {
            let request = shakedown_qemu::SlotRequest { id, board, folder, clock, sink, fence };
            shakedown_qemu::open(machine, request, by).await?
        }
        (None, wiring) => {
            let wiring = wiring.unwrap_or_default();
            let safe_by = Some(make_safe::argv as SafeBy);
            let given = match borrowed {
                Some(borrowed) => borrowed.given(&wiring, &clock, by).await?,
                None => Given::default(),
            };
            let request = shakedown_rigs::SlotRequest {
                id,
                board,
                folder,
                clock,
                sink,
                fence,
                operator,
                safe_by,
                given,
            };
            shakedown_rigs::open(&wiring, request, by).await?
        }
    };
    if let Some(borrowed) = borrowed {
        slot.vitals = borrowed.vitals(slot.vitals);
    }
    for (name, tool) in &doc.tools {
        let opened = tool.open(name).map_err(|problem| {
            Fault::new(InfraKind::Config, "rig", "open", format!("tools.{name} of {}", slot.id))
                .expected("a tool that can be run", problem.to_string())
        })?;
        slot.tools.insert(name.clone(), opened);
    }
    Ok(slot)
}

/// Takes a slot of the caller's rig and opens it without any run, for as long as both are kept.
pub async fn taken(caller: &Caller<'_>, name: &str, by: &Deadline) -> Result<(Slot, Right), CliError> {
    let rig = caller.rig;
    let (_, doc) = rig.slot(Some(name), None)?;
    let board = rig.board(&Catalogue::with_paths(caller.paths)?, name, doc)?;
    rig.check(name, doc, &board)?;
    let right = caller.take(name, by).await?;
    let (clock, operator) = (caller.clock().clone(), Arc::new(Terminal));
    let bench = Bench::new(&rig.doc.value.rig, name, board, clock, operator, right.borrowed());
    match open_bench(doc, bench, by).await {
        Ok(slot) => Ok((slot, right)),
        Err(fault) => {
            // Told already; what could not be opened is what ends the command.
            let _ = right.give_back(false).await;
            Err(fault.into())
        }
    }
}
