//! Who must not be interrupted holds a lock; a safe reboot waits for it, and only for it.

use std::time::Duration;

use shakedown_core::{Cut, Deadline, Dut, Failure, Resets};

use super::Plot;
use super::host::Host;

const FACTS: &[&str] = &["safe-reboot", "update-lock"];
/// How long a reboot that does not wait is given to show itself.
const WATCHED: Duration = Duration::from_secs(10);

pub(super) const PLOT: Plot =
    Plot { name: "safe-reboot", facts: FACTS, config_keys: &[], run: |dut, by| Box::pin(run(dut, by)) };

async fn run(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let host = Host::new(dut, FACTS, by).await?;
    let before = host.boot_id(by).await?;
    host.must(
        "the update lock cannot be taken",
        "systemd-run --quiet --collect --unit shakedown-lock flock {update-lock} sleep 3600",
        by,
    )
    .await?;
    host.until(
        "the update lock to be held",
        "the update lock is not held",
        "! flock --nonblock {update-lock} true",
        Duration::from_secs(20),
        by,
    )
    .await?;
    let since = dut.console().log.here();
    host.must(
        "the safe reboot cannot be started",
        "systemd-run --quiet --unit shakedown-safe-reboot {safe-reboot}",
        by,
    )
    .await?;
    if let Err(cut) = waits(&host, by).await {
        // It reboots now, which is what it should not: the next case needs it back.
        dut.await_boot(since, &Resets { up_to: 1, bad: Vec::new() }, by).await?;
        return Err(cut);
    }
    let since = dut.console().log.here();
    host.must("the update lock cannot be given back", "systemctl stop shakedown-lock.service", by).await?;
    dut.await_boot(since, &Resets::default(), by).await?;
    let after = host.boot_id(by).await?;
    if before == after {
        let what = "the safe reboot did not reboot when the lock was free";
        return Err(Failure::new(what, "a new boot id", after).into());
    }
    Ok(())
}

/// Looks for a while: the command must go on waiting, and the system must not go down.
async fn waits(host: &Host<'_>, by: &Deadline) -> Result<(), Cut> {
    let clock = by.clock();
    let until = clock.now() + WATCHED;
    let line = "systemctl is-active shakedown-safe-reboot.service; systemctl is-system-running";
    let failure = |got: String| {
        let what = "the safe reboot did not wait for the update lock";
        Err(Cut::Fail(Failure::new(what, "a command that waits while the lock is held", got)))
    };
    while clock.now() < until {
        match host.ask(line, by).await {
            Ok(ran) => {
                let text = ran.text();
                if !text.starts_with("active") || text.contains("stopping") {
                    return failure(text.replace('\n', ", "));
                }
            }
            Err(Cut::Shell(error)) => return failure(error.to_string()),
            Err(other) => return Err(other),
        }
        by.pause(Duration::from_secs(1), || "it still waits".to_owned()).await?;
    }
    Ok(())
}
