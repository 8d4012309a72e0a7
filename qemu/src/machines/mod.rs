//! The types of machine, one file each: what they are called, need and offer.

mod q35;
mod raspi3b;
mod virt;

use shakedown_core::Arch;

use crate::doc::{FirmwareName, MachineName};
use crate::version::Version;

/// A type of machine.
#[derive(Debug)]
pub struct Machine {
    /// Its name in documents.
    pub name: MachineName,
    /// Its CPU.
    pub arch: Arch,
    /// The program that models it.
    pub program: &'static str,
    /// The Debian package of that program.
    pub package: &'static str,
    /// Before the `MAJOR.MINOR` of the installed QEMU, where it has versions.
    pub versioned: &'static str,
    /// Further options of the machine, as they stand after its name.
    pub options: &'static [(&'static str, &'static str)],
    /// The model of its CPUs under TCG.
    pub cpu: &'static str,
    /// The most CPUs that make sense.
    pub most_cpus: u8,
    /// What it can boot with; the first is the usual one.
    pub firmwares: &'static [Firmware],
    /// The device that a screen hangs on.
    pub screen: &'static str,
    /// What is as it is; `None` for a machine whose parts can be chosen.
    pub soldered: Option<Soldered>,
}

/// A board whose parts are soldered on: nothing can be plugged in but its SD card.
#[derive(Debug)]
pub struct Soldered {
    /// Its CPUs.
    pub cpus: u8,
    /// Bytes of its memory.
    pub memory: u64,
    /// Serial ports before that of the console.
    pub serial_before: usize,
    /// What its model needs among the kernel's arguments.
    pub append: &'static str,
}

/// What runs before the boot loader.
#[derive(Debug)]
pub struct Firmware {
    /// Its name in documents.
    pub name: FirmwareName,
    /// The Debian package that brings it.
    pub package: &'static str,
    /// How QEMU gets it.
    pub load: Load,
}

/// How QEMU gets a firmware, or what it does.
#[derive(Debug)]
pub enum Load {
    /// QEMU loads it by itself.
    BuiltIn,
    /// As the boot ROM.
    Rom(&'static str),
    /// As flash: the code, and a template of its variables that each slot gets a copy of.
    Flash {
        /// Read-only.
        code: &'static str,
        /// Copied.
        vars: &'static str,
    },
    /// Not at all: the rig reads the kernel off the card, as the firmware would.
    Card,
}

impl Machine {
    /// By its name in documents.
    pub fn named(name: MachineName) -> &'static Self {
        match name {
            MachineName::Q35 => &q35::Q35,
            MachineName::Virt => &virt::VIRT,
            MachineName::Raspi3b => &raspi3b::RASPI3B,
        }
    }

    /// What QEMU calls it: the same machine for all patch levels. A model of real hardware has one name.
    pub fn qemu_name(&self, version: Version) -> String {
        match self.soldered {
            None => format!("{}{}.{}", self.versioned, version.major, version.minor),
            Some(_) => self.versioned.to_owned(),
        }
    }

    /// A firmware of this machine, or its usual one.
    pub fn firmware(&self, name: Option<FirmwareName>) -> Option<&'static Firmware> {
        match name {
            None => self.firmwares.first(),
            Some(name) => self.firmwares.iter().find(|firmware| firmware.name == name),
        }
    }
}
