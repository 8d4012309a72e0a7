//! The document of balena's device types, as it is written.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The whole document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeviceTypes {
    #[serde(rename = "meta")]
    _meta: IgnoredAny,
    pub(super) device_types: Vec<DeviceType>,
}

/// One device type. `null` is: not found in the repositories.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeviceType {
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) in_contracts: bool,
    pub(super) arch: String,
    /// Follows from `support_status`.
    #[serde(rename = "is_private")]
    _is_private: Option<bool>,
    pub(super) family: Option<String>,
    pub(super) hdmi: Option<bool>,
    pub(super) led: Option<bool>,
    pub(super) connectivity: Connectivity,
    pub(super) storage_internal: Option<bool>,
    pub(super) media: Media,
    pub(super) flash_protocol_contract: Option<String>,
    pub(super) device_repo: Option<String>,
    /// The same as in `yocto`.
    #[serde(rename = "yocto_machine")]
    _yocto_machine: Option<String>,
    pub(super) yocto: Option<Yocto>,
    pub(super) state_in_device_repo: Option<String>,
    pub(super) supports_blink: Option<bool>,
    pub(super) config_partition: Option<ConfigPartition>,
    /// The same for all, and the OS's own: it stands in the OS profile.
    #[serde(rename = "config_path")]
    _config_path: Option<String>,
    pub(super) os_image_artifact: Option<String>,
    pub(super) os_image_kind: Option<String>,
    pub(super) ci: Option<Ci>,
    pub(super) layer_vars: Option<LayerVars>,
    pub(super) autokit_flash: Option<Autokit>,
    pub(super) testbot_class: Option<String>,
    pub(super) leviathan_boot_partition: u32,
    pub(super) jetson_flash_doc: Option<String>,
    /// Follows from `support_status`.
    #[serde(rename = "listed_in_public_docs")]
    _listed_in_public_docs: bool,
    pub(super) esr_supported: bool,
    pub(super) flash_procedure: String,
    pub(super) flash_procedure_source: String,
    pub(super) soc: Option<String>,
    /// The same for all: `curated`.
    #[serde(rename = "soc_source")]
    _soc_source: Option<String>,
    pub(super) cpu: Option<String>,
    pub(super) bootloader: Option<String>,
    pub(super) bootloader_source: Option<String>,
    /// Unknown for all; `SERIAL_CONSOLES` says it where it is known.
    #[serde(rename = "serial_console")]
    _serial_console: Option<IgnoredAny>,
    pub(super) recovery: Option<Recovery>,
    /// Follows from `support_status`.
    #[serde(rename = "deprecated")]
    _deprecated: Option<bool>,
    pub(super) support_status: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Connectivity {
    pub(super) wifi: Option<bool>,
    pub(super) bluetooth: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Media {
    pub(super) default_boot: Option<String>,
    pub(super) alt_boot: Vec<String>,
}

/// Of the build. Release, file type and compression change from version to version of the OS.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Yocto {
    pub(super) machine: String,
    pub(super) deploy_raw_artifact: Option<String>,
    pub(super) deploy_flasher_artifact: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigPartition {
    pub(super) primary: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ci {
    pub(super) workflow: String,
    pub(super) leviathan_suites: Vec<String>,
    pub(super) worker_types: Vec<String>,
    pub(super) secure_boot_matrix: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) struct LayerVars {
    pub(super) internal_device_kernel: Option<String>,
    pub(super) image_rootfs_size: Option<String>,
    pub(super) led_file: Option<String>,
    pub(super) partition_table_type: Option<String>,
    pub(super) balena_boot_size: Option<String>,
    pub(super) balena_state_size: Option<String>,
    pub(super) device_specific_space: Option<String>,
    pub(super) serial_consoles: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Autokit {
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Implied by the procedure.
    #[serde(rename = "nvme")]
    _nvme: Option<bool>,
    pub(super) machine: Option<String>,
    pub(super) jumper: Option<bool>,
    /// `true`, or `"usb"`.
    pub(super) power: Option<Power>,
    pub(super) sb: Option<bool>,
    pub(super) keyboard: Option<String>,
}

/// Where a board under usbboot gets its power from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Power {
    /// Its own supply.
    Own,
    /// The data cable.
    Usb,
}

impl<'de> Deserialize<'de> for Power {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Either;
        impl serde::de::Visitor<'_> for Either {
            type Value = Power;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`true` or \"usb\"")
            }

            fn visit_bool<E: serde::de::Error>(self, own: bool) -> Result<Power, E> {
                if own {
                    Ok(Power::Own)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Bool(own), &self))
                }
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Power, E> {
                let wrong = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
                (text == "usb").then_some(Power::Usb).ok_or_else(wrong)
            }
        }
        input.deserialize_any(Either)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recovery {
    pub(super) how: String,
    /// The first half of the example.
    #[serde(rename = "usb_id_vendor")]
    _usb_id_vendor: String,
    pub(super) lsusb_example: String,
    /// The same as `jetson_flash_doc`, with the repository's name before it.
    #[serde(rename = "source")]
    _source: String,
}
