//! Drivers of outputs: the supply, buttons, jumpers, USB VBUS.

pub(crate) mod command;
pub(crate) mod manual;

use std::sync::Arc;

use shakedown_core::{Deadline, Fut, Level, Line, Rig};

use crate::operator::Operator;
use crate::wiring::WiringProblem;

/// What a driver of an output gets when it is opened.
pub struct LineCx<'a> {
    /// The slot: `desk/pi4`.
    pub slot: &'a str,
    /// The output's name in the slot: `power`, `reset`.
    pub output: &'a str,
    /// The level to leave behind when the harness dies.
    pub safe: Level,
    /// The person at the bench.
    pub operator: &'a Arc<dyn Operator>,
}

/// Settings of a driver of outputs.
pub trait LineConf {
    /// Finds what is wrong with the settings without touching the hardware.
    fn check(&self) -> Result<(), WiringProblem> {
        Ok(())
    }
    /// Opens the output and leaves it as it is.
    fn open<'a>(&'a self, cx: LineCx<'a>, by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Line>>>;
}
