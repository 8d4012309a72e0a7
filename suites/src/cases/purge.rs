//! A factory reset: what a user left on state and data is gone, and the OS makes its own anew.

use std::time::Duration;

use shakedown_core::{Cut, Deadline, Dut, Reboot};

use super::Plot;
use super::host::Host;

const FACTS: &[&str] = &["state-dir", "data-dir", "reset-marker", "engine", "engine-healthy"];

pub(super) const PLOT: Plot =
    Plot { name: "purge", facts: FACTS, config_keys: &[], run: |dut, by| Box::pin(run(dut, by)) };

async fn run(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let host = Host::new(dut, FACTS, by).await?;
    host.must(
        "a file cannot be left on state and data",
        "mkdir -p {state-dir}/shakedown-left {data-dir}/shakedown-left \
         && echo left | tee {state-dir}/shakedown-left/file > {data-dir}/shakedown-left/file \
         && {engine} volume create shakedown-left",
        by,
    )
    .await?;
    host.must(
        "a reset cannot be asked for: a marker cannot be removed",
        "rm {state-dir}/{reset-marker} {data-dir}/{reset-marker} && sync",
        by,
    )
    .await?;
    dut.reboot(Reboot::Clean, by).await?;
    host.must(
        "files on state or data survived the reset",
        "ls -d {state-dir}/shakedown-left {data-dir}/shakedown-left 2> /dev/null; test $? -eq 2",
        by,
    )
    .await?;
    host.must(
        "a marker is not there again after the reset",
        "ls {state-dir}/{reset-marker} {data-dir}/{reset-marker}",
        by,
    )
    .await?;
    host.until(
        "the engine to be healthy",
        "the engine does not recover from the reset",
        "{engine-healthy}",
        Duration::from_secs(120),
        by,
    )
    .await?;
    host.must(
        "a volume survived the reset",
        "volumes=$({engine} volume ls --quiet) && ! printf '%s\\n' \"$volumes\" | grep -x shakedown-left",
        by,
    )
    .await?;
    Ok(())
}
