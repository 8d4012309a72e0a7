//! A PC with PCI Express.

use shakedown_core::Arch;

use super::{Firmware, Load, Machine};
use crate::doc::{FirmwareName, MachineName};

pub(super) static Q35: Machine = Machine {
    name: MachineName::Q35,
    arch: Arch::Amd64,
    program: "qemu-system-x86_64",
    package: "qemu-system-x86",
    versioned: "pc-q35-",
    options: &[],
    // All that TCG can do, but for five-level page tables, which only make every walk longer.
    cpu: "max,la57=off",
    most_cpus: 16,
    firmwares: &[
        Firmware { name: FirmwareName::Seabios, package: "seabios", load: Load::BuiltIn },
        Firmware {
            name: FirmwareName::Ovmf,
            package: "ovmf",
            load: Load::Flash {
                code: "/usr/share/OVMF/OVMF_CODE_4M.fd",
                vars: "/usr/share/OVMF/OVMF_VARS_4M.fd",
            },
        },
    ],
    screen: "VGA",
    soldered: None,
};
