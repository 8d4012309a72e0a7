//! `shakedown drivers`: what a rig can be made of.

use shakedown_core::ExitCode;

pub(super) fn run() -> ExitCode {
    let mut family = "";
    for driver in shakedown_rigs::drivers() {
        if driver.family != family {
            family = driver.family;
            println!("{family}");
        }
        println!("  {}", driver.name);
        for line in driver.doc.lines() {
            println!("      {line}");
        }
        if let (Some(feature), false) = (driver.feature, driver.built) {
            println!("      (built without: needs the cargo feature `{feature}`)");
        }
    }
    println!("\nVirtual machines: the block `qemu:` of a slot (shakedown schema rig).");
    ExitCode::Ok
}
