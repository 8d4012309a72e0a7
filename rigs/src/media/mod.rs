//! Drivers of media.

pub(crate) mod block_device;
pub(crate) mod card;
pub(crate) mod file;
pub(crate) mod muxed;
pub(crate) mod sdwire;
pub(crate) mod usb_sd_mux;

use std::path::Path;
use std::sync::Arc;

use shakedown_core::{Deadline, Fut, Rig, Storage};

use crate::operator::Operator;
use crate::wiring::WiringProblem;

/// What a driver of media gets when it is opened.
pub struct MediaCx<'a> {
    /// The slot: `desk/pi4`.
    pub slot: &'a str,
    /// The slot's own folder, for files that are named without one.
    pub folder: &'a Path,
    /// The person at the bench.
    pub operator: &'a Arc<dyn Operator>,
}

/// Settings of a driver of media.
pub trait MediaConf {
    /// Finds what is wrong with the settings without touching the hardware.
    fn check(&self) -> Result<(), WiringProblem> {
        Ok(())
    }
    /// Finds the mux and the medium; switches nothing.
    fn open<'a>(&'a self, cx: MediaCx<'a>, by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Storage>>>;
}
