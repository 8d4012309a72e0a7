//! The driver `gpio` on arm64: our own binary, in a machine whose GPIO chip (a PL061 of QEMU's `virt`, with the
//! kernel's driver) is watched and driven from outside by QEMU's qtest: each edge of an output, and inputs.
//!
//! `cargo xtask test --full --only pins` builds the binary for arm64 and runs this; by itself it is ignored.
#![allow(clippy::print_stdout, reason = "the front of a test binary")]

mod support;

use support::pins::{Killed, Kind, Machine};
use support::{one_by_one, trial};

fn main() {
    one_by_one(|| vec![trial("each_edge_of_a_line_is_seen_at_the_chip", edges).with_ignored_flag(true)]);
}

const RIG: &str = "rig: tests
slots:
  one:
    board: micro-board
    power: { gpio: { chip: gpiochip0, line: 5 } }
    consoles: { main: { command: { run: [sleep, '3600'] } } }
  low:
    board: micro-board
    power: { gpio: { chip: 9030000.pl061, line: 6, active-low: true } }
    consoles: { main: { command: { run: [sleep, '3600'] } } }
  input:
    board: micro-board
    power: { gpio: { chip: gpiochip0, line: 4 } }
    consoles: { main: { command: { run: [sleep, '3600'] } } }
";

const VIRT: Kind = Kind {
    machine: "-machine virt -cpu cortex-a53 -m 768 -serial chardev:shell",
    tree: None,
    tty: "ttyAMA0",
    kernel: "",
    rig: RIG,
};

/// ARM DDI 0190B: the levels of all eight lines, and which of them are outputs.
const LEVELS: &str = "0x090303fc";
const DIRECTIONS: &str = "0x09030400";

async fn edges() {
    let mut machine = Machine::boot(&VIRT).await;
    let tree = machine.asked("info qom-tree /machine/unattached");
    let device = tree.lines().map(str::trim).find_map(|line| line.strip_suffix(" (pl061)"));
    let chip = format!("/machine/unattached{}", device.unwrap_or_else(|| panic!("no PL061: {tree}")));
    machine.qtest(&format!("irq_intercept_out {chip}"));
    assert_eq!((machine.register(LEVELS), machine.register(DIRECTIONS)), (0, 0), "nobody's yet");

    machine.power("one", "status", "power off: read back");
    machine.sees(&[]);
    assert_eq!(machine.register(DIRECTIONS), 0, "a look changes nothing");
    machine.power("one", "on", "power on: read back on");
    machine.sees(&["+5"]);
    assert_eq!(
        (machine.register(LEVELS), machine.register(DIRECTIONS)),
        (0x20, 0x20),
        "held after the command"
    );
    machine.power("one", "cycle", "power on: read back on");
    machine.sees(&["-5", "+5"]);
    machine.power("one", "off", "power off: read back off");
    machine.sees(&["-5"]);

    // Each edge of many, in order.
    machine.blinks("one", 8, 5);

    // Active low, from a low line: what is off is high, and nothing is on by accident in between.
    machine.power("low", "off", "power off: read back off");
    machine.sees(&["+6"]);
    machine.power("low", "on", "power on: read back on");
    machine.sees(&["-6"]);
    machine.power("low", "off", "power off: read back off");
    machine.sees(&["+6"]);

    // The chip counts, not what was asked last.
    machine.power("one", "on", "power on: read back on");
    machine.sees(&["+5"]);
    machine.qtest("writel 0x09030080 0");
    machine.sees(&["-5"]);
    machine.power("one", "status", "power off: read back");
    machine.power("one", "on", "power on: read back on");
    machine.sees(&["+5"]);

    // A killed keeper: its warden switches off.
    machine.kill(Killed::Keeper);
    machine.sees(&["-5"]);
    assert_eq!(machine.register(LEVELS), 0x40);

    // Inputs, the other way.
    for (level, word) in [(1, "on"), (0, "off"), (1, "on")] {
        machine.qtest(&format!("set_irq_in {chip} unnamed-gpio-in 4 {level}"));
        machine.power("input", "status", &format!("power {word}: read back"));
    }
    assert_eq!(machine.register(DIRECTIONS) & 0x10, 0, "it was not made an output");
    machine.sees(&[]);
}
