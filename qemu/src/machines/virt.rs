//! QEMU's own 64-bit Arm board.

use std::borrow::Cow;

use shakedown_core::Arch;

use super::{Firmware, Load, Machine, Virtio};
use crate::doc::FirmwareName;

pub(super) static VIRT: Machine = Machine {
    name: Cow::Borrowed("virt"),
    arch: Arch::Aarch64,
    program: Cow::Borrowed("qemu-system-aarch64"),
    package: Cow::Borrowed("qemu-system-arm"),
    model: Cow::Borrowed("virt-"),
    versioned: true,
    options: Cow::Borrowed(&[(Cow::Borrowed("gic-version"), Cow::Borrowed("3"))]),
    // A real core: `max` spends much of TCG's time on pointer authentication.
    cpu: Some(Cow::Borrowed("cortex-a72")),
    most_cpus: 16,
    firmwares: Cow::Borrowed(&[
        Firmware {
            name: Some(FirmwareName::Edk2),
            package: Some(Cow::Borrowed("qemu-efi-aarch64")),
            load: Load::Flash {
                code: Cow::Borrowed("/usr/share/AAVMF/AAVMF_CODE.fd"),
                vars: Cow::Borrowed("/usr/share/AAVMF/AAVMF_VARS.fd"),
            },
        },
        Firmware {
            name: Some(FirmwareName::UBoot),
            package: Some(Cow::Borrowed("u-boot-qemu")),
            load: Load::Rom(Cow::Borrowed("/usr/lib/u-boot/qemu_arm64/u-boot.bin")),
        },
    ]),
    virtio: Virtio::Pci,
    own_nic: false,
    card_slot: false,
    sysrq: true,
    screen: Some(Cow::Borrowed("virtio-gpu-pci")),
    serial_before: 0,
    append: Cow::Borrowed(""),
    args: Cow::Borrowed(&[]),
    soldered: None,
};
