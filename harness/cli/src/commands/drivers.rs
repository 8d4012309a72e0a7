//! `shakedown drivers`: what a rig can be made of.

use crate::say::out;
use shakedown_core::ExitCode;

pub(super) fn run() -> ExitCode {
    let mut family = "";
    for driver in shakedown_rigs::drivers() {
        if driver.family != family {
            family = driver.family;
            out!("{family}");
        }
        out!("  {}", driver.name);
        for line in driver.doc.lines() {
            out!("      {line}");
        }
        if let (Some(feature), false) = (driver.feature, driver.built) {
            out!("      (built without: needs the cargo feature `{feature}`)");
        }
    }
    out!("\nVirtual machines: the block `qemu:` of a slot (shakedown schema rig).");
    ExitCode::Ok
}
