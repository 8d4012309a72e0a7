//! A machine that is not built in: the rig file says what QEMU needs to know.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_core::Arch;

use super::{Firmware, Load, Machine};

/// A machine of QEMU that shakedown does not know by name, for a board type of your own:
/// `machine: { program: qemu-system-riscv64, name: virt, arch: riscv64 }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DescribedMachine {
    /// The program: `qemu-system-riscv64`.
    pub program: String,
    /// Its Debian package, to be named where the program is missing; the program's name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// What QEMU calls the machine (`qemu-system-riscv64 -machine help`).
    pub name: String,
    /// The architecture of its CPUs: that of the boards which can sit in it.
    #[schemars(with = "String")]
    pub arch: Arch,
    /// The model of its CPUs (`-cpu help`); the machine's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Further properties of the machine (`-machine virt,help`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// What runs before the boot loader; what QEMU brings by itself when absent.
    #[serde(default, with = "serde_yaml::with::singleton_map")]
    #[schemars(with = "DescribedFirmware")]
    pub firmware: DescribedFirmware,
    /// How disks of the bus `virtio-blk`, the network card and the source of randomness are connected.
    #[serde(default)]
    pub virtio: Virtio,
    /// The board has a network card of its own, which is used in place of a virtio one.
    #[serde(default)]
    pub own_nic: bool,
    /// The board has a slot for an SD card: `disk: { bus: sd-card }`.
    #[serde(default)]
    pub card_slot: bool,
    /// A break on the console reaches the kernel, so that it can be told to crash or to sync.
    #[serde(default)]
    pub sysrq: bool,
    /// The device of `screen: true` (`-device help`, under Display devices); no screen when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screen: Option<String>,
    /// Serial ports before that of the console.
    #[serde(default)]
    pub serial_before: u8,
    /// Further words of QEMU's command line, each as it stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}

/// What runs before the boot loader of a machine that the rig file describes. Files are of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DescribedFirmware {
    /// What QEMU or the board's own ROM starts with.
    #[default]
    BuiltIn,
    /// A file as the boot ROM: `{ rom: /usr/lib/u-boot/qemu_arm/u-boot.bin }`.
    Rom(String),
    /// Flash with variables: `{ flash: { code: FILE, vars: FILE } }`.
    Flash(Flash),
    /// A second stage where QEMU puts a kernel: `{ kernel: /usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin }`.
    Kernel(String),
    /// None, as on a Raspberry Pi: the rig starts the kernel that the card's `config.txt` names.
    Card,
}

/// A firmware in flash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flash {
    /// Its code, which stays as it is.
    pub code: String,
    /// A template of its variables: each slot gets a copy.
    pub vars: String,
}

/// How paravirtual devices are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Virtio {
    /// On PCI.
    #[default]
    Pci,
    /// At fixed addresses, as on small boards and `microvm`.
    Mmio,
    /// On the channels of a mainframe.
    Ccw,
    /// Not at all.
    None,
}

impl Virtio {
    /// QEMU's name of a device that is connected so.
    pub(crate) fn device(self, kind: &str) -> Option<String> {
        match self {
            Self::Pci => Some(format!("{kind}-pci")),
            Self::Mmio => Some(format!("{kind}-device")),
            Self::Ccw => Some(format!("{kind}-ccw")),
            Self::None => None,
        }
    }
}

/// More than any model has.
const MOST_CPUS: u8 = 64;

impl DescribedMachine {
    /// The machine that is described.
    pub(crate) fn machine(&self) -> Machine<'_> {
        let load = match &self.firmware {
            DescribedFirmware::BuiltIn => Load::BuiltIn,
            DescribedFirmware::Rom(file) => Load::Rom(file),
            DescribedFirmware::Flash(Flash { code, vars }) => Load::Flash { code, vars },
            DescribedFirmware::Kernel(file) => Load::Kernel(file),
            DescribedFirmware::Card => Load::Card,
        };
        Machine {
            name: &self.name,
            arch: self.arch,
            program: &self.program,
            package: self.package.as_ref().unwrap_or(&self.program),
            model: &self.name,
            versioned: false,
            options: self.options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(),
            cpu: self.cpu.as_deref(),
            most_cpus: MOST_CPUS,
            firmwares: vec![Firmware { name: None, package: None, load }],
            virtio: self.virtio,
            own_nic: self.own_nic,
            card_slot: self.card_slot,
            sysrq: self.sysrq,
            screen: self.screen.as_deref(),
            serial_before: self.serial_before,
            append: "",
            args: &self.args,
            soldered: None,
        }
    }
}
