//! Rig files: which slots there are, and what each is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use shakedown_boards::doc::SupportDoc;
use shakedown_boards::plan::ideal;
use shakedown_boards::{BoardsError, Catalogue};
use shakedown_conf::{Document, Loaded, load};
use shakedown_core::names::is_plain;
use shakedown_core::{Act, Board, Capability, OsProfile, Sha};
use shakedown_qemu::MachineDoc;
use shakedown_rigs::{
    CaptureDriver, ConsoleDriver, LimitsDoc, LineDriver, MediaDriver, NetworkDriver, ProbeDriver, TftpDriver,
    ToolDoc, Wiring,
};
use shakedown_simulated::SimulationDoc;

use crate::CliError;

/// The QEMU rig that every binary has.
const QEMU_RIG: &str = include_str!("../../../../qemu/rig.yaml");

/// Both are parts of ids, and of names of files.
const NAMES: &str = "a name has letters, digits, `-`, `_` and `.`, and begins with a letter or a digit";
/// Simulated slots of a board, where no rig file names them.
const MOST_MADE_UP: usize = 1000;

/// A rig file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RigDoc {
    /// The rig's name: the first part of its slots' ids.
    pub rig: String,
    /// The places for DUTs, by name.
    pub slots: BTreeMap<String, SlotDoc>,
}

/// One DUT's place: a virtual machine, or what its hardware is wired to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SlotDoc {
    /// The board type that sits in it, by its slug.
    pub board: String,
    /// The board type may be one that its vendor gave up (default: false).
    #[serde(default)]
    pub allow_discontinued: bool,
    /// A virtual machine; then nothing else is wired.
    #[serde(default)]
    pub qemu: Option<MachineDoc>,
    /// A DUT that exists only as data; then nothing else is wired.
    #[serde(default)]
    pub simulated: Option<SimulationDoc>,
    /// The supply.
    #[serde(default)]
    pub power: Option<LineDriver>,
    /// Buttons, jumpers, boot switches, USB VBUS by name.
    #[serde(default)]
    pub outputs: BTreeMap<String, LineDriver>,
    /// Consoles by name; boots are watched on `main`.
    #[serde(default)]
    pub consoles: BTreeMap<String, ConsoleDriver>,
    /// Media by name; the one that the board boots from is `main`.
    #[serde(default)]
    pub media: BTreeMap<String, MediaDriver>,
    /// Debug probes by name, at microcontrollers of the board or of the rig.
    #[serde(default)]
    pub probes: BTreeMap<String, ProbeDriver>,
    /// The way to the DUT's network.
    #[serde(default)]
    pub network: Option<NetworkDriver>,
    /// Who gives boot files to the DUT's boot loader.
    #[serde(default)]
    pub tftp: Option<TftpDriver>,
    /// What takes pictures of the DUT's screen.
    #[serde(default)]
    pub capture: Option<CaptureDriver>,
    /// Limits of outputs by name, the supply's as `power`.
    #[serde(default)]
    pub limits: BTreeMap<String, LimitsDoc>,
    /// Programs of this host that bring an image onto the board over USB, by the names that the board's
    /// procedure has for them: `rpiboot`, `uuu`, `tegra`, `edison` (`shakedown boards explain`).
    #[serde(default)]
    pub tools: BTreeMap<String, ToolDoc>,
    /// What the board type has, or its OS offers, and this one cannot show: no antenna, an emulated
    /// machine without LEDs. Cases that need it are skipped with that reason.
    #[serde(default)]
    pub lacks: BTreeSet<String>,
}

impl SlotDoc {
    /// The same place with a simulated DUT; one that is simulated already stays as it is written.
    fn simulated(self, simulation: SimulationDoc) -> Self {
        if self.simulated.is_some() {
            return self;
        }
        Self {
            qemu: None,
            simulated: Some(simulation),
            power: None,
            outputs: BTreeMap::new(),
            consoles: BTreeMap::new(),
            media: BTreeMap::new(),
            probes: BTreeMap::new(),
            network: None,
            tftp: None,
            capture: None,
            limits: BTreeMap::new(),
            tools: BTreeMap::new(),
            ..self
        }
    }

    /// What an OS offers here: less than elsewhere, where the slot lacks something for it.
    pub fn offered(&self, profile: &Arc<OsProfile>) -> Arc<OsProfile> {
        if profile.offers.iter().all(|word| !self.lacks.contains(&word.0)) {
            return profile.clone();
        }
        let mut here = OsProfile::clone(profile);
        here.offers.retain(|word| !self.lacks.contains(&word.0));
        Arc::new(here)
    }

    /// What the hardware is wired to; `None` for a virtual machine and for a simulated DUT.
    pub fn wiring(&self) -> Option<Wiring> {
        (self.qemu.is_none() && self.simulated.is_none()).then(|| Wiring {
            power: self.power.clone(),
            outputs: self.outputs.clone(),
            consoles: self.consoles.clone(),
            media: self.media.clone(),
            probes: self.probes.clone(),
            network: self.network.clone(),
            tftp: self.tftp.clone(),
            capture: self.capture.clone(),
            limits: self.limits.clone(),
        })
    }

    /// A field that says something about hardware, if one does.
    fn wired(&self) -> Option<&'static str> {
        [
            ("power", self.power.is_some()),
            ("outputs", !self.outputs.is_empty()),
            ("consoles", !self.consoles.is_empty()),
            ("media", !self.media.is_empty()),
            ("probes", !self.probes.is_empty()),
            ("network", self.network.is_some()),
            ("tftp", self.tftp.is_some()),
            ("capture", self.capture.is_some()),
            ("limits", !self.limits.is_empty()),
        ]
        .into_iter()
        .find_map(|(field, set)| set.then_some(field))
    }
}

/// A rig file that was read, and where.
pub struct Rig {
    /// The document and its places.
    pub doc: Loaded<RigDoc>,
    /// Where it came from, for people.
    pub from: String,
    /// The file, where it is one.
    pub file: Option<PathBuf>,
}

impl Rig {
    /// The order of look-up: `--rig`, `SHAKEDOWN_RIG`, `./rig.yaml`, the QEMU rig.
    pub fn find(named: Option<&Path>) -> Result<Self, CliError> {
        let variable = std::env::var_os("SHAKEDOWN_RIG").filter(|value| !value.is_empty()).map(PathBuf::from);
        let here = PathBuf::from("rig.yaml");
        let file = named.map(with_ending).or(variable).or_else(|| here.exists().then_some(here));
        let (document, from) = match &file {
            Some(path) => (Document::read(path)?, path.display().to_string()),
            None => (Document::new("qemu/rig.yaml (built in)", QEMU_RIG), "the built-in QEMU rig".to_owned()),
        };
        Self::read(&document, from, file)
    }

    /// The same rig with every DUT simulated.
    #[must_use]
    pub fn simulated(self, simulation: &SimulationDoc) -> Self {
        let simulated = |doc: RigDoc| RigDoc {
            slots: doc
                .slots
                .into_iter()
                .map(|(name, slot)| (name, slot.simulated(simulation.clone())))
                .collect(),
            ..doc
        };
        Self { doc: self.doc.map(simulated), ..self }
    }

    /// So many slots for each of these boards, to be simulated.
    pub fn made_up(boards: &[String], slots: usize) -> Result<Self, CliError> {
        if !(1..=MOST_MADE_UP).contains(&slots) {
            return Err(CliError::refused(format!("--slots {slots}: expected 1 to {MOST_MADE_UP}")));
        }
        let mut text = "rig: simulated\nslots:\n".to_owned();
        for board in boards {
            for number in 1..=slots {
                let _ = writeln!(text, "  {board}-{number}: {{ board: {board} }}");
            }
        }
        Self::read(&Document::new("simulated slots", &text), "simulated slots".to_owned(), None)
    }

    /// From a document.
    pub fn read(document: &Document, from: String, file: Option<PathBuf>) -> Result<Self, CliError> {
        let doc = load::<RigDoc>(document)?;
        if doc.value.slots.is_empty() {
            return Err(doc.invalid("slots", "a rig has at least one slot").into());
        }
        if !is_plain(&doc.value.rig) {
            return Err(doc.invalid("rig", NAMES).into());
        }
        for (name, slot) in &doc.value.slots {
            if !is_plain(name) {
                return Err(doc.invalid("slots", format!("slot `{name}`: {NAMES}")).into());
            }
            let field = |name_of: &str| format!("slots.{name}.{name_of}");
            if let Some(simulation) = &slot.simulated {
                let tools = (!slot.tools.is_empty()).then_some("tools");
                let other = slot.wired().or(slot.qemu.is_some().then_some("qemu")).or(tools);
                if let Some(other) = other {
                    let what = "a simulated DUT has no other side: remove this, or `simulated`";
                    return Err(doc.invalid(&field(other), what).into());
                }
                if let Err(problem) = simulation.check() {
                    return Err(doc
                        .invalid(&field(&format!("simulated.{}", problem.field)), problem.what)
                        .into());
                }
            }
            if let (Some(_), Some(wired)) = (&slot.qemu, slot.wired()) {
                let what = "a virtual machine has no wiring: remove this, or `qemu`";
                return Err(doc.invalid(&field(wired), what).into());
            }
            if let Some(Err(problem)) = slot.qemu.as_ref().map(MachineDoc::check) {
                let what = format!("expected {}, got {}", problem.expected, problem.got);
                return Err(doc.invalid(&field(&format!("qemu.{}", problem.field)), what).into());
            }
        }
        Ok(Self { doc, from, file })
    }

    /// Of its text: two that differ are two rigs.
    pub fn hash(&self) -> Sha {
        Sha::of(self.doc.document().text().as_bytes())
    }

    /// The board type that sits in a slot; an unknown one is told at its place in the rig file.
    pub fn board(&self, catalogue: &Catalogue, name: &str, slot: &SlotDoc) -> Result<Arc<Board>, CliError> {
        let found = catalogue.resolved(&slot.board).map_err(|error| match error {
            BoardsError::Unknown { got, known, .. } => {
                CliError::from(self.doc.unknown_name(&format!("slots.{name}.board"), "board", &got, known))
            }
            error @ BoardsError::Document(_) => CliError::from(error),
        })?;
        if found.facts.lifecycle.support == Some(SupportDoc::Discontinued) && !slot.allow_discontinued {
            let what = format!("{} is discontinued: no OS is made for it any more", found.board.slug);
            let hint = "write `allow-discontinued: true` into the slot when it is meant";
            return Err(self.doc.invalid(&format!("slots.{name}.board"), what).hint(hint).into());
        }
        let board = found.board;
        if slot.lacks.is_empty() {
            return Ok(board);
        }
        let mut offered = BTreeSet::new();
        for id in catalogue.profiles().map(str::to_owned).collect::<Vec<_>>() {
            offered.extend(catalogue.profile(&id)?.offers.iter().cloned());
        }
        let mut here = Board::clone(&board);
        for (index, word) in slot.lacks.iter().enumerate() {
            let word_is = Capability::new(word.as_str());
            if !here.capabilities.remove(&word_is) && !offered.contains(&word_is) {
                let known = board.capabilities.iter().chain(&offered).map(|known| known.0.clone());
                let field = format!("slots.{name}.lacks[{index}]");
                return Err(self
                    .doc
                    .unknown_name(&field, "capability of the board or of an OS", word, known)
                    .into());
            }
        }
        // What is shown without it is not shown with it.
        let lacks: Vec<_> = slot.lacks.iter().map(String::as_str).collect();
        here.hash = Sha::of(format!("{} lacks {}", board.hash, lacks.join(" ")).as_bytes());
        Ok(Arc::new(here))
    }

    /// Places that name the same outlet, port or medium: all but the first of each.
    pub fn shared(&self) -> Vec<CliError> {
        let (mut known, mut errors) = (BTreeMap::new(), Vec::new());
        for (name, slot) in &self.doc.value.slots {
            for (field, device) in slot.wiring().unwrap_or_default().devices() {
                let field = format!("slots.{name}.{field}");
                if let Some(first) = known.get(&device) {
                    let what = format!("the same device as {first}: one of the two is another's");
                    errors.push(self.doc.invalid(&field, what).into());
                } else {
                    known.insert(device, field);
                }
            }
        }
        errors
    }

    /// Whether a slot fits its board, before anything is opened.
    pub fn check(&self, name: &str, slot: &SlotDoc, board: &Board) -> Result<(), CliError> {
        let machine = slot.qemu.as_ref().and_then(|machine| machine.check_board(board).err());
        let machine = machine.map(|problem| {
            (format!("qemu.{}", problem.field), format!("expected {}, got {}", problem.expected, problem.got))
        });
        let wiring = slot.wiring().and_then(|wiring| wiring.check(board).err());
        let wiring = wiring.map(|problem| (problem.field, problem.what));
        self.check_tools(name, slot, board)?;
        machine.or(wiring).map_or(Ok(()), |(field, what)| {
            let field =
                if field.is_empty() { format!("slots.{name}") } else { format!("slots.{name}.{field}") };
            Err(self.doc.invalid(&field, what).into())
        })
    }

    /// Whether the slot's tools are those that its board's procedure runs, and can be run so.
    fn check_tools(&self, name: &str, slot: &SlotDoc, board: &Board) -> Result<(), CliError> {
        if slot.tools.is_empty() {
            return Ok(());
        }
        let procedure = ideal(board).procedure;
        let copies = procedure
            .steps
            .iter()
            .any(|step| matches!(&step.act, Act::Configure { medium } if medium == Act::COPY));
        let known: Vec<_> = procedure
            .steps
            .iter()
            .filter_map(|step| match &step.act {
                Act::Tool { name, .. } => Some(name.clone()),
                _ => None,
            })
            .collect();
        for (tool, doc) in &slot.tools {
            let field = format!("slots.{name}.tools.{tool}");
            if known.is_empty() {
                let what = format!("{} is provisioned by {}, which runs no tool", board.slug, procedure.kind);
                return Err(self.doc.invalid(&field, what).into());
            }
            if !known.contains(tool) {
                let what = format!("tool of {}", procedure.kind);
                return Err(self.doc.unknown_name(&field, &what, tool, known).into());
            }
            if let Err(problem) = doc.check(tool, copies) {
                return Err(self.doc.invalid(&format!("{field}.{}", problem.field), problem.what).into());
            }
        }
        Ok(())
    }

    /// Programs that the tools of a slot need and this host does not have, a line each.
    pub fn missing_tools(slot: &SlotDoc) -> Vec<String> {
        let missing = |(name, doc): (&String, &ToolDoc)| {
            let programs: Vec<_> = doc.missing().into_iter().map(|program| format!("`{program}`")).collect();
            let what = format!("tools.{name}: this host has no program {}", programs.join(" and no "));
            (!programs.is_empty()).then_some(what)
        };
        slot.tools.iter().filter_map(missing).collect()
    }

    /// The slot of this name, or the first one for this board.
    pub fn slot(&self, name: Option<&str>, board: Option<&str>) -> Result<(&str, &SlotDoc), CliError> {
        let slots = &self.doc.value.slots;
        if let Some(name) = name {
            let short = name.strip_prefix(&format!("{}/", self.doc.value.rig)).unwrap_or(name);
            if let Some((name, slot)) = slots.get_key_value(short) {
                return Ok((name, slot));
            }
            return Err(self.no_such("slot", name, slots.keys().map(String::as_str)));
        }
        let Some(board) = board else {
            return match slots.iter().next() {
                Some((name, slot)) if slots.len() == 1 => Ok((name, slot)),
                _ => Err(CliError::refused(format!("{} has several slots", self.from))
                    .hint(format!("say which with --board or --slot: {}", self.names()))),
            };
        };
        let mut fits = slots.iter().filter(|(_, slot)| slot.board == board);
        fits.next().map(|(name, slot)| (name.as_str(), slot)).ok_or_else(|| {
            self.no_such("slot for board", board, slots.values().map(|slot| slot.board.as_str()))
        })
    }

    fn no_such<'a>(&self, kind: &str, got: &str, known: impl Iterator<Item = &'a str>) -> CliError {
        let known: Vec<_> = known.collect();
        let near = shakedown_conf::nearest(got, known.iter().copied());
        let hint = match near {
            Some(near) => format!("did you mean `{near}`? There are: {}", self.names()),
            None => format!("there are: {}", self.names()),
        };
        CliError::refused(format!("no {kind} `{got}` in {}", self.from)).hint(hint)
    }

    fn names(&self) -> String {
        let slots = self.doc.value.slots.iter();
        slots.map(|(name, slot)| format!("{name} ({})", slot.board)).collect::<Vec<_>>().join(", ")
    }
}

/// `desk` means `desk.yaml`, where there is no `desk`.
fn with_ending(path: &Path) -> PathBuf {
    let mut whole = path.as_os_str().to_owned();
    whole.push(".yaml");
    let whole = PathBuf::from(whole);
    if !path.exists() && whole.exists() { whole } else { path.to_owned() }
}
