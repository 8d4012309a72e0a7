//! A frozen engine answers nobody and ends by no signal but one: only its watchdog notices.

use std::time::Duration;

use shakedown_core::event::{Better, Measure};
use shakedown_core::{Cut, Deadline, Dut, Failure};

use super::Plot;
use super::host::Host;

const FACTS: &[&str] = &["engine-unit", "engine-process", "engine-healthy"];

pub(super) const PLOT: Plot =
    Plot { name: "frozen-engine", facts: FACTS, config_keys: &[], run: |dut, by| Box::pin(run(dut, by)) };

async fn run(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let host = Host::new(dut, FACTS, by).await?;
    // The OS's own period is minutes long; what is checked is the mechanism.
    host.must(
        "the watchdog of the engine cannot be shortened",
        "mkdir -p /run/systemd/system/{engine-unit}.d \
         && printf '[Service]\\nWatchdogSec=30\\n' > /run/systemd/system/{engine-unit}.d/50-shakedown.conf \
         && systemctl daemon-reload && systemctl restart {engine-unit}",
        by,
    )
    .await?;
    let period = host
        .must(
            "the engine's unit tells no watchdog",
            "systemctl show --property WatchdogUSec --value {engine-unit}",
            by,
        )
        .await?;
    if period != "30s" {
        let what = "the engine's unit has no watchdog";
        return Err(Failure::new(what, "a watchdog of 30s", period).into());
    }
    let within = Duration::from_secs(120);
    host.until("the engine to be healthy", "the engine is not healthy", "{engine-healthy}", within, by)
        .await?;
    // Not by the kernel's name for it, which ends after 15 bytes.
    // The oldest: there may be others of its name in containers.
    let oldest = "pidof {engine-process} | tr ' ' '\\n' | sort -n | head -n 1 | grep .";
    let before = host.must("there is no process of the engine", oldest, by).await?;
    let began = by.clock().now();
    host.must("the engine cannot be frozen", &format!("kill -STOP {before}"), by).await?;
    host.until(
        "a new process of the engine",
        "the watchdog did not end the frozen engine",
        &format!("[ ! -d /proc/{before} ] && pidof -s {{engine-process}}"),
        Duration::from_secs(120),
        by,
    )
    .await?;
    host.until(
        "the engine to be healthy again",
        "the engine is not healthy after its watchdog restarted it",
        "{engine-healthy}",
        Duration::from_secs(120),
        by,
    )
    .await?;
    let took = by.clock().now().since(began).as_secs_f64();
    host.until(
        "the journal to tell of the watchdog",
        "the engine was restarted, but not by its watchdog",
        "journalctl --boot --no-pager --unit {engine-unit} | grep -i -E \"watchdog timeout|result 'watchdog'\"",
        Duration::from_secs(30),
        by,
    )
    .await?;
    let name = "engine.frozen-to-healthy".to_owned();
    dut.measure(Measure { name, value: took, unit: "s".into(), better: Better::Lower });
    Ok(())
}
