//! The driver `rppal` on an emulated Raspberry Pi: our own binary, in QEMU's `raspi3b`, whose GPIO block is watched from
//! outside: its registers by the monitor, each edge by qtest. Inputs are not tried: that block has none in QEMU.
//!
//! `cargo xtask test --full --only pins` builds the binary for arm64 and runs this; by itself it is ignored.
#![allow(clippy::print_stdout, reason = "the front of a test binary")]

mod support;

use support::pins::{Killed, Kind, Machine};
use support::{one_by_one, trial};

fn main() {
    one_by_one(|| {
        vec![trial("each_write_of_a_pin_is_seen_in_the_registers", writes).with_ignored_flag(true)]
    });
}

const RIG: &str = "rig: tests
slots:
  one:
    board: micro-board
    power: { rppal: { line: 17 } }
    consoles: { main: { command: { run: [sleep, '3600'] } } }
  low:
    board: micro-board
    power: { rppal: { line: 27, active-low: true } }
    consoles: { main: { command: { run: [sleep, '3600'] } } }
  serial:
    board: micro-board
    power: { rppal: { line: 14 } }
    consoles: { main: { command: { run: [sleep, '3600'] } } }
  none:
    board: micro-board
    power: { rppal: { line: 54 } }
    consoles: { main: { command: { run: [sleep, '3600'] } } }
";

/// Its first port is Bluetooth's. The kernel keeps registers that it has a driver for to itself, unless it is told not to.
const PI: Kind = Kind {
    machine: "-machine raspi3b -serial null -serial chardev:shell",
    tree: Some("bcm2837-rpi-3-b.dtb"),
    tty: "ttyS1",
    kernel: "iomem=relaxed",
    rig: RIG,
};

/// BCM2835 ARM Peripherals, 6.1, where QEMU's `raspi3b` has them: three bits of function for each of the pins 10 to 19
/// and 20 to 29; the levels of the pins 0 to 31; what clears one.
const FUNCTIONS_1X: &str = "0x3f200004";
const FUNCTIONS_2X: &str = "0x3f200008";
const LEVELS: &str = "0x3f200034";
const CLEAR: &str = "0x3f200028";
const INPUT: u32 = 0;
const OUTPUT: u32 = 1;

/// What the pin is, and its level.
fn pin(machine: &mut Machine, pin: u32) -> (u32, bool) {
    let functions = machine.register(if pin < 20 { FUNCTIONS_1X } else { FUNCTIONS_2X });
    ((functions >> (pin % 10 * 3)) & 7, machine.register(LEVELS) >> pin & 1 == 1)
}

async fn writes() {
    let mut machine = Machine::boot(&PI).await;
    machine.qtest("irq_intercept_out /machine/soc/peripherals/gpio");
    assert_eq!(pin(&mut machine, 17), (INPUT, false), "nobody's yet");

    machine.power("one", "status", "power off: read back");
    assert_eq!(pin(&mut machine, 17), (INPUT, false), "a look changes nothing");
    // QEMU's wire from a pin is low until a write lifts it while the pin is an output. Here the level comes first, so
    // only the registers show the first two writes.
    machine.power("one", "on", "power on: read back on");
    assert_eq!(pin(&mut machine, 17), (OUTPUT, true));
    machine.power("one", "off", "power off: read back off");
    assert_eq!(pin(&mut machine, 17), (OUTPUT, false));
    machine.sees(&[]);
    machine.power("one", "on", "power on: read back on");
    machine.sees(&["+17"]);
    machine.power("one", "cycle", "power on: read back on");
    machine.sees(&["-17", "+17"]);
    machine.power("one", "off", "power off: read back off");
    machine.sees(&["-17"]);
    machine.blinks("one", 4, 17);

    // Active low, from a low input: it is high before it is an output.
    machine.power("low", "off", "power off: read back off");
    assert_eq!(pin(&mut machine, 27), (OUTPUT, true));
    machine.power("low", "on", "power on: read back on");
    assert_eq!(pin(&mut machine, 27), (OUTPUT, false));
    machine.sees(&[]);
    machine.power("low", "off", "power off: read back off");
    machine.sees(&["+27"]);

    // The chip counts, not what was asked last.
    machine.power("one", "on", "power on: read back on");
    machine.sees(&["+17"]);
    machine.qtest(&format!("writel {CLEAR} 0x20000"));
    machine.sees(&["-17"]);
    machine.power("one", "status", "power off: read back");
    machine.power("one", "on", "power on: read back on");
    machine.sees(&["+17"]);

    // A killed keeper: its warden switches off, and the pin stays an output.
    machine.kill(Killed::Keeper);
    machine.sees(&["-17"]);
    assert_eq!(pin(&mut machine, 17), (OUTPUT, false));

    // With its wardens too: the pin keeps its level, and the next command sees it.
    machine.power("one", "on", "power on: read back on");
    machine.sees(&["+17"]);
    machine.kill(Killed::Wardens);
    machine.kill(Killed::Keeper);
    machine.power("one", "status", "power on: read back");
    machine.sees(&[]);
    assert_eq!(pin(&mut machine, 17), (OUTPUT, true));
    machine.power("one", "off", "power off: read back off");
    machine.sees(&["-17"]);

    // Pins that are not for us.
    machine.powered("serial", "on", 3, "one with its function Alt5");
    machine.powered("none", "on", 3, "Pin 54 is not available");
    machine.sees(&[]);
}
