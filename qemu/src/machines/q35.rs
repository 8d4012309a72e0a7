//! A PC with PCI Express.

use shakedown_core::Arch;

use super::{Firmware, Load, Machine, Virtio};
use crate::doc::FirmwareName;

pub(super) fn machine() -> Machine<'static> {
    Machine {
        name: "q35",
        arch: Arch::Amd64,
        program: "qemu-system-x86_64",
        package: "qemu-system-x86",
        model: "pc-q35-",
        versioned: true,
        options: vec![],
        // All that TCG can do, but for five-level page tables, which only make every walk longer.
        cpu: Some("max,la57=off"),
        most_cpus: 16,
        firmwares: vec![
            Firmware { name: Some(FirmwareName::Seabios), package: Some("seabios"), load: Load::BuiltIn },
            Firmware {
                name: Some(FirmwareName::Ovmf),
                package: Some("ovmf"),
                load: Load::Flash {
                    code: "/usr/share/OVMF/OVMF_CODE_4M.fd",
                    vars: "/usr/share/OVMF/OVMF_VARS_4M.fd",
                },
            },
        ],
        virtio: Virtio::Pci,
        own_nic: false,
        card_slot: false,
        sysrq: true,
        screen: Some("VGA"),
        serial_before: 0,
        append: "",
        args: &[],
        soldered: None,
    }
}
