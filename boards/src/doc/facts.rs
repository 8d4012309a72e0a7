//! What is known about a board besides how it boots. Every field may be left out: that is *unknown*.

use schemars::JsonSchema;
use serde::Deserialize;
use shakedown_conf::Bytes;

/// Where it boots from, and what storage it has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MediaDoc {
    /// Where the installed OS boots from.
    pub default: Option<MediumDoc>,
    /// What it can boot from besides.
    #[serde(default)]
    pub also: Vec<MediumDoc>,
    /// Whether it has storage of its own.
    pub storage: Option<bool>,
    /// The kernel names that its own storage may have, the preferred one first: an installer tries them.
    #[serde(default)]
    pub disks: Vec<String>,
}

/// A kind of medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MediumDoc {
    /// Soldered or built in: eMMC, NVMe, a disk.
    Internal,
    /// An SD card.
    SdCard,
    /// A USB stick or disk.
    Usb,
    /// Over the network.
    Network,
    /// An NVMe module.
    Nvme,
    /// A SATA disk.
    Sata,
    /// A virtual machine's disk.
    Image,
}

impl MediumDoc {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::SdCard => "sd-card",
            Self::Usb => "usb",
            Self::Network => "network",
            Self::Nvme => "nvme",
            Self::Sata => "sata",
            Self::Image => "image",
        }
    }
}

/// The image that its OS is published as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImageDoc {
    /// `MACHINE=` of the image's os-release.
    pub machine: Option<String>,
    /// Whether it is the OS itself or its installer.
    pub kind: Option<ImageKindDoc>,
    /// The published file's name.
    pub file: Option<String>,
    /// The OS itself, where `file` is its installer.
    pub raw: Option<String>,
    /// The installer, where `file` is the OS itself.
    pub installer: Option<String>,
    /// The repository that it is built from.
    pub repo: Option<String>,
}

/// The OS itself, or its installer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImageKindDoc {
    /// Boots as it is.
    Raw,
    /// Installs to internal storage and powers off.
    Flasher,
}

impl ImageKindDoc {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Flasher => "flasher",
        }
    }
}

/// The partitions of the image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LayoutDoc {
    /// The kind of partition table.
    pub table: Option<TableDoc>,
    /// The number of the partition with the configuration document.
    pub boot_partition: Option<u32>,
    /// What lies before the first partition of the OS.
    pub space: Option<Bytes>,
    /// The boot partition.
    pub boot: Option<Bytes>,
    /// Each of the two roots.
    pub root: Option<Bytes>,
    /// The state partition.
    pub state: Option<Bytes>,
}

/// The kind of partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TableDoc {
    /// GUID partition table.
    Gpt,
    /// Master boot record.
    Msdos,
}

impl TableDoc {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Gpt => "gpt",
            Self::Msdos => "msdos",
        }
    }
}

/// Whether its vendor still stands behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LifecycleDoc {
    /// What the public documentation says.
    pub support: Option<SupportDoc>,
    /// What the device repository says.
    pub state: Option<StateDoc>,
    /// Extended support releases exist for it.
    pub esr: Option<bool>,
}

/// What the public documentation says about a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SupportDoc {
    /// Listed.
    Supported,
    /// Known, and not listed.
    Unlisted,
    /// Not public.
    Private,
    /// No longer supported: a new rig for it must say that it is meant.
    Discontinued,
}

impl SupportDoc {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Unlisted => "unlisted",
            Self::Private => "private",
            Self::Discontinued => "discontinued",
        }
    }
}

/// What the device repository says about a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StateDoc {
    /// Not released yet.
    New,
    /// Being worked on.
    Development,
    /// Released.
    Released,
    /// Given up.
    Discontinued,
}

impl StateDoc {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Development => "development",
            Self::Released => "released",
            Self::Discontinued => "discontinued",
        }
    }
}

/// Its recovery mode, for a vendor's tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecoveryDoc {
    /// How a person gets the board into it: pins, buttons, sockets.
    pub enter: Option<String>,
    /// USB vendor and product in it: `0955:7023`.
    pub usb: Option<String>,
    /// Where the vendor's tool describes it.
    pub guide: Option<String>,
}

/// How its vendor tests it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CiDoc {
    /// The workflow's file.
    pub workflow: Option<String>,
    /// Suites.
    #[serde(default)]
    pub suites: Vec<String>,
    /// What they run on.
    #[serde(default)]
    pub workers: Vec<String>,
    /// The bench's own name for the kind of board.
    pub class: Option<String>,
    /// With secure boot, too.
    pub secure_boot: Option<bool>,
}
