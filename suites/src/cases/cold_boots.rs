//! One good boot proves little: the power is cut again and again, and the board must come up each time.

use shakedown_core::{Cut, Deadline, Dut, Failure, Reboot};

use super::Plot;
use super::host::Host;

const FACTS: &[&str] = &["cold-boots"];

pub(super) const PLOT: Plot =
    Plot { name: "cold-boots", facts: FACTS, config_keys: &[], run: |dut, by| Box::pin(run(dut, by)) };

async fn run(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let host = Host::new(dut, FACTS, by).await?;
    let asked = host.fact("cold-boots")?;
    let boots: u32 =
        asked.parse().map_err(|_| Cut::Broken(format!("`cold-boots` is `{asked}`, not a number")))?;
    let mut before = host.boot_id(by).await?;
    for boot in 1..=boots {
        // Each boot is recorded with its stages; their spread is told from those.
        dut.reboot(Reboot::PowerCut, by).await?;
        let after = host.boot_id(by).await?;
        if before == after {
            let what = format!("the board did not start anew in cold boot {boot}");
            return Err(Failure::new(what, "a new boot id", after).into());
        }
        before = after;
        let failed = "systemctl list-units --failed --plain --no-legend --no-pager";
        let failed = host.must("the units cannot be listed", failed, by).await?;
        if !failed.is_empty() {
            let what = format!("units have failed after cold boot {boot} of {boots}");
            return Err(Failure::new(what, "no failed unit", failed).into());
        }
    }
    Ok(())
}
