//! How an image gets onto a board that sits in a slot: steps, or what the slot lacks.
//!
//! The same builder makes the plan for a slot and, with no slot, the list of what a rig needs.

mod procedures;

use std::collections::BTreeSet;
use std::time::Duration;

use shakedown_core::{Act, Board, Payload, Procedure, ProvStep, Provision, Redo, Shows, Side};

/// A mux settles within 5 s (USB-SD-Mux: 1 s by its protocol; SDWire: 2-3 s until the reader is back).
/// A person at a bench supply needs longer.
const SWITCH: Duration = Duration::from_secs(120);
/// 20 MB/s is a slow card; 64 GiB at that speed is an hour.
const WRITE: Duration = Duration::from_secs(3600);
/// A few sectors of the boot partition; a slow card needs a second for them.
const EDIT: Duration = Duration::from_secs(60);
/// A few GiB are unpacked, written to a file of the rig host and read back.
const COPY: Duration = Duration::from_secs(1800);
/// A program says its version at once; one in a container may have to be unpacked first.
const LOOK: Duration = Duration::from_secs(60);

/// What a slot is wired with, by the names of the rig file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The supply can be switched.
    pub power: bool,
    /// Jumpers, buttons, boot switches, USB VBUS.
    pub outputs: BTreeSet<String>,
    /// Consoles.
    pub consoles: BTreeSet<String>,
    /// Media.
    pub media: BTreeSet<String>,
    /// Programs that bring an image onto the board, by their procedures' names for them.
    pub tools: BTreeSet<String>,
    /// There is a way to ask the running system: the DUT's network, or a login on its console.
    pub network: bool,
    /// Boot files can be given to the DUT.
    pub tftp: bool,
    /// Its supply holds charge after it was switched off: hardware does, a machine that is a process does not.
    pub charge: bool,
}

/// Something that a rig is wired with for a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// As in a slot of a rig file: `power`, `media.main`, `outputs.boot-switch`.
    pub part: String,
    /// What it is for.
    pub why: String,
    /// Whether the procedure can do without, as far as is known.
    pub optional: bool,
}

/// A procedure, and what it is wired with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub procedure: Procedure,
    /// Everything that it uses.
    pub wires: Vec<Wire>,
}

/// The procedure for a board in this slot, or what the slot lacks.
pub fn plan(board: &Board, shape: &Shape) -> Result<Plan, Vec<Wire>> {
    let mut builder = Builder::new(Some(shape));
    procedures::build(&mut builder, board);
    if builder.missing.is_empty() { Ok(builder.plan(board)) } else { Err(builder.missing) }
}

/// The procedure for a board on a rig that has everything.
pub fn ideal(board: &Board) -> Plan {
    let mut builder = Builder::new(None);
    procedures::build(&mut builder, board);
    builder.plan(board)
}

/// Collects steps and what they are wired with.
struct Builder<'a> {
    /// `None`: everything is there.
    shape: Option<&'a Shape>,
    steps: Vec<ProvStep>,
    wires: Vec<Wire>,
    missing: Vec<Wire>,
    unknown: Vec<String>,
}

impl<'a> Builder<'a> {
    fn new(shape: Option<&'a Shape>) -> Self {
        Self { shape, steps: vec![], wires: vec![], missing: vec![], unknown: vec![] }
    }

    fn plan(self, board: &Board) -> Plan {
        let kind = board.provision.word();
        let procedure = Procedure { kind, steps: self.steps, unknown: self.unknown };
        Plan { procedure, wires: self.wires }
    }

    fn has(&self, part: &str) -> bool {
        let Some(shape) = self.shape else { return true };
        match part.split_once('.') {
            Some(("outputs", name)) => shape.outputs.contains(name),
            Some(("consoles", name)) => shape.consoles.contains(name),
            Some(("media", name)) => shape.media.contains(name),
            Some(("tools", name)) => shape.tools.contains(name),
            _ => match part {
                "power" => shape.power,
                "network" => shape.network,
                "tftp" => shape.tftp,
                // A part that no slot can be wired with yet: a keyboard.
                _ => false,
            },
        }
    }

    /// Notes a part of the wiring once; whether the slot has it.
    fn wire(&mut self, part: &str, why: &str, optional: bool) -> bool {
        let has = self.has(part);
        if self.wires.iter().all(|wire| wire.part != part) {
            let wire = Wire { part: part.to_owned(), why: why.to_owned(), optional };
            if !has && !optional {
                self.missing.push(wire.clone());
            }
            self.wires.push(wire);
        }
        has
    }

    fn step(&mut self, id: &str, act: Act, proof: Shows, within: Duration, redo: Redo) {
        let undo = match &act {
            Act::PowerOn => Some(Act::PowerOff),
            Act::Output { name, on: true } => Some(Act::Output { name: name.clone(), on: false }),
            _ => None,
        };
        self.steps.push(ProvStep { id: id.to_owned(), act, proof, within, undo, redo });
    }

    fn power(&mut self, id: &str, on: bool) {
        self.wire("power", "the supply is switched by the rig", false);
        let act = if on { Act::PowerOn } else { Act::PowerOff };
        self.step(id, act, Shows::Level, SWITCH, Redo::Step);
    }

    /// Sets or releases an output; nothing where an optional one is not wired.
    fn output(&mut self, name: &str, on: bool, why: &str, optional: bool) {
        let id = format!("{}-{name}", if on { "set" } else { "release" });
        self.output_as(&id, name, on, why, optional);
    }

    fn output_as(&mut self, id: &str, name: &str, on: bool, why: &str, optional: bool) {
        if self.wire(&format!("outputs.{name}"), why, optional) {
            let act = Act::Output { name: name.to_owned(), on };
            self.step(id, act, Shows::Level, SWITCH, Redo::Step);
        }
    }

    fn medium(&mut self, id: &str, to: Side) {
        let act = Act::Switch { medium: MAIN.to_owned(), to };
        self.step(id, act, Shows::Side, SWITCH, Redo::Step);
    }

    /// Write, read back, put the run's names on it: these three belong together.
    fn write(&mut self, payload: Payload) {
        let medium = || MAIN.to_owned();
        let written = Act::Write { medium: medium(), payload };
        self.step("write-main", written, Shows::Written, WRITE, Redo::Step);
        self.step("read-back-main", Act::ReadBack { medium: medium() }, Shows::Equal, WRITE, Redo::Start);
        self.step("configure-main", Act::Configure { medium: medium() }, Shows::Document, EDIT, Redo::Step);
    }

    /// The program that a procedure runs, looked at before anything is switched for it.
    fn tool(&mut self, name: &str, why: &str) {
        self.wire(&format!("tools.{name}"), why, false);
        let act = Act::CheckTool { name: name.to_owned() };
        self.step("check-tool", act, Shows::Version, LOOK, Redo::Step);
    }

    /// Runs it.
    fn run(&mut self, id: &str, name: &str, does: &str, within: Duration) {
        let act = Act::Tool { name: name.to_owned(), does: does.to_owned() };
        self.step(id, act, Shows::ToolReport, within, Redo::Start);
    }

    /// A tool takes a file: the run's names must be in it before.
    fn configure_copy(&mut self) {
        let act = Act::Configure { medium: Act::COPY.to_owned() };
        self.step("configure-copy", act, Shows::Document, COPY, Redo::Step);
    }

    fn drain(&mut self, at_least: Duration, board: &Board) {
        if self.shape.is_some_and(|shape| !shape.charge) {
            return;
        }
        self.step("drain", Act::Drain, Shows::Elapsed, at_least.max(board.min_off), Redo::Step);
    }

    fn prove_internal(&mut self, board: &Board) {
        self.wire("network", "the running system is asked what it runs from", false);
        let target = match &board.provision {
            Provision::Flasher(how) => how.target.clone(),
            // Their tools name none; the running system does.
            _ => Vec::new(),
        };
        if target.is_empty() && matches!(board.provision, Provision::Flasher(_)) {
            self.unknown.push("the kernel's name of the internal medium (`media.disks`)".to_owned());
        }
        let whole: Duration = board.stages.iter().map(|stage| stage.within).sum();
        let within = whole + Duration::from_secs(600);
        self.step("prove-internal", Act::ProveInternal { target }, Shows::Running, within, Redo::Start);
    }
}

/// The medium that an image is written to.
const MAIN: &str = "main";

/// Why a procedure proves too little, if it does: what is written is read back before anybody else
/// gets it, and what others wrote is proven by the system that boots from it.
pub fn unproven(procedure: &Procedure) -> Option<String> {
    let steps = &procedure.steps;
    for (index, step) in steps.iter().enumerate() {
        let next = steps.get(index + 1).map(|next| &next.act);
        if let Act::Write { medium, .. } = &step.act
            && next != Some(&Act::ReadBack { medium: medium.clone() })
        {
            return Some(format!("`{}` is not read back at once", step.id));
        }
        let by_others = matches!(step.act, Act::Tool { .. } | Act::AwaitOff);
        let later = |act: &Act| matches!(act, Act::ProveInternal { .. } | Act::Write { .. });
        if by_others && !steps[index..].iter().any(|later_step| later(&later_step.act)) {
            return Some(format!("nothing proves what `{}` did", step.id));
        }
        let looks = |name: &String| {
            steps[..index].iter().any(|step| step.act == Act::CheckTool { name: name.clone() })
        };
        if let Act::Tool { name, .. } = &step.act
            && !looks(name)
        {
            return Some(format!("nothing shows which {name} it is that `{}` runs", step.id));
        }
        if step.proof == Shows::Nothing && next.is_none() {
            return Some(format!("nothing shows that `{}` was done", step.id));
        }
    }
    None
}
