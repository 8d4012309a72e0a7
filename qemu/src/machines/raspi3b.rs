//! A Raspberry Pi 3 Model B.

use shakedown_core::Arch;

use super::{Firmware, Load, Machine, Soldered, Virtio};
use crate::doc::FirmwareName;

/// What cannot be had: USB (its controller fails every control transfer to `usb-net` in QEMU 7.2),
/// so no network; a watchdog that waits (it resets the machine when it is armed); a break on the
/// console, so no SysRq.
pub(super) fn machine() -> Machine<'static> {
    Machine {
        name: "raspi3b",
        arch: Arch::Aarch64,
        program: "qemu-system-aarch64",
        package: "qemu-system-arm",
        model: "raspi3b",
        versioned: false,
        options: vec![],
        cpu: None,
        most_cpus: 4,
        firmwares: vec![Firmware {
            name: Some(FirmwareName::Card),
            package: Some("qemu-system-arm"),
            load: Load::Card,
        }],
        virtio: Virtio::None,
        own_nic: false,
        card_slot: true,
        sysrq: false,
        screen: None,
        // The PL011 is for Bluetooth; the console is the second port, the mini UART.
        serial_before: 1,
        // systemd would arm the watchdog, and again for each reboot.
        append: "systemd.watchdog_device=/dev/null",
        args: &[],
        soldered: Some(Soldered { cpus: 4, memory: 1 << 30 }),
    }
}
