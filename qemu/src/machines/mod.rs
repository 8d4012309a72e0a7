//! The types of machine: one file each for those that are built in, and those that a rig file describes.

mod described;
mod q35;
mod raspi3b;
mod virt;
mod which;

use shakedown_core::Arch;

pub use described::{DescribedFirmware, DescribedMachine, Flash, Virtio};
pub use which::Which;

use crate::doc::{FirmwareName, MachineName, name_of};
use crate::version::Version;

/// A type of machine: built in, or borrowed from the rig file that describes it.
#[derive(Clone, Debug)]
pub struct Machine<'a> {
    /// Its name for people.
    pub name: &'a str,
    /// Its CPU.
    pub arch: Arch,
    /// The program that models it.
    pub program: &'a str,
    /// The Debian package of that program.
    pub package: &'a str,
    /// What QEMU calls it; before the `MAJOR.MINOR` of the installed QEMU, where it has versions.
    pub model: &'a str,
    /// Whether it has versions: then the same machine is asked for at all patch levels.
    pub versioned: bool,
    /// Further options of the machine, as they stand after its name.
    pub options: Vec<(&'a str, &'a str)>,
    /// The model of its CPUs under TCG; the machine's own when absent.
    pub cpu: Option<&'a str>,
    /// The most CPUs that make sense.
    pub most_cpus: u8,
    /// What it can boot with; the first is the usual one.
    pub firmwares: Vec<Firmware<'a>>,
    /// How its paravirtual devices are connected.
    pub virtio: Virtio,
    /// Its network card is soldered on, not a paravirtual one.
    pub own_nic: bool,
    /// It has a slot for an SD card.
    pub card_slot: bool,
    /// A break on its console reaches the kernel.
    pub sysrq: bool,
    /// The device that a screen hangs on; `None` without one.
    pub screen: Option<&'a str>,
    /// Serial ports before that of the console.
    pub serial_before: u8,
    /// What its model needs among the arguments of a kernel that the rig starts.
    pub append: &'a str,
    /// Further words of QEMU's command line.
    pub args: &'a [String],
    /// What is as it is; `None` for a machine whose parts can be chosen.
    pub soldered: Option<Soldered>,
}

/// A board whose parts are soldered on: nothing can be plugged in but its SD card.
#[derive(Clone, Debug)]
pub struct Soldered {
    /// Its CPUs.
    pub cpus: u8,
    /// Bytes of its memory.
    pub memory: u64,
}

/// What runs before the boot loader.
#[derive(Clone, Debug)]
pub struct Firmware<'a> {
    /// Its name in documents; `None` for one that the rig file describes.
    pub name: Option<FirmwareName>,
    /// The Debian package that brings it; `None` where nobody has said so.
    pub package: Option<&'a str>,
    /// How QEMU gets it.
    pub load: Load<'a>,
}

/// How QEMU gets a firmware, or what it does.
#[derive(Clone, Debug)]
pub enum Load<'a> {
    /// QEMU loads it by itself.
    BuiltIn,
    /// As the boot ROM.
    Rom(&'a str),
    /// As flash: the code, and a template of its variables that each slot gets a copy of.
    Flash {
        /// Read-only.
        code: &'a str,
        /// Copied.
        vars: &'a str,
    },
    /// Where QEMU puts a kernel, for a second stage that another firmware starts.
    Kernel(&'a str),
    /// Not at all: the rig reads the kernel off the card, as the firmware would.
    Card,
}

impl Firmware<'_> {
    /// Its name for people.
    pub(crate) fn label(&self) -> String {
        match (&self.name, &self.load) {
            (Some(name), _) => name_of(name),
            (None, Load::BuiltIn) => "QEMU's own".to_owned(),
            (None, Load::Card) => "the card's".to_owned(),
            (None, Load::Rom(file) | Load::Kernel(file) | Load::Flash { code: file, .. }) => {
                (*file).to_owned()
            }
        }
    }
}

impl<'a> Machine<'a> {
    /// By its name in documents.
    pub fn named(name: MachineName) -> Machine<'static> {
        match name {
            MachineName::Q35 => q35::machine(),
            MachineName::Virt => virt::machine(),
            MachineName::Raspi3b => raspi3b::machine(),
        }
    }

    /// What QEMU calls it. A model of real hardware has one name in all versions.
    pub fn qemu_name(&self, version: Version) -> String {
        if self.versioned {
            format!("{}{}.{}", self.model, version.major, version.minor)
        } else {
            self.model.to_owned()
        }
    }

    /// A firmware of this machine, or its usual one.
    pub fn firmware(&self, name: Option<FirmwareName>) -> Option<&Firmware<'a>> {
        match name {
            None => self.firmwares.first(),
            name => self.firmwares.iter().find(|firmware| firmware.name == name),
        }
    }

    /// The rig starts the kernel, in the firmware's place.
    pub fn reads_card(&self) -> bool {
        self.firmwares.iter().any(|firmware| matches!(firmware.load, Load::Card))
    }
}
