//! A data partition without a free byte must not take the host with it.

use std::time::Duration;

use shakedown_core::case::LoginTry;
use shakedown_core::{Cut, Deadline, Dut, Failure};

use super::Plot;
use super::host::Host;

const FACTS: &[&str] = &["data-dir", "state-dir", "engine-healthy"];

pub(super) const PLOT: Plot =
    Plot { name: "disk-full", facts: FACTS, config_keys: &[], run: |dut, by| Box::pin(run(dut, by)) };

async fn run(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let host = Host::new(dut, FACTS, by).await?;
    // Reserved in one go, then the rest byte by byte until the file system refuses.
    let fill = "free=$(df --output=avail -B1 {data-dir} | tail -n 1); \
                fallocate -l \"$free\" {data-dir}/shakedown-fill 2> /dev/null; \
                dd if=/dev/zero bs=64k conv=notrunc oflag=append >> {data-dir}/shakedown-fill 2> /dev/null; \
                sync; df --output=avail -B1 {data-dir} | tail -n 1";
    let left = host.must("the data partition cannot be filled", fill, by).await?;
    let left: u64 = left.trim().parse().map_err(|_| {
        Failure::new("the room on the data partition is not told", "a number of bytes", left.clone())
    })?;
    if left > 65_536 {
        let got = format!("{left} bytes free");
        return Err(Failure::new("the data partition could not be filled", "at most 64 KiB free", got).into());
    }
    host.must(
        "nothing can be written to the state partition while the data partition is full",
        "echo kept > {state-dir}/shakedown-probe && sync {state-dir}/shakedown-probe \
         && grep -q kept {state-dir}/shakedown-probe; code=$?; rm -f {state-dir}/shakedown-probe; exit $code",
        by,
    )
    .await?;
    // A new connection: the one that is open proves nothing. Answered means refused.
    let login = by.child("the SSH server to answer a new connection", Duration::from_secs(30));
    if dut.try_login(LoginTry::UnknownKey, &login).await? {
        return Err(Failure::new("SSH let in a key that nobody authorized", "refused", "let in").into());
    }
    host.until(
        "the engine to be healthy with a full disk",
        "the engine does not answer while the data partition is full",
        "{engine-healthy}",
        Duration::from_secs(60),
        by,
    )
    .await?;
    Ok(())
}
