//! QEMU's own 64-bit Arm board.

use shakedown_core::Arch;

use super::{Firmware, Load, Machine, Virtio};
use crate::doc::FirmwareName;

pub(super) fn machine() -> Machine<'static> {
    Machine {
        name: "virt",
        arch: Arch::Aarch64,
        program: "qemu-system-aarch64",
        package: "qemu-system-arm",
        model: "virt-",
        versioned: true,
        options: vec![("gic-version", "3")],
        // A real core: `max` spends much of TCG's time on pointer authentication.
        cpu: Some("cortex-a72"),
        most_cpus: 16,
        firmwares: vec![
            Firmware {
                name: Some(FirmwareName::Edk2),
                package: Some("qemu-efi-aarch64"),
                load: Load::Flash {
                    code: "/usr/share/AAVMF/AAVMF_CODE.fd",
                    vars: "/usr/share/AAVMF/AAVMF_VARS.fd",
                },
            },
            Firmware {
                name: Some(FirmwareName::UBoot),
                package: Some("u-boot-qemu"),
                load: Load::Rom("/usr/lib/u-boot/qemu_arm64/u-boot.bin"),
            },
        ],
        virtio: Virtio::Pci,
        own_nic: false,
        card_slot: false,
        sysrq: true,
        screen: Some("virtio-gpu-pci"),
        serial_before: 0,
        append: "",
        args: &[],
        soldered: None,
    }
}
