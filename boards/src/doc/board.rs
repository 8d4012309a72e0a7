//! Boards and the families that they extend.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{SeqAccess, Visitor};
use shakedown_conf::Span;

use super::{ArchDoc, BootDoc};

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

/// How an image gets onto a board.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProvisionDoc {
    /// The image is the disk of a virtual machine.
    DiskImage(NoSettings),
    /// The image is written to a card that a mux gives to host or DUT.
    SdCard(NoSettings),
}

/// `{}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

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
