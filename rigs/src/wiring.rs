//! The blocks of a slot with hardware, as they stand in a rig file.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::Span;
use shakedown_core::{Board, Level, Limits, Provision};

use crate::families::{
    CaptureDriver, ConsoleDriver, LineDriver, MediaDriver, NetworkDriver, ProbeDriver, TftpDriver,
};

/// The name of the supply among the outputs, in `limits` and in proofs.
pub(crate) const POWER: &str = "power";

/// Everything that a slot with hardware is wired to. The cli takes these fields from its
/// own document of a slot.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Wiring {
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
}

/// Limits that protect the hardware, whoever switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitsDoc {
    /// The shortest time between off and on (default: the board's `min-off` for the supply, else none).
    pub min_off: Option<Span>,
    /// The most off-to-on cycles in any minute (default: 20).
    pub max_cycles_per_minute: Option<u32>,
    /// The level to leave behind at the end, in a crash, on a lost lease (default: off).
    pub safe: Option<LevelDoc>,
}

/// A level of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LevelDoc {
    /// Energised.
    On,
    /// Not energised.
    Off,
}

/// What is wrong with a wiring, and in which field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WiringProblem {
    /// Relative to the slot: `power.command.status.on`.
    pub field: String,
    /// One clause.
    pub what: String,
}

impl WiringProblem {
    /// A problem with a field.
    pub fn new(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self { field: field.into(), what: what.into() }
    }

    /// The same, seen from further out.
    #[must_use]
    pub(crate) fn within(mut self, outer: &str) -> Self {
        self.field = match self.field.as_str() {
            "" => outer.to_owned(),
            field => format!("{outer}.{field}"),
        };
        self
    }
}

impl fmt::Display for WiringProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.what)
        } else {
            write!(f, "{}: {}", self.field, self.what)
        }
    }
}

impl std::error::Error for WiringProblem {}

impl Wiring {
    /// Finds what is wrong before anything is opened.
    pub fn check(&self, board: &Board) -> Result<(), WiringProblem> {
        if let Some(power) = &self.power {
            power.check().map_err(|problem| problem.within(POWER))?;
        }
        each("outputs", &self.outputs, LineDriver::check)?;
        each("consoles", &self.consoles, ConsoleDriver::check)?;
        for (name, console) in &self.consoles {
            if let ConsoleDriver::Rtt(rtt) = console
                && !self.probes.contains_key(&rtt.probe)
            {
                let what = format!("this slot has no probe `{}`", rtt.probe);
                return Err(WiringProblem::new(format!("consoles.{name}.rtt.probe"), what));
            }
        }
        each("media", &self.media, MediaDriver::check)?;
        each("probes", &self.probes, ProbeDriver::check)?;
        if let Some(network) = &self.network {
            network.check().map_err(|problem| problem.within("network"))?;
        }
        if let Some(tftp) = &self.tftp {
            tftp.check().map_err(|problem| problem.within("tftp"))?;
        }
        if let Some(capture) = &self.capture {
            capture.check().map_err(|problem| problem.within("capture"))?;
        }
        if self.outputs.contains_key(POWER) {
            return Err(WiringProblem::new("outputs.power", "the supply is the slot's own `power`"));
        }
        if !self.consoles.contains_key("main") {
            return Err(WiringProblem::new("consoles", "`main` is missing: boots are watched on it"));
        }
        if board.provision == Provision::SdCard && !self.media.contains_key("main") {
            let what = format!("`main` is missing: an image for {} is written to a card", board.slug);
            return Err(WiringProblem::new("media", what));
        }
        let shown = matches!(board.provision, Provision::UsbBoot(_) | Provision::UsbMassStorage);
        if shown && !matches!(self.media.get("main"), None | Some(MediaDriver::BlockDevice(_))) {
            let what = format!("{} shows its own storage as a disk of this host: `block-device`", board.slug);
            return Err(WiringProblem::new("media.main", what));
        }
        for name in self.limits.keys() {
            let known = self.outputs.contains_key(name) || (name == POWER && self.power.is_some());
            if !known {
                return Err(WiringProblem::new(format!("limits.{name}"), "this slot has no such output"));
            }
        }
        Ok(())
    }

    /// What only one place of a rig can have, by its fields: outlets, ports and media, as they are written. A
    /// person or a program may stand behind several.
    pub fn devices(&self) -> Vec<(String, String)> {
        let outputs = self.outputs.iter().map(|(name, driver)| (format!("outputs.{name}"), driver));
        let lines = self.power.iter().map(|driver| (POWER.to_owned(), driver)).chain(outputs);
        let lines =
            lines.filter(|(_, driver)| !matches!(driver, LineDriver::Manual(_) | LineDriver::Command(_)));
        let lines = lines.map(|(field, driver)| (field, format!("{driver:?}")));
        let consoles = self.consoles.iter().filter_map(|(name, driver)| {
            let device = match driver {
                ConsoleDriver::Serial(serial) => format!("serial {}", serial.port.display()),
                ConsoleDriver::Command(_) | ConsoleDriver::Rtt(_) => return None,
                driver => format!("{driver:?}"),
            };
            Some((format!("consoles.{name}"), device))
        });
        let media = self.media.iter().filter_map(|(name, driver)| {
            let device = match driver {
                MediaDriver::BlockDevice(device) => format!("disk {}", device.path.display()),
                // Else it lies in the slot's own folder.
                MediaDriver::File(file) if file.path.is_absolute() => format!("file {}", file.path.display()),
                MediaDriver::File(_) => return None,
                driver => format!("{driver:?}"),
            };
            Some((format!("media.{name}"), device))
        });
        lines.chain(consoles).chain(media).collect()
    }

    /// The limits of an output, with what the board needs.
    pub(crate) fn limits(&self, output: &str, board: &Board) -> Limits {
        let doc = self.limits.get(output).copied().unwrap_or_default();
        let usual = Limits::default();
        let min_off = if output == POWER { board.min_off } else { std::time::Duration::ZERO };
        Limits {
            // The board's own need is never undercut.
            min_off: doc.min_off.map_or(min_off, |span| span.get().max(min_off)),
            max_cycles_per_minute: doc.max_cycles_per_minute.unwrap_or(usual.max_cycles_per_minute),
            safe: match doc.safe {
                Some(LevelDoc::On) => Level::On,
                Some(LevelDoc::Off) => Level::Off,
                None => usual.safe,
            },
        }
    }
}

fn each<T>(
    field: &str,
    drivers: &BTreeMap<String, T>,
    check: impl Fn(&T) -> Result<(), WiringProblem>,
) -> Result<(), WiringProblem> {
    drivers.iter().try_for_each(|(name, driver)| {
        check(driver).map_err(|problem| problem.within(&format!("{field}.{name}")))
    })
}
