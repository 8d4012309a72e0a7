//! Whatever debug probe the library `probe-rs` speaks with.

#[cfg(feature = "probe")]
mod cortex;
#[cfg(feature = "probe")]
mod flash;
#[cfg(feature = "probe")]
pub(crate) mod held;
#[cfg(feature = "probe")]
mod post_mortem;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ProbeConf;
use crate::wiring::WiringProblem;

#[cfg(feature = "probe")]
pub(super) use held::list;

#[cfg(feature = "probe")]
const NAME: &str = "probe-rs";

/// A debug probe (CMSIS-DAP, J-Link, ST-Link, Black Magic and others) on the SWD wires of a Cortex-M: a
/// microcontroller of the board or of the rig. It is opened for each operation and let go afterwards; a core
/// that was halted stays halted. Application cores (those of a Raspberry Pi, for example) were never tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "ProbeRs")]
pub struct Conf {
    /// Which probe, as `shakedown probe list` shows it: `vendor:product:serial` in hex. A Black Magic probe
    /// behind a network: `1d50:6018:host:port`.
    pub probe: String,
    /// The chip, by its name in the description.
    pub chip: String,
    /// A file that describes the chip to probe-rs: its memory, and how its flash is written. One for the
    /// nRF51822 is in `rigs/chips`; the probe-rs project has them for most chips, in the same form.
    pub description: PathBuf,
    /// A word of the chip's memory that tells it from others; it is read before anything is written.
    #[serde(default)]
    pub identity: Option<Word>,
}

/// A word of memory, and what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "ProbeWord")]
pub struct Word {
    /// Where it stands.
    pub address: u32,
    /// The bits that count (default: all).
    #[serde(default = "all")]
    pub mask: u32,
    /// What they must be.
    pub value: u32,
}

const fn all() -> u32 {
    u32::MAX
}

impl ProbeConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        let mut parts = self.probe.splitn(3, ':');
        let mut hex = || {
            let part = parts.next().and_then(|part| part.split('-').next());
            part.is_some_and(|part| u16::from_str_radix(part, 16).is_ok())
        };
        if !(hex() && hex()) {
            let what = format!("`{}` is not `vendor:product` or `vendor:product:serial` in hex", self.probe);
            return Err(WiringProblem::new("probe", what));
        }
        if self.chip.is_empty() {
            return Err(WiringProblem::new("chip", "a name is needed"));
        }
        if !self.description.is_absolute() {
            let what = format!("`{}` is no absolute path", self.description.display());
            return Err(WiringProblem::new("description", what));
        }
        match self.identity {
            Some(word) if word.address % 4 != 0 => {
                Err(WiringProblem::new("identity.address", "no multiple of 4: a word is read"))
            }
            Some(word) if word.value & !word.mask != 0 => {
                Err(WiringProblem::new("identity.value", "has bits that the mask leaves out"))
            }
            _ => Ok(()),
        }
    }

    #[cfg(feature = "probe")]
    fn open<'a>(
        &'a self,
        _cx: (),
        _by: &'a shakedown_core::Deadline,
    ) -> shakedown_core::Fut<'a, shakedown_core::Rig<std::sync::Arc<dyn shakedown_core::Probe>>> {
        Box::pin(async move {
            let held = held::Held::of(self)?;
            Ok(std::sync::Arc::new(cortex::Cortex(held)) as std::sync::Arc<dyn shakedown_core::Probe>)
        })
    }
}
