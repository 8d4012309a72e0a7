//! Counts what hardware the OS finds, so that a descriptor that claims too little shows too.

use shakedown_core::event::{Better, Measure};
use shakedown_core::{Cut, Deadline, Dut, Failure};

use super::Plot;
use super::host::Host;

pub(super) const PLOT: Plot =
    Plot { name: "hardware-survey", facts: &[], config_keys: &[], run: |dut, by| Box::pin(run(dut, by)) };

/// Capability, and the names under which the kernel shows one each.
const KINDS: &[(&str, &str)] = &[
    ("led", "/sys/class/leds/*/brightness"),
    ("wifi", "/sys/class/net/*/wireless"),
    ("bluetooth", "/sys/class/bluetooth/hci*"),
    ("hdmi", "/sys/class/drm/card*-HDMI*"),
    ("rtc", "/sys/class/rtc/rtc*"),
    ("tpm", "/sys/class/tpm/tpm*"),
    ("gpio", "/dev/gpiochip*"),
    ("camera", "/sys/class/video4linux/video*"),
];

async fn run(dut: &dyn Dut, by: &Deadline) -> Result<(), Cut> {
    let host = Host::new(dut, &[], by).await?;
    let what = "the hardware cannot be looked at";
    // Every Linux has an input or a network class; an empty /sys/class would pass for a bare board.
    host.must(what, "ls -d /sys/class/net/lo", by).await?;
    let counts: Vec<_> = KINDS
        .iter()
        .map(|(name, paths)| {
            // The lamps of a keyboard are no LED of the board.
            format!(
                "n=0; for each in {paths}; do case $each in */input*::*) continue ;; esac; \
                 [ -e \"$each\" ] && n=$((n + 1)); done; echo {name} $n"
            )
        })
        .collect();
    let said = host.must(what, &counts.join("; "), by).await?;
    for (name, _) in KINDS {
        let count = said.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        let Some(value) = count else {
            return Err(Failure::new(what, format!("a count of `{name}`"), said).into());
        };
        // Neither is better: a count is a fact.
        let name = format!("found.{name}");
        dut.measure(Measure { name, value, unit: String::new(), better: Better::Higher });
    }
    Ok(())
}
