//! The good way: the other slot is written, started, found healthy and kept.

use std::time::Duration;

use shakedown_core::event::{Better, Measure};
use shakedown_core::{Cut, Deadline, Dut, Failure, Reboot};

use super::Plot;
use super::update::{FACTS, Update};

pub(super) const PLOT: Plot =
    Plot { name: "update-commits", facts: FACTS, config_keys: &[], run: |dut, by| Box::pin(run(dut, by)) };

async fn run(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let update = Update::new(dut, FACTS, by).await?;
    let before = update.running(by).await?;
    update.put("update", by).await?;
    let measure = |name: &str, from| {
        let value = by.clock().now().since(from).as_secs_f64();
        dut.measure(Measure { name: name.to_owned(), value, unit: "s".into(), better: Better::Lower });
    };
    let began = by.clock().now();
    update.arm(by).await?;
    measure("update.install", began);
    let began = by.clock().now();
    dut.reboot(Reboot::Clean, by).await?;
    let after = update.running(by).await?;
    if after.slot == before.slot || after.version == before.version {
        let what = "the new version does not run";
        return Err(Failure::new(what, format!("another than {before}"), after.to_string()).into());
    }
    update
        .host
        .until(
            "the update to be committed",
            "the update was not committed",
            "test ! -e {marker-health-breadcrumb}",
            Duration::from_secs(240),
            by,
        )
        .await?;
    measure("update.commit", began);
    update
        .host
        .must(
            "a committed update left marks of a rollback",
            "! ls {marker-health-triggered} {marker-altboot-triggered} 2> /dev/null",
            by,
        )
        .await?;
    // What was committed must also be what the next boot starts.
    dut.reboot(Reboot::Clean, by).await?;
    let again = update.running(by).await?;
    if again != after {
        let what = "the committed version is not the one that the next boot starts";
        return Err(Failure::new(what, after.to_string(), again.to_string()).into());
    }
    Ok(())
}
