//! The bad ways: a new version that does not start, and one that starts and is not healthy.

use std::time::Duration;

use shakedown_core::{Capability, Cut, Deadline, Dut, Failure, Resets, Seen};

use super::Plot;
use super::update::{FACTS, Running, Update};

const HEALTH_FACTS: &[&str] =
    &["update-file", "update-slot", "marker-health-breadcrumb", "marker-health-triggered", "fast-health"];

pub(super) const BY_BOOT_LOADER: Plot = Plot {
    name: "update-rolls-back-by-boot-loader",
    facts: FACTS,
    config_keys: &[],
    run: |dut, by| Box::pin(by_boot_loader(dut, by)),
};
pub(super) const BY_HEALTH_CHECK: Plot = Plot {
    name: "update-rolls-back-by-health-check",
    facts: HEALTH_FACTS,
    config_keys: &[],
    run: |dut, by| Box::pin(by_health_check(dut, by)),
};

const NOT_TRIED: &str = "the new version was not tried";
/// Boots that a rollback takes at most: the tries of the new slot, the old one, one to spare.
const BOOTS: u32 = 5;
/// Longer than a system that goes down by itself needs to come up again.
const ONE_BOOT: Duration = Duration::from_secs(300);

async fn by_boot_loader(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let update = Update::new(dut, FACTS, by).await?;
    let before = update.running(by).await?;
    update.put("update-broken-init", by).await?;
    update.arm(by).await?;
    // The new system dies in ways of its own: each known-bad line is expected on the way.
    let bad = dut.board().bad.iter().chain(&dut.profile().bad).map(|bad| bad.id.clone()).collect();
    let since = go_down(&update, by).await?;
    let report = dut.await_boot(since, &Resets { up_to: BOOTS, bad }, by).await?;
    // Where the console may be silent the OS's own mark is what tells.
    let shown =
        dut.profile().stages.iter().any(|stage| !stage.optional && matches!(stage.seen, Seen::Console(_)));
    if shown && report.banners < 2 {
        let got = format!("{} start of the boot loader", report.banners);
        return Err(Failure::new(NOT_TRIED, "at least two starts of the boot loader", got).into());
    }
    back(&update, &before, by).await?;
    let untold =
        if report.banners < 2 { NOT_TRIED } else { "the OS does not tell that the boot loader rolled back" };
    update
        .host
        .until(
            "the mark of a rollback by the boot loader",
            untold,
            "cat {marker-altboot-triggered}",
            Duration::from_secs(120),
            by,
        )
        .await?;
    finished(&update, by).await
}

async fn by_health_check(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let update = Update::new(dut, HEALTH_FACTS, by).await?;
    let before = update.running(by).await?;
    update.put("update-unhealthy", by).await?;
    update.arm(by).await?;
    update.host.must("the health check cannot be made faster", "{fast-health} && sync", by).await?;
    // The OS may announce its rollback with a line that is known-bad at any other boot.
    let bad = dut.profile().bad.iter().map(|bad| bad.id.clone()).collect();
    let resets = Resets { up_to: BOOTS, bad };
    let mut since = go_down(&update, by).await?;
    dut.await_boot(since, &resets, by).await?;
    let mut tried = false;
    // The new version may be up, or on its way down already: each further boot is watched.
    loop {
        since = dut.console().log.here();
        match update.running(by).await {
            Ok(now) if now == before => break,
            Ok(_) => tried = true,
            Err(Cut::Shell(_)) => {}
            Err(cut) => return Err(cut),
        }
        dut.await_boot(since, &resets, &by.child("the old version to come back", ONE_BOOT)).await?;
    }
    let marker = update.host.ask("cat {marker-health-triggered}", by).await?;
    if !marker.exit.is_ok() {
        let (what, got) = if tried {
            ("the OS does not tell that the health check rolled back", "no mark of it")
        } else {
            (NOT_TRIED, "the old version, and no mark of a rollback")
        };
        return Err(Failure::new(what, "the mark of a rollback by the health check", got).into());
    }
    if dut.offers(&Capability::new("rollback-reason")) && marker.text().trim().is_empty() {
        let what = "the mark of the rollback does not say why";
        return Err(Failure::new(what, "the reason", "nothing").into());
    }
    finished(&update, by).await
}

/// Asks for a reboot that begins after the answer is back.
async fn go_down(update: &Update<'_>, by: &Deadline) -> Result<shakedown_core::Cursor, Cut> {
    let since = update.host.dut.console().log.here();
    let line = "systemd-run --quiet --collect --on-active=1 systemctl reboot";
    update.host.must("a reboot cannot be asked for", line, by).await?;
    Ok(since)
}

async fn back(update: &Update<'_>, before: &Running, by: &Deadline) -> Result<(), Cut> {
    let now = update.running(by).await?;
    if now == *before {
        return Ok(());
    }
    Err(Failure::new("the old version does not run again", before.to_string(), now.to_string()).into())
}

async fn finished(update: &Update<'_>, by: &Deadline) -> Result<(), Cut> {
    update
        .host
        .until(
            "the rollback to be finished",
            "after the rollback an update still waits",
            "test ! -e {marker-health-breadcrumb}",
            Duration::from_secs(120),
            by,
        )
        .await?;
    Ok(())
}
