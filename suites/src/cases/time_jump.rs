//! A clock that was set wrong is set right, and not slewed for days.

use std::time::Duration;

use shakedown_core::event::{Better, Measure};
use shakedown_core::{Cut, Deadline, Dut, Failure, Stop};

use super::Plot;
use super::host::Host;

const FACTS: &[&str] = &["ntp-unit", "ntp"];
/// How far the clock is set back, in seconds.
const JUMP: f64 = 120.0;
/// How far it may be off, in seconds: the way over a slow shell counts.
const OFF: f64 = 3.0;

pub(super) const PLOT: Plot =
    Plot { name: "time-jump", facts: FACTS, config_keys: &[], run: |dut, by| Box::pin(run(dut, by)) };

async fn run(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let host = Host::new(dut, FACTS, by).await?;
    host.must("chrony is not running", "systemctl is-active {ntp-unit}", by).await?;
    // The rig's NTP server tells the host's time: both clocks can be compared.
    settle(&host, "the clock to be right before it is set wrong", Duration::from_secs(120), by).await?;
    let back = format!("date --set \"@$(($(date +%s) - {JUMP}))\"");
    host.must("the clock cannot be set", &back, by).await?;
    let began = by.clock().now();
    let off = offset(&host, by).await?;
    if (off + JUMP).abs() > JUMP / 2.0 {
        let what = "the clock did not take the time that it was set to";
        return Err(Failure::new(what, format!("{:.0} s off", -JUMP), format!("{off:.1} s off")).into());
    }
    settle(&host, "the clock to be set right again", Duration::from_secs(240), by).await?;
    let value = by.clock().now().since(began).as_secs_f64();
    let name = "time.jump-corrected".to_owned();
    dut.measure(Measure { name, value, unit: "s".into(), better: Better::Lower });
    Ok(())
}

/// Waits until DUT and rig agree.
async fn settle(host: &Host<'_>, what: &str, within: Duration, by: &Deadline) -> Result<(), Cut> {
    let wait = by.child(what, within);
    loop {
        let off = offset(host, by).await?;
        if off.abs() <= OFF {
            return Ok(());
        }
        let seen = format!("{off:.1} s off");
        match wait.pause(Duration::from_secs(2), || seen.clone()).await {
            Ok(()) => {}
            Err(Stop::Late(_)) => {
                let says = "the clock was not set right";
                return Err(Failure::new(says, format!("at most {OFF} s off"), seen).into());
            }
            Err(stop) => return Err(stop.into()),
        }
    }
}

/// Seconds by which the DUT's clock is ahead of the rig's; within half of what the question took.
async fn offset(host: &Host<'_>, by: &Deadline) -> Result<f64, Cut> {
    let wall = || by.clock().wall().as_nanosecond() as f64 / 1e9;
    let before = wall();
    let told = host.must("the clock cannot be read", "date +%s.%N", by).await?;
    let after = wall();
    let told: f64 = told
        .parse()
        .map_err(|_| Failure::new("the clock cannot be read", "seconds since 1970", told.clone()))?;
    // Between the two, when it is: no offset can be told there.
    Ok(if told < before { told - before } else { (told - after).max(0.0) })
}
