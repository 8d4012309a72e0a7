//! A PC with PCI Express.

use std::borrow::Cow;

use shakedown_core::Arch;

use super::{Firmware, Load, Machine, Virtio};
use crate::doc::FirmwareName;

pub(super) static Q35: Machine = Machine {
    name: Cow::Borrowed("q35"),
    arch: Arch::Amd64,
    program: Cow::Borrowed("qemu-system-x86_64"),
    package: Cow::Borrowed("qemu-system-x86"),
    model: Cow::Borrowed("pc-q35-"),
    versioned: true,
    options: Cow::Borrowed(&[]),
    // All that TCG can do, but for five-level page tables, which only make every walk longer.
    cpu: Some(Cow::Borrowed("max,la57=off")),
    most_cpus: 16,
    firmwares: Cow::Borrowed(&[
        Firmware {
            name: Some(FirmwareName::Seabios),
            package: Some(Cow::Borrowed("seabios")),
            load: Load::BuiltIn,
        },
        Firmware {
            name: Some(FirmwareName::Ovmf),
            package: Some(Cow::Borrowed("ovmf")),
            load: Load::Flash {
                code: Cow::Borrowed("/usr/share/OVMF/OVMF_CODE_4M.fd"),
                vars: Cow::Borrowed("/usr/share/OVMF/OVMF_VARS_4M.fd"),
            },
        },
    ]),
    virtio: Virtio::Pci,
    own_nic: false,
    card_slot: false,
    sysrq: true,
    screen: Some(Cow::Borrowed("VGA")),
    serial_before: 0,
    append: Cow::Borrowed(""),
    args: Cow::Borrowed(&[]),
    soldered: None,
};
