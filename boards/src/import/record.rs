//! A device type in our words.

use std::collections::BTreeMap;

use shakedown_conf::Bytes;

use super::device_types::{DeviceType, LayerVars, Power};
use crate::doc::{
    CiDoc, FlasherDoc, ImageDoc, ImageKindDoc, LayoutDoc, LifecycleDoc, MediaDoc, MediumDoc, NoSettings,
    ProvisionDoc, RecoveryDoc, StateDoc, SupportDoc, TableDoc, TegraDoc, TegraWayDoc, ToolDoc, UsbBootDoc,
    VendorToolDoc,
};
use crate::facts::Facts;
use crate::text::{list, scalar};

/// A board as an outside document has it.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) arch: String,
    pub(super) soc: Option<String>,
    pub(super) baud: Option<u32>,
    /// Whether it has them.
    pub(super) capabilities: BTreeMap<&'static str, bool>,
    pub(super) provision: ProvisionDoc,
    pub(super) facts: Facts,
    /// `all`, and what differs from it.
    pub(super) sources: BTreeMap<String, String>,
    /// What the document says and ours cannot.
    pub(super) left_out: Vec<String>,
}

impl Record {
    /// Every fact, as [`Facts::fields`] gives it, with those that a run needs.
    pub(super) fn fields(&self) -> Vec<(String, String)> {
        let mut all = vec![("name".to_owned(), scalar(&self.name)), ("arch".to_owned(), self.arch.clone())];
        all.extend(self.soc.as_ref().map(|soc| ("soc".to_owned(), scalar(soc))));
        all.extend(self.baud.map(|baud| ("baud".to_owned(), baud.to_string())));
        all.push(("provision".to_owned(), self.provision.text()));
        for (field, has) in [("capabilities", true), ("without", false)] {
            let words = self.capabilities.iter().filter(|(_, said)| **said == has).map(|(word, _)| word);
            all.extend(words.map(|word| (field.to_owned(), (*word).to_owned())));
        }
        all.extend(self.facts.fields().into_iter().map(|(field, text)| (field.to_owned(), text)));
        all
    }

    /// From one device type.
    pub(super) fn new(of: DeviceType) -> Result<Self, String> {
        let mut sources = BTreeMap::new();
        let set = if of.in_contracts { "device-types" } else { "device-repos" };
        sources.insert("all".to_owned(), set.to_owned());
        let mut left_out = Vec::new();
        let vars = of.layer_vars.as_ref();
        let provision = provision(&of)?;
        let usual = if of.in_contracts { "contract.media/coffee" } else { "coffee" };
        let from = of.flash_procedure_source.trim_end_matches(" device json");
        // Without a contract, the kind of image alone decided.
        if from != usual && (of.in_contracts || from == "autokit") {
            sources.insert("provision".to_owned(), from.to_owned());
        }
        let mut disputed = BTreeMap::new();
        dispute(&mut disputed, "provision", procedures(&of, &provision));
        let led = led(&of, &mut sources, &mut disputed);
        let capabilities = [
            ("bluetooth", of.connectivity.bluetooth),
            ("hdmi", of.hdmi),
            ("led", led),
            ("wifi", of.connectivity.wifi),
        ];
        let media = media(&of, &mut disputed)?;
        let (tty, baud) = serial(vars.and_then(|vars| vars.serial_consoles.as_deref()))?;
        let facts = Facts {
            aliases: of.aliases.iter().filter(|alias| **alias != of.slug).cloned().collect(),
            cpu: of.cpu,
            bootloader: of.bootloader,
            tty,
            led_file: vars.and_then(|vars| vars.led_file.as_deref()).map(|file| file.replace('\\', "")),
            group: of.family,
            media,
            image: ImageDoc {
                repo: of.device_repo,
                ..image(of.yocto.as_ref(), of.os_image_kind.as_deref(), of.os_image_artifact)?
            },
            layout: layout(
                &of.slug,
                vars,
                of.config_partition.map(|partition| partition.primary),
                of.leviathan_boot_partition,
                &mut disputed,
                &mut left_out,
            ),
            recovery: RecoveryDoc {
                usb: of
                    .recovery
                    .as_ref()
                    .and_then(|recovery| recovery.lsusb_example.split_whitespace().next().map(str::to_owned)),
                enter: of.recovery.map(|recovery| recovery.how),
                guide: of.jetson_flash_doc,
            },
            lifecycle: LifecycleDoc {
                support: Some(match of.support_status.as_str() {
                    "supported" => SupportDoc::Supported,
                    "not-listed-in-docs" => SupportDoc::Unlisted,
                    "private-or-unlisted" => SupportDoc::Private,
                    "discontinued" => SupportDoc::Discontinued,
                    other => return Err(format!("support_status: unknown word `{other}`")),
                }),
                state: match of.state_in_device_repo.as_deref() {
                    None => None,
                    Some("new") => Some(StateDoc::New),
                    Some("development") => Some(StateDoc::Development),
                    Some("released") => Some(StateDoc::Released),
                    Some("discontinued") => Some(StateDoc::Discontinued),
                    Some(other) => return Err(format!("state_in_device_repo: unknown word `{other}`")),
                },
                esr: of.esr_supported.then_some(true),
            },
            ci: CiDoc {
                class: of.testbot_class,
                ..of.ci.map_or_else(CiDoc::default, |ci| CiDoc {
                    workflow: Some(ci.workflow),
                    suites: ci.leviathan_suites,
                    workers: ci.worker_types,
                    class: None,
                    secure_boot: ci.secure_boot_matrix.then_some(true),
                })
            },
            disputed,
            ..Facts::default()
        };
        if let (Some(says), Some(_)) = (of.bootloader_source, &facts.bootloader) {
            sources.insert("bootloader".to_owned(), says);
        }
        Ok(Self {
            slug: of.slug,
            name: of.name,
            arch: of.arch,
            soc: of.soc,
            baud,
            capabilities: capabilities.into_iter().filter_map(|(word, has)| Some((word, has?))).collect(),
            provision,
            facts,
            sources,
            left_out,
        })
    }
}

/// Notes a dispute where sources differ.
fn dispute(
    disputed: &mut BTreeMap<String, BTreeMap<String, String>>,
    field: &str,
    says: Vec<(&'static str, String)>,
) {
    if says.iter().any(|(_, value)| *value != says[0].1) {
        let sides = says.into_iter().map(|(source, value)| (source.to_owned(), value));
        disputed.insert(field.to_owned(), sides.collect());
    }
}

fn provision(of: &DeviceType) -> Result<ProvisionDoc, String> {
    let autokit = of.autokit_flash.as_ref();
    let tegra = |way| {
        let machine = autokit.and_then(|kit| kit.machine.clone());
        ProvisionDoc::TegraRecovery(TegraDoc { way, machine })
    };
    Ok(match of.flash_procedure.as_str() {
        "sdmux_raw" => ProvisionDoc::SdCard(NoSettings {}),
        "disk_image_qemu" => ProvisionDoc::DiskImage(NoSettings {}),
        "usb_mass_storage" => ProvisionDoc::UsbMassStorage(NoSettings {}),
        "flasher_to_internal" => ProvisionDoc::Flasher(FlasherDoc {
            boot_switch: autokit.is_some_and(|kit| kit.jumper == Some(true)),
            keys: autokit.and_then(|kit| kit.keyboard.clone()),
        }),
        "usbboot_msd" => ProvisionDoc::UsbBoot(UsbBootDoc {
            // The kit has a description of this board, so what it leaves out is not done.
            jumper: autokit.map(|kit| kit.jumper == Some(true)),
            usb_powered: autokit.and_then(|kit| kit.power.as_ref()).map(|power| *power == Power::Usb),
            secure: autokit.is_some_and(|kit| kit.sb == Some(true)),
        }),
        "jetson_recovery_direct" => tegra(TegraWayDoc::Direct),
        "jetson_recovery_rcm_flasher" => tegra(TegraWayDoc::Rcm),
        "vendor_flashtool_uuu" => ProvisionDoc::VendorTool(VendorToolDoc { tool: ToolDoc::Uuu }),
        "edison_flash" => ProvisionDoc::VendorTool(VendorToolDoc { tool: ToolDoc::Edison }),
        other => return Err(format!("flash_procedure: unknown word `{other}`")),
    })
}

/// What each source says about the procedure. One that says nothing against the choice is left out,
/// but where another does, the choice's own source stands beside it.
fn procedures(of: &DeviceType, chosen: &ProvisionDoc) -> Vec<(&'static str, String)> {
    let mut says = Vec::new();
    let protocol = of.flash_protocol_contract.as_deref().and_then(|protocol| match protocol {
        "jetsonFlash" => Some("tegra-recovery"),
        "RPIBOOT" => Some("usb-boot"),
        "usbMassStorage" => Some("usb-mass-storage"),
        "edisonFlash" => Some("vendor-tool"),
        _ => None,
    });
    let kit = of.autokit_flash.as_ref().and_then(|kit| match kit.kind.as_str() {
        "sd" => Some("sd-card"),
        "flasher" => Some("flasher"),
        "usbboot" => Some("usb-boot"),
        "jetson" => Some("tegra-recovery"),
        "iot-gate" => Some("vendor-tool"),
        _ => None,
    });
    says.extend(protocol.map(|word| ("contract.flashProtocol", word.to_owned())));
    says.extend(kit.map(|word| ("autokit", word.to_owned())));
    if says.is_empty() {
        let medium = match of.media.default_boot.as_deref() {
            Some("sdcard") => Some("sd-card"),
            Some("internal") => Some("flasher"),
            _ => None,
        };
        says.extend(medium.map(|word| ("contract.media", word.to_owned())));
    }
    // A kernel over recovery mode starts an installer, too.
    let installs = matches!(chosen, ProvisionDoc::Flasher(_))
        || matches!(chosen, ProvisionDoc::TegraRecovery(tegra) if tegra.way == TegraWayDoc::Rcm);
    match of.os_image_kind.as_deref() {
        Some("flasher") if !installs => says.push(("coffee", "flasher".to_owned())),
        Some("raw") if matches!(chosen, ProvisionDoc::Flasher(_)) => {
            says.push(("coffee", "an image that boots as it is".to_owned()));
        }
        _ => {}
    }
    says
}

/// The contract's word counts, then the repository's; a path to a LED is one, too.
fn led(
    of: &DeviceType,
    sources: &mut BTreeMap<String, String>,
    disputed: &mut BTreeMap<String, BTreeMap<String, String>>,
) -> Option<bool> {
    let file = of.layer_vars.as_ref().and_then(|vars| vars.led_file.as_deref());
    let says: Vec<_> = [
        ("contract", of.led),
        // That the dashboard cannot make it blink does not say that there is none.
        ("coffee", of.supports_blink.filter(|blinks| *blinks || of.led.is_some())),
        ("layers", file.map(|file| file != "/dev/null")),
    ]
    .into_iter()
    .filter_map(|(source, has)| Some((source, has?)))
    .collect();
    let (source, has) = *says.first()?;
    let usual = if of.in_contracts { "contract" } else { "coffee" };
    if source != usual {
        sources.insert("led".to_owned(), source.to_owned());
    }
    dispute(disputed, "led", says.into_iter().map(|(source, has)| (source, has.to_string())).collect());
    Some(has)
}

fn media(
    of: &DeviceType,
    disputed: &mut BTreeMap<String, BTreeMap<String, String>>,
) -> Result<MediaDoc, String> {
    let medium = |word: &str| {
        Ok(match word {
            "internal" => MediumDoc::Internal,
            "sdcard" => MediumDoc::SdCard,
            "usb_mass_storage" => MediumDoc::Usb,
            "network" => MediumDoc::Network,
            "nvme" => MediumDoc::Nvme,
            "sata" => MediumDoc::Sata,
            "image" => MediumDoc::Image,
            other => return Err(format!("media: unknown word `{other}`")),
        })
    };
    let default = of.media.default_boot.as_deref().map(medium).transpose()?;
    if let (Some(MediumDoc::Internal), Some(false)) = (default, of.storage_internal) {
        let says = vec![("contract", "false".to_owned()), ("contract.media", "true".to_owned())];
        dispute(disputed, "media.storage", says);
    }
    let names = of.layer_vars.as_ref().and_then(|vars| vars.internal_device_kernel.as_deref());
    Ok(MediaDoc {
        default,
        also: of.media.alt_boot.iter().map(|word| medium(word)).collect::<Result<_, String>>()?,
        storage: of.storage_internal,
        disks: names.unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
    })
}

fn image(
    yocto: Option<&super::device_types::Yocto>,
    kind: Option<&str>,
    file: Option<String>,
) -> Result<ImageDoc, String> {
    let kind = match kind {
        None => None,
        Some("raw") => Some(ImageKindDoc::Raw),
        Some("flasher") => Some(ImageKindDoc::Flasher),
        Some(other) => return Err(format!("os_image_kind: unknown word `{other}`")),
    };
    let beside = |name: Option<&String>| name.filter(|name| Some(*name) != file.as_ref()).cloned();
    Ok(ImageDoc {
        machine: yocto.map(|yocto| yocto.machine.clone()),
        kind,
        raw: beside(yocto.and_then(|yocto| yocto.deploy_raw_artifact.as_ref())),
        installer: beside(yocto.and_then(|yocto| yocto.deploy_flasher_artifact.as_ref())),
        file,
        repo: None,
    })
}

fn layout(
    slug: &str,
    vars: Option<&LayerVars>,
    coffee: Option<u32>,
    leviathan: u32,
    disputed: &mut BTreeMap<String, BTreeMap<String, String>>,
    left_out: &mut Vec<String>,
) -> LayoutDoc {
    if let Some(coffee) = coffee {
        let says = vec![("coffee", coffee.to_string()), ("leviathan", leviathan.to_string())];
        dispute(disputed, "layout.boot-partition", says);
    }
    let mut kib = |name: &str, value: Option<&String>| {
        let value = value?;
        let size = value.parse::<u64>().ok().map(|kib| Bytes(kib << 10));
        if size.is_none() {
            left_out.push(format!("{slug}: {name} is an expression: {value}"));
        }
        size
    };
    LayoutDoc {
        table: vars.and_then(|vars| vars.partition_table_type.as_deref()).and_then(|table| match table {
            "gpt" => Some(TableDoc::Gpt),
            "msdos" => Some(TableDoc::Msdos),
            _ => None,
        }),
        boot_partition: coffee,
        space: kib("DEVICE_SPECIFIC_SPACE", vars.and_then(|vars| vars.device_specific_space.as_ref())),
        boot: kib("BALENA_BOOT_SIZE", vars.and_then(|vars| vars.balena_boot_size.as_ref())),
        root: kib("IMAGE_ROOTFS_SIZE", vars.and_then(|vars| vars.image_rootfs_size.as_ref())),
        state: kib("BALENA_STATE_SIZE", vars.and_then(|vars| vars.balena_state_size.as_ref())),
    }
}

/// `115200;ttyS0 115200;ttyS1` to the names and the speed.
fn serial(consoles: Option<&str>) -> Result<(Vec<String>, Option<u32>), String> {
    let (mut tty, mut speed) = (Vec::new(), None);
    for console in consoles.unwrap_or_default().split_whitespace() {
        let wrong = || format!("SERIAL_CONSOLES: expected `baud;tty`, got `{console}`");
        let (baud, name) = console.split_once(';').ok_or_else(wrong)?;
        let baud = baud.parse().map_err(|_| wrong())?;
        if speed.is_some_and(|speed| speed != baud) {
            return Err(format!("SERIAL_CONSOLES: consoles of different speed: {}", list([console])));
        }
        speed = Some(baud);
        tty.push(name.to_owned());
    }
    Ok((tty, speed))
}
