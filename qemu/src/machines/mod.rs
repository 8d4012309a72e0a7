//! The types of machine, one file each: what they are called, need and offer.

mod q35;
mod virt;

use shakedown_core::Arch;

use crate::doc::{FirmwareName, MachineName};

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
    /// Before the `MAJOR.MINOR` of the installed QEMU: the same machine for all of its patch levels.
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

/// How QEMU gets a firmware.
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
}

impl Machine {
    /// By its name in documents.
    pub fn named(name: MachineName) -> &'static Self {
        match name {
            MachineName::Q35 => &q35::Q35,
            MachineName::Virt => &virt::VIRT,
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
