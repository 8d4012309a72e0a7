//! Imports: balena's device types to our catalogue, losing nothing and inventing nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use shakedown_boards::{Catalogue, Origin, import};
use shakedown_core::{Capability, Provision};

/// What the catalogue was made from.
const DEVICE_TYPES: &[u8] = include_bytes!("device-types.json");

/// What a person changed since: board and field.
const BY_HAND: [(&str, &str); 4] = [
    ("generic-aarch64", "provision"),
    ("generic-amd64", "capabilities"),
    ("generic-amd64", "provision"),
    ("generic-amd64", "tty"),
];

/// Every fact of the outside document stands in the catalogue as it is shown, and no other does.
#[test]
fn import_and_show_lose_nothing_and_invent_nothing() {
    let catalogue = Catalogue::embedded();
    let all = import::device_types(DEVICE_TYPES, &catalogue).unwrap();
    assert_eq!(all.len(), 161);
    let (mut count, mut differ) = (0, Vec::new());
    for imported in &all {
        let shown = catalogue.resolved(&imported.slug).unwrap();
        // Our own: they come from no outside document.
        let own = |origin: &&Origin| {
            !["board", "min-off", "config-txt"].contains(&origin.field.as_str())
                && !origin.field.starts_with("boot.")
                && !origin.field.starts_with("disputed.")
                && origin.place.is_some()
        };
        let shown: BTreeSet<_> = shown
            .origins
            .iter()
            .filter(own)
            .map(|origin| (origin.field.clone(), origin.value.trim_matches('"').to_owned()))
            .collect();
        let stated: BTreeSet<_> = imported
            .facts
            .iter()
            .map(|(field, text)| (field.clone(), text.trim_matches('"').to_owned()))
            .collect();
        count += stated.len();
        let fields = shown.symmetric_difference(&stated).map(|(field, _)| field.as_str());
        differ
            .extend(fields.map(|field| (imported.slug.as_str(), field.to_owned())).collect::<BTreeSet<_>>());
    }
    let by_hand: Vec<_> = BY_HAND.iter().map(|(slug, field)| (*slug, (*field).to_owned())).collect();
    assert_eq!(differ, by_hand);
    assert!(count > 3000, "{count} facts");
    let left_out: Vec<_> = all.iter().flat_map(|imported| &imported.left_out).collect();
    assert_eq!(left_out.len(), 1, "{left_out:?}");
}

/// What an import writes is, byte for byte, what is in the catalogue; twice, it writes the same.
#[test]
fn the_catalogue_is_what_an_import_writes() {
    let catalogue = Catalogue::embedded();
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue");
    let again = import::device_types(DEVICE_TYPES, &catalogue).unwrap();
    let mut differ = BTreeSet::new();
    for imported in import::device_types(DEVICE_TYPES, &catalogue).unwrap() {
        assert!(again.iter().any(|other| other.text == imported.text));
        let path = here.join(format!("{}.yaml", imported.slug));
        if std::env::var_os("SHAKEDOWN_BLESS").is_some() && !path.exists() {
            std::fs::write(&path, &imported.text).unwrap();
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != imported.text {
            differ.insert(imported.slug);
        }
    }
    // Kept by hand since; whoever changes another adds it here.
    assert_eq!(differ, BY_HAND.iter().map(|(slug, _)| (*slug).to_owned()).collect());
}

/// The document once more, read without the importer.
#[derive(Deserialize)]
struct Document {
    device_types: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    slug: String,
    name: String,
    arch: String,
    soc: Option<String>,
    hdmi: Option<bool>,
    led: Option<bool>,
    connectivity: BTreeMap<String, Option<bool>>,
    flash_procedure: String,
    flash_procedure_source: String,
    bootloader: Option<String>,
    bootloader_source: Option<String>,
    leviathan_boot_partition: u32,
    config_partition: Option<BTreeMap<String, u32>>,
    support_status: String,
    flash_protocol_contract: Option<String>,
}

/// The importer and the catalogue against the document itself, by another way.
#[test]
fn the_facts_are_those_of_the_document() {
    let catalogue = Catalogue::embedded();
    let document: Document = serde_json::from_slice(DEVICE_TYPES).unwrap();
    for row in document.device_types {
        let shown = catalogue.resolved(&row.slug).unwrap();
        let (board, facts, slug) = (&shown.board, &shown.facts, &row.slug);
        assert_eq!(
            (&board.name, board.arch.to_string(), &board.soc),
            (&row.name, row.arch, &row.soc),
            "{slug}"
        );
        for (word, has) in [
            ("hdmi", row.hdmi),
            ("wifi", row.connectivity["wifi"]),
            ("bluetooth", row.connectivity["bluetooth"]),
        ] {
            let said = (
                board.capabilities.contains(&Capability::new(word)),
                facts.without.contains(&word.to_owned()),
            );
            assert_eq!(said, (has == Some(true), has == Some(false)), "{slug}: {word}");
        }
        if let Some(led) = row.led {
            assert_eq!(board.capabilities.contains(&Capability::new("led")), led, "{slug}");
        }
        let word = match row.flash_procedure.as_str() {
            "sdmux_raw" => "sd-card",
            "flasher_to_internal" => "flasher",
            "usbboot_msd" => "usb-boot",
            "usb_mass_storage" => "usb-mass-storage",
            "jetson_recovery_direct" | "jetson_recovery_rcm_flasher" => "tegra-recovery",
            "vendor_flashtool_uuu" | "edison_flash" => "vendor-tool",
            other => other.strip_suffix("_qemu").map_or("?", |_| "disk-image"),
        };
        let source = |field: &str| {
            let origin = shown.origins.iter().find(|origin| origin.field == field);
            origin.and_then(|origin| origin.source.clone()).unwrap_or_default()
        };
        if board.provision != Provision::DiskImage || word == "disk-image" {
            assert_eq!(board.provision.word(), word, "{slug}");
            let from = row.flash_procedure_source.trim_end_matches(" device json");
            let private = row.support_status == "private-or-unlisted" && from == "contract.media/coffee";
            let want = if private { "coffee" } else { from };
            assert!(source("provision").starts_with(&format!("{want}: ")), "{slug}: {}", source("provision"));
        } else {
            assert!(facts.disputed.contains_key("provision"), "{slug}");
        }
        assert_eq!(facts.bootloader, row.bootloader, "{slug}");
        if let Some(from) = row.bootloader_source {
            assert!(source("bootloader").ends_with(&format!(": {from}")), "{slug}: {}", source("bootloader"));
        }
        let coffee = row.config_partition.map(|partition| partition["primary"]);
        assert_eq!(facts.layout.boot_partition, coffee, "{slug}");
        let differ = coffee.is_some_and(|number| number != row.leviathan_boot_partition);
        assert_eq!(facts.disputed.contains_key("layout.boot-partition"), differ, "{slug}");
        if row.flash_protocol_contract.as_deref() == Some("usbMassStorage") && word == "vendor-tool" {
            assert!(facts.disputed.contains_key("provision"), "{slug}");
        }
        let support = facts.lifecycle.support.unwrap().word();
        assert!(row.support_status.contains(support) || support == "unlisted", "{slug}");
    }
}

/// Each imported value names the source that it came from.
#[test]
fn each_fact_has_its_source() {
    let catalogue = Catalogue::embedded();
    for slug in catalogue.slugs() {
        for origin in catalogue.resolved(slug).unwrap().origins {
            let ours = ["board", "min-off", "config-txt"].contains(&origin.field.as_str())
                || origin.field.starts_with("boot.")
                || origin.field.starts_with("disputed.")
                || origin.place.as_ref().is_none_or(|place| {
                    // Written by us, from what we know of the boot.
                    ["pc", "arm64-efi"].iter().any(|family| place.name.ends_with(&format!("{family}.yaml")))
                });
            assert_eq!(origin.source.is_some(), !ours, "{slug}: {origin:?}");
        }
    }
}

#[test]
fn a_document_that_is_none_is_refused_with_its_place() {
    let catalogue = Catalogue::embedded();
    let refused = |text: &str| import::device_types(text.as_bytes(), &catalogue).unwrap_err().to_string();
    assert!(refused("[]").starts_with("not a document of device types: "), "{}", refused("[]"));
    assert!(refused("{\"meta\": 1, \"device_types\": [{}]}").contains("missing field `slug` at line 1"));
    let text = String::from_utf8(DEVICE_TYPES.to_vec()).unwrap();
    let changed = text.replacen("sdmux_raw\"", "carrier-pigeon\"", 2);
    assert!(refused(&changed).contains("unknown word `carrier-pigeon`"), "{}", refused(&changed));
    let more = text.replacen("\"slug\":", "\"wings\":2,\"slug\":", 1);
    assert!(refused(&more).contains("unknown field `wings`"), "{}", refused(&more));
}
