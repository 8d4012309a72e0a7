//! A board *type*, complete: what the catalogue's partial documents become.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::boot::{BadSpec, StageSpec};
use crate::ids::{Capability, Sha};

/// A CPU architecture, by its name in balena's contracts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arch {
    /// x86-64.
    Amd64,
    /// 64-bit Arm.
    Aarch64,
    /// 32-bit Arm with hardware floating point.
    Armv7hf,
    /// 32-bit x86.
    I386,
    /// 32-bit x86 without long NOPs (Quark).
    I386Nlp,
    /// Armv6 of the first Raspberry Pis.
    Rpi,
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amd64 => "amd64",
            Self::Aarch64 => "aarch64",
            Self::Armv7hf => "armv7hf",
            Self::I386 => "i386",
            Self::I386Nlp => "i386-nlp",
            Self::Rpi => "rpi",
        })
    }
}

/// How an image gets onto the board. More procedures come with the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provision {
    /// The image is the disk of a virtual machine.
    DiskImage,
    /// The image is written to a card that a mux gives to host or DUT.
    SdCard,
}

/// Everything that is known about a board type.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    /// balena's slug: `raspberrypi4-64`.
    pub slug: String,
    /// For people.
    pub name: String,
    /// Its CPU.
    pub arch: Arch,
    /// The system on chip, where known.
    pub soc: Option<String>,
    /// What the hardware has.
    pub capabilities: BTreeSet<Capability>,
    /// How an image gets onto it.
    pub provision: Provision,
    /// The main console's speed in baud.
    pub baud: u32,
    /// The shortest time without power that surely resets it.
    pub min_off: Duration,
    /// The stages up to `kernel`, in order.
    pub stages: Vec<StageSpec>,
    /// Lines that end a boot at once.
    pub bad: Vec<BadSpec>,
    /// Lines for the boot partition's `config.txt`.
    pub config_txt: Vec<String>,
    /// Of the resolved descriptor, with all that it extends.
    pub hash: Sha,
}
