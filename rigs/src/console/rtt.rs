//! What a microcontroller's program says through its own memory, read by a debug probe.

#[cfg(feature = "probe")]
mod line;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use shakedown_core::{Console, Deadline, Fut, Rig};

use super::{ConsoleConf, ConsoleCx};

/// SEGGER's real-time transfer: what a microcontroller's program writes into a ring in its own memory, read
/// by one of the slot's debug probes while the core runs. The probe is held as long as the console is open.
/// A chip that is off, or whose program has no such ring yet, says nothing; it is looked for each second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Rtt")]
pub struct Conf {
    /// The probe, by its name in the slot.
    pub probe: String,
    /// The channel that is read, and the one that is typed on, where the program has it (default: 0).
    #[serde(default)]
    pub channel: usize,
    /// Where the program has its table of rings (default: looked for in all of the RAM, where it must be alone:
    /// writing a program may leave a copy there).
    #[serde(default)]
    pub at: Option<u32>,
}

impl ConsoleConf for Conf {
    fn open<'a>(&'a self, cx: ConsoleCx<'a>, by: &'a Deadline) -> Fut<'a, Rig<Console>> {
        #[cfg(feature = "probe")]
        {
            Box::pin(line::open(self, cx, by))
        }
        #[cfg(not(feature = "probe"))]
        {
            let _ = (cx, by);
            Box::pin(async { Err(crate::registry::not_built("rtt", "probe")) })
        }
    }
}
