//! A board *type*, complete: what the catalogue's partial documents become.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::boot::{BadSpec, StageSpec};
use crate::ids::{Capability, Sha};
use crate::netboot::Netboot;

/// A CPU architecture, by its name in balena's contracts where they have one, else by Debian's or Docker's.
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
    /// 64-bit RISC-V.
    Riscv64,
    /// 64-bit POWER, little-endian.
    Ppc64le,
    /// IBM Z.
    S390x,
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
            Self::Riscv64 => "riscv64",
            Self::Ppc64le => "ppc64le",
            Self::S390x => "s390x",
        })
    }
}

/// How an image gets onto the board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provision {
    /// The image is the disk of a virtual machine.
    DiskImage,
    /// The image is written to a card that a mux gives to host or DUT.
    SdCard,
    /// An installer on a card or stick writes the internal medium and powers off.
    Flasher(Flasher),
    /// A boot ROM takes its loader over USB and shows the internal medium as a disk.
    UsbBoot(UsbBoot),
    /// The board shows its internal medium as a USB disk by itself.
    UsbMassStorage,
    /// NVIDIA's recovery mode over USB.
    TegraRecovery(Tegra),
    /// The boot loader takes everything over the network.
    Netboot(Netboot),
    /// A vendor's program writes the board.
    VendorTool(VendorTool),
}

impl Provision {
    /// The word for it in a descriptor.
    pub fn word(&self) -> &'static str {
        match self {
            Self::DiskImage => "disk-image",
            Self::SdCard => "sd-card",
            Self::Flasher(_) => "flasher",
            Self::UsbBoot(_) => "usb-boot",
            Self::UsbMassStorage => "usb-mass-storage",
            Self::TegraRecovery(_) => "tegra-recovery",
            Self::Netboot(_) => "netboot",
            Self::VendorTool(_) => "vendor-tool",
        }
    }
}

/// What is particular about a board's installer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flasher {
    /// The internal media that the installer tries, by their kernel names; empty when unknown.
    pub target: Vec<String>,
    /// A switch or jumper must be set to boot the installer.
    pub boot_switch: bool,
    /// Keys that a firmware's menu wants, in the words of whoever found out.
    pub keys: Option<String>,
}

/// What is particular about a boot over USB. `None` is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsbBoot {
    /// A jumper must be set for the boot ROM to listen.
    pub jumper: Option<bool>,
    /// The data cable's own supply powers the board.
    pub usb_powered: Option<bool>,
    /// The loader must be signed for this board.
    pub secure: bool,
}

/// What is particular about NVIDIA's recovery mode. `None` is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tegra {
    /// What is sent over USB.
    pub way: TegraWay,
    /// How a person gets it into recovery mode: pins, buttons, sockets.
    pub enter: Option<String>,
    /// USB vendor and product in recovery mode: `0955:7023`.
    pub usb: Option<String>,
    /// The vendor tool's name of the machine, where it is not the board's.
    pub machine: Option<String>,
}

/// What is sent over USB in NVIDIA's recovery mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TegraWay {
    /// The whole image.
    Direct,
    /// A kernel that starts the installer from a USB stick.
    Rcm,
}

/// A vendor's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VendorTool {
    /// NXP's uuu, in the vendor's own wrapping.
    Uuu,
    /// Intel's flashall for Edison.
    Edison,
}

impl VendorTool {
    /// The program's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Uuu => "uuu",
            Self::Edison => "edison",
        }
    }
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
