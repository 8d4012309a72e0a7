//! Drivers of what takes pictures of a screen.

mod frame;
pub(crate) mod v4l2;

use std::sync::Arc;

use shakedown_core::{Capture, Deadline, Fut, Rig};

use crate::wiring::WiringProblem;

/// Settings of a driver of pictures.
pub trait CaptureConf {
    /// Finds what is wrong with the settings without touching the hardware.
    fn check(&self) -> Result<(), WiringProblem> {
        Ok(())
    }
    /// Makes ready to take pictures. The device itself is opened for each of them, and then let go.
    fn open<'a>(&'a self, cx: (), by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Capture>>>;
}
