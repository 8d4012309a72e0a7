//! A factory reset: what a user left on state and data is gone, and the OS makes its own anew.

use std::time::Duration;

use shakedown_core::{Capability, Cut, Deadline, Dut, Evidence, Failure, Reboot};

use super::Plot;
use super::host::Host;

const FACTS: &[&str] = &[
    "state-dir",
    "data-dir",
    "reset-marker",
    "reset-state-dir",
    "reset-data-dir",
    "engine",
    "engine-healthy",
];

pub(super) const PLOT: Plot =
    Plot { name: "purge", facts: FACTS, config_keys: &[], run: |dut, by| Box::pin(run(dut, by)) };

async fn run(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let host = Host::new(dut, FACTS, by).await?;
    host.must(
        "a file cannot be left on state and data",
        "mkdir -p {reset-state-dir}/shakedown-left {reset-data-dir}/shakedown-left \
         && echo left | tee {reset-state-dir}/shakedown-left/file > {reset-data-dir}/shakedown-left/file \
         && {engine} volume create shakedown-left",
        by,
    )
    .await?;
    let key = dut.host_key();
    dut.host_key_may_change();
    host.must(
        "a reset cannot be asked for: a marker cannot be removed",
        "rm {state-dir}/{reset-marker} {data-dir}/{reset-marker} && sync",
        by,
    )
    .await?;
    dut.reboot(Reboot::Clean, by).await?;
    host.must(
        "files on state or data survived the reset",
        "ls -d {reset-state-dir}/shakedown-left {reset-data-dir}/shakedown-left 2> /dev/null; test $? -eq 2",
        by,
    )
    .await?;
    host.must(
        "a marker is not there again after the reset",
        "ls {state-dir}/{reset-marker} {data-dir}/{reset-marker}",
        by,
    )
    .await?;
    key_is_gone(dut, key)?;
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

/// Where the host key lies on what is emptied, one that is still there was not.
fn key_is_gone(dut: &dyn Dut, before: Option<String>) -> Result<(), Cut> {
    let Some(before) = before.filter(|before| dut.host_key().as_ref() == Some(before)) else { return Ok(()) };
    if dut.offers(&Capability::new("host-key-reset")) {
        let what = "the SSH host key survived the reset";
        return Err(Failure::new(what, "another one than before", before).into());
    }
    dut.evidence(Evidence::Note(format!("the SSH host key is the same after the reset: {before}")));
    Ok(())
}
