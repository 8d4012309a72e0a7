//! A system that hangs can do nothing about itself: the hardware watchdog resets it.

use std::time::Duration;

use shakedown_core::{Cut, Deadline, Dut, Failure, Resets};

use super::Plot;
use super::host::Host;

pub(super) const PLOT: Plot =
    Plot { name: "hung-system", facts: &[], config_keys: &[], run: |dut, by| Box::pin(run(dut, by)) };

/// What the kernel says on its way through an orderly reboot.
const ORDERLY: &str = "reboot: Restarting system";
/// The known-bad line of boards whose boot loader tells of a reset by the watchdog.
const BY_WATCHDOG: &str = "watchdog-reset";

async fn run(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let host = Host::new(dut, &[], by).await?;
    let before = host.boot_id(by).await?;
    let armed = host.ask("grep -l '^active$' /sys/class/watchdog/watchdog*/state", by).await?;
    if !armed.exit.is_ok() {
        let what = "no hardware watchdog is armed";
        return Err(Failure::new(what, "a watchdog whose state is active", "none").into());
    }
    // Frozen, systemd feeds the watchdog no more; the kernel and the SSH session live on,
    // so nothing but the watchdog can end this.
    let since = dut.console().log.here();
    let freeze = "sync; echo 1 > /sys/fs/cgroup/init.scope/cgroup.freeze \
                  && grep -qx 'frozen 1' /sys/fs/cgroup/init.scope/cgroup.events";
    host.until(
        "systemd to be frozen",
        "systemd cannot be frozen, so a hang cannot be made",
        freeze,
        Duration::from_secs(10),
        by,
    )
    .await?;
    // A boot loader that tells why it starts says what is wanted here.
    let resets = Resets { up_to: 1, bad: vec![BY_WATCHDOG.to_owned()] };
    let wait = by.child("the watchdog to reset the system", Duration::from_secs(240));
    dut.await_boot(since, &resets, &wait).await?;
    let log = &dut.console().log;
    let said = String::from_utf8_lossy(&log.bytes(since, log.here())).into_owned();
    if let Some(line) = said.lines().find(|line| line.contains(ORDERLY)) {
        let what = "the system rebooted by itself, not by its watchdog";
        return Err(Failure::new(what, "a reset without a word", line.trim()).into());
    }
    let after = host.boot_id(by).await?;
    if before == after {
        return Err(Failure::new("the hung system was not reset", "a new boot id", after).into());
    }
    Ok(())
}
