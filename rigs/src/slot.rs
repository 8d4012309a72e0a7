//! From wiring to a slot.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use shakedown_core::event::Sink;
use shakedown_core::{
    Board, Capability, Clock, Console, Deadline, Fault, Fence, Guarded, InfraKind, Level, Line, PaceGauge,
    Rig, Slot,
};

use crate::console::ConsoleCx;
use crate::families::LineDriver;
use crate::line::LineCx;
use crate::line::warded::warded;
use crate::media::MediaCx;
use crate::operator::Operator;
use crate::vitals::Host;
use crate::wiring::{POWER, Wiring};

/// What the composition root gives for a slot.
pub struct SlotRequest {
    /// `rig/slot`: `desk/pi4`.
    pub id: String,
    /// The board type that sits in it.
    pub board: Arc<Board>,
    /// The slot's own folder, held by the slot's lock.
    pub folder: PathBuf,
    /// The run's clock.
    pub clock: Arc<dyn Clock>,
    /// Takes the events of outputs.
    pub sink: Arc<dyn Sink>,
    /// The right to the slot.
    pub fence: Arc<dyn Fence>,
    /// The person at the bench.
    pub operator: Arc<dyn Operator>,
    /// The program that makes an output safe when this process is dead, where there is one.
    pub safe_by: Option<SafeBy>,
    /// What another process has open already. Whatever it does not name is opened.
    pub given: Given,
}

/// Outputs and consoles that are somebody else's, who lends them.
#[derive(Default)]
pub struct Given {
    /// By their names in the slot; the supply is `power`. One that a person switches is not taken: the
    /// person is asked here.
    pub lines: BTreeMap<String, Arc<dyn Line>>,
    /// By their names in the slot.
    pub consoles: BTreeMap<String, Console>,
}

/// The program, with its arguments, that switches an output of this driver on or off.
pub type SafeBy = fn(&LineDriver, bool) -> Option<Vec<String>>;

/// Opens everything that a slot is wired to; switches nothing. Consoles come first, so that
/// nothing of the DUT is missed.
pub async fn open(wiring: &Wiring, request: SlotRequest, by: &Deadline) -> Rig<Slot> {
    let board = &request.board;
    wiring.check(board).map_err(|problem| {
        Fault::new(InfraKind::Config, "rig", "open", &request.id)
            .expected("a complete slot", problem.to_string())
    })?;
    std::fs::create_dir_all(&request.folder).map_err(|error| {
        let folder = request.folder.display().to_string();
        Fault::new(InfraKind::Host, "rig", "make", folder).because(&error)
    })?;
    let mut consoles = BTreeMap::new();
    for (name, driver) in &wiring.consoles {
        if let Some(given) = request.given.consoles.get(name) {
            consoles.insert(name.clone(), given.clone());
            continue;
        }
        let full = format!("{name} of {}", request.id);
        let cx = ConsoleCx { name: &full, clock: &request.clock, baud: board.baud, probes: &wiring.probes };
        consoles.insert(name.clone(), driver.open(cx, by).await?);
    }
    let mut media = BTreeMap::new();
    for (name, driver) in &wiring.media {
        let cx = MediaCx { slot: &request.id, folder: &request.folder, operator: &request.operator };
        media.insert(name.clone(), driver.open(cx, by).await?);
    }
    let power = match &wiring.power {
        Some(driver) => Some(output(POWER, driver, wiring, &request, by).await?),
        None => None,
    };
    let mut outputs = BTreeMap::new();
    for (name, driver) in &wiring.outputs {
        outputs.insert(name.clone(), output(name, driver, wiring, &request, by).await?);
    }
    let mut probes = BTreeMap::new();
    for (name, driver) in &wiring.probes {
        probes.insert(name.clone(), driver.open((), by).await?);
    }
    let network = match &wiring.network {
        Some(driver) => Some(driver.open((), by).await?),
        None => None,
    };
    let tftp = match &wiring.tftp {
        Some(driver) => Some(driver.open((), by).await?),
        None => None,
    };
    let capture = match &wiring.capture {
        Some(driver) => Some(driver.open((), by).await?),
        None => None,
    };
    let typed = consoles.get("main").is_some_and(|console| console.tx.is_some());
    Ok(Slot {
        id: request.id,
        board: request.board,
        facts: facts(wiring),
        offers: offered(wiring, typed),
        power,
        outputs,
        consoles,
        media,
        probes,
        tools: BTreeMap::new(),
        network,
        services: None,
        tftp,
        capture,
        vitals: Arc::new(Host { folder: request.folder }),
        pace: Arc::new(PaceGauge::default()),
    })
}

async fn output(
    name: &str,
    driver: &LineDriver,
    wiring: &Wiring,
    request: &SlotRequest,
    by: &Deadline,
) -> Rig<Guarded> {
    let limits = wiring.limits(name, &request.board);
    if let Some(given) = request.given.lines.get(name).filter(|_| by_itself(driver)) {
        return Ok(Guarded::new(name, given.clone(), limits, request.fence.clone(), request.sink.clone()));
    }
    let cx = LineCx { slot: &request.id, output: name, safe: limits.safe, operator: &request.operator };
    let line = driver.open(cx, by).await?;
    let line = match safe_argv(driver, limits.safe, request) {
        Some(argv) => warded(line, &format!("{name} of {}", request.id), &argv)?,
        None => line,
    };
    Ok(Guarded::new(name, line, limits, request.fence.clone(), request.sink.clone()))
}

/// What the warden has to run for it. A person is asked by nobody then, and programs of the rig file have
/// told the warden themselves.
fn safe_argv(driver: &LineDriver, safe: Level, request: &SlotRequest) -> Option<Vec<String>> {
    let on = match safe {
        Level::On => true,
        Level::Off => false,
        Level::Unknown => return None,
    };
    match driver {
        LineDriver::Manual(_) | LineDriver::Command(_) => None,
        driver => request.safe_by.and_then(|safe_by| safe_by(driver, on)),
    }
}

/// What a slot with this wiring offers, before it is opened.
pub fn offers(wiring: &Wiring) -> BTreeSet<Capability> {
    offered(wiring, wiring.consoles.contains_key("main"))
}

/// Whether it needs nobody's hand.
fn by_itself(driver: &LineDriver) -> bool {
    !matches!(driver, LineDriver::Manual(_))
}

/// What the wiring adds to the board. A person's hand is too slow and too dear for cuts in a case.
fn offered(wiring: &Wiring, typed: bool) -> BTreeSet<Capability> {
    [
        ("power-cut", wiring.power.as_ref().is_some_and(by_itself)),
        ("reset", wiring.outputs.get("reset").is_some_and(by_itself)),
        ("console-input", typed),
        ("network", wiring.network.is_some()),
        ("screenshot", wiring.capture.is_some()),
    ]
    .into_iter()
    .filter(|(_, offered)| *offered)
    .map(|(name, _)| Capability::new(name))
    .collect()
}

/// Which drivers, for the journal.
fn facts(wiring: &Wiring) -> BTreeMap<String, String> {
    let power = wiring.power.iter().map(|driver| (POWER.to_owned(), driver.name()));
    let outputs = wiring.outputs.iter().map(|(name, driver)| (format!("outputs.{name}"), driver.name()));
    let consoles = wiring.consoles.iter().map(|(name, driver)| (format!("consoles.{name}"), driver.name()));
    let media = wiring.media.iter().map(|(name, driver)| (format!("media.{name}"), driver.name()));
    let probes = wiring.probes.iter().map(|(name, driver)| (format!("probes.{name}"), driver.name()));
    let network = wiring.network.iter().map(|driver| ("network".to_owned(), driver.name()));
    let tftp = wiring.tftp.iter().map(|driver| ("tftp".to_owned(), driver.name()));
    let capture = wiring.capture.iter().map(|driver| ("capture".to_owned(), driver.name()));
    let all = power.chain(outputs).chain(consoles).chain(media).chain(probes);
    all.chain(network).chain(tftp).chain(capture).map(|(name, driver)| (name, driver.to_owned())).collect()
}
