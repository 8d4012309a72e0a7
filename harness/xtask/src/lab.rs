//! Drivers of hardware that this machine has not, in a guest that has.

use crate::packages;
use crate::shell::cargo;

/// `cargo xtask lab`: the stage `lab` of the test command, with all that was seen.
pub(crate) fn run() -> anyhow::Result<()> {
    packages::install(&[packages::BUILD, packages::IMAGE, packages::QEMU, packages::TEST])?;
    cargo(["test", "--package", "shakedown", "--test", "lab", "--", "--nocapture"]).run()
}
