//! A Raspberry Pi 3 Model B.

use shakedown_core::Arch;

use super::{Firmware, Load, Machine, Soldered};
use crate::doc::{FirmwareName, MachineName};

/// What cannot be had: USB (its controller fails every control transfer to `usb-net` in QEMU 7.2),
/// so no network; a watchdog that waits (it resets the machine when it is armed); a break on the
/// console, so no SysRq.
pub(super) static RASPI3B: Machine = Machine {
    name: MachineName::Raspi3b,
    arch: Arch::Aarch64,
    program: "qemu-system-aarch64",
    package: "qemu-system-arm",
    versioned: "raspi3b",
    options: &[],
    cpu: "cortex-a53",
    most_cpus: 4,
    firmwares: &[Firmware { name: FirmwareName::Card, package: "qemu-system-arm", load: Load::Card }],
    screen: "",
    soldered: Some(Soldered {
        cpus: 4,
        memory: 1 << 30,
        // The PL011 is for Bluetooth; the console is the second port, the mini UART.
        serial_before: 1,
        // systemd would arm the watchdog, and again for each reboot.
        append: "systemd.watchdog_device=/dev/null",
    }),
};
