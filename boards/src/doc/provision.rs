//! How an image gets onto a board.

use schemars::JsonSchema;
use serde::Deserialize;
use shakedown_core::{Flasher, Provision, Tegra, TegraWay, UsbBoot, VendorTool};

use super::NetbootDoc;
use crate::facts::Facts;
use crate::text::scalar;

/// How an image gets onto a board.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProvisionDoc {
    /// The image is the disk of a virtual machine.
    DiskImage(NoSettings),
    /// The image is written to a card that a mux gives to host or DUT.
    SdCard(NoSettings),
    /// An installer on a card or stick writes the internal medium and powers off.
    Flasher(FlasherDoc),
    /// A boot ROM takes its loader over USB and shows the internal medium as a disk.
    UsbBoot(UsbBootDoc),
    /// The board shows its internal medium as a USB disk by itself.
    UsbMassStorage(NoSettings),
    /// NVIDIA's recovery mode over USB.
    TegraRecovery(TegraDoc),
    /// The boot loader takes everything over the network.
    Netboot(NetbootDoc),
    /// A vendor's program writes the board.
    VendorTool(VendorToolDoc),
}

/// `{}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// What is particular about a board's installer. The media that it tries are `media.disks`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FlasherDoc {
    /// A switch or jumper must be set to boot the installer: the slot's output `boot-switch` (default: false).
    #[serde(default)]
    pub boot_switch: bool,
    /// Keys that a firmware's menu wants, in words.
    pub keys: Option<String>,
}

/// What is particular about a boot over USB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct UsbBootDoc {
    /// A jumper must be set for the boot ROM to listen: the slot's output `boot-switch`. Left out: unknown.
    pub jumper: Option<bool>,
    /// The data cable powers the board: the slot's output `vbus`. Left out: unknown.
    pub usb_powered: Option<bool>,
    /// The loader must be signed for this board (default: false).
    #[serde(default)]
    pub secure: bool,
}

/// What is particular about NVIDIA's recovery mode. How to get into it stands in `recovery`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TegraDoc {
    /// What is sent over USB.
    pub way: TegraWayDoc,
    /// The vendor tool's name of the machine, where it is not the board's.
    pub machine: Option<String>,
}

/// What is sent over USB in NVIDIA's recovery mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TegraWayDoc {
    /// The whole image.
    Direct,
    /// A kernel that starts the installer from a USB stick.
    Rcm,
}

/// A vendor's program.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VendorToolDoc {
    /// Which.
    pub tool: ToolDoc,
}

/// The vendors' programs that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ToolDoc {
    /// NXP's uuu, in the vendor's own wrapping.
    Uuu,
    /// Intel's flashall for Edison.
    Edison,
}

impl ProvisionDoc {
    /// Complete, with what other fields say: the board's own storage, its recovery mode.
    pub(crate) fn complete(&self, facts: &Facts) -> Provision {
        match self {
            Self::DiskImage(_) => Provision::DiskImage,
            Self::SdCard(_) => Provision::SdCard,
            Self::Flasher(doc) => Provision::Flasher(Flasher {
                target: facts.media.disks.clone(),
                boot_switch: doc.boot_switch,
                keys: doc.keys.clone(),
            }),
            Self::UsbBoot(doc) => Provision::UsbBoot(UsbBoot {
                jumper: doc.jumper,
                usb_powered: doc.usb_powered,
                secure: doc.secure,
            }),
            Self::UsbMassStorage(_) => Provision::UsbMassStorage,
            Self::TegraRecovery(doc) => Provision::TegraRecovery(Tegra {
                way: match doc.way {
                    TegraWayDoc::Direct => TegraWay::Direct,
                    TegraWayDoc::Rcm => TegraWay::Rcm,
                },
                enter: facts.recovery.enter.clone(),
                usb: facts.recovery.usb.clone(),
                machine: doc.machine.clone(),
            }),
            Self::Netboot(doc) => Provision::Netboot(doc.complete()),
            Self::VendorTool(doc) => Provision::VendorTool(match doc.tool {
                ToolDoc::Uuu => VendorTool::Uuu,
                ToolDoc::Edison => VendorTool::Edison,
            }),
        }
    }

    /// The name of the choice.
    pub fn word(&self) -> &'static str {
        self.complete(&Facts::default()).word()
    }

    /// As it is written, on one line.
    pub fn text(&self) -> String {
        let mut settings = Vec::new();
        if let Self::Netboot(doc) = self {
            settings = doc.text();
        }
        let mut put = |name: &str, text: String| settings.push(format!("{name}: {text}"));
        match self {
            Self::DiskImage(_) | Self::SdCard(_) | Self::UsbMassStorage(_) | Self::Netboot(_) => {}
            Self::Flasher(doc) => {
                if doc.boot_switch {
                    put("boot-switch", "true".into());
                }
                if let Some(keys) = &doc.keys {
                    put("keys", scalar(keys));
                }
            }
            Self::UsbBoot(doc) => {
                if let Some(jumper) = doc.jumper {
                    put("jumper", jumper.to_string());
                }
                if let Some(powered) = doc.usb_powered {
                    put("usb-powered", powered.to_string());
                }
                if doc.secure {
                    put("secure", "true".into());
                }
            }
            Self::TegraRecovery(doc) => {
                put("way", if doc.way == TegraWayDoc::Direct { "direct".into() } else { "rcm".into() });
                if let Some(machine) = &doc.machine {
                    put("machine", scalar(machine));
                }
            }
            Self::VendorTool(doc) => {
                put("tool", if doc.tool == ToolDoc::Uuu { "uuu".into() } else { "edison".into() });
            }
        }
        let word = self.word();
        if settings.is_empty() {
            format!("{{ {word}: {{}} }}")
        } else {
            format!("{{ {word}: {{ {} }} }}", settings.join(", "))
        }
    }
}
