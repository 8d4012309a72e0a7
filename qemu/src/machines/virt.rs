//! QEMU's own 64-bit Arm board.

use shakedown_core::Arch;

use super::{Firmware, Load, Machine};
use crate::doc::{FirmwareName, MachineName};

pub(super) static VIRT: Machine = Machine {
    name: MachineName::Virt,
    arch: Arch::Aarch64,
    program: "qemu-system-aarch64",
    package: "qemu-system-arm",
    versioned: "virt-",
    options: &[("gic-version", "3")],
    // A real core: `max` spends much of TCG's time on pointer authentication.
    cpu: "cortex-a72",
    most_cpus: 16,
    firmwares: &[
        Firmware {
            name: FirmwareName::Edk2,
            package: "qemu-efi-aarch64",
            load: Load::Flash {
                code: "/usr/share/AAVMF/AAVMF_CODE.fd",
                vars: "/usr/share/AAVMF/AAVMF_VARS.fd",
            },
        },
        Firmware {
            name: FirmwareName::UBoot,
            package: "u-boot-qemu",
            load: Load::Rom("/usr/lib/u-boot/qemu_arm64/u-boot.bin"),
        },
    ],
    screen: "virtio-gpu-pci",
    soldered: None,
};
