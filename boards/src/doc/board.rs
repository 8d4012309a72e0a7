//! Boards and the families that they extend.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{SeqAccess, Visitor};
use shakedown_conf::Span;

use super::{
    ArchDoc, BootDoc, CiDoc, ImageDoc, LayoutDoc, LifecycleDoc, MediaDoc, ProvisionDoc, RecoveryDoc,
};

/// A board type. No serial numbers, no ports: those belong to a rig.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BoardDoc {
    /// balena's slug; also the file's name.
    pub board: String,
    /// The families it takes values from, the later ones winning.
    #[serde(default)]
    pub extends: Extends,
    /// Its name for people.
    pub name: Option<String>,
    /// Its CPU architecture.
    pub arch: Option<ArchDoc>,
    /// The system on chip.
    pub soc: Option<String>,
    /// What the hardware has: `wifi`, `bluetooth`, `led`, `hdmi` …
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// What it surely has not. What stands in neither list is unknown.
    #[serde(default)]
    pub without: Vec<String>,
    /// The CPU cores.
    pub cpu: Option<String>,
    /// What boots the kernel, in words.
    pub bootloader: Option<String>,
    /// The kernel's names of the serial consoles.
    #[serde(default)]
    pub tty: Vec<String>,
    /// The file of sysfs that switches its user LED.
    pub led_file: Option<String>,
    /// A vendor's name for several boards that are alike.
    pub group: Option<String>,
    /// Where it boots from, and what storage it has.
    #[serde(default)]
    pub media: MediaDoc,
    /// The image that its OS is published as.
    #[serde(default)]
    pub image: ImageDoc,
    /// The partitions of that image.
    #[serde(default)]
    pub layout: LayoutDoc,
    /// Its recovery mode, for a vendor's tool.
    #[serde(default)]
    pub recovery: RecoveryDoc,
    /// Where this document's facts come from: `all` names a set of sources, a field's name one of them.
    #[serde(default)]
    pub sources: BTreeMap<String, String>,
    /// Whether its vendor still stands behind it.
    #[serde(default)]
    pub lifecycle: LifecycleDoc,
    /// How its vendor tests it.
    #[serde(default)]
    pub ci: CiDoc,
    /// Other slugs by which it is known.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Fields on which sources disagree, with what each of them says. The field itself holds what we go by.
    #[serde(default)]
    pub disputed: BTreeMap<String, BTreeMap<String, String>>,
    /// How an image gets onto it.
    #[serde(default, deserialize_with = "serde_yaml::with::singleton_map::deserialize")]
    #[schemars(with = "Option<ProvisionDoc>")]
    pub provision: Option<ProvisionDoc>,
    /// The main console's speed in baud (default: 115200).
    pub baud: Option<u32>,
    /// The shortest time without power that surely resets it (default: 2s).
    pub min_off: Option<Span>,
    /// Its stages up to `kernel`.
    #[serde(default)]
    pub boot: BootDoc,
    /// Lines for the boot partition's `config.txt`.
    #[serde(default)]
    pub config_txt: Vec<String>,
}

/// What several boards share. Everything but its name may be left out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FamilyDoc {
    /// Its name; also the file's name.
    pub family: String,
    /// The families it takes values from, the later ones winning.
    #[serde(default)]
    pub extends: Extends,
    /// The CPU architecture.
    pub arch: Option<ArchDoc>,
    /// The system on chip.
    pub soc: Option<String>,
    /// What the hardware has.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// What it surely has not. What stands in neither list is unknown.
    #[serde(default)]
    pub without: Vec<String>,
    /// The CPU cores.
    pub cpu: Option<String>,
    /// What boots the kernel, in words.
    pub bootloader: Option<String>,
    /// The kernel's names of the serial consoles.
    #[serde(default)]
    pub tty: Vec<String>,
    /// The file of sysfs that switches its user LED.
    pub led_file: Option<String>,
    /// A vendor's name for several boards that are alike.
    pub group: Option<String>,
    /// Where it boots from, and what storage it has.
    #[serde(default)]
    pub media: MediaDoc,
    /// The image that its OS is published as.
    #[serde(default)]
    pub image: ImageDoc,
    /// The partitions of that image.
    #[serde(default)]
    pub layout: LayoutDoc,
    /// Its recovery mode, for a vendor's tool.
    #[serde(default)]
    pub recovery: RecoveryDoc,
    /// Where this document's facts come from: `all` names a set of sources, a field's name one of them.
    #[serde(default)]
    pub sources: BTreeMap<String, String>,
    /// How an image gets onto it.
    #[serde(default, deserialize_with = "serde_yaml::with::singleton_map::deserialize")]
    #[schemars(with = "Option<ProvisionDoc>")]
    pub provision: Option<ProvisionDoc>,
    /// The main console's speed in baud.
    pub baud: Option<u32>,
    /// The shortest time without power that surely resets it.
    pub min_off: Option<Span>,
    /// Its part of a boot.
    #[serde(default)]
    pub boot: BootDoc,
    /// Lines for the boot partition's `config.txt`.
    #[serde(default)]
    pub config_txt: Vec<String>,
}

/// The names of the families that a document extends: one, or a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extends {
    /// In order; the later ones win.
    pub names: Vec<String>,
    /// Written as a list: items have places of their own.
    pub list: bool,
}

impl Extends {
    /// The path of the field that holds the name at `index`.
    pub fn field(&self, index: usize) -> String {
        if self.list { format!("extends[{index}]") } else { "extends".to_owned() }
    }
}

impl<'de> Deserialize<'de> for Extends {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Extends;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a family, or a list of names")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Extends, E> {
                Ok(Extends { names: vec![name.to_owned()], list: false })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Extends, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = items.next_element()? {
                    names.push(name);
                }
                Ok(Extends { names, list: true })
            }
        }
        input.deserialize_any(OneOrMore)
    }
}

impl JsonSchema for Extends {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Extends".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
    }
}
