//! The `qemu:` block of a rig file: one virtual machine.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::Bytes;
use shakedown_core::{Board, Fault, InfraKind};

use crate::machines::{Machine, Soldered, Virtio, Which};

/// A virtual machine: `qemu: { machine: q35, memory: 1GiB }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MachineDoc {
    /// The type of machine, by name, or the description of one that is not built in. It settles the
    /// architecture.
    pub machine: Which,
    /// Virtual CPUs.
    #[serde(default = "two")]
    pub cpus: u8,
    /// Main memory, in whole MiB.
    #[serde(default = "one_gib")]
    pub memory: Bytes,
    /// What runs before the boot loader; the machine's usual one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<FirmwareName>,
    /// The disk that the image is written to.
    #[serde(default)]
    pub disk: DiskDoc,
    /// Further disks by name. They start empty and live as long as the slot's folder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_disks: BTreeMap<String, DiskDoc>,
    /// A hardware watchdog that resets the machine; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<WatchdogName>,
    /// The DUT's network.
    #[serde(default)]
    pub network: NetworkDoc,
    /// Whether there is a screen to take pictures of.
    #[serde(default)]
    pub screen: bool,
    /// How its CPUs are run.
    #[serde(default)]
    pub accel: AccelDoc,
    /// More arguments for the kernel, where the rig starts it off a card (raspi3b).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kernel_args: String,
    /// Boots this kernel instead of what is on the disk: for guests of the harness's own tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<DirectBoot>,
}

/// A type of machine that QEMU models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MachineName {
    /// A PC with PCI Express (amd64).
    Q35,
    /// QEMU's own 64-bit Arm board (aarch64).
    Virt,
    /// A Raspberry Pi 3 Model B (aarch64): four CPUs, 1 GiB, an SD card, and no network.
    Raspi3b,
}

/// What runs before the boot loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FirmwareName {
    /// A legacy BIOS (q35).
    Seabios,
    /// UEFI for PCs (q35).
    Ovmf,
    /// U-Boot, which also starts EFI boot loaders (virt).
    UBoot,
    /// UEFI for Arm (virt).
    Edk2,
    /// What a Raspberry Pi's firmware does with its card (raspi3b).
    Card,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DiskDoc {
    /// How it is connected.
    #[serde(default)]
    pub bus: DiskBus,
    /// Its size. The file takes only what was written to it.
    #[serde(default = "four_gib")]
    pub size: Bytes,
}

impl Default for DiskDoc {
    fn default() -> Self {
        Self { bus: DiskBus::default(), size: four_gib() }
    }
}

/// How a disk is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiskBus {
    /// Paravirtual: `/dev/vda`.
    #[default]
    VirtioBlk,
    /// `/dev/nvme0n1`.
    Nvme,
    /// A USB stick on an xHCI controller: `/dev/sda`.
    UsbStorage,
    /// An SD card in the board's own slot: `/dev/mmcblk0`. Its size is a power of two.
    SdCard,
}

/// A hardware watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WatchdogName {
    /// Intel 6300ESB, on PCI.
    I6300esb,
}

/// The DUT's network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkDoc {
    /// A network card behind QEMU's own NAT; no privileges needed.
    #[default]
    User,
    /// No network card.
    None,
}

/// How the CPUs are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccelDoc {
    /// In software, everywhere the same. A `/dev/kvm` that exists need not work.
    #[default]
    Tcg,
}

/// A kernel that QEMU loads by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DirectBoot {
    /// The kernel's file.
    pub kernel: PathBuf,
    /// The initial file system.
    pub initrd: PathBuf,
    /// The kernel's command line.
    pub append: String,
}

fn two() -> u8 {
    2
}

fn one_gib() -> Bytes {
    Bytes(1 << 30)
}

fn four_gib() -> Bytes {
    Bytes(4 << 30)
}

/// A field whose value has the right form and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocProblem {
    /// The field within the block, dotted: `disk.size`.
    pub field: String,
    /// What could stand there.
    pub expected: String,
    /// What stands there.
    pub got: String,
}

impl fmt::Display for DocProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.field, self.expected, self.got)
    }
}

impl std::error::Error for DocProblem {}

impl From<DocProblem> for Fault {
    fn from(problem: DocProblem) -> Self {
        Self::new(InfraKind::Config, "qemu", "use", problem.field).expected(problem.expected, problem.got)
    }
}

/// What a bus hangs on, where a machine has not got it.
fn missing_for(bus: DiskBus, machine: &Machine) -> Option<&'static str> {
    match bus {
        DiskBus::SdCard => (!machine.card_slot).then_some("slot for a card"),
        DiskBus::VirtioBlk => (machine.virtio == Virtio::None).then_some("virtio"),
        DiskBus::Nvme | DiskBus::UsbStorage => (machine.virtio != Virtio::Pci).then_some("PCI"),
    }
}

/// QEMU refuses less without saying why.
const LEAST_MEMORY: u64 = 64 << 20;
const LEAST_DISK: u64 = 1 << 20;

impl MachineDoc {
    /// A machine with everything at its default.
    pub fn new(machine: MachineName) -> Self {
        Self {
            machine: machine.into(),
            cpus: two(),
            memory: one_gib(),
            firmware: None,
            disk: DiskDoc::default(),
            extra_disks: BTreeMap::new(),
            watchdog: None,
            network: NetworkDoc::User,
            screen: false,
            accel: AccelDoc::Tcg,
            kernel_args: String::new(),
            direct: None,
        }
    }

    /// The machine itself.
    pub fn machine(&self) -> Machine<'_> {
        self.machine.machine()
    }

    /// Finds what parsing cannot: values that do not go together.
    pub fn check(&self) -> Result<(), DocProblem> {
        let problem = |field: &str, expected: String, got: String| {
            Err(DocProblem { field: field.to_owned(), expected, got })
        };
        let machine = self.machine();
        if self.cpus == 0 || self.cpus > machine.most_cpus {
            return problem("cpus", format!("1 to {}", machine.most_cpus), self.cpus.to_string());
        }
        if self.memory.0 < LEAST_MEMORY || !self.memory.0.is_multiple_of(1 << 20) {
            return problem("memory", "at least 64MiB, in whole MiB".into(), self.memory.to_string());
        }
        match &machine.soldered {
            Some(soldered) => self.check_soldered(soldered)?,
            None if !self.kernel_args.is_empty() && !machine.reads_card() => {
                let expected = "nothing: here the boot loader starts the kernel";
                return problem("kernel-args", expected.into(), format!("`{}`", self.kernel_args));
            }
            None => {}
        }
        if let Some(name) = self.firmware
            && machine.firmware(Some(name)).is_none()
        {
            let known: Vec<_> =
                machine.firmwares.iter().filter_map(|firmware| firmware.name.as_ref().map(name_of)).collect();
            let expected = if known.is_empty() {
                "nothing: `machine.firmware` says what it starts with".to_owned()
            } else {
                known.join(" or ")
            };
            return problem("firmware", expected, name_of(&name));
        }
        let disks = self.extra_disks.iter().map(|(name, disk)| (format!("extra-disks.{name}"), disk));
        for (field, disk) in std::iter::once(("disk".to_owned(), &self.disk)).chain(disks) {
            if disk.size.0 < LEAST_DISK || !disk.size.0.is_multiple_of(512) {
                let expected = "at least 1MiB, in whole 512-byte sectors".into();
                return problem(&format!("{field}.size"), expected, disk.size.to_string());
            }
            if let Some(missing) = missing_for(disk.bus, &machine) {
                let expected = format!("another bus: this machine has no {missing}");
                return problem(&format!("{field}.bus"), expected, name_of(&disk.bus));
            }
        }
        if self.screen && machine.screen.is_none() && machine.soldered.is_none() {
            return problem("screen", "`machine.screen`, a device to show it".into(), "none".into());
        }
        for name in self.extra_disks.keys() {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name == "main" || name.is_empty() || name.len() > 16 || !name.chars().all(plain) {
                let expected = "a name of at most 16 lower-case letters, digits and `-`, other than `main`";
                return problem("extra-disks", expected.into(), format!("`{name}`"));
            }
        }
        Ok(())
    }

    /// Nothing can be plugged into a board but its card.
    fn check_soldered(&self, board: &Soldered) -> Result<(), DocProblem> {
        let none =
            |field: &str, got: String| (field.to_owned(), "none: there is no place for it".to_owned(), got);
        let mut wrong = Vec::new();
        if self.cpus != board.cpus {
            wrong.push(("cpus".to_owned(), format!("{}, which it has", board.cpus), self.cpus.to_string()));
        }
        if self.memory.0 != board.memory {
            let has = format!("{}, which it has", Bytes(board.memory));
            wrong.push(("memory".to_owned(), has, self.memory.to_string()));
        }
        if self.disk.bus != DiskBus::SdCard {
            wrong.push(("disk.bus".to_owned(), name_of(&DiskBus::SdCard), name_of(&self.disk.bus)));
        }
        if !self.disk.size.0.is_power_of_two() {
            let expected = "a power of two, as QEMU wants a card".to_owned();
            wrong.push(("disk.size".to_owned(), expected, self.disk.size.to_string()));
        }
        wrong.extend(self.extra_disks.keys().next().map(|name| none("extra-disks", format!("`{name}`"))));
        wrong.extend(self.watchdog.map(|watchdog| none("watchdog", name_of(&watchdog))));
        wrong.extend(self.screen.then(|| none("screen", "true".to_owned())));
        if self.network != NetworkDoc::None {
            wrong.push(none("network", name_of(&self.network)));
        }
        match wrong.into_iter().next() {
            Some((field, expected, got)) => Err(DocProblem { field, expected, got }),
            None => Ok(()),
        }
    }

    /// Whether a board of this type can sit in this machine.
    pub fn check_board(&self, board: &Board) -> Result<(), DocProblem> {
        let Machine { arch, name, .. } = self.machine();
        if board.arch == arch {
            return Ok(());
        }
        Err(DocProblem {
            field: "machine".into(),
            expected: format!("a machine of {}, which {} needs", board.arch, board.slug),
            got: format!("{name}, which is {arch}"),
        })
    }
}

/// A unit variant as the document writes it.
pub(crate) fn name_of<T: Serialize>(variant: &T) -> String {
    serde_yaml::to_string(variant).map(|text| text.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use shakedown_conf::{Document, load};

    use super::*;

    fn read(text: &str) -> Result<MachineDoc, String> {
        load::<MachineDoc>(&Document::new("rig.yaml", text))
            .map(|loaded| loaded.value)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_machine_needs_no_more_than_its_type() {
        assert_eq!(read("machine: q35\n").unwrap(), MachineDoc::new(MachineName::Q35));
        let full = "machine: virt\ncpus: 4\nmemory: 2GiB\nfirmware: u-boot\ndisk: { bus: nvme, size: 8GiB }\n\
                    extra-disks: { data: { size: 64MiB } }\nwatchdog: i6300esb\nnetwork: none\nscreen: true\naccel: tcg\n";
        let doc = read(full).unwrap();
        doc.check().unwrap();
        assert_eq!(doc.extra_disks["data"], DiskDoc { bus: DiskBus::VirtioBlk, size: Bytes(64 << 20) });
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, said) in [
            ("machine: q36\n", "q36"),
            ("machine: q35\nmemroy: 1GiB\n", "did you mean `memory`"),
            ("machine: q35\nmemory: 1024\n", "a size with its unit"),
            ("machine: q35\naccel: kvm\n", "kvm"),
            ("machine: [q35]\n", "the name of a machine"),
            ("machine: { program: p, name: m }\n", "arch"),
            ("machine: { program: p, name: m, arch: riscv65 }\n", "riscv64"),
            ("machine: { program: p, name: m, arch: riscv64, firmwares: rom }\n", "did you mean `firmware`"),
            ("cpus: 2\n", "machine"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said) && error.starts_with("rig.yaml:"), "{text}: {error}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_both_sides() {
        for (text, field, said) in [
            ("machine: q35\ncpus: 0\n", "cpus", "1 to 16"),
            ("machine: q35\nmemory: 32MiB\n", "memory", "at least 64MiB"),
            ("machine: q35\nfirmware: edk2\n", "firmware", "seabios or ovmf, got edk2"),
            ("machine: virt\nfirmware: seabios\n", "firmware", "edk2 or u-boot, got seabios"),
            ("machine: q35\ndisk: { size: 100B }\n", "disk.size", "512-byte"),
            ("machine: q35\ndisk: { bus: sd-card }\n", "disk.bus", "no slot for a card"),
            (
                "machine: { program: p, name: m, arch: armv7hf, virtio: mmio }\ndisk: { bus: nvme }\n",
                "disk.bus",
                "no PCI",
            ),
            (
                "machine: { program: p, name: m, arch: armv7hf, virtio: none, card-slot: true }\n",
                "disk.bus",
                "no virtio",
            ),
            ("machine: { program: p, name: m, arch: riscv64 }\nscreen: true\n", "screen", "machine.screen"),
            ("machine: { program: p, name: m, arch: riscv64 }\nfirmware: ovmf\n", "firmware", "says what"),
            ("machine: q35\nkernel-args: quiet\n", "kernel-args", "boot loader"),
            ("machine: raspi3b\n", "cpus", "4, which it has"),
            ("machine: raspi3b\ncpus: 4\n", "disk.bus", "sd-card, got virtio-blk"),
            (
                "machine: raspi3b\ncpus: 4\ndisk: { bus: sd-card, size: 3GiB }\n",
                "disk.size",
                "a power of two",
            ),
            ("machine: raspi3b\ncpus: 4\ndisk: { bus: sd-card }\n", "network", "none: there is no place"),
            ("machine: q35\nextra-disks: { main: {} }\n", "extra-disks", "other than `main`"),
            ("machine: q35\nextra-disks: { 'a,b': {} }\n", "extra-disks", "`a,b`"),
        ] {
            let problem = read(text).unwrap().check().unwrap_err();
            assert_eq!(problem.field, field);
            assert!(problem.to_string().contains(said), "{text}: {problem}");
        }
    }
}
