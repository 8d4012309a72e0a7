//! From a document to a slot.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::event::Sink;
use shakedown_core::{
    Board, Capability, Clock, Console, Deadline, Fault, Fence, Guarded, InfraKind, Level, Limits, Rig, Slot,
    Storage,
};
use shakedown_host::dirs;

use crate::args::{Plan, Start, files};
use crate::doc::{FirmwareName, MachineDoc, NetworkDoc, name_of};
use crate::machines::{Load, Machine};
use crate::network::UserNet;
use crate::power::{Power, Reset};
use crate::screen::Screen;
use crate::services::{HostServices, LoopbackTftp};
use crate::storage::Disk;
use crate::tokens::Tokens;
use crate::typing::Keys;
use crate::unit::{Parts, Unit};
use crate::version::Version;

/// What the composition root gives for a slot.
pub struct SlotRequest {
    /// `rig/slot`: `qemu/amd64`.
    pub id: String,
    /// The board type that sits in it.
    pub board: Arc<Board>,
    /// The slot's own folder, held by the slot's lock: disks, firmware variables, sockets.
    pub folder: PathBuf,
    /// The run's clock.
    pub clock: Arc<dyn Clock>,
    /// Takes the events of outputs and pace.
    pub sink: Arc<dyn Sink>,
    /// The right to the slot.
    pub fence: Arc<dyn Fence>,
}

/// A hold on the machine behind a slot, for what no other kind of slot can do.
#[derive(Clone)]
pub struct Handle(pub(crate) Arc<Unit>);

impl Handle {
    /// QEMU's process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.0.pid()
    }

    /// The main disk's file.
    pub fn disk(&self) -> &Path {
        &self.0.plan.disk
    }
}

/// A process can be started again at once: nothing holds charge.
const LIMITS: Limits = Limits { min_off: Duration::ZERO, max_cycles_per_minute: 600, safe: Level::Off };

/// Opens a slot. Nothing runs yet; waits for one of the host's tokens.
pub async fn open(doc: &MachineDoc, request: SlotRequest, by: &Deadline) -> Rig<Slot> {
    Ok(open_with_handle(doc, request, by).await?.0)
}

/// [`open`], and the hold on its machine.
pub async fn open_with_handle(doc: &MachineDoc, request: SlotRequest, by: &Deadline) -> Rig<(Slot, Handle)> {
    open_with_tokens(doc, request, &Tokens::of_host(&dirs::runtime()?)?, by).await
}

/// [`open_with_handle`] with other tokens than the host's: for tests that run several machines.
pub async fn open_with_tokens(
    doc: &MachineDoc,
    request: SlotRequest,
    tokens: &Tokens,
    by: &Deadline,
) -> Rig<(Slot, Handle)> {
    let (plan, parts) = prepare(doc, &request, tokens, by).await?;
    let unit = Unit::new(plan, parts);
    Ok((slot(&unit, &request), Handle(unit)))
}

/// Checks everything that can be wrong before QEMU runs.
pub(crate) async fn prepare(
    doc: &MachineDoc,
    request: &SlotRequest,
    tokens: &Tokens,
    by: &Deadline,
) -> Rig<(Plan, Parts)> {
    doc.check()?;
    doc.check_board(&request.board)?;
    let machine = doc.machine();
    let version = Version::of(&machine, by).await?;
    let folder_fault = || Fault::new(InfraKind::Host, "qemu", "make", request.folder.display().to_string());
    std::fs::create_dir_all(&request.folder).map_err(|error| folder_fault().because(&error))?;
    // QEMU runs in this folder: only whole paths mean the same to it and to us.
    let folder = std::path::absolute(&request.folder).map_err(|error| folder_fault().because(&error))?;
    if doc.direct.is_none() {
        firmware(&machine, doc.firmware, &folder)?;
    }
    let disk = |name: &str| folder.join(format!("{name}.img"));
    let plan = Plan {
        doc: doc.clone(),
        version,
        name: request.id.clone(),
        disk: disk("main"),
        extra: doc.extra_disks.keys().map(|name| (name.clone(), disk(&format!("extra-{name}")))).collect(),
        away: BTreeSet::new(),
        start: Start::Cold,
        card: None,
    };
    let token = tokens.take(by).await?;
    let parts = Parts { folder, clock: request.clock.clone(), sink: request.sink.clone(), token };
    Ok((plan, parts))
}

/// The firmware is installed, and the slot has its own copy of its variables.
fn firmware(machine: &Machine, name: Option<FirmwareName>, folder: &Path) -> Rig<()> {
    let Some(firmware) = machine.firmware(name) else { return Ok(()) };
    let needed: &[&str] = match &firmware.load {
        Load::BuiltIn | Load::Card => &[],
        Load::Rom(file) | Load::Kernel(file) => &[file],
        Load::Flash { code, vars } => &[code, vars],
    };
    for file in needed {
        if !Path::new(file).is_file() {
            let fault = Fault::new(InfraKind::Tool, "qemu", "find", *file)
                .expected(format!("the firmware {}", firmware.label()), "no such file");
            return Err(match &firmware.package {
                Some(package) => fault.hint(format!("install it: apt-get install {package}")),
                None => fault.hint("`machine.firmware` of the rig file names it"),
            });
        }
    }
    if let Load::Flash { vars, .. } = &firmware.load {
        let own = folder.join(files::VARS);
        // Kept over power cycles and runs, as a board keeps its own.
        let length = |path: &Path| std::fs::metadata(path).map(|meta| meta.len()).ok();
        if length(&own).is_none() || length(&own) != length(Path::new(vars)) {
            std::fs::copy(vars, &own).map_err(|error| {
                Fault::new(InfraKind::Host, "qemu", "copy", own.display().to_string()).because(&error)
            })?;
        }
    }
    Ok(())
}

/// The slot that a unit is to everybody else.
pub(crate) fn slot(unit: &Arc<Unit>, request: &SlotRequest) -> Slot {
    let doc = &unit.plan.doc;
    let guarded = |name: &str, line: Arc<dyn shakedown_core::Line>| {
        Guarded::new(name, line, LIMITS, request.fence.clone(), request.sink.clone())
    };
    let disk = |name: &str, file: &Path, size: u64| -> Arc<dyn Storage> {
        Arc::new(Disk::new(unit.clone(), name, file.to_owned(), size))
    };
    let mut media = BTreeMap::from([("main".to_owned(), disk("main", &unit.plan.disk, doc.disk.size.0))]);
    for (name, file) in &unit.plan.extra {
        if let Some(extra) = doc.extra_disks.get(name) {
            media.insert(name.clone(), disk(name, file, extra.size.0));
        }
    }
    let console = Console { log: unit.log.clone(), tx: Some(Arc::new(Keys::new(unit.clone()))) };
    let network = doc.network == NetworkDoc::User;
    Slot {
        id: request.id.clone(),
        board: request.board.clone(),
        power: Some(guarded("power", Arc::new(Power(unit.clone())))),
        outputs: BTreeMap::from([("reset".to_owned(), guarded("reset", Arc::new(Reset(unit.clone()))))]),
        consoles: BTreeMap::from([("main".to_owned(), console)]),
        media,
        probes: BTreeMap::new(),
        tools: BTreeMap::new(),
        network: network.then(|| Arc::new(UserNet(unit.clone())) as _),
        services: network.then(|| Arc::new(HostServices::default()) as _),
        tftp: network.then(|| Arc::new(LoopbackTftp) as _),
        capture: doc.screen.then(|| Arc::new(Screen::new(unit.clone())) as _),
        vitals: unit.clone(),
        pace: unit.pace.clone(),
        offers: offers(doc),
        facts: facts(&unit.plan),
    }
}

/// What a slot with this machine offers, whether it is open or not.
pub fn offers(doc: &MachineDoc) -> BTreeSet<Capability> {
    let always = ["console-input", "power-cut", "reset"].into_iter();
    let sysrq = doc.machine().sysrq.then_some("sysrq");
    let network = ["network", "ntp"].into_iter().filter(|_| doc.network == NetworkDoc::User);
    let watchdog = doc.watchdog.iter().map(|_| "watchdog");
    let screen = doc.screen.then_some("screenshot").into_iter();
    always.chain(sysrq).chain(network).chain(watchdog).chain(screen).map(Capability::new).collect()
}

/// Whether its boot loader can be given boot files over the network.
pub fn serves(doc: &MachineDoc) -> bool {
    doc.network == NetworkDoc::User && doc.direct.is_none()
}

fn facts(plan: &Plan) -> BTreeMap<String, String> {
    let doc = &plan.doc;
    let machine = doc.machine();
    let firmware = match (&doc.direct, machine.firmware(doc.firmware)) {
        (None, Some(firmware)) => firmware.label(),
        _ => "none: the kernel is loaded directly".to_owned(),
    };
    let facts = [
        ("qemu", plan.version.to_string()),
        ("machine", machine.qemu_name(plan.version)),
        ("cpu", machine.cpu.unwrap_or("the machine's own").to_owned()),
        ("cpus", doc.cpus.to_string()),
        ("memory", doc.memory.to_string()),
        ("accel", name_of(&doc.accel)),
        ("firmware", firmware),
        ("disk", format!("{} {}", name_of(&doc.disk.bus), doc.disk.size)),
    ];
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
