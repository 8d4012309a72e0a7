//! A device that says "written" must mean it: synced data outlives the power.

use std::time::Duration;

use shakedown_core::{Cut, Deadline, Dut, Failure, Reboot};

use super::Plot;
use super::host::Host;

const FACTS: &[&str] = &["scratch"];

pub(super) const PLOT: Plot =
    Plot { name: "synced-data", facts: FACTS, config_keys: &[], run: |dut, by| Box::pin(run(dut, by)) };

/// 8 MiB in four files, each synced with the folder that names it; the hash goes over the wire,
/// so that what is compared later never lay on the medium.
const WRITE: &str = "mkdir -p {scratch} && cd {scratch} && rm -f synced-* && \
                     for n in 1 2 3 4; do dd if=/dev/urandom of=synced-$n bs=1M count=2 conv=fsync 2> /dev/null && sync . || exit 1; done && \
                     sha256sum synced-*";

async fn run(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let host = Host::new(dut, FACTS, by).await?;
    let wait = by.child("data to be written and synced", Duration::from_secs(120));
    let ran = host.ask_slowly(WRITE, &wait).await?;
    let written = ran.text();
    if !ran.exit.is_ok() || written.lines().count() != 4 {
        let what = "data cannot be written and synced";
        return Err(Failure::new(what, "4 files", format!("{}, {written}", ran.exit)).into());
    }
    dut.reboot(Reboot::PowerCut, by).await?;
    let wait = by.child("the data to be read again", Duration::from_secs(120));
    let read = host.ask_slowly("cd {scratch} && sha256sum synced-* 2>&1", &wait).await?.text();
    if read != written {
        let what = "data that was synced before the power was cut was lost";
        return Err(Failure::new(what, written, read).into());
    }
    Ok(())
}
