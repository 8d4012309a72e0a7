//! From the document of a simulated slot to the slot that a run holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shakedown_core::{
    Board, BootSpec, Capability, Clock, Console, ConsoleLog, ConsoleTx, Fault, Fence, Guarded, ImageRef,
    InfraKind, Rig, Seen, Shells, Side, Sink, Slot, Storage,
};

use crate::dice::{self, Moment, Scene};
use crate::doc::SimulationDoc;
use crate::example::example;
use crate::slot::{Card, DRIVER, Supply, Well, Wire, limits};
use crate::world::{Stage, Stand, World};

/// Whose slot, and for which run.
pub struct SlotRequest {
    /// `rig/slot`.
    pub id: String,
    /// The board type that is simulated.
    pub board: Arc<Board>,
    /// The board's stages and the profile's, composed.
    pub spec: BootSpec,
    /// The image that the run writes first.
    pub image: ImageRef,
    /// The image that it writes second, if it does.
    pub control: Option<ImageRef>,
    /// What tells this run from another one of the same image on the same slot.
    pub nonce: String,
    /// The run's clock.
    pub clock: Arc<dyn Clock>,
    /// Takes the slot's events.
    pub sink: Arc<dyn Sink>,
    /// The right to actuate.
    pub fence: Arc<dyn Fence>,
}

/// A slot and the only way into its DUT.
pub struct Opened {
    /// The slot.
    pub slot: Slot,
    /// Its shells: no network leads to it.
    pub shells: Arc<dyn Shells>,
}

/// What a simulated slot adds to its board's capabilities.
pub fn offers() -> BTreeSet<Capability> {
    ["power-cut", "console-input", "network"].into_iter().map(Capability::new).collect()
}

/// Makes it.
pub fn open(doc: &SimulationDoc, request: SlotRequest) -> Rig<Opened> {
    let SlotRequest { id, board, spec, image, control, nonce, clock, sink, fence } = request;
    let stages = stages(&spec)?;
    let scene = Scene { slot: &id, board: &board.slug, image: &image, nonce: &nonce };
    let sick = dice::decide(doc, &scene, Moment::Open, 0);
    let log = Arc::new(ConsoleLog::new(clock.clone()));
    let stand = Stand {
        slot: id.clone(),
        board: board.slug.clone(),
        nonce,
        doc: doc.clone(),
        stages,
        image,
        control,
        clock,
        log: log.clone(),
        medium: Arc::default(),
        sick,
    };
    let world = World::new(stand);
    let tx: Arc<dyn ConsoleTx> = Arc::new(Wire(world.clone()));
    let card: Arc<dyn Storage> = Arc::new(Card(world.clone(), Mutex::new(Side::Host)));
    let slot = Slot {
        id,
        board,
        power: Some(Guarded::new("power", Arc::new(Supply(world.clone())), limits(), fence, sink)),
        outputs: BTreeMap::new(),
        consoles: BTreeMap::from([("main".to_owned(), Console { log, tx: Some(tx) })]),
        media: BTreeMap::from([("main".to_owned(), card)]),
        probes: BTreeMap::new(),
        tools: BTreeMap::new(),
        network: Some(Arc::new(Wire(world.clone()))),
        services: None,
        tftp: None,
        capture: None,
        vitals: Arc::new(Well),
        pace: Arc::default(),
        offers: offers(),
        // Whoever judges this run later must know that nothing was tested.
        facts: BTreeMap::from([(DRIVER.to_owned(), format!("seed {}", doc.seed))]),
    };
    Ok(Opened { slot, shells: Arc::new(Wire(world)) })
}

/// The way up: stages in proportion to their typical times, or evenly where none is known.
fn stages(spec: &BootSpec) -> Rig<Vec<Stage>> {
    let weight = |typical: Option<Duration>| typical.map_or(3.0, |typical| typical.as_secs_f64().max(0.1));
    let whole: f64 = spec.stages.iter().map(|stage| weight(stage.typical)).sum();
    let mut so_far = 0.0;
    let made = spec.stages.iter().map(|stage| {
        so_far += weight(stage.typical);
        let line = match &stage.seen {
            Seen::Console(patterns) => Some(line(&stage.name, patterns)?),
            Seen::Shell | Seen::Engine => None,
        };
        Ok(Stage { name: stage.name.clone(), line, at: so_far / whole })
    });
    made.collect()
}

fn line(stage: &str, patterns: &[String]) -> Rig<Vec<u8>> {
    patterns.iter().find_map(|pattern| example(pattern)).ok_or_else(|| {
        Fault::new(InfraKind::Config, DRIVER, "show", format!("stage {stage}"))
            .expected("a pattern that a line can match", patterns.join(", "))
    })
}
