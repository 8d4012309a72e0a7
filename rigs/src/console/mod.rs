//! Drivers of consoles.

pub(crate) mod command;
mod link;
pub(crate) mod rtt;
pub(crate) mod serial;
pub(crate) mod telnet;

use std::collections::BTreeMap;
use std::sync::Arc;

use shakedown_core::{Clock, Console, Deadline, Fut, Rig};

use crate::families::ProbeDriver;
use crate::wiring::WiringProblem;

/// What a driver of consoles gets when it is opened.
pub struct ConsoleCx<'a> {
    /// `main of desk/pi4`.
    pub name: &'a str,
    /// Stamps what comes.
    pub clock: &'a Arc<dyn Clock>,
    /// The speed of the board's main console, unless the settings name another.
    pub baud: u32,
    /// The slot's debug probes.
    pub probes: &'a BTreeMap<String, ProbeDriver>,
}

/// Settings of a driver of consoles.
pub trait ConsoleConf {
    /// Finds what is wrong with the settings without touching the hardware.
    fn check(&self) -> Result<(), WiringProblem> {
        Ok(())
    }
    /// Opens the line; from then on everything that comes is in its log.
    fn open<'a>(&'a self, cx: ConsoleCx<'a>, by: &'a Deadline) -> Fut<'a, Rig<Console>>;
}
